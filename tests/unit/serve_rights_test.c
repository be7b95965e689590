/* SPDX-License-Identifier: MIT */
/* serve_rights_test: rows of rights and the requests that they allow, and what is refused as a row. */
#include "serve_rights.h"
#include "support.h"

static const char *const lamp[] = { ":lamp", ":light", NULL };

static serve_rights *one_row(const char *peers, const char *methods, const char *paths)
{
    nacre_detail why = { "" };
    serve_rights *rights = serve_rights_new();
    assert_non_null(rights);
    if (serve_rights_add(rights, peers, methods, paths, &why) != NACRE_OK) fail_msg("%s", why.text);
    return rights;
}

static void a_pattern_matches_decoded_segments(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool allowed;
    } rows[] = {
        { "/a/b", "/a/b", true },       { "/a/b", "/a/c", false },
        { "/a/b", "/a", false },        { "/a/b", "/a/b/c", false },
        { "/a/b", "/a/b/", true },      { "/a/b", "/a/b//", false },
        { "/a/b", "/a//b", false },     { "/a/b", "//a/b", false },
        { "/a/b", "/A/b", false },      { "/a/b", "/%61/b", true },
        { "/%61/b", "/a/b", true },     { "/a%2Fb", "/a/b", false },
        { "/a/b", "/a%2Fb", false },    { "/a%2fb", "/a%2Fb", true },
        { "/a/*", "/a/b", true },       { "/a/*", "/a", false },
        { "/*/b", "//b", false },       { "/a/*", "/a/b/c", false },
        { "/*/b", "/x/b", true },       { "/a/**", "/a", true },
        { "/a/**", "/a/", true },       { "/a/**", "/a/b/c", true },
        { "/a/**", "/ab", false },      { "/**", "/", true },
        { "/**", "/a", true },          { "/", "/", true },
        { "/", "/a", false },           { "/a/", "/a", true },
        { "/a/%2A", "/a/*", true },     { "/a/%2A", "/a/b", false },
        { "/a/**", "/a/..", false },    { "/a/**", "/a/../b", false },
        { "/**", "/./a", false },       { "/**", "/%2e%2e/a", false },
        { "/**", "/.%2E", false },      { "/a/**", "/a/...", true },
        { "/**", "/a%2", false },       { "/**", "/..a", true },
        { "/x /a/b /y", "/a/b", true }, { "/x\n/a/b\n/y", "/y", true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        serve_rights *rights = one_row("*", "GET", rows[i].pattern);
        if (serve_rights_allow(rights, true, NULL, NACRE_GET, rows[i].path) != rows[i].allowed)
            fail_msg("row %zu: %s, %s", i, rows[i].pattern, rows[i].path);
        serve_rights_free(rights);
    }
}

static void a_row_is_for_its_names_and_methods(void **state)
{
    static const struct {
        const char *peers, *methods;
        bool is_protected;
        uint8_t method;
        bool allowed;
    } rows[] = {
        { ":lamp", "GET", true, NACRE_GET, true },      { ":light", "GET", true, NACRE_GET, true },
        { ":lam", "GET", true, NACRE_GET, false },      { ":lamp2", "GET", true, NACRE_GET, false },
        { ":lamp", "GET", false, NACRE_GET, false },    { "*", "GET", true, NACRE_GET, true },
        { "*", "GET", false, NACRE_GET, false },        { "anonymous", "GET", false, NACRE_GET, true },
        { "anonymous", "GET", true, NACRE_GET, false }, { ":x\n:lamp", "GET", true, NACRE_GET, true },
        { ":x :lamp", "GET", true, NACRE_GET, false },  { "*", "GET", true, NACRE_PUT, false },
        { "*", "read", true, NACRE_FETCH, true },       { "*", "read", true, NACRE_POST, false },
        { "*", "write", true, NACRE_IPATCH, true },     { "*", "write", true, NACRE_GET, false },
        { "*", "*", true, NACRE_DELETE, true },         { "*", "PUT DELETE", true, NACRE_DELETE, true },
        { "*", "*", true, NACRE_CODE(0, 8), false },    { "*", "*", true, NACRE_CODE(1, 1), false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        serve_rights *rights = one_row(rows[i].peers, rows[i].methods, "/a");
        const bool got =
            serve_rights_allow(rights, rows[i].is_protected, rows[i].is_protected ? lamp : NULL, rows[i].method, "/a");
        if (got != rows[i].allowed) fail_msg("row %zu", i);
        serve_rights_free(rights);
    }
}

static void a_row_that_is_not_understood_is_refused(void **state)
{
    static const struct {
        const char *peers, *methods, *paths;
    } rows[] = { { NULL, "GET", "/" },    { "", "GET", "/" },        { "*", NULL, "/" },       { "*", "", "/" },
                 { "*", "get", "/" },     { "*", "GET", NULL },      { "*", "GET", "" },       { "*", "GET", "a" },
                 { "*", "GET", "/a//b" }, { "*", "GET", "/a/../b" }, { "*", "GET", "/%2e" },   { "*", "GET", "/a*" },
                 { "*", "GET", "/**/a" }, { "*", "GET", "/a%" },     { "*", "GET", "/a%2" },   { "*", "GET", "/a%zz" },
                 { "*", "GET", "/a?b" },  { "*", "GET", "/a#b" },    { "*", "GET", "/a /b c" } };
    serve_rights *rights = serve_rights_new();
    nacre_detail why;
    (void)state;
    assert_non_null(rights);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (serve_rights_add(rights, rows[i].peers, rows[i].methods, rows[i].paths, &why) != NACRE_ERR_BAD_ARGUMENT)
            fail_msg("row %zu", i);
    assert_false(serve_rights_allow(rights, true, lamp, NACRE_GET, "/")); /* nothing was added */
    assert_false(serve_rights_allow(rights, true, lamp, NACRE_GET, "/a"));
    assert_int_equal(serve_rights_add(rights, "*", "GET", "/a /b/c", &why),
                     NACRE_OK); /* as the last, but for its '/' */
    assert_false(serve_rights_has_anonymous(rights));
    assert_false(serve_rights_has_anonymous(NULL));
    serve_rights_free(rights);
}

static void no_row_allows_nothing(void **state)
{
    serve_rights *rights = serve_rights_new();
    (void)state;
    assert_non_null(rights);
    assert_false(serve_rights_allow(rights, true, lamp, NACRE_GET, "/"));
    assert_false(serve_rights_allow(rights, false, NULL, NACRE_GET, "/"));
    serve_rights_free(rights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_matches_decoded_segments),
        cmocka_unit_test(a_row_is_for_its_names_and_methods),
        cmocka_unit_test(a_row_that_is_not_understood_is_refused),
        cmocka_unit_test(no_row_allows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
