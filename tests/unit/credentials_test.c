/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* credentials_test: patterns over URIs, aliases, and entries that must not be skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <nacre/credentials.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "scratch.h"
#include "store/credentials/uri_match.h"

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

/* The matching directory without the scratch directory's prefix; "none" without a match. */
static const char *match_any(const nacre_credentials *c, const char *uri)
{
    nacre_credential found = { .directory = "untouched" };
    nacre_detail why = { "" };
    nacre_err err = nacre_credentials_find(c, &found, uri, &why);
    if (err == NACRE_OK) return found.kind == NACRE_CREDENTIAL_PLAIN ? "plain" : found.directory;
    assert_string_equal(found.directory, "untouched");
    assert_true(why.text[0] != '\0');
    return err == NACRE_ERR_NO_CREDENTIALS ? "none" : nacre_err_name(err);
}

static const char *find(const nacre_credentials *c, const char *dir, const char *uri)
{
    const char *found = match_any(c, uri);
    if (found[0] != '/') return found;
    assert_memory_equal(found, dir, strlen(dir));
    return found + strlen(dir) + 1;
}

/* The names of all directories and contexts, separated by one blank. */
static const char *names(const nacre_credentials *c)
{
    static char all[200];
    nacre_credential each;
    all[0] = '\0';
    for (size_t cursor = 0; nacre_credentials_next(c, &each, &cursor);)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", all[0] != '\0' ? " " : "", each.name);
    return all;
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
        /* "coap://h" equals "coap://h/", in the pattern and in the URI */
        { "coap://h/", "coap://h", true },
        { "coap://h/*", "coap://h", true },
        { "coap://h/?q", "coap://h?q", true },
        { "coap://h/?q", "coap://h?r", false },
        /* the default port may be given or omitted, in the pattern and in the URI */
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
        /* scheme and host ignore case; the rest does not */
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
    assert_string_equal(find(c, dir, "coap://h/a"), "first"); /* both match and have the same length */
    assert_string_equal(find(c, dir, "coap://bare"), "bare");
    assert_string_equal(find(c, dir, "coap://bare/"), "bare");
    assert_string_equal(find(c, dir, "coap://bare:5683"), "all"); /* the port as written is matched first */
    assert_string_equal(find(c, dir, "coap://bare/x"), "all");
    assert_string_equal(find(c, dir, "coap://bare/?q"), "query");
    assert_string_equal(find(c, dir, "coap://bare?q"), "query");
    nacre_credentials_free(c);
}

static void uris_without_a_matching_pattern_find_nothing(void **state)
{
    const char *dir = *state;
    nacre_credentials *c = load(dir, "{\"coap://h/*\": {\"oscore\": {\"basedir\": \"d\"}}, \"coap://gone/*\": null,\n"
                                     " \":name\": {\"oscore\": {\"basedir\": \"d\"}}}");
    assert_string_equal(find(c, dir, "coap://h/"), "d");
    assert_string_equal(find(c, dir, "coap://i/"), "none");
    assert_string_equal(find(c, dir, "coap://gone/"), "none");
    assert_string_equal(find(c, dir, ""), "none");
    assert_string_equal(find(c, dir, ":name"), "none"); /* an alias name is not a pattern */
    assert_string_equal(names(c), "coap://h/* :name");
    nacre_credentials_free(c);
    c = load(dir, "{}");
    assert_string_equal(find(c, dir, "coap://h/"), "none");
    assert_string_equal(names(c), "");
    nacre_credentials_free(c);
    nacre_credentials_free(NULL);
}

static void aliases_resolve_to_their_entry(void **state)
{
    const char *dir = *state;
    /* Aliases forwards, backwards and over two steps, with names longer and shorter than the pattern. */
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
    assert_string_equal(names(c), ":x :y coap://d/*"); /* entries that hold credentials; aliases are left out */
    nacre_credentials_free(c);
}

static void directories_are_relative_to_the_file(void **state)
{
    const char *dir = *state;
    nacre_credentials *c = load(dir, "{\"*\": {\"oscore\": {\"basedir\": \"/abs/olute/\"}}}");
    assert_string_equal(match_any(c, "x"), "/abs/olute");
    nacre_credentials_free(c);
    c = load(dir, "{\"*\": {\"oscore\": {\"basedir\": \"../up\"}}}");
    assert_string_equal(find(c, dir, "x"), "../up");
    nacre_credentials_free(c);
    char *old = getcwd(NULL, 0);
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(nacre_credentials_load(&c, "c.json", NULL), NACRE_OK);
    assert_string_equal(match_any(c, "x"), "../up");
    nacre_credentials_free(c);
    assert_int_equal(chdir(old), 0);
    free(old);
}

