/* SPDX-License-Identifier: MIT */
/* cbor_read: what is deterministic CBOR (RFC 8949 4.2.1), and what is not. */
/* Labels: cross */
#include "base/cbor_read.h"
#include "support.h"

/* Rows that are refused follow one that differs in the named thing. */
static const struct {
    const char *name, *hex;
    bool good;
} items[] = {
    { "a small number", "17", true },
    { "... in two bytes", "1817", false },
    { "24 in two bytes", "1818", true },
    { "... in three", "190018", false },
    { "255 in two bytes", "18ff", true },
    { "256 in three", "190100", true },
    { "... 255 in three", "1900ff", false },
    { "65536 in five", "1a00010000", true },
    { "... 65535 in five", "1a0000ffff", false },
    { "2^32 in nine", "1b0000000100000000", true },
    { "... 2^32 - 1 in nine", "1b00000000ffffffff", false },
    { "a head cut off", "1b00000001000000", false },
    { "a reserved length", "1c", false },
    { "a negative number", "37", true },
    { "... in two bytes", "3817", false },
    { "a byte string", "4101", true },
    { "... cut off", "4201", false },
    { "... of a long length", "580101", false },
    { "... of no definite length", "5f4101ff", false },
    { "a text", "6161", true },
    { "... of no definite length", "7f6161ff", false },
    { "an array", "820102", true },
    { "... one element short", "8201", false },
    { "... of no definite length", "9f0102ff", false },
    { "... with more elements than bytes", "9affffffff01", false },
    { "a map", "a201020304", true },
    { "... with a key without value", "a2010203", false },
    { "... with keys in another order", "a203040102", false },
    { "... with a key twice", "a201020103", false },
    { "... of no definite length", "bf0102ff", false },
    { "... with more pairs than bytes", "bb800000000000000001", false },
    { "keys by their encodings", "a41818000a0020006161f6", false },
    { "... in order", "a40a00181800200061610a", true },
    { "a key that is an array", "a1810100", false },
    { "a key that is a string of bytes", "a1410100", true },
    { "a tag", "c101", true },
    { "... without content", "c1", false },
    { "false, true, null", "83f4f5f6", true },
    { "undefined", "f7", false },
    { "a simple value", "e0", false },
    { "a float", "f93c00", false },
    { "a double", "fb3ff0000000000000", false },
    { "a break alone", "ff", false },
    { "nothing", "", false },
    { "eight levels", "818181818181818101", true },
    { "nine levels", "81818181818181818101", false },
    { "maps in maps", "a101a2018102028103", true },
};

static void an_item_is_read_whole_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(items); i++) {
        nacre_bytes in = test_hex(items[i].hex);
        nacre__reader r = nacre__reader_of(in);
        nacre_bytes item = nacre__cbor_read_item(&r);
        bool good = !r.bad && nacre__left(&r) == 0;
        if (good != items[i].good) fail_msg("%s", items[i].name);
        assert_int_equal(item.len, good ? in.len : 0);
        if (!good) continue;
        nacre_bytes longer = test_join(in, test_hex("00"));
        r = nacre__reader_of(longer);
        assert_int_equal(nacre__cbor_read_item(&r).len, in.len); /* the rest is left */
        assert_false(r.bad);
        for (size_t len = 0; len < in.len; len++) {
            r = nacre__reader_of(test_copy(nacre_bytes_of(in.ptr, len)));
            (void)nacre__cbor_read_item(&r);
            assert_true(r.bad);
        }
    }
}

static const struct {
    const char *hex;
    bool good;
    int32_t value;
} numbers[] = {
    { "00", true, 0 },
    { "37", true, -24 },
    { "1a7fffffff", true, INT32_MAX },
    { "1a80000000", false, 0 },
    { "3a7fffffff", true, INT32_MIN },
    { "3a80000000", false, 0 },
    { "1b0000000100000000", false, 0 },
    { "40", false, 0 },
    { "f6", false, 0 },
};

static void a_number_is_read_if_it_fits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        nacre__reader r = nacre__reader_of(test_hex(numbers[i].hex));
        int32_t value = nacre__cbor_read_int(&r);
        assert_int_equal(!r.bad, numbers[i].good);
        assert_int_equal(value, numbers[i].value);
    }
}

static void strings_and_sizes_are_of_their_type(void **state)
{
    (void)state;
    nacre__reader r = nacre__reader_of(test_hex("420102"));
    assert_bytes(nacre__cbor_read_string(&r, NACRE__CBOR_BYTES), test_hex("0102"));
    r = nacre__reader_of(test_hex("420102"));
    assert_int_equal(nacre__cbor_read_string(&r, NACRE__CBOR_TEXT).len, 0);
    assert_true(r.bad);
    r = nacre__reader_of(test_hex("820102"));
    assert_int_equal(nacre__cbor_read_size(&r, NACRE__CBOR_ARRAY), 2);
    r = nacre__reader_of(test_hex("820102"));
    assert_int_equal(nacre__cbor_read_size(&r, NACRE__CBOR_MAP), 0);
    assert_true(r.bad);
    r = nacre__reader_of(test_hex("5bffffffffffffffff00")); /* a length above any memory */
    assert_int_equal(nacre__cbor_read_string(&r, NACRE__CBOR_BYTES).len, 0);
    assert_true(r.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_item_is_read_whole_or_refused),
        TEST(a_number_is_read_if_it_fits),
        TEST(strings_and_sizes_are_of_their_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
