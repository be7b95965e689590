/* SPDX-License-Identifier: MIT */
/* sqlite_transaction: write transactions, each counted in the database and in DB-mark, and the lock of public functions. */
#include "store/sqlite/sqlite_internal.h"

#include <unistd.h>

#include "base/hosted/detail.h"

nacre_err nacre__sqlite_claim(nacre_sqlite *db, nacre_detail *why)
{
    if (db->is_used || db->claims) return NACRE_OK;
    db->claims = true;
    char identity[NACRE__FILE_IDENTITY_TEXT];
    nacre__file_identity_of(identity, db->paths.fd);
    sqlite3_stmt *stmt = nacre__sqlite_use(db, NACRE__SQLITE_META_IDENTITY);
    (void)sqlite3_bind_text(stmt, 1, identity, -1, SQLITE_TRANSIENT);
    return nacre__sqlite_run(db, NACRE__SQLITE_META_IDENTITY, NULL, why);
}

nacre_err nacre__sqlite_begin(nacre_sqlite *db, nacre_detail *why)
{
    nacre_err err = nacre__sqlite_check_ours(db, why);
    db->claims = false;
    if (err == NACRE_OK && nacre__sqlite_is_stamp_due(db)) err = nacre__sqlite_renew(db, false, why);
    if (err != NACRE_OK) return err;
    (void)nacre__sqlite_use(db, NACRE__SQLITE_BEGIN);
    return nacre__sqlite_run(db, NACRE__SQLITE_BEGIN, NULL, why);
}

/* Each transaction writes at least this count: so it overwrites a failed commit before it, which may still be in DB-wal. */
static nacre_err count_write(nacre_sqlite *db, nacre_detail *why)
{
    int num_changed;
    sqlite3_stmt *stmt = nacre__sqlite_use(db, NACRE__SQLITE_META_WRITES);
    (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)(db->writes + 1));
    const nacre_err err = nacre__sqlite_run(db, NACRE__SQLITE_META_WRITES, &num_changed, why);
    if (err != NACRE_OK || num_changed == 1) return err;
    const nacre_detail what = { "another program has written to the database" };
    return nacre__sqlite_stop_writes(db, &what, why);
}

nacre_err nacre__sqlite_end(nacre_sqlite *db, nacre_err err, nacre_detail *why)
{
    if (err == NACRE_OK) err = count_write(db, why);
    if (err == NACRE_OK) {
        (void)nacre__sqlite_use(db, NACRE__SQLITE_COMMIT);
        err = nacre__sqlite_run(db, NACRE__SQLITE_COMMIT, NULL, why);
    }
    if (err != NACRE_OK) {
        if (sqlite3_get_autocommit(db->conn) == 0) {
            (void)nacre__sqlite_use(db, NACRE__SQLITE_ROLLBACK);
            (void)!nacre__sqlite_run(db, NACRE__SQLITE_ROLLBACK, NULL, NULL);
        }
        return err;
    }
    db->writes++;
    db->is_used = db->is_used || db->claims;
    db->claims = false;
    /* The transaction is durable. If the count in DB-mark is not written, fewer old copies are detected. */
    (void)!nacre__sqlite_mark_count(&db->mark, db->writes, db->mark_fd, &db->paths, NULL);
    return NACRE_OK;
}

nacre_err nacre__sqlite_begin_read(nacre_sqlite *db, nacre_detail *why)
{
    (void)nacre__sqlite_use(db, NACRE__SQLITE_BEGIN_READ);
    return nacre__sqlite_run(db, NACRE__SQLITE_BEGIN_READ, NULL, why);
}

nacre_err nacre__sqlite_end_read(nacre_sqlite *db, nacre_err err, nacre_detail *why)
{
    (void)nacre__sqlite_use(db, NACRE__SQLITE_COMMIT);
    const nacre_err ended = nacre__sqlite_run(db, NACRE__SQLITE_COMMIT, NULL, err == NACRE_OK ? why : NULL);
    return err == NACRE_OK ? ended : err;
}

nacre_err nacre__sqlite_enter(nacre_sqlite *db, bool writes, nacre_detail *why)
{
    if (db->owner != getpid())
        return nacre__fail(why, NACRE_ERR_LOCKED, "%s: opened by process %ld before a fork; open it after forking",
                           db->paths.path, (long)db->owner);
    (void)pthread_mutex_lock(&db->lock);
    const nacre_err err = writes ? nacre__sqlite_check_ours(db, why) : NACRE_OK;
    if (err != NACRE_OK) (void)pthread_mutex_unlock(&db->lock);
    return err;
}

void nacre__sqlite_leave(nacre_sqlite *db)
{
    (void)pthread_mutex_unlock(&db->lock);
}
