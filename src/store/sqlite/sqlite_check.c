/* SPDX-License-Identifier: MIT */
/* sqlite_check: reads a whole database and reports its problems. */
#include "store/sqlite/sqlite_rows.h"

#include <stdio.h>
#include <string.h>

#include "base/hosted/detail.h"

typedef struct checking {
    nacre_sqlite *db;
    nacre_sqlite_on_problem on_problem;
    void *user;
    size_t num;
} checking;

static void report(checking *c, const char *text)
{
    c->num++;
    c->on_problem(c->user, text);
}

static nacre_err check_pages(checking *c, nacre_detail *why)
{
    static const char *const pragmas[] = { "PRAGMA integrity_check(20)", "PRAGMA foreign_key_check" };
    for (size_t i = 0; i < sizeof pragmas / sizeof pragmas[0]; i++) {
        sqlite3_stmt *stmt = NULL;
        int code = sqlite3_prepare_v2(c->db->conn, pragmas[i], -1, &stmt, NULL);
        while (code == SQLITE_OK && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
            nacre_detail line;
            const unsigned char *text = sqlite3_column_text(stmt, 0);
            code = SQLITE_OK;
            if (i == 0 && text != NULL && strcmp((const char *)text, "ok") == 0) continue;
            (void)nacre__fail(&line, NACRE_ERR_BAD_CONTEXT, "%s: %.300s%s", c->db->paths.path,
                              text != NULL ? (const char *)text : "?",
                              i == 1 ? ": a row refers to another that does not exist" : "");
            report(c, line.text);
        }
        (void)sqlite3_finalize(stmt);
        if (code == SQLITE_OK || code == SQLITE_DONE) continue;
        nacre_detail line;
        const nacre_err err = nacre__sqlite_fail(c->db, code, "read it", &line);
        if (err != NACRE_ERR_BAD_CONTEXT) return nacre__fail(why, err, "%s", line.text);
        report(c, line.text);
    }
    return NACRE_OK;
}

static void check_row(checking *c, sqlite3_stmt *stmt, bool with_keys)
{
    nacre__sqlite_row row;
    nacre_sqlite_context context;
    nacre_detail line = { "" };
    nacre_err err = nacre__sqlite_row_read(&row, c->db, stmt, &line);
    if (err == NACRE_OK && with_keys) {
        memset(&context, 0, sizeof context);
        err = nacre__sqlite_row_reveal(&context, c->db, &row, &line);
        nacre_wipe(&context, sizeof context);
    }
    nacre_wipe(&row, sizeof row);
    if (err != NACRE_OK) report(c, line.text);
}

static nacre_err check_rows(checking *c, nacre_detail *why)
{
    nacre_sqlite *db = c->db;
    const bool with_keys = !db->is_encrypted || db->kek[1] != NULL;
    sqlite3_stmt *stmt = nacre__sqlite_use(db, NACRE__SQLITE_AFTER_ID);
    (void)sqlite3_bind_int64(stmt, 1, 0);
    (void)sqlite3_bind_int(stmt, 2, 1);
    (void)sqlite3_bind_int64(stmt, 3, -1);
    nacre_err err = NACRE_OK;
    for (bool found = true; err == NACRE_OK && found;) {
        nacre_detail line = { "" };
        err = nacre__sqlite_step(db, NACRE__SQLITE_AFTER_ID, &found, &line);
        if (found) check_row(c, stmt, with_keys);
        if (err == NACRE_ERR_BAD_CONTEXT) { /* a damaged page */
            report(c, line.text);
            return NACRE_OK;
        }
        if (err != NACRE_OK) (void)nacre__fail(why, err, "%s", line.text);
    }
    return err;
}

static nacre_err check(checking *c, nacre_detail *why)
{
    nacre_sqlite_stats stats;
    nacre_detail line;
    const nacre_sqlite *db = c->db;
    if (db->is_copied) {
        (void)nacre__fail(&line, NACRE_ERR_BAD_CONTEXT,
                          "%s: is an old copy, was moved, or lacks its DB-mark; a server refuses it until nacre fleet "
                          "adopt",
                          db->paths.path);
        report(c, line.text);
    }
    nacre_err err = check_pages(c, why);
    if (err == NACRE_OK) err = check_rows(c, why);
    if (err == NACRE_OK) err = nacre_sqlite_get_stats(c->db, &stats, why);
    if (err != NACRE_OK || nacre_mark_text(stats.mark) == NULL) return err;
    (void)nacre__fail(&line, NACRE_ERR_BAD_CONTEXT, "%s: %s", db->paths.path, nacre_mark_text(stats.mark));
    report(c, line.text);
    return NACRE_OK;
}

nacre_err nacre_sqlite_check(const char *path, const nacre_sqlite_config *config, const nacre_crypto *crypto,
                             nacre_sqlite_on_problem on_problem, void *user, size_t *num_problems, nacre_detail *why)
{
    checking c = { .on_problem = on_problem, .user = user };
    nacre_err err = nacre__sqlite_open(&c.db, path, config, NACRE__SQLITE_TO_CHECK, crypto, why);
    if (err != NACRE_OK) return err;
    err = check(&c, why);
    nacre__sqlite_release(c.db);
    if (err == NACRE_OK && num_problems != NULL) *num_problems = c.num;
    return err;
}
