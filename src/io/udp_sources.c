/* SPDX-License-Identifier: MIT */
/* udp_sources: which of our addresses a peer talked to, so that answers leave from it (RFC 7252 5.2: an answer comes from
 * the endpoint that the request went to, or the client drops it). */
#include "io/udp_internal.h"

#include <string.h>

static size_t set_of(const nacre_address *peer)
{
    uint32_t hash = 2166136261u; /* FNV-1a: quick, and collisions only cost an entry */
    for (size_t i = 0; i < peer->len && i < sizeof peer->bytes; i++) hash = (hash ^ peer->bytes[i]) * 16777619u;
    return (hash ^ hash >> 16) % NACRE__SOURCE_SETS;
}

void nacre__sources_note(nacre__sources *s, const nacre_address *peer, const struct in6_addr *local)
{
    size_t set = set_of(peer), way = 0;
    while (way < NACRE__SOURCE_WAYS && !nacre_address_equal(&s->ways[set][way].peer, peer)) way++;
    if (way == NACRE__SOURCE_WAYS) {
        way = s->next[set];
        s->next[set] = (uint8_t)((way + 1) % NACRE__SOURCE_WAYS);
    }
    s->ways[set][way] = (nacre__source){ *peer, *local };
}

const struct in6_addr *nacre__sources_find(const nacre__sources *s, const nacre_address *peer)
{
    const nacre__source *ways = s->ways[set_of(peer)];
    for (size_t way = 0; way < NACRE__SOURCE_WAYS; way++)
        if (nacre_address_equal(&ways[way].peer, peer)) return &ways[way].local;
    return NULL;
}
