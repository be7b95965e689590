/* SPDX-License-Identifier: MIT */
/* uri_test: a coap URI is parsed and turned into options, and a request's path turned back (RFC 7252 6.1, 6.4, RFC
 * 3986). */
#include "support.h"

#include <stdio.h>

static nacre_bytes text_of(const char *text)
{
    return test_copy(nacre_bytes_of((const uint8_t *)text, strlen(text)));
}

/* Options as one line: "3=host 11=a". */
static const char *options_text(nacre_bytes options)
{
    char *text = test_alloc(4096), *at = text;
    nacre_option opt;
    *at = 0;
    for (nacre_option_iter it = nacre_option_begin(options); nacre_option_next(&it, &opt);) {
        uint64_t port;
        at += sprintf(at, "%s%u=", at == text ? "" : " ", opt.number);
        if (opt.number == NACRE_OPT_URI_PORT && nacre_option_uint(opt.value, &port))
            at += sprintf(at, "%u", (unsigned)port);
        else at += sprintf(at, "%.*s", (int)opt.value.len, opt.value.ptr ? (const char *)opt.value.ptr : "");
    }
    return text;
}

static void a_uri_becomes_options(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *options;
    } rows[] = {
        { "coap://example.com", "3=example.com" },
        { "coap://example.com/", "3=example.com" },
        { "COAP://EXAMPLE.com/", "3=example.com" }, /* RFC 7252 6.4 steps 2 and 5: lower case */
        { "coap://example.com:5683/", "3=example.com" },
        { "coap://example.com:/", "3=example.com" },
        { "coap://example.com:61616/", "3=example.com 7=61616" },
        { "coap://127.0.0.1/tv1", "11=tv1" },
        { "coap://127.0.0.1:1/tv1", "7=1 11=tv1" },
        { "coap://[::1]/tv1", "11=tv1" },
        { "coap://[2001:db8::2:1]:65535/tv1", "7=65535 11=tv1" },
        { "coap://256.0.0.1/", "3=256.0.0.1" }, /* no IPv4 address: a name */
        { "coap://1.2.3/", "3=1.2.3" },
        { "coap://h/a/b/c", "3=h 11=a 11=b 11=c" },
        { "coap://h/a/", "3=h 11=a 11=" },
        { "coap://h//", "3=h 11= 11=" },
        { "coap://h/%41%2f%20", "3=h 11=A/ " },
        { "coap://h/%7Esensors", "3=h 11=~sensors" },
        { "coap://h/a?q=1&r=2", "3=h 11=a 15=q=1 15=r=2" },
        { "coap://h?q", "3=h 15=q" },
        { "coap://h/?//&?%26", "3=h 15=// 15=?&" },
        { "coap://%68ost/", "3=host" },
        { "coap+tcp://h/a", "3=h 11=a" }, /* RFC 8323 8.1 */
        { "Coap+TCP://h:5683/a", "3=h 11=a" },
        { "coap+tcp://h:5684/a", "3=h 7=5684 11=a" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_uri uri;
        nacre_options o;
        nacre_bytes out;
        assert_err_row(rows[i].uri, nacre_uri_parse(&uri, text_of(rows[i].uri)), NACRE_OK);
        nacre_options_init(&o, test_buf(512));
        assert_err_row(rows[i].uri, nacre_uri_options(&o, &uri), NACRE_OK);
        assert_ok(nacre_options_finish(&o, &out));
        assert_string_equal(options_text(out), rows[i].options);
    }
}

static void parts_point_into_the_text(void **state)
{
    (void)state;
    nacre_uri uri;
    nacre_bytes text = text_of("coap://[fe80::1]:7/a/b?x#");
    text.len--;
    assert_ok(nacre_uri_parse(&uri, test_copy(text)));
    assert_bytes(uri.scheme, NACRE_STR("coap"));
    assert_bytes(uri.host, NACRE_STR("fe80::1"));
    assert_true(uri.host_is_ip && uri.has_port);
    assert_int_equal(uri.port, 7);
    assert_bytes(uri.path, NACRE_STR("/a/b"));
    assert_bytes(uri.query, NACRE_STR("x"));
    assert_ok(nacre_uri_parse(&uri, text_of("coap://h")));
    assert_int_equal(uri.port, 5683);
    assert_false(uri.has_port || uri.host_is_ip);
    assert_int_equal(uri.path.len, 0);
    assert_true(nacre_is_absent(uri.query));
    assert_ok(nacre_uri_parse(&uri, text_of("coap://h/?")));
    assert_false(nacre_is_absent(uri.query));
    assert_int_equal(uri.query.len, 0);
}

