/* SPDX-License-Identifier: MIT */
/* sqlite_open_test: which files are opened as a database, and by how many. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "databases.h"
#include "scratch.h"

static char *scratch, path[4096], other[4096];

static int set_up(void **state)
{
    (void)state;
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.db"));
    strcpy(other, scratch_path(scratch, "other.db"));
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(scratch);
    return test_release(state);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static mode_t mode_of(const char *file)
{
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    return st.st_mode & 07777;
}

static void a_new_database_is_empty_private_and_opens(void **state)
{
    (void)state;
    nacre_sqlite_stats stats;
    db_make(path, 0);
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(mode_of(scratch_path(scratch, "fleet.db-mark")), 0600);
    nacre_sqlite *db = db_open(path);
    assert_int_equal(mode_of(scratch_path(scratch, "fleet.db-wal")), 0600);
    assert_ok(nacre_sqlite_get_stats(db, &stats, NULL));
    assert_int_equal(stats.num_active, 0);
    assert_true(stats.used); /* from its first opening on: copies of it would both begin at number 0 */
    assert_string_equal(nacre_sqlite_path(db), path);
    db_close(db);
    db_close(db_open(path));
}

static void a_database_is_not_made_over_something(void **state)
{
    (void)state;
    nacre_detail why = { "" };
    scratch_write(scratch, "fleet.db", "mine");
    assert_err(nacre_sqlite_create(path, NULL, test_crypto(), &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, "is there already; give a name that is free"));
    scratch_expect(scratch, "fleet.db", "mine");
    scratch_unlink(scratch, "fleet.db");
    scratch_write(scratch, "fleet.db-wal", "of another");
    assert_err(nacre_sqlite_create(path, NULL, test_crypto(), &why), NACRE_ERR_FILE);
    scratch_expect(scratch, "fleet.db-wal", "of another");
    scratch_unlink(scratch, "fleet.db-wal");
    assert_ok(nacre_sqlite_create(path, NULL, test_crypto(), &why));
}

static void only_a_private_regular_file_with_one_name_is_opened(void **state)
{
    (void)state;
    db_expect_open(path, NACRE_ERR_FILE, "nacre fleet create");
    db_make(path, 1);
    assert_int_equal(chmod(path, 0640), 0);
    db_expect_open(path, NACRE_ERR_FILE, "chmod 600");
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(link(path, other), 0);
    db_expect_open(path, NACRE_ERR_FILE, "hard link");
    assert_int_equal(unlink(other), 0);
    assert_int_equal(symlink(path, other), 0);
    db_expect_open(other, NACRE_ERR_FILE, "symbolic link");
    db_expect_open(scratch, NACRE_ERR_FILE, "not a regular file");
    db_close(db_open(path));
}

static void a_directory_may_be_a_link(void **state)
{
    (void)state;
    char linked[4096];
    db_make(path, 1);
    assert_int_equal(symlink(scratch, other), 0);
    (void)snprintf(linked, sizeof linked, "%.4000s/fleet.db", other);
    db_close(db_open(linked));
}

static void other_files_are_refused(void **state)
{
    (void)state;
    scratch_write(scratch, "fleet.db", "");
    assert_int_equal(chmod(path, 0600), 0);
    db_expect_open(path, NACRE_ERR_BAD_CONTEXT, "is not an SQLite database");
    scratch_unlink(scratch, "fleet.db");
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
    db_sql(path, "CREATE TABLE meta (schema INTEGER)");
    db_expect_open(path, NACRE_ERR_BAD_CONTEXT, "not a database that nacre made");
}

/* Under a second name a program could have the lock, or an old copy of the log. */
static void files_beside_it_that_are_links_are_refused(void **state)
{
    (void)state;
    static const char *const suffixes[] = { "-mark", "-wal", "-shm" };
    char name[4200], second[4300];
    db_make(path, 1);
    for (size_t i = 0; i < COUNT(suffixes); i++) {
        nacre_sqlite *db = db_open(path); /* leaves all of them */
        db_close(db);
        (void)snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        (void)snprintf(second, sizeof second, "%s.second", name);
        if (access(name, F_OK) != 0) scratch_write(scratch, strrchr(name, '/') + 1, "");
        assert_int_equal(link(name, second), 0);
        db_expect_open(path, NACRE_ERR_FILE, "hard link");
        assert_int_equal(unlink(name), 0);
        assert_int_equal(symlink(second, name), 0);
        db_expect_open(path, NACRE_ERR_FILE, "symbolic link");
        assert_int_equal(unlink(name), 0);
        assert_int_equal(mkfifo(name, 0600), 0);
        db_expect_open(path, NACRE_ERR_FILE, "not a regular file");
        assert_int_equal(unlink(name), 0);
        if (i == 0) assert_int_equal(rename(second, name), 0); /* the mark is needed */
        else assert_int_equal(unlink(second), 0);
        db_close(db_open(path));
    }
}

