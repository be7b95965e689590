/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* replay_test: the window of RFC 8613 7.4 (RFC 6347 4.1.2.6) accepts no number that it has seen or that is too old. */
#include "support.h"
#include "context/fields.h"

#include <stdlib.h>

typedef struct window {
    nacre_replay w;
    uint64_t *words; /* exactly the number that the window needs */
} window;

static window *window_of(uint16_t size)
{
    window *win = test_alloc(sizeof *win);
    size_t words = nacre_replay_words(size);
    assert_int_equal(words == 0, size <= 64);
    win->words = words ? test_alloc(words * sizeof *win->words) : NULL;
    for (size_t i = 0; i < words; i++) win->words[i] = UINT64_MAX; /* init must not rely on zeros */
    assert_ok(nacre_replay_init(&win->w, size, win->words));
    return win;
}

/* Checks and accepts; both must agree, and a refused number leaves the window unchanged. */
static nacre_err offer(window *win, uint64_t seq)
{
    nacre_replay before;
    uint64_t words[NACRE_REPLAY_MAX / 64] = { 0 };
    size_t len = nacre_replay_words(win->w.size) * sizeof *words;
    memcpy(&before, &win->w, sizeof before);
    if (len) memcpy(words, win->words, len);
    nacre_err checked = nacre_replay_check(&win->w, seq);
    assert_memory_equal(&before, &win->w, sizeof before); /* check changes nothing */
    nacre_err err = nacre_replay_accept(&win->w, seq);
    assert_int_equal(checked, err);
    if (err) {
        assert_memory_equal(&before, &win->w, sizeof before);
        if (len) assert_memory_equal(words, win->words, len);
    }
    return err;
}

typedef struct row {
    int number;
    uint64_t seq;
    nacre_err err;
} row;

enum { YES = NACRE_OK, NO = NACRE_ERR_REPLAY };

static void run_rows(const char *name, uint16_t size, const row *rows, size_t num)
{
    window *win = window_of(size);
    for (size_t i = 0; i < num; i++) {
        nacre_err err = offer(win, rows[i].seq);
        if (err != rows[i].err) fail_msg("%s, size %u, row %d: %s", name, size, rows[i].number, nacre_err_name(err));
    }
}
#define ROWS(name, size, rows) run_rows((name), (size), (rows), COUNT(rows))

static void verdicts_match_the_rows(void **state)
{
    (void)state;
    static const row rows[] = {
        { 1, 0, YES },
        { 2, 1, YES },
        { 3, 1, NO },
        { 4, 9, YES },
        { 5, 8, YES },
        { 6, 7, YES },
        { 7, 7, NO },
        { 8, 31, YES },
        { 9, 30, YES },
        { 10, 30, NO },
        { 11, 32, YES },
        { 12, 2, YES },
        { 13, 2, NO },
        { 14, 0, NO },
        { 15, 63, YES },
        { 16, 31, NO },
        { 17, 32, NO },
        { 18, 33, YES },
        { 19, 62, YES },
        { 20, 62, NO },
        { 21, 64, YES },
        { 22, 33, NO },
        { 23, 34, YES },
        { 24, 1000, YES },
        { 25, 969, YES },
        { 26, 968, NO },
        { 27, 999, YES },
        { 28, 969, NO },
        { 29, 1000, NO },
        { 30, NACRE_SEQ_MAX, YES },
        { 31, NACRE_SEQ_MAX, NO },
        { 32, NACRE_SEQ_MAX - 31, YES },
        { 33, NACRE_SEQ_MAX - 32, NO },
        { 34, NACRE_SEQ_MAX - 1, YES },
        { 35, NACRE_SEQ_MAX + 1, NO },
        { 36, UINT64_MAX, NO },
        { 37, 0, NO },
    };
    ROWS("numbered rows", 32, rows);
}

