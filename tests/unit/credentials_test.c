/* SPDX-License-Identifier: MIT */
/* credentials_test: patterns over URIs, aliases, and every entry that must not be passed over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <nacre/store.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "scratch.h"
#include "store/uri_match.h"

static int set_up(void **state)
{
    *state = scratch_make();
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(*state);
    return 0;
}

static nacre_credentials *load(const char *dir, const char *text)
{
    nacre_credentials *c = NULL;
    nacre_detail why = { "" };
    scratch_write(dir, "c.json", text);
    if (nacre_credentials_load(&c, scratch_path(dir, "c.json"), &why) != NACRE_OK) fail_msg("%s", why.text);
    return c;
}

/* The directory that is found, without the scratch directory in front; "none" without one. */
static const char *find(const nacre_credentials *c, const char *dir, const char *uri)
{
    const char *found = nacre_credentials_find(c, uri);
    if (found == NULL) return "none";
    assert_memory_equal(found, dir, strlen(dir));
    return found + strlen(dir) + 1;
}

static void patterns_cover_uris(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *uri;
        bool matches;
    } rows[] = {
        { "coap://h/a", "coap://h/a", true },
        { "coap://h/a", "coap://h/b", false },
        { "coap://h/a", "coap://h/a/", false },
        { "coap://h/a", "coap://h/", false },
        { "coap://h/*", "coap://h/a/b?c=d", true },
        { "coap://h/*", "coap://h/", true },
        { "coap://h/*", "coap://i/", false },
        { "coap://h/*", "coaps://h/", false },
        { "coap://h/*/c", "coap://h/a/b/c", true },
        { "coap://h/*/c", "coap://h/a/b/d", false },
        { "coap://h/*?q=*", "coap://h/a?q=1", true },
        { "coap://h/*?q=*", "coap://h/a?r=1", false },
        { "coap://h/?", "coap://h/a", false }, /* only '*' is special */
        { "coap://h/.", "coap://h/a", false },
        { "coap://h/[a]", "coap://h/a", false },
        { "*", "coap://h/a", true },
        { "*", "anything", true },
        { "", "", true },
        { "", "coap://h/", false },
        { "**", "coap://h/", true },
        { "coap://*.example.com/*", "coap://a.example.com/x", true },
        { "coap://*.example.com/*", "coap://a.b.example.com/x", true },
        { "coap://*.example.com/*", "coap://example.com/x", false },
        { "*ab*ab", "coap://h/xabyabzab", true },
        { "*ab*abc", "coap://h/ababab", false },
        { "*a*b*c*", "coap://h/abc", true },
        { "*a*b*c*", "coap://h/cba", false },
        /* "coap://h" is "coap://h/", on either side */
        { "coap://h/", "coap://h", true },
        { "coap://h/*", "coap://h", true },
        { "coap://h/?q", "coap://h?q", true },
        { "coap://h/?q", "coap://h?r", false },
        /* the default port may be there or not, on either side */
        { "coap://h/x", "coap://h:5683/x", true },
        { "coap://h/x", "coap://h:5684/x", false },
        { "coap://h/x", "coap://h:/x", true },
        { "coap://h/x", "coap://h:05683/x", true },
        { "coap://h/x", "coap://h:56830/x", false },
        { "coap://h/x", "coap://h:568/x", false },
        { "coap://h:5683/x", "coap://h/x", true },
        { "coap://h:5683/x", "coap://h:5683/x", true },
        { "coap://h:5683/x", "coap://h:5684/x", false },
        { "coap://h:5684/x", "coap://h:5684/x", true },
        { "coap://h:5684/x", "coap://h/x", false },
        { "coap://h:5683/*", "coap://h", true },
        { "coaps://h/x", "coaps://h:5684/x", true },
        { "coaps://h/x", "coaps://h:5683/x", false },
        { "coap+tcp://h/x", "coap+tcp://h:5683/x", true },
        { "unknown://h/x", "unknown://h:5683/x", false },
        { "coap://h/x", "COAP://h:5683/x", true },
        { "coap://[::1]/x", "coap://[::1]:5683/x", true },
        { "coap://[::1]:5683/x", "coap://[::1]/x", true },
        { "coap://[::1]/x", "coap://[::2]/x", false },
        { "coap://[2001:db8::5683]/x", "coap://[2001:db8::5683]/x", true },
        { "coap://[2001:db8:]/x", "coap://[2001:db8::5683]/x", false },
        /* scheme and host without regard to case, the rest with */
        { "coap://host/x", "CoAP://HOST/x", true },
        { "COAP://Host/x", "coap://host/x", true },
        { "coap://*.HOST/x", "coap://a.host/x", true },
        { "coap://host/x", "coap://host/X", false },
        { "coap://host/x?q", "coap://host/x?Q", false },
        { "coap://h/HOST", "coap://h/HOST", true },
        { "coap://[FE80::A]/x", "coap://[fe80::a]/x", true },
        { "/x", "/x", true },
        { "/x", "/X", false },
        { "/a?u=coap://h:5683/", "/a?u=coap://h/", false }, /* no scheme: nothing is normalised */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre__uri_view view = nacre__uri_view_of(rows[i].uri);
        if (nacre__uri_matches(rows[i].pattern, &view) != rows[i].matches)
            fail_msg("%s on %s", rows[i].pattern, rows[i].uri);
    }
}

