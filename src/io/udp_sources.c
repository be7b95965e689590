/* SPDX-License-Identifier: MIT */
/* udp_sources: the local address each peer sent to, so that responses leave from it (RFC 7252 5.2: the client drops a
 * response that does not come from the endpoint the request was sent to). */
#include "io/udp_internal.h"
#include "base/siphash.h"

static size_t set_of(const nacre__sources *s, const nacre_address *peer)
{
    const size_t len = peer->len <= sizeof peer->bytes ? peer->len : 0;
    return nacre__siphash_of(s->hash_key, nacre_bytes_of(peer->bytes, len)) % NACRE__SOURCE_SETS;
}

void nacre__sources_note(nacre__sources *s, const nacre_address *peer, const struct in6_addr *local)
{
    size_t set = set_of(s, peer), way = 0;
    while (way < NACRE__SOURCE_WAYS && !nacre_address_equal(&s->ways[set][way].peer, peer)) way++;
    if (way == NACRE__SOURCE_WAYS) {
        way = s->next[set];
        s->next[set] = (uint8_t)((way + 1) % NACRE__SOURCE_WAYS);
    }
    s->ways[set][way] = (nacre__source){ *peer, *local };
}

const struct in6_addr *nacre__sources_find(const nacre__sources *s, const nacre_address *peer)
{
    const nacre__source *ways = s->ways[set_of(s, peer)];
    for (size_t way = 0; way < NACRE__SOURCE_WAYS; way++)
        if (nacre_address_equal(&ways[way].peer, peer)) return &ways[way].local;
    return NULL;
}