static void unknown_or_invalid_entries_are_refused(void **state)
{
    const char *dir = *state;
#define GOOD "{\"oscore\": {\"basedir\": \"d\"}}"
    static const struct {
        const char *text, *says; /* NULL: accepted */
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
        /* entries for other security protocols are checked as far as their form is known */
        { "{\"a\": {\"dtls\": {\"psk\": {\"ascii\": \"x\"}, \"client-identity\": {\"hex\": \"00-01:02 aF\"}}}}", NULL },
        { "{\"a\": {\"dtls\": {\"psk\": {\"ascii\": \"x\"}, \"client_identity\": {\"hex\": \"\"}}}}", NULL },
        { "{\"a\": {\"dtls\": {\"psk\": {\"ascii\": \"x\"}}}}", "needs \"psk\" and \"client-identity\"" },
        { "{\"a\": {\"dtls\": {\"psk\": \"x\", \"client-identity\": {\"hex\": \"\"}}}}", "a byte string is expected" },
        { "{\"a\": {\"dtls\": {\"psk\": {\"hex\": \"0\"}, \"client-identity\": {\"hex\": \"\"}}}}", "a byte string" },
        { "{\"a\": {\"dtls\": {\"psk\": {\"hex\": \"0g\"}, \"client-identity\": {\"hex\": \"\"}}}}", "a byte string" },
        { "{\"a\": {\"dtls\": {\"psk\": {\"ascii\": \"\u00e4\"}, \"client-identity\": {\"hex\": \"\"}}}}", "a byte" },
        { "{\"a\": {\"dtls\": {\"psk\": {\"hex\": 0}, \"client-identity\": {\"hex\": \"\"}}}}", "a byte string" },
        { "{\"a\": {\"dtls\": {\"psk\": {\"base64\": \"\"}, \"client-identity\": {\"hex\": \"\"}}}}", "a byte string" },
        { "{\"a\": {\"dtls\": {\"pks\": {\"hex\": \"\"}, \"client-identity\": {\"hex\": \"\"}}}}", "only" },
        { "{\"a\": {\"edhoc-oscore\": {}}}", NULL },
        { "{\"a\": {\"edhoc-oscore\": []}}", "an object is expected" },
        { "{\"a\": {\"any-of\": [\":b\"]}}", NULL },
        { "{\"a\": {\"all-of\": {}}}", "a list is expected" },
        { "{\"a\": {\"any\": [\":b\"]}}", "type \"any\" are not known" },
        { "{\"a\": {\"plain\": {}}}", NULL },
        { "{\"a\": {\"plain\": true}}", "must be an empty object" },
        { "{\"a\": {\"plain\": {\"basedir\": \"d\"}}}", "must be an empty object" },
        /* patterns that never match a URI */
        { "{\"coap://h/%2F\": " GOOD "}", NULL },
        { "{\"coap://h/%41\": " GOOD "}", NULL },
        { "{\"coap://h/%c3%a4\": " GOOD "}", NULL },
        { "{\"coap://h/%2A\": " GOOD "}", "percent sign" },
        { "{\"coap://h/%C3%A4\": " GOOD "}", NULL },
        { "{\"coap://h/a%\": " GOOD "}", "percent sign" },
        { "{\":%41\": " GOOD "}", NULL },
        { "{\"a\": {\"oscor\": {\"basedir\": \"d\"}}}", "type \"oscor\"" },
        { "{\"a\": {\"oscore2\": {\"basedir\": \"d\"}}}", "type \"oscore2\"" },
        { "{\"a\": {\"oscore\": \"d\"}}", "must be an object" },
        { "{\"a\": {\"oscore\": {}}}", "needs \"basedir\"" },
        { "{\"a\": {\"oscore\": {\"basedi\": \"d\"}}}", "has \"basedi\"" },
        { "{\"a\": {\"oscore\": {\"basedir\": \"d\", \"role\": \"client\"}}}", NULL },
        { "{\"a\": {\"oscore\": {\"role\": \"server\", \"contextfile\": \"d\"}}}", NULL },
        { "{\"a\": {\"oscore\": {\"basedir\": \"d\", \"role\": \"both\"}}}", "must be \"client\" or \"server\"" },
        { "{\"a\": {\"oscore\": {\"basedir\": \"d\", \"role\": 1}}}", "must be \"client\" or \"server\"" },
        { "{\"a\": {\"oscore\": {\"role\": \"client\"}}}", "needs \"basedir\"" },
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
        assert_int_equal((uintptr_t)c, 1); /* unchanged */
    }
}

