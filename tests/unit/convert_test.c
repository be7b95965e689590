/* SPDX-License-Identifier: MIT */
/* convert_test: a directory is converted to the other layout and back, refusals change nothing, and after a crash or a
 * failing write at each step the directory opens with its true state. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lone.h"
#include "write_points.h"

#define SECRET "{\"secret_hex\": \"0102030405060708090a0b0c0d0e0f10\", \"salt_hex\": \"9e7c\"}"
#define NEWEST "{\"sender-id_hex\": \"61\", \"recipient-id_ascii\": \"b\", \"comment\": [1, null, {\"x\": \"\\\"\"}]}"
#define SEED   "{\"client-id_hex\": \"61\", \"server-sender-id_ascii\": \"b\", \"window\": 40}"

static void fill(struct fixture *f, const char *settings, const char *sequence)
{
    scratch_write(f->dir, "secret.json", SECRET);
    scratch_write(f->dir, "settings.json", settings);
    scratch_write(f->dir, "sequence.json", sequence);
}

static const char newest_state[] = "{\"next-to-send\": 17, \"received\": {\"index\": 5, \"bitfield\": 9}}";
static const char legacy_state[] = "{\"used\": {\"61\": 17, \"62\": 3}, \"seen\": {\"62\": [4, 5, 8], \"61\": [1]}}";

/* Reads the directory in its present layout. */
static nacre_err read_any(struct fixture *f, nacre_directory_info *info, nacre_detail *why)
{
    nacre_err err = nacre_directory_read(info, f->dir, true, why);
    return err == NACRE_OK ? err : nacre_directory_read_as(info, f->dir, NACRE_ROLE_CLIENT, true, why);
}

static bool same_state(const nacre_directory_info *a, const nacre_directory_info *b)
{
    return a->aead == b->aead && a->hash == b->hash && a->window == b->window && a->next_to_send == b->next_to_send &&
           a->window_known == b->window_known && a->window_index == b->window_index &&
           memcmp(a->window_bits, b->window_bits, sizeof a->window_bits) == 0 && a->sender_id_len == b->sender_id_len &&
           memcmp(a->sender_id, b->sender_id, sizeof a->sender_id) == 0 &&
           memcmp(a->recipient_id, b->recipient_id, sizeof a->recipient_id) == 0 && a->secret_len == b->secret_len &&
           memcmp(a->secret, b->secret, sizeof a->secret) == 0 && memcmp(a->salt, b->salt, sizeof a->salt) == 0;
}

static void conversion_there_and_back_keeps_the_state(void **state)
{
    struct fixture *f = *state;
    nacre_directory_info before, between, after;
    fill(f, NEWEST, newest_state);
    assert_int_equal(read_any(f, &before, NULL), NACRE_OK);
    assert_int_equal(nacre_directory_convert(f->dir, NACRE_LAYOUT_LEGACY, NACRE_ROLE_CLIENT, NULL), NACRE_OK);
    scratch_expect(f->dir, "sequence.json", "{\"used\": {\"61\": 17}, \"seen\": {\"62\": [4, 5, 8]}}\n");
    scratch_expect(
        f->dir, "settings.json",
        "{\"client-sender-id_hex\": \"61\",\n \"server-sender-id_ascii\": \"b\",\n \"comment\": [1, null, {\"x\": "
        "\"\\\"\"}],\n \"algorithm\": \"AES-CCM-16-64-128\",\n \"sequence-required\": true}\n");
    assert_int_equal(read_any(f, &between, NULL), NACRE_OK);
    assert_int_equal(between.layout, NACRE_LAYOUT_LEGACY);
    assert_true(same_state(&before, &between));
    /* The other side was never used here, so its state is not known. */
    assert_int_equal(nacre_directory_read_as(&after, f->dir, NACRE_ROLE_SERVER, false, NULL), NACRE_ERR_BAD_CONTEXT);
    assert_int_equal(nacre_directory_convert(f->dir, NACRE_LAYOUT_NEWEST, NACRE_ROLE_CLIENT, NULL), NACRE_OK);
    assert_int_equal(read_any(f, &after, NULL), NACRE_OK);
    assert_int_equal(after.layout, NACRE_LAYOUT_NEWEST);
    assert_true(same_state(&before, &after));
    assert_int_equal(scratch_count(f->dir, "."), 2); /* no temporary file is left */
}

