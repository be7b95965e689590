/* SPDX-License-Identifier: MIT */
/* generate_test: fresh pairs of context directories: both or none, and never in the place of another. */
#include "directories.h"
#include "write_points.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Fresh pairs ---- */

static void a_pair_talks(void **state)
{
    struct fixture *f = *state;
    char a[4200], b[4200];
    snprintf(a, sizeof a, "%s/a", f->dir);
    snprintf(b, sizeof b, "%s/b/", f->dir);
    const nacre_aead *aead;
    for (size_t i = 0; (aead = nacre_aead_at(i)) != NULL; i++) {
        nacre_generate_options options = { aead, i % 2 == 0 ? NACRE_ABSENT : NACRE_STR("context") };
        nacre_detail why = { "" };
        if (nacre_directory_generate(a, b, &options, &why) != NACRE_OK) fail_msg("%s", why.text);
        nacre_directory_info info;
        assert_int_equal(nacre_directory_read(&info, a, true, NULL), NACRE_OK);
        assert_ptr_equal(info.aead, aead);
        assert_int_equal(info.secret_len, aead->key_len == 16 ? 16 : 32);
        assert_int_equal(info.salt_len, 8);
        assert_int_equal(info.has_id_context, i % 2 != 0);
        assert_int_equal(info.id_context_len, i % 2 == 0 ? 0 : 7);
        assert_true(info.sender_id_len == 1 && info.sender_id[0] == 0);
        assert_true(info.recipient_id_len == 1 && info.recipient_id[0] == 1);

        nacre_directory *client = open_ok(f, a), *server = open_ok(f, b);
        uint8_t room[64];
        nacre_bytes request;
        assert_int_equal(serve(client, NULL), NACRE_OK);
        assert_int_equal(protect(f, client, &request, NACRE_ROOM(room)), NACRE_OK);
        assert_int_equal(accept_request(f, server, request), NACRE_OK);
        close_ok(client);
        close_ok(server);

        static const char *const files[] = { "secret.json", "settings.json", "sequence.json", "lock" };
        for (size_t j = 0; j < 4; j++) {
            struct stat st;
            assert_int_equal(stat(scratch_path(a, files[j]), &st), 0);
            assert_int_equal(st.st_mode & 07777, 0600);
            scratch_unlink(a, files[j]);
            scratch_unlink(b, files[j]);
        }
        struct stat st;
        assert_int_equal(stat(a, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_int_equal(rmdir(a), 0); /* nothing else is in there */
        assert_int_equal(rmdir(b), 0);
    }
}

/* RFC 8613 12.3: no two pairs have one secret. */
static void pairs_differ(void **state)
{
    struct fixture *f = *state;
    nacre_directory_info one, two;
    char paths[4][4200];
    for (size_t i = 0; i < 4; i++) snprintf(paths[i], sizeof paths[i], "%s/p%zu", f->dir, i);
    assert_int_equal(nacre_directory_generate(paths[0], paths[1], NULL, NULL), NACRE_OK);
    assert_int_equal(nacre_directory_generate(paths[2], paths[3], NULL, NULL), NACRE_OK);
    assert_int_equal(nacre_directory_read(&one, paths[0], true, NULL), NACRE_OK);
    assert_int_equal(nacre_directory_read(&two, paths[2], true, NULL), NACRE_OK);
    assert_int_equal(one.secret_len, 16);
    assert_memory_not_equal(one.secret, two.secret, 16);
    assert_memory_not_equal(one.salt, two.salt, 8);
    assert_int_equal(nacre_directory_read(&two, paths[1], true, NULL), NACRE_OK);
    assert_memory_equal(one.secret, two.secret, 16);
    assert_memory_equal(one.salt, two.salt, 8);
}

static void a_pair_is_both_or_none(void **state)
{
    struct fixture *f = *state;
    char a[4200], b[4200];
    nacre_detail why = { "" };
    snprintf(a, sizeof a, "%s/a", f->dir);
    snprintf(b, sizeof b, "%s/b", f->dir);
    /* each of the 6 files takes three write points, the two parents one each */
    for (unsigned step = 1; step <= 20; step++) {
        points.calls = 0;
        points.fail_at = step;
        assert_int_equal(nacre_directory_generate(a, b, NULL, &why), NACRE_ERR_FILE);
        assert_non_null(strstr(why.text, strerror(EIO)));
        assert_false(scratch_exists(f->dir, "a"));
        assert_false(scratch_exists(f->dir, "b"));
    }
    points.calls = 0;
    points.fail_at = 21;
    assert_int_equal(nacre_directory_generate(a, b, NULL, &why), NACRE_OK);
    assert_int_equal(points.calls, 20);
}

static void a_pair_replaces_nothing(void **state)
{
    struct fixture *f = *state;
    char a[4200], same[4200];
    nacre_detail why = { "" };
    snprintf(a, sizeof a, "%s/a", f->dir);
    snprintf(same, sizeof same, "%s/./a", f->dir);
    assert_int_equal(nacre_directory_generate(f->client, a, NULL, &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, strerror(EEXIST)));
    assert_non_null(strstr(why.text, f->client));
    assert_false(scratch_exists(f->dir, "a"));
    assert_int_equal(nacre_directory_generate(a, f->server, NULL, &why), NACRE_ERR_FILE);
    assert_false(scratch_exists(f->dir, "a"));
    scratch_expect(f->client, "secret.json", SECRET);
    scratch_expect(f->server, "secret.json", SECRET);
    assert_int_equal(nacre_directory_generate(scratch_path(f->dir, "no/a"), a, NULL, &why), NACRE_ERR_FILE);
    assert_false(scratch_exists(f->dir, "a"));
    assert_int_equal(nacre_directory_generate(a, a, NULL, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(nacre_directory_generate(a, scratch_path(f->dir, "a//"), NULL, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_non_null(strstr(why.text, "given for both sides"));
    assert_int_equal(nacre_directory_generate(a, same, NULL, &why), NACRE_ERR_FILE);
    assert_false(scratch_exists(f->dir, "a"));

    nacre_aead stranger = *nacre_aead_by_number(10);
    nacre_generate_options options = { &stranger, NACRE_ABSENT };
    assert_int_equal(nacre_directory_generate(a, f->server, &options, &why), NACRE_ERR_BAD_ARGUMENT);
    uint8_t long_id[256] = { 0 };
    options = (nacre_generate_options){ NULL, NACRE_ARRAY(long_id) };
    assert_int_equal(nacre_directory_generate(a, scratch_path(f->dir, "b"), &options, &why), NACRE_ERR_BAD_ARGUMENT);
    options.id_context.len = 255;
    assert_int_equal(nacre_directory_generate(a, scratch_path(f->dir, "b"), &options, &why), NACRE_OK);
    close_ok(open_ok(f, a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pair_talks),
        TEST(pairs_differ),
        TEST(a_pair_is_both_or_none),
        TEST(a_pair_replaces_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
