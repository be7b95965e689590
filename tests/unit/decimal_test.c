/* SPDX-License-Identifier: MIT */
/* decimal_test: whole numbers of any size, exactly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "store/json/decimal.h"

/* 2^1024 - 1 and 2^1024 */
#define ALL_1024                                                                                                       \
    "1797693134862315907729305190789024733617976978942306572734300811577326758055009631327084773224075360"             \
    "2112011387987139335765878976881441662249284743063947412437776789342486548527630221960124609411945308"             \
    "2952085005768838150682342462881473913110540827237163350510684586298239947245938479716304835356329624"             \
    "224137215"
#define ONE_ABOVE                                                                                                      \
    "1797693134862315907729305190789024733617976978942306572734300811577326758055009631327084773224075360"             \
    "2112011387987139335765878976881441662249284743063947412437776789342486548527630221960124609411945308"             \
    "2952085005768838150682342462881473913110540827237163350510684586298239947245938479716304835356329624"             \
    "224137216"

static void numbers_that_fit_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t num_bits;
        nacre__decimal_result result;
        uint8_t low, high; /* the first and the last byte */
    } rows[] = {
        { "0", 32, NACRE__DECIMAL_OK, 0, 0 },
        { "1", 32, NACRE__DECIMAL_OK, 1, 0 },
        { "4294967295", 32, NACRE__DECIMAL_OK, 0xff, 0xff },
        { "4294967296", 32, NACRE__DECIMAL_TOO_LARGE, 0, 0 },
        { "4294967296", 33, NACRE__DECIMAL_OK, 0, 1 },
        { "8589934591", 33, NACRE__DECIMAL_OK, 0xff, 1 },
        { "8589934592", 33, NACRE__DECIMAL_TOO_LARGE, 0, 0 },
        { "1", 1, NACRE__DECIMAL_OK, 1, 1 },
        { "2", 1, NACRE__DECIMAL_TOO_LARGE, 0, 0 },
        { ALL_1024, 1024, NACRE__DECIMAL_OK, 0xff, 0xff },
        { ALL_1024, 1023, NACRE__DECIMAL_TOO_LARGE, 0, 0 },
        { ONE_ABOVE, 1024, NACRE__DECIMAL_TOO_LARGE, 0, 0 },
        { "", 32, NACRE__DECIMAL_NOT_WHOLE, 0, 0 },
        { "-1", 32, NACRE__DECIMAL_NOT_WHOLE, 0, 0 },
        { "-0", 32, NACRE__DECIMAL_NOT_WHOLE, 0, 0 },
        { "+1", 32, NACRE__DECIMAL_NOT_WHOLE, 0, 0 },
        { " 1", 32, NACRE__DECIMAL_NOT_WHOLE, 0, 0 },
        { "1 ", 32, NACRE__DECIMAL_NOT_WHOLE, 0, 0 },
        { "1.0", 32, NACRE__DECIMAL_NOT_WHOLE, 0, 0 },
        { "1e3", 32, NACRE__DECIMAL_NOT_WHOLE, 0, 0 },
        { "1_0", 32, NACRE__DECIMAL_NOT_WHOLE, 0, 0 },
        { "0x1", 32, NACRE__DECIMAL_NOT_WHOLE, 0, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bits[128], before[128];
        memset(bits, 0xaa, sizeof bits);
        memcpy(before, bits, sizeof bits);
        size_t len = (rows[i].num_bits + 7) / 8;
        assert_int_equal(nacre__decimal_to_bits(bits, rows[i].num_bits, rows[i].text, strlen(rows[i].text)),
                         rows[i].result);
        if (rows[i].result != NACRE__DECIMAL_OK) {
            assert_memory_equal(bits, before, sizeof bits);
            continue;
        }
        assert_int_equal(bits[0], rows[i].low);
        assert_int_equal(bits[len - 1], rows[i].high);
        assert_memory_equal(bits + len, before + len, sizeof bits - len);
    }
}

static void numbers_of_64_bits_are_read_exactly(void **state)
{
    (void)state;
    uint64_t value = 7;
    assert_int_equal(nacre__decimal_to_uint(&value, "18446744073709551616", 20), NACRE__DECIMAL_TOO_LARGE);
    assert_int_equal(value, 7);
    assert_int_equal(nacre__decimal_to_uint(&value, "18446744073709551615", 20), NACRE__DECIMAL_OK);
    assert_true(value == UINT64_MAX);
    assert_int_equal(nacre__decimal_to_uint(&value, "1099511627776", 13), NACRE__DECIMAL_OK);
    assert_true(value == UINT64_C(1) << 40);
}

/* Every power of two and its predecessor, written and read back: each carry over a byte occurs. */
static void written_numbers_are_read_back(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 1024; bit++) {
        for (int below = 0; below < 2; below++) {
            uint8_t bits[128] = { 0 }, back[128];
            char text[NACRE__DECIMAL_MAX_TEXT];
            if (below) /* 2^bit - 1 */
                for (size_t i = 0; i < bit; i++) bits[i / 8] = (uint8_t)(bits[i / 8] | 1u << (i % 8));
            else bits[bit / 8] = (uint8_t)(1u << (bit % 8));
            nacre__decimal_from_bits(text, bits, sizeof bits);
            assert_true(text[0] != '0' || strcmp(text, "0") == 0);
            assert_int_equal(nacre__decimal_to_bits(back, 1024, text, strlen(text)), NACRE__DECIMAL_OK);
            assert_memory_equal(back, bits, sizeof bits);
        }
    }
}

static void the_largest_number_is_written(void **state)
{
    (void)state;
    uint8_t bits[128];
    char text[NACRE__DECIMAL_MAX_TEXT];
    memset(bits, 0xff, sizeof bits);
    nacre__decimal_from_bits(text, bits, sizeof bits);
    assert_string_equal(text, ALL_1024);
    nacre__decimal_from_bits(text, bits, 8);
    assert_string_equal(text, "18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_that_fit_are_read),
        cmocka_unit_test(numbers_of_64_bits_are_read_exactly),
        cmocka_unit_test(written_numbers_are_read_back),
        cmocka_unit_test(the_largest_number_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
