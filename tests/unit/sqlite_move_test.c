/* SPDX-License-Identifier: MIT */
/* sqlite_move_test: contexts move between directories and a database, and are never usable in both. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "databases.h"
#include "scratch.h"

static char *scratch, path[4096], dir[4096], out[4096];
static nacre_sqlite *db;
static nacre_detail why;

static int set_up(void **state)
{
    nacre_directory_info info;
    (void)state;
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.db"));
    strcpy(dir, scratch_path(scratch, "device"));
    strcpy(out, scratch_path(scratch, "out"));
    db_make(path, 3);
    fleet_describe(&info, 9);
    assert_ok(nacre_directory_create(dir, &info, &why));
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

static void use_directory(const char *which, unsigned num, uint64_t *last)
{
    nacre_directory *d;
    assert_ok(nacre_directory_open(&d, which, test_crypto(), &why));
    const nacre_store store = nacre_directory_store(d);
    for (unsigned i = 0; i < num; i++) *last = fleet_send_one(db_peer(10), nacre_directory_context(d), &store);
    assert_ok(nacre_directory_close(d, &why));
}

static void expect_unusable(const char *which, const char *text)
{
    nacre_directory *d;
    assert_err(nacre_directory_open(&d, which, test_crypto(), &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, text));
}

static void an_imported_directory_continues_in_the_database_only(void **state)
{
    (void)state;
    uint64_t last = 0;
    int64_t id = 0, again = 0;
    nacre_directory_info info;
    use_directory(dir, 7, &last);
    assert_ok(nacre_sqlite_import(db, &id, dir, NACRE_ROLE_NONE, "device", &why));
    assert_int_equal(id, 4);
    expect_unusable(dir, "was moved to");
    assert_ok(nacre_directory_read(&info, dir, false, &why));
    assert_int_equal(info.next_to_send, NACRE_SEQ_MAX + 1); /* of no use to other programs either */
    const nacre_sqlite_context row = db_row(db, id);
    assert_string_equal(row.name, "device");
    assert_int_equal(row.info.next_to_send, last + 1);
    assert_true(row.info.window_known);
    assert_ok(nacre_sqlite_import(db, &again, dir, NACRE_ROLE_NONE, "device", &why)); /* already there */
    assert_int_equal(again, id);
    assert_int_equal(db_send(db_load(db, id), db_peer(10), 1), last + 1);
}

static void a_directory_that_cannot_be_added_stays_usable(void **state)
{
    (void)state;
    uint64_t last = 0;
    nacre_sqlite_context twin;
    memset(&twin, 0, sizeof twin);
    fleet_describe(&twin.info, 9);
    assert_ok(nacre_sqlite_add(db, NULL, 1, db_given, &twin, &why));
    assert_err(nacre_sqlite_import(db, NULL, dir, NACRE_ROLE_NONE, NULL, &why), NACRE_ERR_DUPLICATE_CONTEXT);
    assert_false(scratch_exists(dir, "moved.json"));
    use_directory(dir, 1, &last);
}

static void an_open_directory_is_not_imported(void **state)
{
    (void)state;
    nacre_directory *d;
    assert_ok(nacre_directory_open(&d, dir, test_crypto(), &why));
    assert_err(nacre_sqlite_import(db, NULL, dir, NACRE_ROLE_NONE, NULL, &why), NACRE_ERR_LOCKED);
    assert_ok(nacre_directory_close(d, &why));
    assert_ok(nacre_sqlite_import(db, NULL, dir, NACRE_ROLE_NONE, NULL, &why));
}

/* What an interruption after step 2 leaves. */
static void an_interrupted_import_is_completed_above_the_numbers(void **state)
{
    (void)state;
    uint64_t last = 0;
    int64_t id = 0;
    use_directory(dir, 7, &last);
    assert_ok(nacre_sqlite_import(db, &id, dir, NACRE_ROLE_NONE, NULL, &why));
    char *moved = scratch_read(dir, "moved.json");
    char identity[33] = "";
    assert_int_equal(sscanf(strstr(moved, "identity"), "identity\": \"%32[0-9a-f]", identity), 1);
    free(moved);
    assert_ok(nacre_sqlite_remove(db, &id, 1, &why));
    expect_unusable(dir, "was moved to");
    assert_err(nacre_sqlite_import(db, &id, dir, NACRE_ROLE_NONE, NULL, &why), NACRE_ERR_BAD_CONTEXT);
    char text[300];
    (void)snprintf(text, sizeof text,
                   "{\"moved-to\": \"x\", \"identity\": \"%s\", \"next-to-send\": %llu, \"completed\": false}",
                   identity, (unsigned long long)last + 1);
    scratch_write(dir, "moved.json", text);
    expect_unusable(dir, "interrupted");
    assert_ok(nacre_sqlite_import(db, &id, dir, NACRE_ROLE_NONE, NULL, &why));
    assert_true(db_row(db, id).info.next_to_send >= last + 1);
    assert_false(db_row(db, id).info.window_known);
    expect_unusable(dir, "was moved to");
    identity[0] = identity[0] == '0' ? '1' : '0';
    (void)snprintf(text, sizeof text,
                   "{\"moved-to\": \"x\", \"identity\": \"%s\", \"next-to-send\": 0, \"completed\": false}", identity);
    scratch_write(dir, "moved.json", text);
    assert_err(nacre_sqlite_import(db, &id, dir, NACRE_ROLE_NONE, NULL, &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "elsewhere"));
}

