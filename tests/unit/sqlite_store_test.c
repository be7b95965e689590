/* SPDX-License-Identifier: MIT */
/* sqlite_store_test: numbers and windows of contexts in a database are durable before they are used. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "databases.h"
#include "scratch.h"
#include "store/batch.h"

static char *scratch, path[4096];
static nacre_detail why;

static int set_up(void **state)
{
    (void)state;
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.db"));
    db_make(path, 20);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(scratch);
    return test_release(state);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static nacre_stored stored(nacre_context *ctx)
{
    nacre_stored state = { .next_seq = 0 };
    const nacre_store store = nacre_sqlite_store(ctx);
    assert_ok(nacre_store_load(&store, &state, &why));
    return state;
}

static void numbers_are_stored_before_they_are_used(void **state)
{
    (void)state;
    nacre_sqlite *db = db_open(path);
    nacre_context *ctx = db_load(db, 1), *peer = db_peer(1);
    for (int i = 0; i < 100; i++) {
        const uint64_t number = db_send(ctx, peer, 1);
        assert_int_equal(number, i);
        assert_true(stored(ctx).next_seq > number);
    }
    db_close(db);
    db = db_open(path);
    assert_int_equal(stored(db_load(db, 1)).next_seq, 100); /* a clean end is exact */
    db_close(db);
}

static int receive_and_die(void *user)
{
    nacre_sqlite *db = db_open(path);
    nacre_context *ctx = db_load(db, 1);
    const nacre_store store = nacre_sqlite_store(ctx);
    bool echo = true;
    return fleet_request_one(user, ctx, &store, &echo) != NACRE_OK || echo;
}

static void a_window_is_unknown_before_the_first_request_moves_it(void **state)
{
    (void)state;
    nacre_sqlite *db = db_open(path);
    nacre_context *ctx = db_load(db, 1), *peer = db_peer(1);
    const nacre_store store = nacre_sqlite_store(ctx);
    bool echo = true;
    assert_true(stored(ctx).window_known);
    assert_ok(fleet_request_one(peer, ctx, &store, &echo));
    assert_false(echo);
    assert_false(stored(ctx).window_known);
    const nacre_bytes seen = test_copy(fleet_last_request());
    db_close(db);

    db = db_open(path); /* closed cleanly: the exact window, so no Echo, and no replay */
    ctx = db_load(db, 1);
    assert_true(stored(ctx).window_known);
    const nacre_store again = nacre_sqlite_store(ctx);
    assert_err(fleet_replay(ctx, &again, seen), NACRE_ERR_REPLAY);
    assert_ok(fleet_request_one(peer, ctx, &again, &echo));
    assert_false(echo);
    db_close(db);
}

static void a_killed_server_requires_echo(void **state)
{
    (void)state;
    nacre_context *peer = db_peer(1);
    bool echo = false;
    db_in_child(receive_and_die, peer);
    peer->next += 5;
    nacre_sqlite *db = db_open(path);
    nacre_context *ctx = db_load(db, 1);
    const nacre_store store = nacre_sqlite_store(ctx);
    assert_ok(fleet_request_one(peer, ctx, &store, &echo));
    assert_true(echo);
    db_close(db);
}

static uint64_t num_writes(nacre_sqlite *db)
{
    nacre_sqlite_stats stats;
    assert_ok(nacre_sqlite_get_stats(db, &stats, &why));
    return stats.num_writes;
}

static unsigned num_done;
static nacre_err last_err;

static void on_done(nacre_store_request *request, nacre_err err, const char *text)
{
    (void)request, (void)text;
    num_done++;
    last_err = err;
}

static void waiting_requests_are_one_transaction(void **state)
{
    (void)state;
    enum { NUM = 20 };
    nacre_sqlite *db = db_open(path);
    nacre_store_request requests[NUM], *list[NUM];
    nacre_store store = { NULL, NULL };
    for (int i = 0; i < NUM; i++) {
        nacre_context *ctx = db_load(db, i + 1);
        store = nacre_sqlite_store(ctx);
        requests[i] =
            (nacre_store_request){ .self = store.self, .ceiling = 10, .window_lost = true, .on_done = on_done };
        list[i] = &requests[i];
        assert_ptr_equal(store.ops->batch(store.self), db);
    }
    const uint64_t before = num_writes(db);
    num_done = 0;
    store.ops->submit(list, NUM);
    assert_int_equal(num_done, NUM);
    assert_ok(last_err);
    assert_int_equal(num_writes(db), before + 1);
    for (int i = 0; i < NUM; i++) {
        const nacre_stored s = stored(db_load(db, i + 1));
        assert_int_equal(s.next_seq, 10);
        assert_false(s.window_known);
    }
    db_close(db);
}

