/* SPDX-License-Identifier: MIT */
/* reset_belief: a RST proves only a message ID. For a protected message it is believed while at most four RST from that
 * address matched nothing in an exchange lifetime (of 65,536 IDs). After that only a timeout ends the exchange or
 * observation. Five datagrams with a forged address bring this about; the cost is retransmissions to a peer that rejects
 * them.
 *
 * Each bucket is a time; every unmatched RST advances it by a quarter of the exchange lifetime. Addresses whose hashes
 * collide share one. */
#include "endpoint/admission/reset_belief.h"
#include "endpoint/core/hash.h"

enum { FEW = 4 };

static uint64_t *bucket_of(nacre__reset_belief *belief, const nacre_address *peer)
{
    const uint64_t hash = nacre__peer_hash(belief->core, peer, NACRE_ABSENT);
    return &belief->buckets[(hash ^ hash >> 32) % NACRE__RESET_BUCKETS];
}

void nacre__reset_unmatched(nacre__reset_belief *belief, const nacre_address *peer)
{
    const uint64_t lifetime = belief->core->config.timing.exchange_lifetime_ms, now = belief->core->now_ms;
    uint64_t *bucket = bucket_of(belief, peer);
    const uint64_t most = nacre__after(now, lifetime + lifetime / FEW);
    if (*bucket < now) *bucket = now;
    *bucket = nacre__after(*bucket, lifetime / FEW);
    if (*bucket > most) *bucket = most;
}

bool nacre__reset_is_believed(nacre__reset_belief *belief, const nacre_address *peer)
{
    const nacre__core *core = belief->core;
    return *bucket_of(belief, peer) <= nacre__after(core->now_ms, core->config.timing.exchange_lifetime_ms);
}
