/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* message_test: datagrams parsed into views, and written back (RFC 7252 3, RFC 8974 2.1). */
#include "support.h"

/* Each malformed row is followed by a well-formed one that differs in what the name says. */
static const struct {
    const char *name, *hex;
    nacre_err err;
} rows[] = {
    { "nothing at all", "", NACRE_ERR_MALFORMED },
    { "three bytes", "400112", NACRE_ERR_MALFORMED },
    { "four bytes", "40011234", NACRE_OK },
    { "version 0", "00011234", NACRE_ERR_MALFORMED },
    { "version 2", "80011234", NACRE_ERR_MALFORMED },
    { "version 3", "c0011234", NACRE_ERR_MALFORMED },
    { "empty message", "40001234", NACRE_OK },
    { "empty message with a token", "4100123401", NACRE_ERR_MALFORMED },
    { "empty message that names a token", "41001234", NACRE_ERR_MALFORMED },
    { "empty message with an option", "4000123410", NACRE_ERR_MALFORMED },
    { "empty message with a payload", "40001234ff00", NACRE_ERR_MALFORMED },
    { "token cut off", "4201123401", NACRE_ERR_MALFORMED },
    { "token whole", "420112340102", NACRE_OK },
    { "TKL 8", "480112340102030405060708", NACRE_OK },
    { "TKL 9, token of 9, one short", "490112340102030405060708", NACRE_ERR_MALFORMED },
    { "TKL 9, token of 9", "49011234010203040506070809", NACRE_OK },
    { "TKL 12, token of 12", "4c0112340102030405060708090a0b0c", NACRE_OK },
    { "TKL 15 is reserved", "4f0112340102030405060708090a0b0c0d0e0f", NACRE_ERR_MALFORMED },
    { "TKL 13 without its length byte", "4d011234", NACRE_ERR_MALFORMED },
    { "TKL 13, token of 13, one short", "4d011234 00 000102030405060708091011", NACRE_ERR_MALFORMED },
    { "TKL 13, token of 13", "4d011234 00 00010203040506070809101112", NACRE_OK },
    { "TKL 14 with half of its length", "4e01123400", NACRE_ERR_MALFORMED },
    { "marker without payload", "40011234ff", NACRE_ERR_MALFORMED },
    { "marker with payload", "40011234ff00", NACRE_OK },
    { "marker with payload ff", "40011234ffff", NACRE_OK },
    { "option value cut off", "40011234 b37476", NACRE_ERR_MALFORMED },
    { "option value whole", "40011234 b3747631", NACRE_OK },
    { "delta 15", "40011234f0", NACRE_ERR_MALFORMED },
    { "length 15", "400112341f", NACRE_ERR_MALFORMED },
    { "delta 13 without its byte", "40011234d0", NACRE_ERR_MALFORMED },
    { "delta 13 with its byte", "40011234d000", NACRE_OK },
    { "delta 14 with one byte", "40011234e000", NACRE_ERR_MALFORMED },
    { "delta 14 with two bytes", "40011234e00000", NACRE_OK },
    { "length 13 without its byte", "400112341d", NACRE_ERR_MALFORMED },
    { "length 13, value of 13, one short", "40011234 1d00 000102030405060708091011", NACRE_ERR_MALFORMED },
    { "length 13, value of 13", "40011234 1d00 00010203040506070809101112", NACRE_OK },
    { "length 14 with one byte", "400112341e00", NACRE_ERR_MALFORMED },
    { "option number 65535", "40011234e0fef2", NACRE_OK },
    { "option number 65536", "40011234e0fef3", NACRE_ERR_MALFORMED },
    { "option number 65535 by two deltas", "40011234e0fef110", NACRE_OK },
    { "option number 65536 by two deltas", "40011234e0fef120", NACRE_ERR_MALFORMED },
    { "second option malformed", "4001123410f0", NACRE_ERR_MALFORMED },
};

static void malformed_datagrams_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_message m, before;
        memset(&m, 0x77, sizeof m);
        memcpy(&before, &m, sizeof m);
        assert_err_row(rows[i].name, nacre_message_parse(&m, test_hex(rows[i].hex)), rows[i].err);
        if (rows[i].err) assert_memory_equal(&m, &before, sizeof m);
    }
    nacre_message m;
    assert_err(nacre_message_parse(&m, NACRE_ABSENT), NACRE_ERR_MALFORMED);
}

static void parse_returns_every_part(void **state)
{
    (void)state;
    nacre_message m = test_message("64455d1f00003974c0ff48656c6c6f");
    assert_int_equal(m.type, NACRE_ACK);
    assert_int_equal(m.code, NACRE_CONTENT);
    assert_int_equal(m.mid, 0x5d1f);
    assert_bytes(m.token, test_hex("00003974"));
    assert_bytes(m.options, test_hex("c0"));
    assert_bytes(m.payload, NACRE_STR("Hello"));
}

