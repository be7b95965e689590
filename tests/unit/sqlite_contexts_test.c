/* SPDX-License-Identifier: MIT */
/* sqlite_contexts_test: contexts are added, found, loaded, listed and ended in a database. */
#include <stdio.h>
#include <stdlib.h>

#include "databases.h"
#include "scratch.h"

static char *scratch, path[4096];
static nacre_sqlite *db;
static nacre_detail why;

static int set_up(void **state)
{
    (void)state;
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.db"));
    db_make(path, 3);
    db = db_open(path);
    return 0;
}

static int tear_down(void **state)
{
    db_close(db);
    scratch_remove(scratch);
    return test_release(state);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static nacre_sqlite_context described(size_t index)
{
    nacre_sqlite_context c;
    memset(&c, 0, sizeof c);
    fleet_describe(&c.info, index);
    return c;
}

static nacre_err add(nacre_sqlite_context *c, int64_t *id)
{
    return nacre_sqlite_add(db, id, 1, db_given, c, &why);
}

static uint64_t num_active(void)
{
    nacre_sqlite_stats stats;
    assert_ok(nacre_sqlite_get_stats(db, &stats, &why));
    return stats.num_active;
}

static void reopen(void)
{
    db_close(db);
    db = db_open(path);
}

static void added_contexts_talk_to_their_peers(void **state)
{
    (void)state;
    for (int64_t id = 1; id <= 3; id++) {
        nacre_context *ctx = db_load(db, id), *peer = db_peer(id);
        const nacre_store store = nacre_sqlite_store(ctx);
        bool echo = true;
        assert_int_equal(nacre_sqlite_id(ctx), id);
        assert_ok(fleet_request_one(peer, ctx, &store, &echo));
        assert_false(echo); /* new keys: the window is known */
        assert_int_equal(db_send(ctx, peer, 2), 1);
    }
}

static void every_parameter_is_stored_and_listed(void **state)
{
    (void)state;
    nacre_sqlite_context c = described(40), row;
    int64_t id;
    strcpy(c.name, "sensor 40 \xc3\xa4");
    c.info.aead = nacre_aead_by_number(30);
    c.info.hash = NACRE_SHA512;
    c.info.window = 100;
    c.info.has_id_context = true; /* an empty one, which differs from none */
    c.info.next_to_send = 12345;
    c.info.window_index = 77;
    c.info.window_bits[12] = 0x0f;
    assert_ok(add(&c, &id));
    reopen();
    row = db_row(db, id);
    assert_string_equal(row.name, c.name);
    assert_ptr_equal(row.info.aead, c.info.aead);
    assert_int_equal(row.info.hash, NACRE_SHA512);
    assert_int_equal(row.info.window, 100);
    assert_true(row.info.has_id_context);
    assert_int_equal(row.info.id_context_len, 0);
    assert_int_equal(row.info.next_to_send, 12345);
    assert_int_equal(row.info.window_index, 77);
    assert_memory_equal(row.info.window_bits, c.info.window_bits, sizeof c.info.window_bits);
    assert_int_equal(row.info.secret_len, 0); /* not without reveal */
    nacre_context *ctx = db_load(db, id);
    assert_int_equal(nacre_context_next_seq(ctx), 12345);
    assert_false(nacre_is_absent(nacre_context_id_context(ctx)));
    assert_int_equal(db_send(ctx, fleet_peer(&c.info), 1), 12345);
}

static nacre_err keep(void *user, const nacre_sqlite_context *context, nacre_detail *reason)
{
    (void)reason;
    *(nacre_sqlite_context *)user = *context;
    return NACRE_OK;
}

static void a_context_is_added_with_derived_keys_only(void **state)
{
    (void)state;
    nacre_sqlite_context c = described(50), revealed;
    int64_t id;
    const nacre_directory_info info = c.info;
    assert_ok(add(&c, &id));
    const nacre_sqlite_filter filter = { .after = id - 1, .max = 1, .reveal = true };
    assert_ok(nacre_sqlite_list(db, &filter, keep, &revealed, &why));
    assert_memory_equal(revealed.info.secret, info.secret, info.secret_len);
    assert_ok(nacre_sqlite_remove(db, &id, 1, &why));
    revealed.info.secret_len = 0;
    memset(revealed.info.secret, 0, sizeof revealed.info.secret);
    assert_ok(add(&revealed, &id));
    nacre_context *ctx = db_load(db, id);
    (void)db_send(ctx, fleet_peer(&info), 1); /* the peer derives the same keys from the secret */
    assert_err(nacre_sqlite_export(db, id, scratch_path(scratch, "out"), &why), NACRE_ERR_UNSUPPORTED);
    assert_false(scratch_exists(scratch, "out"));
    nacre_wipe(&revealed, sizeof revealed);
    revealed = described(51);
    revealed.info.secret_len = 0;
    assert_err(add(&revealed, NULL), NACRE_ERR_BAD_CONTEXT);
}

static void contexts_with_invalid_parameters_are_refused(void **state)
{
    (void)state;
    nacre_sqlite_context c = described(60);
    assert_ok(add(&c, NULL));
    c = described(61), c.info.aead = NULL;
    assert_err_row("no algorithm", add(&c, NULL), NACRE_ERR_BAD_CONTEXT);
    c = described(61), c.info.hash = (nacre_hash)9;
    assert_err_row("no hash", add(&c, NULL), NACRE_ERR_BAD_CONTEXT);
    c = described(61), c.info.sender_id_len = 7, c.info.aead = nacre_aead_by_number(3);
    assert_err_row("an ID too long for its nonce", add(&c, NULL), NACRE_ERR_BAD_CONTEXT);
    c = described(61), c.info.recipient_id_len = 1, c.info.recipient_id[0] = 1;
    assert_err_row("equal IDs", add(&c, NULL), NACRE_ERR_BAD_CONTEXT);
    c = described(61), c.info.window = 1025;
    assert_err_row("a window too large", add(&c, NULL), NACRE_ERR_BAD_CONTEXT);
    c = described(61), c.info.window = 5, c.info.window_bits[0] = 0x80;
    assert_err_row("a bit outside the window", add(&c, NULL), NACRE_ERR_BAD_CONTEXT);
    c = described(61), c.info.next_to_send = NACRE_SEQ_MAX + 2;
    assert_err_row("a number too high", add(&c, NULL), NACRE_ERR_BAD_CONTEXT);
    c = described(61), c.name[0] = (char)0xff;
    assert_err_row("a name that is not UTF-8", add(&c, NULL), NACRE_ERR_BAD_CONTEXT);
    c = described(61), memset(c.name, 'x', sizeof c.name);
    assert_err_row("a name without end", add(&c, NULL), NACRE_ERR_BAD_CONTEXT);
    c = described(61);
    assert_ok(add(&c, NULL));
    assert_int_equal(num_active(), 5);
}

static void one_key_is_in_one_context(void **state)
{
    (void)state;
    nacre_sqlite_context c = described(1);
    assert_err(add(&c, NULL), NACRE_ERR_DUPLICATE_CONTEXT);
    assert_non_null(strstr(why.text, "Sender Key"));
    c.info.sender_id[0] = 2; /* another Sender Key, the same Recipient Key */
    assert_err(add(&c, NULL), NACRE_ERR_DUPLICATE_CONTEXT);
    assert_non_null(strstr(why.text, "Recipient Key"));
    c.info.secret[8] ^= 1;
    strcpy(c.name, "a");
    assert_ok(add(&c, NULL));
    nacre_sqlite_context namesake = described(70);
    strcpy(namesake.name, "a");
    assert_err(add(&namesake, NULL), NACRE_ERR_DUPLICATE_CONTEXT);
    assert_non_null(strstr(why.text, "name"));
}

static nacre_err third_fails(void *user, nacre_sqlite_context *context, size_t index, nacre_detail *reason)
{
    size_t first = 80;
    (void)user;
    if (index == 2) return NACRE_ERR_STALE;
    return db_source(&first, context, index, reason);
}

static void all_are_added_or_none(void **state)
{
    (void)state;
    nacre_sqlite_stats before, after;
    size_t first = 2; /* 2 is there already, 3 and 4 are not */
    assert_ok(nacre_sqlite_get_stats(db, &before, &why));
    assert_err(nacre_sqlite_add(db, NULL, 3, third_fails, NULL, &why), NACRE_ERR_STALE);
    assert_err(nacre_sqlite_add(db, NULL, 3, db_source, &first, &why), NACRE_ERR_DUPLICATE_CONTEXT);
    assert_ok(nacre_sqlite_get_stats(db, &after, &why));
    assert_int_equal(after.num_active, 3);
    assert_int_equal(after.num_writes, before.num_writes);
    first = 3;
    assert_ok(nacre_sqlite_add(db, NULL, 2, db_source, &first, &why));
    assert_int_equal(num_active(), 5);
}

static void a_kid_means_at_most_eight_contexts(void **state)
{
    (void)state;
    nacre_sqlite_context c = described(90);
    for (int i = 0; i < NACRE_MAX_CANDIDATES; i++) {
        c.info.secret[9] = (uint8_t)i;
        assert_ok(add(&c, NULL));
    }
    c.info.secret[9] = 99;
    assert_err(add(&c, NULL), NACRE_ERR_UNSUPPORTED);
    c.info.has_id_context = true;
    c.info.id_context[0] = 5;
    c.info.id_context_len = 1;
    assert_ok(add(&c, NULL)); /* its ID Context tells it from the others */
}

static void a_query_finds_the_contexts_of_its_kid_and_kid_context(void **state)
{
    (void)state;
    static const uint8_t kid[4] = { 100 }, five[] = { 5 }, six[] = { 6 };
    nacre_sqlite_context c = described(100);
    int64_t with_context, without, removed;
    c.info.has_id_context = true;
    c.info.id_context[0] = 5;
    c.info.id_context_len = 1;
    assert_ok(add(&c, &with_context));
    c.info.has_id_context = false;
    c.info.secret[9] = 1;
    assert_ok(add(&c, &without));
    c.info.secret[9] = 2;
    assert_ok(add(&c, &removed));
    assert_ok(nacre_sqlite_remove(db, &removed, 1, &why));
    nacre_sqlite_query queries[] = {
        { .kid = NACRE_ARRAY(kid) },
        { .kid = NACRE_ARRAY(kid), .kid_context = NACRE_ARRAY(five) },
        { .kid = NACRE_ARRAY(kid), .kid_context = NACRE_ARRAY(six) },
        { .kid = NACRE_ARRAY(six) },
        { .num_ids = 7 },
    };
    assert_ok(nacre_sqlite_find(db, queries, COUNT(queries), &why));
    assert_int_equal(queries[0].num_ids, 2);
    assert_int_equal(queries[0].ids[0], without); /* first those without ID Context */
    assert_int_equal(queries[0].ids[1], with_context);
    assert_int_equal(queries[1].num_ids, 1);
    assert_int_equal(queries[1].ids[0], with_context);
    for (size_t i = 2; i < COUNT(queries); i++) assert_int_equal(queries[i].num_ids, 0);
}

static void loading_again_gives_the_same_context(void **state)
{
    (void)state;
    const int64_t ids[] = { 2, 99, 2 };
    nacre_context *contexts[3];
    nacre_context *ctx = db_load(db, 2);
    assert_ok(nacre_sqlite_load(db, contexts, ids, 3, &why));
    assert_ptr_equal(contexts[0], ctx);
    assert_null(contexts[1]);
    assert_ptr_equal(contexts[2], ctx);
    (void)db_send(ctx, db_peer(2), 3);
    assert_ok(nacre_sqlite_unload(db, ctx, &why));
    assert_int_equal(db_row(db, 2).info.next_to_send, 3); /* exact */
    assert_int_equal(nacre_context_next_seq(db_load(db, 2)), 3);
}

static nacre_err count(void *user, nacre_context *ctx, nacre_detail *reason)
{
    (void)reason, (void)ctx;
    ++*(size_t *)user;
    return NACRE_OK;
}

static void thousands_are_loaded_and_unloaded(void **state)
{
    (void)state;
    enum { MANY = 2000 };
    size_t first = 1000, num = 0;
    nacre_sqlite_stats stats;
    assert_ok(nacre_sqlite_add(db, NULL, MANY, db_source, &first, &why));
    assert_ok(nacre_sqlite_load_all(db, count, &num, &why));
    assert_int_equal(num, MANY + 3);
    for (int64_t id = 1; id <= MANY; id += 2) assert_ok(nacre_sqlite_unload(db, db_load(db, id), &why));
    assert_ok(nacre_sqlite_get_stats(db, &stats, &why));
    assert_int_equal(stats.num_loaded, MANY + 3 - MANY / 2);
    for (int64_t id = 1; id <= MANY + 3; id++) assert_int_equal(nacre_sqlite_id(db_load(db, id)), id);
}

/* ---- Ending ---- */

static void a_removed_context_cannot_be_loaded_and_its_secret_is_erased(void **state)
{
    (void)state;
    nacre_directory_info info;
    const int64_t id = 2, none = 99;
    nacre_context *loaded, *missing;
    fleet_describe(&info, 1);
    reopen();
    assert_non_null(memmem(file_bytes(path).ptr, file_bytes(path).len, info.secret, 16));
    loaded = db_load(db, 2);
    assert_err(nacre_sqlite_remove(db, &none, 1, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_ok(nacre_sqlite_remove(db, &id, 1, &why));
    assert_true(nacre_context_is_stopped(loaded));
    assert_err(nacre_sqlite_remove(db, &id, 1, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_ok(nacre_sqlite_unload(db, loaded, &why));
    assert_ok(nacre_sqlite_load(db, &missing, &id, 1, &why));
    assert_null(missing);
    reopen();
    assert_null(memmem(file_bytes(path).ptr, file_bytes(path).len, info.secret, 16));
}

static void a_revoked_secret_is_in_no_file(void **state)
{
    (void)state;
    nacre_directory_info info;
    const int64_t id = 1;
    char wal[4096];
    strcpy(wal, scratch_path(scratch, "fleet.db-wal"));
    fleet_describe(&info, 200);
    nacre_sqlite_context c = described(200);
    int64_t added;
    assert_ok(add(&c, &added));
    assert_non_null(memmem(file_bytes(wal).ptr, file_bytes(wal).len, info.secret, 16));
    assert_ok(nacre_sqlite_revoke(db, &added, 1, &why));
    assert_int_equal(file_bytes(wal).len, 0);
    assert_null(memmem(file_bytes(path).ptr, file_bytes(path).len, info.secret, 16));
    assert_ok(nacre_sqlite_remove(db, &id, 1, &why));
    assert_ok(nacre_sqlite_revoke(db, &id, 1, &why)); /* also what was removed */
    assert_int_equal(db_row(db, 1).status, NACRE_SQLITE_REVOKED);
}

static void keys_come_back_above_their_numbers_unless_revoked(void **state)
{
    (void)state;
    nacre_sqlite_context c = described(0);
    int64_t id = 1;
    nacre_context *peer = db_peer(1);
    bool echo = false;
    const uint64_t last = db_send(db_load(db, 1), peer, 15);
    assert_ok(nacre_sqlite_remove(db, &id, 1, &why));
    assert_ok(nacre_sqlite_unload(db, db_load(db, 2), &why));
    reopen();
    assert_ok(add(&c, &id)); /* claims to be new: next_to_send 0, window known */
    assert_int_equal(id, 1);
    nacre_context *ctx = db_load(db, 1);
    assert_true(nacre_context_next_seq(ctx) > last);
    assert_false(db_row(db, 1).info.window_known);
    const nacre_store store = nacre_sqlite_store(ctx);
    assert_ok(fleet_request_one(peer, ctx, &store, &echo));
    assert_true(echo);
    assert_ok(nacre_sqlite_revoke(db, &id, 1, &why));
    assert_err(add(&c, &id), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "revoked"));
}

static void a_listing_is_in_order_and_can_be_continued(void **state)
{
    (void)state;
    const int64_t id = 2;
    nacre_sqlite_context last;
    assert_ok(nacre_sqlite_remove(db, &id, 1, &why));
    const nacre_sqlite_filter active = { .after = 1, .max = 1 }, all = { .after = 1, .max = 1, .ended = true };
    assert_ok(nacre_sqlite_list(db, &active, keep, &last, &why));
    assert_int_equal(last.id, 3);
    assert_ok(nacre_sqlite_list(db, &all, keep, &last, &why));
    assert_int_equal(last.id, 2);
    assert_int_equal(last.status, NACRE_SQLITE_REMOVED);
    const nacre_sqlite_filter wrong = { .size = 5 };
    assert_err(nacre_sqlite_list(db, &wrong, keep, &last, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_non_null(strstr(why.text, "fleet.db: the filter is of another version of nacre: compile the program anew"));
    assert_ok(nacre_sqlite_list(db, NULL, keep, &last, &why)); /* the active ones */
    assert_int_equal(last.status, NACRE_SQLITE_ACTIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(added_contexts_talk_to_their_peers),
        ROW(every_parameter_is_stored_and_listed),
        ROW(a_context_is_added_with_derived_keys_only),
        ROW(contexts_with_invalid_parameters_are_refused),
        ROW(one_key_is_in_one_context),
        ROW(all_are_added_or_none),
        ROW(a_kid_means_at_most_eight_contexts),
        ROW(a_query_finds_the_contexts_of_its_kid_and_kid_context),
        ROW(loading_again_gives_the_same_context),
        ROW(thousands_are_loaded_and_unloaded),
        ROW(a_removed_context_cannot_be_loaded_and_its_secret_is_erased),
        ROW(a_revoked_secret_is_in_no_file),
        ROW(keys_come_back_above_their_numbers_unless_revoked),
        ROW(a_listing_is_in_order_and_can_be_continued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