static void the_longest_wins_then_the_first(void **state)
{
    const char *dir = *state;
    nacre_credentials *c = load(dir, "{\"*\": {\"oscore\": {\"basedir\": \"all\"}},\n"
                                     " \"coap://h/*\": {\"oscore\": {\"basedir\": \"host\"}},\n"
                                     " \"coap://h/a*\": {\"oscore\": {\"basedir\": \"first\"}},\n"
                                     " \"coap://h/*a\": {\"oscore\": {\"basedir\": \"second\"}},\n"
                                     " \"coap://bare\": {\"oscore\": {\"basedir\": \"bare\"}},\n"
                                     " \"coap://bare?q\": {\"oscore\": {\"basedir\": \"query\"}}}");
    assert_string_equal(find(c, dir, "coap://i/"), "all");
    assert_string_equal(find(c, dir, "coap://h/b"), "host");
    assert_string_equal(find(c, dir, "coap://h/ab"), "first");
    assert_string_equal(find(c, dir, "coap://h/ba"), "second");
    assert_string_equal(find(c, dir, "coap://h/a"), "first"); /* both fit, both are of one length */
    assert_string_equal(find(c, dir, "coap://bare"), "bare");
    assert_string_equal(find(c, dir, "coap://bare/"), "bare");
    assert_string_equal(find(c, dir, "coap://bare:5683"), "bare");
    assert_string_equal(find(c, dir, "coap://bare/x"), "all");
    assert_string_equal(find(c, dir, "coap://bare/?q"), "query");
    assert_string_equal(find(c, dir, "coap://bare?q"), "query");
    nacre_credentials_free(c);
}

static void what_does_not_fit_finds_nothing(void **state)
{
    const char *dir = *state;
    nacre_credentials *c = load(dir, "{\"coap://h/*\": {\"oscore\": {\"basedir\": \"d\"}}, \"coap://gone/*\": null,\n"
                                     " \":name\": {\"oscore\": {\"basedir\": \"d\"}}}");
    assert_null(nacre_credentials_find(c, "coap://i/"));
    assert_null(nacre_credentials_find(c, "coap://gone/"));
    assert_null(nacre_credentials_find(c, ""));
    assert_null(nacre_credentials_find(c, ":name")); /* a name is no pattern */
    assert_string_equal(nacre_credentials_at(c, 0) + strlen(dir), "/d");
    assert_null(nacre_credentials_at(c, 1));
    nacre_credentials_free(c);
    c = load(dir, "{}");
    assert_null(nacre_credentials_find(c, "coap://h/"));
    assert_null(nacre_credentials_at(c, 0));
    nacre_credentials_free(c);
    nacre_credentials_free(NULL);
}