/* The last number is not overwritten by an older one, and number 0 is a number like any other. */
static void old_numbers_do_not_overwrite_the_last(void **state)
{
    (void)state;
    static const row older[] = { { 1, 10, YES }, { 2, 7, YES },  { 3, 10, NO },
                                 { 4, 7, NO },   { 5, 11, YES }, { 6, 10, NO } };
    static const row zero[] = { { 1, 0, YES }, { 2, 0, NO }, { 3, 1, YES }, { 4, 0, NO } };
    static const uint16_t sizes[] = { 32, 64, 65, 128, 1024 };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        ROWS("older numbers", sizes[i], older);
        ROWS("number 0", sizes[i], zero);
    }
}

/* 3, 5, 4; and jumps wider than a machine word can be shifted. */
static void large_jumps_shift_the_window(void **state)
{
    (void)state;
    static const row swapped[] = {
        { 1, 3, YES }, { 2, 5, YES }, { 3, 4, YES }, { 4, 4, NO }, { 5, 3, NO }, { 6, 5, NO }
    };
    ROWS("3, 5, 4", 32, swapped);
    static const uint64_t jumps[] = { 1,
                                      2,
                                      31,
                                      32,
                                      33,
                                      63,
                                      64,
                                      65,
                                      127,
                                      128,
                                      129,
                                      999,
                                      1000,
                                      1023,
                                      1024,
                                      1025,
                                      2048,
                                      4096,
                                      UINT64_C(1) << 32,
                                      UINT64_C(1) << 33 };
    static const uint16_t sizes[] = { 1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 1000, 1024 };
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (size_t j = 0; j < COUNT(jumps); j++)
            for (uint64_t start = 0; start < 130; start += 43) {
                window *win = window_of(sizes[s]);
                uint64_t low = start, high = start + jumps[j];
                assert_ok(offer(win, low));
                assert_ok(offer(win, high));
                assert_err(offer(win, high), NACRE_ERR_REPLAY);
                assert_err(offer(win, low), NACRE_ERR_REPLAY); /* seen, or too old */
                for (uint64_t back = 1; back <= jumps[j] && back <= 1100; back++) {
                    bool fresh = back < jumps[j] && back < sizes[s];
                    assert_err(offer(win, high - back), fresh ? NACRE_OK : NACRE_ERR_REPLAY);
                }
                (void)test_release(NULL);
            }
}

/* Sweeps over both edges, upwards and downwards. */
static void both_edges_hold_in_sweeps(void **state)
{
    (void)state;
    for (uint16_t size = 1; size <= 200; size = (uint16_t)(size + 1 + size / 13)) {
        window *win = window_of(size);
        for (uint64_t seq = 0; seq < 3u * size; seq++) {
            assert_ok(offer(win, seq));
            assert_err(offer(win, seq), NACRE_ERR_REPLAY);
        }
        win = window_of(size);
        for (uint64_t seq = size; seq-- > 0;) assert_ok(offer(win, seq));
        for (uint64_t seq = size; seq-- > 0;) assert_err(offer(win, seq), NACRE_ERR_REPLAY);
        assert_ok(offer(win, size));
        (void)test_release(NULL);
    }
}

/* A simple model: every number accepted, and the highest. A number is fresh when it was not accepted and is above
 * highest - size. */
enum { MODEL_NUMBERS = 20000 };
typedef struct model {
    bool seen[MODEL_NUMBERS];
    uint64_t base, edge; /* numbers base + i; all below `edge` are too old */
    uint16_t size;
} model;

static bool model_accept(model *m, uint64_t seq)
{
    if (seq < m->edge || m->seen[seq - m->base]) return false;
    m->seen[seq - m->base] = true;
    if (seq + 1 > m->edge + m->size) m->edge = seq + 1 - m->size;
    return true;
}

static void check_export(const window *win, const model *m)
{
    uint8_t bits[NACRE_REPLAY_MAX / 8];
    uint64_t index;
    assert_true(nacre_replay_export(&win->w, &index, bits));
    for (uint64_t seq = m->edge; seq < m->edge + m->size && seq - m->base < MODEL_NUMBERS; seq++) {
        bool seen = seq < index || (seq - index < m->size && (bits[(seq - index) / 8] >> (seq - index) % 8 & 1));
        assert_int_equal(seen, m->seen[seq - m->base]);
    }
}