/* A path with dot segments matches the entry of the path that it resolves to, since the request is sent there. */
static void dot_segments_do_not_evade_an_entry(void **state)
{
    const char *dir = *state;
    nacre_credentials *c =
        load(dir, "{\"coap://h/secret*\": {\"oscore\": {\"basedir\": \"d\"}}, \"coap:*\": {\"plain\": {}}}");
    static const struct {
        const char *uri, *finds;
    } rows[] = {
        { "coap://h/secret", "d" },
        { "coap://h/a/../secret", "d" },
        { "coap://h/a/%2e%2E/secret", "d" },
        { "coap://h/./secret", "d" },
        { "coap://h/a/..", "plain" },
        { "coap://h/a/.?q", "plain" },
        { "coap://h/a/.../secret", "plain" },
        { "coap://h/a/..b/secret", "plain" },
        { "coap://h/a/.well-known", "plain" },
        { "coap://h/secret/../a", "plain" },
        { "coap://h/x/../../secret/.", "d" },
        { "coap://h/a?q=/../secret", "plain" },
        { "coap://h.", "plain" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *found = find(c, dir, rows[i].uri);
        if (strstr(found, rows[i].finds) == NULL) fail_msg("%s: found %s, not %s", rows[i].uri, found, rows[i].finds);
    }
    nacre_credentials_free(c);
}

/* A protected host stays protected in every spelling. */
static void no_spelling_of_a_host_evades_its_entry(void **state)
{
    const char *dir = *state;
    nacre_credentials *c = load(dir, "{\"coap://[::1]*\": {\"oscore\": {\"basedir\": \"six\"}},\n"
                                     " \"coap://[2001:DB8:0:0::5]:6000/*\": {\"oscore\": {\"basedir\": \"port\"}},\n"
                                     " \"coap://127.0.0.1/*\": {\"oscore\": {\"basedir\": \"four\"}},\n"
                                     " \"coap://0x7f.2/*\": {\"oscore\": {\"basedir\": \"odd\"}},\n"
                                     " \"coap://[fe80::7%251]/*\": {\"oscore\": {\"basedir\": \"link\"}},\n"
                                     " \"coap://host/*\": {\"oscore\": {\"basedir\": \"name\"}},\n"
                                     " \"coap://*.name/*\": {\"oscore\": {\"basedir\": \"star\"}},\n"
                                     " \"coap://dot.:6000/*\": {\"oscore\": {\"basedir\": \"dot\"}},\n"
                                     " \"coap://[::9]/open*\": {\"plain\": {}},\n"
                                     " \"coap://[::9]/*\": {\"oscore\": {\"basedir\": \"part\"}},\n"
                                     " \"coap:*\": {\"plain\": {}}}");
    static const struct {
        const char *uri, *finds;
    } rows[] = {
        { "coap://[::1]/x", "six" },
        { "coap://[0:0:0:0:0:0:0:1]/x", "six" },
        { "coap://[0::0001]:05683/x", "six" },
        { "coap://[::0.0.0.1]/x", "six" },
        { "coap://[::1%251]/x", "six" }, /* the scope has no meaning there */
        { "coap://[::1%25lo]/x", "six" },
        { "coap://[0::2]/x", "plain" },
        { "coap://[2001:db8::5]:6000/x", "port" },
        { "coap://[2001:db8::0:5]:06000/x", "port" },
        { "coap://[2001:db8::5]:6001/x", "plain" },
        { "coap://127.0.0.1/x", "four" },
        { "coap://127.1/x", "four" },
        { "coap://127.0.1:5683/x", "four" },
        { "coap://0177.0.0.01/x", "four" },
        { "coap://0x7f000001/x", "four" },
        { "coap://0X7F.1/x", "four" },
        { "coap://2130706433/x", "four" },
        { "coap://127.0.0.%31/x", "four" },
        { "coap://[::ffff:127.0.0.1]/x", "four" },
        { "coap://[::FFFF:7f00:1]:/x", "four" },
        { "coap://127.3/x", "plain" },
        { "coap://127.0.0.2/x", "odd" },
        { "coap://[fe80::7%251]/x", "link" },
        { "coap://[FE80:0::7%25lo]/x", "link" },
        { "coap://[fe80::7%252]/x", "plain" },
        { "coap://[fe80::7]/x", "plain" },
        { "coap://host./x", "name" },
        { "coap://HOST.:5683/x", "name" },
        { "coap://host../x", "plain" }, /* not a valid name */
        { "coap://a.name./x", "star" },
        { "coap://dot:06000/x", "dot" },
        { "coap://dot:60000/x", "plain" },
        { "coap://[0::9]/open", "plain" }, /* both readings agree */
        { "coap://[0::9]/x", "part" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *found = find(c, dir, rows[i].uri);
        if (strcmp(found, rows[i].finds) != 0) fail_msg("%s: found %s, not %s", rows[i].uri, found, rows[i].finds);
    }
    nacre_credentials_free(c);
}

static void unreadable_files_are_errors(void **state)
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

/* The match that aiocoap finds for a URI takes precedence over matches of the more lenient reading. */
static void the_exact_reading_takes_precedence(void **state)
{
    const char *dir = *state;
    static const struct {
        const char *uri, *found;
    } rows[] = {
        { "coap://h/x", "bare" },        { "coap://h:5683/x", "port" },     { "coap://H/x", "bare" },
        { "coap://h:05683/x", "port" }, /* only the lenient reading matches, and the longest pattern wins */
        { "coap://i:5683/x", "i" },      { "coap://big/x", "big" },         { "coap://j/%61%2f%C3%a4", "j" },
        { "coap://j/a/%C3%A4", "none" }, { "coap://j/q?%61=%26%2F", "jq" }, { "coap://j/q?a=&/", "none" },
        { "coap://%6A/q?a=%26/", "jq" }, { "coap://j/nothing", "none" },
    };
    nacre_credentials *c = load(dir, "{\"coap://h:5683/*\": {\"oscore\": {\"basedir\": \"port\"}},\n"
                                     " \"coap://h/*\": {\"oscore\": {\"basedir\": \"bare\"}},\n"
                                     " \"coap://i/*\": {\"oscore\": {\"basedir\": \"i\"}},\n"
                                     " \"coap://BIG/*\": {\"oscore\": {\"basedir\": \"big\"}},\n"
                                     " \"coap://j/a%2F%C3%A4\": {\"oscore\": {\"basedir\": \"j\"}},\n"
                                     " \"coap://j/q?a=%26/\": {\"oscore\": {\"basedir\": \"jq\"}}}");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(find(c, dir, rows[i].uri), rows[i].found) != 0)
            fail_msg("%s: %s", rows[i].uri, find(c, dir, rows[i].uri));
    nacre_credentials_free(c);
}

/* Only what is named is sent in clear, and no other spelling of a URI evades its protection. */
static void only_named_resources_are_sent_in_clear(void **state)
{
    const char *dir = *state;
    static const struct {
        const char *uri, *found;
    } rows[] = {
        { "coap://open/", "plain" },
        { "coap://open/a?b", "plain" },
        { "coap://other/", "plain" }, /* by its alias */
        { "coap://open/secret", "d" },
        { "coap://open/%73ecret", "d" },
        { "COAP://OPEN:5683/secret", "d" },
        { "coap://open:5683/a", "plain" },
        { "coap://open:5684/a", "none" },
        { "coap://opener/", "none" },
        { "coap://dtls/", "NACRE_ERR_UNSUPPORTED" },
    };
    nacre_credentials *c = load(dir, "{\"coap://open/*\": {\"plain\": {}}, \"coap://open/secret*\": " GOOD ",\n"
                                     " \"coap://other/*\": \":open\", \":open\": {\"plain\": {}},\n"
                                     " \"coap://dtls/*\": {\"tlscert\": {\"certfile\": \"x\"}}}");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(find(c, dir, rows[i].uri), rows[i].found) != 0)
            fail_msg("%s: %s", rows[i].uri, find(c, dir, rows[i].uri));
    assert_string_equal(names(c), "coap://open/secret*"); /* entries that a server could use */
    nacre_credentials_free(c);
}

