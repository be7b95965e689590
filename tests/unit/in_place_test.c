/* SPDX-License-Identifier: MIT */
/* in_place_test: protect writes over its input where oscore.h allows it, with the same bytes as into another buffer; it
 * refuses what it cannot move and leaves the message unchanged. */
#include "support.h"

static const char with_host[] = "440100010a0b0c0d 3168 8161"; /* Uri-Host stays outside, Uri-Path goes inside */

static nacre_bytes apart(const nacre_message *plain)
{
    nacre_request_id id;
    return test_protect_request(test_context_of(3, TEST_CLIENT), &id, plain);
}

static nacre_err into(nacre_buf buf, const nacre_message *plain, nacre_bytes *out)
{
    nacre_request_id id;
    return nacre_protect_request(test_context_of(3, TEST_CLIENT), test_crypto(), &id, out, buf, plain, NULL);
}

static void a_payload_may_lie_anywhere_in_the_buffer(void **unused)
{
    (void)unused;
    for (size_t len = 0; len <= 40; len += 8) {
        for (size_t offset = 0; offset <= 60; offset++) {
            nacre_message m = test_message(with_host);
            uint8_t payload[40];
            for (size_t i = 0; i < len; i++) payload[i] = (uint8_t)i;
            m.payload = nacre_bytes_of(payload, len);
            nacre_bytes expected = apart(&m), out = NACRE_ABSENT;
            size_t least = offset + len;
            nacre_buf buf = test_buf(least > expected.len ? least : expected.len);
            memcpy(buf.ptr + offset, payload, len);
            m.payload = nacre_bytes_of(buf.ptr + offset, len);
            assert_ok(into(buf, &m, &out));
            assert_bytes(out, expected);
            test_release(NULL);
        }
    }
}

static void a_message_may_lie_at_the_start_of_the_buffer(void **unused)
{
    (void)unused;
    static const char *const rows[] = {
        "44010001 0a0b0c0d b161 0162 ff 68656c6c6f", "40010001 b161", "40010001 ff 01", "40010001",
        "48020001 0102030405060708 b161 ff 00",      "41010001 aa"
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_bytes datagram = test_hex(rows[i]), out = NACRE_ABSENT;
        nacre_message plain = test_parse(datagram);
        nacre_bytes expected = apart(&plain);
        nacre_buf buf = test_buf(expected.len);
        memcpy(buf.ptr, datagram.ptr, datagram.len);
        nacre_message m;
        assert_ok(nacre_message_parse(&m, nacre_bytes_of(buf.ptr, datagram.len)));
        assert_err_row(rows[i], into(buf, &m, &out), NACRE_OK);
        assert_bytes_row(rows[i], out, expected);
    }
}

static void an_unmovable_message_is_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *row, *datagram;
        size_t at;
        nacre_err err;
    } rows[] = {
        { "inner options only", "440100010a0b0c0d b161", 0, NACRE_OK },
        { "a Uri-Host", "440100010a0b0c0d 3168 8161", 0, NACRE_ERR_BAD_ARGUMENT },
        { "an Observe", "440100010a0b0c0d 60 5161", 0, NACRE_ERR_BAD_ARGUMENT },
        { "not at the start", "440100010a0b0c0d b161", 1, NACRE_ERR_BAD_ARGUMENT },
        { "a Proxy-Uri", "440100010a0b0c0d da16 636f61703a2f2f682f61", 0, NACRE_ERR_BAD_ARGUMENT },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_bytes datagram = test_hex(rows[i].datagram), out = NACRE_ABSENT;
        nacre_buf buf = test_buf(400);
        memcpy(buf.ptr + rows[i].at, datagram.ptr, datagram.len);
        nacre_message m, copy = test_parse(datagram);
        assert_ok(nacre_message_parse(&m, nacre_bytes_of(buf.ptr + rows[i].at, datagram.len)));
        assert_err_row(rows[i].row, into(buf, &m, &out), rows[i].err);
        if (rows[i].err != NACRE_OK) assert_memory_equal(buf.ptr + rows[i].at, datagram.ptr, datagram.len);
        assert_err_row(rows[i].row, into(test_buf(400), &copy, &out), NACRE_OK); /* it succeeds into another buffer */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_payload_may_lie_anywhere_in_the_buffer),
        TEST(a_message_may_lie_at_the_start_of_the_buffer),
        TEST(an_unmovable_message_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
