/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* options_test: a list of options is read, and built in any order (RFC 7252 3.1, 3.2). */
#include "support.h"

/* Deltas and lengths around the values where the encoding changes, and the largest. */
static const size_t edges[] = { 0, 1, 11, 12, 13, 14, 255, 256, 267, 268, 269, 270, 271, 524, 525, 65535, 65804 };

static void deltas_and_lengths_round_trip(void **state)
{
    (void)state;
    for (size_t d = 0; d < COUNT(edges) - 1; d++) /* no number above 65535 */
        for (size_t l = 0; l < COUNT(edges); l++) {
            nacre_bytes value = test_fill(0xff, edges[l]), out; /* all bytes look like payload markers */
            size_t head = 1 +
                          (edges[d] > 268  ? 2u
                           : edges[d] > 12 ? 1u
                                           : 0u) +
                          (edges[l] > 268  ? 2u
                           : edges[l] > 12 ? 1u
                                           : 0u);
            nacre_buf buf = test_buf(head + edges[l]);
            nacre_options o;
            nacre_options_init(&o, buf);
            nacre_options_add(&o, (uint16_t)edges[d], value);
            assert_ok(nacre_options_finish(&o, &out));
            assert_int_equal(out.len, buf.cap);
            nacre_option opt;
            nacre_option_iter it = nacre_option_begin(out);
            assert_true(nacre_option_next(&it, &opt));
            assert_int_equal(opt.number, edges[d]);
            assert_bytes(opt.value, value);
            assert_false(nacre_option_next(&it, &opt));
            assert_false(nacre_option_bad(&it));
            (void)test_release(NULL);
        }
}

enum { MODEL_MAX = 64, BUF_SIZE = 8192 };
typedef struct model {
    uint16_t number[MODEL_MAX];
    nacre_bytes value[MODEL_MAX];
    size_t num;
} model;

/* model_add keeps the list sorted, equal numbers in the order of the calls, as nacre_options specifies. */
static void model_add(model *m, uint16_t number, nacre_bytes value)
{
    size_t at = m->num++;
    for (; at > 0 && m->number[at - 1] > number; at--) {
        m->number[at] = m->number[at - 1];
        m->value[at] = m->value[at - 1];
    }
    m->number[at] = number;
    m->value[at] = value;
}

static void assert_is_model(nacre_bytes options, const model *m)
{
    nacre_option opt;
    nacre_option_iter it = nacre_option_begin(options);
    for (size_t i = 0; i < m->num; i++) {
        assert_true(nacre_option_next(&it, &opt));
        assert_int_equal(opt.number, m->number[i]);
        assert_bytes(opt.value, m->value[i]);
    }
    assert_false(nacre_option_next(&it, &opt));
    assert_false(nacre_option_bad(&it));
}

static uint16_t random_number(uint64_t *random)
{
    static const uint16_t steps[] = { 1, 3, 11, 12, 13, 14, 15, 60, 252, 268, 269, 270, 281, 292, 2049, 65000, 65535 };
    uint64_t r = test_random(random);
    return r & 1 ? steps[(r >> 8) % COUNT(steps)] : (uint16_t)(r >> 8);
}

/* More options than any table of fixed size holds, in random order, against a sorted list. */
static void any_order_gives_the_sorted_list(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (int round = 0; round < 300; round++) {
        model m = { .num = 0 };
        nacre_buf buf = test_buf(BUF_SIZE);
        nacre_options o;
        nacre_options_init(&o, buf);
        size_t num = test_random(&random) % MODEL_MAX;
        while (m.num < num) {
            uint16_t number = random_number(&random);
            uint64_t r = test_random(&random);
            nacre_bytes value = test_fill((uint8_t)r, (size_t)((r >> 8) % 5 ? (r >> 16) % 20 : 255 + (r >> 16) % 20));
            nacre_options_add(&o, number, value);
            model_add(&m, number, value);
        }
        nacre_bytes out;
        assert_ok(nacre_options_finish(&o, &out));
        assert_is_model(test_copy(out), &m);
        (void)test_release(NULL);
    }
}

/* In every smaller buffer the same calls return NO_BUF, and nothing is written past it (checked by the sanitizer). */
static void every_smaller_buffer_is_an_error(void **state)
{
    (void)state;
    static const uint16_t numbers[] = { 292, 3, 60, 11, 11, 14, 2053, 1, 281 };
    size_t needed = 0;
    for (size_t cap = 0; cap == 0 || !needed; cap++) {
        nacre_options o;
        nacre_buf buf = test_buf(cap);
        nacre_options_init(&o, buf);
        for (size_t i = 0; i < COUNT(numbers); i++)
            nacre_options_add(&o, numbers[i], test_fill((uint8_t)i, i == 4 ? 300 : 3 * i));
        nacre_bytes out = NACRE_STR("unchanged");
        nacre_err err = nacre_options_finish(&o, &out);
        if (!err) needed = cap;
        else {
            assert_err(err, NACRE_ERR_BUFFER_TOO_SMALL);
            assert_bytes(out, NACRE_STR("unchanged"));
        }
    }
    model m = { .num = 0 };
    for (size_t i = 0; i < COUNT(numbers); i++) model_add(&m, numbers[i], test_fill((uint8_t)i, i == 4 ? 300 : 3 * i));
    nacre_buf buf = test_buf(needed);
    nacre_options o;
    nacre_options_init(&o, buf);
    for (size_t i = 0; i < m.num; i++)
        nacre_options_add(&o, m.number[i], m.value[i]); /* sorted: no call needs more space on the way */
    nacre_bytes out;
    assert_ok(nacre_options_finish(&o, &out));
    assert_int_equal(out.len, needed);
    assert_is_model(out, &m);
}

