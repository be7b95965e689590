/* SPDX-License-Identifier: MIT */
/* probing_rate: a token bucket per peer. Each NON message costs its length divided by PROBING_RATE; a burst of
 * NACRE__PROBED_BURST messages of max_message bytes is allowed, then the next waits, so that the average is PROBING_RATE.
 * Anything received from the peer resets it.
 *
 * Peers are kept in sets by a keyed hash. A full set evicts the peer with the least debt. */
#include "endpoint/message/probing_rate.h"
#include "endpoint/core/hash.h"

void nacre__probing_rate_init(nacre__probing_rate *p, const nacre__core *core)
{
    *p = (nacre__probing_rate){ .core = core };
}

static bool is_limited(const nacre__probing_rate *p, const nacre_address *peer)
{
    return p->core->config.congestion.probing_rate != UINT32_MAX && !nacre_address_is_reliable(peer);
}

static uint64_t ms_of(const nacre__probing_rate *p, uint64_t bytes)
{
    return (bytes * 1000 + p->core->config.congestion.probing_rate - 1) / p->core->config.congestion.probing_rate;
}

static uint32_t set_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32) % NACRE__PROBED_SETS;
}

/* The index in its set of the peer with that hash, or NONE. */
static uint32_t find(const nacre__probing_rate *p, uint64_t hash)
{
    const nacre__probed *set = p->probed[set_of(hash)];
    for (uint32_t i = 0; i < NACRE__PROBED_WAYS; i++)
        if (set[i].paid_at_ms != 0 && set[i].hash == hash) return i;
    return NACRE__NONE;
}

/* Its entry, or one for it: free, or that of the peer with the least debt. */
static nacre__probed *entry_of(nacre__probing_rate *p, uint64_t hash)
{
    nacre__probed *set = p->probed[set_of(hash)], *least = set;
    const uint32_t found = find(p, hash);
    if (found != NACRE__NONE) return &set[found];
    for (uint32_t i = 1; i < NACRE__PROBED_WAYS; i++)
        if (set[i].paid_at_ms < least->paid_at_ms) least = &set[i];
    if (least->paid_at_ms == 0) p->num++;
    *least = (nacre__probed){ .hash = hash };
    return least;
}

uint64_t nacre__probing_may_at(const nacre__probing_rate *p, const nacre_address *peer, uint64_t now_ms)
{
    if (p->num == 0 || !is_limited(p, peer)) return now_ms;
    const uint64_t hash = nacre__peer_hash(p->core, peer, NACRE_ABSENT);
    const uint32_t found = find(p, hash);
    if (found == NACRE__NONE) return now_ms;
    const uint64_t paid_at = p->probed[set_of(hash)][found].paid_at_ms;
    const uint64_t ahead = ms_of(p, (uint64_t)NACRE__PROBED_BURST * p->core->config.max_message);
    return paid_at <= nacre__after(now_ms, ahead) ? now_ms : paid_at - ahead;
}

void nacre__probing_sent(nacre__probing_rate *p, const nacre_address *peer, size_t len, uint64_t now_ms)
{
    if (!is_limited(p, peer)) return;
    nacre__probed *probed = entry_of(p, nacre__peer_hash(p->core, peer, NACRE_ABSENT));
    const uint64_t from = probed->paid_at_ms > now_ms ? probed->paid_at_ms : now_ms;
    probed->paid_at_ms = nacre__after(from, ms_of(p, len));
}

bool nacre__probing_heard(nacre__probing_rate *p, const nacre_address *peer)
{
    if (p->num == 0) return false;
    const uint64_t hash = nacre__peer_hash(p->core, peer, NACRE_ABSENT);
    const uint32_t found = find(p, hash);
    if (found == NACRE__NONE) return false;
    p->probed[set_of(hash)][found].paid_at_ms = 0;
    p->num--;
    return true;
}
