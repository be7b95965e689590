/* SPDX-License-Identifier: MIT */
/* sqlite_open: opens and closes a database. */
#include "store/sqlite/sqlite_loaded.h"

#include "base/hosted/detail.h"

static nacre_err check_application(nacre_sqlite *db, nacre_detail *why)
{
    uint32_t stamp, application;
    const nacre_err err = nacre__sqlite_stamp_of_file(db, &stamp, &application, why);
    if (err != NACRE_OK || application == NACRE__SQLITE_APPLICATION) return err;
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: is not a database that nacre made", db->paths.path);
}

static nacre_err read_version(nacre_sqlite *db, nacre_detail *why)
{
    sqlite3_stmt *stmt = NULL;
    nacre_err err = NACRE_OK;
    int code = sqlite3_prepare_v2(db->conn, "SELECT schema FROM meta", -1, &stmt, NULL);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    if (code == SQLITE_ROW && sqlite3_column_int64(stmt, 0) > NACRE__SQLITE_SCHEMA_VERSION)
        err = nacre__fail(why, NACRE_ERR_UNSUPPORTED,
                          "%s: its tables have version %lld, this nacre knows up to %d; use a newer nacre",
                          db->paths.path, (long long)sqlite3_column_int64(stmt, 0), (int)NACRE__SQLITE_SCHEMA_VERSION);
    else if (code != SQLITE_ROW && code != SQLITE_DONE) err = nacre__sqlite_fail(db, code, "read its tables", why);
    (void)sqlite3_finalize(stmt);
    return err;
}

/* DB-mark was read before the database, because a writer changes the database first. */
static nacre_err judge(nacre_sqlite *db, const char *identity, bool adopt, nacre_detail *why)
{
    nacre_err err = nacre__sqlite_check_fresh(db, identity, why);
    if (adopt && err == NACRE_ERR_BAD_CONTEXT) return NACRE_OK;
    if (err != NACRE_ERR_BAD_CONTEXT || !db->read_only) return err;
    /* A server may have renewed the stamp meanwhile. */
    for (int i = 0; i < 3 && err == NACRE_ERR_BAD_CONTEXT; i++) {
        err = nacre__sqlite_mark_read(&db->mark, -1, &db->paths, why);
        if (err == NACRE_OK) err = nacre__sqlite_check_fresh(db, identity, why);
    }
    db->is_copied = err == NACRE_ERR_BAD_CONTEXT;
    return db->is_copied ? NACRE_OK : err;
}

/* Under another name another program, or an old copy, could have them too. */
static nacre_err check_files_beside(const nacre_sqlite *db, nacre_detail *why)
{
    static const char *const suffixes[] = { "-mark", "-wal", "-shm", "-journal" };
    nacre_err err = NACRE_OK;
    for (size_t i = 0; err == NACRE_OK && i < sizeof suffixes / sizeof suffixes[0]; i++)
        err = nacre__sqlite_paths_check_beside(&db->paths, suffixes[i], why);
    return err;
}

/* They would run inside of nacre's statements, or hide a table. */
static nacre_err check_schema(nacre_sqlite *db, nacre_detail *why)
{
    sqlite3_stmt *stmt = NULL;
    nacre_err err = NACRE_OK;
    int code = sqlite3_prepare_v2(db->conn, "SELECT type, name FROM sqlite_schema WHERE type IN ('trigger', 'view')",
                                  -1, &stmt, NULL);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    if (code == SQLITE_ROW)
        err = nacre__fail(
            why, NACRE_ERR_BAD_CONTEXT,
            "%s: has a %s that nacre did not make, \"%.100s\"; remove it (DROP) with the program that made it",
            db->paths.path, (const char *)sqlite3_column_text(stmt, 0), (const char *)sqlite3_column_text(stmt, 1));
    else if (code != SQLITE_DONE) err = nacre__sqlite_fail(db, code, "read its tables", why);
    (void)sqlite3_finalize(stmt);
    return err;
}

static nacre_err open_files(nacre_sqlite *db, nacre_detail *why)
{
    nacre_err err = nacre__sqlite_paths_open(&db->paths, why);
    if (err == NACRE_OK) err = check_files_beside(db, why);
    if (err == NACRE_OK && !db->read_only) err = nacre__sqlite_mark_lock(&db->mark_fd, &db->paths, why);
    if (err == NACRE_OK) err = nacre__sqlite_mark_read(&db->mark, db->mark_fd, &db->paths, why);
    if (err == NACRE_OK) err = nacre__sqlite_connect(db, false, why);
    if (err == NACRE_OK) err = nacre__sqlite_paths_check(db->paths.real, db->paths.fd, why);
    if (err == NACRE_OK) err = check_application(db, why);
    if (err == NACRE_OK) err = check_schema(db, why);
    if (err == NACRE_OK) err = read_version(db, why);
    return err == NACRE_OK ? nacre__sqlite_prepare(db, why) : err;
}

