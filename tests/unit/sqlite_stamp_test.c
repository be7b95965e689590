/* SPDX-License-Identifier: MIT */
/* sqlite_stamp_test: the stamp in the header tells older pages from newer ones, also when readers kept the log for long. */
#include <sqlite3.h>
#include <stdlib.h>

#include "databases.h"
#include "scratch.h"
#include "store/sqlite/sqlite_internal.h"

static char path[4096], backup[4096];

/* Another program that reads, and so keeps what comes into the log after this moment out of the file. */
static sqlite3 *begin_reading(void)
{
    sqlite3 *conn = NULL;
    assert_int_equal(sqlite3_open_v2(path, &conn, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    (void)sqlite3_db_config(conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_exec(conn, "BEGIN; SELECT id FROM contexts", NULL, NULL, NULL), SQLITE_OK);
    return conn;
}

static void renew(nacre_sqlite *db)
{
    nacre_detail why = { "" };
    assert_ok(nacre__sqlite_enter(db, true, &why));
    if (nacre__sqlite_renew(db, false, &why) != NACRE_OK) fail_msg("%s", why.text);
    nacre__sqlite_leave(db);
}

/* A server beside two readers, which is killed. `backup` gets the file as it was when its last stamp was not its newest content. */
static int serve_beside_readers(void *user)
{
    (void)user;
    nacre_sqlite *db = db_open(path);
    nacre_context *ctx = db_load(db, 1), *peer = db_peer(1);
    sqlite3 *first = begin_reading();
    for (int i = 0; i < 6; i++) {
        (void)db_send(ctx, peer, 12);
        renew(db);
    }
    sqlite3 *second = begin_reading(); /* after the last stamp that was free */
    (void)db_send(db_load(db, 150), db_peer(150), 12);
    if (sqlite3_close(first) != SQLITE_OK) return 1;
    renew(db); /* pages until `second` come into the file */
    file_put(backup, file_bytes(path));
    if (sqlite3_close(second) != SQLITE_OK) return 2;
    renew(db);                    /* and all others */
    (void)db_send(ctx, peer, 12); /* a log that has this alone */
    return 0;
}

static void older_pages_are_told_although_readers_used_up_the_stamps(void **state)
{
    (void)state;
    char *scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.db"));
    strcpy(backup, scratch_path(scratch, "backup.db"));
    db_make(path, 200); /* so many that their states are on more than one page */
    db_in_child(serve_beside_readers, NULL);
    file_put(path, file_bytes(backup)); /* beside the log of the newer file, which has the right count */
    db_expect_open(path, NACRE_ERR_BAD_CONTEXT, "an old copy was written over it");
    scratch_remove(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(older_pages_are_told_although_readers_used_up_the_stamps, test_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
