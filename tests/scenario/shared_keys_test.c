/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* shared_keys_test: like nonce_log_test, for contexts that share a key (RFC 8613 3.3, D.4). Each key is reachable as a
 * directory, a copy of it, credentials, a context of the program, databases, and a context with another recipient. They are
 * offered to one server in random order; the accepted ones send, and no key uses a number twice. */
#include "../support/lib/blocks.h" /* not the one beside this file */
#include "io/server/server_internal.h"
#include "fleet.h"
#include "scratch.h"
#include "store/sqlite/sqlite_serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROUNDS = 20, KEYS = 5, REQUESTS = 4, MAX_NUMBER = 256 };

typedef enum way { DIRECTORY, COPY, CREDENTIALS, CONTEXT, DATABASE, SECOND_DATABASE, NEIGHBOUR, WAYS } way;

typedef struct world {
    char *dir;
    nacre_server *server;
    nacre_directory_info infos[KEYS];
    uint8_t iv[KEYS][NACRE_MAX_NONCE]; /* identifies the keys */
    bool sent[KEYS][MAX_NUMBER];
    unsigned num_taken[KEYS], num_sent, num_refused;
    nacre_sqlite *databases[2 * KEYS]; /* whose contexts are let in as the server's loader does it */
    size_t num_databases;
} world;

static const nacre_crypto *crypto_of(const world *w)
{
    return &nacre__server_first(w->server)->crypto;
}

/* ---- Ways to add a key ---- */

static const char *path_of(const world *w, unsigned key, way by, const char *suffix)
{
    char *path = test_alloc(300), name[40];
    (void)snprintf(name, sizeof name, "%u-%d%s", key, (int)by, suffix);
    (void)snprintf(path, 300, "%s", scratch_path(w->dir, name));
    return path;
}

static void wipe(void *ctx)
{
    nacre_context_wipe(ctx);
    free(ctx);
}

static nacre_context *make_context(const world *w, const nacre_directory_info *info)
{
    size_t size, align;
    const nacre_context_params params = {
        .master_secret.bytes = nacre_bytes_of(info->secret, info->secret_len),
        .master_salt = nacre_bytes_of(info->salt, info->salt_len),
        .sender_id = nacre_bytes_of(info->sender_id, info->sender_id_len),
        .recipient_id = nacre_bytes_of(info->recipient_id, info->recipient_id_len),
    };
    assert_ok(nacre_context_key_layout(crypto_of(w), 0, &size, &align));
    nacre_buf keys = { aligned_alloc(align, (size + align - 1) / align * align), size };
    nacre_context *ctx = calloc(1, sizeof *ctx);
    assert_ok(nacre_context_init(ctx, crypto_of(w), &params, keys));
    test_keep(keys.ptr, free);
    test_keep(ctx, wipe);
    return ctx;
}

static nacre_err by_map(const world *w, const char *directory, nacre_context *ctx)
{
    nacre_credentials *map;
    assert_ok(nacre_credentials_new(&map));
    if (directory != NULL) assert_ok(nacre_credentials_set_directory(map, ":one", directory, NACRE_ROLE_NONE, NULL));
    else assert_ok(nacre_credentials_set_context(map, ":one", ctx, (nacre_store){ 0 }, NULL));
    const nacre_err err = nacre_server_use_credentials(w->server, map, NULL);
    nacre_credentials_free(map);
    return err;
}

static nacre_err by_database(world *w, unsigned key, way by)
{
    const char *path = path_of(w, key, by, ".db");
    const int64_t id = 1;
    nacre_context *ctx;
    fleet_database(path, &w->infos[key], 1);
    nacre_sqlite **db = &w->databases[w->num_databases++];
    assert_ok(nacre_sqlite_open(db, path, NULL, crypto_of(w), NULL));
    assert_ok(nacre_sqlite_load(*db, &ctx, &id, 1, NULL));
    const nacre_err err = nacre__server_insert(w->server, ctx, NULL);
    if (err != NACRE_OK) assert_ok(nacre_sqlite_unload(*db, ctx, NULL));
    return err;
}

static nacre_err offer(world *w, unsigned key, way by)
{
    const char *path = path_of(w, key, by, "");
    nacre_directory_info info = w->infos[key];
    if (by == NEIGHBOUR) info.recipient_id[3] = 0x77;
    if (by == CONTEXT) return by_map(w, NULL, make_context(w, &info));
    if (by == DATABASE || by == SECOND_DATABASE) return by_database(w, key, by);
    assert_ok(nacre_directory_create(path, &info, NULL));
    return by == CREDENTIALS ? by_map(w, path, NULL) : nacre_server_add_context(w->server, path, NULL);
}

