/* SPDX-License-Identifier: MIT */
/* sqlite_find: the contexts that may have protected a request. */
#include "store/sqlite/sqlite_internal.h"
#include "store/sqlite/sqlite_serve.h"

static nacre_err find_one(nacre_sqlite *db, nacre_sqlite_query *q, nacre_detail *why)
{
    const bool has_context = !nacre_is_absent(q->kid_context);
    const nacre__sqlite_statement which = has_context ? NACRE__SQLITE_BY_KID_CONTEXT : NACRE__SQLITE_BY_KID;
    nacre_err err = NACRE_OK;
    bool found = true;
    q->num_ids = 0;
    if (nacre_is_absent(q->kid)) return NACRE_OK;
    sqlite3_stmt *stmt = nacre__sqlite_use(db, which);
    (void)sqlite3_bind_blob(stmt, 1, q->kid.ptr, (int)q->kid.len, SQLITE_STATIC);
    (void)sqlite3_bind_int(stmt, 2, NACRE_MAX_CANDIDATES);
    if (has_context) (void)sqlite3_bind_blob(stmt, 3, q->kid_context.ptr, (int)q->kid_context.len, SQLITE_STATIC);
    while (err == NACRE_OK && found) {
        err = nacre__sqlite_step(db, which, &found, why);
        if (found && q->num_ids < NACRE_MAX_CANDIDATES) q->ids[q->num_ids++] = sqlite3_column_int64(stmt, 0);
    }
    return err;
}

nacre_err nacre_sqlite_find(nacre_sqlite *db, nacre_sqlite_query *queries, size_t num, nacre_detail *why)
{
    nacre_err err = nacre__sqlite_enter(db, false, why);
    if (err != NACRE_OK) return err;
    err = nacre__sqlite_begin_read(db, why);
    if (err == NACRE_OK) {
        for (size_t i = 0; err == NACRE_OK && i < num; i++) err = find_one(db, &queries[i], why);
        err = nacre__sqlite_end_read(db, err, why);
    }
    nacre__sqlite_leave(db);
    return err;
}

nacre_err nacre__sqlite_data_version(nacre_sqlite *db, uint64_t *version, nacre_detail *why)
{
    bool found = false;
    nacre_err err = nacre__sqlite_enter(db, false, why);
    if (err != NACRE_OK) return err;
    sqlite3_stmt *stmt = nacre__sqlite_use(db, NACRE__SQLITE_DATA_VERSION);
    err = nacre__sqlite_step(db, NACRE__SQLITE_DATA_VERSION, &found, why);
    if (found) *version = (uint64_t)sqlite3_column_int64(stmt, 0);
    nacre__sqlite_reset(db, NACRE__SQLITE_DATA_VERSION);
    nacre__sqlite_leave(db);
    return err;
}
