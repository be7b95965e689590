/* SPDX-License-Identifier: MIT */
/* sqlite_copy_test: old and other copies of a used database are refused until they are adopted, and then nothing is reused. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "databases.h"
#include "scratch.h"
#include "store/file/file_identity.h"

static char *scratch, path[4096], backup[4096], wal[4096], mark[4096];

static int set_up(void **state)
{
    (void)state;
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.db"));
    strcpy(backup, scratch_path(scratch, "backup.db"));
    strcpy(wal, scratch_path(scratch, "fleet.db-wal"));
    strcpy(mark, scratch_path(scratch, "fleet.db-mark"));
    db_make(path, 3);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(scratch);
    return test_release(state);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static bool has_births(void)
{
    char identity[NACRE__FILE_IDENTITY_TEXT];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    nacre__file_identity_of(identity, fileno(file));
    (void)fclose(file);
    return identity[0] != '\0';
}

/* "cp FROM TO": the bytes, into the same file if there is one. */
static void cp(const char *from, const char *to)
{
    file_put(to, file_bytes(from));
    assert_int_equal(chmod(to, 0600), 0);
}

static uint64_t use(int64_t id, unsigned num)
{
    nacre_sqlite *db = db_open(path);
    const uint64_t last = db_send(db_load(db, id), db_peer(id), num);
    db_close(db);
    return last;
}

/* Sends and is killed. */
static int use_and_die(void *user)
{
    nacre_sqlite *db = db_open(path);
    (void)db_send(db_load(db, *(const int64_t *)user), db_peer(*(const int64_t *)user), 25);
    return 0;
}

static void expect_refused(const char *file, const char *text)
{
    nacre_bytes before = file_bytes(file);
    db_expect_open(file, NACRE_ERR_BAD_CONTEXT, text);
    db_expect_open(file, NACRE_ERR_BAD_CONTEXT, "nacre fleet adopt");
    assert_bytes(file_bytes(file), before);
}

static void a_copy_under_another_name_is_refused(void **state)
{
    (void)state;
    if (!has_births()) skip();
    (void)use(1, 3);
    cp(path, backup);
    expect_refused(backup, "was copied");
    cp(mark, scratch_path(scratch, "backup.db-mark"));
    expect_refused(backup, "was copied");
    assert_int_equal(rename(backup, path), 0); /* "mv backup.db fleet.db" */
    expect_refused(path, "was copied");
}

static void an_old_copy_written_over_the_file_is_refused(void **state)
{
    (void)state;
    (void)use(1, 3);
    cp(path, backup);
    (void)use(1, 30);
    cp(backup, path);
    expect_refused(path, "an old copy was written over it");
}

static void a_copy_from_before_the_first_use_is_refused(void **state)
{
    (void)state;
    cp(path, backup);
    (void)use(1, 3);
    cp(backup, path);
    expect_refused(path, "an old copy was written over it");
}

/* A backup is made while the server runs, which then is killed. */
static int back_up_and_die(void *user)
{
    nacre_sqlite *db = db_open(path);
    nacre_context *ctx = db_load(db, *(const int64_t *)user), *peer = db_peer(*(const int64_t *)user);
    (void)db_send(ctx, peer, 12);
    file_put(backup, file_bytes(path));
    (void)db_send(ctx, peer, 60);
    return 0;
}

static void a_copy_from_the_same_minute_is_refused_after_a_kill(void **state)
{
    (void)state;
    int64_t id = 1;
    (void)use(1, 3);
    db_in_child(back_up_and_die, &id);
    assert_int_equal(unlink(wal), 0); /* the restore removes the log, as manuals say */
    cp(backup, path);
    expect_refused(path, "an old copy was written over it");
}

static void a_copy_beside_the_log_of_the_newer_file_is_refused(void **state)
{
    (void)state;
    int64_t id = 2;
    (void)use(1, 3);
    cp(path, backup);
    (void)use(1, 50);
    db_in_child(use_and_die, &id); /* leaves a log with the newest count, but not the state of context 1 */
    cp(backup, path);
    expect_refused(path, "an old copy was written over it");
}

