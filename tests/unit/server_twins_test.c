/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* server_twins_test: RFC 8613 3.3: no two counters under one Sender Key and no two windows under one Recipient Key in
 * one server, from any source of contexts and in any order: directories, credentials, contexts that the program made.
 * Databases: shared_keys_test, on_demand_test. */
#include "io/server/server_internal.h"
#include "blocks.h"
#include "fleet.h"
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>

typedef enum source { DIRECTORY, CREDENTIALS, CONTEXT, SOURCES } source;

typedef struct fixture {
    char *dir;
    nacre_crypto crypto;
    nacre_server *server;
    nacre_credentials *map;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    nacre_detail why;
    f->dir = scratch_make();
    assert_ok(nacre_provider_open(&f->crypto));
    assert_ok(nacre_credentials_new(&f->map));
    assert_ok(nacre_server_open(&f->server, "127.0.0.1:0", &why));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    nacre_detail why = { "" };
    if (nacre_server_close(f->server, &why) != NACRE_OK) fail_msg("%s", why.text);
    nacre_credentials_free(f->map);
    (void)test_release(state);
    nacre_provider_close(&f->crypto);
    scratch_remove(f->dir);
    free(f);
    return 0;
}

/* ---- One context, from each source ---- */

static char *path_of(const fixture *f, const char *name)
{
    char *path = test_alloc(300);
    (void)snprintf(path, 300, "%s", scratch_path(f->dir, name));
    return path;
}

static nacre_err add_credentials(fixture *f, const char *name, nacre_detail *why)
{
    char text[200], file[64];
    (void)snprintf(text, sizeof text, "{\":%s\": {\"oscore\": {\"basedir\": \"%s\"}}}", name, name);
    (void)snprintf(file, sizeof file, "%s.json", name);
    scratch_write(f->dir, file, text);
    return nacre_server_add_credentials(f->server, path_of(f, file), why);
}

static void wipe(void *ctx)
{
    nacre_context_wipe(ctx);
    free(ctx);
}

static nacre_err add_context(fixture *f, const char *name, const nacre_directory_info *info, nacre_detail *why)
{
    size_t size, align;
    char claim[40];
    nacre_directory_info *kept = test_alloc(sizeof *kept);
    *kept = *info;
    const nacre_context_params params = {
        .cose_aead = info->aead->cose,
        .master_secret.bytes = nacre_bytes_of(kept->secret, kept->secret_len),
        .master_salt = nacre_bytes_of(kept->salt, kept->salt_len),
        .sender_id = nacre_bytes_of(kept->sender_id, kept->sender_id_len),
        .recipient_id = nacre_bytes_of(kept->recipient_id, kept->recipient_id_len),
        .id_context = kept->has_id_context ? nacre_bytes_of(kept->id_context, kept->id_context_len) : NACRE_ABSENT,
    };
    assert_ok(nacre_context_key_layout(&f->crypto, params.cose_aead, &size, &align));
    nacre_buf keys = { aligned_alloc(align, (size + align - 1) / align * align), size };
    nacre_context *ctx = calloc(1, sizeof *ctx);
    assert_ok(nacre_context_init(ctx, &f->crypto, &params, keys));
    test_keep(keys.ptr, free);
    test_keep(ctx, wipe);
    (void)snprintf(claim, sizeof claim, ":%s", name);
    nacre_credentials *one;
    assert_ok(nacre_credentials_new(&one));
    assert_ok(nacre_credentials_set_context(one, claim, ctx, (nacre_store){ 0 }, why));
    nacre_err err = nacre_server_use_credentials(f->server, one, why);
    nacre_credentials_free(one);
    return err;
}

/* Adds a context of that name to the server. */
static nacre_err add(fixture *f, source from, const char *name, const nacre_directory_info *info, nacre_detail *why)
{
    *why = (nacre_detail){ "" };
    if (from == CONTEXT) return add_context(f, name, info, why);
    assert_ok(nacre_directory_create(path_of(f, name), info, why));
    return from == DIRECTORY ? nacre_server_add_context(f->server, path_of(f, name), why)
                             : add_credentials(f, name, why);
}

