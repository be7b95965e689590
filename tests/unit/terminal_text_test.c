/* SPDX-License-Identifier: MIT */
/* terminal_text_test: text from peers cannot control the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/hosted/detail.h"
#include "base/hosted/visible.h"

static const struct {
    const char *text, *expected;
} rows[] = {
    { "", "" },
    { "plain ~ text", "plain ~ text" },
    { "gr\xc3\xbc\xc3\x9f \xe4\xb8\xad \xf0\x9f\x90\x9a", "gr\xc3\xbc\xc3\x9f \xe4\xb8\xad \xf0\x9f\x90\x9a" },
    { "\xc2\xa0", "\xc2\xa0" },
    { "a\x1b[31m\r\n\x7f", "a?[31m???" },
    { "\xc2\x9b"
      "31m\xc2\x80\xc2\x9f",
      "??31m????" }, /* C1: CSI */
    { "\x9b"
      "31m\x80\xff",
      "?31m??" }, /* … as a terminal with single-byte characters reads it */
    { "\xe2\x80\xae"
      "fdp\xe2\x81\xa6\xe2\x80\x8f\xd8\x9c",
      "???fdp????????" },                                                   /* directional controls */
    { "\xe2\x80\xa8\xe2\x80\xa9", "??????" },                               /* line and paragraph separator */
    { "\xc0\xaf\xe0\x80\xaf\xed\xa0\x80\xf4\x90\x80\x80", "????????????" }, /* overlong, a surrogate, above U+10FFFF */
    { "cut \xe4\xb8", "cut ??" },
};

static void control_characters_are_replaced(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[64];
        strcpy(text, rows[i].text);
        nacre__make_visible(text);
        assert_string_equal(text, rows[i].expected);
    }
}

static void details_are_made_visible(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_detail why;
        assert_int_equal(nacre__fail(&why, NACRE_ERR_FILE, "%s", rows[i].text), NACRE_ERR_FILE);
        assert_string_equal(why.text, rows[i].expected);
    }
}

static void a_character_that_is_cut_at_the_end_of_a_detail_is_omitted(void **state)
{
    (void)state;
    nacre_detail why;
    (void)nacre__fail(&why, NACRE_ERR_FILE, "%510s\xe4\xb8\xad", "x");
    assert_string_equal(why.text + 509, "x?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_are_replaced),
        cmocka_unit_test(details_are_made_visible),
        cmocka_unit_test(a_character_that_is_cut_at_the_end_of_a_detail_is_omitted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
