/* SPDX-License-Identifier: MIT */
/* sqlite_connection: the connection to SQLite, its statements and its errors. */
#include "store/sqlite/sqlite_internal.h"

#include <errno.h>
#include <string.h>

#include "base/hosted/detail.h"
#include "store/advice.h"

static const char *const texts[NACRE__SQLITE_NUM_STATEMENTS] = {
#define NACRE__SQLITE_TEXT(name, text) text,
    NACRE__SQLITE_STATEMENTS(NACRE__SQLITE_TEXT)
#undef NACRE__SQLITE_TEXT
};

/* ---- Errors ---- */

static nacre_err err_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_NOMEM: return NACRE_ERR_NO_MEMORY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_SCHEMA:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
    case SQLITE_ERROR: return NACRE_ERR_BAD_CONTEXT; /* a table or column is missing */
    default: return NACRE_ERR_FILE;
    }
}

const char *nacre__sqlite_advice(int number)
{
    if (number != EACCES && number != EPERM) return nacre__store_advice(number);
    return "; this user must be able to write it, and to make files in its directory";
}

static const char *advice(const nacre_sqlite *db, int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL: return nacre__sqlite_advice(ENOSPC);
    case SQLITE_BUSY: return "; another program keeps it locked: end that program";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return "; restore a backup, and run nacre fleet adopt";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_IOERR: return db->conn != NULL ? nacre__sqlite_advice(sqlite3_system_errno(db->conn)) : "";
    default: return "";
    }
}

nacre_err nacre__sqlite_fail(const nacre_sqlite *db, int code, const char *doing, nacre_detail *why)
{
    const char *text = db->conn != NULL && sqlite3_extended_errcode(db->conn) == code ? sqlite3_errmsg(db->conn)
                                                                                      : sqlite3_errstr(code);
    return nacre__fail(why, err_of(code), "%.200s: cannot %s: %.120s%s", db->paths.path, doing, text, advice(db, code));
}

/* ---- Opening ---- */

static int open_one(sqlite3 **conn, const nacre_sqlite *db)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    const int code = sqlite3_open_v2(db->paths.real, conn, flags, NULL);
    if (code != SQLITE_OK) return code;
    (void)sqlite3_extended_result_codes(*conn, 1);
    (void)sqlite3_busy_timeout(*conn, NACRE__SQLITE_BUSY_MS);
    (void)sqlite3_wal_autocheckpoint(*conn, 0);
    /* DB-wal moves into the database in nacre__sqlite_renew only, which gives it a new stamp. */
    (void)sqlite3_db_config(*conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_db_config(*conn, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(*conn, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return SQLITE_OK;
}

static nacre_err set_up(nacre_sqlite *db, nacre_detail *why)
{
    return nacre__sqlite_exec(db,
                              "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; "
                              "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON",
                              why);
}

/* Called after each commit of this connection, with the number of frames in DB-wal. */
static int on_commit(void *self, sqlite3 *conn, const char *name, int num_frames)
{
    nacre_sqlite *db = self;
    (void)conn, (void)name;
    db->num_frames = num_frames;
    return SQLITE_OK;
}

nacre_err nacre__sqlite_connect(nacre_sqlite *db, bool create, nacre_detail *why)
{
    const int code = open_one(&db->conn, db);
    if (code != SQLITE_OK) return nacre__sqlite_fail(db, code, "open", why);
    nacre_err err = set_up(db, why);
    if (err == NACRE_OK && create)
        err = nacre__sqlite_exec(db, "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL", why);
    if (err == NACRE_OK && db->read_only) err = nacre__sqlite_exec(db, "PRAGMA query_only = ON", why);
    (void)sqlite3_wal_hook(db->conn, on_commit, db);
    return err;
}

nacre_err nacre__sqlite_prepare(nacre_sqlite *db, nacre_detail *why)
{
    for (int i = 0; i < NACRE__SQLITE_NUM_STATEMENTS; i++) {
        const int code =
            sqlite3_prepare_v3(db->conn, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &db->statements[i], NULL);
        if (code != SQLITE_OK) return nacre__sqlite_fail(db, code, "read its tables", why);
    }
    return NACRE_OK;
}

void nacre__sqlite_disconnect(nacre_sqlite *db)
{
    for (int i = 0; i < NACRE__SQLITE_NUM_STATEMENTS; i++) {
        (void)sqlite3_finalize(db->statements[i]);
        db->statements[i] = NULL;
    }
    (void)sqlite3_close(db->holder);
    (void)sqlite3_close(db->conn);
    db->conn = db->holder = NULL;
}

/* ---- DB-wal ---- */

nacre_err nacre__sqlite_use_log(nacre_sqlite *db, nacre_detail *why)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db->conn, "PRAGMA journal_mode = WAL", -1, &stmt, NULL);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    const unsigned char *mode = code == SQLITE_ROW ? sqlite3_column_text(stmt, 0) : NULL;
    const bool is_on = mode != NULL && strcmp((const char *)mode, "wal") == 0;
    nacre_err err = NACRE_OK;
    if (code != SQLITE_ROW) err = nacre__sqlite_fail(db, code, "use its log", why);
    else if (!is_on)
        err = nacre__fail(why, NACRE_ERR_FILE, "%s: is not in WAL mode, and cannot be put into it", db->paths.path);
    (void)sqlite3_finalize(stmt);
    return err;
}

