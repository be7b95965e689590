/* SPDX-License-Identifier: MIT */
/* pack_internal: what the files of the pack share: the file, its segments in memory, and how state gets written. */
#ifndef NACRE_STORE_PACK_INTERNAL_H
#define NACRE_STORE_PACK_INTERNAL_H

#include "store/pack/pack_format.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

/* ---- The file: pack_file.c ---- */
typedef struct nacre__pack_file {
    int fd; /* -1: none */
    const char *path;
    int dir_fd; /* of a locked one: where its name is, whatever the working directory becomes; -1: none */
} nacre__pack_file;
/* nacre__pack_file_open: NACRE_OK; NACRE_ERR_FILE; NACRE_ERR_LOCKED when it is to be locked. `file->path` is `path`. */
NACRE_MUST_USE nacre_err nacre__pack_file_open(nacre__pack_file *file, const char *path, bool lock, nacre_detail *why);
void nacre__pack_file_close(nacre__pack_file *file);
NACRE_MUST_USE nacre_err nacre__pack_file_size(uint64_t *size, const nacre__pack_file *file, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_get(const nacre__pack_file *file, uint8_t *to, uint64_t at, size_t len,
                                         nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_put(const nacre__pack_file *file, const uint8_t *from, uint64_t at, size_t len,
                                         nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_sync(const nacre__pack_file *file, nacre_detail *why);

/* ---- What the file says: pack_map.c ---- */
typedef struct nacre__pack_map {
    nacre__pack_id id;
    nacre__extent extent;
    unsigned side; /* which copy of the extent is current */
    bool damaged;  /* the other copy is to be written anew */
} nacre__pack_map;
NACRE_MUST_USE nacre_err nacre__pack_map_read(nacre__pack_map *map, const nacre__pack_file *file, nacre_detail *why);

/* A page of states, in two copies. The durable one is `sure` when this process wrote and synced it, or when it alone holds:
 * then it came from the disk, since no cache shows what a cut left, and a cut while it is written again could take it too. */
typedef struct nacre__pack_page {
    uint64_t generation; /* of the copy that is durable */
    uint8_t *image;      /* what is to be written over the other copy; NULL: nothing */
    uint8_t side;        /* which copy is durable */
    bool sure;           /* that copy need not be written again first */
} nacre__pack_page;

/* A segment as it was read: records hold secrets. */
typedef struct nacre__segment_data {
    nacre__shape shape;
    uint64_t first_page;
    uint8_t *records, *states; /* states: copy 0, then copy 1 */
    size_t records_len, states_len;
    nacre__pack_page *pages; /* with an image where a copy was damaged */
} nacre__segment_data;
/* nacre__segment_read reads segment `number` at that page and decides for each page of states which copy counts. What it gives
 * is ended by nacre__segment_data_free. Errors as nacre_pack_open. */
NACRE_MUST_USE nacre_err nacre__segment_read(nacre__segment_data *data, const nacre__pack_file *file,
                                             const nacre__pack_map *map, uint32_t number, uint64_t first_page,
                                             nacre_detail *why);
void nacre__segment_data_free(nacre__segment_data *data);
/* nacre__page_make_pessimistic: a page of states may be some steps behind. False: it says what cannot be. */
bool nacre__page_make_pessimistic(uint8_t *image, const nacre__shape *shape);
/* What is at a place: use NACRE__IN_USE has a record, NACRE__REMOVED has one when `has_record`. */
typedef struct nacre__pack_entry {
    nacre__cell cell;
    bool has_record, blank; /* blank: nothing but zeros where the record would be */
    nacre__record record;   /* views of data->records */
} nacre__pack_entry;
NACRE_MUST_USE nacre_err nacre__segment_entry(nacre__pack_entry *entry, const nacre__segment_data *data,
                                              const nacre__pack_file *file, const nacre__pack_id *id, uint32_t number,
                                              size_t first_entry, nacre_detail *why);

/* Where things are in a segment that begins at that page: page numbers; for a record, bytes. */
uint64_t nacre__states_page(const nacre__shape *shape, uint64_t first_page, unsigned side, uint32_t page);
uint64_t nacre__record_at(const nacre__shape *shape, uint64_t first_page, uint32_t index);

/* ---- In memory ---- */
typedef struct nacre__segment nacre__segment;
typedef struct nacre__packed { /* one context; `ctx` is first, so that a context leads to it */
    nacre_context ctx;
    nacre__segment *segment;
} nacre__packed;

struct nacre__segment {
    nacre_pack *pack;
    nacre__shape shape;
    uint64_t first_page;
    size_t first_entry;
    uint32_t num_taken; /* places from the first on that are not free for nacre_pack_add */
    nacre__pack_page *pages;
    uint8_t *memory; /* one mapping that a fork's child finds wiped: contexts, keys, window words, ID Contexts */
    size_t memory_size;
    nacre__packed *contexts;
    uint8_t *keys, *words, *ids; /* per place key_size, words_size, id_size bytes */
    size_t key_size, words_size, id_size;
};

typedef struct nacre__requested {
    nacre_context *ctx;
    uint64_t reserve; /* 0: none */
    bool window_lost;
} nacre__requested;

typedef struct nacre__dirty {
    nacre__segment *segment;
    uint32_t page;
} nacre__dirty;

struct nacre_pack {
    nacre__pack_file file;
    char *path;
    pid_t owner; /* the process that opened it: a fork's child must not write */
    const nacre_crypto *crypto;
    nacre__pack_id id;
    nacre__extent extent;
    unsigned extent_side;
    bool extent_sure;
    nacre_detail lost; /* why nothing is written any more; set before `is_lost`, and then never again */
    atomic_bool is_lost;
    bool all_stopped;         /* since it was lost */
    bool is_used, is_claimed; /* a context was used; the file says that it is the one: pack_identity.c */
    nacre__segment **segments;
    size_t num_segments, cap_segments;
    bool adds_no_more;           /* places that are free here may be taken in the file */
    nacre__segment *unsure;      /* a segment that is written, but its extent may not be durable */
    pthread_mutex_t stores_lock; /* recursive; over what the stores' calls and those of pack_locked.c change */
    nacre__dirty *dirty;
    size_t num_dirty, cap_dirty;
    uint64_t *removed; /* nonce and window marks of contexts that were removed: two each */
    size_t num_removed, cap_removed;
    nacre__requested *requested;
    size_t num_requested, cap_requested;
    bool has_table;
    nacre_table table;
    uint8_t *slots; /* its memory, wiped in a fork's child too */
    size_t slots_size;
};

/* pack_memory.c. nacre__pack_grow makes room for one more element; false without memory. `array` points to the pointer. */
bool nacre__pack_grow(void *array, size_t num, size_t *cap, size_t size);
NACRE_MUST_USE nacre_err nacre__pack_no_memory(const nacre_pack *pack, nacre_detail *why);

nacre__packed *nacre__pack_find(const nacre_pack *pack,
                                const nacre_context *ctx); /* pack_contexts.c; NULL: not its own */

/* ---- Segments in memory: pack_load.c ---- */
/* The room that contexts need, at most. */
typedef struct nacre__context_sizes {
    size_t key, words, id;
} nacre__context_sizes;
NACRE_MUST_USE nacre_err nacre__context_sizes_add(nacre__context_sizes *sizes, const nacre_pack *pack,
                                                  const nacre__record *record, nacre_detail *why);
/* nacre__segment_new makes an empty segment; nacre__segment_free wipes it. NULL without memory. */
nacre__segment *nacre__segment_new(nacre_pack *pack, const nacre__shape *shape, uint64_t first_page, size_t first_entry,
                                   const nacre__context_sizes *sizes);
void nacre__segment_free(nacre__segment *segment);
/* nacre__segment_load reads and prepares one, and adds it to the pack. `erase` is set when a record is to be erased. */
NACRE_MUST_USE nacre_err nacre__segment_load(nacre_pack *pack, const nacre__pack_map *map, bool *erase,
                                             nacre_detail *why);
/* nacre__packed_make prepares the context at a place from its record and state. */
NACRE_MUST_USE nacre_err nacre__packed_make(nacre__segment *segment, uint32_t index, const nacre__record *record,
                                            const nacre__cell *cell, const uint8_t echo[NACRE_ECHO_LEN],
                                            nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_note_removed(nacre_pack *pack, const nacre__record *record, nacre_detail *why);

/* ---- State: pack_state.c ---- */
/* nacre__state_cell is where the cell is in a page's image, to be read and changed; from now on the page is dirty. NULL: with
 * `err` and `why`. */
uint8_t *nacre__state_cell(nacre__segment *segment, uint32_t index, nacre_err *err, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__state_dirty(nacre__segment *segment, uint32_t page, nacre_detail *why);
/* nacre__state_flush writes all dirty pages and syncs once. On failure they stay dirty. */
NACRE_MUST_USE nacre_err nacre__state_flush(nacre_pack *pack, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__state_save_all(nacre_pack *pack, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__state_give_up(nacre_pack *pack, nacre_detail *why); /* as if all states were behind */
/* nacre__state_asker: a context of this pack that needs something, `needs`; NULL otherwise, with `err` NACRE_OK when it needs
 * nothing, and others as nacre_pack_request. */
nacre__packed *nacre__state_asker(nacre_needs *needs, nacre_pack *pack, nacre_context *ctx, nacre_err *err,
                                  nacre_detail *why);
/* nacre__state_note takes down in the image that numbers below `ceiling` may be used (0: nothing about numbers), and that the
 * window is lost. */
NACRE_MUST_USE nacre_err nacre__state_note(nacre__packed *packed, uint64_t ceiling, bool window_lost,
                                           nacre_detail *why);
nacre__cell nacre__cell_of(const nacre_context *ctx);                 /* its true state */
void nacre__state_forget(nacre_pack *pack, const nacre_context *ctx); /* what was asked for it */

/* ---- The public calls, without the lock: pack_locked.c ---- */
NACRE_MUST_USE nacre_err nacre__pack_request(nacre_pack *pack, nacre_context *ctx, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_commit(nacre_pack *pack, nacre_pack_on_commit on_commit, void *user,
                                            nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_add(nacre_pack *pack, size_t *num_added, size_t num, nacre_pack_source source,
                                         void *user, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_remove(nacre_pack *pack, nacre_context *ctx, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_move_in(nacre_pack *pack, const char *dir, nacre_role role, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_move_out(nacre_pack *pack, size_t index, const char *dir, nacre_detail *why);

/* ---- Whether the file is still ours: pack_guard.c ----
 * nacre__pack_check_owner: NACRE_OK; NACRE_ERR_LOCKED in a fork's child, or when the pack was lost.
 * nacre__pack_check_file: the name still leads to the file that is open. NACRE_OK; NACRE_ERR_LOCKED, and the pack is lost;
 * NACRE_ERR_FILE when it cannot be looked at. nacre__pack_lose: another program was seen to have changed it; returns
 * NACRE_ERR_LOCKED. nacre__pack_check_lost: NACRE_OK or NACRE_ERR_LOCKED. nacre__pack_stop_all_if_lost stops its
 * contexts: not while other threads use them. nacre__pack_check_alone does all of it, for calls during which the whole
 * pack is the caller's. */
NACRE_MUST_USE nacre_err nacre__pack_check_owner(const nacre_pack *pack, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_check_file(nacre_pack *pack, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_lose(nacre_pack *pack, const char *what, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_check_lost(const nacre_pack *pack, nacre_detail *why);
void nacre__pack_stop_all_if_lost(nacre_pack *pack);
void nacre__pack_stop_if_lost(nacre__packed *packed); /* one of them */
NACRE_MUST_USE nacre_err nacre__pack_check_alone(nacre_pack *pack, nacre_detail *why);

/* ---- Which file this is: pack_identity.c ----
 * nacre__pack_check_identity: NACRE_OK; NACRE_ERR_BAD_CONTEXT for a copy. nacre__pack_claim writes down durably that the pack
 * is used in this very file. */
NACRE_MUST_USE nacre_err nacre__pack_check_identity(const nacre_pack *pack, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_claim(nacre_pack *pack, nacre_detail *why);
/* pack.c: as nacre_pack_open and _close; `anywhere`: a copy too. Without saving. */
NACRE_MUST_USE nacre_err nacre__pack_open(nacre_pack **pack, const char *path, bool anywhere,
                                          const nacre_crypto *crypto, nacre_detail *why);
void nacre__pack_release(nacre_pack *pack);

/* nacre__extent_put makes the extent durable; `pack` has it then, with the next generation: pack_extent.c. */
NACRE_MUST_USE nacre_err nacre__extent_put(nacre_pack *pack, const nacre__extent *extent, nacre_detail *why);

/* ---- Places: pack_add.c, pack_remove.c ---- */
/* nacre__pack_knows: whether the pack has a context, or has or had one with the same nonces or the
 * same Recipient Key. `path` is for errors. */
NACRE_MUST_USE nacre_err nacre__pack_knows(bool *has_it, bool *had_it, nacre_pack *pack,
                                           const nacre_directory_info *info, const char *path, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__segment_erase(nacre__segment *segment, nacre_detail *why);

/* What is at a place, in the words of a directory: pack_read.c. `reveal`: with secret and salt. */
void nacre__pack_entry_describe(nacre_directory_info *info, const nacre__pack_entry *entry, bool elsewhere,
                                bool reveal);

/* The table, when it was asked for: pack_table.c. */
NACRE_MUST_USE nacre_err nacre__pack_table_reserve(nacre_pack *pack, size_t num_more, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_table_add(nacre_pack *pack, size_t index, nacre_context *ctx, nacre_detail *why);

/* What a record derives, for a new one: 13 + 32 + 32 bytes. */
typedef struct nacre__derived {
    uint8_t common_iv[NACRE_MAX_NONCE], sender_key[NACRE_MAX_KEY], recipient_key[NACRE_MAX_KEY];
} nacre__derived;
/* nacre__record_of makes a record of a description; its bytes are views of both. */
NACRE_MUST_USE nacre_err nacre__record_of(nacre__record *record, nacre__derived *derived, const nacre_crypto *crypto,
                                          const nacre_directory_info *info);

#endif
