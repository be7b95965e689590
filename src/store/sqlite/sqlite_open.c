/* SPDX-License-Identifier: MIT */
/* sqlite_open: makes, opens and closes a database. */
#include "store/sqlite/sqlite_loaded.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config_size.h"
#include "base/hosted/detail.h"
#include "nacre_sqlite_schema.h"
#include "store/advice.h"
#include "store/file/files.h"
#include "store/random.h"

enum { MAX_CHUNK = 10000 };

nacre_sqlite_config nacre_sqlite_config_default(void)
{
    return (nacre_sqlite_config){ .size = sizeof(nacre_sqlite_config) };
}

bool nacre_sqlite_is_built(void)
{
    return true;
}

const char *nacre_sqlite_path(const nacre_sqlite *db)
{
    return db->paths.path;
}

/* ---- The object ---- */

static nacre_err check_config(const nacre_sqlite_config *config, const char *path, nacre_detail *why)
{
    if (!nacre__config_size_fits(config->size, sizeof *config))
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "%s: its configuration has %zu bytes, not %zu: compile the program anew", path, config->size,
                           sizeof *config);
    const uint16_t limit = config->max_chunk != 0 ? config->max_chunk : MAX_CHUNK;
    if (!nacre_is_absent(config->kek) && config->kek.len != NACRE_SQLITE_KEK)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "%s: a key-encryption key has %d bytes", path,
                           (int)NACRE_SQLITE_KEK);
    if (config->first_chunk > limit || limit > MAX_CHUNK)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "%s: chunks of %u, and at most %u: both are at most %d", path,
                           (unsigned)config->first_chunk, (unsigned)limit, (int)MAX_CHUNK);
    return NACRE_OK;
}

static nacre_err allocate(nacre_sqlite **out, const char *path, const nacre_sqlite_config *config,
                          nacre__sqlite_use_as use, const nacre_crypto *crypto, nacre_detail *why)
{
    nacre_sqlite *db = calloc(1, sizeof *db);
    char *copy = strdup(path);
    if (db == NULL || copy == NULL || pthread_mutex_init(&db->lock, NULL) != 0) {
        free(copy);
        free(db);
        (void)nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", path);
        return NACRE_ERR_NO_MEMORY;
    }
    db->owner = getpid();
    db->crypto = crypto;
    db->mark_fd = -1;
    db->read_only = use == NACRE__SQLITE_AS_CONFIGURED ? config->read_only : use == NACRE__SQLITE_TO_CHECK;
    db->first_chunk = config->first_chunk;
    db->max_chunk = config->max_chunk;
    const nacre_err err = nacre__sqlite_paths_find(&db->paths, copy, why);
    db->paths.path = copy;
    if (err != NACRE_OK) nacre__sqlite_release(db);
    else *out = db;
    return err;
}

/* Frees everything without writing. A child of fork must not touch SQLite's connection: its memory stays. */
void nacre__sqlite_release(nacre_sqlite *db)
{
    char *path = (char *)(uintptr_t)db->paths.path;
    nacre__sqlite_loaded_free_all(db);
    if (db->owner == getpid()) {
        nacre__sqlite_disconnect(db);
        (void)pthread_mutex_destroy(&db->lock);
    }
    for (int i = 0; i < 2; i++) {
        if (db->kek[i] == NULL) continue;
        db->crypto->ops->key_release(nacre_aead_by_number(3), db->kek[i], db->kek_size);
        free(db->kek[i]);
    }
    nacre__sqlite_paths_free(&db->paths); /* after SQLite's descriptor */
    if (db->mark_fd >= 0) close(db->mark_fd);
    free(path);
    nacre_wipe(db, sizeof *db);
    free(db);
}

/* ---- Opening ---- */

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
    db->is_stale = err == NACRE_ERR_BAD_CONTEXT;
    return db->is_stale ? NACRE_OK : err;
}