/* One pattern in many spellings, and its URIs in many spellings, match the same credential. */
static void patterns_match_in_any_spelling(void **state)
{
    const char *dir = *state;
    static const char *const patterns[] = {
        "coap://host/a-b",        "coap://host:5683/a-b",
        "coap://HOST/a-b",        "coap://host/a%2Db",
        "coap://host/%61%2db",    "coap://ho%73t/a-b",
        "coap://Host.:05683/a-b", "coap://host:/a-b",
        "coap://host/*%2Db",      "coap://*/a%2db",
        "coap://host/./a-b",      "coap://HOST/x/%2e%2E/a-b",
        "coap://host/../a-b",     "coap://host:5683/x/../a%2D*",
    };
    static const char *const uris[] = {
        "coap://host/a-b",      "coap://HOST:5683/a-b", "coap://host:/a%2Db",
        "coap://host./%61%2db", "COAP://h%6Fst/a-b",    "coap://host/x/../a-b",
    };
    static const char *const others[] = { "coap://host/a-c", "coap://host:5684/a-b", "coap://hos/a-b",
                                          "coap://host/A-b" };
    for (size_t p = 0; p < sizeof patterns / sizeof patterns[0]; p++) {
        char text[128];
        (void)snprintf(text, sizeof text, "{\"%s\": " GOOD "}", patterns[p]);
        nacre_credentials *c = load(dir, text);
        for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++)
            if (strcmp(find(c, dir, uris[i]), "d") != 0) fail_msg("%s: not found by %s", uris[i], patterns[p]);
        for (size_t i = 0; i < sizeof others / sizeof others[0] && strchr(patterns[p], '*') == NULL; i++)
            if (strcmp(find(c, dir, others[i]), "none") != 0) fail_msg("%s: found by %s", others[i], patterns[p]);
        nacre_credentials_free(c);
    }
}