static nacre_err submit_one(nacre_context *ctx, uint64_t ceiling, const nacre_stored *save)
{
    const nacre_store store = nacre_sqlite_store(ctx);
    nacre_store_request request = { .self = store.self, .ceiling = ceiling, .state = save, .on_done = on_done };
    nacre_store_request *list[] = { &request };
    store.ops->submit(list, 1);
    return last_err;
}

static void only_a_save_lowers_a_ceiling(void **state)
{
    (void)state;
    nacre_sqlite *db = db_open(path);
    nacre_context *ctx = db_load(db, 1);
    const nacre_stored used_five = { .next_seq = 5 }, used_four = { .next_seq = 4 };
    assert_ok(submit_one(ctx, 50, NULL));
    assert_ok(submit_one(ctx, 20, NULL));
    assert_int_equal(stored(ctx).next_seq, 50);
    assert_ok(submit_one(ctx, 0, &used_five));
    assert_int_equal(stored(ctx).next_seq, 5);
    assert_ok(submit_one(ctx, 20, NULL));
    assert_err(submit_one(ctx, 0, &used_four), NACRE_ERR_LOCKED); /* below what was used */
    assert_int_equal(stored(ctx).next_seq, 20);
    nacre_context_stop(ctx);
    db_close(db);
}

static void a_row_changed_by_another_program_stops_its_context_only(void **state)
{
    (void)state;
    nacre_sqlite *db = db_open(path);
    nacre_context *changed = db_load(db, 1), *removed = db_load(db, 2), *other = db_load(db, 3);
    nacre_context *const contexts[] = { changed, removed, other };
    nacre_store stores[3];
    for (int i = 0; i < 3; i++) stores[i] = nacre_sqlite_store(contexts[i]);
    (void)db_send(changed, db_peer(1), 1);
    (void)db_send(removed, db_peer(2), 1);
    (void)db_send(other, db_peer(3), 1);
    db_sql(path, "UPDATE state SET next = 3 WHERE context = 1; DELETE FROM state WHERE context = 2");
    assert_err(nacre_store_save_many(stores, contexts, 3, &why), NACRE_ERR_BAD_CONTEXT);
    assert_err(submit_one(changed, 99, NULL), NACRE_ERR_BAD_CONTEXT); /* its sum does not match: nothing is confirmed */
    nacre_context_stop(changed);
    assert_true(nacre_context_is_stopped(removed));
    assert_false(nacre_context_is_stopped(other));
    (void)db_send(other, db_peer(3), 30);
    db_close(db);
}

static void the_child_of_a_fork_can_use_no_context(void **state)
{
    (void)state;
    nacre_sqlite *db = db_open(path);
    nacre_context *ctx = db_load(db, 1);
    (void)db_send(ctx, db_peer(1), 1);
    const pid_t child = fork();
    int status = 0;
    if (child == 0) {
        const nacre_store store = nacre_sqlite_store(ctx);
        nacre_context *again;
        const int64_t id = 2;
        nacre_stored s;
        int wrong = 0;
        wrong |= (fleet_try_to_send(ctx, &store) == NACRE_OK) << 0;
        wrong |= (submit_one(ctx, 99, NULL) != NACRE_ERR_LOCKED) << 1;
        wrong |= (nacre_store_load(&store, &s, &why) != NACRE_ERR_LOCKED) << 2;
        wrong |= (nacre_sqlite_load(db, &again, &id, 1, &why) != NACRE_ERR_LOCKED) << 3;
        wrong |= (nacre_sqlite_close(db, &why) != NACRE_ERR_LOCKED) << 4;
        _exit(wrong);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(db_send(ctx, db_peer(1), 1), 1);
    db_expect_open(path, NACRE_ERR_LOCKED, "open"); /* still locked */
    db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(numbers_are_stored_before_they_are_used),
        ROW(a_window_is_unknown_before_the_first_request_moves_it),
        ROW(a_killed_server_requires_echo),
        ROW(waiting_requests_are_one_transaction),
        ROW(only_a_save_lowers_a_ceiling),
        ROW(a_row_changed_by_another_program_stops_its_context_only),
        ROW(the_child_of_a_fork_can_use_no_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
