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

enum {
    AT_ONCE = 32,
    GROUP = 4,                    /* slots of a cache line: homes are multiples of it */
    FEW_SLOTS = 12,               /* at most: its contexts are compared, whatever their hashes */
    NONE = NACRE_TABLE_MAX_SLOTS, /* end of a list, or no slot */
};

#define LINK_BITS ((uint64_t)NONE) /* of the fields that hold one */

/* ---- IDs: a kid and its length in one word; no context has a longer one ---- */

static NACRE__INLINE uint64_t word_of_kid(nacre_bytes kid)
{
    return nacre__load_short(kid.ptr, kid.len) | (uint64_t)kid.len << 56;
}

NACRE__ONE_COPY uint64_t word_of(const nacre_context *ctx)
{
    return word_of_kid(nacre_context_recipient_id(ctx));
}

/* ---- Hashes: the upper 32 bits give the home, the next lower ones the tag. Keyed, because peers choose both IDs ---- */

/* Without a kid context: the hash of the kid alone. */
NACRE__ONE_COPY uint64_t hash_of(const nacre_table *t, uint64_t kid, nacre_bytes kid_context)
{
    if (t->num_slots <= FEW_SLOTS) return kid * UINT64_C(0x9e3779b97f4a7c15); /* too few for collisions to matter */
    nacre__siphash s = nacre__siphash_start(t->hash_key);
    uint64_t last = kid;
    if (!nacre_is_absent(kid_context)) {
        nacre__siphash_word(&s, kid);
        last = nacre__siphash_absorb_bytes(&s, 8, kid_context, NACRE__SIPHASH_ROUNDS);
    }
    return nacre__siphash_end(&s, last);
}

static uint64_t hash_of_recipient(const nacre_table *t, const nacre_context *ctx)
{
    return hash_of(t, word_of(ctx), NACRE_ABSENT);
}

static uint64_t hash_of_member(const nacre_table *t, const nacre_context *ctx)
{
    return hash_of(t, word_of(ctx), nacre__id_context(ctx));
}

/* ---- Slots ---- */

static size_t home_of_hash(const nacre_table *t, uint64_t hash)
{
    return (size_t)((hash >> 32) * (t->num_slots / GROUP) >> 32) * GROUP;
}

static size_t after(const nacre_table *t, size_t at)
{
    return at + 1 < t->num_slots ? at + 1 : 0;
}

static size_t distance(const nacre_table *t, size_t from, size_t to)
{
    return to >= from ? to - from : to + t->num_slots - from;
}

/* Odd: that of an empty slot is 0. */
static unsigned tag_of(uint64_t hash)
{
    return (hash >> 20 & 0xfff) | 1;
}

/* The next slot with that tag, from `at` to the first empty one, or NONE. The empty slots of a group are its last ones, so its
 * four tags are compared at once: where in its group a context stands cannot be predicted. */
NACRE__ONE_COPY size_t probe(const nacre_table *t, size_t at, unsigned tag)
{
    for (;; at = after(t, at)) {
#if defined(__GNUC__) && !defined(__OPTIMIZE_SIZE__)
        for (; at % GROUP == 0 && at + GROUP <= t->num_slots; at += GROUP) {
            const nacre_table_slot *s = &t->slots[at];
            const unsigned hits = (unsigned)(s[0].tag == tag) | (unsigned)(s[1].tag == tag) << 1 |
                                  (unsigned)(s[2].tag == tag) << 2 | (unsigned)(s[3].tag == tag) << 3;
            if (hits != 0) return at + (size_t)__builtin_ctz(hits);
            if (s[GROUP - 1].context == NULL) return NONE;
        }
        if (at == t->num_slots) at = 0;
#endif
        if (t->slots[at].tag == tag) return at;
        if (t->slots[at].context == NULL) return NONE;
    }
}

/* In a list but not its head: its home is that of kid and ID Context. */
static bool is_member(const nacre_table_slot *slot)
{
    return slot->previous != NONE;
}

static bool has_id_context(const nacre_table_slot *slot)
{
    return slot->context->id_context != NULL;
}

/* The slot of the head of the kid's list, or NONE. `at`: the first slot with the tag, or NONE. */
NACRE__ONE_COPY size_t find_head(const nacre_table *t, unsigned tag, uint64_t kid, size_t at)
{
    for (; at != NONE; at = probe(t, after(t, at), tag)) {
        const nacre_table_slot *slot = &t->slots[at];
        if (!is_member(slot) && has_id_context(slot) && word_of(slot->context) == kid) break;
    }
    return at;
}

