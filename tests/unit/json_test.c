/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* json_test: what the strict reader accepts and refuses, and where it reports the fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/json/json.h"

/* The text is copied into a heap buffer of exactly its size, so that AddressSanitizer detects a read past its end. */
static nacre_err parse_bytes(nacre__json_doc *doc, const void *bytes, size_t len, nacre_detail *why)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    if (len > 0) memcpy(copy, bytes, len);
    nacre_err err = nacre__json_parse(doc, nacre_bytes_of(copy, len), "file", NACRE_ERR_BAD_CONTEXT, why);
    free(copy);
    return err;
}

static void texts_are_accepted_or_refused(void **state)
{
    (void)state;
    /* Refused rows name a part of the error text; NULL: accepted. Each has a neighbour that differs in one thing. */
    static const struct {
        const char *text, *says;
    } rows[] = {
        { "{}", NULL },
        { " \t\r\n{} \r\n", NULL },
        { "", "line 1: empty" },
        { " \n ", "line 2: empty" },
        { "{} {}", "trailing garbage" },
        { "{}x", "found 'x' at byte 2" },
        { "{", "found the end of the file" },
        { "\xef\xbb\xbf{}", "byte order mark" },
        { "{\"a\": 1}", NULL },
        { "{\"a\": 1,}", "line 1: not JSON" },
        { "{\"a\" 1}", "not JSON" },
        { "{a: 1}", "found 'a' at byte 1" },
        { "{'a': 1}", "not JSON" },
        { "{\"a\": 1, \"b\": 2}", NULL },
        { "{\"a\": 1,\n\"a\": 1}", "line 2: \"a\" is there twice" },
        { "{\"a\": 1,\n\"b\":\n2, \"\\u0061\": 1}", "line 3: \"a\" is there twice" },
        { "{\"a\": {\"b\": 1}, \"b\": 1}", NULL },
        { "{\"a\": {\"b\": 1, \"b\": 1}}", "\"b\" is there twice" },
        { "{\"a\": {}, \"A\": 1, \"\": 1}", NULL },
        { "{\"\": 1, \"\": 1}", "\"\" is there twice" },
        { "[1, -1, 0, 1.5, 1e9, 1E-9]", NULL },
        { "[01]", "not JSON" },
        { "[+1]", "not JSON" },
        { "[1.]", "not JSON" },
        { "[.5]", "not JSON" },
        { "[0x10]", "not JSON" },
        { "[NaN]", "not JSON" },
        { "[1 2]", "not JSON" },
        { "[true, false, null]", NULL },
        { "[True]", "not JSON" },
        { "[nul]", "not JSON" },
        { "[\"\\u00e9 \xc3\xa9 \\n \\\" \\\\\"]", NULL },
        { "[\"\n\"]", "not JSON" },
        { "[\"\\x41\"]", "not JSON" },
        { "[\"\\u00e\"]", "not JSON" },
        { "[\"a]", "found the end of the file" },
        { "[\"\xff\"]", "not UTF-8 (byte 2)" },
        { "[\"\xc0\x80\"]", "not UTF-8" },     /* NUL, longer than needed */
        { "[\"\xe0\x9f\xbf\"]", "not UTF-8" }, /* longer than needed */
        { "[\"\xe0\xa0\x80\"]", NULL },
        { "[\"\xed\xa0\x80\"]", "not UTF-8" }, /* a surrogate */
        { "[\"\xed\x9f\xbf\"]", NULL },
        { "[\"\xf0\x8f\xbf\xbf\"]", "not UTF-8" }, /* longer than needed */
        { "[\"\xf0\x90\x80\x80\"]", NULL },
        { "[\"\xf4\x8f\xbf\xbf\"]", NULL },
        { "[\"\xf4\x90\x80\x80\"]", "not UTF-8" }, /* above U+10FFFF */
        { "[\"\xc3\"]", "not UTF-8" },             /* cut off */
        { "[\"\\ud83d\\ude00\"]", NULL },
        { "[\"\\uD83D\\uDE00\"]", NULL },
        { "[\"\\ud83d\"]", "half a surrogate pair" },
        { "[\"\\ude00\"]", "half a surrogate pair" },
        { "[\"\\ud83dx\"]", "half a surrogate pair" },
        { "[\"\\ud83d\\u0041\"]", "half a surrogate pair" },
        { "[\"\\ud83d\\ud83d\"]", "half a surrogate pair" },
        { "[\"\\\\ud83d\"]", NULL }, /* a backslash and letters */
        { "[\"\\u0000\"]", "line 1: a NUL in a string" },
        { "[\"\\u0001\"]", NULL },
        { "{\"a\\u0000\": 1}", "a NUL in a member's name" },
        { "// remark\n{}", "not JSON" },
        { "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", NULL },               /* 16 */
        { "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "deeper than 16" }, /* 17 */
        { "{\"a\": 1}\n\n\n}", "line 4: not JSON" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre__json_doc doc;
        nacre_detail why = { "" };
        nacre_err err = parse_bytes(&doc, rows[i].text, strlen(rows[i].text), &why);
        if (rows[i].says == NULL && err != NACRE_OK) fail_msg("row %zu: %s", i, why.text);
        if (rows[i].says != NULL && (err != NACRE_ERR_BAD_CONTEXT || strstr(why.text, rows[i].says) == NULL))
            fail_msg("row %zu: %s", i, why.text);
        if (err != NACRE_OK) assert_null(doc.root);
        nacre__json_free(&doc);
    }
}

static void a_nul_byte_is_refused(void **state)
{
    (void)state;
    nacre__json_doc doc;
    nacre_detail why;
    assert_int_equal(parse_bytes(&doc, "{}\0", 3, &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "a NUL byte (byte 2)"));
    assert_int_equal(parse_bytes(&doc, "[\"a\0\"]", 6, &why), NACRE_ERR_BAD_CONTEXT);
    assert_int_equal(parse_bytes(&doc, "[\"ab\"]", 6, &why), NACRE_OK);
    nacre__json_free(&doc);
}

static void the_tree_holds_every_value(void **state)
{
    (void)state;
    static const char text[] = "{\"n\": 340282366920938463463374607431768211456,\n\"s\": \"a\\u00e9\\n\",\n"
                               "\"o\": {\"t\": true, \"f\": false, \"z\": null},\n\"a\": [1, [], {}]}";
    nacre__json_doc doc;
    assert_int_equal(parse_bytes(&doc, text, strlen(text), NULL), NACRE_OK);
    const nacre__json *root = doc.root;
    assert_int_equal(root->type, NACRE__JSON_OBJECT);
    assert_int_equal(root->num_children, 4);

    const nacre__json *n = nacre__json_member(root, "n");
    assert_int_equal(n->type, NACRE__JSON_NUMBER);
    assert_string_equal(n->text, "340282366920938463463374607431768211456"); /* 2^128, not rounded */
    assert_int_equal(n->line, 1);

    const nacre__json *s = nacre__json_member(root, "s");
    assert_int_equal(s->len, 4);
    assert_string_equal(s->text, "a\xc3\xa9\n");
    assert_int_equal(s->line, 2);

    const nacre__json *o = nacre__json_member(root, "o");
    assert_true(nacre__json_member(o, "t")->truth);
    assert_false(nacre__json_member(o, "f")->truth);
    assert_int_equal(nacre__json_member(o, "z")->type, NACRE__JSON_NULL);
    assert_null(nacre__json_member(o, "n"));
    assert_null(nacre__json_member(n, "n"));

    const nacre__json *a = nacre__json_member(root, "a");
    assert_int_equal(a->num_children, 3);
    assert_string_equal(a->first->text, "1");
    assert_int_equal(a->first->next->type, NACRE__JSON_ARRAY);
    assert_int_equal(a->first->next->next->type, NACRE__JSON_OBJECT);
    assert_null(a->first->next->next->next);
    assert_string_equal(nacre__json_type_name(a), "an array");
    nacre__json_free(&doc);
    nacre__json_free(&doc); /* freeing twice is allowed */
}

/* Truncated at every byte, and with every byte changed, a text gets a verdict and is never read past its end. */
static void damaged_texts_get_a_verdict(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a_hex\": \"00\\u00e9\\ud83d\\ude00\xf0\x9f\x98\x80\", \"b\": [1.5e3, -2, {\"c\": null}]}";
    size_t len = sizeof text - 1;
    for (size_t cut = 0; cut < len; cut++) {
        nacre__json_doc doc;
        assert_int_equal(parse_bytes(&doc, text, cut, NULL), NACRE_ERR_BAD_CONTEXT);
    }
    for (size_t at = 0; at < len; at++) {
        for (unsigned value = 0; value < 256; value++) {
            char changed[sizeof text];
            nacre__json_doc doc;
            memcpy(changed, text, sizeof text);
            changed[at] = (char)value;
            nacre_err err = parse_bytes(&doc, changed, len, NULL);
            assert_true(err == NACRE_OK || err == NACRE_ERR_BAD_CONTEXT);
            nacre__json_free(&doc);
        }
    }
}

/* Tokens as long as a file may be, with and without escapes: the parser's own memory suffices for each. */
static void long_tokens_fit(void **state)
{
    (void)state;
    enum { LEN = 64 * 1024 };
    static const char *const units[] = { "a", "\\n", "\\u00e9", "\\ud83d\\ude00" };
    for (size_t u = 0; u < 4; u++) {
        char *text = malloc(LEN + 1);
        assert_non_null(text);
        size_t at = 0, unit_len = strlen(units[u]);
        text[at++] = '[';
        text[at++] = '"';
        for (; at + unit_len + 2 <= LEN; at += unit_len) memcpy(text + at, units[u], unit_len);
        text[at++] = '"';
        text[at++] = ']';
        nacre__json_doc doc;
        assert_int_equal(parse_bytes(&doc, text, at, NULL), NACRE_OK);
        nacre__json_free(&doc);
        free(text);
    }
}

/* A word with extra characters is refused at every length, and nothing is read past either end, in buffers of exact
 * size. Numbers of any length are accepted and kept to the last digit. */
static void words_and_numbers_of_every_length_are_read(void **state)
{
    (void)state;
    enum { LONGEST = 300 };
    static const char *const words[] = { "true", "false", "null" };
    char text[LONGEST];
    nacre__json_doc doc;
    for (size_t w = 0; w < 3; w++) {
        const size_t len = strlen(words[w]);
        for (size_t i = 0; i < LONGEST; i++) text[i] = words[w][i % len]; /* falsefalsefa... */
        for (size_t n = 1; n < LONGEST; n++) {
            assert_int_equal(parse_bytes(&doc, text, n, NULL), n == len ? NACRE_OK : NACRE_ERR_BAD_CONTEXT);
            nacre__json_free(&doc);
        }
        memset(text + len, words[w][len - 1], LONGEST - len); /* falseeeee... */
        for (size_t n = len; n < LONGEST; n++) {
            assert_int_equal(parse_bytes(&doc, text, n, NULL), n == len ? NACRE_OK : NACRE_ERR_BAD_CONTEXT);
            nacre__json_free(&doc);
        }
    }
    memset(text, '9', sizeof text);
    for (size_t n = 1; n < LONGEST; n++) {
        assert_int_equal(parse_bytes(&doc, text, n, NULL), NACRE_OK);
        assert_int_equal(doc.root->type, NACRE__JSON_NUMBER);
        assert_int_equal(doc.root->len, n);
        assert_memory_equal(doc.root->text, text, n);
        assert_int_equal(doc.root->text[n], '\0');
        nacre__json_free(&doc);
    }
}

static void many_members_are_read(void **state)
{
    (void)state;
    enum { NUM = 100000 };
    char *text = malloc(NUM * 16 + 2);
    assert_non_null(text);
    size_t at = 0;
    text[at++] = '{';
    for (int i = 0; i < NUM; i++) at += (size_t)sprintf(text + at, "%s\"m%d\":1", i > 0 ? "," : "", i);
    text[at++] = '}';
    nacre__json_doc doc;
    assert_int_equal(parse_bytes(&doc, text, at, NULL), NACRE_OK);
    assert_int_equal(doc.root->num_children, NUM);
    nacre__json_free(&doc);
    free(text);
}

static void secrets_stay_out_of_errors(void **state)
{
    (void)state;
    static const char *const texts[] = { "{\"secret_ascii\": \"sesame\" x}", "{\"secret_ascii\": \"sesame\\q\"}",
                                         "{\"secret_ascii\": \"sesame\", \"secret_ascii\": \"sesame\"}",
                                         "{\"secret_ascii\": \"sesame\\u0000\"}", "{\"secret_ascii\": \"sesame" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        nacre__json_doc doc;
        nacre_detail why;
        assert_int_equal(parse_bytes(&doc, texts[i], strlen(texts[i]), &why), NACRE_ERR_BAD_CONTEXT);
        assert_null(strstr(why.text, "ses"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_accepted_or_refused),
        cmocka_unit_test(a_nul_byte_is_refused),
        cmocka_unit_test(the_tree_holds_every_value),
        cmocka_unit_test(damaged_texts_get_a_verdict),
        cmocka_unit_test(long_tokens_fit),
        cmocka_unit_test(words_and_numbers_of_every_length_are_read),
        cmocka_unit_test(many_members_are_read),
        cmocka_unit_test(secrets_stay_out_of_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