static void an_exported_context_continues_in_the_directory_only(void **state)
{
    (void)state;
    uint64_t last = 0;
    nacre_context *ctx = db_load(db, 2), *peer = db_peer(2);
    const uint64_t sent = db_send(ctx, peer, 5);
    assert_ok(nacre_sqlite_export(db, 2, out, &why));
    assert_true(nacre_context_is_stopped(ctx));
    assert_int_equal(db_row(db, 2).status, NACRE_SQLITE_EXPORTED);
    assert_err(nacre_sqlite_export(db, 2, scratch_path(scratch, "out2"), &why), NACRE_ERR_BAD_ARGUMENT);
    nacre_directory *d;
    assert_ok(nacre_directory_open(&d, out, test_crypto(), &why));
    const nacre_store store = nacre_directory_store(d);
    last = fleet_send_one(peer, nacre_directory_context(d), &store);
    assert_true(last > sent);
    assert_ok(nacre_directory_close(d, &why));
    assert_ok(nacre_sqlite_unload(db, ctx, &why));
    int64_t id = 0; /* and back, above what both have used */
    assert_ok(nacre_sqlite_import(db, &id, out, NACRE_ROLE_NONE, NULL, &why));
    assert_int_equal(id, 2);
    assert_true(db_send(db_load(db, 2), peer, 1) > last);
}

