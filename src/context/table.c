/* SPDX-License-Identifier: MIT */
/* table: contexts by Recipient ID and ID Context, open addressing with linear probing; removal closes the gap. A request
 * names a kid but may omit its kid context (RFC 8613 5.1), so contexts are found both ways:
 *
 *     home of the kid alone:           those without an ID Context, and one of the others, the head of
 *                                        |
 *     homes of kid and ID Context:     a list of those that share the kid:  head <-> member <-> member ...
 *
 * A search with a kid context probes the head, then the home of kid and kid context; without one, the kid's home and the
 * list. Each slot keeps a tag, some bits of its hash, beside the pointer, and contexts are read only if tags match: an
 * unsuccessful search reads a cache line or two of slots and hardly ever a context. */
#include <nacre/context.h>
#include "base/copy.h"
#include "base/siphash.h"
#include "context/fields.h"

enum { AT_ONCE = 32, NONE = NACRE_TABLE_MAX_SLOTS /* end of a list */ };

#define LINK_BITS ((uint64_t)NONE) /* of the fields that hold one */

/* ---- Hashes: the upper 32 bits give the home, the next lower ones the tag. Keyed, because peers choose both IDs ---- */

/* A kid and its length in one word; no context has a longer one. */
static uint64_t word_of_kid(const uint8_t *id, size_t len)
{
    return nacre__load_short(id, len) | (uint64_t)len << 56;
}

static uint64_t hash_of_kid(const nacre_table *t, const uint8_t *id, size_t len)
{
    nacre__siphash s = nacre__siphash_start(t->hash_key);
    return nacre__siphash_end(&s, word_of_kid(id, len));
}

static uint64_t hash_of_both(const nacre_table *t, const uint8_t *id, size_t len, nacre_bytes id_context)
{
    nacre__siphash s = nacre__siphash_start(t->hash_key);
    nacre__siphash_word(&s, word_of_kid(id, len));
    return nacre__siphash_end_bytes(&s, 8, id_context);
}

static uint64_t hash_of_recipient(const nacre_table *t, const nacre_context *ctx)
{
    return hash_of_kid(t, ctx->recipient_id, ctx->recipient_id_len);
}

static uint64_t hash_of_member(const nacre_table *t, const nacre_context *ctx)
{
    return hash_of_both(t, ctx->recipient_id, ctx->recipient_id_len, nacre__id_context(ctx));
}

/* ---- Slots ---- */

/* The slot `i` steps after a hash's home. */
static size_t slot_at(const nacre_table *t, uint64_t hash, size_t i)
{
    size_t at = (size_t)((hash >> 32) * t->num_slots >> 32) + i;
    return at < t->num_slots ? at : at - t->num_slots;
}

static size_t after(const nacre_table *t, size_t at)
{
    return at + 1 < t->num_slots ? at + 1 : 0;
}

static size_t distance(const nacre_table *t, size_t from, size_t to)
{
    return to >= from ? to - from : to + t->num_slots - from;
}

static unsigned tag_of(uint64_t hash)
{
    return hash >> 20 & 0xfff;
}

/* The distance from home of the next slot with that tag, from `from` on; num_slots at the end. */
static size_t probe(const nacre_table *t, uint64_t hash, size_t from)
{
    size_t at = from < t->num_slots ? slot_at(t, hash, from) : 0;
    unsigned tag = tag_of(hash);
    for (size_t i = from; i < t->num_slots; i++, at = after(t, at)) {
        if (t->slots[at].context == NULL) break;
        if (t->slots[at].tag == tag) return i;
    }
    return t->num_slots;
}

/* In a list but not its head: its home is that of kid and ID Context. */
static bool is_member(const nacre_table_slot *slot)
{
    return slot->previous != NONE;
}

static bool has_kid(const nacre_table_slot *slot, nacre_bytes kid)
{
    return nacre__same_id(kid, slot->context->recipient_id, slot->context->recipient_id_len);
}

static bool has_id_context(const nacre_table_slot *slot)
{
    return slot->context->id_context != NULL;
}

