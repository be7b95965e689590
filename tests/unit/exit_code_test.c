/* SPDX-License-Identifier: MIT */
/* exit_code_test: the command line's exit codes. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): the table is the tool's, which is no library */
#include "../../tools/nacre/exit_code.c"
#include "support.h"

static const nacre_err errors[] = {
#define ROW(name, value, coap, text) NACRE_ERR_##name,
    NACRE_ERR_MAP(ROW)
#undef ROW
};

static void each_error_has_one_row_with_a_failure_code(void **state)
{
    (void)state;
    assert_int_equal(COUNT(exit_codes), COUNT(errors));
    for (size_t i = 0; i < COUNT(errors); i++) {
        size_t rows = 0;
        for (size_t j = 0; j < COUNT(exit_codes); j++) rows += exit_codes[j].err == errors[i];
        assert_int_equal(rows, 1);
        assert_in_range(tool_exit_code(errors[i]), TOOL_PEER_ERROR, TOOL_LOCAL);
    }
}

static void success_is_0_and_an_unknown_error_is_local(void **state)
{
    (void)state;
    assert_int_equal(tool_exit_code(NACRE_OK), TOOL_OK);
    assert_int_equal(tool_exit_code((nacre_err)-100), TOOL_LOCAL);
}

static void untrusted_messages_and_timeouts_have_different_codes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(errors); i++)
        if (nacre_err_is_protection_invalid(errors[i])) assert_int_equal(tool_exit_code(errors[i]), TOOL_SECURITY);
    assert_int_equal(tool_exit_code(NACRE_ERR_NO_CONTEXT), TOOL_SECURITY);
    assert_int_equal(tool_exit_code(NACRE_ERR_TIMEOUT), TOOL_NO_RESPONSE);
    assert_int_equal(tool_exit_code(NACRE_ERR_RESET), TOOL_PEER_ERROR);
    assert_int_equal(tool_exit_code(NACRE_ERR_BAD_URI), TOOL_USAGE);
    assert_int_equal(tool_exit_code(NACRE_ERR_FILE), TOOL_LOCAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_error_has_one_row_with_a_failure_code),
        TEST(success_is_0_and_an_unknown_error_is_local),
        TEST(untrusted_messages_and_timeouts_have_different_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
