/* SPDX-License-Identifier: MIT */
/* probing_rate: how fast NON messages go to a peer that does not respond (RFC 7252 4.7). */
#ifndef NACRE_ENDPOINT_MESSAGE_PROBING_RATE_H
#define NACRE_ENDPOINT_MESSAGE_PROBING_RATE_H

#include "endpoint/core/core.h"

enum { NACRE__PROBED_SETS = 32, NACRE__PROBED_WAYS = 8, NACRE__PROBED_BURST = 16 };

/* A peer that has not responded since it was sent NON messages. */
typedef struct nacre__probed {
    uint64_t hash;       /* of its address */
    uint64_t paid_at_ms; /* when the bytes sent are paid for at PROBING_RATE; 0: free */
} nacre__probed;

typedef struct nacre__probing_rate {
    const nacre__core *core;
    nacre__probed probed[NACRE__PROBED_SETS][NACRE__PROBED_WAYS];
    uint32_t num; /* entries in use */
} nacre__probing_rate;

void nacre__probing_rate_init(nacre__probing_rate *p, const nacre__core *core);

/* When the next NON message to `peer` may be sent: `now_ms` or later. */
uint64_t nacre__probing_may_at(const nacre__probing_rate *p, const nacre_address *peer, uint64_t now_ms);
/* A NON message of `len` bytes was sent to `peer`. */
void nacre__probing_sent(nacre__probing_rate *p, const nacre_address *peer, size_t len, uint64_t now_ms);
/* Something was received from `peer`. True: messages to it may be held. */
bool nacre__probing_heard(nacre__probing_rate *p, const nacre_address *peer);

#endif
