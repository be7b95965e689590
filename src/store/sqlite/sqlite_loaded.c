/* SPDX-License-Identifier: MIT */
/* sqlite_loaded: contexts in memory. Each has one piece of memory, for itself, its keys, window and ID Context. Pieces of one
 * size are parts of a slab, which a fork wipes. */
#include "store/sqlite/sqlite_loaded.h"
#include "store/sqlite/sqlite_serve.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/wipe_on_fork.h"

enum { SLAB_SIZE = 64 * 1024, LINE = 64 };

struct nacre__sqlite_slab {
    nacre__sqlite_slab *next;
    uint8_t *memory;
    size_t memory_size, piece, num, num_used;
};

static size_t round_up(size_t size, size_t align)
{
    return (size + align - 1) / align * align;
}

/* ---- By id ---- */

static size_t bucket_of(const nacre_sqlite *db, int64_t id)
{
    const uint64_t hash = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(hash >> 32) & (db->cap_loaded - 1);
}

nacre__sqlite_loaded *nacre__sqlite_loaded_find(const nacre_sqlite *db, int64_t id)
{
    if (db->num_loaded == 0) return NULL;
    size_t at = bucket_of(db, id);
    while (db->loaded[at] != NULL && db->loaded[at]->id != id) at = (at + 1) & (db->cap_loaded - 1);
    return db->loaded[at];
}

static void put(nacre_sqlite *db, nacre__sqlite_loaded *loaded)
{
    size_t at = bucket_of(db, loaded->id);
    while (db->loaded[at] != NULL) at = (at + 1) & (db->cap_loaded - 1);
    db->loaded[at] = loaded;
}

static bool grow(nacre_sqlite *db)
{
    nacre__sqlite_loaded **old = db->loaded;
    const size_t old_cap = db->cap_loaded;
    if (4 * (db->num_loaded + 1) <= 3 * old_cap) return true;
    const size_t cap = old_cap != 0 ? 2 * old_cap : 16;
    nacre__sqlite_loaded **larger = calloc(cap, sizeof(nacre__sqlite_loaded *));
    if (larger == NULL) return false;
    db->loaded = larger;
    db->cap_loaded = cap;
    for (size_t i = 0; i < old_cap; i++)
        if (old[i] != NULL) put(db, old[i]);
    free(old);
    return true;
}

nacre_err nacre__sqlite_loaded_put(nacre_sqlite *db, nacre__sqlite_loaded *loaded, nacre_detail *why)
{
    if (!grow(db)) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", db->paths.path);
    put(db, loaded);
    db->num_loaded++;
    return NACRE_OK;
}

/* Later entries move up, so that a search from their bucket finds them. */
static void remove_at(nacre_sqlite *db, size_t at)
{
    const size_t mask = db->cap_loaded - 1;
    db->loaded[at] = NULL;
    db->num_loaded--;
    for (size_t i = (at + 1) & mask; db->loaded[i] != NULL; i = (i + 1) & mask) {
        const size_t home = bucket_of(db, db->loaded[i]->id);
        if (((i - home) & mask) < ((i - at) & mask)) continue;
        db->loaded[at] = db->loaded[i];
        db->loaded[i] = NULL;
        at = i;
    }
}

static void remove_from_table(nacre_sqlite *db, const nacre__sqlite_loaded *loaded)
{
    for (size_t at = bucket_of(db, loaded->id); db->cap_loaded > 0 && db->loaded[at] != NULL;
         at = (at + 1) & (db->cap_loaded - 1)) {
        if (db->loaded[at] != loaded) continue;
        remove_at(db, at);
        return;
    }
}

nacre__sqlite_loaded *nacre__sqlite_loaded_next(const nacre_sqlite *db, size_t *cursor)
{
    while (*cursor < db->cap_loaded) {
        nacre__sqlite_loaded *loaded = db->loaded[(*cursor)++];
        if (loaded != NULL) return loaded;
    }
    return NULL;
}