/* The slot of a context by hash, or NONE. */
static size_t find_slot(const nacre_table *t, uint64_t hash, const nacre_context *ctx)
{
    size_t at = home_of_hash(t, hash);
    while ((at = probe(t, at, tag_of(hash))) != NONE && t->slots[at].context != ctx) at = after(t, at);
    return at;
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
    size_t head = NONE;
    if (ctx->id_context != NULL)
        head = find_head(t, tag_of(hash), word_of(ctx), probe(t, home_of_hash(t, hash), tag_of(hash)));
    if (head != NONE) hash = hash_of_member(t, ctx);
    size_t at = home_of_hash(t, hash);
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
    t->num_changes++;
    return NACRE_OK;
}

static size_t home_of(const nacre_table *t, const nacre_table_slot *slot)
{
    return home_of_hash(
        t, hash_of(t, word_of(slot->context), is_member(slot) ? nacre__id_context(slot->context) : NACRE_ABSENT));
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
    t->num_changes++;
}

/* ---- Finding ---- */

/* Start of a search: the kid, the tag of its hash, and the first slot with it, or NONE; the same of kid and kid context, if
 * there is one. */
typedef struct start {
    uint64_t kid;
    size_t at, both_at;
    unsigned tag, both_tag;
} start;

static bool may_be_there(nacre_bytes kid)
{
    return !nacre_is_absent(kid) && kid.len <= NACRE_MAX_ID; /* an absent kid is not an empty one */
}

/* `at` and `both_at` are homes yet. */
static NACRE__INLINE void hash_both(const nacre_table *t, start *s, nacre_bytes kid, nacre_bytes kid_context)
{
    s->kid = word_of_kid(kid);
    const uint64_t hash = hash_of(t, s->kid, NACRE_ABSENT);
    s->at = home_of_hash(t, hash);
    s->tag = tag_of(hash);
    if (nacre_is_absent(kid_context)) return;
    const uint64_t both = hash_of(t, s->kid, kid_context);
    s->both_at = home_of_hash(t, both);
    s->both_tag = tag_of(both);
}

/* The context of that slot of a list, or NULL for NONE; the cursor goes on to the next one. */
static nacre_context *listed(const nacre_table *t, size_t at, size_t *cursor)
{
    *cursor = at == NONE || t->slots[at].next == NONE ? SIZE_MAX : t->num_slots + 1 + t->slots[at].next;
    return at == NONE ? NULL : t->slots[at].context;
}

/* With any ID Context or none. The cursor is 0, 1 + a slot from where to search, or num_slots + 1 + a slot of the list. */
static NACRE__INLINE nacre_context *find_by_kid(const nacre_table *t, const start *s, size_t *cursor)
{
    size_t head = NONE;
    if (*cursor > t->num_slots) return listed(t, *cursor == SIZE_MAX ? NONE : *cursor - t->num_slots - 1, cursor);
    size_t at = *cursor > 0 ? probe(t, *cursor - 1, s->tag) : s->at;
    for (; at != NONE; at = probe(t, after(t, at), s->tag)) {
        const nacre_table_slot *slot = &t->slots[at];
        if (is_member(slot) || word_of(slot->context) != s->kid) continue;
        if (!has_id_context(slot)) {
            *cursor = after(t, at) + 1;
            return slot->context;
        }
        head = at;
    }
    if (*cursor > 0) head = find_head(t, s->tag, s->kid, s->at); /* it may be before the cursor */
    return listed(t, head, cursor);
}

/* With that ID Context. The cursor is 0, or 1 + a slot from where to search. */
static nacre_context *find_by_kid_and_context(const nacre_table *t, const start *s, nacre_bytes kid_context,
                                              size_t *cursor)
{
    size_t at = s->both_at;
    if (*cursor == SIZE_MAX) return NULL;
    if (*cursor > 0) {
        at = probe(t, *cursor - 1, s->both_tag);
    } else {
        const size_t head = find_head(t, s->tag, s->kid, s->at);
        if (head == NONE || t->slots[head].next == NONE) at = NONE; /* no members */
        *cursor = at == NONE ? SIZE_MAX : at + 1;
        if (head != NONE && nacre_bytes_equal(nacre__id_context(t->slots[head].context), kid_context))
            return t->slots[head].context;
    }
    for (; at != NONE; at = probe(t, after(t, at), s->both_tag)) {
        const nacre_table_slot *slot = &t->slots[at];
        if (!is_member(slot) || word_of(slot->context) != s->kid) continue;
        if (!nacre_bytes_equal(nacre__id_context(slot->context), kid_context)) continue;
        *cursor = after(t, at) + 1;
        return slot->context;
    }
    *cursor = SIZE_MAX;
    return NULL;
}

