/* SPDX-License-Identifier: MIT */
/* resets: how much a RST is worth (RFC 7641 3.6, RFC 7252 11.4).
 *
 * A RST has nothing to show but a message ID. To a protected message of ours it is believed as long as few RST came from
 * that address that matched nothing: at most four in an exchange lifetime, of 65,536 numbers. After that only a time-out ends
 * what a RST would have ended. To bring that about takes five datagrams under a forged address; it costs the retransmissions
 * to a peer that rejects what it is sent.
 *
 * Each place is a time that every such RST puts off by a quarter of the exchange lifetime; addresses that share a place
 * share what is left of it. */
#include "endpoint/endpoint_internal.h"

enum { FEW = 4 };

static uint64_t *place_of(nacre_endpoint *ep, const nacre_address *peer)
{
    const uint64_t hash = nacre__hash(ep, peer, NACRE_ABSENT);
    return &ep->resets[(hash ^ hash >> 32) % NACRE__RESET_COUNTS];
}

/* A RST came from `peer` that matched nothing. */
void nacre__reset_unmatched(nacre_endpoint *ep, const nacre_address *peer)
{
    const uint64_t lifetime = ep->config.timing.exchange_lifetime_ms;
    uint64_t *place = place_of(ep, peer);
    const uint64_t most = nacre__after(ep->now_ms, lifetime + lifetime / FEW);
    if (*place < ep->now_ms) *place = ep->now_ms;
    *place = nacre__after(*place, lifetime / FEW);
    if (*place > most) *place = most;
}

/* Whether a RST from `peer` that names a protected message of ours is believed. */
bool nacre__reset_is_believed(nacre_endpoint *ep, const nacre_address *peer)
{
    return *place_of(ep, peer) <= nacre__after(ep->now_ms, ep->config.timing.exchange_lifetime_ms);
}
