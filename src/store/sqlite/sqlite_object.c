/* SPDX-License-Identifier: MIT */
/* sqlite_object: the object of a database, and its configuration. */
#include "store/sqlite/sqlite_loaded.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config_size.h"
#include "base/hosted/detail.h"

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

nacre_err nacre__sqlite_check_config(const nacre_sqlite_config *config, const char *path, nacre_detail *why)
{
    if (!nacre__config_size_fits(config->size, sizeof *config))
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "%s: its configuration has %zu bytes, not %zu: compile the program anew", path, config->size,
                           sizeof *config);
    const uint16_t limit = config->max_chunk != 0 ? config->max_chunk : MAX_CHUNK;
    if (!nacre_is_absent(config->kek) && config->kek.len != NACRE_SQLITE_KEK)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "%s: a key-encryption key has %d bytes, not %zu", path,
                           (int)NACRE_SQLITE_KEK, config->kek.len);
    if (config->first_chunk > limit || limit > MAX_CHUNK)
        return nacre__fail(
            why, NACRE_ERR_BAD_ARGUMENT,
            "%s: first_chunk is %u and max_chunk %u: both are at most %d, and first_chunk at most max_chunk", path,
            (unsigned)config->first_chunk, (unsigned)limit, (int)MAX_CHUNK);
    return NACRE_OK;
}

nacre_err nacre__sqlite_allocate(nacre_sqlite **out, const char *path, const nacre_sqlite_config *config,
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
    nacre__sqlite_kek_free(db);
    nacre__sqlite_paths_free(&db->paths); /* after SQLite's descriptor */
    if (db->mark_fd >= 0) close(db->mark_fd);
    free(path);
    nacre_wipe(db, sizeof *db);
    free(db);
}