static void the_server_role_swaps_the_ids(void **state)
{
    struct fixture *f = *state;
    fill(f, NEWEST, newest_state);
    assert_int_equal(nacre_directory_convert(f->dir, NACRE_LAYOUT_LEGACY, NACRE_ROLE_SERVER, NULL), NACRE_OK);
    char *text = scratch_read(f->dir, "settings.json");
    assert_non_null(strstr(text, "\"server-sender-id_hex\": \"61\""));
    assert_non_null(strstr(text, "\"client-sender-id_ascii\": \"b\""));
    free(text);
    fill(f, SEED, legacy_state);
    assert_int_equal(nacre_directory_convert(f->dir, NACRE_LAYOUT_NEWEST, NACRE_ROLE_SERVER, NULL), NACRE_OK);
    scratch_expect(f->dir, "sequence.json", "{\"next-to-send\": 3, \"received\": {\"index\": 2, \"bitfield\": 0}}\n");
    text = scratch_read(f->dir, "settings.json");
    assert_non_null(strstr(text, "\"recipient-id_hex\": \"61\""));
    assert_non_null(strstr(text, "\"sender-id_ascii\": \"b\""));
    assert_non_null(strstr(text, "\"algorithm\": \"AES-CCM-64-64-128\"")); /* the older layout's default is now named */
    free(text);
}

static void refusals_change_nothing(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *settings, *sequence;
        nacre_layout to;
        nacre_role role;
        nacre_err err;
        const char *says;
    } rows[] = {
        { NEWEST, newest_state, NACRE_LAYOUT_LEGACY, NACRE_ROLE_NONE, NACRE_ERR_BAD_ARGUMENT, "say which side" },
        { SEED, legacy_state, NACRE_LAYOUT_NEWEST, NACRE_ROLE_NONE, NACRE_ERR_BAD_ARGUMENT, "say which side" },
        { NEWEST, newest_state, (nacre_layout)7, NACRE_ROLE_CLIENT, NACRE_ERR_BAD_ARGUMENT, "no such layout" },
        { NEWEST, "{\"next-to-send\": 17, \"received\": \"unknown\"}", NACRE_LAYOUT_LEGACY, NACRE_ROLE_CLIENT,
          NACRE_ERR_BAD_CONTEXT, "the replay window is unknown" },
        { "{\"sender-id_hex\": \"61\", \"recipient-id_hex\": \"62\", \"kdf-hashfun\": \"sha512\"}", newest_state,
          NACRE_LAYOUT_LEGACY, NACRE_ROLE_CLIENT, NACRE_ERR_UNSUPPORTED, "\"kdf-hashfun\" is \"sha512\"" },
        { NEWEST, "{}", NACRE_LAYOUT_LEGACY, NACRE_ROLE_CLIENT, NACRE_ERR_BAD_CONTEXT, "no next-to-send" },
        { SEED, newest_state, NACRE_LAYOUT_NEWEST, NACRE_ROLE_CLIENT, NACRE_ERR_BAD_CONTEXT, "of the newest layout" },
        { "{\"sender-id_hex\": \"61\", \"client-id_hex\": \"62\"}", newest_state, NACRE_LAYOUT_LEGACY,
          NACRE_ROLE_CLIENT, NACRE_ERR_BAD_CONTEXT, "of two layouts" },
        { "{\"sender-id_hex\": \"61\"", newest_state, NACRE_LAYOUT_LEGACY, NACRE_ROLE_CLIENT, NACRE_ERR_BAD_CONTEXT,
          "settings.json: line 1" },
        { NEWEST, "broken, but of that layout already", NACRE_LAYOUT_NEWEST, NACRE_ROLE_NONE, NACRE_OK, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_detail why = { "" };
        fill(f, rows[i].settings, rows[i].sequence);
        nacre_err err = nacre_directory_convert(f->dir, rows[i].to, rows[i].role, &why);
        if (err != rows[i].err || strstr(why.text, rows[i].says) == NULL) fail_msg("row %zu: %s", i, why.text);
        scratch_expect(f->dir, "settings.json", rows[i].settings);
        scratch_expect(f->dir, "sequence.json", rows[i].sequence);
        scratch_expect(f->dir, "secret.json", SECRET);
    }
    /* one ID in each file */
    scratch_write(f->dir, "secret.json", "{\"secret_hex\": \"00\", \"sender-id_hex\": \"61\"}");
    scratch_write(f->dir, "settings.json", "{\"recipient-id_hex\": \"62\"}");
    scratch_write(f->dir, "sequence.json", newest_state);
    nacre_detail why = { "" };
    assert_int_equal(nacre_directory_convert(f->dir, NACRE_LAYOUT_LEGACY, NACRE_ROLE_CLIENT, &why),
                     NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "one ID is in secret.json and one in settings.json"));
    scratch_expect(f->dir, "sequence.json", newest_state);
    scratch_unlink(f->dir, "settings.json");
    scratch_write(f->dir, "secret.json",
                  "{\"secret_hex\": \"00\", \"sender-id_hex\": \"61\", \"recipient-id_hex\": \"\"}");
    assert_int_equal(nacre_directory_convert(f->dir, NACRE_LAYOUT_LEGACY, NACRE_ROLE_CLIENT, NULL), NACRE_OK);
}