/* The slot of the head of the kid's list; NONE without one. No slot with that tag comes before `first`. */
static size_t find_head(const nacre_table *t, uint64_t hash, nacre_bytes kid, size_t first)
{
    for (size_t i = first; (i = probe(t, hash, i)) < t->num_slots; i++) {
        const nacre_table_slot *slot = &t->slots[slot_at(t, hash, i)];
        if (!is_member(slot) && has_id_context(slot) && has_kid(slot, kid)) return slot_at(t, hash, i);
    }
    return NONE;
}

/* The slot of a context by hash, or NONE. */
static size_t find_slot(const nacre_table *t, uint64_t hash, const nacre_context *ctx)
{
    for (size_t i = 0; (i = probe(t, hash, i)) < t->num_slots; i++)
        if (t->slots[slot_at(t, hash, i)].context == ctx) return slot_at(t, hash, i);
    return NONE;
}

static size_t slot_of(const nacre_table *t, const nacre_context *ctx)
{
    size_t at = find_slot(t, hash_of_recipient(t, ctx), ctx);
    if (at != NONE || ctx->id_context == NULL) return at;
    return find_slot(t, hash_of_member(t, ctx), ctx);
}

/* ---- Changing ---- */

/* Updates the links of a slot's neighbours in its list, if any. */
static void link_neighbours(nacre_table *t, const nacre_table_slot *slot, size_t next, size_t previous)
{
    if (slot->next != NONE) t->slots[slot->next].previous = previous & LINK_BITS;
    if (slot->previous != NONE) t->slots[slot->previous].next = next & LINK_BITS;
}

static const nacre_table_slot empty = { .context = NULL, .next = NONE, .previous = NONE };

size_t nacre_table_num_slots(size_t num_contexts)
{
    return num_contexts + num_contexts / 3 + 2;
}

nacre_err nacre_table_init(nacre_table *t, nacre_table_slot *slots, size_t num_slots)
{
    if (slots == NULL || num_slots < 2 || num_slots > NACRE_TABLE_MAX_SLOTS) return NACRE_ERR_BAD_ARGUMENT;
    for (size_t i = 0; i < num_slots; i++) slots[i] = empty;
    *t = (nacre_table){ .slots = slots, .num_slots = num_slots };
    return NACRE_OK;
}

nacre_err nacre_table_set_hash_key(nacre_table *t, const uint8_t key[NACRE_TABLE_HASH_KEY])
{
    if (t->num_contexts > 0) return NACRE_ERR_BAD_ARGUMENT;
    NACRE__COPY_FIXED(t->hash_key, key, NACRE_TABLE_HASH_KEY);
    return NACRE_OK;
}

/* Equal keys have equal IDs, so only contexts that match one request are compared (RFC 8613 3.3). */
static bool has_recipient_key(const nacre_table *t, const nacre_context *ctx)
{
    const nacre_bytes kid = nacre_context_recipient_id(ctx), kid_context = nacre__id_context(ctx);
    size_t cursor = 0;
    for (const nacre_context *other; (other = nacre_table_find(t, kid, kid_context, &cursor)) != NULL;) {
        if (ctx->id_context == NULL && other->id_context != NULL) break; /* those without one come first */
        if (nacre_context_same_recipient_key(ctx, other)) return true;
    }
    return false;
}

nacre_err nacre_table_add(nacre_table *t, nacre_context *ctx)
{
    if (slot_of(t, ctx) != NONE) return NACRE_ERR_BAD_ARGUMENT;
    if (has_recipient_key(t, ctx)) return NACRE_ERR_DUPLICATE_CONTEXT;
    if (t->num_contexts >= t->num_slots - (t->num_slots + 3) / 4) return NACRE_ERR_BUFFER_TOO_SMALL;
    uint64_t hash = hash_of_recipient(t, ctx);
    size_t head = ctx->id_context == NULL ? NONE : find_head(t, hash, nacre_context_recipient_id(ctx), 0);
    if (head != NONE) hash = hash_of_member(t, ctx);
    size_t at = slot_at(t, hash, 0);
    while (t->slots[at].context != NULL) at = after(t, at);
    nacre_table_slot *slot = &t->slots[at];
    *slot = empty;
    slot->context = ctx;
    slot->tag = tag_of(hash) & 0xfff;
    if (head != NONE) {
        slot->next = t->slots[head].next;
        slot->previous = head & LINK_BITS;
        link_neighbours(t, slot, at, at);
    }
    t->num_contexts++;
    return NACRE_OK;
}

