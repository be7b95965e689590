/* SPDX-License-Identifier: MIT */
/* sqlite_loaded: contexts that were made ready to use, in a table by id, and their store. */
#ifndef NACRE_STORE_SQLITE_LOADED_H
#define NACRE_STORE_SQLITE_LOADED_H

#include "store/sqlite/sqlite_internal.h"

/* ---- Loaded contexts: sqlite_loaded.c ---- */
struct nacre__sqlite_loaded {
    nacre_context ctx; /* first; in memory that a fork wipes */
    nacre_sqlite *db;  /* NULL: free, or wiped */
    nacre__sqlite_slab *slab;
    int64_t id;
    uint64_t floor;    /* the stored next number never goes below it */
    uint64_t next;     /* stored, unless … */
    bool is_uncertain; /* … a write failed */
    bool is_new;       /* loaded by the present call */
    uint16_t window;
    const char *claims[2]; /* its name, in its memory, and NULL; or both NULL */
};
nacre__sqlite_loaded *nacre__sqlite_loaded_find(const nacre_sqlite *db, int64_t id); /* NULL: not loaded */
/* nacre__sqlite_loaded_new gives memory for a context with keys, window and ID Context, of the sizes in `memory`, and sets `keys`,
 * `window_words` and `id_context`. NULL: out of memory. */
typedef struct nacre__sqlite_memory {
    size_t keys_size, keys_align, words, id_context_len, name_size; /* of a name with its final 0 */
    uint8_t *keys, *id_context;
    char *name;
    uint64_t *window_words;
} nacre__sqlite_memory;
nacre__sqlite_loaded *nacre__sqlite_loaded_new(nacre_sqlite *db, nacre__sqlite_memory *memory);
NACRE_MUST_USE nacre_err nacre__sqlite_loaded_put(nacre_sqlite *db, nacre__sqlite_loaded *loaded, nacre_detail *why);
void nacre__sqlite_loaded_free(nacre__sqlite_loaded *loaded); /* wipes; removes it from the table */
void nacre__sqlite_loaded_free_all(nacre_sqlite *db);
nacre__sqlite_loaded *nacre__sqlite_loaded_next(const nacre_sqlite *db,
                                                size_t *cursor); /* in no order; NULL: no more */

/* ---- The store: sqlite_store.c ---- */
/* Saves the states of all loaded contexts, or of these. */
NACRE_MUST_USE nacre_err nacre__sqlite_save_all(nacre_sqlite *db, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__sqlite_save_these(nacre_sqlite *db, nacre_context *const *contexts, size_t num,
                                                  nacre_detail *why);

#endif
