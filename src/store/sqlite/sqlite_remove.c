/* SPDX-License-Identifier: MIT */
/* sqlite_remove: ends contexts. The keys are erased (SQLite's secure_delete overwrites them); the row keeps the fingerprint and
 * the numbers that may have been used. */
#include "store/sqlite/sqlite_loaded.h"
#include "store/sqlite/sqlite_rows.h"

#include <string.h>

#include "base/hosted/detail.h"

static nacre_err write_end(nacre_sqlite *db, nacre__sqlite_row *row, nacre_sqlite_status status, uint64_t ceiling,
                           nacre_detail *why)
{
    row->status = status;
    row->ceiling = ceiling;
    row->blob_len = 0;
    (void)sqlite3_bind_int64(nacre__sqlite_use(db, NACRE__SQLITE_STATE_DELETE), 1, row->id);
    nacre_err err = nacre__sqlite_run(db, NACRE__SQLITE_STATE_DELETE, NULL, why);
    if (err != NACRE_OK) return err;
    sqlite3_stmt *stmt = nacre__sqlite_use(db, NACRE__SQLITE_CONTEXT_END);
    (void)sqlite3_bind_int64(stmt, 1, row->id);
    (void)sqlite3_bind_int(stmt, 2, (int)status);
    (void)sqlite3_bind_int64(stmt, 3, (sqlite3_int64)ceiling);
    (void)sqlite3_bind_int64(stmt, 4, nacre__sqlite_row_sum(db, row));
    return nacre__sqlite_run(db, NACRE__SQLITE_CONTEXT_END, NULL, why);
}

/* Of a damaged row: the fingerprints that can be read are kept, so that the keys are refused. */
static nacre_err write_repaired(nacre_sqlite *db, nacre__sqlite_row *row, nacre_detail *why)
{
    nacre__sqlite_row_repair(row);
    row->status = NACRE_SQLITE_REVOKED;
    row->ceiling = NACRE_SEQ_MAX + 1;
    row->blob_len = 0;
    (void)sqlite3_bind_int64(nacre__sqlite_use(db, NACRE__SQLITE_STATE_DELETE), 1, row->id);
    const nacre_err err = nacre__sqlite_run(db, NACRE__SQLITE_STATE_DELETE, NULL, why);
    if (err != NACRE_OK) return err;
    sqlite3_stmt *stmt = nacre__sqlite_use(db, NACRE__SQLITE_CONTEXT_REPAIR);
    (void)sqlite3_bind_int64(stmt, 1, row->id);
    (void)sqlite3_bind_blob(stmt, 2, row->fingerprint, sizeof row->fingerprint, SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 3, row->peer_fingerprint, sizeof row->peer_fingerprint, SQLITE_STATIC);
    (void)sqlite3_bind_int(stmt, 4, row->aead->cose);
    (void)sqlite3_bind_int(stmt, 5, (int)row->hash);
    (void)sqlite3_bind_int(stmt, 6, row->window);
    (void)sqlite3_bind_blob(stmt, 7, row->sender_id, (int)row->sender_id_len, SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 8, row->recipient_id, (int)row->recipient_id_len, SQLITE_STATIC);
    if (row->has_id_context) (void)sqlite3_bind_blob(stmt, 9, row->id_context, (int)row->id_context_len, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 10, (sqlite3_int64)row->ceiling);
    (void)sqlite3_bind_int64(stmt, 11, nacre__sqlite_row_sum(db, row));
    return nacre__sqlite_run(db, NACRE__SQLITE_CONTEXT_REPAIR, NULL, why);
}

static nacre_err end_row(nacre_sqlite *db, nacre__sqlite_row *row, bool found, nacre_sqlite_status status,
                         nacre_detail *why)
{
    const bool is_active = found && row->status == NACRE_SQLITE_ACTIVE;
    const bool may = is_active || (found && status == NACRE_SQLITE_REVOKED); /* revoking what was removed */
    return may ? write_end(db, row, status, is_active ? row->state.next : row->ceiling, why) : NACRE_ERR_NO_CONTEXT;
}

nacre_err nacre__sqlite_end_one(nacre_sqlite *db, int64_t id, nacre_sqlite_status status, nacre_detail *why)
{
    nacre__sqlite_row row = { .is_whole = false };
    bool found = false;
    nacre_err err = nacre__sqlite_row_find(&row, &found, db, id, why);
    const bool is_damaged = err == NACRE_ERR_BAD_CONTEXT && found && status == NACRE_SQLITE_REVOKED;
    if (is_damaged && !row.is_whole) err = write_repaired(db, &row, why);
    else if (err == NACRE_OK || is_damaged) {
        if (is_damaged) row.state.next = NACRE_SEQ_MAX + 1; /* its numbers are unknown */
        err = end_row(db, &row, found, status, why);
    }
    nacre_wipe(&row, sizeof row);
    if (err != NACRE_ERR_NO_CONTEXT) return err;
    return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "%s: there is no active context %lld", db->paths.path,
                       (long long)id);
}

void nacre__sqlite_stop(nacre_sqlite *db, int64_t id)
{
    nacre__sqlite_loaded *loaded = nacre__sqlite_loaded_find(db, id);
    if (loaded != NULL) nacre_context_stop(&loaded->ctx);
}

static nacre_err end_all(nacre_sqlite *db, const int64_t *ids, size_t num, nacre_sqlite_status status,
                         nacre_detail *why)
{
    nacre_err err = nacre__sqlite_begin(db, why);
    if (err != NACRE_OK) return err;
    for (size_t i = 0; err == NACRE_OK && i < num; i++) err = nacre__sqlite_end_one(db, ids[i], status, why);
    err = nacre__sqlite_end(db, err, why);
    for (size_t i = 0; err == NACRE_OK && i < num; i++) nacre__sqlite_stop(db, ids[i]);
    return err;
}

nacre_err nacre_sqlite_remove(nacre_sqlite *db, const int64_t *ids, size_t num, nacre_detail *why)
{
    nacre_err err = nacre__sqlite_enter(db, true, why);
    if (err != NACRE_OK) return err;
    err = end_all(db, ids, num, NACRE_SQLITE_REMOVED, why);
    nacre__sqlite_leave(db);
    return err;
}

nacre_err nacre_sqlite_revoke(nacre_sqlite *db, const int64_t *ids, size_t num, nacre_detail *why)
{
    nacre_detail reason = { "" };
    nacre_err err = nacre__sqlite_enter(db, true, why);
    if (err != NACRE_OK) return err;
    err = end_all(db, ids, num, NACRE_SQLITE_REVOKED, why);
    if (err == NACRE_OK) {
        db->must_erase = true;
        err = nacre__sqlite_renew(db, true, &reason);
        if (err != NACRE_OK)
            (void)nacre__fail(
                why, err,
                "the contexts are revoked, but their keys may still be in %.120s-wal (%.200s): end programs that "
                "read the database, and revoke them again",
                db->paths.path, reason.text);
    }
    nacre__sqlite_leave(db);
    return err;
}