static void random_walk(uint16_t size, uint64_t base, uint64_t seed)
{
    window *win = window_of(size);
    model *m = test_alloc(sizeof *m);
    memset(m, 0, sizeof *m);
    m->base = base, m->edge = base, m->size = size;
    if (base) { /* all below the base count as seen */
        nacre_replay_set_fresh(&win->w, base - 1);
    }
    uint64_t random = seed, highest = base;
    for (int step = 0; step < 1500; step++) {
        uint64_t r = test_random(&random), seq;
        uint64_t max_seq = r >> 8 & 3 ? size / 4u + 2 : 2u * size + 70;
        if (r & 1) seq = highest + (r >> 16) % max_seq;
        else seq = highest - (highest - base < (r >> 16) % max_seq ? highest - base : (r >> 16) % max_seq);
        if (seq - base >= MODEL_NUMBERS) continue;
        if (seq > highest) highest = seq;
        assert_err(offer(win, seq), model_accept(m, seq) ? NACRE_OK : NACRE_ERR_REPLAY);
        if (step % 97 == 0) check_export(win, m);
    }
    check_export(win, m);
    (void)test_release(NULL);
}

static void verdicts_match_a_model(void **state)
{
    (void)state;
    static const uint16_t sizes[] = { 1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 1000, 1024 };
    static const uint64_t bases[] = { 0, 1, 63, 64, UINT64_C(1) << 32, NACRE_SEQ_MAX - MODEL_NUMBERS + 1 };
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (size_t b = 0; b < COUNT(bases); b++)
            for (uint64_t seed = 1; seed <= 6; seed++) random_walk(sizes[s], bases[b], seed * 1000 + s);
}

static void init_refuses_invalid_sizes(void **state)
{
    (void)state;
    nacre_replay w;
    uint64_t words[NACRE_REPLAY_MAX / 64];
    assert_err(nacre_replay_init(&w, 0, words), NACRE_ERR_BAD_ARGUMENT);
    assert_ok(nacre_replay_init(&w, 1, NULL));
    assert_ok(nacre_replay_init(&w, 64, NULL));
    assert_err(nacre_replay_init(&w, 65, NULL), NACRE_ERR_BAD_ARGUMENT);
    assert_ok(nacre_replay_init(&w, 65, words));
    assert_ok(nacre_replay_init(&w, 1024, words));
    assert_err(nacre_replay_init(&w, 1025, words), NACRE_ERR_BAD_ARGUMENT);
    assert_true(nacre_replay_words(1024) <= COUNT(words));
}

/* RFC 8613 7.5, B.1.2: an uninitialised window accepts nothing until Echo shows what is fresh. */
static void an_uninitialised_window_accepts_nothing(void **state)
{
    (void)state;
    static const uint16_t sizes[] = { 1, 32, 64, 65, 1024 };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        window *win = window_of(sizes[i]);
        uint64_t index = 77;
        uint8_t bits[NACRE_REPLAY_MAX / 8] = { 0x77 };
        assert_ok(offer(win, 5));
        nacre_replay_forget(&win->w);
        assert_err(offer(win, 5), NACRE_ERR_REPLAY_ECHO);
        assert_err(offer(win, 6), NACRE_ERR_REPLAY_ECHO);
        assert_err(offer(win, 0), NACRE_ERR_REPLAY_ECHO);
        assert_false(nacre_replay_export(&win->w, &index, bits));
        assert_int_equal(index, 77);
        assert_int_equal(bits[0], 0x77);
        nacre_replay_set_fresh(&win->w, 1000);
        for (uint64_t seq = 0; seq <= 1000; seq++) assert_err(offer(win, seq), NACRE_ERR_REPLAY);
        assert_ok(offer(win, 1001));
        assert_err(offer(win, 1001), NACRE_ERR_REPLAY);
    }
}

/* Numbers that got an Echo challenge while the window was unknown stay seen, others above the lower edge are fresh: of those
 * left of the window's length below the highest it cannot be told, and they count as seen. */