static void without_its_mark_a_used_database_is_refused(void **state)
{
    (void)state;
    (void)use(1, 3);
    assert_int_equal(unlink(mark), 0);
    expect_refused(path, "DB-mark is missing");
    db_make(backup, 1);
    cp(scratch_path(scratch, "backup.db-mark"), mark);
    expect_refused(path, "DB-mark is another database's");
}

static void a_killed_server_needs_no_adoption(void **state)
{
    (void)state;
    int64_t id = 1;
    for (int i = 0; i < 3; i++) db_in_child(use_and_die, &id);
    nacre_sqlite *db = db_open(path);
    assert_true(db_send(db_load(db, 1), db_peer(1), 1) >= 75);
    db_close(db);
}

/* Two hosts with copies of one new database would both begin at number 0. */
static void copies_of_a_new_database_are_refused(void **state)
{
    (void)state;
    nacre_detail why = { "" };
    if (!has_births()) skip();
    cp(path, backup); /* made and filled, never served */
    expect_refused(backup, "was copied");
    db_close(db_open(path));
    assert_ok(nacre_sqlite_adopt(backup, NULL, test_crypto(), &why));
    nacre_sqlite *db = db_open(backup), *original = db_open(path);
    assert_true(db_send(db_load(db, 1), db_peer(1), 1) >= NACRE_ADOPT_SKIP);
    assert_int_equal(db_send(db_load(original, 1), db_peer(1), 1), 0);
    db_close(db);
    db_close(original);
}

static void a_database_that_was_never_opened_may_be_copied(void **state)
{
    (void)state;
    const char *made = scratch_path(scratch, "made.db");
    nacre_detail why = { "" };
    assert_ok(nacre_sqlite_create(made, NULL, test_crypto(), &why));
    cp(made, backup);
    db_close(db_open(backup));
    db_close(db_open(scratch_path(scratch, "made.db")));
}

static void adoption_skips_far_and_forgets_windows(void **state)
{
    (void)state;
    nacre_detail why = { "" };
    const int64_t removed = 3;
    uint64_t next[2];
    nacre_sqlite *db = db_open(path);
    assert_ok(nacre_sqlite_remove(db, &removed, 1, &why));
    db_close(db);
    (void)use(1, 3);
    cp(path, backup);
    for (int i = 0; i < 2; i++) {
        (void)use(1, 30);
        cp(backup, path);
        expect_refused(path, "an old copy");
        assert_ok(nacre_sqlite_adopt(path, NULL, test_crypto(), &why));
        db = db_open(path);
        const nacre_sqlite_context row = db_row(db, 1), ended = db_row(db, 3);
        assert_true(row.info.next_to_send >= NACRE_ADOPT_SKIP && row.info.next_to_send < 2 * NACRE_ADOPT_SKIP + 1000);
        assert_true(ended.info.next_to_send >= NACRE_ADOPT_SKIP);
        assert_false(row.info.window_known);
        next[i] = db_send(db_load(db, 1), db_peer(1), 1);
        db_close(db);
        db_close(db_open(path)); /* stays adopted */
    }
    assert_true(next[0] != next[1]); /* one backup restored twice continues at two numbers */
}

static void adoption_uses_up_a_context_without_numbers_to_skip(void **state)
{
    (void)state;
    nacre_sqlite_stats stats;
    nacre_sqlite_context near_end;
    nacre_detail why = { "" };
    memset(&near_end, 0, sizeof near_end);
    fleet_describe(&near_end.info, 77);
    near_end.info.next_to_send = NACRE_SEQ_MAX - 5;
    nacre_sqlite *db = db_open(path);
    assert_ok(nacre_sqlite_add(db, NULL, 1, db_given, &near_end, &why));
    db_close(db);
    assert_ok(nacre_sqlite_adopt(path, NULL, test_crypto(), &why));
    db = db_open(path);
    assert_int_equal(db_row(db, 4).info.next_to_send, NACRE_SEQ_MAX + 1);
    assert_ok(nacre_sqlite_get_stats(db, &stats, &why));
    assert_int_equal(stats.num_exhausted, 1);
    db_close(db);
}

/* ---- While it is open ---- */

