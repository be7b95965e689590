/* SPDX-License-Identifier: MIT */
/* address_validation: source addresses can be forged, and long responses to them would flood a third party. An address is
 * validated by returning what only the receiver of a message could know: an Echo value, or a token with 64 random bits. An
 * ACK or RST returns only a message ID, which 65,536 small datagrams guess, and validates nothing.
 *
 * Memory is bounded: sets of four, in which the longest silent address is evicted. Entries expire because addresses change
 * hands. */
#include "endpoint/admission/address_validation.h"
#include "endpoint/core/hash.h"

enum { WAYS = 4 };

void nacre__address_validation_lay_out(nacre__address_validation *v, nacre__pool_layout *layout, uint16_t num_peers)
{
    v->num = WAYS;
    while (v->num < num_peers) v->num *= 2;
    v->entries = nacre__lay_out(layout, v->num, sizeof *v->entries);
}

static nacre__validated_address *set_of(const nacre__address_validation *v, const nacre_address *peer)
{
    const uint64_t hash = nacre__peer_hash(v->core, peer, NACRE_ABSENT);
    return &v->entries[((hash ^ hash >> 32) & (v->num / WAYS - 1)) * WAYS];
}

static bool is_current(const nacre__address_validation *v, const nacre__validated_address *a)
{
    return a->peer.len > 0 && v->core->now_ms < nacre__after(a->when, v->core->config.timing.exchange_lifetime_ms);
}

bool nacre__is_validated(const nacre__address_validation *v, const nacre_address *peer)
{
    if (!v->core->config.admission.amplification_limit || nacre_address_is_reliable(peer)) return true;
    const nacre__validated_address *set = set_of(v, peer);
    for (size_t i = 0; i < WAYS; i++)
        if (is_current(v, &set[i]) && nacre_address_equal(&set[i].peer, peer)) return true;
    return false;
}

/* A free entry first, then the longest silent one. */
static bool gives_way_before(const nacre__validated_address *a, const nacre__validated_address *b)
{
    if (a->peer.len == 0 || b->peer.len == 0) return a->peer.len < b->peer.len;
    return a->when < b->when;
}

/* The peer's own entry, or the one to evict. */
static nacre__validated_address *entry_for(const nacre__address_validation *v, const nacre_address *peer)
{
    nacre__validated_address *set = set_of(v, peer), *entry = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (nacre_address_equal(&set[i].peer, peer)) return &set[i];
        if (gives_way_before(&set[i], entry)) entry = &set[i];
    }
    return entry;
}

void nacre__validate(nacre__address_validation *v, const nacre_address *peer)
{
    *entry_for(v, peer) = (nacre__validated_address){ .peer = *peer, .when = v->core->now_ms };
}
