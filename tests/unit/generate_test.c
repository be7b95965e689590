/* SPDX-License-Identifier: MIT */
/* generate_test: fresh pairs of context directories: both or none, and never over an existing one. */
#include "directories.h"
#include "write_points.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Fresh pairs ---- */

static void a_generated_pair_communicates(void **state)
{
    struct fixture *f = *state;
    char a[4200], b[4200];
    snprintf(a, sizeof a, "%s/a", f->dir);
    snprintf(b, sizeof b, "%s/b/", f->dir);
    const nacre_aead *aead;
    for (size_t i = 0; (aead = nacre_aead_at(i)) != NULL; i++) {
        nacre_generate_options options = { .aead = aead,
                                           .id_context = i % 2 == 0 ? NACRE_ABSENT : NACRE_STR("context") };
        nacre_detail why = { "" };
        if (nacre_directory_generate(a, b, &options, &why) != NACRE_OK) fail_msg("%s", why.text);
        nacre_directory_info info;
        assert_int_equal(nacre_directory_read(&info, a, true, NULL), NACRE_OK);
        assert_ptr_equal(info.aead, aead);
        assert_int_equal(info.secret_len, aead->key_len == 16 ? 16 : 32);
        assert_int_equal(info.salt_len, 8);
        assert_int_equal(info.has_id_context, i % 2 != 0);
        assert_int_equal(info.id_context_len, i % 2 == 0 ? 0 : 7);
        assert_int_equal(info.sender_id_len, aead->nonce_len == 7 ? 1 : 2);
        assert_int_equal(info.recipient_id_len, 1);

        nacre_directory *client = open_ok(f, a), *server = open_ok(f, b);
        uint8_t buf[64];
        nacre_bytes request;
        assert_int_equal(serve(client, NULL), NACRE_OK);
        assert_int_equal(protect(f, client, &request, NACRE_BUF(buf)), NACRE_OK);
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
        assert_int_equal(rmdir(a), 0); /* the directory is empty */
        assert_int_equal(rmdir(b), 0);
    }
}

/* RFC 8613 12.3: no two pairs have one secret. */
static void each_pair_has_another_secret(void **state)
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

/* ---- Sender IDs ---- */

static void remove_pair(const char *a, const char *b)
{
    static const char *const files[] = { "secret.json", "settings.json", "sequence.json" };
    for (size_t i = 0; i < 3; i++) {
        scratch_unlink(a, files[i]);
        scratch_unlink(b, files[i]);
    }
    assert_int_equal(rmdir(a), 0);
    assert_int_equal(rmdir(b), 0);
}

static nacre_bytes sender(const nacre_directory_info *info)
{
    return nacre_bytes_of(info->sender_id, info->sender_id_len);
}

static nacre_bytes recipient(const nacre_directory_info *info)
{
    return nacre_bytes_of(info->recipient_id, info->recipient_id_len);
}

/* Makes a pair, checks that its IDs are crossed, and removes it; the client's side is in `info`. */
static void generate_and_read(const struct fixture *f, const nacre_generate_options *options,
                              nacre_directory_info *info)
{
    char a[4200], b[4200];
    nacre_detail why = { "" };
    nacre_directory_info other;
    snprintf(a, sizeof a, "%s/a", f->dir);
    snprintf(b, sizeof b, "%s/b", f->dir);
    if (nacre_directory_generate(a, b, options, &why) != NACRE_OK) fail_msg("%s", why.text);
    assert_int_equal(nacre_directory_read(info, a, false, NULL), NACRE_OK);
    assert_int_equal(nacre_directory_read(&other, b, false, NULL), NACRE_OK);
    assert_true(nacre_bytes_equal(sender(info), recipient(&other)));
    assert_true(nacre_bytes_equal(recipient(info), sender(&other)));
    remove_pair(a, b);
}

