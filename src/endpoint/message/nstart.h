/* SPDX-License-Identifier: MIT */
/* nstart: limits outstanding requests per peer, and bytes of NON requests to a peer that does not respond (RFC 7252 4.7). */
#ifndef NACRE_ENDPOINT_MESSAGE_NSTART_H
#define NACRE_ENDPOINT_MESSAGE_NSTART_H

#include "endpoint/message/transmissions.h"

/* Whether the request may be sent now; otherwise it becomes HELD, and is queued again when it may. */
bool nacre__nstart_enter(nacre__transmissions *tx, nacre__transmission *t, uint64_t now_ms);

/* The request is neither outstanding nor HELD any more. Called before nacre__transmission_stop. */
void nacre__nstart_leave(nacre__transmissions *tx, nacre__transmission *t);

/* Something was received from `peer`: requests held by PROBING_RATE are queued again. */
void nacre__nstart_heard(nacre__transmissions *tx, const nacre_address *peer);

#endif