nacre_err nacre__sqlite_hold_log(nacre_sqlite *db, nacre_detail *why)
{
    int code = SQLITE_OK;
    if (db->holder == NULL) code = open_one(&db->holder, db);
    if (code == SQLITE_OK) code = sqlite3_exec(db->holder, "BEGIN; SELECT one FROM meta", NULL, NULL, NULL);
    if (code == SQLITE_OK) return NACRE_OK;
    const nacre_err err = nacre__sqlite_fail(db, code, "hold its log", why);
    (void)sqlite3_close(db->holder);
    db->holder = NULL;
    return err;
}

void nacre__sqlite_let_log(nacre_sqlite *db)
{
    if (db->holder != NULL && sqlite3_get_autocommit(db->holder) == 0)
        (void)sqlite3_exec(db->holder, "COMMIT", NULL, NULL, NULL);
}

nacre_err nacre__sqlite_exec(nacre_sqlite *db, const char *text, nacre_detail *why)
{
    const int code = sqlite3_exec(db->conn, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? NACRE_OK : nacre__sqlite_fail(db, code, "use it", why);
}

/* ---- Statements ---- */

sqlite3_stmt *nacre__sqlite_use(nacre_sqlite *db, nacre__sqlite_statement which)
{
    (void)sqlite3_reset(db->statements[which]);
    (void)sqlite3_clear_bindings(db->statements[which]);
    return db->statements[which];
}

void nacre__sqlite_reset(nacre_sqlite *db, nacre__sqlite_statement which)
{
    (void)sqlite3_reset(db->statements[which]);
    (void)sqlite3_clear_bindings(db->statements[which]);
}

static const char *doing(const nacre_sqlite *db, nacre__sqlite_statement which)
{
    const bool writes =
        which == NACRE__SQLITE_BEGIN || which == NACRE__SQLITE_COMMIT; /* though SQLite calls them read-only */
    return !writes && sqlite3_stmt_readonly(db->statements[which]) ? "read" : "write";
}

nacre_err nacre__sqlite_step(nacre_sqlite *db, nacre__sqlite_statement which, bool *row, nacre_detail *why)
{
    const int code = sqlite3_step(db->statements[which]);
    *row = code == SQLITE_ROW;
    if (code == SQLITE_ROW) return NACRE_OK;
    const nacre_err err = code == SQLITE_DONE ? NACRE_OK : nacre__sqlite_fail(db, code, doing(db, which), why);
    nacre__sqlite_reset(db, which);
    return err;
}

nacre_err nacre__sqlite_run(nacre_sqlite *db, nacre__sqlite_statement which, int *num_changed, nacre_detail *why)
{
    bool row;
    const nacre_err err = nacre__sqlite_step(db, which, &row, why);
    if (row) nacre__sqlite_reset(db, which);
    if (num_changed != NULL) *num_changed = err == NACRE_OK ? sqlite3_changes(db->conn) : 0;
    return err;
}

/* ---- The header ---- */

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Through SQLite's own descriptor: closing another one would drop its locks. */
nacre_err nacre__sqlite_stamp_of_file(nacre_sqlite *db, uint32_t *stamp, uint32_t *application, nacre_detail *why)
{
    enum { HEADER = 100, USER_VERSION_AT = 60, APPLICATION_AT = 68 };
    uint8_t header[HEADER];
    sqlite3_file *file = NULL;
    int code = sqlite3_file_control(db->conn, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (code == SQLITE_OK && file != NULL && file->pMethods != NULL)
        code = file->pMethods->xRead(file, header, HEADER, 0);
    else code = SQLITE_CANTOPEN;
    if (code == SQLITE_IOERR_SHORT_READ || (code == SQLITE_OK && memcmp(header, "SQLite format 3", 16) != 0))
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: is not an SQLite database", db->paths.path);
    if (code != SQLITE_OK) return nacre__sqlite_fail(db, code, "read its header", why);
    *stamp = big_endian(header + USER_VERSION_AT);
    if (application != NULL) *application = big_endian(header + APPLICATION_AT);
    return NACRE_OK;
}