static void an_export_does_not_overwrite(void **state)
{
    (void)state;
    scratch_mkdir(scratch, "out");
    assert_err(nacre_sqlite_export(db, 2, out, &why), NACRE_ERR_FILE);
    assert_err(nacre_sqlite_export(db, 2, "..", &why), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_sqlite_export(db, 77, scratch_path(scratch, "new"), &why), NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(db_row(db, 2).status, NACRE_SQLITE_ACTIVE);
    assert_false(scratch_exists(scratch, ".out.exported"));
}

static void an_interrupted_export_is_completed(void **state)
{
    (void)state;
    char hidden[4096];
    strcpy(hidden, scratch_path(scratch, ".out.exported"));
    assert_ok(nacre_sqlite_export(db, 2, out, &why));
    assert_int_equal(rename(out, hidden), 0); /* as after step 2 */
    assert_err(nacre_sqlite_export(db, 3, out, &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "another context on its way"));
    assert_ok(nacre_sqlite_export(db, 2, out, &why));
    nacre_directory *d;
    assert_ok(nacre_directory_open(&d, out, test_crypto(), &why));
    assert_ok(nacre_directory_close(d, &why));

    /* As after step 1: the database has it, and the hidden copy is made again. */
    assert_ok(nacre_sqlite_export(db, 3, scratch_path(scratch, "third"), &why));
    assert_int_equal(rename(scratch_path(scratch, "third"), scratch_path(scratch, ".fourth.exported")), 0);
    nacre_sqlite_context c;
    memset(&c, 0, sizeof c);
    fleet_describe(&c.info, 2);
    c.info.next_to_send = 1;
    assert_ok(nacre_sqlite_add(db, NULL, 1, db_given, &c, &why));
    const uint64_t sent = db_send(db_load(db, 3), db_peer(3), 20);
    assert_ok(nacre_sqlite_export(db, 3, scratch_path(scratch, "fourth"), &why));
    nacre_directory_info info;
    assert_ok(nacre_directory_read(&info, scratch_path(scratch, "fourth"), false, &why));
    assert_true(info.next_to_send > sent);
}

/* Keys that were exported come back in their directory only. */
static void exported_keys_are_not_added_as_new_ones(void **state)
{
    (void)state;
    int64_t id = 0;
    nacre_sqlite_context c;
    memset(&c, 0, sizeof c);
    fleet_describe(&c.info, 1);
    assert_ok(nacre_sqlite_export(db, 2, out, &why)); /* never used */
    assert_err(nacre_sqlite_add(db, NULL, 1, db_given, &c, &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "nacre fleet import"));
    c.info.sender_id[0] = 9; /* another Sender Key, the same Recipient Key: each would accept what the other has seen */
    assert_err(nacre_sqlite_add(db, NULL, 1, db_given, &c, &why), NACRE_ERR_BAD_CONTEXT);
    assert_ok(nacre_sqlite_import(db, &id, out, NACRE_ROLE_NONE, NULL, &why));
    assert_int_equal(id, 2);
}

/* Another Sender Key with the Recipient Key of an ended context: what that one has seen is not accepted again. */
static void an_ended_recipient_key_has_an_unknown_window(void **state)
{
    (void)state;
    nacre_sqlite_context c;
    int64_t id = 2, other = 0;
    memset(&c, 0, sizeof c);
    fleet_describe(&c.info, 1);
    assert_ok(nacre_sqlite_remove(db, &id, 1, &why));
    c.info.sender_id[0] = 2;
    assert_ok(nacre_sqlite_add(db, &other, 1, db_given, &c, &why));
    assert_int_not_equal(other, id);
    assert_false(db_row(db, other).info.window_known);
    assert_ok(nacre_sqlite_revoke(db, &other, 1, &why));
    c.info.sender_id[0] = 3;
    assert_err(nacre_sqlite_add(db, NULL, 1, db_given, &c, &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "Recipient Key"));
}

static void limit_files(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size == 0 ? limit.rlim_max : size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The disk is full when the context is to be ended in the database: the hidden directory remains, and so does the context. */
static void export_on_a_full_disk(int64_t id, const char *name)
{
    enum { FRAME = 4096 + 24 };
    struct stat log;
    char hidden[64];
    (void)snprintf(hidden, sizeof hidden, ".%s.exported", name);
    assert_int_equal(stat(scratch_path(scratch, "fleet.db-wal"), &log), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    for (int frames = 0; frames < 12 && !scratch_exists(scratch, hidden); frames++) {
        limit_files((rlim_t)log.st_size + (rlim_t)(frames * FRAME));
        const nacre_err err = nacre_sqlite_export(db, id, scratch_path(scratch, name), &why);
        limit_files(0);
        assert_err(err, NACRE_ERR_FILE);
    }
    assert_true(scratch_exists(scratch, hidden));
    assert_int_equal(db_row(db, id).status, NACRE_SQLITE_ACTIVE);
}

static void an_attempt_before_another_export_is_not_completed(void **state)
{
    (void)state;
    for (int64_t id = 1; id <= 2; id++) {
        char late[16], first[16];
        (void)snprintf(first, sizeof first, "first%d", (int)id);
        (void)snprintf(late, sizeof late, "late%d", (int)id);
        (void)db_send(db_load(db, 3), db_peer(3), 40); /* the log is larger than a directory's files */
        export_on_a_full_disk(id, first);
        if (id == 2) (void)db_send(db_load(db, id), db_peer(id), 1); /* context 1 is as it was */
        assert_ok(nacre_sqlite_export(db, id, scratch_path(scratch, late), &why));
        assert_err(nacre_sqlite_export(db, id, scratch_path(scratch, first), &why), NACRE_ERR_BAD_CONTEXT);
        assert_non_null(strstr(why.text, "exported elsewhere"));
        assert_false(scratch_exists(scratch, first));
    }
}

/* The last step of an import is missing, and the context goes on in another directory. */
static void an_old_import_is_not_completed_after_an_export(void **state)
{
    (void)state;
    int64_t id = 0;
    char identity[33] = "", text[300];
    assert_ok(nacre_sqlite_import(db, &id, dir, NACRE_ROLE_NONE, NULL, &why));
    char *moved = scratch_read(dir, "moved.json");
    assert_int_equal(sscanf(strstr(moved, "identity"), "identity\": \"%32[0-9a-f]", identity), 1);
    free(moved);
    (void)snprintf(text, sizeof text,
                   "{\"moved-to\": \"x\", \"identity\": \"%s\", \"next-to-send\": 0, \"completed\": false}", identity);
    scratch_write(dir, "moved.json", text);
    assert_ok(nacre_sqlite_export(db, id, out, &why));
    assert_err(nacre_sqlite_import(db, &id, dir, NACRE_ROLE_NONE, NULL, &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "exported from it since"));
    assert_int_equal(db_row(db, id).status, NACRE_SQLITE_EXPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(an_imported_directory_continues_in_the_database_only),
        ROW(a_directory_that_cannot_be_added_stays_usable),
        ROW(an_open_directory_is_not_imported),
        ROW(an_interrupted_import_is_completed_above_the_numbers),
        ROW(an_exported_context_continues_in_the_directory_only),
        ROW(an_export_does_not_overwrite),
        ROW(an_interrupted_export_is_completed),
        ROW(an_ended_recipient_key_has_an_unknown_window),
        ROW(exported_keys_are_not_added_as_new_ones),
        ROW(an_attempt_before_another_export_is_not_completed),
        ROW(an_old_import_is_not_completed_after_an_export),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