/* Each refused row has a neighbour among the accepted ones above. */
static void invalid_uris_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        nacre_err err;
    } rows[] = {
        { "", NACRE_ERR_BAD_URI },
        { "coap", NACRE_ERR_BAD_URI },
        { "coap:", NACRE_ERR_BAD_URI },
        { "coap:/", NACRE_ERR_BAD_URI },
        { "coap:/example.com/", NACRE_ERR_BAD_URI },
        { "//example.com/", NACRE_ERR_BAD_URI },
        { "example.com", NACRE_ERR_BAD_URI },
        { "/a/b", NACRE_ERR_BAD_URI },
        { "1coap://h/", NACRE_ERR_BAD_URI },
        { "coap://", NACRE_ERR_BAD_URI },
        { "coap:///a", NACRE_ERR_BAD_URI },
        { "coap://:5683/", NACRE_ERR_BAD_URI },
        { "coap://user@h/", NACRE_ERR_BAD_URI },
        { "coap://h:65536/", NACRE_ERR_BAD_URI },
        { "coap://h:99999999999999999999/", NACRE_ERR_BAD_URI },
        { "coap://h:0/", NACRE_ERR_BAD_URI },
        { "coap://h:1x/", NACRE_ERR_BAD_URI },
        { "coap://h:-1/", NACRE_ERR_BAD_URI },
        { "coap://[::1/", NACRE_ERR_BAD_URI },
        { "coap://[]/", NACRE_ERR_BAD_URI },
        { "coap://[::1]x/", NACRE_ERR_BAD_URI },
        { "coap://h/%4", NACRE_ERR_BAD_URI },
        { "coap://h/%", NACRE_ERR_BAD_URI },
        { "coap://h/%4g", NACRE_ERR_BAD_URI },
        { "coap://h/?%zz", NACRE_ERR_BAD_URI },
        { "coap://h/a#fragment", NACRE_ERR_BAD_URI },
        { "coap://h/a#", NACRE_ERR_BAD_URI },
        { "coap://h/a b", NACRE_ERR_BAD_URI },
        { "coap://h/a\"", NACRE_ERR_BAD_URI },
        { "coap://h/<a>", NACRE_ERR_BAD_URI },
        { "coap://h/\x7f", NACRE_ERR_BAD_URI },
        { "coap://h/\xc3\xa4", NACRE_ERR_BAD_URI },
        { "coaps://h/", NACRE_ERR_UNSUPPORTED },
        { "coaps+tcp://h/", NACRE_ERR_UNSUPPORTED },
        { "coap+ws://h/", NACRE_ERR_UNSUPPORTED },
        { "coap+tc://h/", NACRE_ERR_UNSUPPORTED },
        { "http://h/", NACRE_ERR_UNSUPPORTED },
        { "coapx://h/", NACRE_ERR_UNSUPPORTED },
        { "coa://h/", NACRE_ERR_UNSUPPORTED },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_uri uri, before;
        memset(&uri, 0x77, sizeof uri);
        memcpy(&before, &uri, sizeof uri);
        assert_err_row(rows[i].uri, nacre_uri_parse(&uri, text_of(rows[i].uri)), rows[i].err);
        assert_memory_equal(&uri, &before, sizeof uri);
    }
    nacre_uri uri;
    assert_err(nacre_uri_parse(&uri, test_copy(NACRE_STR("coap://h/\0a"))), NACRE_ERR_BAD_URI);
    assert_err(nacre_uri_parse(&uri, NACRE_ABSENT), NACRE_ERR_BAD_URI);
}

static nacre_err options_err(const char *text)
{
    nacre_uri uri;
    nacre_options o;
    assert_ok(nacre_uri_parse(&uri, text_of(text)));
    nacre_options_init(&o, test_buf(1024));
    return nacre_uri_options(&o, &uri);
}

static const char *long_uri(const char *prefix, size_t len)
{
    char *text = test_alloc(strlen(prefix) + len + 1);
    strcpy(text, prefix);
    memset(text + strlen(prefix), 'x', len);
    text[strlen(prefix) + len] = 0;
    return text;
}

static void segments_too_long_for_an_option_are_refused(void **state)
{
    (void)state;
    assert_err(options_err("coap://h/a/..b"), NACRE_OK);
    assert_err(options_err("coap://h/a/..."), NACRE_OK);
    assert_err(options_err("coap://h/a?.."), NACRE_OK);
    static const char *const prefixes[] = { "coap://", "coap://h/", "coap://h/?", "coap://h/a/", "coap://h/?a&" };
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        assert_err_row(prefixes[i], options_err(long_uri(prefixes[i], 255)), NACRE_OK);
        assert_err_row(prefixes[i], options_err(long_uri(prefixes[i], 256)), NACRE_ERR_BAD_URI);
    }
}

