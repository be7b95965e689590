/* SPDX-License-Identifier: MIT */
/* sqlite_create: makes an empty database, whole or not at all. */
#include "store/sqlite/sqlite_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "nacre_sqlite_schema.h"
#include "store/file/files.h"
#include "store/random.h"

static nacre_err insert_meta(nacre_sqlite *db, bool encrypted, nacre_detail *why)
{
    uint8_t proof[64];
    size_t proof_len = 0;
    if (!nacre__store_random(db->database, sizeof db->database) ||
        !nacre__store_random(db->hash_key, sizeof db->hash_key) ||
        !nacre__store_random(db->fingerprint_key, sizeof db->fingerprint_key))
        return nacre__fail(why, NACRE_ERR_CRYPTO, "%s: the system gives no random bytes", db->paths.path);
    nacre_err err = encrypted ? nacre__sqlite_kek_proof(db, proof, &proof_len, why) : NACRE_OK;
    if (err != NACRE_OK) return err;
    sqlite3_stmt *stmt = nacre__sqlite_use(db, NACRE__SQLITE_META_INSERT);
    (void)sqlite3_bind_int(stmt, 1, NACRE__SQLITE_SCHEMA_VERSION);
    (void)sqlite3_bind_blob(stmt, 2, db->database, sizeof db->database, SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 3, db->hash_key, sizeof db->hash_key, SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 4, db->fingerprint_key, sizeof db->fingerprint_key, SQLITE_STATIC);
    if (encrypted) (void)sqlite3_bind_blob(stmt, 5, proof, (int)proof_len, SQLITE_STATIC);
    err = nacre__sqlite_run(db, NACRE__SQLITE_META_INSERT, NULL, why);
    if (err != NACRE_OK) return err;
    (void)nacre__sqlite_use(db, NACRE__SQLITE_NODE_INSERT);
    return nacre__sqlite_run(db, NACRE__SQLITE_NODE_INSERT, NULL, why);
}

/* The row of meta comes last: without it the database is incomplete, and refused. */
static nacre_err fill(nacre_sqlite *db, const nacre_sqlite_config *config, nacre_detail *why)
{
    char text[96];
    const bool encrypted = !nacre_is_absent(config->kek);
    nacre_err err = nacre__sqlite_connect(db, true, why);
    if (err == NACRE_OK && encrypted) err = nacre__sqlite_kek_set(db, config->kek, why);
    (void)snprintf(text, sizeof text, "BEGIN IMMEDIATE; PRAGMA application_id = %d; PRAGMA user_version = 1",
                   (int)NACRE__SQLITE_APPLICATION);
    if (err == NACRE_OK) err = nacre__sqlite_exec(db, text, why);
    if (err == NACRE_OK) err = nacre__sqlite_exec(db, NACRE__SQLITE_SCHEMA, why);
    if (err == NACRE_OK) err = nacre__sqlite_prepare(db, why);
    if (err == NACRE_OK) err = insert_meta(db, encrypted, why);
    if (err == NACRE_OK) err = nacre__sqlite_exec(db, "COMMIT", why);
    if (err == NACRE_OK) err = nacre__sqlite_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", why);
    if (err == NACRE_OK) err = nacre__sqlite_start_mark(db, why);
    if (err == NACRE_OK) err = nacre__sqlite_renew(db, true, why);
    return err == NACRE_OK ? nacre__dirfd_sync_parent(db->paths.real, why) : err;
}

static void name_beside(char *name, size_t size, const nacre_sqlite *db, const char *suffix)
{
    (void)snprintf(name, size, "%s%s", db->paths.real, suffix);
}

/* SQLite would take the DB-wal of an earlier database for this one's. */
static nacre_err check_absent(const nacre_sqlite *db, nacre_detail *why)
{
    static const char *const suffixes[] = { "", "-wal", "-journal" };
    char name[4200];
    struct stat st;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        name_beside(name, sizeof name, db, suffixes[i]);
        if (lstat(name, &st) == 0)
            return nacre__fail(why, NACRE_ERR_FILE, "%s: is there already%s", name,
                               i == 0 ? "; give a name that is free"
                                      : ", of another database; remove it if that is gone");
    }
    return NACRE_OK;
}

static void remove_files(const nacre_sqlite *db)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", "-mark" };
    char name[4200];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        name_beside(name, sizeof name, db, suffixes[i]);
        (void)unlink(name);
    }
}

static nacre_err make_file(nacre_sqlite *db, nacre_detail *why)
{
    const int fd = open(db->paths.real, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot make: %s%s", db->paths.path, strerror(errno),
                           nacre__sqlite_advice(errno));
    close(fd);
    return nacre__sqlite_paths_open(&db->paths, why);
}

nacre_err nacre_sqlite_create(const char *path, const nacre_sqlite_config *config, const nacre_crypto *crypto,
                              nacre_detail *why)
{
    const nacre_sqlite_config defaults = nacre_sqlite_config_default();
    nacre_sqlite *db = NULL;
    if (config == NULL) config = &defaults;
    nacre_err err = nacre__sqlite_check_config(config, path, why);
    if (err == NACRE_OK) err = nacre__sqlite_allocate(&db, path, config, NACRE__SQLITE_AS_CONFIGURED, crypto, why);
    if (err != NACRE_OK) return err;
    db->read_only = false;
    err = check_absent(db, why);
    if (err == NACRE_OK) err = nacre__sqlite_paths_check_beside(&db->paths, "-mark", why);
    if (err == NACRE_OK) err = nacre__sqlite_mark_lock(&db->mark_fd, &db->paths, why);
    if (err == NACRE_OK) err = check_absent(db, why); /* a concurrent call may have made it */
    if (err == NACRE_OK) {
        err = make_file(db, why);
        if (err == NACRE_OK) err = fill(db, config, why);
        if (err != NACRE_OK) {
            nacre__sqlite_disconnect(db);
            remove_files(db);
        }
    }
    nacre__sqlite_release(db);
    return err;
}