/* ---- A server's contexts ---- */

typedef struct had {
    size_t contexts, senders, keys;
} had;

static had look(const fixture *f)
{
    const nacre_server *s = f->server;
    return (had){ s->table.num_contexts, s->senders.num, s->context_set.num };
}

static void is_as_it_was(const fixture *f, had before)
{
    const had now = look(f);
    assert_memory_equal(&now, &before, sizeof now);
}

static void expect_refusal(fixture *f, source from, const char *name, const char *other,
                           const nacre_directory_info *info, const char *key)
{
    nacre_detail why;
    const had before = look(f);
    assert_err_row(name, add(f, from, name, info, &why), NACRE_ERR_DUPLICATE_CONTEXT);
    if (strstr(why.text, name) == NULL || strstr(why.text, other) == NULL || strstr(why.text, key) == NULL)
        fail_msg("'%s' does not name %s, %s and the %s", why.text, name, other, key);
    assert_null(strstr(why.text, "directory of the same"));
    is_as_it_was(f, before);
}

static void expect_ok(fixture *f, source from, const char *name, const nacre_directory_info *info)
{
    nacre_detail why;
    if (add(f, from, name, info, &why) != NACRE_OK) fail_msg("%s: %s", name, why.text);
}

/* ---- The rows ---- */

/* A copy from any source is refused beside the original from any other; its neighbour with another secret is
 * accepted. */
static void one_sender_key_twice_is_refused_from_any_two_sources(void **state)
{
    fixture *f = *state;
    size_t index = 0;
    for (source first = DIRECTORY; first < SOURCES; first++)
        for (source second = DIRECTORY; second < SOURCES; second++, index++) {
            char names[3][32];
            nacre_directory_info info, another;
            for (int i = 0; i < 3; i++) (void)snprintf(names[i], sizeof names[i], "%c%zu", "abc"[i], index + 100);
            fleet_describe(&info, 10 * index);
            fleet_describe(&another, 10 * index + 1);
            expect_ok(f, first, names[0], &info);
            expect_refusal(f, second, names[1], names[0], &info, "Sender Key");
            expect_ok(f, second, names[2], &another);
        }
}

/* libcoap's group: one sender, several recipients: two counters under its key. And two Sender IDs with one peer: two
 * windows. */
static void one_of_the_two_keys_is_enough(void **state)
{
    fixture *f = *state;
    for (source first = DIRECTORY; first < SOURCES; first++)
        for (source second = DIRECTORY; second < SOURCES; second++) {
            char names[4][32];
            nacre_directory_info info, other;
            const size_t index = 1000 + 10 * (first * SOURCES + second);
            for (int i = 0; i < 4; i++) (void)snprintf(names[i], sizeof names[i], "%c%zu", "abcd"[i], index);
            fleet_describe(&info, index);
            expect_ok(f, first, names[0], &info);
            other = info;
            other.recipient_id[0] ^= 0x40;
            expect_refusal(f, second, names[1], names[0], &other, "Sender Key");
            other = info;
            other.sender_id[0] ^= 0x40;
            expect_refusal(f, second, names[2], names[0], &other, "Recipient Key");
            other.recipient_id[0] ^= 0x40; /* both IDs differ: other keys */
            expect_ok(f, second, names[3], &other);
        }
}

