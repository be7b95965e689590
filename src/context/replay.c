/* SPDX-License-Identifier: MIT */
/* replay: the window of RFC 8613 7.4, 12.4 (RFC 6347 4.1.2.6).
 *
 *        index                     index + size - 1
 *          |                               |
 *    ------+-------------------------------+----------->  numbers
 *    seen  |  one bit each: seen or fresh  |  fresh
 *
 * The bits are a ring: number n has bit n mod (64 * words), so that advancing only clears the bits that enter.
 *
 * While the window is unknown it records the numbers that got an Echo challenge. They stay seen after the recovery: their
 * sender repeats these requests under new numbers, and both would be processed. */
#include "base/copy.h"
#include "context/fields.h"

/* Cells of the ring: words, or bytes with -Os, which need no wide shifts on small machines. */
#if defined(__OPTIMIZE_SIZE__)
typedef uint8_t cell;
#else
typedef uint64_t cell;
#endif
enum { CELL = 8 * sizeof(cell) };

/* A power of two, so that a mask gives the index. */
static uint32_t ring_words(uint16_t size)
{
    uint32_t words = 1;
    while (words * 64 < size) words *= 2;
    return words;
}

size_t nacre_replay_words(uint16_t size)
{
    return size <= 64 ? 0 : ring_words(size);
}

static cell *cell_of(const nacre_replay *w, uint32_t seq)
{
    bool inside = w->size <= 64;
    const void *ring = inside ? &w->bits : w->words;
    uint32_t bits = inside ? 64 : 64 * ring_words(w->size);
    return (cell *)(uintptr_t)ring + (seq & (bits - 1)) / CELL; /* writers hold a non-const window */
}

static bool bit_at(const nacre_replay *w, uint64_t seq)
{
    return *cell_of(w, (uint32_t)seq) >> (seq % CELL) & 1;
}

static void set_bit(nacre_replay *w, uint64_t seq)
{
    *cell_of(w, (uint32_t)seq) |= (cell)((cell)1 << (seq % CELL));
}

/* Clears the bits of `count` numbers from `seq` on, in cells; at most the whole ring. */
NACRE__NOT_INLINE static void clear_cells(nacre_replay *w, uint64_t seq, uint64_t count)
{
    uint32_t bits = w->size <= 64 ? 64 : 64 * ring_words(w->size);
    uint32_t at = (uint32_t)seq, left = count < bits ? (uint32_t)count : bits;
#if defined(__OPTIMIZE_SIZE__)
    for (; left > 0; left--, at++) *cell_of(w, at) &= (cell) ~(1u << at % CELL);
#endif
    while (left > 0) {
        uint32_t first = at % CELL, n = CELL - first < left ? CELL - first : left;
        cell mask = (cell)((cell)((cell) ~(cell)0 >> (CELL - n)) << first);
        *cell_of(w, at) &= (cell)~mask;
        at += n;
        left -= n;
    }
}

/* The same; a single cell, the common case, takes one rotated mask. */
static NACRE__INLINE void clear_bits(nacre_replay *w, uint64_t seq, uint64_t count)
{
    if (CELL < 64 || w->size > 64) {
        clear_cells(w, seq, count);
        return;
    }
    uint64_t mask = count < 64 ? (UINT64_C(1) << count) - 1 : UINT64_MAX;
    w->bits &= ~(mask << seq % 64 | mask >> (0 - seq) % 64);
}

static void set_index(nacre_replay *w, uint64_t index)
{
    w->index_low = (uint32_t)index;
    w->index_high = (uint16_t)(index >> 32); /* at most 2^40 */
}

nacre_err nacre_replay_init(nacre_replay *w, uint16_t size, uint64_t *words)
{
    if (size == 0 || size > NACRE_REPLAY_MAX || (size > 64 && words == NULL)) return NACRE_ERR_BAD_ARGUMENT;
    w->size = size & 0x7fffu;
    if (size > 64) w->words = words;
    set_index(w, 0);
    clear_bits(w, 0, UINT64_MAX);
    w->known = true;
    return NACRE_OK;
}

