/* SPDX-License-Identifier: MIT */
/* oscore_option_test: the value of the OSCORE option is read and written (RFC 8613 6.1), and processing of a message
 * starts from it. */
#include "support.h"

/* Each malformed row has a valid neighbour that differs in what its name says. */
static const struct {
    const char *name, *hex;
    nacre_err err;
    const char *partial_iv, *kid_context, *kid; /* NULL is absent */
} rows[] = {
    { "empty", "", NACRE_OK, NULL, NULL, NULL },
    { "one zero byte", "00", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "zero flags and more", "0001", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "Partial IV of 1", "0105", NACRE_OK, "05", NULL, NULL },
    { "Partial IV of 1, missing", "01", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "Partial IV of 1, one byte more without k", "010500", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "Partial IV zero", "0100", NACRE_OK, "00", NULL, NULL },
    { "Partial IV of 2", "020100", NACRE_OK, "0100", NULL, NULL },
    { "Partial IV of 2 with a leading zero", "020001", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "Partial IV of 2, one there", "0201", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "Partial IV of 3", "03010000", NACRE_OK, "010000", NULL, NULL },
    { "Partial IV of 4", "0401000000", NACRE_OK, "01000000", NULL, NULL },
    { "Partial IV of 5", "050100000000", NACRE_OK, "0100000000", NULL, NULL },
    { "Partial IV of 5 with a leading zero", "050001020304", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "Partial IV of 5 zeros", "050000000000", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "Partial IV of 6", "06010000000000", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "Partial IV of 7", "0701000000000000", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "Partial IV of 7 and kid", "0f0100000000000001", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "empty kid", "0900", NACRE_OK, "00", NULL, "" },
    { "kid", "090525", NACRE_OK, "05", NULL, "25" },
    { "kid without Partial IV", "0825", NACRE_OK, NULL, NULL, "25" },
    { "empty kid alone", "08", NACRE_OK, NULL, NULL, "" },
    { "kid context", "19050544616c656b", NACRE_OK, "05", "44616c656b", "" },
    { "kid context and kid", "19050544616c656b01", NACRE_OK, "05", "44616c656b", "01" },
    { "kid context without k", "11050544616c656b", NACRE_OK, "05", "44616c656b", NULL },
    { "kid context without k, one byte more", "11050544616c656b01", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "kid context one short", "19050544616c65", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "kid context of no bytes", "190500", NACRE_OK, "05", "", "" },
    { "kid context alone", "1000", NACRE_OK, NULL, "", NULL },
    { "kid context without its length", "1905", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "kid context alone without its length", "10", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "flag 0x20 (Group OSCORE)", "290525", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "flag 0x40", "490525", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "flag 0x80 (KUDOS)", "890525", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "flag 0x20 alone", "20", NACRE_ERR_DECODE, NULL, NULL, NULL },
    { "all flags", "ff0525", NACRE_ERR_DECODE, NULL, NULL, NULL },
};

static void values_are_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_oscore_option opt, before;
        memset(&opt, 0x77, sizeof opt);
        memcpy(&before, &opt, sizeof before);
        nacre_bytes value = test_hex(rows[i].hex);
        assert_err_row(rows[i].name, nacre_oscore_option_read(&opt, value), rows[i].err);
        if (rows[i].err) {
            assert_memory_equal(&opt, &before, sizeof opt);
            continue;
        }
        assert_bytes_row(rows[i].name, opt.partial_iv, test_hex(rows[i].partial_iv));
        assert_bytes_row(rows[i].name, opt.kid_context, test_hex(rows[i].kid_context));
        assert_bytes_row(rows[i].name, opt.kid, test_hex(rows[i].kid));
        nacre_buf buf = test_buf(value.len);
        nacre_bytes out;
        assert_err_row(rows[i].name, nacre_oscore_option_write(&opt, &out, buf), NACRE_OK);
        assert_bytes_row(rows[i].name, out, value);
        for (size_t cap = 0; cap < value.len; cap++) {
            out = NACRE_STR("unchanged");
            buf = test_buf(cap);
            assert_err_row(rows[i].name, nacre_oscore_option_write(&opt, &out, buf), NACRE_ERR_BUFFER_TOO_SMALL);
            assert_bytes(out, NACRE_STR("unchanged"));
            assert_true(test_buf_is_untouched(buf));
        }
    }
    nacre_oscore_option opt;
    assert_ok(nacre_oscore_option_read(&opt, NACRE_ABSENT)); /* an absent value counts as an empty one here */
}

