/* SPDX-License-Identifier: MIT */
/* rate_limits: token buckets for work done before the sender is authenticated: Echo challenges (RFC 8613 B.1.2), first
 * responses of RFC 8613 B.2, 4.13 to oversized requests. */
#ifndef NACRE_ENDPOINT_ADMISSION_RATE_LIMITS_H
#define NACRE_ENDPOINT_ADMISSION_RATE_LIMITS_H

#include "base/pool_layout.h"
#include "endpoint/core/core.h"

/* When the next token would be due, us, if they were spread evenly; at most a burst ahead of the clock. */
typedef uint64_t nacre__token_bucket;

typedef struct nacre__rate_limits {
    const nacre__core *core;
    nacre__token_bucket challenges;          /* Echo challenges of all contexts … */
    nacre__token_bucket *of_contexts;        /* … and of each, by its hash */
    nacre__token_bucket rederivation;        /* first responses of RFC 8613 B.2, within the rate of their peer … */
    nacre__token_bucket rederivation_excess; /* … and above it */
    nacre__token_bucket oversized;           /* 4.13 to oversized requests */
} nacre__rate_limits;

void nacre__rate_limits_lay_out(nacre__rate_limits *limits, nacre__pool_layout *layout);

/* Takes one token at `per_second`; false if there is none. */
bool nacre__token_take(nacre__token_bucket *bucket, uint64_t now_ms, uint32_t per_second);

/* Takes a token for an Echo challenge from the bucket of `context` and the total one, or from neither. */
bool nacre__challenge_take(nacre__rate_limits *limits, const nacre_context *context);

#endif