static void an_open_directory_is_not_converted(void **state)
{
    struct fixture *f = *state;
    nacre_directory *dir = NULL;
    fill(f, NEWEST, newest_state);
    assert_int_equal(nacre_directory_open(&dir, f->dir, &f->crypto, NULL), NACRE_OK);
    assert_int_equal(nacre_directory_convert(f->dir, NACRE_LAYOUT_LEGACY, NACRE_ROLE_CLIENT, NULL), NACRE_ERR_LOCKED);
    assert_int_equal(nacre_directory_close(dir, NULL), NACRE_OK);
    scratch_expect(f->dir, "settings.json", NEWEST);
}

static void secrets_get_the_name_that_all_programs_read(void **state)
{
    struct fixture *f = *state;
    fill(f, NEWEST, newest_state);
    scratch_unlink(f->dir, "secret.json");
    scratch_write(f->dir, "secrets.json", SECRET);
    assert_int_equal(nacre_directory_convert(f->dir, NACRE_LAYOUT_LEGACY, NACRE_ROLE_CLIENT, NULL), NACRE_OK);
    assert_false(scratch_exists(f->dir, "secrets.json"));
    scratch_expect(f->dir, "secret.json", SECRET);
}

static void expect_true_state(struct fixture *f, const nacre_directory_info *before, unsigned step)
{
    nacre_directory_info info;
    nacre_directory *dir = NULL;
    nacre_detail why = { "" };
    if (read_any(f, &info, &why) != NACRE_OK) fail_msg("step %u: %s", step, why.text);
    if (!same_state(before, &info)) fail_msg("step %u: another state", step);
    /* the directory opens, and the conversion can be completed */
    nacre_role role = info.layout == NACRE_LAYOUT_LEGACY ? NACRE_ROLE_CLIENT : NACRE_ROLE_NONE;
    assert_int_equal(nacre_directory_open_as(&dir, f->dir, role, &f->crypto, NULL), NACRE_OK);
    assert_int_equal(nacre_directory_close(dir, NULL), NACRE_OK);
}