/* Every value of up to three bytes is malformed, or is read and written back unchanged. */
static void reading_and_writing_are_inverse(void **state)
{
    (void)state;
    size_t good = 0;
    for (uint32_t n = 0; n < 1u << 24; n += n < 1u << 16 ? 1 : 251) {
        uint8_t bytes[3] = { (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n }, written[3];
        for (size_t skip = 0; skip < 3; skip++) {
            nacre_bytes value = { bytes + skip, 3 - skip }, out;
            nacre_oscore_option opt;
            if (nacre_oscore_option_read(&opt, value)) continue;
            assert_ok(nacre_oscore_option_write(&opt, &out, NACRE_BUF(written)));
            assert_true(nacre_bytes_equal(out, value));
            good++;
        }
    }
    assert_true(good > 1000);
}

/* Kids and kid contexts of 0 to 255 bytes, read and written, and truncated at every byte. */
static void kids_and_kid_contexts_of_every_length_round_trip(void **state)
{
    (void)state;
    for (size_t kid = 0; kid <= 255; kid += kid < 20 ? 1 : 47)
        for (size_t kid_context = 0; kid_context <= 255; kid_context++) {
            nacre_oscore_option opt = { test_fill(7, 1 + kid_context % 5), test_fill(8, kid_context),
                                        test_fill(9, kid) };
            nacre_oscore_option back;
            nacre_bytes out;
            size_t len = 1 + opt.partial_iv.len + 1 + kid_context + kid;
            assert_ok(nacre_oscore_option_write(&opt, &out, test_buf(len)));
            assert_int_equal(out.len, len);
            assert_ok(nacre_oscore_option_read(&back, out));
            assert_bytes(back.partial_iv, opt.partial_iv);
            assert_bytes(back.kid_context, opt.kid_context);
            assert_bytes(back.kid, opt.kid);
            for (size_t cut = 1; cut < len - kid; cut += 1 + cut / 9)
                assert_err(nacre_oscore_option_read(&back, test_copy(nacre_bytes_of(out.ptr, cut))), NACRE_ERR_DECODE);
            (void)test_release(NULL);
        }
}

static void write_refuses_invalid_fields(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int partial_iv, kid_context; /* lengths; -1 is absent */
        nacre_err err;
    } bad[] = {
        { "Partial IV of 5", 5, -1, NACRE_OK },
        { "Partial IV of 6", 6, -1, NACRE_ERR_BAD_ARGUMENT },
        { "Partial IV of 256", 256, -1, NACRE_ERR_BAD_ARGUMENT },
        { "Partial IV of 1", 1, -1, NACRE_OK },
        { "Partial IV present and empty", 0, -1, NACRE_ERR_BAD_ARGUMENT },
        { "kid context of 255", 1, 255, NACRE_OK },
        { "kid context of 256", 1, 256, NACRE_ERR_BAD_ARGUMENT },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        nacre_oscore_option opt = { NACRE_ABSENT, NACRE_ABSENT, NACRE_ABSENT };
        if (bad[i].partial_iv >= 0) opt.partial_iv = test_fill(1, (size_t)bad[i].partial_iv);
        if (bad[i].kid_context >= 0) opt.kid_context = test_fill(1, (size_t)bad[i].kid_context);
        nacre_bytes out = NACRE_STR("unchanged");
        nacre_buf buf = test_buf(1000);
        assert_err_row(bad[i].name, nacre_oscore_option_write(&opt, &out, buf), bad[i].err);
        if (bad[i].err) {
            assert_bytes(out, NACRE_STR("unchanged"));
            assert_true(test_buf_is_untouched(buf));
        }
    }
}

/* ---- nacre_verify_start ---- */
static void verify_start_requires_one_valid_option(void **state)
{
    (void)state;
    static const struct {
        const char *name, *datagram;
        nacre_err err;
    } starts[] = {
        { "RFC 8613 C.4", "44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e", NACRE_OK },
        { "no OSCORE option", "44025d1f00003974396c6f63616c686f7374ff612f1092f1776f1c1668b3825e",
          NACRE_ERR_NOT_PROTECTED },
        { "no options", "40021234ff00", NACRE_ERR_NOT_PROTECTED },
        { "another option 8", "4002123480ff00", NACRE_ERR_NOT_PROTECTED },
        { "another option 10", "40021234a0ff00", NACRE_ERR_NOT_PROTECTED },
        { "no payload (RFC 8613 2)", "44025d1f00003974396c6f63616c686f7374620914", NACRE_ERR_DECODE },
        { "twice", "40021234 920914 00 ff00", NACRE_ERR_DECODE },
        { "twice the same", "40021234 920914 020914 ff00", NACRE_ERR_DECODE },
        { "once", "40021234 920914 ff00", NACRE_OK },
        { "once, empty", "40021234 90 ff00", NACRE_OK },
        { "one zero byte", "40021234 9100 ff00", NACRE_ERR_DECODE },
        { "before other options", "40021234 920914 22 6161 ff00", NACRE_OK },
        { "reserved flag", "40021234 924914 ff00", NACRE_ERR_DECODE },
    };
    for (size_t i = 0; i < COUNT(starts); i++) {
        nacre_message m = test_message(starts[i].datagram);
        nacre_oscore_option opt, before;
        memset(&opt, 0x77, sizeof opt);
        memcpy(&before, &opt, sizeof before);
        assert_err_row(starts[i].name, nacre_verify_start(&opt, &m), starts[i].err);
        if (starts[i].err) assert_memory_equal(&opt, &before, sizeof opt);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_are_read_or_refused),
        TEST(reading_and_writing_are_inverse),
        TEST(kids_and_kid_contexts_of_every_length_round_trip),
        TEST(write_refuses_invalid_fields),
        TEST(verify_start_requires_one_valid_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
