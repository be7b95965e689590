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
 * A database that was never used (identity NULL) may be moved without its DB-mark. */
#include "store/sqlite/sqlite_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/random.h"

enum { RENEW_MS = 60 * 1000, RENEW_FRAMES = 2000 };

/* Monotonic: the clock of the day may jump. */
static uint64_t now_ms(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0) return 0;
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

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

static bool has_stamp(const nacre__sqlite_mark *mark, uint32_t stamp)
{
    for (int i = 0; i < NACRE__SQLITE_STAMPS; i++)
        if (stamp != 0 && mark->stamps[i] == stamp) return true;
    return false;
}

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
    if (is_same && (!has_stamp(&db->mark, stamp) || db->writes < db->mark.writes))
        return refuse(db, "an old copy was written over it", why);
    return NACRE_OK;
}

/* ---- The stamp ---- */

static nacre_err draw_stamp(const nacre_sqlite *db, uint32_t *stamp, nacre_detail *why)
{
    do {
        if (!nacre__store_random((uint8_t *)stamp, sizeof *stamp))
            return nacre__fail(why, NACRE_ERR_CRYPTO, "%s: the system gives no random bytes", db->paths.path);
        *stamp &= INT32_MAX; /* the pragma is signed */
    } while (*stamp == 0 || has_stamp(&db->mark, *stamp));
    return NACRE_OK;
}

/* Adds a stamp to those that the database may have. False: no entry is free. */
static bool allow(nacre__sqlite_mark *mark, uint32_t stamp)
{
    for (int i = 0; i < NACRE__SQLITE_STAMPS; i++) {
        if (mark->stamps[i] != 0) continue;
        mark->stamps[i] = stamp;
        return true;
    }
    return false;
}

static nacre_err write_stamp(nacre_sqlite *db, uint32_t stamp, nacre_detail *why)
{
    char text[64];
    (void)snprintf(text, sizeof text, "PRAGMA user_version = %" PRIu32, stamp);
    nacre_err err = nacre__sqlite_exec(db, "BEGIN IMMEDIATE", why);
    if (err != NACRE_OK) return err;
    err = nacre__sqlite_exec(db, text, why);
    return nacre__sqlite_end(db, err, why);
}

/* `done`: all of DB-wal is in the database. Readers that keep it are waited for only if it has to be erased. */
static nacre_err checkpoint(nacre_sqlite *db, bool truncate, bool *done, nacre_detail *why)
{
    int num_log = 0, num_done = 0;
    const int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    const bool waits = truncate && db->must_erase;
    nacre__sqlite_let_log(db);
    if (!waits) (void)sqlite3_busy_timeout(db->conn, 0);
    const int code = sqlite3_wal_checkpoint_v2(db->conn, "main", mode, &num_log, &num_done);
    (void)sqlite3_busy_timeout(db->conn, NACRE__SQLITE_BUSY_MS);
    *done = code == SQLITE_OK && num_log == num_done;
    if (code != SQLITE_OK && (code != SQLITE_BUSY || waits)) /* a reader needs it: later */
        return nacre__sqlite_fail(db, code, "empty its log", why);
    if (code == SQLITE_OK && truncate) db->must_erase = false;
    return nacre__sqlite_hold_log(db, why);
}

/* Removes all stamps but `stamp`, if the file has it. */
static nacre_err settle_stamp(nacre_sqlite *db, uint32_t stamp, nacre_detail *why)
{
    uint32_t in_file;
    nacre_err err = nacre__sqlite_stamp_of_file(db, &in_file, NULL, why);
    if (err != NACRE_OK || in_file != stamp) return err;
    nacre__sqlite_mark mark = db->mark;
    memset(mark.stamps, 0, sizeof mark.stamps);
    mark.stamps[0] = stamp;
    err = nacre__sqlite_mark_put(&mark, db->mark_fd, &db->paths, why);
    if (err == NACRE_OK) db->mark = mark;
    return err;
}

/* DB-mark allows both stamps before the header can have the new one, and the old one as long as the file may have it. */
nacre_err nacre__sqlite_renew(nacre_sqlite *db, bool truncate, nacre_detail *why)
{
    uint32_t stamp = 0;
    bool done = false;
    nacre__sqlite_mark mark = db->mark;
    db->stamped_ms = now_ms();
    db->num_frames = 0;
    db->must_renew = true;
    nacre_err err = draw_stamp(db, &stamp, why);
    if (err != NACRE_OK) return err;
    if (allow(&mark, stamp)) {
        err = nacre__sqlite_mark_put(&mark, db->mark_fd, &db->paths, why);
        if (err == NACRE_OK) {
            db->mark = mark;
            err = write_stamp(db, stamp, why);
        }
    } else stamp = 0; /* earlier checkpoints were not completed: this one settles the last of their stamps */
    if (err != NACRE_OK) return err;
    err = checkpoint(db, truncate, &done, why);
    if (err == NACRE_OK && done && stamp == 0) err = nacre__sqlite_stamp_of_file(db, &stamp, NULL, why);
    if (err == NACRE_OK && done) err = settle_stamp(db, stamp, why);
    db->must_renew = err != NACRE_OK;
    return err;
}

static bool is_stamp_due(const nacre_sqlite *db)
{
    return db->must_renew || db->num_frames >= RENEW_FRAMES || now_ms() - db->stamped_ms >= RENEW_MS;
}

/* ---- While it is open ---- */

/* Final: another program may use the numbers that are reserved here. Each context is stopped when it next needs the store, by the
 * thread that uses it. */
static nacre_err stop_writes(nacre_sqlite *db, const nacre_detail *what, nacre_detail *why)
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
    if (err == NACRE_ERR_BAD_CONTEXT || (err == NACRE_OK && !has_stamp(&db->mark, stamp)))
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
    if (err == NACRE_ERR_LOCKED) return stop_writes(db, &what, why);
    return err == NACRE_OK ? NACRE_OK : nacre__fail(why, err, "%s", what.text);
}

/* ---- Transactions ---- */

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

nacre_err nacre__sqlite_begin(nacre_sqlite *db, bool uses, nacre_detail *why)
{
    nacre_err err = nacre__sqlite_check_ours(db, why);
    db->claims = false;
    if (err == NACRE_OK && is_stamp_due(db)) err = nacre__sqlite_renew(db, false, why);
    if (err != NACRE_OK) return err;
    (void)nacre__sqlite_use(db, NACRE__SQLITE_BEGIN);
    err = nacre__sqlite_run(db, NACRE__SQLITE_BEGIN, NULL, why);
    if (err != NACRE_OK || !uses) return err;
    err = nacre__sqlite_claim(db, why);
    return err == NACRE_OK ? NACRE_OK : nacre__sqlite_end(db, err, why);
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
    return stop_writes(db, &what, why);
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