/* RFC 8613 7.5: a lost window is not an empty one. */
void nacre_replay_forget(nacre_replay *w)
{
    w->known = false;
    set_index(w, 0);
    clear_bits(w, 0, UINT64_MAX);
}

static void advance(nacre_replay *w, uint64_t before, uint64_t index)
{
    clear_bits(w, before + w->size, index - before);
    set_index(w, index);
}

static void record(nacre_replay *w, uint64_t seq)
{
    uint64_t before = nacre__replay_index(w);
    if (seq - before >= w->size) advance(w, before, seq - w->size + 1);
    set_bit(w, seq);
}

void nacre_replay_set_fresh(nacre_replay *w, uint64_t seq)
{
    if (w->known) nacre_replay_forget(w);
    uint64_t before = nacre__replay_index(w);
    if (seq > before) advance(w, before, seq);
    if (seq >= before) set_bit(w, seq);
    w->known = true;
}

static bool is_fresh(const nacre_replay *w, uint64_t seq)
{
    uint64_t index = nacre__replay_index(w);
    return seq <= NACRE_SEQ_MAX && seq >= index && (seq - index >= w->size || !bit_at(w, seq));
}

static nacre_err check(const nacre_replay *w, uint64_t seq)
{
    if (!w->known) return NACRE_ERR_REPLAY_ECHO;
    return is_fresh(w, seq) ? NACRE_OK : NACRE_ERR_REPLAY;
}

bool nacre__replay_is_challenged(const nacre_replay *w, uint64_t seq)
{
    return !w->known && !is_fresh(w, seq);
}

void nacre__replay_challenged(nacre_replay *w, uint64_t seq)
{
    if (!w->known && is_fresh(w, seq)) record(w, seq);
}

nacre_err nacre_replay_check(const nacre_replay *w, uint64_t seq)
{
    return check(w, seq);
}

nacre_err nacre_replay_accept(nacre_replay *w, uint64_t seq)
{
    nacre_err err = check(w, seq);
    if (err == NACRE_OK) record(w, seq);
    return err;
}

bool nacre_replay_export(const nacre_replay *w, uint64_t *index, uint8_t *bitfield)
{
    if (!w->known) return false;
    *index = nacre__replay_index(w);
    for (size_t i = 0; i < ((size_t)w->size + 7) / 8; i++) bitfield[i] = 0;
    for (uint16_t i = 0; i < w->size; i++)
        if (bit_at(w, *index + i)) bitfield[i / 8] |= (uint8_t)(1u << (i % 8));
    return true;
}

nacre_err nacre_replay_import(nacre_replay *w, uint64_t index, const uint8_t *bitfield, size_t len)
{
    if (index > NACRE_SEQ_MAX + 1) return NACRE_ERR_BAD_ARGUMENT;
    for (size_t i = w->size; i < len * 8; i++)
        if (bitfield[i / 8] >> (i % 8) & 1) return NACRE_ERR_BAD_ARGUMENT;
    clear_bits(w, 0, UINT64_MAX);
    set_index(w, index);
    w->known = true;
    for (size_t i = 0; i < w->size && i < len * 8; i++)
        if (bitfield[i / 8] >> (i % 8) & 1) set_bit(w, index + i);
    return NACRE_OK;
}

nacre_err nacre_replay_import_seen(nacre_replay *w, const int64_t *seen, size_t num_seen)
{
    for (size_t i = 0; i < num_seen; i++)
        if (seen[i] < -1 || seen[i] > (int64_t)NACRE_SEQ_MAX || (i > 0 && seen[i] <= seen[i - 1]))
            return NACRE_ERR_BAD_ARGUMENT;
    uint64_t index = num_seen == 0 ? 0 : (uint64_t)(seen[0] + 1); /* the first and all below it count as seen */
    uint64_t end = num_seen == 0 ? 0 : (uint64_t)(seen[num_seen - 1] + 1);
    if (end > index + w->size) index = end - w->size;
    clear_bits(w, 0, UINT64_MAX);
    set_index(w, index);
    w->known = true;
    for (size_t i = 0; i < num_seen; i++)
        if (seen[i] >= (int64_t)index) set_bit(w, (uint64_t)seen[i]);
    return NACRE_OK;
}
