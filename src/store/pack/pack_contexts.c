/* SPDX-License-Identifier: MIT */
/* pack_contexts: finds the contexts of a pack by index and by address. */
#include "store/pack/pack_internal.h"

size_t nacre_pack_num(const nacre_pack *pack)
{
    size_t num = 0;
    for (size_t i = pack->num_segments; num == 0 && i-- > 0;)
        if (pack->segments[i]->num_taken > 0) num = pack->segments[i]->first_entry + pack->segments[i]->num_taken;
    return num;
}

nacre_context *nacre_pack_context_at(nacre_pack *pack, size_t index)
{
    size_t low = 0, high = pack->num_segments; /* the segment is in [low, high) */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (pack->segments[middle]->first_entry <= index) low = middle;
        else high = middle;
    }
    if (low == high || index < pack->segments[low]->first_entry) return NULL;
    const nacre__segment *s = pack->segments[low];
    size_t at = index - s->first_entry;
    return at < s->num_taken && nacre_context_aead(&s->contexts[at].ctx) != NULL ? &s->contexts[at].ctx : NULL;
}

nacre__packed *nacre__pack_find(const nacre_pack *pack, const nacre_context *ctx)
{
    uintptr_t at = (uintptr_t)ctx;
    for (size_t i = 0; i < pack->num_segments; i++) {
        nacre__segment *s = pack->segments[i];
        uintptr_t from = (uintptr_t)s->contexts;
        if (at < from || at - from >= s->num_taken * sizeof(nacre__packed)) continue;
        return (at - from) % sizeof(nacre__packed) == 0 ? &s->contexts[(at - from) / sizeof(nacre__packed)] : NULL;
    }
    return NULL;
}

bool nacre_pack_holds(const nacre_pack *pack, const nacre_context *ctx)
{
    return nacre__pack_find(pack, ctx) != NULL;
}
