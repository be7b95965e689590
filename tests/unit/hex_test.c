/* SPDX-License-Identifier: MIT */
/* hex_test: pairs of hex digits are read, and anything else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <nacre/store.h>
#include <string.h>

static void pairs_of_digits_are_decoded_and_others_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        nacre_err err;
        uint8_t bytes[4];
        size_t len;
    } rows[] = {
        { "", NACRE_OK, { 0 }, 0 },
        { "00", NACRE_OK, { 0 }, 1 },
        { "0", NACRE_ERR_BAD_HEX, { 0 }, 0 },
        { "09af", NACRE_OK, { 0x09, 0xaf }, 2 },
        { "09AF", NACRE_OK, { 0x09, 0xaf }, 2 },
        { "09aF", NACRE_OK, { 0x09, 0xaf }, 2 },
        { "09ag", NACRE_ERR_BAD_HEX, { 0 }, 0 },
        { "09a/", NACRE_ERR_BAD_HEX, { 0 }, 0 },
        { "09a:", NACRE_ERR_BAD_HEX, { 0 }, 0 },
        { "09a@", NACRE_ERR_BAD_HEX, { 0 }, 0 },
        { "09a`", NACRE_ERR_BAD_HEX, { 0 }, 0 },
        { "09 af", NACRE_ERR_BAD_HEX, { 0 }, 0 },
        { "0x09", NACRE_ERR_BAD_HEX, { 0 }, 0 },
        { "01020304", NACRE_OK, { 1, 2, 3, 4 }, 4 },
        { "0102030405", NACRE_ERR_BUFFER_TOO_SMALL, { 0 }, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t buf[4] = { 0xee, 0xee, 0xee, 0xee };
        nacre_bytes out = { (const uint8_t *)"untouched", 9 };
        nacre_err err = nacre_hex_decode(&out, NACRE_BUF(buf), rows[i].text, strlen(rows[i].text));
        assert_int_equal(err, rows[i].err);
        if (err != NACRE_OK) { /* nothing changes on failure */
            assert_int_equal(out.len, 9);
            assert_memory_equal(buf, "\xee\xee\xee\xee", 4);
            continue;
        }
        assert_ptr_equal(out.ptr, buf);
        assert_int_equal(out.len, rows[i].len);
        assert_memory_equal(buf, rows[i].bytes, rows[i].len);
    }
}

static void only_the_given_length_is_read(void **state)
{
    (void)state;
    uint8_t buf[2];
    nacre_bytes out;
    static const char text[4] = { '0', '1', '0', '2' }; /* no NUL after it */
    assert_int_equal(nacre_hex_decode(&out, NACRE_BUF(buf), text, 4), NACRE_OK);
    assert_int_equal(nacre_hex_decode(&out, NACRE_BUF(buf), text, 2), NACRE_OK);
    assert_int_equal(out.len, 1);
    assert_int_equal(nacre_hex_decode(&out, NACRE_BUF(buf), "01\0", 4), NACRE_ERR_BAD_HEX);
}

static void every_byte_is_encoded_and_decoded(void **state)
{
    (void)state;
    uint8_t all[256], back[256];
    char text[2 * 256 + 1];
    nacre_bytes out;
    for (size_t i = 0; i < 256; i++) all[i] = (uint8_t)i;
    nacre_hex_encode(text, NACRE_ARRAY(all));
    assert_int_equal(strlen(text), 512);
    assert_memory_equal(text, "000102030405060708090a0b0c0d0e0f10", 34);
    assert_string_equal(text + 508, "feff");
    assert_int_equal(nacre_hex_decode(&out, NACRE_BUF(back), text, 512), NACRE_OK);
    assert_memory_equal(back, all, 256);
    nacre_hex_encode(text, NACRE_ABSENT);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_of_digits_are_decoded_and_others_refused),
        cmocka_unit_test(only_the_given_length_is_read),
        cmocka_unit_test(every_byte_is_encoded_and_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
