/* SPDX-License-Identifier: MIT */
/* mids: message IDs. Whoever can guess one can acknowledge or reject a message in another's name (RFC 7252 11.4), so what one
 * peer sees must not tell what others will see.
 *
 * Peers are spread over buckets by a hash that nobody outside can compute, and each bucket counts from a random start of its
 * own. Peers that share a bucket, one pair in NACRE__MID_BUCKETS, share its numbers: that is what bounded memory costs. The
 * count keeps a number from coming back to a peer within its 65536 messages, as RFC 7252 4.4 wants it. */
#include "endpoint_internal.h"

void nacre__mids_init(nacre_endpoint *ep)
{
    ep->config.random.fill(ep->config.random.self, (uint8_t *)ep->mids, sizeof ep->mids);
}

static bool in_flight(const nacre_endpoint *ep, uint16_t mid)
{
    for (uint32_t i = 0; ep->num_tokens > 0 && i < ep->config.num_requests; i++)
        if (ep->tokens[i] != 0 && ep->slots[i].mid == mid)
            return true; /* observations too: their answers may be late */
    return false;
}

/* RFC 7252 4.4. Whoever sends a peer more than 65536 messages in an exchange lifetime comes round; a number that is in
 * flight is passed over. */
uint16_t nacre__new_mid(nacre_endpoint *ep, const nacre_address *peer)
{
    const uint64_t hash = nacre__hash(ep, peer, NACRE_ABSENT);
    uint16_t *next = &ep->mids[(hash ^ hash >> 32) % NACRE__MID_BUCKETS];
    for (uint32_t tries = 0; tries < ep->config.num_requests && in_flight(ep, *next); tries++) (*next)++;
    return (*next)++;
}