/* RFC 8613 3.3: the two random IDs of a context differ, and those of two contexts are rarely the same. */
static void random_ids_of_a_pair_differ(void **state)
{
    enum { TIMES = 32 };
    const struct fixture *f = *state;
    const nacre_aead *small = nacre_aead_by_number(12);
    uint16_t seen[TIMES];
    size_t same = 0;
    for (size_t i = 0; i < TIMES; i++) {
        nacre_directory_info info;
        generate_and_read(f, NULL, &info);
        assert_int_equal(info.sender_id_len, 2);
        assert_int_equal(info.recipient_id_len, 1);
        seen[i] = (uint16_t)(info.sender_id[0] << 8 | info.sender_id[1]);
        for (size_t j = 0; j < i; j++) same += seen[j] == seen[i];

        const nacre_generate_options one_byte = { .aead = small };
        generate_and_read(f, &one_byte, &info);
        assert_int_equal(info.sender_id_len, 1);
        assert_int_equal(info.recipient_id_len, 1);
        assert_int_not_equal(info.sender_id[0], info.recipient_id[0]);
    }
    assert_true(same < 4); /* four pairs of 496 by chance: once in 10^8 runs */
}

static void given_ids_are_used(void **state)
{
    static const struct {
        int32_t aead;
        nacre_bytes client, server;
        const char *refused; /* NULL: made */
    } rows[] = {
        { 10, { (const uint8_t *)"\x01\x02\x03\x04\x05\x06\x07", 7 }, { (const uint8_t *)"\x01", 1 }, NULL },
        { 10,
          { (const uint8_t *)"\x01\x02\x03\x04\x05\x06\x07\x08", 8 },
          { (const uint8_t *)"\x01", 1 },
          "Sender ID of the client has 8 bytes, AES-CCM-16-64-128 allows 7" },
        { 10, { (const uint8_t *)"", 0 }, { (const uint8_t *)"\x00", 1 }, NULL },
        { 10, { (const uint8_t *)"\x00", 1 }, { (const uint8_t *)"", 0 }, NULL },
        { 10, { (const uint8_t *)"", 0 }, { (const uint8_t *)"", 0 }, "the same Sender ID" },
        { 10, { (const uint8_t *)"ab", 2 }, { (const uint8_t *)"ac", 2 }, NULL },
        { 10, { (const uint8_t *)"ab", 2 }, { (const uint8_t *)"ab", 2 }, "the same Sender ID" },
        { 10, { (const uint8_t *)"a", 1 }, { NULL, 0 }, NULL },
        { 10, { NULL, 0 }, { (const uint8_t *)"ab", 2 }, NULL },
        { 12, { NULL, 0 }, { (const uint8_t *)"a", 1 }, NULL },
        { 12,
          { NULL, 0 },
          { (const uint8_t *)"ab", 2 },
          "Sender ID of the server has 2 bytes, AES-CCM-64-64-128 allows 1" },
        { 1, { (const uint8_t *)"abcdef", 6 }, { NULL, 0 }, NULL }, /* A128GCM: a nonce of 12 */
        { 1, { (const uint8_t *)"abcdefg", 7 }, { NULL, 0 }, "Sender ID of the client has 7 bytes, A128GCM allows 6" },
    };
    const struct fixture *f = *state;
    char a[4200], b[4200];
    snprintf(a, sizeof a, "%s/a", f->dir);
    snprintf(b, sizeof b, "%s/b", f->dir);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const nacre_generate_options options = { .aead = nacre_aead_by_number(rows[i].aead),
                                                 .client_id = rows[i].client,
                                                 .server_id = rows[i].server };
        nacre_detail why = { "" };
        nacre_directory_info info;
        if (rows[i].refused != NULL) {
            assert_int_equal(nacre_directory_generate(a, b, &options, &why), NACRE_ERR_BAD_ARGUMENT);
            if (strstr(why.text, rows[i].refused) == NULL) fail_msg("row %zu: %s", i, why.text);
            assert_false(scratch_exists(f->dir, "a"));
            assert_false(scratch_exists(f->dir, "b"));
            continue;
        }
        generate_and_read(f, &options, &info);
        if (!nacre_is_absent(rows[i].client)) assert_true(nacre_bytes_equal(sender(&info), rows[i].client));
        else assert_int_equal(info.sender_id_len, rows[i].aead == 12 ? 1 : 2);
        if (!nacre_is_absent(rows[i].server)) assert_true(nacre_bytes_equal(recipient(&info), rows[i].server));
        else assert_int_equal(info.recipient_id_len, 1);
    }
}

