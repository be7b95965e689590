/* SPDX-License-Identifier: MIT */
/* reset_belief: whether a RST is believed (RFC 7641 3.6, RFC 7252 11.4). */
#ifndef NACRE_ENDPOINT_ADMISSION_RESET_BELIEF_H
#define NACRE_ENDPOINT_ADMISSION_RESET_BELIEF_H

#include "endpoint/core/core.h"

enum { NACRE__RESET_BUCKETS = 256 };

typedef struct nacre__reset_belief {
    const nacre__core *core;
    uint64_t buckets[NACRE__RESET_BUCKETS]; /* ms, by peer: each unmatched RST advances it */
} nacre__reset_belief;

/* Counts a RST from `peer` that matched nothing. */
void nacre__reset_unmatched(nacre__reset_belief *belief, const nacre_address *peer);

/* Whether a RST from `peer` that names a protected message sent here is believed. */
bool nacre__reset_is_believed(nacre__reset_belief *belief, const nacre_address *peer);

#endif