/* Contexts whose key inputs differ in one thing are distinct, and so are the two sides of one context. */
static void contexts_with_different_keys_are_accepted(void **state)
{
    fixture *f = *state;
    nacre_directory_info info, other;
    fleet_describe(&info, 7);
    expect_ok(f, DIRECTORY, "first", &info);
    other = info;
    memcpy(other.sender_id, info.recipient_id, sizeof other.sender_id);
    memcpy(other.recipient_id, info.sender_id, sizeof other.recipient_id);
    other.sender_id_len = info.recipient_id_len;
    other.recipient_id_len = info.sender_id_len;
    expect_ok(f, DIRECTORY, "other_side", &other);
    other = info;
    other.has_id_context = true;
    expect_ok(f, CREDENTIALS, "empty_id_context", &other);
    other.id_context_len = 1;
    expect_ok(f, CONTEXT, "id_context", &other);
    other = info;
    other.secret[0] ^= 1;
    expect_ok(f, (source)(SOURCES - 1), "secret", &other);
    other = info;
    other.salt[other.salt_len++] = 1;
    expect_ok(f, (source)(SOURCES - 1), "salt", &other);
    other = info;
    other.salt[other.salt_len++] = 0; /* HMAC pads with zeros: the same keys */
    expect_refusal(f, DIRECTORY, "padded", "first", &other, "Sender Key");
}

/* A directory is the same one under any path, and under several names. */
static void one_directory_by_several_paths_is_accepted(void **state)
{
    fixture *f = *state;
    nacre_detail why;
    nacre_directory_info info;
    fleet_describe(&info, 3);
    expect_ok(f, DIRECTORY, "one", &info);
    scratch_write(f->dir, "again.json",
                  "{\":a\": {\"oscore\": {\"basedir\": \"one\"}}, \":b\": {\"oscore\": {\"basedir\": \"./one\"}}}");
    assert_ok(nacre_server_add_credentials(f->server, path_of(f, "again.json"), &why));
    assert_int_equal(look(f).contexts, 1);
}

/* A credentials file whose last entry is a twin leaves nothing behind: no context, no name, no lock. Without that
 * entry, all are accepted. */
static void credentials_with_a_twin_leave_the_server_as_it_was(void **state)
{
    static const char *const text =
        "{\":a\": {\"oscore\": {\"basedir\": \"a\"}}, \":first\": {\"oscore\": {\"basedir\": "
        "\"first\"}}, \":b\": {\"oscore\": {\"basedir\": \"b\"}}%s}";
    fixture *f = *state;
    nacre_detail why;
    nacre_directory_info info;
    nacre_directory *opened;
    char with[300];
    fleet_describe(&info, 1);
    expect_ok(f, DIRECTORY, "first", &info);
    assert_ok(nacre_directory_create(path_of(f, "twin"), &info, &why));
    for (size_t i = 2; i < 4; i++) {
        fleet_describe(&info, i);
        assert_ok(nacre_directory_create(path_of(f, i == 2 ? "a" : "b"), &info, &why));
    }
    const had before = look(f);
    (void)snprintf(with, sizeof with, text, ", \":twin\": {\"oscore\": {\"basedir\": \"twin\"}}");
    scratch_write(f->dir, "with.json", with);
    assert_err(nacre_server_add_credentials(f->server, path_of(f, "with.json"), &why), NACRE_ERR_DUPLICATE_CONTEXT);
    is_as_it_was(f, before);
    const nacre__key *key = &f->server->context_set.keys[0];
    assert_null(nacre_server_claims(f->server, key->ctx)[1]); /* its path is its only name */
    assert_ok(nacre_directory_open(&opened, path_of(f, "a"), &f->crypto, &why));
    assert_ok(nacre_directory_close(opened, &why));
    (void)snprintf(with, sizeof with, text, "");
    scratch_write(f->dir, "without.json", with);
    assert_ok(nacre_server_add_credentials(f->server, path_of(f, "without.json"), &why));
    assert_int_equal(look(f).contexts, before.contexts + 2);
    assert_string_equal(nacre_server_claims(f->server, key->ctx)[1], ":first");
}

#define IN_A_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_SERVER(one_sender_key_twice_is_refused_from_any_two_sources),
        IN_A_SERVER(one_of_the_two_keys_is_enough),
        IN_A_SERVER(contexts_with_different_keys_are_accepted),
        IN_A_SERVER(one_directory_by_several_paths_is_accepted),
        IN_A_SERVER(credentials_with_a_twin_leave_the_server_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