static void expect_stops(nacre_sqlite *db, nacre_context *ctx)
{
    const nacre_store store = nacre_sqlite_store(ctx);
    nacre_detail why = { "" };
    nacre_err err = NACRE_OK;
    for (int i = 0; i < 100 && err == NACRE_OK; i++) err = fleet_try_to_send(ctx, &store); /* numbers in hand, then: */
    assert_err(err, NACRE_ERR_CONTEXT_UNAVAILABLE);
    assert_true(nacre_context_is_stopped(ctx));
    assert_err(nacre_sqlite_close(db, &why), NACRE_ERR_LOCKED);
    assert_non_null(strstr(why.text, "nothing is written any more"));
}

static void a_database_overwritten_while_open_is_not_written(void **state)
{
    (void)state;
    (void)use(1, 3);
    cp(path, backup);
    nacre_sqlite *db = db_open(path);
    nacre_context *ctx = db_load(db, 1);
    (void)db_send(ctx, db_peer(1), 2);
    cp(backup, path);
    expect_stops(db, ctx);
    expect_refused(path, "an old copy");
}

static void a_database_replaced_while_open_is_not_written(void **state)
{
    (void)state;
    nacre_sqlite *db = db_open(path);
    nacre_context *ctx = db_load(db, 1);
    cp(path, backup);
    assert_int_equal(rename(backup, path), 0);
    const nacre_bytes before = file_bytes(path);
    expect_stops(db, ctx);
    assert_bytes(file_bytes(path), before);
}

static void a_mark_removed_while_open_stops_the_database(void **state)
{
    (void)state;
    nacre_sqlite *db = db_open(path);
    nacre_context *ctx = db_load(db, 1);
    assert_int_equal(unlink(mark), 0);
    expect_stops(db, ctx);
}

static void a_log_removed_while_open_stops_the_database(void **state)
{
    (void)state;
    nacre_sqlite *db = db_open(path);
    nacre_context *ctx = db_load(db, 1);
    (void)db_send(ctx, db_peer(1), 2);
    assert_int_equal(unlink(wal), 0); /* what is written to it now is lost in a power cut */
    expect_stops(db, ctx);
}

/* Another program moves the log into the database, without a new stamp; a copy from before that is put back. */
static int overwrite_beside_another_program(void *user)
{
    (void)user;
    nacre_sqlite *db = db_open(path);
    (void)db_send(db_load(db, 1), db_peer(1), 12);
    cp(path, backup);
    db_sql(path, "PRAGMA wal_checkpoint");
    cp(backup, path);
    nacre_context *ctx = db_load(db, 300);
    const nacre_store store = nacre_sqlite_store(ctx);
    for (int i = 0; i < 30; i++) (void)fleet_try_to_send(ctx, &store);
    return 0;
}

static void another_program_does_not_move_the_log(void **state)
{
    (void)state;
    size_t first = 3;
    nacre_detail why = { "" };
    nacre_sqlite *db = db_open(path); /* so many that their states are on more than one page */
    assert_ok(nacre_sqlite_add(db, NULL, 297, db_source, &first, &why));
    db_close(db);
    db_in_child(overwrite_beside_another_program, NULL);
    assert_true(use(1, 1) >= 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_copy_under_another_name_is_refused),
        ROW(an_old_copy_written_over_the_file_is_refused),
        ROW(a_copy_from_before_the_first_use_is_refused),
        ROW(a_copy_from_the_same_minute_is_refused_after_a_kill),
        ROW(a_copy_beside_the_log_of_the_newer_file_is_refused),
        ROW(without_its_mark_a_used_database_is_refused),
        ROW(a_killed_server_needs_no_adoption),
        ROW(copies_of_a_new_database_are_refused),
        ROW(a_database_that_was_never_opened_may_be_copied),
        ROW(adoption_skips_far_and_forgets_windows),
        ROW(adoption_uses_up_a_context_without_numbers_to_skip),
        ROW(a_database_overwritten_while_open_is_not_written),
        ROW(a_database_replaced_while_open_is_not_written),
        ROW(a_mark_removed_while_open_stops_the_database),
        ROW(a_log_removed_while_open_stops_the_database),
        ROW(another_program_does_not_move_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
