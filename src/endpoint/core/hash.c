/* SPDX-License-Identifier: MIT */
#include "endpoint/core/hash.h"
#include "base/siphash.h"

#include <stddef.h>

/* The address with length and flags, padded to whole words, then the bytes. */
uint64_t nacre__peer_hash(const nacre__core *core, const nacre_address *peer, nacre_bytes bytes)
{
    const size_t len = peer->len <= sizeof peer->bytes ? peer->len : 0;
    const nacre_bytes address = { (const uint8_t *)peer, offsetof(nacre_address, bytes) + len };
    nacre__siphash s = nacre__siphash_start(core->hash_key);
    nacre__siphash_words(&s, address);
    return nacre__siphash_end_bytes(&s, (address.len + 7) / 8 * 8, bytes);
}

uint64_t nacre__owner_hash(const nacre__core *core, const nacre_context *context, const nacre_address *peer)
{
    static const nacre_address none;
    const nacre_bytes pointer = { (const uint8_t *)&context, sizeof context };
    return context != NULL ? nacre__peer_hash(core, &none, pointer) : nacre__peer_hash(core, peer, NACRE_ABSENT);
}
