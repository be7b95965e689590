/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* bytes_test: comparing and wiping. */
#include "support.h"

static void equal_compares_length_and_contents(void **state)
{
    (void)state;
    nacre_bytes a = test_hex("0102ff");
    assert_true(nacre_bytes_equal(a, test_hex("0102ff")));
    assert_false(nacre_bytes_equal(a, test_hex("0102fe")));
    assert_false(nacre_bytes_equal(a, test_hex("0102")));
    assert_false(nacre_bytes_equal(a, test_hex("0102ff00")));
    assert_true(nacre_bytes_equal(test_hex(""), NACRE_ABSENT)); /* both are empty; nacre_is_absent tells them apart */
    assert_true(nacre_bytes_equal(NACRE_ABSENT, NACRE_ABSENT));
}

static void absent_and_empty_differ(void **state)
{
    (void)state;
    assert_true(nacre_is_absent(NACRE_ABSENT));
    assert_false(nacre_is_absent(NACRE_STR("")));
    assert_int_equal(NACRE_STR("abc").len, 3);
}

static void equal_ct_finds_a_difference_in_every_bit(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 40; len++) {
        nacre_bytes a = test_fill(0x5a, len);
        uint8_t *b = test_alloc(len);
        memcpy(b, a.ptr, len);
        assert_true(nacre_equal_ct(a.ptr, b, len));
        for (size_t bit = 0; bit < 8 * len; bit++) {
            b[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(nacre_equal_ct(a.ptr, b, len));
            b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void wipe_clears_all_and_no_more(void **state)
{
    (void)state;
    nacre_wipe(NULL, 0);
    for (size_t len = 0; len <= 40; len++) {
        nacre_buf buf = test_buf(len + 2);
        nacre_wipe(buf.ptr + 1, len);
        for (size_t i = 0; i < len; i++) assert_int_equal(buf.ptr[1 + i], 0);
        assert_int_equal(buf.ptr[0], 0xa5);
        assert_int_equal(buf.ptr[len + 1], 0xa5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(equal_compares_length_and_contents),
        TEST(absent_and_empty_differ),
        TEST(equal_ct_finds_a_difference_in_every_bit),
        TEST(wipe_clears_all_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
