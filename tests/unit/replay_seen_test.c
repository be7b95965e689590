/* SPDX-License-Identifier: MIT */
/* replay_seen_test: a window read from a list of seen numbers accepts what the list form would accept, or less. */
#include "context/fields.h"
#include "support.h"

/* The list form by its rule: all listed numbers and all below the first are seen. */
static bool list_accepts(const int64_t *seen, size_t num, int64_t n)
{
    for (size_t i = 0; i < num; i++)
        if (n == seen[i] || n < seen[0]) return false;
    return true;
}

static nacre_replay window_of(uint16_t size)
{
    nacre_replay w;
    assert_ok(nacre_replay_init(&w, size, size > 64 ? test_alloc(nacre_replay_words(size) * 8) : NULL));
    return w;
}

static void short_lists_are_read_exactly(void **unused)
{
    (void)unused;
    static const struct {
        const char *row;
        int64_t seen[4];
        size_t num;
    } rows[] = {
        { "nothing", { 0 }, 0 },
        { "the start state", { -1 }, 1 },
        { "zero", { 0 }, 1 },
        { "one gap", { 0, 2 }, 2 },
        { "some", { 3, 5, 6, 30 }, 4 },
        { "from -1", { -1, 1, 2 }, 3 },
        { "far up", { 1000000, 1000031 }, 2 },
        { "the last number", { (int64_t)NACRE_SEQ_MAX }, 1 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_replay w = window_of(32);
        assert_err_row(rows[i].row, nacre_replay_import_seen(&w, rows[i].seen, rows[i].num), NACRE_OK);
        int64_t base = rows[i].num > 0 && rows[i].seen[0] > 40 ? rows[i].seen[0] - 40 : 0;
        for (int64_t n = base; n < base + 100 && n <= (int64_t)NACRE_SEQ_MAX; n++) {
            bool accepts = nacre_replay_check(&w, (uint64_t)n) == NACRE_OK;
            assert_int_equal(accepts, list_accepts(rows[i].seen, rows[i].num, n));
        }
    }
}

static void a_list_longer_than_the_window_only_loses_acceptances(void **unused)
{
    (void)unused;
    uint64_t state = 3;
    size_t lost = 0;
    for (int round = 0; round < 2000; round++) {
        static const uint16_t sizes[] = { 1, 2, 31, 32, 64, 65, 128 };
        nacre_replay w = window_of(sizes[test_random(&state) % COUNT(sizes)]);
        int64_t seen[64], next = (int64_t)(test_random(&state) % 10) - 1;
        size_t num = (size_t)(test_random(&state) % COUNT(seen));
        for (size_t i = 0; i < num; i++, next += 1 + (int64_t)(test_random(&state) % 5)) seen[i] = next;
        assert_ok(nacre_replay_import_seen(&w, seen, num));
        for (int64_t n = 0; n < next + 5; n++) {
            bool accepts = nacre_replay_check(&w, (uint64_t)n) == NACRE_OK, listed = list_accepts(seen, num, n);
            assert_true(!accepts || listed);
            lost += listed && !accepts;
        }
        assert_ok(nacre_replay_check(&w, (uint64_t)(next + 5)));
        test_release(NULL);
    }
    assert_true(lost > 0);
}

/* The example of the list form's documentation: a fresh number, then 5 is seen, 3 still valid and 5 not. */
static void the_example_of_the_list_form_matches(void **unused)
{
    (void)unused;
    static const int64_t start[] = { -1 };
    nacre_replay w = window_of(32);
    assert_ok(nacre_replay_import_seen(&w, start, 1));
    assert_ok(nacre_replay_check(&w, 5));
    assert_ok(nacre_replay_accept(&w, 5));
    assert_ok(nacre_replay_check(&w, 3));
    assert_err(nacre_replay_check(&w, 5), NACRE_ERR_REPLAY);
    assert_err(nacre_replay_accept(&w, 5), NACRE_ERR_REPLAY);
    for (uint64_t n = 0; n < 5; n++) assert_ok(nacre_replay_accept(&w, n));
    assert_err(nacre_replay_check(&w, 0), NACRE_ERR_REPLAY);
    assert_ok(nacre_replay_check(&w, 6));
}

static void wrong_lists_change_nothing(void **unused)
{
    (void)unused;
    static const int64_t equal[] = { 3, 3 }, falling[] = { 3, 2 }, negative[] = { -2 }, large[] = { (int64_t)1 << 40 };
    static const struct {
        const int64_t *seen;
        size_t num;
    } rows[] = { { equal, 2 }, { falling, 2 }, { negative, 1 }, { large, 1 } };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_replay w = window_of(32);
        assert_ok(nacre_replay_accept(&w, 7));
        nacre_replay before = w;
        assert_err(nacre_replay_import_seen(&w, rows[i].seen, rows[i].num), NACRE_ERR_BAD_ARGUMENT);
        assert_true(nacre__replay_index(&before) == nacre__replay_index(&w) && before.bits == w.bits &&
                    before.known == w.known);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(short_lists_are_read_exactly),
        TEST(a_list_longer_than_the_window_only_loses_acceptances),
        TEST(the_example_of_the_list_form_matches),
        TEST(wrong_lists_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