static void aliases_lead_to_their_entry(void **state)
{
    const char *dir = *state;
    /* Forwards, backwards, over two steps, with names longer and shorter than the pattern. */
    nacre_credentials *c = load(dir, "{\"coap://a/*\": \":x\",\n"
                                     " \":x\": {\"oscore\": {\"basedir\": \"dx\"}},\n"
                                     " \"coap://b/*\": \":x\",\n"
                                     " \"coap://c/*\": \":a-name-longer-than-any-pattern-here\",\n"
                                     " \":a-name-longer-than-any-pattern-here\": \":y\",\n"
                                     " \":y\": {\"oscore\": {\"contextfile\": \"dy/\"}},\n"
                                     " \"coap://d/*\": {\"oscore\": {\"basedir\": \"dx\"}}}");
    assert_string_equal(find(c, dir, "coap://a/"), "dx");
    assert_string_equal(find(c, dir, "coap://b/"), "dx");
    assert_string_equal(find(c, dir, "coap://c/"), "dy");
    assert_string_equal(find(c, dir, "coap://d/"), "dx");
    assert_string_equal(nacre_credentials_at(c, 0) + strlen(dir), "/dx"); /* once, though four entries name it */
    assert_string_equal(nacre_credentials_at(c, 1) + strlen(dir), "/dy");
    assert_null(nacre_credentials_at(c, 2));
    nacre_credentials_free(c);
}

static void directories_are_relative_to_the_file(void **state)
{
    const char *dir = *state;
    nacre_credentials *c = load(dir, "{\"*\": {\"oscore\": {\"basedir\": \"/abs/olute/\"}}}");
    assert_string_equal(nacre_credentials_find(c, "x"), "/abs/olute");
    nacre_credentials_free(c);
    c = load(dir, "{\"*\": {\"oscore\": {\"basedir\": \"../up\"}}}");
    assert_string_equal(find(c, dir, "x"), "../up");
    nacre_credentials_free(c);
    char *old = getcwd(NULL, 0);
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(nacre_credentials_load(&c, "c.json", NULL), NACRE_OK);
    assert_string_equal(nacre_credentials_find(c, "x"), "../up");
    nacre_credentials_free(c);
    assert_int_equal(chdir(old), 0);
    free(old);
}