static NACRE__INLINE nacre_context *find(const nacre_table *t, const start *s, nacre_bytes kid_context, size_t *cursor)
{
    return nacre_is_absent(kid_context) ? find_by_kid(t, s, cursor)
                                        : find_by_kid_and_context(t, s, kid_context, cursor);
}

nacre_context *nacre_table_find(const nacre_table *t, nacre_bytes kid, nacre_bytes kid_context, size_t *cursor)
{
    start s;
    if (!may_be_there(kid)) return NULL;
    hash_both(t, &s, kid, kid_context);
    s.at = probe(t, s.at, s.tag);
    if (!nacre_is_absent(kid_context)) s.both_at = probe(t, s.both_at, s.both_tag);
    return find(t, &s, kid_context, cursor);
}

/* ---- Many at once ---- */

#if defined(__OPTIMIZE_SIZE__)

void nacre_table_find_many(const nacre_table *t, nacre_table_query *queries, size_t num)
{
    for (nacre_table_query *q = queries; q < queries + num; q++)
        q->context = nacre_table_find(t, q->kid, q->kid_context, &q->cursor);
}

#else

static void fetch_slots(const nacre_table *t, size_t at)
{
    NACRE__PREFETCH(&t->slots[at]);
    NACRE__PREFETCH(&t->slots[at] + GROUP - 1); /* on the same line, or the next */
}

/* The likely context of a slot, or NULL. */
static const nacre_context *fetch_context(const nacre_table *t, size_t at)
{
    if (at == NONE) return NULL;
    const nacre_context *ctx = t->slots[at].context;
    for (size_t i = 0; i < sizeof *ctx; i += 64) NACRE__PREFETCH((const uint8_t *)ctx + i);
    return ctx;
}

/* Four passes over slots, contexts, ID Contexts and keys, comparing IDs in the last; each prefetches what the next one
 * reads. */
static void find_at_once(const nacre_table *t, nacre_table_query *queries, size_t num)
{
    start starts[AT_ONCE];
    const nacre_context *likely[AT_ONCE];
    for (size_t i = 0; i < num; i++) {
        const nacre_table_query *q = &queries[i];
        hash_both(t, &starts[i], may_be_there(q->kid) ? q->kid : NACRE_ABSENT, q->kid_context);
        fetch_slots(t, starts[i].at);
        if (!nacre_is_absent(q->kid_context)) fetch_slots(t, starts[i].both_at);
    }
    for (size_t i = 0; i < num; i++) {
        starts[i].at = probe(t, starts[i].at, starts[i].tag);
        likely[i] = fetch_context(t, starts[i].at);
        if (nacre_is_absent(queries[i].kid_context)) continue;
        starts[i].both_at = probe(t, starts[i].both_at, starts[i].both_tag);
        const nacre_context *member = fetch_context(t, starts[i].both_at);
        if (member != NULL) likely[i] = member;
    }
    for (size_t i = 0; i < num; i++)
        if (likely[i] != NULL && !nacre_is_absent(queries[i].kid_context)) NACRE__PREFETCH(likely[i]->id_context);
    for (size_t i = 0; i < num; i++) {
        nacre_table_query *q = &queries[i];
        q->context =
            may_be_there(q->kid) && starts[i].at != NONE ? find(t, &starts[i], q->kid_context, &q->cursor) : NULL;
        if (q->context != NULL && q->context->keys != NULL) nacre__fetch_key(nacre__recipient_key(q->context));
    }
}

void nacre_table_find_many(const nacre_table *t, nacre_table_query *queries, size_t num)
{
    for (size_t at = 0; at < num; at += AT_ONCE) find_at_once(t, queries + at, num - at < AT_ONCE ? num - at : AT_ONCE);
}

#endif