/* An 0xff inside an option value, a token or a payload is no payload marker. */
static void a_marker_byte_elsewhere_is_no_marker(void **state)
{
    (void)state;
    nacre_message m = test_message("41011234ff b3ffffff d1f2ff ff ffff");
    assert_bytes(m.token, test_hex("ff"));
    assert_bytes(nacre_option_find(m.options, NACRE_OPT_URI_PATH), test_hex("ffffff"));
    assert_bytes(nacre_option_find(m.options, 11 + 13 + 0xf2), test_hex("ff"));
    assert_bytes(m.payload, test_hex("ffff"));
    assert_bytes(test_datagram(&m), test_hex("41011234ff b3ffffff d1f2ff ff ffff"));
}

/* RFC 7252 3: a datagram truncated at any byte is read to its end and no further. The rest may be well-formed. */
static void truncated_datagrams_are_not_read_past_their_end(void **state)
{
    (void)state;
    nacre_bytes whole = test_hex(
        "48011234 0102030405060708 3b6578616d706c652e636f6d 83747631 ed0100056162636465666768696a6b6c6d6e6f707172 "
        "ff 0102");
    (void)test_parse(whole);
    for (size_t len = 0; len < whole.len; len++) {
        nacre_message m;
        nacre_bytes cut = test_copy(nacre_bytes_of(whole.ptr, len));
        if (nacre_message_parse(&m, cut)) continue;
        assert_bytes(test_datagram(&m), cut);
    }
}

static void every_token_length_round_trips(void **state)
{
    (void)state;
    static const size_t lengths[] = { 0,  1,  2,  3,  4,  5,   6,   7,   8,   9,     10,
                                      11, 12, 13, 14, 20, 268, 269, 270, 300, 65803, 65804 };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        nacre_message m = test_request(NACRE_GET, test_options(11, "747631", 0), test_hex("aa"));
        m.token = test_fill(0xff, lengths[i]);
        nacre_message back = test_parse(test_datagram(&m));
        assert_bytes(back.token, m.token);
        assert_bytes(back.options, m.options);
        assert_bytes(back.payload, m.payload);
        (void)test_release(NULL);
    }
}

static void every_header_round_trips(void **state)
{
    (void)state;
    for (int type = 0; type <= 3; type++)
        for (int code = 1; code < 256; code++) {
            nacre_message m = { (uint8_t)type, (uint8_t)code, (uint16_t)(code * 257),
                                NACRE_ABSENT,  NACRE_ABSENT,  NACRE_ABSENT };
            uint8_t bytes[4];
            nacre_bytes out;
            assert_ok(nacre_message_write(&m, &out, NACRE_BUF(bytes)));
            nacre_message back = test_parse(out);
            assert_int_equal(back.type, type);
            assert_int_equal(back.code, code);
            assert_int_equal(back.mid, m.mid);
        }
}

static void write_needs_exactly_its_size(void **state)
{
    (void)state;
    nacre_message m = test_request(NACRE_PUT, test_options(11, "747631", 60, "10", 0), test_hex("0102030405"));
    size_t size = nacre_message_size(&m);
    for (size_t cap = 0; cap <= size + 1; cap++) {
        nacre_buf buf = test_buf(cap);
        nacre_bytes out = NACRE_STR("unchanged"), before = out;
        assert_err(nacre_message_write(&m, &out, buf), cap < size ? NACRE_ERR_BUFFER_TOO_SMALL : NACRE_OK);
        if (cap >= size) {
            assert_ptr_equal(out.ptr, buf.ptr);
            assert_int_equal(out.len, size);
        } else {
            assert_bytes(out, before);
            assert_true(test_buf_is_untouched(buf));
        }
    }
}

static void write_refuses_messages_without_an_encoding(void **state)
{
    (void)state;
    nacre_message good = test_request(NACRE_GET, NACRE_ABSENT, NACRE_ABSENT), m;
    nacre_buf buf = test_buf(70000);
    nacre_bytes out = NACRE_ABSENT;
    assert_ok(nacre_message_write(&good, &out, buf));
    m = good, m.type = 4;
    assert_err(nacre_message_write(&m, &out, buf), NACRE_ERR_BAD_ARGUMENT);
    m = good, m.token = test_fill(1, 65804);
    assert_ok(nacre_message_write(&m, &out, buf));
    m = good, m.token = test_fill(1, 65805);
    assert_err(nacre_message_write(&m, &out, buf), NACRE_ERR_TOO_LONG);
    for (size_t len = 9; len <= 13; len++) { /* RFC 8974 2.1: up to 12 the field is the length itself */
        m = good, m.token = test_fill(1, len);
        assert_ok(nacre_message_write(&m, &out, buf));
        assert_int_equal(out.ptr[0], 0x40 + len);
        assert_int_equal(out.len, 4 + len + (len == 13));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(malformed_datagrams_are_refused),      TEST(parse_returns_every_part),
        TEST(a_marker_byte_elsewhere_is_no_marker), TEST(truncated_datagrams_are_not_read_past_their_end),
        TEST(every_token_length_round_trips),       TEST(every_header_round_trips),
        TEST(write_needs_exactly_its_size),         TEST(write_refuses_messages_without_an_encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
