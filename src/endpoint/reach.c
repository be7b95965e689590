/* SPDX-License-Identifier: MIT */
/* reach: which addresses have shown that what is sent there arrives (RFC 9175 2.4, RFC 7252 11.3).
 *
 * A datagram's sender can be forged, and a server that answers at length then floods a third party. So an address gets
 * little until something has come back from it that only who received our message could send: an ACK or a RST with the MID
 * of a CON of ours, an answer with a token of ours, an Echo value of ours.
 *
 * What is remembered is bounded: sets of four, of which the one longest silent gives way; and for a while only, for
 * addresses change hands. */
#include "endpoint_internal.h"

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
        if (!set[i].only_asked && is_current(ep, &set[i]) && nacre_address_equal(&set[i].peer, peer)) return true;
    return false;
}

/* Which of two places is to give way: a free one, then one that has shown nothing, then the one longest silent. */
static bool gives_way_before(const nacre__reach *a, const nacre__reach *b)
{
    if (a->peer.len == 0 || b->peer.len == 0) return a->peer.len < b->peer.len;
    if (a->only_asked != b->only_asked) return a->only_asked;
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

/* `peer` has just shown itself. */
void nacre__reached(nacre_endpoint *ep, const nacre_address *peer)
{
    *place_for(ep, peer) = (nacre__reach){ .peer = *peer, .when = ep->now_ms };
}

/* `peer` was asked for an Echo value. That takes no place from one that has shown itself. */
void nacre__reach_asked(nacre_endpoint *ep, const nacre_address *peer)
{
    nacre__reach *place = place_for(ep, peer);
    if (place->only_asked || !is_current(ep, place))
        *place = (nacre__reach){ .peer = *peer, .when = ep->now_ms, .only_asked = true };
}

/* It has answered that, if wrongly: so it knows how to. */
void nacre__reach_answered(nacre_endpoint *ep, const nacre_address *peer)
{
    nacre__reach *place = place_for(ep, peer);
    if (place->only_asked && nacre_address_equal(&place->peer, peer)) *place = (nacre__reach){ .peer.len = 0 };
}

/* Whether it was asked, and has sent no Echo since. */
bool nacre__reach_was_asked(const nacre_endpoint *ep, const nacre_address *peer)
{
    const nacre__reach *place = place_for(ep, peer);
    return place->only_asked && is_current(ep, place) && nacre_address_equal(&place->peer, peer);
}

/* RFC 9175 2.4 item 3, RFC 7252 11.3: what an answer to so many bytes may take: three times as many, and in any case
 * what a small answer takes. */
size_t nacre__allowance(size_t received)
{
    enum { SAFE = 136, FACTOR = 3 };
    return received > SAFE / FACTOR ? received * FACTOR : SAFE;
}
