/* SPDX-License-Identifier: MIT */
/* sqlite_list: lists contexts. */
#include "store/sqlite/sqlite_rows.h"

#include <limits.h>
#include <string.h>

#include "base/hosted/detail.h"

typedef struct listing {
    nacre_sqlite *db;
    bool reveal;
    nacre_sqlite_visit visit;
    void *user;
    size_t num_damaged;
    nacre_detail first; /* of the damaged rows */
} listing;

static nacre_err describe(nacre_sqlite_context *context, const listing *l, sqlite3_stmt *stmt, nacre_detail *why)
{
    nacre__sqlite_row row;
    nacre_err err = nacre__sqlite_row_read(&row, l->db, stmt, why);
    if (err == NACRE_OK) {
        nacre__sqlite_row_describe(context, &row);
        if (l->reveal) err = nacre__sqlite_row_reveal(context, l->db, &row, why);
    }
    nacre_wipe(&row, sizeof row);
    return err;
}

/* A damaged row is counted, and left out. */
static nacre_err visit_row(listing *l, sqlite3_stmt *stmt, nacre_detail *why)
{
    nacre_sqlite_context context;
    nacre_detail reason = { "" };
    const bool has_keys = !l->db->is_encrypted || l->db->kek[1] != NULL;
    nacre_err err = describe(&context, l, stmt, &reason);
    if (err == NACRE_OK) err = l->visit(l->user, &context, why);
    else if (err == NACRE_ERR_BAD_CONTEXT && (has_keys || !l->reveal)) {
        if (l->num_damaged++ == 0) l->first = reason;
        err = NACRE_OK;
    } else (void)nacre__fail(why, err, "%s", reason.text);
    nacre_wipe(&context, sizeof context);
    return err;
}

static nacre_err list(listing *l, const nacre_sqlite_filter *filter, nacre_detail *why)
{
    nacre_sqlite *db = l->db;
    sqlite3_stmt *stmt = nacre__sqlite_use(db, NACRE__SQLITE_AFTER_ID);
    (void)sqlite3_bind_int64(stmt, 1, filter->after);
    (void)sqlite3_bind_int(stmt, 2, filter->ended);
    (void)sqlite3_bind_int64(stmt, 3, filter->max == 0 || filter->max > INT_MAX ? -1 : (sqlite3_int64)filter->max);
    nacre_err err = NACRE_OK;
    for (bool found = true; err == NACRE_OK && found;) {
        err = nacre__sqlite_step(db, NACRE__SQLITE_AFTER_ID, &found, why);
        if (found) err = visit_row(l, stmt, why);
    }
    nacre__sqlite_reset(db, NACRE__SQLITE_AFTER_ID);
    if (err != NACRE_OK || l->num_damaged == 0) return err;
    if (l->num_damaged == 1) return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s", l->first.text);
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%.400s; so are %zu more: see nacre fleet check", l->first.text,
                       l->num_damaged - 1);
}

nacre_err nacre_sqlite_list(nacre_sqlite *db, const nacre_sqlite_filter *filter, nacre_sqlite_visit visit, void *user,
                            nacre_detail *why)
{
    static const nacre_sqlite_filter all = { .size = sizeof all };
    if (filter == NULL) filter = &all;
    if (filter->size != 0 && filter->size != sizeof *filter)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "%s: the filter is of another version of nacre: compile the program anew", db->paths.path);
    nacre_err err = nacre__sqlite_enter(db, false, why);
    if (err != NACRE_OK) return err;
    listing l = { .db = db, .reveal = filter->reveal, .visit = visit, .user = user };
    err = list(&l, filter, why);
    nacre__sqlite_leave(db);
    return err;
}