static nacre_err open_files(nacre_sqlite *db, nacre_detail *why)
{
    nacre_err err = nacre__sqlite_paths_open(&db->paths, why);
    if (err == NACRE_OK && !db->read_only) err = nacre__sqlite_mark_lock(&db->mark_fd, &db->paths, why);
    if (err == NACRE_OK) err = nacre__sqlite_mark_read(&db->mark, db->mark_fd, &db->paths, why);
    if (err == NACRE_OK) err = nacre__sqlite_connect(db, false, why);
    if (err == NACRE_OK) err = nacre__sqlite_paths_check(db->paths.real, db->paths.fd, why);
    if (err == NACRE_OK) err = check_application(db, why);
    if (err == NACRE_OK) err = read_version(db, why);
    return err == NACRE_OK ? nacre__sqlite_prepare(db, why) : err;
}

/* From here on DB-mark is this database's, with the stamp of its file. */
static nacre_err start_mark(nacre_sqlite *db, nacre_detail *why)
{
    uint32_t stamp;
    const bool is_same = db->mark.found && memcmp(db->mark.database, db->database, sizeof db->database) == 0;
    nacre_err err = nacre__sqlite_stamp_of_file(db, &stamp, NULL, why);
    if (err != NACRE_OK) return err;
    for (int i = 0; is_same && i < NACRE__SQLITE_STAMPS; i++)
        if (db->mark.stamps[i] == stamp && db->mark.writes <= db->writes) return NACRE_OK;
    nacre__sqlite_mark mark = { .serial = db->mark.serial, .stamps = { stamp } };
    memcpy(mark.database, db->database, sizeof mark.database);
    err = nacre__sqlite_mark_count(&mark, db->writes, db->mark_fd, &db->paths, why);
    if (err == NACRE_OK) err = nacre__sqlite_mark_put(&mark, db->mark_fd, &db->paths, why);
    if (err == NACRE_OK) db->mark = mark;
    return err;
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
    err = start_mark(db, why);
    if (err == NACRE_OK) err = nacre__sqlite_renew(db, false, why);
    return err == NACRE_OK ? nacre__sqlite_paths_open_log(&db->paths, why) : err;
}

nacre_err nacre__sqlite_open(nacre_sqlite **out, const char *path, const nacre_sqlite_config *config,
                             nacre__sqlite_use_as use, const nacre_crypto *crypto, nacre_detail *why)
{
    const nacre_sqlite_config defaults = nacre_sqlite_config_default();
    nacre_sqlite *db = NULL;
    if (config == NULL) config = &defaults;
    nacre_err err = check_config(config, path, why);
    if (err == NACRE_OK) err = allocate(&db, path, config, use, crypto, why);
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

/* ---- Making ---- */

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
    if (err == NACRE_OK) err = start_mark(db, why);
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
                               i == 0 ? "" : ", of another database; remove it if that is gone");
    }
    return NACRE_OK;
}

static void take_away(const nacre_sqlite *db)
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
                           nacre__store_advice(errno));
    close(fd);
    return nacre__sqlite_paths_open(&db->paths, why);
}

nacre_err nacre_sqlite_create(const char *path, const nacre_sqlite_config *config, const nacre_crypto *crypto,
                              nacre_detail *why)
{
    const nacre_sqlite_config defaults = nacre_sqlite_config_default();
    nacre_sqlite *db = NULL;
    if (config == NULL) config = &defaults;
    nacre_err err = check_config(config, path, why);
    if (err == NACRE_OK) err = allocate(&db, path, config, NACRE__SQLITE_AS_CONFIGURED, crypto, why);
    if (err != NACRE_OK) return err;
    db->read_only = false;
    err = check_absent(db, why);
    if (err == NACRE_OK) err = nacre__sqlite_mark_lock(&db->mark_fd, &db->paths, why);
    if (err == NACRE_OK) err = check_absent(db, why); /* a concurrent call may have made it */
    if (err == NACRE_OK) {
        err = make_file(db, why);
        if (err == NACRE_OK) err = fill(db, config, why);
        if (err != NACRE_OK) {
            nacre__sqlite_disconnect(db);
            take_away(db);
        }
    }
    nacre__sqlite_release(db);
    return err;
}
