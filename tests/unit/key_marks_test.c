/* SPDX-License-Identifier: MIT */
/* key_marks_test: the set of key marks in which a server looks for a second counter under one Sender Key. */
#include "context/key_mark.h"
#include "io/server/key_marks.h"
#include "support.h"

/* Additions and removals in random order, of few marks, so that collisions and repeated marks are frequent, against a
 * plain count. */
static void the_set_counts_like_a_list(void **state)
{
    enum { MARKS = 60, STEPS = 20000 };
    (void)state;
    nacre__key_marks set = { 0 };
    uint64_t marks[MARKS], random = 1;
    unsigned in[MARKS] = { 0 }, num = 0;
    for (size_t i = 0; i < MARKS; i++)
        marks[i] = i % 3 == 0 ? (test_random(&random) | 1) : UINT64_C(0xfffffff000000000) + i; /* one home bucket */
    for (int step = 0; step < STEPS; step++) {
        const size_t at = (size_t)(test_random(&random) % MARKS);
        if (test_random(&random) % 2 == 0) {
            assert_ok(nacre__key_marks_reserve(&set, 1));
            nacre__key_marks_put(&set, marks[at]);
            in[at]++, num++;
        } else {
            nacre__key_marks_remove(&set, marks[at]); /* removing an absent mark changes nothing */
            num -= in[at] > 0;
            in[at] -= in[at] > 0;
        }
        assert_int_equal(set.num, num);
        for (size_t i = 0; i < MARKS; i++) assert_int_equal(nacre__key_marks_has(&set, marks[i]), in[i] > 0);
    }
    nacre__key_marks_free(&set);
    assert_false(nacre__key_marks_has(&set, marks[0]));
}

static void a_mark_depends_on_the_key_and_the_hash_key(void **state)
{
    (void)state;
    static const uint8_t five[NACRE__HASH_KEY_LEN] = { 5 }, seven[NACRE__HASH_KEY_LEN] = { 7 };
    const nacre_context *client = test_context_of(1, TEST_CLIENT), *server = test_context_of(1, TEST_SERVER);
    nacre_context_params params = test_params(1, TEST_CLIENT);
    params.next_seq = 9;
    const nacre_context *copy = test_context(&params);
    assert_int_equal(nacre__key_mark(client, NACRE_SEAL, five), nacre__key_mark(copy, NACRE_SEAL, five));
    assert_int_equal(nacre__key_mark(client, NACRE_OPEN, five), nacre__key_mark(copy, NACRE_OPEN, five));
    assert_true(nacre__key_mark(client, NACRE_SEAL, five) != nacre__key_mark(client, NACRE_OPEN, five));
    assert_true(nacre__key_mark(client, NACRE_SEAL, five) != nacre__key_mark(server, NACRE_OPEN, five));
    assert_true(nacre__key_mark(client, NACRE_SEAL, five) != nacre__key_mark(client, NACRE_SEAL, seven));
}

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(the_set_counts_like_a_list),
                                        TEST(a_mark_depends_on_the_key_and_the_hash_key) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
