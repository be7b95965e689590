/* SPDX-License-Identifier: MIT */
/* sqlite_stats: the figures of a database. */
#include "store/sqlite/sqlite_internal.h"

#include <sys/stat.h>

static nacre_err count(nacre_sqlite *db, nacre_sqlite_stats *stats, nacre_detail *why)
{
    uint64_t *const numbers[] = { &stats->num_active, &stats->num_removed, &stats->num_revoked, &stats->num_exported };
    sqlite3_stmt *stmt = nacre__sqlite_use(db, NACRE__SQLITE_COUNT);
    nacre_err err = NACRE_OK;
    for (bool found = true; err == NACRE_OK && found;) {
        err = nacre__sqlite_step(db, NACRE__SQLITE_COUNT, &found, why);
        const sqlite3_int64 status = found ? sqlite3_column_int64(stmt, 0) : -1;
        if (status >= 0 && status <= NACRE_SQLITE_EXPORTED) *numbers[status] = (uint64_t)sqlite3_column_int64(stmt, 1);
    }
    bool found = false;
    stmt = nacre__sqlite_use(db, NACRE__SQLITE_EXHAUSTED);
    if (err == NACRE_OK) err = nacre__sqlite_step(db, NACRE__SQLITE_EXHAUSTED, &found, why);
    if (found) stats->num_exhausted = (uint64_t)sqlite3_column_int64(stmt, 0);
    nacre__sqlite_reset(db, NACRE__SQLITE_EXHAUSTED);
    return err;
}

/* Not nacre_mark_at: it would open the file again, and closing that descriptor would drop SQLite's locks. */
static nacre_mark mark_of(const nacre_sqlite *db)
{
    char identity[NACRE__FILE_IDENTITY_TEXT];
    nacre__file_identity_of(identity, db->paths.fd);
    const nacre__file_identity_kind kind = nacre__file_identity_kind_of(identity);
    if (kind == NACRE__FILE_IDENTITY_NOTHING) return NACRE_MARK_NONE;
    return kind == NACRE__FILE_IDENTITY_INODE ? NACRE_MARK_NO_BIRTH : NACRE_MARK_FULL;
}

nacre_err nacre_sqlite_get_stats(nacre_sqlite *db, nacre_sqlite_stats *stats, nacre_detail *why)
{
    struct stat st;
    nacre_sqlite_stats s = { .num_active = 0 };
    nacre_err err = nacre__sqlite_enter(db, false, why);
    if (err != NACRE_OK) return err;
    err = nacre__sqlite_begin_read(db, why);
    if (err == NACRE_OK) err = nacre__sqlite_end_read(db, count(db, &s, why), why);
    s.num_loaded = db->num_loaded;
    s.num_writes = db->writes;
    s.file_size = stat(db->paths.real, &st) == 0 ? (uint64_t)st.st_size : 0;
    s.used = db->is_used;
    s.encrypted = db->is_encrypted;
    s.copied = db->is_copied;
    s.mark = mark_of(db);
    nacre__sqlite_leave(db);
    if (err == NACRE_OK) *stats = s;
    return err;
}
