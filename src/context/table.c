/* SPDX-License-Identifier: MIT */
/* table: contexts by Recipient ID, open addressing with linear probing; taking one out closes the gap behind it. */
#include <nacre/context.h>

static size_t home_of(const nacre_table *t, nacre_bytes kid)
{
    uint32_t h = 2166136261u; /* FNV-1a: IDs are short and chosen by the operator */
    for (size_t i = 0; i < kid.len; i++) h = (h ^ kid.ptr[i]) * 16777619u;
    h ^= h >> 15;
    return h & (t->num_slots - 1);
}

static size_t home_of_context(const nacre_table *t, const nacre_context *ctx)
{
    return home_of(t, nacre_context_recipient_id(ctx));
}

nacre_err nacre_table_init(nacre_table *t, nacre_context **slots, size_t num_slots)
{
    if (slots == NULL || num_slots < 2 || (num_slots & (num_slots - 1)) != 0) return NACRE_ERR_BAD_ARGUMENT;
    for (size_t i = 0; i < num_slots; i++) slots[i] = NULL;
    t->slots = slots;
    t->num_slots = num_slots;
    t->num_contexts = 0;
    return NACRE_OK;
}

nacre_err nacre_table_add(nacre_table *t, nacre_context *ctx)
{
    size_t at = home_of_context(t, ctx);
    for (; t->slots[at] != NULL; at = (at + 1) & (t->num_slots - 1))
        if (t->slots[at] == ctx) return NACRE_ERR_BAD_ARGUMENT;
    if (t->num_contexts >= t->num_slots - (t->num_slots + 3) / 4) return NACRE_ERR_NO_ROOM;
    t->slots[at] = ctx;
    t->num_contexts++;
    return NACRE_OK;
}

void nacre_table_remove(nacre_table *t, const nacre_context *ctx)
{
    size_t mask = t->num_slots - 1, at = home_of_context(t, ctx);
    while (t->slots[at] != NULL && t->slots[at] != ctx) at = (at + 1) & mask;
    if (t->slots[at] == NULL) return;
    for (size_t next = (at + 1) & mask; t->slots[next] != NULL; next = (next + 1) & mask) {
        size_t home = home_of_context(t, t->slots[next]);
        if (((next - home) & mask) < ((next - at) & mask))
            continue; /* the gap lies before its home: it may not move there */
        t->slots[at] = t->slots[next];
        at = next;
    }
    t->slots[at] = NULL;
    t->num_contexts--;
}

static bool fits(const nacre_context *ctx, nacre_bytes kid, nacre_bytes kid_context)
{
    if (!nacre_bytes_equal(nacre_context_recipient_id(ctx), kid)) return false;
    if (nacre_is_absent(kid_context)) return true;
    return !nacre_is_absent(ctx->id_context) && nacre_bytes_equal(ctx->id_context, kid_context);
}

nacre_context *nacre_table_find(const nacre_table *t, nacre_bytes kid, nacre_bytes kid_context, size_t *cursor)
{
    size_t mask = t->num_slots - 1, home = home_of(t, kid);
    if (nacre_is_absent(kid)) return NULL; /* an absent kid is not the empty one */
    for (size_t i = *cursor; i < t->num_slots; i++) {
        nacre_context *ctx = t->slots[(home + i) & mask];
        if (ctx == NULL) break;
        if (!fits(ctx, kid, kid_context)) continue;
        *cursor = i + 1;
        return ctx;
    }
    *cursor = t->num_slots;
    return NULL;
}