/* A dot segment before a '*' is resolved; one after it could never match, and is refused. */
static void dot_segments_of_a_pattern_are_resolved_or_refused(void **state)
{
    const char *dir = *state;
    static const struct {
        const char *pattern, *uri; /* NULL: refused */
    } rows[] = {
        { "coap://h/a/..", "coap://h/" },
        { "coap://h/a/../b/*", "coap://h/b/c" },
        { "coap://h/a/./*", "coap://h/a/" },
        { "coap://h/a/..?q", "coap://h/?q" },
        { "coap://h/a/..*", "coap://h/a/..b" },
        { "coap://h/.*", "coap://h/.well-known/core" },
        { "coap://h/*/.../x", "coap://h/a/.../x" },
        { "coap://h/*?q=/../x", "coap://h/a?q=/../x" },
        { "coap://h/a?q=/../*", "coap://h/a?q=/../x" },
        { "coap://h/*./x", "coap://h/a./x" },
        { "coap://h/*/../x", NULL },
        { "coap://h/*/..", NULL },
        { "coap://h/*/%2E/x", NULL },
        { "coap://h/*/.?q", NULL },
        { "coap://*/a/../x", NULL },
        { "*/%2e%2e", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[128];
        nacre_credentials *c;
        nacre_detail why = { { 0 } };
        (void)snprintf(text, sizeof text, "{\"%s\": " GOOD "}", rows[i].pattern);
        if (rows[i].uri != NULL) {
            c = load(dir, text);
            if (strcmp(find(c, dir, rows[i].uri), "d") != 0) fail_msg("%s: not found", rows[i].pattern);
            nacre_credentials_free(c);
            continue;
        }
        scratch_write(dir, "c.json", text);
        assert_int_equal(nacre_credentials_load(&c, scratch_path(dir, "c.json"), &why), NACRE_ERR_BAD_CREDENTIALS);
        if (strstr(why.text, rows[i].pattern) == NULL || strstr(why.text, "dot segment") == NULL)
            fail_msg("%s: %s", rows[i].pattern, why.text);
        assert_int_equal(nacre_credentials_new(&c), NACRE_OK);
        assert_int_equal(nacre_credentials_set_plain(c, rows[i].pattern, &why), NACRE_ERR_BAD_CREDENTIALS);
        nacre_credentials_free(c);
    }
}

/* Permission to send in clear in one spelling gives way where the same pattern in another spelling protects, whichever
 * is longer or first. */
static void a_plain_pattern_gives_way_to_its_twin(void **state)
{
    const char *dir = *state;
    static const char *const twins[][2] = {
        { "coap://h/a-b*", "coap://h/a%2Db*" },  { "coap://h/*", "coap://h:5683/*" },
        { "coap://h/*", "coap://H./*" },         { "coap://[::1]/*", "coap://[0::1]:05683/*" },
        { "coap://h/a/*", "coap://h/b/../a/*" },
    };
    for (size_t i = 0; i < sizeof twins / sizeof twins[0]; i++)
        for (int which = 0; which < 4; which++) {
            char text[256];
            const char *plain = twins[i][which & 1], *protects = twins[i][!(which & 1)];
            if (which < 2)
                (void)snprintf(text, sizeof text, "{\"%s\": {\"plain\": {}}, \"%s\": " GOOD "}", plain, protects);
            else (void)snprintf(text, sizeof text, "{\"%s\": " GOOD ", \"%s\": {\"plain\": {}}}", protects, plain);
            nacre_credentials *c = load(dir, text);
            for (int k = 0; k < 2; k++) {
                char uri[64];
                (void)snprintf(uri, sizeof uri, "%.*sx", (int)strcspn(twins[i][k], "*"), twins[i][k]);
                if (strcmp(find(c, dir, uri), "d") != 0) fail_msg("%s with %s: %s", uri, text, find(c, dir, uri));
            }
            nacre_credentials_free(c);
        }
}

/* A byte order mark is refused with a clear error; DOS line ends are accepted. */
static void dos_lines_are_read_and_a_byte_order_mark_is_refused(void **state)
{
    const char *dir = *state;
    nacre_credentials *c = load(dir, "{\r\n \"coap://h/*\": " GOOD "\r\n}\r\n");
    assert_string_equal(find(c, dir, "coap://h/x"), "d");
    nacre_credentials_free(c);
    nacre_detail why;
    const char marked[] = "\xef\xbb\xbf{}";
    scratch_write_bytes(dir, "c.json", marked, sizeof marked - 1);
    assert_int_equal(nacre_credentials_load(&c, scratch_path(dir, "c.json"), &why), NACRE_ERR_BAD_CREDENTIALS);
    assert_non_null(strstr(why.text, "byte order mark"));
}

static void entries_carry_a_role_and_a_name(void **state)
{
    const char *dir = *state;
    nacre_credential found;
    nacre_credentials *c =
        load(dir, "{\"coap://h/*\": \":a\", \":a\": \":b\",\n"
                  " \":b\": {\"oscore\": {\"contextfile\": \"d\", \"role\": \"server\"}}, \"coap://i/*\": " GOOD "}");
    assert_int_equal(nacre_credentials_find(c, &found, "coap://h/x", NULL), NACRE_OK);
    assert_string_equal(found.name, ":b");
    assert_int_equal(found.role, NACRE_ROLE_SERVER);
    assert_int_equal(nacre_credentials_find(c, &found, "coap://i/x", NULL), NACRE_OK);
    assert_string_equal(found.name, "coap://i/*");
    assert_int_equal(found.role, NACRE_ROLE_NONE);
    nacre_credentials_free(c);
}

/* ---- Maps built by hand ------------------------------------------------------------------------------------------ */

static void a_map_is_built_by_calls(void **state)
{
    (void)state;
    nacre_credentials *c;
    nacre_credential found;
    nacre_context context = { 0 };
    const nacre_store store = { NULL, &context };
    assert_int_equal(nacre_credentials_new(&c), NACRE_OK);
    assert_string_equal(match_any(c, "coap://h/"), "none");
    nacre_credentials_remove(c, "coap://h/*");
    assert_int_equal(nacre_credentials_set_alias(c, "coap://h/*", ":h", NULL), NACRE_OK);
    assert_string_equal(match_any(c, "coap://h/"), "NACRE_ERR_BAD_CREDENTIALS"); /* the target does not exist yet */
    assert_int_equal(nacre_credentials_set_directory(c, ":h", "dir", NACRE_ROLE_CLIENT, NULL), NACRE_OK);
    assert_string_equal(match_any(c, "coap://h/"), "dir");
    assert_int_equal(nacre_credentials_set_context(c, "coap://h/x*", &context, store, NULL), NACRE_OK);
    assert_int_equal(nacre_credentials_find(c, &found, "coap://h/x", NULL), NACRE_OK);
    assert_int_equal(found.kind, NACRE_CREDENTIAL_CONTEXT);
    assert_ptr_equal(found.context, &context);
    assert_ptr_equal(found.store.self, &context);
    assert_string_equal(names(c), ":h coap://h/x*");

    assert_int_equal(nacre_credentials_set_plain(c, ":h", NULL), NACRE_OK); /* in place of the directory */
    assert_string_equal(match_any(c, "coap://h/"), "plain");
    assert_int_equal(nacre_credentials_set_alias(c, ":h", ":i", NULL), NACRE_OK);
    assert_int_equal(nacre_credentials_set_alias(c, ":i", ":h", NULL), NACRE_OK);
    assert_string_equal(match_any(c, "coap://h/"), "NACRE_ERR_BAD_CREDENTIALS"); /* a cycle */
    nacre_credentials_remove(c, "coap://h/*");
    assert_string_equal(match_any(c, "coap://h/"), "none");
    nacre_credentials_free(c);
}

static void a_map_refuses_invalid_entries(void **state)
{
    (void)state;
    nacre_credentials *c;
    nacre_detail why = { "" };
    assert_int_equal(nacre_credentials_new(&c), NACRE_OK);
    assert_int_equal(nacre_credentials_set_directory(c, "coap://h/*", "d", NACRE_ROLE_NONE, &why), NACRE_OK);
    assert_int_equal(nacre_credentials_set_directory(c, "coap://h/*", "", NACRE_ROLE_NONE, &why),
                     NACRE_ERR_BAD_CREDENTIALS);
    assert_int_equal(nacre_credentials_set_alias(c, "coap://h/*", "h", &why), NACRE_ERR_BAD_CREDENTIALS);
    assert_non_null(strstr(why.text, "begin with a colon"));
    assert_int_equal(nacre_credentials_set_plain(c, "", &why), NACRE_ERR_BAD_CREDENTIALS);
    assert_int_equal(nacre_credentials_set_plain(c, "coap://h/%2a", &why), NACRE_ERR_BAD_CREDENTIALS);
    assert_string_equal(match_any(c, "coap://h/"), "d"); /* as before */
    nacre_credentials_free(c);
}

/* Ten thousand aliases in one chain, and in a cycle: the cost is that of sorting them. */
static void long_alias_chains_cost_their_sorting(void **state)
{
    const char *dir = *state;
    enum { LINKS = 10000 };
    char *text = malloc(LINKS * 24 + 64);
    assert_non_null(text);
    size_t len = (size_t)sprintf(text, "{\"coap://h/*\": \":0\"");
    for (int i = 0; i < LINKS; i++) len += (size_t)sprintf(text + len, ",\":%d\":\":%d\"", i, i + 1);
    (void)sprintf(text + len, ",\":%d\": " GOOD "}", LINKS);
    clock_t start = clock();
    nacre_credentials *c = load(dir, text);
    assert_string_equal(find(c, dir, "coap://h/"), "d");
    nacre_credentials_free(c);
    nacre_detail why = { "" };
    (void)sprintf(text + len, "}");
    scratch_write(dir, "c.json", text);
    assert_int_equal(nacre_credentials_load(&c, scratch_path(dir, "c.json"), &why), NACRE_ERR_BAD_CREDENTIALS);
    assert_non_null(strstr(why.text, "\":9999\": stands for \":10000\", which is not there"));
    assert_true((clock() - start) / CLOCKS_PER_SEC < 5);
    free(text);
}

/* A pattern of stars against a long URI that just fails to match: quadratic at worst, never exponential. */
static void many_stars_match_in_quadratic_time(void **state)
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
        cmocka_unit_test_setup_teardown(uris_without_a_matching_pattern_find_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(aliases_resolve_to_their_entry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(directories_are_relative_to_the_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_or_invalid_entries_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dot_segments_do_not_evade_an_entry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_spelling_of_a_host_evades_its_entry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unreadable_files_are_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_exact_reading_takes_precedence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_named_resources_are_sent_in_clear, set_up, tear_down),
        cmocka_unit_test_setup_teardown(patterns_match_in_any_spelling, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dot_segments_of_a_pattern_are_resolved_or_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_plain_pattern_gives_way_to_its_twin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dos_lines_are_read_and_a_byte_order_mark_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(entries_carry_a_role_and_a_name, set_up, tear_down),
        cmocka_unit_test(a_map_is_built_by_calls),
        cmocka_unit_test(a_map_refuses_invalid_entries),
        cmocka_unit_test_setup_teardown(long_alias_chains_cost_their_sorting, set_up, tear_down),
        cmocka_unit_test(many_stars_match_in_quadratic_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