/* ---- Memory ---- */

static nacre__sqlite_slab *new_slab(nacre_sqlite *db, size_t piece)
{
    nacre__sqlite_slab *slab = calloc(1, sizeof *slab);
    if (slab == NULL) return NULL;
    slab->piece = piece;
    slab->memory_size = piece > SLAB_SIZE ? piece : SLAB_SIZE;
    slab->num = slab->memory_size / piece;
    slab->memory = nacre__wipe_on_fork_map(slab->memory_size);
    if (slab->memory == NULL) {
        free(slab);
        return NULL;
    }
    slab->next = db->slabs;
    db->slabs = slab;
    return slab;
}

static nacre__sqlite_slab *slab_for(nacre_sqlite *db, size_t piece)
{
    for (nacre__sqlite_slab *slab = db->slabs; slab != NULL; slab = slab->next)
        if (slab->piece == piece && slab->num_used < slab->num) return slab;
    return new_slab(db, piece);
}

nacre__sqlite_loaded *nacre__sqlite_loaded_new(nacre_sqlite *db, nacre__sqlite_memory *memory)
{
    const size_t align = memory->keys_align > LINE ? memory->keys_align : LINE;
    const size_t keys_at = round_up(sizeof(nacre__sqlite_loaded), memory->keys_align);
    const size_t words_at = round_up(keys_at + memory->keys_size, sizeof(uint64_t));
    const size_t id_at = words_at + memory->words * sizeof(uint64_t);
    const size_t name_at = id_at + memory->id_context_len;
    const size_t piece = round_up(name_at + memory->name_size, align);
    nacre__sqlite_slab *slab = slab_for(db, piece);
    if (slab == NULL) return NULL;
    uint8_t *at = slab->memory;
    while (((nacre__sqlite_loaded *)(void *)at)->slab != NULL) at += piece;
    slab->num_used++;
    /* a full slab goes to the end, so that slab_for finds free memory first */
    if (slab->num_used == slab->num && slab->next != NULL && db->slabs == slab) {
        nacre__sqlite_slab *last = slab;
        while (last->next != NULL) last = last->next;
        db->slabs = slab->next;
        last->next = slab;
        slab->next = NULL;
    }
    nacre__sqlite_loaded *loaded = (nacre__sqlite_loaded *)(void *)at;
    *loaded = (nacre__sqlite_loaded){ .db = db, .slab = slab };
    memory->keys = at + keys_at;
    memory->window_words = memory->words > 0 ? (uint64_t *)(void *)(at + words_at) : NULL;
    memory->id_context = at + id_at;
    memory->name = (char *)at + name_at;
    return loaded;
}

size_t nacre__sqlite_size(const nacre_context *ctx)
{
    return ((const nacre__sqlite_loaded *)ctx)->slab->piece;
}

void nacre__sqlite_loaded_free(nacre__sqlite_loaded *loaded)
{
    nacre__sqlite_slab *slab = loaded->slab;
    if (slab == NULL) return;
    remove_from_table(loaded->db, loaded);
    nacre_context_wipe(&loaded->ctx);
    nacre_wipe(loaded, slab->piece);
    slab->num_used--;
}

void nacre__sqlite_loaded_free_all(nacre_sqlite *db)
{
    for (nacre__sqlite_slab *slab = db->slabs, *next; slab != NULL; slab = next) {
        next = slab->next;
        for (size_t i = 0; db->owner == getpid() && i < slab->num; i++) {
            nacre__sqlite_loaded *loaded = (nacre__sqlite_loaded *)(void *)(slab->memory + i * slab->piece);
            if (loaded->slab != NULL) nacre_context_wipe(&loaded->ctx);
        }
        nacre__wipe_on_fork_unmap(slab->memory, slab->memory_size);
        free(slab);
    }
    free(db->loaded);
    db->slabs = NULL;
    db->loaded = NULL;
    db->cap_loaded = db->num_loaded = 0;
}