static void triggers_and_views_are_refused_by_name(void **state)
{
    (void)state;
    db_make(path, 1);
    db_sql(path, "CREATE TRIGGER again AFTER UPDATE ON state BEGIN SELECT 1; END");
    db_expect_open(path, NACRE_ERR_BAD_CONTEXT, "a trigger that nacre did not make, \"again\"");
    db_sql(path, "DROP TRIGGER again");
    db_close(db_open(path));
    db_sql(path, "CREATE VIEW seen AS SELECT id FROM contexts");
    db_expect_open(path, NACRE_ERR_BAD_CONTEXT, "a view that nacre did not make, \"seen\"");
    db_sql(path, "DROP VIEW seen; CREATE INDEX by_window ON contexts (window); CREATE TABLE notes (text TEXT)");
    db_close(db_open(path)); /* these change nothing */
}

static void another_schema_version_is_named(void **state)
{
    (void)state;
    db_make(path, 1);
    db_sql(path, "UPDATE meta SET schema = 2");
    db_expect_open(path, NACRE_ERR_UNSUPPORTED, "use a newer nacre");
    db_sql(path, "UPDATE meta SET schema = 0");
    db_expect_open(path, NACRE_ERR_BAD_CONTEXT, "version 0");
    db_sql(path, "UPDATE meta SET schema = 1");
    db_close(db_open(path));
    db_sql(path, "DROP TABLE state");
    db_expect_open(path, NACRE_ERR_BAD_CONTEXT, "no such table");
}