static size_t home_of(const nacre_table *t, const nacre_table_slot *slot)
{
    return slot_at(t, is_member(slot) ? hash_of_member(t, slot->context) : hash_of_recipient(t, slot->context), 0);
}

/* Empties a slot, and moves later entries up. */
static void close_gap(nacre_table *t, size_t at)
{
    for (size_t next = after(t, at); t->slots[next].context != NULL; next = after(t, next)) {
        if (distance(t, home_of(t, &t->slots[next]), next) < distance(t, at, next))
            continue; /* the gap is before its home: it must not move there */
        t->slots[at] = t->slots[next];
        link_neighbours(t, &t->slots[at], at, at);
        at = next;
    }
    t->slots[at] = empty;
}

void nacre_table_remove(nacre_table *t, const nacre_context *ctx)
{
    size_t at = slot_of(t, ctx);
    if (at == NONE) return;
    if (!is_member(&t->slots[at]) && t->slots[at].next != NONE) { /* the next one in the list becomes its head */
        size_t next = t->slots[at].next;
        t->slots[at].context = t->slots[next].context;
        at = next;
    }
    link_neighbours(t, &t->slots[at], t->slots[at].next, t->slots[at].previous);
    close_gap(t, at);
    t->num_contexts--;
}

/* ---- Finding ---- */

/* Start of a search: the hash of the kid, and the minimum distance from home of a slot with its tag. */
typedef struct start {
    uint64_t hash;
    size_t first;
} start;

/* With any ID Context or none. The cursor is a distance from home, or num_slots + 1 + a slot of the list. */
static nacre_context *find_by_kid(const nacre_table *t, start s, nacre_bytes kid, size_t *cursor)
{
    size_t next = NONE, from = *cursor;
    if (from <= t->num_slots) {
        for (size_t i = from > s.first ? from : s.first; (i = probe(t, s.hash, i)) < t->num_slots; i++) {
            const nacre_table_slot *slot = &t->slots[slot_at(t, s.hash, i)];
            if (is_member(slot) || !has_kid(slot, kid)) continue;
            if (!has_id_context(slot)) {
                *cursor = i + 1;
                return slot->context;
            }
            next = slot_at(t, s.hash, i);
        }
        if (from > 0) next = find_head(t, s.hash, kid, s.first); /* it may be before `from` */
    } else {
        next = from - t->num_slots - 1;
    }
    if (next >= t->num_slots) {
        *cursor = SIZE_MAX;
        return NULL;
    }
    *cursor = t->slots[next].next == NONE ? SIZE_MAX : t->num_slots + 1 + t->slots[next].next;
    return t->slots[next].context;
}

/* With that ID Context. The cursor is 0, or 1 + a distance from their home. */
static nacre_context *find_by_kid_and_context(const nacre_table *t, start s, nacre_bytes kid, nacre_bytes kid_context,
                                              size_t *cursor)
{
    if (*cursor == 0) {
        size_t head = find_head(t, s.hash, kid, s.first);
        *cursor = head == NONE || t->slots[head].next == NONE ? SIZE_MAX : 1;
        if (head != NONE && nacre_bytes_equal(nacre__id_context(t->slots[head].context), kid_context))
            return t->slots[head].context;
    }
    if (*cursor > t->num_slots) return NULL;
    uint64_t hash = hash_of_both(t, kid.ptr, kid.len, kid_context);
    for (size_t i = *cursor - 1; (i = probe(t, hash, i)) < t->num_slots; i++) {
        const nacre_table_slot *slot = &t->slots[slot_at(t, hash, i)];
        if (!is_member(slot) || !has_kid(slot, kid)) continue;
        if (!nacre_bytes_equal(nacre__id_context(slot->context), kid_context)) continue;
        *cursor = i + 2;
        return slot->context;
    }
    *cursor = SIZE_MAX;
    return NULL;
}

