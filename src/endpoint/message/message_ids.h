/* SPDX-License-Identifier: MIT */
/* message_ids: message IDs of messages sent here. */
#ifndef NACRE_ENDPOINT_MESSAGE_MESSAGE_IDS_H
#define NACRE_ENDPOINT_MESSAGE_MESSAGE_IDS_H

#include "endpoint/core/core.h"

enum { NACRE__MESSAGE_ID_BUCKETS = 256, NACRE__MESSAGE_ID_OFFSETS = 3 };

typedef struct nacre__message_ids {
    const nacre__core *core;
    uint16_t counts[NACRE__MESSAGE_ID_BUCKETS]; /* of each bucket of peers … */
    uint16_t offsets[NACRE__MESSAGE_ID_OFFSETS]
                    [NACRE__MESSAGE_ID_BUCKETS]; /* … and words that make the offsets of peers */
} nacre__message_ids;

void nacre__message_ids_init(nacre__message_ids *ids, const nacre__core *core);

/* The next message ID for `peer`. It may still be in use after 65536 messages to its bucket. */
uint16_t nacre__message_id_next(nacre__message_ids *ids, const nacre_address *peer);

#endif
