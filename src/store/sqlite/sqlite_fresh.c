/* SPDX-License-Identifier: MIT */
/* sqlite_fresh: detects that a database is an old copy, or was replaced while it was open.
 *
 *     what happened                                     | what differs
 *     the file is another one (cp, mv of a backup)      | meta.identity, the file's inode and birth time
 *     an old copy was written over it, DB-wal removed   | the stamp in its header, or meta.writes below DB-mark's count
 *     … and DB-wal is still the newer file's            | the stamp in its header: each checkpoint has a new one, so a copy with
 *                                                       | the current stamp has the current pages
 *     DB-mark is missing, or another database's         | meta.database
 *
 * While it is open, a reader keeps other programs from moving DB-wal into the file, which would have other pages with one stamp.
 *
 * A database that was never opened for writing (identity NULL) may be moved without its DB-mark. */
#include "store/sqlite/sqlite_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/hosted/detail.h"

/* ---- Reading ---- */

static bool copy_blob(uint8_t *to, size_t len, sqlite3_stmt *stmt, int column)
{
    if (sqlite3_column_bytes(stmt, column) != (int)len) return false;
    memcpy(to, sqlite3_column_blob(stmt, column), len);
    return true;
}

static nacre_err read_row(nacre_sqlite *db, sqlite3_stmt *stmt, char *identity, nacre_bytes *kek, uint8_t *kek_buf,
                          nacre_detail *why)
{
    const sqlite3_int64 schema = sqlite3_column_int64(stmt, 0);
    if (schema != NACRE__SQLITE_SCHEMA_VERSION)
        return nacre__fail(why, schema > NACRE__SQLITE_SCHEMA_VERSION ? NACRE_ERR_UNSUPPORTED : NACRE_ERR_BAD_CONTEXT,
                           "%s: its tables have version %lld, this nacre knows version %d%s", db->paths.path,
                           (long long)schema, (int)NACRE__SQLITE_SCHEMA_VERSION,
                           schema > NACRE__SQLITE_SCHEMA_VERSION ? "; use a newer nacre" : "");
    const int kek_len = sqlite3_column_bytes(stmt, 4);
    const sqlite3_int64 writes = sqlite3_column_int64(stmt, 6);
    if (!copy_blob(db->database, sizeof db->database, stmt, 1) ||
        !copy_blob(db->hash_key, sizeof db->hash_key, stmt, 2) ||
        !copy_blob(db->fingerprint_key, sizeof db->fingerprint_key, stmt, 3) || kek_len > 64 || writes < 0)
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: its table meta is damaged", db->paths.path);
    db->writes = (uint64_t)writes;
    db->is_encrypted = sqlite3_column_type(stmt, 4) != SQLITE_NULL;
    *kek = NACRE_ABSENT;
    if (db->is_encrypted) {
        if (kek_len > 0) memcpy(kek_buf, sqlite3_column_blob(stmt, 4), (size_t)kek_len);
        *kek = nacre_bytes_of(kek_buf, (size_t)kek_len);
    }
    db->is_used = sqlite3_column_type(stmt, 5) != SQLITE_NULL;
    const char *text = db->is_used ? (const char *)sqlite3_column_text(stmt, 5) : "";
    (void)snprintf(identity, NACRE__FILE_IDENTITY_TEXT, "%s", text != NULL ? text : "");
    return NACRE_OK;
}

nacre_err nacre__sqlite_read_meta(nacre_sqlite *db, char identity[NACRE__FILE_IDENTITY_TEXT], nacre_bytes *kek,
                                  uint8_t kek_buf[64], nacre_detail *why)
{
    sqlite3_stmt *stmt = nacre__sqlite_use(db, NACRE__SQLITE_META);
    bool row;
    nacre_err err = nacre__sqlite_step(db, NACRE__SQLITE_META, &row, why);
    if (err != NACRE_OK) return err;
    if (!row)
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: was not completed when it was made; remove it",
                           db->paths.path);
    err = read_row(db, stmt, identity, kek, kek_buf, why);
    nacre__sqlite_reset(db, NACRE__SQLITE_META);
    return err;
}

/* ---- Comparing ---- */

static nacre_err refuse(const nacre_sqlite *db, const char *what, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                       "%.200s: %s: numbers may have been used since, and are not used again; end the other copies and "
                       "run nacre fleet adopt",
                       db->paths.path, what);
}

nacre_err nacre__sqlite_check_fresh(nacre_sqlite *db, const char *identity, nacre_detail *why)
{
    char present[NACRE__FILE_IDENTITY_TEXT];
    uint32_t stamp;
    const bool is_same = db->mark.found && memcmp(db->mark.database, db->database, sizeof db->database) == 0;
    nacre_err err = nacre__sqlite_stamp_of_file(db, &stamp, NULL, why);
    if (err != NACRE_OK) return err;
    nacre__file_identity_of(present, db->paths.fd);
    if (db->is_used && !nacre__file_identity_matches(present, identity))
        return refuse(db, "was copied, moved or put back: this is not the file that it was used in", why);
    if (db->is_used && !is_same)
        return refuse(db, db->mark.found ? "its DB-mark is another database's" : "its DB-mark is missing", why);
    if (is_same && (!nacre__sqlite_mark_has(&db->mark, stamp) || db->writes < db->mark.writes))
        return refuse(db, "an old copy was written over it", why);
    return NACRE_OK;
}

/* ---- While it is open ---- */

/* Final: another program may use the numbers that are reserved here. Each context is stopped when it next needs the store, by the
 * thread that uses it. */
nacre_err nacre__sqlite_stop_writes(nacre_sqlite *db, const nacre_detail *what, nacre_detail *why)
{
    (void)nacre__fail(&db->lost, NACRE_ERR_LOCKED,
                      "%.300s, so that other programs may use its numbers: nothing is written any more, and its "
                      "contexts stop",
                      what->text);
    return nacre__fail(why, NACRE_ERR_LOCKED, "%s", db->lost.text);
}

static nacre_err check_files(nacre_sqlite *db, nacre_detail *why)
{
    uint32_t stamp;
    nacre_err err = nacre__sqlite_paths_check(db->paths.real, db->paths.fd, why);
    if (err == NACRE_OK) err = nacre__sqlite_paths_check(db->paths.mark, db->mark_fd, why);
    if (err == NACRE_OK && db->paths.log_fd >= 0) err = nacre__sqlite_paths_check(db->paths.log, db->paths.log_fd, why);
    if (err == NACRE_OK) err = nacre__sqlite_stamp_of_file(db, &stamp, NULL, why);
    if (err == NACRE_ERR_BAD_CONTEXT || (err == NACRE_OK && !nacre__sqlite_mark_has(&db->mark, stamp)))
        return nacre__fail(why, NACRE_ERR_LOCKED, "%s: was overwritten while it was open", db->paths.path);
    return err;
}

nacre_err nacre__sqlite_check_ours(nacre_sqlite *db, nacre_detail *why)
{
    nacre_detail what = { "" };
    if (db->lost.text[0] != '\0') return nacre__fail(why, NACRE_ERR_LOCKED, "%s", db->lost.text);
    if (db->mark_fd < 0)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "%s: is open for reading only", db->paths.path);
    const nacre_err err = check_files(db, &what);
    if (err == NACRE_ERR_LOCKED) return nacre__sqlite_stop_writes(db, &what, why);
    return err == NACRE_OK ? NACRE_OK : nacre__fail(why, err, "%s", what.text);
}
