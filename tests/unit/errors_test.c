/* SPDX-License-Identifier: MIT */
/* errors_test: names, texts and CoAP responses come from one list. */
#include "support.h"

static const struct {
    const char *name;
    nacre_err err;
    int coap;
    const char *text;
} list[] = {
#define ROW(name, value, coap, text) { "NACRE_ERR_" #name, NACRE_ERR_##name, coap, text },
    NACRE_ERR_MAP(ROW)
#undef ROW
};

static void each_error_matches_the_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(list); i++) {
        assert_string_equal(nacre_err_name(list[i].err), list[i].name);
        assert_string_equal(nacre_err_text(list[i].err), list[i].text);
        assert_int_equal(nacre_err_coap_code(list[i].err), list[i].coap);
    }
}

static void error_values_are_unique_and_in_their_band(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(list); i++) {
        assert_true(list[i].err <= -101 && list[i].err > -600);
        for (size_t j = 0; j < i; j++) assert_int_not_equal(list[i].err, list[j].err);
    }
}

/* RFC 8613 8.2 step 2, step 6, 7.4: the responses and the diagnostic payloads. */
static void rfc_8613_defines_four_error_responses(void **state)
{
    (void)state;
    static const struct {
        nacre_err err;
        uint8_t code;
        const char *text;
    } rows[] = {
        { NACRE_ERR_DECODE, NACRE_BAD_OPTION, "Failed to decode COSE" },
        { NACRE_ERR_NO_CONTEXT, NACRE_UNAUTHORIZED, "Security context not found" },
        { NACRE_ERR_REPLAY, NACRE_UNAUTHORIZED, "Replay detected" },
        { NACRE_ERR_PROTECTION_INVALID, NACRE_BAD_REQUEST, "Decryption failed" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(nacre_err_coap_code(rows[i].err), rows[i].code);
        assert_string_equal(nacre_err_text(rows[i].err), rows[i].text);
    }
}

static void success_and_unlisted_values_have_defaults(void **state)
{
    (void)state;
    assert_string_equal(nacre_err_name(NACRE_OK), "NACRE_OK");
    assert_int_equal(nacre_err_coap_code(NACRE_OK), 0);
    nacre_err stray = (nacre_err)-100;
    assert_string_equal(nacre_err_name(stray), "NACRE_ERR_?");
    assert_string_equal(nacre_err_text(stray), "unknown error");
    assert_int_equal(nacre_err_coap_code(stray), 0);
}

static void protection_invalid_errors_are_grouped(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(list); i++) {
        nacre_err e = list[i].err;
        bool family = e == NACRE_ERR_DECODE || e == NACRE_ERR_REPLAY || e == NACRE_ERR_REPLAY_ECHO ||
                      e == NACRE_ERR_PROTECTION_INVALID;
        assert_int_equal(nacre_err_is_protection_invalid(e), family);
    }
    assert_false(nacre_err_is_protection_invalid(NACRE_OK));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_error_matches_the_list),           TEST(error_values_are_unique_and_in_their_band),
        TEST(rfc_8613_defines_four_error_responses), TEST(success_and_unlisted_values_have_defaults),
        TEST(protection_invalid_errors_are_grouped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