static void challenged_numbers_stay_seen_after_the_recovery(void **state)
{
    (void)state;
    static const uint16_t sizes[] = { 1, 31, 32, 64, 65, 128, 1000, 1024 };
    static const uint64_t bases[] = { 0, 5, 64, UINT64_C(1) << 32, NACRE_SEQ_MAX - 4000 };
    uint64_t random = 12;
    for (size_t i = 0; i < COUNT(sizes) * COUNT(bases) * 8; i++) {
        const uint64_t size = sizes[i % COUNT(sizes)], base = bases[i / COUNT(sizes) % COUNT(bases)];
        bool challenged[3000] = { false };
        uint64_t highest = 0;
        window *win = window_of((uint16_t)size);
        for (uint64_t seq = 0; seq < 70; seq++)
            (void)offer(win, base + seq); /* bits of earlier numbers do not matter */
        nacre_replay_forget(&win->w);
        for (int k = 0; k < 40; k++) {
            const uint64_t n = test_random(&random) % (i % 2 == 0 ? COUNT(challenged) : 40);
            nacre__replay_challenged(&win->w, base + n);
            challenged[n] = true;
            if (n > highest) highest = n;
            assert_true(nacre__replay_is_challenged(&win->w, base + n));
        }
        const uint64_t edge = highest >= size ? highest - size + 1 : 0, recovers = test_random(&random) % 1000;
        for (uint64_t n = 0; n < COUNT(challenged); n++)
            assert_int_equal(nacre__replay_is_challenged(&win->w, base + n), challenged[n] || (base + n < base + edge));
        assert_err(offer(win, base + highest + 1), NACRE_ERR_REPLAY_ECHO); /* records nothing by itself */
        nacre_replay_set_fresh(&win->w, base + recovers);
        assert_false(nacre__replay_is_challenged(&win->w, base));
        for (uint64_t n = 0; n < COUNT(challenged); n++) {
            const bool seen = challenged[n] || n <= recovers || n < edge;
            assert_err(nacre_replay_check(&win->w, base + n), seen ? NACRE_ERR_REPLAY : NACRE_OK);
        }
        nacre__replay_challenged(&win->w, base + 2999); /* a known window records only what it accepts */
        assert_ok(nacre_replay_check(&win->w, base + 3000));
        (void)test_release(NULL);
    }
}

static void a_window_is_made_fresh_at_both_ends(void **state)
{
    (void)state;
    window *win = window_of(32);
    nacre_replay_set_fresh(&win->w, 0);
    assert_err(offer(win, 0), NACRE_ERR_REPLAY);
    assert_ok(offer(win, 1));
    nacre_replay_set_fresh(&win->w, NACRE_SEQ_MAX - 1);
    assert_err(offer(win, NACRE_SEQ_MAX - 1), NACRE_ERR_REPLAY);
    assert_ok(offer(win, NACRE_SEQ_MAX));
    nacre_replay_set_fresh(&win->w, NACRE_SEQ_MAX);
    assert_err(offer(win, NACRE_SEQ_MAX), NACRE_ERR_REPLAY);
    assert_err(offer(win, NACRE_SEQ_MAX + 1), NACRE_ERR_REPLAY);
    nacre_replay_set_fresh(&win->w, 40); /* and a window may be made fresh at a lower number */
    assert_ok(offer(win, 41));
    assert_ok(offer(win, 72));
}