static nacre_context *find(const nacre_table *t, start s, nacre_bytes kid, nacre_bytes kid_context, size_t *cursor)
{
    return nacre_is_absent(kid_context) ? find_by_kid(t, s, kid, cursor)
                                        : find_by_kid_and_context(t, s, kid, kid_context, cursor);
}

static bool may_be_there(nacre_bytes kid)
{
    return !nacre_is_absent(kid) && kid.len <= NACRE_MAX_ID; /* an absent kid is not an empty one */
}

nacre_context *nacre_table_find(const nacre_table *t, nacre_bytes kid, nacre_bytes kid_context, size_t *cursor)
{
    if (!may_be_there(kid)) return NULL;
    const start s = { hash_of_kid(t, kid.ptr, kid.len), 0 };
    return find(t, s, kid, kid_context, cursor);
}

/* ---- Many at once ---- */

static void fetch_slots(const nacre_table *t, uint64_t hash)
{
    const nacre_table_slot *slot = &t->slots[slot_at(t, hash, 0)];
    NACRE__PREFETCH(slot);
    NACRE__PREFETCH(slot + 3); /* on the same line, or the next */
}

/* The likely context of a hash, or NULL. `first`: the distance of its slot from home. */
static const nacre_context *fetch_context(const nacre_table *t, uint64_t hash, size_t *first)
{
    *first = probe(t, hash, 0);
    if (*first == t->num_slots) return NULL;
    const nacre_context *ctx = t->slots[slot_at(t, hash, *first)].context;
    for (size_t at = 0; at < sizeof *ctx; at += 64) NACRE__PREFETCH((const uint8_t *)ctx + at);
    return ctx;
}

/* Four passes over slots, contexts, ID Contexts and keys, comparing IDs in the last; each prefetches what the next one
 * reads. */
static void find_at_once(const nacre_table *t, nacre_table_query *queries, size_t num)
{
    start starts[AT_ONCE];
    uint64_t both[AT_ONCE];
    const nacre_context *likely[AT_ONCE];
    for (size_t i = 0; i < num; i++) {
        nacre_bytes kid = queries[i].kid, kid_context = queries[i].kid_context;
        const bool may = may_be_there(kid);
        starts[i].hash = both[i] = may ? hash_of_kid(t, kid.ptr, kid.len) : 0;
        fetch_slots(t, starts[i].hash);
        if (nacre_is_absent(kid_context) || !may) continue;
        both[i] = hash_of_both(t, kid.ptr, kid.len, kid_context);
        fetch_slots(t, both[i]);
    }
    for (size_t i = 0; i < num; i++) {
        size_t unused;
        likely[i] = fetch_context(t, starts[i].hash, &starts[i].first);
        if (nacre_is_absent(queries[i].kid_context)) continue;
        const nacre_context *member = fetch_context(t, both[i], &unused);
        if (member != NULL) likely[i] = member;
    }
    for (size_t i = 0; i < num; i++)
        if (likely[i] != NULL && !nacre_is_absent(queries[i].kid_context)) NACRE__PREFETCH(likely[i]->id_context);
    for (size_t i = 0; i < num; i++) {
        nacre_table_query *q = &queries[i];
        q->context = may_be_there(q->kid) ? find(t, starts[i], q->kid, q->kid_context, &q->cursor) : NULL;
        if (q->context == NULL || q->context->keys == NULL) continue;
        nacre__fetch_key(nacre__recipient_key(q->context));
    }
}

void nacre_table_find_many(const nacre_table *t, nacre_table_query *queries, size_t num)
{
    for (size_t at = 0; at < num; at += AT_ONCE) find_at_once(t, queries + at, num - at < AT_ONCE ? num - at : AT_ONCE);
}