static int open_elsewhere(void)
{
    const pid_t child = fork();
    int status = 0;
    assert_true(child >= 0);
    if (child == 0) {
        nacre_sqlite *db;
        nacre_detail why = { "" };
        const nacre_err err = nacre_sqlite_open(&db, path, NULL, test_crypto(), &why);
        _exit(err == NACRE_ERR_LOCKED && strstr(why.text, "has this database open") != NULL ? 7 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static void a_second_opener_is_refused(void **state)
{
    (void)state;
    db_make(path, 1);
    nacre_sqlite *db = db_open(path);
    assert_int_equal(open_elsewhere(), 7);
    db_expect_open(path, NACRE_ERR_LOCKED, "has this database open"); /* in one process too */
    db_close(db);
    assert_int_equal(open_elsewhere(), 0);
}

static void readers_are_not_refused_and_write_nothing(void **state)
{
    (void)state;
    nacre_sqlite_config config = nacre_sqlite_config_default();
    nacre_detail why = { "" };
    const int64_t id = 1;
    nacre_context *ctx;
    config.read_only = true;
    db_make(path, 3);
    nacre_sqlite *db = db_open(path), *reader = db_open_with(path, &config);
    assert_int_equal(db_row(reader, 3).status, NACRE_SQLITE_ACTIVE);
    assert_err(nacre_sqlite_remove(reader, &id, 1, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_sqlite_load(reader, &ctx, &id, 1, &why), NACRE_ERR_BAD_ARGUMENT);
    db_close(reader);
    db_close(db);
    db_close(db_open(path));
}

static void a_configuration_is_checked(void **state)
{
    (void)state;
    uint8_t kek[NACRE_SQLITE_KEK] = { 7 };
    nacre_sqlite_config config = nacre_sqlite_config_default();
    nacre_sqlite *db;
    nacre_detail why = { "" };
    config.kek = nacre_bytes_of(kek, 16);
    assert_err(nacre_sqlite_create(path, &config, test_crypto(), &why), NACRE_ERR_BAD_ARGUMENT);
    db_make(path, 1);
    assert_err(nacre_sqlite_open(&db, path, &config, test_crypto(), &why), NACRE_ERR_BAD_ARGUMENT);
    config = (nacre_sqlite_config){ .size = 3 };
    assert_err(nacre_sqlite_open(&db, path, &config, test_crypto(), &why), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_sqlite_adopt(path, &config, test_crypto(), &why), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_sqlite_check(path, &config, test_crypto(), NULL, NULL, NULL, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_non_null(strstr(why.text, "compile the program anew"));
    config = (nacre_sqlite_config){ .size = sizeof config + 8 }; /* of a program with a newer header */
    db_close(db_open_with(path, &config));
    config = (nacre_sqlite_config){ .max_chunk = 10001 };
    assert_err(nacre_sqlite_open(&db, path, &config, test_crypto(), &why), NACRE_ERR_BAD_ARGUMENT);
    config = (nacre_sqlite_config){ .first_chunk = 11, .max_chunk = 10 };
    assert_err(nacre_sqlite_open(&db, path, &config, test_crypto(), &why), NACRE_ERR_BAD_ARGUMENT);
    config = (nacre_sqlite_config){ .first_chunk = 10, .max_chunk = 10 };
    db_close(db_open_with(path, &config));
}

static void keys_are_encrypted_with_the_key_encryption_key(void **state)
{
    (void)state;
    uint8_t kek[NACRE_SQLITE_KEK] = { 1, 2, 3 }, wrong[NACRE_SQLITE_KEK] = { 1, 2, 4 };
    nacre_sqlite_config config = nacre_sqlite_config_default();
    nacre_directory_info info;
    nacre_detail why = { "" };
    nacre_sqlite *db;
    size_t first = 0;
    config.kek = NACRE_ARRAY(kek);
    assert_ok(nacre_sqlite_create(path, &config, test_crypto(), &why));
    db = db_open_with(path, &config);
    assert_ok(nacre_sqlite_add(db, NULL, 2, db_source, &first, &why));
    assert_int_equal(db_send(db_load(db, 1), db_peer(1), 3), 2);
    db_close(db);
    db = db_open_with(path, &config);
    assert_int_equal(db_send(db_load(db, 1), db_peer(1), 1), 3);
    db_close(db);

    fleet_describe(&info, 0);
    nacre_bytes file = file_bytes(path);
    assert_null(memmem(file.ptr, file.len, info.secret, 16));
    db_expect_open(path, NACRE_ERR_BAD_CONTEXT, "--kek");
    config.kek = NACRE_ARRAY(wrong);
    assert_err(nacre_sqlite_open(&db, path, &config, test_crypto(), &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "not its key-encryption key"));

    /* The same row in plain does hold the secret. */
    db_make(other, 2);
    file = file_bytes(other);
    assert_non_null(memmem(file.ptr, file.len, info.secret, 16));
    assert_err(nacre_sqlite_open(&db, other, &config, test_crypto(), &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "are not encrypted"));
}

static void encrypted_keys_of_another_row_do_not_verify(void **state)
{
    (void)state;
    uint8_t kek[NACRE_SQLITE_KEK] = { 9 };
    nacre_sqlite_config config = nacre_sqlite_config_default();
    nacre_detail why = { "" };
    nacre_context *contexts[2];
    const int64_t ids[] = { 1, 2 };
    size_t first = 0;
    config.kek = NACRE_ARRAY(kek);
    assert_ok(nacre_sqlite_create(path, &config, test_crypto(), &why));
    nacre_sqlite *db = db_open_with(path, &config);
    assert_ok(nacre_sqlite_add(db, NULL, 2, db_source, &first, &why));
    assert_ok(nacre_sqlite_load(db, contexts, ids, 2, &why));
    db_close(db);
    db_sql(path, "UPDATE contexts SET keys = (SELECT keys FROM contexts WHERE id = 1) WHERE id = 2");
    db = db_open_with(path, &config);
    assert_err(nacre_sqlite_load(db, contexts, ids, 2, &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(contexts[0]);
    assert_null(contexts[1]);
    assert_non_null(strstr(why.text, "context 2:"));
    db_close(db);
}

static void a_database_gets_its_log_back(void **state)
{
    (void)state;
    enum { WRITE_VERSION_AT = 18, WAL = 2 };
    db_make(path, 1);
    db_sql(path, "PRAGMA journal_mode = DELETE");
    assert_int_equal(file_bytes(path).ptr[WRITE_VERSION_AT], 1);
    db_close(db_open(path));
    assert_int_equal(file_bytes(path).ptr[WRITE_VERSION_AT], WAL);
}

/* Another program reads all the time: what was added is there, and closing is no failure. */
static void a_reader_does_not_make_closing_fail(void **state)
{
    (void)state;
    sqlite3 *reader = NULL;
    nacre_detail why = { "" };
    size_t first = 7;
    int64_t id = 0;
    db_make(path, 1);
    assert_int_equal(sqlite3_open_v2(path, &reader, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT one FROM meta", NULL, NULL, NULL), SQLITE_OK);
    nacre_sqlite *db = db_open(path);
    assert_ok(nacre_sqlite_add(db, &id, 1, db_source, &first, &why));
    db_close(db);
    db = db_open(path);
    assert_int_equal(db_row(db, id).status, NACRE_SQLITE_ACTIVE);
    db_close(db);
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_new_database_is_empty_private_and_opens),
        ROW(a_database_is_not_made_over_something),
        ROW(only_a_private_regular_file_with_one_name_is_opened),
        ROW(a_directory_may_be_a_link),
        ROW(other_files_are_refused),
        ROW(files_beside_it_that_are_links_are_refused),
        ROW(triggers_and_views_are_refused_by_name),
        ROW(another_schema_version_is_named),
        ROW(a_second_opener_is_refused),
        ROW(readers_are_not_refused_and_write_nothing),
        ROW(a_configuration_is_checked),
        ROW(keys_are_encrypted_with_the_key_encryption_key),
        ROW(encrypted_keys_of_another_row_do_not_verify),
        ROW(a_database_gets_its_log_back),
        ROW(a_reader_does_not_make_closing_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
