/* SPDX-License-Identifier: MIT */
/* codes_test: which codes are requests, which are responses, and their names. */
#include "support.h"

static void codes_are_requests_or_responses(void **state)
{
    (void)state;
    for (int code = 0; code < 256; code++) {
        assert_int_equal(nacre_code_is_request((uint8_t)code), code >= 0x01 && code <= 0x1f);
        assert_int_equal(nacre_code_is_response((uint8_t)code), code >= 0x40 && code <= 0xbf);
        /* RFC 7252 5.1, RFC 8132 2 */
        assert_int_equal(nacre_code_is_safe((uint8_t)code), code == 0x01 || code == 0x05);
    }
}

static void codes_have_names(void **state)
{
    (void)state;
    static const struct {
        uint8_t code;
        const char *name;
    } rows[] = {
        { NACRE_GET, "GET" },
        { NACRE_FETCH, "FETCH" },
        { NACRE_IPATCH, "iPATCH" },
        { NACRE_CONTENT, "2.05 Content" },
        { NACRE_CONTINUE, "2.31 Continue" },
        { NACRE_UNAUTHORIZED, "4.01 Unauthorized" },
        { NACRE_TOO_LARGE, "4.13 Request Entity Too Large" },
        { NACRE_CODE(0, 31), "0.31" },
        { NACRE_CODE(7, 1), "7.01" },
        { 255, "7.31" },
    };
    char buf[5];
    for (size_t i = 0; i < COUNT(rows); i++) assert_string_equal(nacre_code_name(rows[i].code, buf), rows[i].name);
    for (int code = 0; code < 256; code++) assert_true(strlen(nacre_code_name((uint8_t)code, buf)) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(codes_are_requests_or_responses), TEST(codes_have_names) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