static void what_is_not_understood_is_refused(void **state)
{
    const char *dir = *state;
#define GOOD "{\"oscore\": {\"basedir\": \"d\"}}"
    static const struct {
        const char *text, *says; /* NULL: taken */
    } rows[] = {
        { "{\"a\": " GOOD "}", NULL },
        { "[" GOOD "]", "an object is expected, found an array" },
        { "{\"a\": " GOOD, "not JSON" },
        { "{\"a\": " GOOD ",\n\"a\": " GOOD "}", "line 2: \"a\" is there twice" },
        { "{\"a\": 1}", "line 1: \"a\": an object" },
        { "{\"a\": [" GOOD "]}", "an object" },
        { "{\"a\": true}", "an object" },
        { "{\"a\": null}", NULL },
        { "{\"a\": {}}", "exactly one member" },
        { "{\"a\": {\"oscore\": {\"basedir\": \"d\"}, \"x\": 1}}", "exactly one member" },
        { "{\"a\": {\"dtls\": {\"psk\": {\"ascii\": \"x\"}}}}", "type \"dtls\" are not supported" },
        { "{\"a\": {\"edhoc-oscore\": {}}}", "type \"edhoc-oscore\" are not supported" },
        { "{\"a\": {\"oscor\": {\"basedir\": \"d\"}}}", "type \"oscor\"" },
        { "{\"a\": {\"oscore2\": {\"basedir\": \"d\"}}}", "type \"oscore2\"" },
        { "{\"a\": {\"oscore\": \"d\"}}", "must be an object" },
        { "{\"a\": {\"oscore\": {}}}", "needs \"basedir\"" },
        { "{\"a\": {\"oscore\": {\"basedi\": \"d\"}}}", "has \"basedi\"" },
        { "{\"a\": {\"oscore\": {\"basedir\": \"d\", \"role\": \"client\"}}}", "has \"role\"" },
        { "{\"a\": {\"oscore\": {\"contextfile\": \"d\"}}}", NULL },
        { "{\"a\": {\"oscore\": {\"basedir\": \"d\", \"contextfile\": \"d\"}}}", "both \"basedir\"" },
        { "{\"a\": {\"oscore\": {\"basedir\": 1}}}", "must be a string" },
        { "{\"a\": {\"oscore\": {\"basedir\": \"\"}}}", "must be a string that names" },
        { "{\"a\": \":b\", \":b\": " GOOD "}", NULL },
        { "{\"a\": \":b\", \":c\": " GOOD "}", "stands for \":b\", which is not there" },
        { "{\"a\": \":b\", \":b\": null}", "stands for \":b\", which is not there" },
        { "{\"a\": \"b\", \"b\": " GOOD "}", "must begin with a colon" },
        { "{\"a\": \"\"}", "must begin with a colon" },
        { "{\":a\": \":a\"}", "stands for itself" },
        { "{\"x\": \":a\", \":a\": \":b\",\n\":b\": \":a\"}", "line 2: \":b\": stands for itself" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_credentials *c = (nacre_credentials *)(uintptr_t)1;
        nacre_detail why = { "" };
        scratch_write(dir, "c.json", rows[i].text);
        nacre_err err = nacre_credentials_load(&c, scratch_path(dir, "c.json"), &why);
        if (rows[i].says == NULL) {
            if (err != NACRE_OK) fail_msg("row %zu: %s", i, why.text);
            nacre_credentials_free(c);
            continue;
        }
        if (err != NACRE_ERR_BAD_CREDENTIALS || strstr(why.text, rows[i].says) == NULL)
            fail_msg("row %zu: %s", i, why.text);
        assert_non_null(strstr(why.text, "c.json"));
        assert_int_equal((uintptr_t)c, 1); /* untouched */
    }
}

static void files_that_cannot_be_read(void **state)
{
    const char *dir = *state;
    nacre_credentials *c = NULL;
    nacre_detail why;
    assert_int_equal(nacre_credentials_load(&c, scratch_path(dir, "none.json"), &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, "none.json: no such file"));
    scratch_mkdir(dir, "folder");
    assert_int_equal(nacre_credentials_load(&c, scratch_path(dir, "folder"), &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, "not a regular file"));
    assert_int_equal(nacre_credentials_load(&c, scratch_path(dir, "no/file"), &why), NACRE_ERR_FILE);
    enum { LARGE = 1024 * 1024 };
    char *spaces = malloc(LARGE + 1);
    assert_non_null(spaces);
    memset(spaces, ' ', LARGE + 1);
    memcpy(spaces, "{}", 2);
    scratch_write_bytes(dir, "large.json", spaces, LARGE);
    assert_int_equal(nacre_credentials_load(&c, scratch_path(dir, "large.json"), &why), NACRE_OK);
    nacre_credentials_free(c);
    scratch_write_bytes(dir, "large.json", spaces, LARGE + 1);
    assert_int_equal(nacre_credentials_load(&c, scratch_path(dir, "large.json"), &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, "at most 1048576"));
    free(spaces);
}

/* A pattern of stars against a long URI that just does not fit: quadratic at worst, never exponential. */
static void stars_do_not_explode(void **state)
{
    (void)state;
    char pattern[201], uri[4001];
    for (size_t i = 0; i < 198; i += 2) memcpy(pattern + i, "*a", 2);
    memcpy(pattern + 198, "*b", 3);
    memset(uri, 'a', sizeof uri - 1);
    uri[sizeof uri - 1] = '\0';
    nacre__uri_view view = nacre__uri_view_of(uri);
    clock_t start = clock();
    assert_false(nacre__uri_matches(pattern, &view));
    assert_true((clock() - start) / CLOCKS_PER_SEC < 5);
    uri[sizeof uri - 2] = 'b';
    view = nacre__uri_view_of(uri);
    assert_true(nacre__uri_matches(pattern, &view));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_cover_uris),
        cmocka_unit_test_setup_teardown(the_longest_wins_then_the_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_finds_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(aliases_lead_to_their_entry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(directories_are_relative_to_the_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_understood_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_that_cannot_be_read, set_up, tear_down),
        cmocka_unit_test(stars_do_not_explode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
