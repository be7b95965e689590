/* SPDX-License-Identifier: MIT */
/* databases: see databases.h. */
#include "databases.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

nacre_err db_source(void *user, nacre_sqlite_context *context, size_t index, nacre_detail *why)
{
    (void)why;
    fleet_describe(&context->info, *(const size_t *)user + index);
    return NACRE_OK;
}

nacre_err db_given(void *user, nacre_sqlite_context *context, size_t index, nacre_detail *why)
{
    (void)why, (void)index;
    *context = *(const nacre_sqlite_context *)user;
    return NACRE_OK;
}

void db_make(const char *path, size_t num)
{
    nacre_detail why = { "" };
    size_t first = 0;
    if (nacre_sqlite_create(path, NULL, test_crypto(), &why) != NACRE_OK) fail_msg("%s", why.text);
    if (num == 0) return;
    nacre_sqlite *db = db_open(path);
    if (nacre_sqlite_add(db, NULL, num, db_source, &first, &why) != NACRE_OK) fail_msg("%s", why.text);
    db_close(db);
}

nacre_sqlite *db_open_with(const char *path, const nacre_sqlite_config *config)
{
    nacre_detail why = { "" };
    nacre_sqlite *db = NULL;
    if (nacre_sqlite_open(&db, path, config, test_crypto(), &why) != NACRE_OK) fail_msg("%s", why.text);
    return db;
}

nacre_sqlite *db_open(const char *path)
{
    return db_open_with(path, NULL);
}

void db_close(nacre_sqlite *db)
{
    nacre_detail why = { "" };
    if (nacre_sqlite_close(db, &why) != NACRE_OK) fail_msg("%s", why.text);
}

nacre_context *db_load(nacre_sqlite *db, int64_t id)
{
    nacre_detail why = { "" };
    nacre_context *ctx = NULL;
    if (nacre_sqlite_load(db, &ctx, &id, 1, &why) != NACRE_OK) fail_msg("%s", why.text);
    assert_non_null(ctx);
    return ctx;
}

static nacre_err keep(void *user, const nacre_sqlite_context *context, nacre_detail *why)
{
    (void)why;
    *(nacre_sqlite_context *)user = *context;
    return NACRE_OK;
}

nacre_sqlite_context db_row(nacre_sqlite *db, int64_t id)
{
    nacre_sqlite_context row;
    nacre_detail why = { "" };
    const nacre_sqlite_filter filter = { .after = id - 1, .max = 1, .ended = true };
    memset(&row, 0, sizeof row);
    if (nacre_sqlite_list(db, &filter, keep, &row, &why) != NACRE_OK) fail_msg("%s", why.text);
    assert_int_equal(row.id, id);
    return row;
}

nacre_context *db_peer(int64_t id)
{
    nacre_directory_info info;
    fleet_describe(&info, (size_t)id - 1);
    return fleet_peer(&info);
}

void db_expect_open(const char *path, nacre_err err, const char *text)
{
    nacre_detail why = { "" };
    nacre_sqlite *db = NULL;
    assert_err(nacre_sqlite_open(&db, path, NULL, test_crypto(), &why), err);
    assert_null(db);
    if (strstr(why.text, text) == NULL) fail_msg("'%s' is not in: %s", text, why.text);
}

uint64_t db_send(nacre_context *ctx, nacre_context *peer, unsigned num)
{
    const nacre_store store = nacre_sqlite_store(ctx);
    uint64_t last = 0;
    for (unsigned i = 0; i < num; i++) last = fleet_send_one(peer, ctx, &store);
    return last;
}

void db_sql(const char *path, const char *text)
{
    sqlite3 *conn = NULL;
    char *problem = NULL;
    assert_int_equal(sqlite3_open_v2(path, &conn, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    (void)sqlite3_db_config(conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (sqlite3_exec(conn, text, NULL, NULL, &problem) != SQLITE_OK) fail_msg("%s", problem);
    assert_int_equal(sqlite3_close(conn), SQLITE_OK);
}

void db_in_child(int (*life)(void *user), void *user)
{
    int status = 0;
    (void)fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const int result = life(user);
        if (result != 0) _exit(result);
        (void)kill(getpid(), SIGKILL);
        _exit(99);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status)) fail_msg("the child ended with %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    assert_int_equal(WTERMSIG(status), SIGKILL);
}
