/* SPDX-License-Identifier: MIT */
/* address_validation: a datagram's source can be forged, and a server that responds at length then floods a third party. An
 * address is validated by what only the receiver of our message can know and chance cannot hit: an Echo value of ours, or a
 * response with a token of ours, which has 64 random bits. An ACK or a RST shows a message ID, which 65,536 small datagrams
 * are sure to guess, and validates nothing.
 *
 * What is remembered is bounded: sets of four, of which the one longest silent gives way; and for a while only, for
 * addresses change hands. */
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
    if (v->core->config.no_amplification_limit || nacre_address_is_reliable(peer)) return true;
    const nacre__validated_address *set = set_of(v, peer);
    for (size_t i = 0; i < WAYS; i++)
        if (is_current(v, &set[i]) && nacre_address_equal(&set[i].peer, peer)) return true;
    return false;
}

/* A free place before one in use, then the one longest silent. */
static bool gives_way_before(const nacre__validated_address *a, const nacre__validated_address *b)
{
    if (a->peer.len == 0 || b->peer.len == 0) return a->peer.len < b->peer.len;
    return a->when < b->when;
}

/* The peer's own place, or the one to give it. */
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