static void a_crash_after_any_step_leaves_the_true_state(void **state)
{
    struct fixture *f = *state;
    for (unsigned to = NACRE_LAYOUT_NEWEST; to <= NACRE_LAYOUT_LEGACY; to++) {
        nacre_directory_info before;
        const char *settings = to == NACRE_LAYOUT_LEGACY ? NEWEST : SEED;
        const char *sequence = to == NACRE_LAYOUT_LEGACY ? newest_state : legacy_state;
        unsigned steps = 0;
        for (unsigned step = 0; step <= 2 * steps; step++) { /* 0 counts the steps */
            int status = 0;
            fill(f, settings, sequence);
            assert_int_equal(read_any(f, &before, NULL), NACRE_OK);
            points.calls = 0;
            pid_t child = step > 0 ? fork() : -1;
            if (child == 0) {
                points.exit_at = (step + 1) / 2;
                points.exit_after = step % 2 == 0;
                _exit(nacre_directory_convert(f->dir, (nacre_layout)to, NACRE_ROLE_CLIENT, NULL) == NACRE_OK ? 0 : 1);
            }
            if (child > 0) {
                assert_int_equal(waitpid(child, &status, 0), child);
                assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 9);
            } else {
                assert_int_equal(nacre_directory_convert(f->dir, (nacre_layout)to, NACRE_ROLE_CLIENT, NULL), NACRE_OK);
                steps = points.calls;
                assert_int_equal(steps, 9); /* three files: fsync, rename, fsync of the directory */
            }
            expect_true_state(f, &before, step);
            assert_int_equal(nacre_directory_convert(f->dir, (nacre_layout)to, NACRE_ROLE_CLIENT, NULL), NACRE_OK);
            expect_true_state(f, &before, step);
        }
        for (unsigned step = 1; step <= steps; step++) {
            fill(f, settings, sequence);
            points.calls = 0;
            points.fail_at = step;
            nacre_detail why = { "" };
            assert_int_equal(nacre_directory_convert(f->dir, (nacre_layout)to, NACRE_ROLE_CLIENT, &why),
                             NACRE_ERR_FILE);
            assert_true(why.text[0] != '\0');
            points.fail_at = 0;
            expect_true_state(f, &before, step);
        }
    }
}

/* The secret's other name: two files with the same text count once, as an interrupted rename leaves them; whichever
 * file holds the IDs, the name that all programs read is kept. */
static void the_secret_gets_its_newest_name(void **state)
{
    struct fixture *f = *state;
    static const char ids_in_secret[] =
        "{\"secret_hex\": \"0102\", \"client-id_hex\": \"61\", \"server-id_hex\": \"62\"}";
    nacre_directory_info info;
    nacre_detail why = { "" };
    for (int both = 0; both < 2; both++) {
        fill(f, SEED, "{\"used\": {\"61\": 3}, \"seen\": {\"62\": [1]}}");
        scratch_write(f->dir, "secrets.json", SECRET);
        if (both == 0) scratch_unlink(f->dir, "secret.json");
        assert_int_equal(nacre_directory_read_as(&info, f->dir, NACRE_ROLE_CLIENT, true, &why), NACRE_OK);
        assert_int_equal(info.secret_len, 16);
        assert_int_equal(nacre_directory_convert(f->dir, NACRE_LAYOUT_NEWEST, NACRE_ROLE_CLIENT, &why), NACRE_OK);
        scratch_expect(f->dir, "secret.json", SECRET);
        assert_false(scratch_exists(f->dir, "secrets.json"));

        scratch_write(f->dir, "settings.json", "{}");
        scratch_unlink(f->dir, "sequence.json");
        scratch_write(f->dir, "secrets.json", ids_in_secret);
        if (both == 0) scratch_unlink(f->dir, "secret.json");
        else scratch_write(f->dir, "secret.json", ids_in_secret);
        assert_int_equal(nacre_directory_convert(f->dir, NACRE_LAYOUT_NEWEST, NACRE_ROLE_CLIENT, &why), NACRE_OK);
        assert_false(scratch_exists(f->dir, "secrets.json"));
        assert_int_equal(nacre_directory_read(&info, f->dir, true, &why), NACRE_OK);
        assert_int_equal(info.secret_len, 2);
    }
    /* they differ in an insignificant byte: which of the two the peer has cannot be known */
    fill(f, SEED, "{\"used\": {\"61\": 3}, \"seen\": {\"62\": [1]}}");
    scratch_write(f->dir, "secrets.json", SECRET "\n");
    assert_int_equal(nacre_directory_convert(f->dir, NACRE_LAYOUT_NEWEST, NACRE_ROLE_CLIENT, &why),
                     NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "was given already"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(conversion_there_and_back_keeps_the_state),
        TEST(the_server_role_swaps_the_ids),
        TEST(refusals_change_nothing),
        TEST(an_open_directory_is_not_converted),
        TEST(secrets_get_the_name_that_all_programs_read),
        TEST(a_crash_after_any_step_leaves_the_true_state),
        TEST(the_secret_gets_its_newest_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
