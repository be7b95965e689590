/* SPDX-License-Identifier: MIT */
/* table: contexts by Recipient ID, open addressing with linear probing; taking one out closes the gap behind it. Each slot
 * has the hash of its context's ID beside the pointer, so that contexts are read only where all 32 bits agree: a search
 * that finds nothing reads a cache line or two of slots, and no context, however many there are. */
#include <nacre/context.h>
#include "base/copy.h"

enum { AT_ONCE = 32 };

/* Of IDs of at most seven bytes; no context has a longer one. */
static uint32_t hash_of(const uint8_t *id, size_t len)
{
    uint64_t v = len;
    for (size_t i = 0; i < len; i++) v = v << 8 | id[i];
    v = (v ^ v >> 29) * UINT64_C(0x9e3779b97f4a7c15); /* the golden ratio: IDs that count up spread evenly */
    return (uint32_t)(v >> 32);
}

static uint32_t hash_of_context(const nacre_context *ctx)
{
    return hash_of(ctx->recipient_id, ctx->recipient_id_len);
}

nacre_err nacre_table_init(nacre_table *t, nacre_table_slot *slots, size_t num_slots)
{
    if (slots == NULL || num_slots < 2 || (num_slots & (num_slots - 1)) != 0) return NACRE_ERR_BAD_ARGUMENT;
    for (size_t i = 0; i < num_slots; i++) slots[i] = (nacre_table_slot){ NULL, 0 };
    t->slots = slots;
    t->num_slots = num_slots;
    t->num_contexts = 0;
    return NACRE_OK;
}

nacre_err nacre_table_add(nacre_table *t, nacre_context *ctx)
{
    size_t mask = t->num_slots - 1;
    uint32_t hash = hash_of_context(ctx);
    size_t at = hash & mask;
    for (; t->slots[at].context != NULL; at = (at + 1) & mask)
        if (t->slots[at].context == ctx) return NACRE_ERR_BAD_ARGUMENT;
    if (t->num_contexts >= t->num_slots - (t->num_slots + 3) / 4) return NACRE_ERR_NO_ROOM;
    t->slots[at] = (nacre_table_slot){ ctx, hash };
    t->num_contexts++;
    return NACRE_OK;
}

void nacre_table_remove(nacre_table *t, const nacre_context *ctx)
{
    size_t mask = t->num_slots - 1, at = hash_of_context(ctx) & mask;
    while (t->slots[at].context != NULL && t->slots[at].context != ctx) at = (at + 1) & mask;
    if (t->slots[at].context == NULL) return;
    for (size_t next = (at + 1) & mask; t->slots[next].context != NULL; next = (next + 1) & mask) {
        size_t home = t->slots[next].hash & mask;
        if (((next - home) & mask) < ((next - at) & mask))
            continue; /* the gap lies before its home: it may not move there */
        t->slots[at] = t->slots[next];
        at = next;
    }
    t->slots[at] = (nacre_table_slot){ NULL, 0 };
    t->num_contexts--;
}

static bool fits(const nacre_context *ctx, nacre_bytes kid, nacre_bytes kid_context)
{
    if (!nacre__same_id(kid, ctx->recipient_id, ctx->recipient_id_len)) return false;
    if (nacre_is_absent(kid_context)) return true;
    return !nacre_is_absent(ctx->id_context) && nacre_bytes_equal(ctx->id_context, kid_context);
}

/* The slot, counted from home on, of the next context with that hash; num_slots at the end. */
static size_t probe(const nacre_table *t, uint32_t hash, size_t from)
{
    size_t mask = t->num_slots - 1;
    for (size_t i = from; i < t->num_slots; i++) {
        const nacre_table_slot *slot = &t->slots[(hash + i) & mask];
        if (slot->context == NULL) break;
        if (slot->hash == hash) return i;
    }
    return t->num_slots;
}

static nacre_context *find(const nacre_table *t, uint32_t hash, nacre_bytes kid, nacre_bytes kid_context,
                           size_t *cursor)
{
    size_t mask = t->num_slots - 1;
    for (size_t i = *cursor; (i = probe(t, hash, i)) < t->num_slots; i++) {
        nacre_context *ctx = t->slots[(hash + i) & mask].context;
        if (!fits(ctx, kid, kid_context)) continue;
        *cursor = i + 1;
        return ctx;
    }
    *cursor = t->num_slots;
    return NULL;
}

static bool may_be_there(nacre_bytes kid)
{
    return !nacre_is_absent(kid) && kid.len <= NACRE_MAX_ID; /* an absent kid is not the empty one */
}

nacre_context *nacre_table_find(const nacre_table *t, nacre_bytes kid, nacre_bytes kid_context, size_t *cursor)
{
    return may_be_there(kid) ? find(t, hash_of(kid.ptr, kid.len), kid, kid_context, cursor) : NULL;
}

/* In three goes through all: the slots are asked for; then the contexts; then the keys, while the IDs are compared. By the
 * time that something is read, it is on its way since the go before. */
static void find_at_once(const nacre_table *t, nacre_table_query *queries, size_t num)
{
    uint32_t hashes[AT_ONCE];
    for (size_t i = 0; i < num; i++) {
        hashes[i] = may_be_there(queries[i].kid) ? hash_of(queries[i].kid.ptr, queries[i].kid.len) : 0;
        NACRE__PREFETCH(&t->slots[(hashes[i] + queries[i].cursor) & (t->num_slots - 1)]);
    }
    for (size_t i = 0; i < num; i++) {
        if (!may_be_there(queries[i].kid)) continue;
        size_t at = probe(t, hashes[i], queries[i].cursor);
        if (at >= t->num_slots) {
            queries[i].cursor = at;
            continue;
        }
        queries[i].cursor = at;
        const uint8_t *ctx = (const uint8_t *)t->slots[(hashes[i] + at) & (t->num_slots - 1)].context;
        for (size_t line = 0; line < sizeof(nacre_context); line += 64) NACRE__PREFETCH(ctx + line);
    }
    for (size_t i = 0; i < num; i++) {
        nacre_table_query *q = &queries[i];
        q->context = may_be_there(q->kid) ? find(t, hashes[i], q->kid, q->kid_context, &q->cursor) : NULL;
        if (q->context == NULL || q->context->recipient_key == NULL) continue;
        for (size_t line = 0; line < 192; line += 64) /* enough for a key schedule of AES-128 */
            NACRE__PREFETCH((const uint8_t *)q->context->recipient_key + line);
    }
}

void nacre_table_find_many(const nacre_table *t, nacre_table_query *queries, size_t num)
{
    for (size_t at = 0; at < num; at += AT_ONCE) find_at_once(t, queries + at, num - at < AT_ONCE ? num - at : AT_ONCE);
}