static void an_exported_window_is_imported(void **state)
{
    (void)state;
    static const uint16_t sizes[] = { 1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 1000, 1024 };
    uint64_t random = 7;
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (int round = 0; round < 20; round++) {
            window *a = window_of(sizes[s]), *b = window_of(sizes[s]);
            uint64_t start = test_random(&random) >> 28; /* up to 2^36 */
            for (int i = 0; i < 50; i++) (void)offer(a, start + test_random(&random) % (2u * sizes[s]));
            for (int i = 0; i < 50; i++)
                (void)offer(b, test_random(&random) >> 24); /* import replaces the previous content */
            uint64_t index, again;
            size_t len = (sizes[s] + 7u) / 8;
            uint8_t *bits = test_alloc(len), *bits_again = test_alloc(len);
            assert_true(nacre_replay_export(&a->w, &index, bits));
            assert_ok(nacre_replay_import(&b->w, index, bits, len));
            assert_true(nacre_replay_export(&b->w, &again, bits_again));
            assert_true(index == again);
            assert_memory_equal(bits, bits_again, len);
            for (int i = 0; i < 100; i++) {
                uint64_t seq = start + test_random(&random) % (3u * sizes[s]);
                assert_int_equal(offer(a, seq), offer(b, seq));
            }
            (void)test_release(NULL);
        }
}

static void import_refuses_invalid_states(void **state)
{
    (void)state;
    static const struct {
        const char *name, *bits;
        uint64_t index;
        nacre_err err;
    } rows[] = {
        { "last bit", "00000080", 0, NACRE_OK },
        { "a bit at the size", "0000000001", 0, NACRE_ERR_BAD_ARGUMENT },
        { "zeros beyond the size", "0000008000", 0, NACRE_OK },
        { "a bit far beyond the size", "000000000000000000000080", 0, NACRE_ERR_BAD_ARGUMENT },
        { "short bitfield", "01", 9, NACRE_OK },
        { "empty bitfield", "", 9, NACRE_OK },
        { "the last index", "00", NACRE_SEQ_MAX + 1, NACRE_OK },
        { "an index too far", "00", NACRE_SEQ_MAX + 2, NACRE_ERR_BAD_ARGUMENT },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        window *win = window_of(32);
        assert_ok(offer(win, 5));
        nacre_replay before;
        memcpy(&before, &win->w, sizeof before);
        nacre_bytes bits = test_hex(rows[i].bits);
        assert_err_row(rows[i].name, nacre_replay_import(&win->w, rows[i].index, bits.ptr, bits.len), rows[i].err);
        if (rows[i].err) assert_memory_equal(&before, &win->w, sizeof before);
    }
    window *small = window_of(5); /* a size that does not fill its last byte */
    assert_ok(nacre_replay_import(&small->w, 0, (const uint8_t[]){ 0x1f }, 1));
    assert_err(nacre_replay_import(&small->w, 0, (const uint8_t[]){ 0x20 }, 1), NACRE_ERR_BAD_ARGUMENT);
}

/* In an imported window, bit i of the bitfield is number index + i. */
static void imported_bits_are_number_index_plus_i(void **state)
{
    (void)state;
    window *win = window_of(32);
    assert_ok(nacre_replay_import(&win->w, 100, (const uint8_t[]){ 0x05, 0, 0, 0x80 }, 4));
    assert_err(offer(win, 99), NACRE_ERR_REPLAY);
    assert_err(offer(win, 100), NACRE_ERR_REPLAY);
    assert_ok(offer(win, 101));
    assert_err(offer(win, 102), NACRE_ERR_REPLAY);
    assert_err(offer(win, 131), NACRE_ERR_REPLAY);
    assert_ok(offer(win, 130));
    assert_ok(offer(win, 132));
    nacre_replay_forget(&win->w);
    assert_ok(nacre_replay_import(&win->w, 7, (const uint8_t[]){ 0 }, 1)); /* import initialises */
    assert_ok(offer(win, 7));
    assert_err(offer(win, 6), NACRE_ERR_REPLAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(verdicts_match_the_rows),
        TEST(old_numbers_do_not_overwrite_the_last),
        TEST(large_jumps_shift_the_window),
        TEST(both_edges_hold_in_sweeps),
        TEST(verdicts_match_a_model),
        TEST(init_refuses_invalid_sizes),
        TEST(an_uninitialised_window_accepts_nothing),
        TEST(challenged_numbers_stay_seen_after_the_recovery),
        TEST(a_window_is_made_fresh_at_both_ends),
        TEST(an_exported_window_is_imported),
        TEST(import_refuses_invalid_states),
        TEST(imported_bits_are_number_index_plus_i),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
