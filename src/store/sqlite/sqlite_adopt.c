/* SPDX-License-Identifier: MIT */
/* sqlite_adopt: permits the use of a copy. One transaction raises the numbers of every row far ahead and names the copy as the
 * file in use; until it is durable the copy is refused as before. */
#include "store/sqlite/sqlite_rows.h"

#include <stdio.h>
#include <string.h>

#include "base/hosted/detail.h"
#include "store/random.h"

/* The random part makes one backup that is restored twice continue at different numbers. */
static nacre_err skip(uint64_t *next, const nacre_sqlite *db, nacre_detail *why)
{
    uint32_t more;
    if (!nacre__store_random((uint8_t *)&more, sizeof more))
        return nacre__fail(why, NACRE_ERR_CRYPTO, "%s: the system gives no random bytes", db->paths.path);
    const uint64_t numbers = NACRE_ADOPT_SKIP + more, left = NACRE_SEQ_MAX + 1 - *next;
    *next += numbers < left ? numbers : left;
    return NACRE_OK;
}

static nacre_err raise_ended(nacre_sqlite *db, nacre__sqlite_row *row, nacre_detail *why)
{
    nacre_err err = skip(&row->ceiling, db, why);
    if (err != NACRE_OK) return err;
    sqlite3_stmt *stmt = nacre__sqlite_use(db, NACRE__SQLITE_CEILING_RAISE);
    (void)sqlite3_bind_int64(stmt, 1, row->id);
    (void)sqlite3_bind_int64(stmt, 2, (sqlite3_int64)row->ceiling);
    (void)sqlite3_bind_int64(stmt, 3, nacre__sqlite_row_sum(db, row));
    return nacre__sqlite_run(db, NACRE__SQLITE_CEILING_RAISE, NULL, why);
}

static nacre_err raise_active(nacre_sqlite *db, nacre__sqlite_row *row, nacre_detail *why)
{
    const uint64_t before = row->state.next;
    row->state.window_known = false; /* RFC 8613 B.1.2 */
    const nacre_err err = skip(&row->state.next, db, why);
    if (err != NACRE_OK) return err;
    return nacre__sqlite_state_write(db, NACRE__SQLITE_STATE_SET, row->id, &row->state, before, NULL, why);
}

static nacre_err read_next(nacre__sqlite_row *row, bool *found, nacre_sqlite *db, int64_t after, nacre_detail *why)
{
    sqlite3_stmt *stmt = nacre__sqlite_use(db, NACRE__SQLITE_AFTER_ID);
    (void)sqlite3_bind_int64(stmt, 1, after);
    (void)sqlite3_bind_int(stmt, 2, 1);
    (void)sqlite3_bind_int64(stmt, 3, 1);
    nacre_err err = nacre__sqlite_step(db, NACRE__SQLITE_AFTER_ID, found, why);
    if (err != NACRE_OK || !*found) return err;
    err = nacre__sqlite_row_read(row, db, stmt, why);
    nacre__sqlite_reset(db, NACRE__SQLITE_AFTER_ID);
    return err;
}

/* Its numbers are unknown. */
static nacre_err use_up(nacre_sqlite *db, int64_t id, nacre_detail *why)
{
    const nacre__sqlite_state state = { .next = NACRE_SEQ_MAX + 1 };
    (void)sqlite3_bind_int64(nacre__sqlite_use(db, NACRE__SQLITE_STATE_DELETE), 1, id);
    const nacre_err err = nacre__sqlite_run(db, NACRE__SQLITE_STATE_DELETE, NULL, why);
    if (err != NACRE_OK) return err;
    return nacre__sqlite_state_write(db, NACRE__SQLITE_STATE_INSERT, id, &state, 0, NULL, why);
}

/* A context with a damaged row is refused with and without adoption. */
static nacre_err raise_all(nacre_sqlite *db, nacre_detail *why)
{
    nacre__sqlite_row row = { .id = 0 };
    int64_t after = 0;
    nacre_err err = NACRE_OK;
    for (bool found = true; err == NACRE_OK;) {
        row.is_whole = false;
        err = read_next(&row, &found, db, after, why);
        if (!found) break;
        after = row.id;
        if (err == NACRE_ERR_BAD_CONTEXT) err = row.is_whole ? use_up(db, row.id, why) : NACRE_OK;
        else if (err == NACRE_OK)
            err = row.status == NACRE_SQLITE_ACTIVE ? raise_active(db, &row, why) : raise_ended(db, &row, why);
    }
    nacre_wipe(&row, sizeof row);
    return err;
}

/* The DB-wal of the file that the copy replaced would damage it. */
static nacre_err check_pages(nacre_sqlite *db, nacre_detail *why)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db->conn, "PRAGMA integrity_check(1)", -1, &stmt, NULL);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    const unsigned char *text = code == SQLITE_ROW ? sqlite3_column_text(stmt, 0) : NULL;
    nacre_err err = NACRE_OK;
    if (text == NULL || strcmp((const char *)text, "ok") != 0)
        err =
            nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                        "%s: is damaged (%.120s); if a backup was copied over it, remove its -wal and -shm, which are "
                        "the older file's, copy the backup again and repeat this",
                        db->paths.path, text != NULL ? (const char *)text : sqlite3_errmsg(db->conn));
    (void)sqlite3_finalize(stmt);
    return err;
}

static nacre_err raise_writes(nacre_sqlite *db, uint64_t writes, nacre_detail *why)
{
    char text[96];
    if (db->writes >= writes) return NACRE_OK;
    (void)snprintf(text, sizeof text, "UPDATE meta SET writes = %llu", (unsigned long long)writes);
    const nacre_err err = nacre__sqlite_exec(db, text, why);
    if (err == NACRE_OK) db->writes = writes;
    return err;
}

/* Rows and identity first, then DB-mark: an interruption between them leaves a copy that is still refused. */
static nacre_err adopt(nacre_sqlite *db, nacre_detail *why)
{
    const uint64_t writes = db->mark.found ? db->mark.writes : 0;
    nacre_err err = check_pages(db, why);
    if (err == NACRE_OK) err = nacre__sqlite_exec(db, "BEGIN IMMEDIATE", why);
    if (err != NACRE_OK) return err;
    db->is_used = db->claims = false; /* so that nacre__sqlite_claim sets the identity */
    err = raise_writes(db, writes, why);
    if (err == NACRE_OK) err = nacre__sqlite_claim(db, why);
    if (err == NACRE_OK) err = raise_all(db, why);
    err = nacre__sqlite_end(db, err, why);
    if (err == NACRE_OK) err = nacre__sqlite_replace_mark(db, why);
    return err == NACRE_OK ? nacre__sqlite_renew(db, true, why) : err;
}

nacre_err nacre_sqlite_adopt(const char *path, const nacre_sqlite_config *config, const nacre_crypto *crypto,
                             nacre_detail *why)
{
    nacre_sqlite *db;
    nacre_err err = nacre__sqlite_open(&db, path, config, NACRE__SQLITE_TO_ADOPT, crypto, why);
    if (err != NACRE_OK) return err;
    err = adopt(db, why);
    nacre__sqlite_release(db);
    return err;
}
