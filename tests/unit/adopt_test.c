/* SPDX-License-Identifier: MIT */
/* adopt_test: lost, copied or restored states are refused, and what makes them usable again. */
#include "directories.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUIRED "{\"sender-id_hex\": \"\", \"recipient-id_hex\": \"01\", \"sequence-required\": true}"
#define OLDER_IDS                                                                                                      \
    "\"client-sender-id_hex\": \"\", \"server-sender-id_hex\": \"01\", \"algorithm\": \"AES-CCM-16-64-128\""

/* Takes three numbers; `killed`: in a process that ends without closing. */
static void use_here(struct fixture *f, const char *path, nacre_role role, bool killed)
{
    uint8_t buf[64];
    nacre_bytes out;
    nacre_directory *dir = open_as(f, path, role);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(serve(dir, NULL), NACRE_OK);
        assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_OK);
    }
    if (killed) _exit(9);
    close_ok(dir);
}

static void use(struct fixture *f, const char *path, nacre_role role, bool killed)
{
    int status = 0;
    pid_t child = killed ? fork() : 0;
    assert_true(child >= 0);
    if (child == 0) use_here(f, path, role, killed);
    if (!killed) return;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

static void expect_refused(struct fixture *f, const char *path, nacre_role role, const char *says)
{
    nacre_directory *dir = NULL;
    nacre_detail why = { "" };
    char *before = scratch_read(path, "sequence.json");
    assert_int_equal(nacre_directory_open_as(&dir, path, role, &f->crypto, &why), NACRE_ERR_BAD_CONTEXT);
    if (strstr(why.text, says) == NULL || strstr(why.text, "sequence.json") == NULL) fail_msg("%s", why.text);
    char *after = scratch_read(path, "sequence.json");
    assert_int_equal(before == NULL, after == NULL);
    if (before != NULL) assert_string_equal(before, after);
    free(before);
    free(after);
}

/* ---- Lost ---- */

static void a_lost_state_is_refused_where_it_is_required(void **state)
{
    struct fixture *f = *state;
    nacre_directory_info info;
    scratch_write(f->client, "settings.json", REQUIRED);
    expect_refused(f, f->client, NACRE_ROLE_NONE, "is missing");
    assert_int_equal(nacre_directory_read(&info, f->client, false, NULL), NACRE_ERR_BAD_CONTEXT);
    scratch_write(f->client, "sequence.json", STATE("5", EMPTY));
    assert_int_equal(nacre_directory_read(&info, f->client, false, NULL), NACRE_OK);
    assert_true(info.sequence_required && info.has_state && !info.elsewhere);
    use(f, f->client, NACRE_ROLE_NONE, false);
    scratch_unlink(f->client, "sequence.json");
    expect_refused(f, f->client, NACRE_ROLE_NONE, "is missing");
    /* without the member, or with false: a fresh context, as in aiocoap */
    scratch_write(f->client, "settings.json",
                  "{\"sender-id_hex\": \"\", \"recipient-id_hex\": \"01\", \"sequence-required\": false}");
    assert_int_equal(nacre_directory_read(&info, f->client, false, NULL), NACRE_OK);
    assert_false(info.sequence_required || info.has_state);
    close_ok(open_ok(f, f->client));
}

static void a_lost_state_of_the_legacy_layout_is_refused(void **state)
{
    struct fixture *f = *state;
    scratch_write(f->client, "settings.json", "{" OLDER_IDS ", \"sequence-required\": true}");
    expect_refused(f, f->client, NACRE_ROLE_CLIENT, "is missing");
    scratch_write(f->client, "settings.json", "{" OLDER_IDS "}");
    close_ok(open_as(f, f->client, NACRE_ROLE_CLIENT));
}

static void a_lost_state_is_recreated_above_all_used_numbers(void **state)
{
    struct fixture *f = *state;
    nacre_detail why = { "" };
    scratch_write(f->client, "settings.json", REQUIRED);
    assert_int_equal(nacre_directory_adopt(f->client, NACRE_ROLE_NONE, 0, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_non_null(strstr(why.text, "--next-to-send"));
    assert_int_equal(nacre_directory_adopt(f->client, NACRE_ROLE_NONE, NACRE_SEQ_MAX + 2, &why),
                     NACRE_ERR_BAD_ARGUMENT);
    assert_false(scratch_exists(f->client, "sequence.json"));
    assert_int_equal(nacre_directory_adopt(f->client, NACRE_ROLE_NONE, 500, &why), NACRE_OK);
    scratch_expect(f->client, "sequence.json", STATE("500", UNKNOWN));
    use(f, f->client, NACRE_ROLE_NONE, false);
    scratch_expect(f->client, "sequence.json", STATE("503", UNKNOWN));
}

/* Every call that makes a directory writes the state at once and marks it as required. */
static void created_directories_require_their_state(void **state)
{
    struct fixture *f = *state;
    nacre_directory_info info;
    char a[4200], b[4200], *paths[] = { a, b };
    snprintf(a, sizeof a, "%s/a", f->dir);
    snprintf(b, sizeof b, "%s/b", f->dir);
    assert_int_equal(nacre_directory_generate(a, b, NULL, NULL), NACRE_OK);
    for (size_t i = 0; i < 2; i++) {
        scratch_expect(paths[i], "sequence.json", STATE("0", EMPTY));
        close_ok(open_ok(f, paths[i]));
        scratch_unlink(paths[i], "sequence.json");
        expect_refused(f, paths[i], NACRE_ROLE_NONE, "is missing");
    }
    assert_int_equal(nacre_directory_read(&info, f->client, true, NULL), NACRE_OK);
    info.first_chunk = 7, info.max_chunk = 70;
    assert_int_equal(nacre_directory_create(scratch_path(f->dir, "c"), &info, NULL), NACRE_OK);
    assert_int_equal(nacre_directory_read(&info, scratch_path(f->dir, "c"), false, NULL), NACRE_OK);
    assert_true(info.sequence_required && info.first_chunk == 7 && info.max_chunk == 70);
    /* a conversion adds the mark when it writes the state */
    assert_int_equal(nacre_directory_convert(f->server, NACRE_LAYOUT_LEGACY, NACRE_ROLE_SERVER, NULL), NACRE_OK);
    assert_int_equal(nacre_directory_read_as(&info, f->server, NACRE_ROLE_SERVER, false, NULL), NACRE_OK);
    assert_true(info.sequence_required && info.has_state);
    assert_int_equal(nacre_directory_convert(f->server, NACRE_LAYOUT_NEWEST, NACRE_ROLE_SERVER, NULL), NACRE_OK);
    assert_int_equal(nacre_directory_read(&info, f->server, false, NULL), NACRE_OK);
    assert_true(info.sequence_required && info.has_state);
    scratch_unlink(f->server, "sequence.json");
    assert_int_equal(nacre_directory_convert(f->server, NACRE_LAYOUT_LEGACY, NACRE_ROLE_SERVER, NULL),
                     NACRE_ERR_BAD_CONTEXT);
}

/* ---- Copied ---- */

/* Skips where the file system has no stable file identity: copies are not detected there. */
static void need_births(struct fixture *f)
{
    use(f, f->client, NACRE_ROLE_NONE, false);
    char *text = scratch_read(f->client, "sequence.json");
    bool identity = strstr(text, "\"born\"") != NULL;
    free(text);
    if (!identity) skip();
}

static void copy(const char *from, const char *to, const char *name)
{
    char *text = scratch_read(from, name);
    assert_non_null(text);
    scratch_write(to, name, text);
    free(text);
}

static void a_copy_in_use_is_refused(void **state)
{
    struct fixture *f = *state;
    char other[4200], moved[4200];
    need_births(f);
    snprintf(other, sizeof other, "%s/other", f->dir);
    snprintf(moved, sizeof moved, "%s/moved", f->dir);
    scratch_mkdir(f->dir, "other");
    copy(f->client, other, "secret.json");
    copy(f->client, other, "settings.json");
    copy(f->client, other, "sequence.json");
    expect_refused(f, other, NACRE_ROLE_NONE, "copied, edited or put back");
    use(f, f->client, NACRE_ROLE_NONE, false); /* the original is unchanged */
    assert_int_equal(rename(f->client, moved), 0);
    use(f, moved, NACRE_ROLE_NONE, true); /* moved on one file system, it is still the original; also after a kill */
    use(f, moved, NACRE_ROLE_NONE, false);
    assert_int_equal(rename(moved, f->client), 0);
    nacre_directory_info info;
    assert_int_equal(nacre_directory_read(&info, other, false, NULL), NACRE_OK);
    assert_true(info.elsewhere);
    assert_int_equal(nacre_directory_convert(other, NACRE_LAYOUT_LEGACY, NACRE_ROLE_CLIENT, NULL),
                     NACRE_ERR_BAD_CONTEXT);
}

/* RFC 8613 7.2.1: a restored old state would reuse its numbers. */
static void a_restored_old_state_is_refused(void **state)
{
    struct fixture *f = *state;
    need_births(f);
    char *backup = scratch_read(f->client, "sequence.json");
    for (int unlinked = 0; unlinked < 2; unlinked++) { /* written over the file, or into a fresh one */
        use(f, f->client, NACRE_ROLE_NONE, false);
        if (unlinked) scratch_unlink(f->client, "sequence.json");
        scratch_write(f->client, "sequence.json", backup);
        expect_refused(f, f->client, NACRE_ROLE_NONE, "copied, edited or put back");
        if (unlinked) /* lock records that 100 is used */
            assert_int_equal(nacre_directory_adopt(f->client, NACRE_ROLE_NONE, 100, NULL), NACRE_ERR_BAD_ARGUMENT);
        const uint64_t next = unlinked ? 200 : 100;
        assert_int_equal(nacre_directory_adopt(f->client, NACRE_ROLE_NONE, next, NULL), NACRE_OK);
        scratch_expect(f->client, "sequence.json", unlinked ? STATE("200", UNKNOWN) : STATE("100", UNKNOWN));
    }
    assert_int_equal(nacre_directory_adopt(f->client, NACRE_ROLE_NONE, 199, NULL), NACRE_ERR_BAD_ARGUMENT);
    scratch_expect(f->client, "sequence.json", STATE("200", UNKNOWN)); /* never lower */
    assert_int_equal(nacre_directory_adopt(f->client, NACRE_ROLE_NONE, 200, NULL), NACRE_OK);
    scratch_expect(f->client, "sequence.json", STATE("200", UNKNOWN));
    use(f, f->client, NACRE_ROLE_NONE, false);
    free(backup);
}

static uint64_t next_in(const char *dir)
{
    unsigned long long next;
    char *text = scratch_read(dir, "sequence.json");
    assert_int_equal(sscanf(text, "{\"next-to-send\": %llu, \"received\": \"unknown\"", &next), 1);
    free(text);
    return next;
}

/* A restored state does not say how old it is: by default all numbers that may have been used since are skipped. */
static void an_adopted_state_skips_far_ahead(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *before;
        uint64_t least, most; /* 0: refused */
    } rows[] = {
        { STATE("0", EMPTY), UINT64_C(1) << 32, (UINT64_C(1) << 33) - 1 },
        { STATE("5", EMPTY), (UINT64_C(1) << 32) + 5, (UINT64_C(1) << 33) + 4 },
        { STATE("1095216660479", EMPTY), 1099511627775, 1099511627775 }, /* the last number */
        { STATE("1095216660480", EMPTY), 0, 0 },
        { STATE("1099511627776", EMPTY), 0, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_detail why = { "" };
        (void)unlink(scratch_path(f->client, "lock"));
        scratch_write(f->client, "sequence.json", rows[i].before);
        nacre_err err = nacre_directory_adopt(f->client, NACRE_ROLE_NONE, 0, &why);
        if (err != (rows[i].most != 0 ? NACRE_OK : NACRE_ERR_BAD_ARGUMENT)) fail_msg("row %zu: %s", i, why.text);
        if (rows[i].most == 0) {
            scratch_expect(f->client, "sequence.json", rows[i].before);
            assert_non_null(strstr(why.text, "make new keys"));
            continue;
        }
        assert_in_range(next_in(f->client), rows[i].least, rows[i].most);
        close_ok(open_ok(f, f->client));
    }
}

/* One backup is restored twice. With lock, the second goes on above all used numbers; without it, at random ones. */
static void a_backup_adopted_twice_uses_other_numbers(void **state)
{
    struct fixture *f = *state;
    for (int with_lock = 0; with_lock < 2; with_lock++) {
        scratch_write(f->client, "sequence.json", STATE("5", EMPTY));
        if (!with_lock) (void)unlink(scratch_path(f->client, "lock"));
        assert_int_equal(nacre_directory_adopt(f->client, NACRE_ROLE_NONE, 0, NULL), NACRE_OK);
        const uint64_t first = next_in(f->client);
        scratch_write(f->client, "sequence.json", STATE("5", EMPTY));
        if (!with_lock) (void)unlink(scratch_path(f->client, "lock"));
        if (with_lock)
            assert_int_equal(nacre_directory_adopt(f->client, NACRE_ROLE_NONE, first - 1, NULL),
                             NACRE_ERR_BAD_ARGUMENT);
        assert_int_equal(nacre_directory_adopt(f->client, NACRE_ROLE_NONE, 0, NULL), NACRE_OK);
        const uint64_t second = next_in(f->client);
        if (with_lock) assert_true(second >= first + NACRE_ADOPT_SKIP);
        else assert_int_not_equal(second, first); /* equal with probability 2^-32 */
    }
}

/* A fresh pair may be copied to where it is used, and so may another program's state, which names no file identity. */
static void an_unused_pair_may_be_copied(void **state)
{
    struct fixture *f = *state;
    char a[4200], b[4200];
    snprintf(a, sizeof a, "%s/a", f->dir);
    snprintf(b, sizeof b, "%s/b", f->dir);
    need_births(f);
    assert_int_equal(nacre_directory_generate(a, b, NULL, NULL), NACRE_OK);
    scratch_mkdir(f->dir, "carried");
    char *carried = strdup(scratch_path(f->dir, "carried"));
    copy(a, carried, "secret.json");
    copy(a, carried, "settings.json");
    copy(a, carried, "sequence.json");
    use(f, carried, NACRE_ROLE_NONE, false);
    scratch_write(carried, "sequence.json", STATE("9", EMPTY));
    use(f, carried, NACRE_ROLE_NONE, false);
    scratch_expect(carried, "sequence.json", STATE("12", EMPTY));
    scratch_write(carried, "sequence.json",
                  "{\"next-to-send\": 9, \"received\": \"unknown\", \"nacre\": {\"born\": 1}}");
    expect_refused(f, carried, NACRE_ROLE_NONE, "copied, edited or put back");
    free(carried);
}

static void the_legacy_layout_is_guarded_as_well(void **state)
{
    struct fixture *f = *state;
    need_births(f);
    scratch_unlink(f->client, "sequence.json");
    scratch_write(f->client, "settings.json", "{" OLDER_IDS "}");
    use(f, f->client, NACRE_ROLE_SERVER, false);
    use(f, f->client, NACRE_ROLE_CLIENT, false);
    char *backup = scratch_read(f->client, "sequence.json");
    use(f, f->client, NACRE_ROLE_CLIENT, false);
    scratch_write(f->client, "sequence.json", backup);
    expect_refused(f, f->client, NACRE_ROLE_CLIENT, "copied, edited or put back");
    expect_refused(f, f->client, NACRE_ROLE_SERVER, "copied, edited or put back");
    assert_int_equal(nacre_directory_adopt(f->client, NACRE_ROLE_CLIENT, 40, NULL), NACRE_OK);
    char *text = scratch_state(f->client);
    assert_non_null(strstr(text, "\"used\": {\"\": 40, \"01\": 3}")); /* the other side's entry stays */
    use(f, f->client, NACRE_ROLE_CLIENT, false);
    use(f, f->client, NACRE_ROLE_SERVER, false);
    free(backup);
    free(text);
}

/* ---- Settings ---- */

static void the_new_members_are_accepted_or_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *members, *says;
    } rows[] = {
        { "\"sequence-chunk-start\": 1, \"sequence-chunk-limit\": 10000", NULL },
        { "\"sequence-chunk-start\": 0", "must be a whole number from 1 to 10000, found 0" },
        { "\"sequence-chunk-start\": 10001", "must be a whole number from 1 to 10000" },
        { "\"sequence-chunk-limit\": 65546", "must be a whole number from 1 to 10000" }, /* 10 + 2^16 */
        { "\"sequence-chunk-limit\": \"10\"", "must be a whole number from 1 to 10000" },
        { "\"sequence-chunk-limit_hex\": \"10\"", "must be a whole number from 1 to 10000" },
        { "\"sequence-chunk-start\": 21, \"sequence-chunk-limit\": 20", "is more than \"sequence-chunk-limit\"" },
        { "\"sequence-chunk-start\": 20, \"sequence-chunk-limit\": 20", NULL },
        { "\"sequence-required\": false", NULL },
        { "\"sequence-required\": 1", "must be true or false" },
        { "\"sequence-required\": \"true\"", "must be true or false" },
        { "\"sequence-required\": null", "must be true or false" },
        { "\"sequence-required_ascii\": \"x\"", "must be true or false" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char settings[300];
        nacre_directory *dir = NULL;
        nacre_detail why = { "" };
        snprintf(settings, sizeof settings, "{" IDS ", %s}", rows[i].members);
        scratch_write(f->client, "settings.json", settings);
        nacre_err err = nacre_directory_open(&dir, f->client, &f->crypto, &why);
        if (err != (rows[i].says == NULL ? NACRE_OK : NACRE_ERR_BAD_CONTEXT)) fail_msg("row %zu: %s", i, why.text);
        if (rows[i].says != NULL && strstr(why.text, rows[i].says) == NULL) fail_msg("row %zu: %s", i, why.text);
        close_ok(dir);
    }
}

/* The chunk size comes from the settings, or from the caller, which takes precedence. */
static void the_chunk_size_is_configurable(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *members;
        nacre_directory_options options;
        unsigned long long next[4];
    } rows[] = {
        { "", { 0 }, { 10, 30, 70, 150 } },
        { ", \"sequence-chunk-start\": 4, \"sequence-chunk-limit\": 10", { 0 }, { 4, 12, 22, 32 } },
        { ", \"sequence-chunk-start\": 4, \"sequence-chunk-limit\": 10",
          { .first_chunk = 5, .max_chunk = 6 },
          { 5, 11, 17, 23 } },
        { "", { .max_chunk = 1 }, { 1, 2, 3, 4 } },
        { "", { .first_chunk = 10000 }, { 10000, 20000, 30000, 40000 } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char settings[300];
        nacre_directory *dir = NULL;
        snprintf(settings, sizeof settings, "{" IDS "%s}", rows[i].members);
        scratch_write(f->client, "settings.json", settings);
        if (scratch_exists(f->client, "sequence.json")) scratch_unlink(f->client, "sequence.json");
        assert_int_equal(nacre_directory_open_with(&dir, f->client, &rows[i].options, &f->crypto, NULL), NACRE_OK);
        for (size_t k = 0; k < 4; k++) {
            char wanted[100];
            nacre_context *ctx = nacre_directory_context(dir);
            ctx->next += ctx->in_hand; /* all used */
            ctx->in_hand = 0;
            assert_int_equal(serve(dir, NULL), NACRE_OK);
            snprintf(wanted, sizeof wanted, "{\"next-to-send\": %llu, \"received\": " EMPTY "}\n", rows[i].next[k]);
            scratch_expect(f->client, "sequence.json", wanted);
        }
        close_ok(dir);
    }
    static const nacre_directory_options refused[] = { { .first_chunk = 10001 },
                                                       { .max_chunk = 10001 },
                                                       { .max_chunk = 3, .first_chunk = 4 } };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        nacre_directory *dir = NULL;
        nacre_detail why = { "" };
        assert_int_equal(nacre_directory_open_with(&dir, f->client, &refused[i], &f->crypto, &why),
                         NACRE_ERR_BAD_ARGUMENT);
        assert_non_null(strstr(why.text, "at most 10000"));
    }
}

static void options_of_another_size_are_refused(void **state)
{
    struct fixture *f = *state;
    nacre_directory_options options = { .size = sizeof options + 1 };
    nacre_directory *dir = NULL;
    nacre_detail why = { "" };
    scratch_write(f->client, "settings.json", "{" IDS "}");
    assert_int_equal(nacre_directory_open_with(&dir, f->client, &options, &f->crypto, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_non_null(strstr(why.text, "another version"));
    options.size = sizeof options;
    assert_int_equal(nacre_directory_open_with(&dir, f->client, &options, &f->crypto, NULL), NACRE_OK);
    close_ok(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lost_state_is_refused_where_it_is_required),
        TEST(a_lost_state_of_the_legacy_layout_is_refused),
        TEST(a_lost_state_is_recreated_above_all_used_numbers),
        TEST(created_directories_require_their_state),
        TEST(a_copy_in_use_is_refused),
        TEST(a_restored_old_state_is_refused),
        TEST(an_adopted_state_skips_far_ahead),
        TEST(a_backup_adopted_twice_uses_other_numbers),
        TEST(an_unused_pair_may_be_copied),
        TEST(the_legacy_layout_is_guarded_as_well),
        TEST(the_new_members_are_accepted_or_refused),
        TEST(options_of_another_size_are_refused),
        TEST(the_chunk_size_is_configurable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