/* ---- Both or none ---- */

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

static void a_pair_never_replaces_a_directory(void **state)
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
    nacre_generate_options options = { .aead = &stranger };
    assert_int_equal(nacre_directory_generate(a, f->server, &options, &why), NACRE_ERR_BAD_ARGUMENT);
    uint8_t long_id[256] = { 0 };
    options = (nacre_generate_options){ .id_context = NACRE_ARRAY(long_id) };
    assert_int_equal(nacre_directory_generate(a, scratch_path(f->dir, "b"), &options, &why), NACRE_ERR_BAD_ARGUMENT);
    options.id_context.len = 255;
    options.size = sizeof options + 1;
    assert_int_equal(nacre_directory_generate(a, scratch_path(f->dir, "b"), &options, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_non_null(strstr(why.text, "another version"));
    assert_false(scratch_exists(f->dir, "a"));
    options.size = sizeof options;
    assert_int_equal(nacre_directory_generate(a, scratch_path(f->dir, "b"), &options, &why), NACRE_OK);
    close_ok(open_ok(f, a));
}

/* ---- From a description ---- */

static void spoil_algorithm(nacre_directory_info *i)
{
    i->aead = NULL;
}
static void spoil_hash(nacre_directory_info *i)
{
    i->hash = (nacre_hash)99;
}
static void spoil_secret(nacre_directory_info *i)
{
    i->secret_len = sizeof i->secret + 1;
}
static void spoil_salt(nacre_directory_info *i)
{
    i->salt_len = SIZE_MAX;
}
static void spoil_id_context(nacre_directory_info *i)
{
    i->id_context_len = sizeof i->id_context + 1;
}
static void spoil_sender_id(nacre_directory_info *i)
{
    i->sender_id_len = sizeof i->sender_id + 1;
}
static void spoil_recipient_id(nacre_directory_info *i)
{
    i->recipient_id_len = sizeof i->recipient_id + 1;
}
static void spoil_ids(nacre_directory_info *i)
{
    i->recipient_id_len = i->sender_id_len = 0;
}
static void spoil_nothing(nacre_directory_info *i)
{
    (void)i;
}

static void invalid_descriptions_create_nothing(void **state)
{
    const struct fixture *f = *state;
    static void (*const spoilers[])(nacre_directory_info *) = { spoil_algorithm,    spoil_hash,       spoil_secret,
                                                                spoil_salt,         spoil_id_context, spoil_sender_id,
                                                                spoil_recipient_id, spoil_ids,        spoil_nothing };
    const size_t num = sizeof spoilers / sizeof spoilers[0];
    const char *path = scratch_path(f->dir, "made");
    for (size_t i = 0; i < num; i++) {
        nacre_directory_info info;
        nacre_detail why = { "" };
        assert_int_equal(nacre_directory_read(&info, f->client, true, NULL), NACRE_OK);
        spoilers[i](&info);
        nacre_err err = nacre_directory_create(path, &info, &why);
        assert_int_equal(err, i + 1 < num ? NACRE_ERR_BAD_CONTEXT : NACRE_OK);
        assert_int_equal(access(path, F_OK) == 0, err == NACRE_OK);
        assert_true(err == NACRE_OK || strstr(why.text, path) != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_generated_pair_communicates),
        TEST(each_pair_has_another_secret),
        TEST(random_ids_of_a_pair_differ),
        TEST(given_ids_are_used),
        TEST(a_pair_is_both_or_none),
        TEST(a_pair_never_replaces_a_directory),
        TEST(invalid_descriptions_create_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
