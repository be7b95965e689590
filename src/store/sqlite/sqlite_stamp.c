/* SPDX-License-Identifier: MIT */
/* sqlite_stamp: the random number in the header of the file, renewed with each checkpoint of DB-wal. */
#include "store/sqlite/sqlite_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

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

static nacre_err draw_stamp(const nacre_sqlite *db, uint32_t *stamp, nacre_detail *why)
{
    do {
        if (!nacre__store_random((uint8_t *)stamp, sizeof *stamp))
            return nacre__fail(why, NACRE_ERR_CRYPTO, "%s: the system gives no random bytes", db->paths.path);
        *stamp &= INT32_MAX; /* the pragma is signed */
    } while (*stamp == 0 || nacre__sqlite_mark_has(&db->mark, *stamp));
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

/* DB-mark allows both stamps before the header can have the new one, and the old one as long as the file may have it. `*again`: a
 * checkpoint was completed without a stamp of its own. */
static nacre_err renew(nacre_sqlite *db, bool truncate, bool *again, nacre_detail *why)
{
    uint32_t stamp = 0;
    bool done = false;
    nacre__sqlite_mark mark = db->mark;
    *again = false;
    nacre_err err = draw_stamp(db, &stamp, why);
    if (err != NACRE_OK) return err;
    if (allow(&mark, stamp)) {
        err = nacre__sqlite_mark_put(&mark, db->mark_fd, &db->paths, why);
        if (err == NACRE_OK) {
            db->mark = mark;
            err = write_stamp(db, stamp, why);
        }
    } else stamp = 0; /* earlier checkpoints were not completed: this one settles the last of their stamps */
    if (err == NACRE_OK) err = checkpoint(db, truncate, &done, why);
    *again = done && stamp == 0;
    if (err == NACRE_OK && *again) err = nacre__sqlite_stamp_of_file(db, &stamp, NULL, why);
    return err == NACRE_OK && done ? settle_stamp(db, stamp, why) : err;
}

/* Readers may keep checkpoints from being completed until all entries are used. Pages that come into the file then have a stamp
 * that older pages had; so another stamp follows once the readers have gone. */
nacre_err nacre__sqlite_renew(nacre_sqlite *db, bool truncate, nacre_detail *why)
{
    bool again = false;
    db->stamped_ms = now_ms();
    db->num_frames = 0;
    db->must_renew = true;
    nacre_err err = renew(db, truncate, &again, why);
    if (err == NACRE_OK && again) err = renew(db, truncate, &again, why);
    db->must_renew = err != NACRE_OK;
    return err;
}

bool nacre__sqlite_is_stamp_due(const nacre_sqlite *db)
{
    return db->must_renew || db->num_frames >= RENEW_FRAMES || now_ms() - db->stamped_ms >= RENEW_MS;
}

/* ---- DB-mark ---- */

nacre_err nacre__sqlite_replace_mark(nacre_sqlite *db, nacre_detail *why)
{
    uint32_t stamp;
    nacre__sqlite_mark mark = { .serial = db->mark.serial };
    nacre_err err = nacre__sqlite_stamp_of_file(db, &stamp, NULL, why);
    if (err != NACRE_OK) return err;
    mark.stamps[0] = stamp;
    memcpy(mark.database, db->database, sizeof mark.database);
    err = nacre__sqlite_mark_count(&mark, db->writes, db->mark_fd, &db->paths, why);
    if (err == NACRE_OK) err = nacre__sqlite_mark_put(&mark, db->mark_fd, &db->paths, why);
    if (err == NACRE_OK) db->mark = mark;
    return err;
}

nacre_err nacre__sqlite_start_mark(nacre_sqlite *db, nacre_detail *why)
{
    uint32_t stamp;
    const bool is_same = db->mark.found && memcmp(db->mark.database, db->database, sizeof db->database) == 0;
    const nacre_err err = nacre__sqlite_stamp_of_file(db, &stamp, NULL, why);
    if (err != NACRE_OK) return err;
    for (int i = 0; is_same && i < NACRE__SQLITE_STAMPS; i++)
        if (db->mark.stamps[i] == stamp && db->mark.writes <= db->writes) return NACRE_OK;
    return nacre__sqlite_replace_mark(db, why);
}