static void errors_stick(void **state)
{
    (void)state;
    nacre_options o;
    nacre_bytes out = NACRE_STR("unchanged");
    nacre_options_init(&o, test_buf(70000));
    nacre_options_add(&o, 11, test_fill(1, 65804));
    assert_ok(nacre_options_finish(&o, &out));
    nacre_options_add(&o, 11, test_fill(1, 65805));
    nacre_options_add(&o, 12, test_hex("00"));
    out = NACRE_STR("unchanged");
    assert_err(nacre_options_finish(&o, &out), NACRE_ERR_TOO_LONG);
    assert_bytes(out, NACRE_STR("unchanged"));
}

static void uint_values_have_the_shortest_form(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const char *hex; /* RFC 7252 3.2: shortest form, zero is empty */
    } rows[] = {
        { 0, "" },
        { 1, "01" },
        { 255, "ff" },
        { 256, "0100" },
        { 65535, "ffff" },
        { 65536, "010000" },
        { 0xffffff, "ffffff" },
        { 0x1000000, "01000000" },
        { UINT64_C(0x100000000), "0100000000" },
        { UINT64_MAX, "ffffffffffffffff" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_options o;
        nacre_bytes out;
        uint64_t back;
        nacre_options_init(&o, test_buf(16));
        nacre_options_add_uint(&o, NACRE_OPT_SIZE1, rows[i].value);
        assert_ok(nacre_options_finish(&o, &out));
        nacre_bytes value = nacre_option_find(out, NACRE_OPT_SIZE1);
        assert_bytes(value, test_hex(rows[i].hex));
        assert_true(nacre_option_uint(value, &back));
        assert_true(back == rows[i].value);
    }
    uint64_t value = 7;
    assert_true(nacre_option_uint(test_hex("0000000000000102"), &value)); /* leading zeros are accepted */
    assert_int_equal(value, 0x102);
    assert_false(nacre_option_uint(test_hex("000000000000000102"), &value));
    assert_int_equal(value, 0x102);
    assert_true(nacre_option_uint(NACRE_ABSENT, &value));
    assert_int_equal(value, 0);
}

static void find_returns_the_first_option(void **state)
{
    (void)state;
    nacre_bytes options = test_options(4, "aa", 11, "61", 11, "62", 60, "", 0);
    assert_bytes(nacre_option_find(options, 4), test_hex("aa"));
    assert_bytes(nacre_option_find(options, 11), test_hex("61")); /* the first */
    assert_bytes(nacre_option_find(options, 60), test_hex(""));   /* present and empty */
    assert_bytes(nacre_option_find(options, 5), NACRE_ABSENT);
    assert_bytes(nacre_option_find(options, 61), NACRE_ABSENT);
    assert_bytes(nacre_option_find(NACRE_ABSENT, 11), NACRE_ABSENT);
}

/* Walking options that were not parsed before stops at the fault and reports it. */
static void walking_stops_at_a_malformed_option(void **state)
{
    (void)state;
    static const struct {
        const char *name, *hex;
        size_t good; /* options before the fault */
        bool bad;
    } rows[] = {
        { "none", "", 0, false },
        { "one", "b3747631", 1, false },
        { "value cut off", "b37476", 0, true },
        { "payload marker", "b0ff", 1, true },
        { "delta 15", "b0f0", 1, true },
        { "length 15", "b00f", 1, true },
        { "number 65535", "e0fef2", 1, false },
        { "number 65536", "e0fef3", 0, true },
        { "delta cut off", "e0fe", 0, true },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_option opt;
        size_t num = 0;
        nacre_option_iter it = nacre_option_begin(test_hex(rows[i].hex));
        while (nacre_option_next(&it, &opt)) num++;
        if (num != rows[i].good || nacre_option_bad(&it) != rows[i].bad) fail_msg("%s", rows[i].name);
        assert_false(nacre_option_next(&it, &opt)); /* and does not move on */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(deltas_and_lengths_round_trip),       TEST(any_order_gives_the_sorted_list),
        TEST(every_smaller_buffer_is_an_error),    TEST(errors_stick),
        TEST(uint_values_have_the_shortest_form),  TEST(find_returns_the_first_option),
        TEST(walking_stops_at_a_malformed_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
