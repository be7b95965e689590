/* SPDX-License-Identifier: MIT */
/* mids: message IDs. A guessed one acknowledges or rejects a message in another's name (RFC 7252 11.4), so what one peer sees
 * must not tell what others will see.
 *
 * Peers are spread over buckets by a hash that cannot be computed outside, and each bucket counts from a random start. A peer
 * sees the count plus an offset of its own: the XOR of random words that other parts of the hash choose. So two peers of one
 * bucket share a count, which bounds the memory, and see unrelated numbers; that one's number moves by more than one tells it
 * that others are served, and not with which numbers. The count keeps a number from coming back to a peer within its 65536
 * messages, as RFC 7252 4.4 wants it. */
#include "endpoint/endpoint_internal.h"

void nacre__mids_init(nacre_endpoint *ep)
{
    ep->config.random.fill(ep->config.random.self, (uint8_t *)ep->mids, sizeof ep->mids);
    ep->config.random.fill(ep->config.random.self, (uint8_t *)ep->mid_offsets, sizeof ep->mid_offsets);
}

static uint16_t offset_for(const nacre_endpoint *ep, uint64_t hash)
{
    uint16_t offset = 0;
    for (uint32_t i = 0; i < NACRE__MID_OFFSETS; i++)
        offset ^= ep->mid_offsets[i][hash >> (40 + 8 * i) & (NACRE__MID_BUCKETS - 1)];
    return offset;
}

static bool in_flight(const nacre_endpoint *ep, uint16_t mid)
{
    for (uint32_t i = 0; ep->num_tokens > 0 && i < ep->config.num_client_exchanges; i++)
        if (ep->tokens[i] != 0 && ep->slots[i].mid == mid)
            return true; /* observations too: their answers may be late */
    return false;
}

/* RFC 7252 4.4. More than 65536 messages to one peer in an exchange lifetime come round; a number that is in flight is
 * passed over. */
uint16_t nacre__new_mid(nacre_endpoint *ep, const nacre_address *peer)
{
    const uint64_t hash = nacre__hash(ep, peer, NACRE_ABSENT);
    const uint16_t offset = offset_for(ep, hash);
    uint16_t *next = &ep->mids[(hash ^ hash >> 32) % NACRE__MID_BUCKETS];
    for (uint32_t tries = 0; tries < ep->config.num_client_exchanges && in_flight(ep, (uint16_t)(*next + offset));
         tries++)
        (*next)++;
    return (uint16_t)((*next)++ + offset);
}