/* ---- The log ---- */

static unsigned key_of(const world *w, const nacre_context *ctx)
{
    for (unsigned key = 0; key < KEYS; key++)
        if (memcmp(w->iv[key], ctx->common_iv, sizeof w->iv[key]) == 0) return key;
    fail_msg("a context that was never offered");
    return 0;
}

static void serve(const world *w, nacre_context *ctx)
{
    const nacre__key *key = nacre__context_set_find(&w->server->context_set, ctx);
    nacre_store store;
    if (nacre__server_find_store(w->server, ctx, &store) && nacre__sqlite_has(&store))
        assert_ok(nacre_store_serve(&store, ctx, NULL));
    if (key != NULL && key->dir != NULL) assert_ok(nacre_store_serve(&key->store, ctx, NULL));
}

/* One request; its number must be new for the key. */
static void send(world *w, nacre_context *ctx)
{
    uint8_t buf[128];
    nacre_request_id id;
    nacre_bytes out;
    uint64_t number;
    const nacre_message plain = { .type = NACRE_CON, .code = NACRE_GET };
    serve(w, ctx);
    assert_ok(nacre_protect_request(ctx, crypto_of(w), &id, &out, NACRE_BUF(buf), &plain, NULL));
    assert_true(test_number(&number, out));
    assert_true(number < MAX_NUMBER);
    bool *sent = &w->sent[key_of(w, ctx)][number];
    if (*sent) fail_msg("number %u twice under one key", (unsigned)number);
    *sent = true;
    w->num_sent++;
}

static void send_from_all(world *w, uint64_t *random)
{
    for (unsigned i = 0; i < REQUESTS; i++)
        for (size_t at = 0; at < w->server->table.num_slots; at++)
            if (w->server->slots[at].context != NULL && test_random(random) % 4 != 0)
                send(w, w->server->slots[at].context);
}

/* ---- One server ---- */

static void describe_keys(world *w, unsigned round)
{
    for (unsigned key = 0; key < KEYS; key++) {
        fleet_describe(&w->infos[key], round * KEYS + key);
        const nacre_context *ctx = make_context(w, &w->infos[key]);
        memcpy(w->iv[key], ctx->common_iv, sizeof w->iv[key]);
    }
}

static void offer_all(world *w, uint64_t *random)
{
    unsigned order[KEYS * WAYS];
    for (unsigned i = 0; i < KEYS * WAYS; i++) {
        const unsigned at = (unsigned)(test_random(random) % (i + 1));
        order[i] = order[at];
        order[at] = i;
    }
    for (unsigned i = 0; i < KEYS * WAYS; i++) {
        const nacre_err err = offer(w, order[i] / WAYS, (way)(order[i] % WAYS));
        if (err == NACRE_OK) w->num_taken[order[i] / WAYS]++;
        else assert_err(err, NACRE_ERR_DUPLICATE_CONTEXT);
        w->num_refused += err != NACRE_OK;
        if (i % 7 == 0) send_from_all(w, random);
    }
}

static void no_number_is_used_twice_however_a_key_is_reached(void **state)
{
    (void)state;
    uint64_t random = 10;
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0); /* syncs take no time there */
    for (unsigned round = 0; round < ROUNDS; round++) {
        world *w = test_alloc(sizeof *w);
        nacre_detail why = { "" };
        memset(w, 0, sizeof *w);
        w->dir = scratch_make();
        assert_ok(nacre_server_open(&w->server, "127.0.0.1:0", &why));
        describe_keys(w, round);
        offer_all(w, &random);
        for (unsigned key = 0; key < KEYS; key++) assert_int_equal(w->num_taken[key], 1);
        assert_int_equal(w->num_refused, KEYS * (WAYS - 1));
        assert_true(w->num_sent > KEYS);
        for (size_t at = 0; at < w->server->table.num_slots; at++) {
            nacre_context *ctx = w->server->slots[at].context;
            nacre_store store;
            if (ctx == NULL || !nacre__server_find_store(w->server, ctx, &store) || !nacre__sqlite_has(&store))
                continue;
            nacre__server_forget(w->server, ctx);
            at = 0; /* others have moved */
        }
        for (size_t i = 0; i < w->num_databases; i++) assert_ok(nacre_sqlite_close(w->databases[i], NULL));
        assert_ok(nacre_server_close(w->server, &why));
        scratch_remove(w->dir);
        (void)test_release(NULL);
    }
}

int main(void)
{
    if (!nacre_sqlite_is_built()) {
        (void)printf("SKIPPED: this build has no SQLite\n");
        return 77;
    }
    const struct CMUnitTest tests[] = { TEST(no_number_is_used_twice_however_a_key_is_reached) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