static nacre_err check_kek(nacre_sqlite *db, nacre_bytes kek, nacre_bytes proof, nacre_detail *why)
{
    if (nacre_is_absent(kek) && !db->is_encrypted) return NACRE_OK;
    if (nacre_is_absent(kek) && db->read_only) return NACRE_OK; /* listings without keys */
    if (nacre_is_absent(kek))
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                           "%s: its keys are encrypted; give the key-encryption key (--kek)", db->paths.path);
    if (!db->is_encrypted)
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                           "%s: its keys are not encrypted; open it without a key-encryption key", db->paths.path);
    const nacre_err err = nacre__sqlite_kek_set(db, kek, why);
    return err == NACRE_OK ? nacre__sqlite_kek_check(db, proof, why) : err;
}

/* From the first opening on: two copies of a database whose contexts have not sent yet would both begin at number 0. */
static nacre_err claim(nacre_sqlite *db, nacre_detail *why)
{
    if (db->is_used) return NACRE_OK;
    nacre_err err = nacre__sqlite_begin(db, why);
    if (err != NACRE_OK) return err;
    err = nacre__sqlite_claim(db, why);
    return nacre__sqlite_end(db, err, why);
}

static nacre_err open_database(nacre_sqlite *db, const nacre_sqlite_config *config, bool adopt, nacre_detail *why)
{
    char identity[NACRE__FILE_IDENTITY_TEXT];
    uint8_t proof_buf[64];
    nacre_bytes proof;
    nacre_err err = open_files(db, why);
    if (err == NACRE_OK) err = nacre__sqlite_read_meta(db, identity, &proof, proof_buf, why);
    if (err == NACRE_OK) err = judge(db, identity, adopt, why);
    if (err == NACRE_OK) err = check_kek(db, config->kek, proof, why);
    if (err == NACRE_OK && !db->read_only) err = nacre__sqlite_use_log(db, why);
    if (err != NACRE_OK || db->read_only || adopt) return err;
    err = nacre__sqlite_start_mark(db, why);
    if (err == NACRE_OK) err = nacre__sqlite_renew(db, false, why);
    if (err == NACRE_OK) err = nacre__sqlite_paths_open_log(&db->paths, why);
    return err == NACRE_OK ? claim(db, why) : err;
}

nacre_err nacre__sqlite_open(nacre_sqlite **out, const char *path, const nacre_sqlite_config *config,
                             nacre__sqlite_use_as use, const nacre_crypto *crypto, nacre_detail *why)
{
    const nacre_sqlite_config defaults = nacre_sqlite_config_default();
    nacre_sqlite *db = NULL;
    if (config == NULL) config = &defaults;
    nacre_err err = nacre__sqlite_check_config(config, path, why);
    if (err == NACRE_OK) err = nacre__sqlite_allocate(&db, path, config, use, crypto, why);
    if (err != NACRE_OK) return err;
    err = open_database(db, config, use == NACRE__SQLITE_TO_ADOPT, why);
    if (err != NACRE_OK) nacre__sqlite_release(db);
    else *out = db;
    return err;
}

nacre_err nacre_sqlite_open(nacre_sqlite **out, const char *path, const nacre_sqlite_config *config,
                            const nacre_crypto *crypto, nacre_detail *why)
{
    return nacre__sqlite_open(out, path, config, NACRE__SQLITE_AS_CONFIGURED, crypto, why);
}

nacre_err nacre_sqlite_close(nacre_sqlite *db, nacre_detail *why)
{
    if (db == NULL) return NACRE_OK;
    nacre_err err = NACRE_OK;
    if (!db->read_only) {
        err = nacre__sqlite_enter(db, true, why);
        if (err == NACRE_OK) {
            err = nacre__sqlite_save_all(db, why);
            const nacre_err stamped = nacre__sqlite_renew(db, true, err == NACRE_OK ? why : NULL);
            if (err == NACRE_OK) err = stamped;
            nacre__sqlite_leave(db);
        }
    }
    nacre__sqlite_release(db);
    return err;
}
