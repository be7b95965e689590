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

static void test_every_error_says_what_the_list_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(list); i++) {
        assert_string_equal(nacre_err_name(list[i].err), list[i].name);
        assert_string_equal(nacre_err_text(list[i].err), list[i].text);
        assert_int_equal(nacre_err_coap_code(list[i].err), list[i].coap);
    }
}

static void test_values_are_unique_and_in_their_band(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(list); i++) {
        assert_true(list[i].err <= -101 && list[i].err > -600);
        for (size_t j = 0; j < i; j++) assert_int_not_equal(list[i].err, list[j].err);
    }
}

/* RFC 8613 8.2 step 2, step 6, 7.4: the responses and the diagnostic payloads. */
static void test_the_four_error_responses_of_rfc_8613(void **state)
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

static void test_success_and_values_of_no_list(void **state)
{
    (void)state;
    assert_string_equal(nacre_err_name(NACRE_OK), "NACRE_OK");
    assert_int_equal(nacre_err_coap_code(NACRE_OK), 0);
    nacre_err stray = (nacre_err)-100;
    assert_string_equal(nacre_err_name(stray), "NACRE_ERR_?");
    assert_string_equal(nacre_err_text(stray), "unknown error");
    assert_int_equal(nacre_err_coap_code(stray), 0);
}

static void test_the_family_of_untrusted_messages(void **state)
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
        TEST(test_every_error_says_what_the_list_says),  TEST(test_values_are_unique_and_in_their_band),
        TEST(test_the_four_error_responses_of_rfc_8613), TEST(test_success_and_values_of_no_list),
        TEST(test_the_family_of_untrusted_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
