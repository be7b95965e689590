/* SPDX-License-Identifier: MIT */
/* rate_limits: work that an attacker can cause repeatedly without a key is limited so that honest peers keep a share of it:
 *
 *     request                              takes a token of
 *     #1 of B.2, #2 with a valid R2        its source, else its rederivation, else the bucket of all rederivations
 *     oversized                            its source, else the bucket of all oversized requests
 *     gets the first Echo challenge to     its context: a captured request takes one token, and the peer's next request
 *     its Partial IV                       is not captured yet
 *     gets a further one                   its source and its context: each challenge uses a sender sequence number
 *
 * A source has one bucket in each of three rows, and takes a token of the first that has one. Two rows are by network, with
 * different hashes, so that other networks must flood both buckets to exhaust them; the third is by host, so that other hosts
 * of its network leave a host one bucket. The hashes, and with them the collisions, change every two minutes. Excess requests are
 * dropped without a record, and the client retransmits. */
#include "endpoint/admission/rate_limits.h"
#include "base/pointer_hash.h"
#include "base/siphash.h"
#include "endpoint/core/hash.h"

enum {
    BURST_US = 4000000, /* four seconds' worth of tokens at once */
    CONTEXTS = 256,
    ROWS = 3,
    HOST_ROW = 2,
    SOURCES = 512,   /* in each row */
    EPOCH_BITS = 17, /* the hashes change every 2^17 ms */
};

void nacre__rate_limits_lay_out(nacre__rate_limits *limits, nacre__pool_layout *layout)
{
    limits->of_sources = nacre__lay_out(layout, ROWS * SOURCES, sizeof *limits->of_sources);
    limits->first = nacre__lay_out(layout, CONTEXTS, sizeof *limits->first);
    limits->repeated = nacre__lay_out(layout, CONTEXTS, sizeof *limits->repeated);
}

/* ---- One bucket ---------------------------------------------------------------------------------------------------- */

static uint64_t us_of(uint64_t now_ms)
{
    return now_ms > UINT64_MAX / 2000 ? UINT64_MAX / 2 : now_ms * 1000;
}

static void take(nacre__token_bucket *bucket, uint64_t now_us, uint32_t per_second)
{
    if (*bucket < now_us) *bucket = now_us;
    *bucket += 1000000 / per_second;
}

/* A random number that peers cannot predict, without a call of the system for each message of a flood. */
static uint64_t draw(nacre__rate_limits *limits)
{
    nacre__siphash hash = nacre__siphash_start(limits->core->hash_key);
    nacre__siphash_word(&hash, ++limits->num_drawn);
    return nacre__siphash_end(&hash, (uint64_t)8 << 56);
}

bool nacre__token_take(nacre__rate_limits *limits, nacre__token_bucket *bucket, uint32_t per_second)
{
    const uint64_t now_us = us_of(limits->core->now_ms), ahead = *bucket > now_us ? *bucket - now_us : 0;
    if (ahead > BURST_US) return false;
    if (ahead > BURST_US / 2 && draw(limits) % (BURST_US / 2) < ahead - BURST_US / 2) return false;
    take(bucket, now_us, per_second);
    return true;
}

/* ---- Shares -------------------------------------------------------------------------------------------------------- */

static nacre_bytes part_of(const nacre__core *core, const nacre_address *peer, bool network)
{
    const nacre_origin *origin = &core->config.admission.origin;
    if (origin->part != NULL) return origin->part(origin->self, peer, network);
    return nacre_bytes_of(peer->bytes, peer->len <= sizeof peer->bytes ? peer->len : 0);
}

uint64_t nacre__host_of(const nacre__core *core, const nacre_address *peer)
{
    const nacre_address none = { .len = 0 };
    return nacre__peer_hash(core, &none, part_of(core, peer, false));
}

bool nacre__source_take(nacre__rate_limits *limits, const nacre_address *peer)
{
    const nacre__core *core = limits->core;
    const uint64_t now_us = us_of(core->now_ms);
    for (unsigned row = 0; row < ROWS; row++) {
        nacre_address label = { .len = 2, .bytes = { (uint8_t)row, (uint8_t)(core->now_ms >> EPOCH_BITS) } };
        const uint64_t hash = nacre__peer_hash(core, &label, part_of(core, peer, row != HOST_ROW));
        nacre__token_bucket *bucket = &limits->of_sources[row * SOURCES + ((hash ^ hash >> 32) & (SOURCES - 1))];
        if (*bucket > now_us && *bucket - now_us > BURST_US) continue;
        take(bucket, now_us, core->config.admission.source_per_second);
        return true;
    }
    return false;
}

bool nacre__challenge_take(nacre__rate_limits *limits, const nacre_context *context, const nacre_address *peer,
                           bool again)
{
    const nacre_admission_config *config = &limits->core->config.admission;
    const size_t at = nacre__pointer_hash(context) >> 32 & (CONTEXTS - 1); /* those that collide share the buckets */
    if (!again) return nacre__token_take(limits, &limits->first[at], config->challenges_per_second);
    return nacre__source_take(limits, peer) &&
           nacre__token_take(limits, &limits->repeated[at], config->context_challenges_per_second);
}

bool nacre__derivation_take(nacre__rate_limits *limits, const nacre_address *peer, nacre__token_bucket *of_peer)
{
    const nacre_admission_config *config = &limits->core->config.admission;
    return nacre__source_take(limits, peer) ||
           nacre__token_take(limits, of_peer, config->context_challenges_per_second) ||
           nacre__token_take(limits, &limits->rederivation, config->challenges_per_second);
}

bool nacre__oversized_take(nacre__rate_limits *limits, const nacre_address *peer)
{
    return nacre__source_take(limits, peer) ||
           nacre__token_take(limits, &limits->oversized, limits->core->config.admission.challenges_per_second);
}
