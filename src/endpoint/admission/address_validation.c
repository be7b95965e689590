/* SPDX-License-Identifier: MIT */
/* reach: validated addresses (RFC 9175 2.4, RFC 7252 11.3).
 *
 * A datagram's source can be forged, and a server that answers at length then floods a third party. An address is validated
 * by what only the receiver of our message can know and chance cannot hit: an Echo value of ours, or a response with a token
 * of ours, which has 64 random bits. An ACK or a RST shows a message ID, which 65,536 small datagrams are sure to guess; so
 * neither validates anything.
 *
 * What is remembered is bounded: sets of four, of which the one longest silent gives way; and for a while only, for
 * addresses change hands. */
#include "endpoint/endpoint_internal.h"

enum { WAYS = 4 };

uint32_t nacre__reach_places(uint16_t num_peers)
{
    uint32_t n = WAYS;
    while (n < num_peers) n *= 2;
    return n;
}

static nacre__reach *set_of(const nacre_endpoint *ep, const nacre_address *peer)
{
    const uint64_t hash = nacre__hash(ep, peer, NACRE_ABSENT);
    return &ep->reach[((hash ^ hash >> 32) & (ep->num_reach / WAYS - 1)) * WAYS];
}

static bool is_current(const nacre_endpoint *ep, const nacre__reach *r)
{
    return r->peer.len > 0 && ep->now_ms < nacre__after(r->when, ep->config.timing.exchange_lifetime_ms);
}

bool nacre__is_reached(const nacre_endpoint *ep, const nacre_address *peer)
{
    if (ep->config.no_amplification_limit || nacre_address_is_reliable(peer)) return true;
    const nacre__reach *set = set_of(ep, peer);
    for (size_t i = 0; i < WAYS; i++)
        if (is_current(ep, &set[i]) && nacre_address_equal(&set[i].peer, peer)) return true;
    return false;
}

/* A free place before one in use, then the one longest silent. */
static bool gives_way_before(const nacre__reach *a, const nacre__reach *b)
{
    if (a->peer.len == 0 || b->peer.len == 0) return a->peer.len < b->peer.len;
    return a->when < b->when;
}

/* The peer's own place, or the one to give it. */
static nacre__reach *place_for(const nacre_endpoint *ep, const nacre_address *peer)
{
    nacre__reach *set = set_of(ep, peer), *place = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (nacre_address_equal(&set[i].peer, peer)) return &set[i];
        if (gives_way_before(&set[i], place)) place = &set[i];
    }
    return place;
}

/* `peer` is validated from now on. */
void nacre__reached(nacre_endpoint *ep, const nacre_address *peer)
{
    *place_for(ep, peer) = (nacre__reach){ .peer = *peer, .when = ep->now_ms };
}
