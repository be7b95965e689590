/* SPDX-License-Identifier: MIT */
/* rate_limits: token buckets for work done before the sender is authenticated: key derivations of RFC 8613 B.2, Echo
 * challenges (RFC 8613 B.1.2), 4.13 to oversized requests. Verified messages use none of them. */
#ifndef NACRE_ENDPOINT_ADMISSION_RATE_LIMITS_H
#define NACRE_ENDPOINT_ADMISSION_RATE_LIMITS_H

#include "base/pool_layout.h"
#include "endpoint/core/core.h"

/* The time, in us, at which the next token is due at an even rate; at most one burst ahead of the clock. */
typedef uint64_t nacre__token_bucket;

typedef struct nacre__rate_limits {
    const nacre__core *core;
    nacre__token_bucket *of_sources;  /* two rows by the sender's network, one by its host */
    nacre__token_bucket *first;       /* by context: the first Echo challenge to each Partial IV … */
    nacre__token_bucket *repeated;    /* … and further ones */
    nacre__token_bucket rederivation; /* key derivations of RFC 8613 B.2, of all peers */
    nacre__token_bucket oversized;    /* 4.13 to oversized requests */
    uint64_t num_drawn;               /* random numbers for refusals */
} nacre__rate_limits;

void nacre__rate_limits_lay_out(nacre__rate_limits *limits, nacre__pool_layout *layout);

/* Takes one token at `per_second`; false if there is none. Once half of the burst is used, tokens are refused at random, more often
 * the fewer are left, so that no sender gets all of them by its timing. */
bool nacre__token_take(nacre__rate_limits *limits, nacre__token_bucket *bucket, uint32_t per_second);

/* Takes a token of the source of `peer`; false if there is none. Sources share tokens only where their hashes collide. */
bool nacre__source_take(nacre__rate_limits *limits, const nacre_address *peer);

/* Takes the tokens of an Echo challenge to a request that verified, but may be a replay. `again`: its Partial IV was challenged
 * before. */
bool nacre__challenge_take(nacre__rate_limits *limits, const nacre_context *context, const nacre_address *peer,
                           bool again);

/* Takes a token for a key derivation of RFC 8613 B.2. `of_peer`: the bucket of the rederivation. */
bool nacre__derivation_take(nacre__rate_limits *limits, const nacre_address *peer, nacre__token_bucket *of_peer);

/* Takes a token for a 4.13 to an oversized request. */
bool nacre__oversized_take(nacre__rate_limits *limits, const nacre_address *peer);

/* A hash of the host of `peer`. */
uint64_t nacre__host_of(const nacre__core *core, const nacre_address *peer);

#endif
