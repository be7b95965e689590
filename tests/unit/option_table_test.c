/* SPDX-License-Identifier: MIT */
/* option_table_test: the properties of each option, above all its class (RFC 8613 4.1, Figure 5). */
#include "support.h"

#include <oscore/option.h>

enum { E = NACRE_CLASS_E, U = NACRE_CLASS_U, R = NACRE_REPEATABLE };

static const struct {
    uint16_t number, min_len, max_len;
    uint8_t flags; /* class and repeatable */
    const char *name;
} rows[] = {
    { 1, 0, 8, E | R, "If-Match" },
    { 3, 1, 255, U, "Uri-Host" },
    { 4, 1, 8, E | R, "ETag" },
    { 5, 0, 0, E, "If-None-Match" },
    { 6, 0, 3, E | U, "Observe" },
    { 7, 0, 2, U, "Uri-Port" },
    { 8, 0, 255, E | R, "Location-Path" },
    { 9, 0, 255, U, "OSCORE" },
    { 11, 0, 255, E | R, "Uri-Path" },
    { 12, 0, 2, E, "Content-Format" },
    { 13, 0, 4, E, "Uri-Path-Abbrev" },
    { 14, 0, 4, E | U, "Max-Age" },
    { 15, 0, 255, E | R, "Uri-Query" },
    { 16, 1, 1, U, "Hop-Limit" },
    { 17, 0, 2, E, "Accept" },
    { 19, 0, 3, E | U, "Q-Block1" },
    { 20, 0, 255, E | R, "Location-Query" },
    { 21, 0, 0, U, "EDHOC" },
    { 23, 0, 3, E | U, "Block2" },
    { 27, 0, 3, E | U, "Block1" },
    { 28, 0, 4, E | U, "Size2" },
    { 31, 0, 3, E | U | R, "Q-Block2" },
    { 35, 1, 1034, U, "Proxy-Uri" },
    { 39, 1, 255, U, "Proxy-Scheme" },
    { 60, 0, 4, E | U, "Size1" },
    { 235, 1, 1023, U, "Proxy-Cri" },
    { 239, 0, 3, U, "Proxy-Scheme-Number" },
    { 252, 1, 40, E | U, "Echo" },
    { 258, 0, 1, E | U, "No-Response" },
    { 292, 0, 8, E | U | R, "Request-Tag" },
};

static void every_number_has_its_properties(void **state)
{
    (void)state;
    size_t next = 0;
    for (uint32_t number = 0; number <= 65535; number++) {
        const nacre_option_info *info = nacre_option_lookup((uint16_t)number);
        assert_non_null(info);
        if (next < COUNT(rows) && rows[next].number == number) {
            assert_int_equal(info->number, number);
            assert_string_equal(info->name, rows[next].name);
            assert_int_equal(info->min_len, rows[next].min_len);
            assert_int_equal(info->max_len, rows[next].max_len);
            assert_int_equal(info->flags & (E | U | R), rows[next].flags);
            next++;
        } else { /* RFC 8613 4.1: an unknown option is class E */
            assert_null(info->name);
            assert_int_equal(info->flags & (E | U | R), E | R);
            assert_int_equal(info->min_len, 0);
        }
    }
    assert_int_equal(next, COUNT(rows));
}

static void each_option_has_one_format(void **state)
{
    (void)state;
    const unsigned formats = NACRE_FORMAT_UINT | NACRE_FORMAT_STRING | NACRE_FORMAT_OPAQUE | NACRE_FORMAT_EMPTY;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const nacre_option_info *info = nacre_option_lookup(rows[i].number);
        unsigned format = info->flags & formats;
        assert_true(format && !(format & (format - 1)));
        assert_int_equal(format == NACRE_FORMAT_EMPTY, info->max_len == 0);
    }
}

/* The compact lookup used by protect and unprotect agrees with the table for each number. */
static void the_compact_lookup_agrees_with_the_table(void **state)
{
    (void)state;
    for (uint32_t number = 0; number <= 65535; number++) {
        unsigned class = nacre_option_lookup((uint16_t)number)->flags & (E | U);
        assert_int_equal(nacre__only_outer((uint16_t)number), class == U);
    }
}

static void critical_numbers_are_odd(void **state)
{
    (void)state;
    assert_true(nacre_option_is_critical(NACRE_OPT_OSCORE));
    assert_false(nacre_option_is_critical(NACRE_OPT_OBSERVE));
}

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(every_number_has_its_properties), TEST(each_option_has_one_format),
                                        TEST(the_compact_lookup_agrees_with_the_table),
                                        TEST(critical_numbers_are_odd) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