/* RFC 7252 6.4, RFC 3986 5.2.4; an empty last segment counts, except in the path "/". */
static void dot_segments_are_resolved_before_the_options(void **state)
{
    (void)state;
    static const struct {
        const char *path, *resolved;
    } rows[] = {
        { "/a/b/c/./../../g", "/a/g" },
        { "/a/../b", "/b" },
        { "/./b", "/b" },
        { "/a/.", "/a/" },
        { "/a/b/..", "/a/" },
        { "/a/..", "/" },
        { "/..", "/" },
        { "/./", "/" },
        { "/../../a", "/a" },
        { "/a/%2e%2E/b", "/b" },
        { "/a/.%2e/b/%2e", "/b/" },
        { "/a//../b", "/a/b" },
        { "/a/...", "/a/..." },
        { "/a/..b/.c", "/a/..b/.c" },
        { "/a/%252e%252e/b", "/a/%252e%252e/b" },
        { "//", "//" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t buf[64], expected[64];
        char text[64];
        nacre_uri uri;
        nacre_options o, e;
        nacre_bytes got, want;
        (void)snprintf(text, sizeof text, "coap://h%s", rows[i].path);
        assert_err(nacre_uri_parse(&uri, nacre_bytes_of((const uint8_t *)text, strlen(text))), NACRE_OK);
        nacre_options_init(&o, NACRE_BUF(buf));
        assert_err(nacre_uri_options(&o, &uri), NACRE_OK);
        assert_err(nacre_options_finish(&o, &got), NACRE_OK);
        char plain[64];
        (void)snprintf(plain, sizeof plain, "coap://h%s", rows[i].resolved);
        assert_err(nacre_uri_parse(&uri, nacre_bytes_of((const uint8_t *)plain, strlen(plain))), NACRE_OK);
        nacre_options_init(&e, NACRE_BUF(expected));
        assert_err(nacre_uri_options(&e, &uri), NACRE_OK);
        assert_err(nacre_options_finish(&e, &want), NACRE_OK);
        if (!nacre_bytes_equal(got, want)) fail_msg("%s is not %s", rows[i].path, rows[i].resolved);
    }
}

static void buffer_errors_stick(void **state)
{
    (void)state;
    nacre_uri uri;
    nacre_options o;
    nacre_bytes out;
    assert_ok(nacre_uri_parse(&uri, text_of("coap://host/a/b")));
    for (size_t cap = 0; cap <= 9; cap++) {
        nacre_options_init(&o, test_buf(cap));
        assert_ok(nacre_uri_options(&o, &uri));
        assert_err(nacre_options_finish(&o, &out), cap < 9 ? NACRE_ERR_BUFFER_TOO_SMALL : NACRE_OK);
    }
}

static void a_path_becomes_text(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second, *text; /* hex of up to two Uri-Path options */
    } rows[] = {
        { NULL, NULL, "/" },
        { "61", NULL, "/a" },
        { "61", "6263", "/a/bc" },
        { "61", "", "/a/" },
        { "2f", "25", "/%2F/%25" },
        { "00", "ff", "/%00/%FF" },
        { "2d2e5f7e", "3a40", "/-._~/:@" },
        { "2124262728292a2b2c3b3d", "203f", "/!$&'()*+,;=/%20%3F" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_bytes options = !rows[i].first    ? NACRE_ABSENT
                              : !rows[i].second ? test_options(3, "68", 11, rows[i].first, 15, "71", 0)
                                                : test_options(3, "68", 11, rows[i].first, 11, rows[i].second, 0);
        size_t needed = strlen(rows[i].text) + 1;
        for (size_t cap = 1; cap <= needed + 1; cap++) {
            char *buf = test_alloc(cap);
            assert_err_row(rows[i].text, nacre_path_text(options, buf, cap),
                           cap < needed ? NACRE_ERR_BUFFER_TOO_SMALL : NACRE_OK);
            assert_string_equal(buf, cap < needed ? "" : rows[i].text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_uri_becomes_options),
        TEST(parts_point_into_the_text),
        TEST(invalid_uris_are_refused),
        TEST(segments_too_long_for_an_option_are_refused),
        cmocka_unit_test(dot_segments_are_resolved_before_the_options),
        TEST(buffer_errors_stick),
        TEST(a_path_becomes_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
