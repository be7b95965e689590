/* SPDX-License-Identifier: MIT */
/* empty_messages: a queue of ACK and RST (RFC 7252 4.2, 4.3), sent before everything else. */
#ifndef NACRE_ENDPOINT_MESSAGE_EMPTY_MESSAGES_H
#define NACRE_ENDPOINT_MESSAGE_EMPTY_MESSAGES_H

#include "base/pool_layout.h"
#include "endpoint/core/core.h"

typedef struct nacre__empty_message {
    nacre_address peer;
    uint16_t mid;
    uint8_t type;
} nacre__empty_message;

typedef struct nacre__empty_messages {
    nacre__core *core;
    nacre__empty_message *all;
    uint32_t num, first, max;
} nacre__empty_messages;

void nacre__empty_messages_lay_out(nacre__empty_messages *e, nacre__pool_layout *layout, uint32_t max);

/* Dropped when the queue is full, as on the network. */
void nacre__send_empty(nacre__empty_messages *e, const nacre_address *peer, uint8_t type, uint16_t mid);

/* Writes the next one; false if there is none. */
bool nacre__empty_messages_next(nacre__empty_messages *e, nacre_outgoing *out);

#endif
