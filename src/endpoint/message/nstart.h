/* SPDX-License-Identifier: MIT */
/* nstart: how many requests of ours may be on their way to one peer at a time, and how many bytes of NON requests to one that
 * does not respond (RFC 7252 4.7). */
#ifndef NACRE_ENDPOINT_MESSAGE_NSTART_H
#define NACRE_ENDPOINT_MESSAGE_NSTART_H

#include "endpoint/message/transmissions.h"

/* Whether the request may be sent now; otherwise it is HELD from here on, and queued again when it may. */
bool nacre__nstart_enter(nacre__transmissions *tx, nacre__transmission *t, uint64_t now_ms);

/* The request is not on its way any more, nor does it wait to be. Called before nacre__transmission_stop. */
void nacre__nstart_leave(nacre__transmissions *tx, nacre__transmission *t);

/* Something was received from `peer`: what PROBING_RATE holds is queued again. */
void nacre__nstart_heard(nacre__transmissions *tx, const nacre_address *peer);

#endif
