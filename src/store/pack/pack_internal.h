/* SPDX-License-Identifier: MIT */
/* pack_internal: shared by the files of the pack: the file, its segments in memory, and the writing of states. */
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
    int dir_fd; /* directory of a locked file, so that the working directory may change; -1: none */
} nacre__pack_file;
/* nacre__pack_file_open: NACRE_OK; NACRE_ERR_FILE; with `lock` also NACRE_ERR_LOCKED. `file->path` is `path`. */
NACRE_MUST_USE nacre_err nacre__pack_file_open(nacre__pack_file *file, const char *path, bool lock, nacre_detail *why);
void nacre__pack_file_close(nacre__pack_file *file);
NACRE_MUST_USE nacre_err nacre__pack_file_size(uint64_t *size, const nacre__pack_file *file, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_get(const nacre__pack_file *file, uint8_t *to, uint64_t at, size_t len,
                                         nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_put(const nacre__pack_file *file, const uint8_t *from, uint64_t at, size_t len,
                                         nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_sync(const nacre__pack_file *file, nacre_detail *why);

/* ---- Contents of the file: pack_map.c ---- */
typedef struct nacre__pack_map {
    nacre__pack_id id;
    nacre__extent extent;
    unsigned side; /* which copy of the extent is current */
    bool damaged;  /* the other copy has to be rewritten */
} nacre__pack_map;
NACRE_MUST_USE nacre_err nacre__pack_map_read(nacre__pack_map *map, const nacre__pack_file *file, nacre_detail *why);

/* A page of states, in two copies. The durable one is `sure` if this process wrote and synced it, or if the other is damaged:
 * then it came from the disk, because damage by a power cut is not in a cache, and rewriting it would risk the only valid copy. */
typedef struct nacre__pack_page {
    uint64_t generation; /* of the copy that is durable */
    uint8_t *image;      /* to be written over the other copy; NULL: unchanged */
    uint8_t side;        /* which copy is durable */
    bool sure;           /* that copy need not be rewritten first */
} nacre__pack_page;

/* A segment as read; records contain secrets. */
typedef struct nacre__segment_data {
    nacre__shape shape;
    uint64_t first_page;
    uint8_t *records, *states; /* states: copy 0, then copy 1 */
    size_t records_len, states_len;
    nacre__pack_page *pages; /* with an image if a copy was damaged */
} nacre__segment_data;
/* nacre__segment_read reads segment `number` at that page and chooses the current copy of each page of states. Free the result
 * with nacre__segment_data_free. Errors as nacre_pack_open. */
NACRE_MUST_USE nacre_err nacre__segment_read(nacre__segment_data *data, const nacre__pack_file *file,
                                             const nacre__pack_map *map, uint32_t number, uint64_t first_page,
                                             nacre_detail *why);
void nacre__segment_data_free(nacre__segment_data *data);
/* nacre__page_make_pessimistic advances the states of a page that may be some steps old. False: invalid states. */
bool nacre__page_make_pessimistic(uint8_t *image, const nacre__shape *shape);
/* One entry: NACRE__IN_USE has a record, NACRE__REMOVED has one if `has_record`. */
typedef struct nacre__pack_entry {
    nacre__cell cell;
    bool has_record, blank; /* blank: the record is all zero */
    nacre__record record;   /* points into data->records */
} nacre__pack_entry;
NACRE_MUST_USE nacre_err nacre__segment_entry(nacre__pack_entry *entry, const nacre__segment_data *data,
                                              const nacre__pack_file *file, const nacre__pack_id *id, uint32_t number,
                                              size_t first_entry, nacre_detail *why);

/* Positions in a segment that begins at that page: page numbers; for a record, bytes. */
uint64_t nacre__states_page(const nacre__shape *shape, uint64_t first_page, unsigned side, uint32_t page);
uint64_t nacre__record_at(const nacre__shape *shape, uint64_t first_page, uint32_t index);

/* ---- In memory ---- */
typedef struct nacre__segment nacre__segment;
typedef struct nacre__packed { /* one context; `ctx` is first, so that a pointer to it converts */
    nacre_context ctx;
    nacre__segment *segment;
} nacre__packed;

struct nacre__segment {
    nacre_pack *pack;
    nacre__shape shape;
    uint64_t first_page;
    size_t first_entry;
    uint32_t num_taken; /* entries before the free ones of nacre_pack_add */
    nacre__pack_page *pages;
    uint8_t *memory; /* one mapping, wiped in the child of a fork: contexts, keys, window words, ID Contexts */
    size_t memory_size;
    nacre__packed *contexts;
    uint8_t *keys, *words, *ids; /* per entry key_size, words_size, id_size bytes */
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
    pid_t owner; /* the process that opened it: the child of a fork must not write */
    const nacre_crypto *crypto;
    nacre__pack_id id;
    nacre__extent extent;
    unsigned extent_side;
    bool extent_sure;
    nacre_detail lost; /* why nothing is written any more; set once, before `is_lost` */
    atomic_bool is_lost;
    bool all_stopped;         /* since it was lost */
    bool is_used, is_claimed; /* a context was used; the file has its identity: pack_identity.c */
    nacre__segment **segments;
    size_t num_segments, cap_segments;
    bool adds_no_more;           /* entries that are free here may be used in the file */
    nacre__segment *unsure;      /* a written segment whose extent may not be durable */
    pthread_mutex_t stores_lock; /* recursive; over what the stores' calls and those of pack_locked.c change */
    nacre__dirty *dirty;
    size_t num_dirty, cap_dirty;
    uint64_t *removed; /* nonce and window marks of removed contexts: two each */
    size_t num_removed, cap_removed;
    nacre__requested *requested;
    size_t num_requested, cap_requested;
    bool has_table;
    nacre_table table;
    uint8_t *slots; /* its memory, wiped in the child of a fork too */
    size_t slots_size;
};

/* pack_memory.c. nacre__pack_grow makes space for one more element; false: no memory. `array` points to the pointer. */
bool nacre__pack_grow(void *array, size_t num, size_t *cap, size_t size);
NACRE_MUST_USE nacre_err nacre__pack_no_memory(const nacre_pack *pack, nacre_detail *why);

nacre__packed *nacre__pack_find(const nacre_pack *pack,
                                const nacre_context *ctx); /* pack_contexts.c; NULL: not of this pack */

/* ---- Segments in memory: pack_load.c ---- */
/* The largest sizes among contexts. */
typedef struct nacre__context_sizes {
    size_t key, words, id;
} nacre__context_sizes;
NACRE_MUST_USE nacre_err nacre__context_sizes_add(nacre__context_sizes *sizes, const nacre_pack *pack,
                                                  const nacre__record *record, nacre_detail *why);
/* nacre__segment_new makes an empty segment; nacre__segment_free wipes it. NULL without memory. */
nacre__segment *nacre__segment_new(nacre_pack *pack, const nacre__shape *shape, uint64_t first_page, size_t first_entry,
                                   const nacre__context_sizes *sizes);
void nacre__segment_free(nacre__segment *segment);
/* nacre__segment_load reads and prepares a segment, and adds it to the pack. `erase` is set if a record has to be erased. */
NACRE_MUST_USE nacre_err nacre__segment_load(nacre_pack *pack, const nacre__pack_map *map, bool *erase,
                                             nacre_detail *why);
/* nacre__packed_make prepares the context at an index from its record and state. */
NACRE_MUST_USE nacre_err nacre__packed_make(nacre__segment *segment, uint32_t index, const nacre__record *record,
                                            const nacre__cell *cell, const uint8_t echo[NACRE_ECHO_LEN],
                                            nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_note_removed(nacre_pack *pack, const nacre__record *record, nacre_detail *why);

/* ---- State: pack_state.c ---- */
/* nacre__state_cell returns the cell in its page's image, to be read and changed, and makes the page dirty. NULL: `err` and
 * `why` are set. */
uint8_t *nacre__state_cell(nacre__segment *segment, uint32_t index, nacre_err *err, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__state_dirty(nacre__segment *segment, uint32_t page, nacre_detail *why);
/* nacre__state_flush writes all dirty pages and syncs once. On failure they stay dirty. */
NACRE_MUST_USE nacre_err nacre__state_flush(nacre_pack *pack, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__state_save_all(nacre_pack *pack, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__state_give_up(nacre_pack *pack, nacre_detail *why); /* as if all states were old */
/* nacre__state_asker: a context of this pack that needs something, `needs`; NULL otherwise, with `err` NACRE_OK when it needs
 * nothing, and others as nacre_pack_request. */
nacre__packed *nacre__state_asker(nacre_needs *needs, nacre_pack *pack, nacre_context *ctx, nacre_err *err,
                                  nacre_detail *why);
/* nacre__state_note records in the image that numbers below `ceiling` may be used (0: unchanged), and that the window is
 * unknown. */
NACRE_MUST_USE nacre_err nacre__state_note(nacre__packed *packed, uint64_t ceiling, bool window_lost,
                                           nacre_detail *why);
nacre__cell nacre__cell_of(const nacre_context *ctx);                 /* its exact state */
void nacre__state_forget(nacre_pack *pack, const nacre_context *ctx); /* drops its requests */

/* ---- The public calls, without the lock: pack_locked.c ---- */
NACRE_MUST_USE nacre_err nacre__pack_request(nacre_pack *pack, nacre_context *ctx, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_commit(nacre_pack *pack, nacre_pack_on_commit on_commit, void *user,
                                            nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_add(nacre_pack *pack, size_t *num_added, size_t num, nacre_pack_source source,
                                         void *user, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_remove(nacre_pack *pack, nacre_context *ctx, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_move_in(nacre_pack *pack, const char *dir, nacre_role role, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_move_out(nacre_pack *pack, size_t index, const char *dir, nacre_detail *why);

/* ---- Detection of other programs: pack_guard.c ----
 * nacre__pack_check_owner       NACRE_OK; NACRE_ERR_LOCKED in the child of a fork, or if the pack is lost
 * nacre__pack_check_file        NACRE_OK: the path leads to the open file; NACRE_ERR_LOCKED: the pack is lost now;
 *                               NACRE_ERR_FILE: cannot be checked
 * nacre__pack_lose              another program changed the file: the pack is lost; returns NACRE_ERR_LOCKED
 * nacre__pack_check_lost        NACRE_OK; NACRE_ERR_LOCKED
 * nacre__pack_stop_all_if_lost  stops its contexts; not while other threads use them
 * nacre__pack_check_alone       all of this, for calls that have the whole pack to themselves */
NACRE_MUST_USE nacre_err nacre__pack_check_owner(const nacre_pack *pack, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_check_file(nacre_pack *pack, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_lose(nacre_pack *pack, const char *what, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_check_lost(const nacre_pack *pack, nacre_detail *why);
void nacre__pack_stop_all_if_lost(nacre_pack *pack);
void nacre__pack_stop_if_lost(nacre__packed *packed); /* one context */
NACRE_MUST_USE nacre_err nacre__pack_check_alone(nacre_pack *pack, nacre_detail *why);

/* ---- Identity of the file: pack_identity.c ----
 * nacre__pack_check_identity: NACRE_OK; NACRE_ERR_BAD_CONTEXT for a copy. nacre__pack_claim durably writes the identity of its
 * file into the pack. */
NACRE_MUST_USE nacre_err nacre__pack_check_identity(const nacre_pack *pack, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_claim(nacre_pack *pack, nacre_detail *why);
/* pack.c: as nacre_pack_open and _close; `anywhere`: a copy too. Without saving. */
NACRE_MUST_USE nacre_err nacre__pack_open(nacre_pack **pack, const char *path, bool anywhere,
                                          const nacre_crypto *crypto, nacre_detail *why);
void nacre__pack_release(nacre_pack *pack);

/* nacre__extent_put makes the extent durable, with the next generation, and sets it in `pack`: pack_extent.c. */
NACRE_MUST_USE nacre_err nacre__extent_put(nacre_pack *pack, const nacre__extent *extent, nacre_detail *why);

/* ---- Entries: pack_add.c, pack_remove.c ---- */
/* nacre__pack_knows: whether the pack has a context, or has or had one with the same nonces or the
 * same Recipient Key. `path` is for errors. */
NACRE_MUST_USE nacre_err nacre__pack_knows(bool *has_it, bool *had_it, nacre_pack *pack,
                                           const nacre_directory_info *info, const char *path, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__segment_erase(nacre__segment *segment, nacre_detail *why);

/* Describes an entry as a directory: pack_read.c. `reveal`: with secret and salt. */
void nacre__pack_entry_describe(nacre_directory_info *info, const nacre__pack_entry *entry, bool elsewhere,
                                bool reveal);

/* The table, after nacre_pack_table: pack_table.c. */
NACRE_MUST_USE nacre_err nacre__pack_table_reserve(nacre_pack *pack, size_t num_more, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__pack_table_add(nacre_pack *pack, size_t index, nacre_context *ctx, nacre_detail *why);

/* Keys derived for a new record: 13 + 32 + 32 bytes. */
typedef struct nacre__derived {
    uint8_t common_iv[NACRE_MAX_NONCE], sender_key[NACRE_MAX_KEY], recipient_key[NACRE_MAX_KEY];
} nacre__derived;
/* nacre__record_of makes a record from a description; its bytes point into both. */
NACRE_MUST_USE nacre_err nacre__record_of(nacre__record *record, nacre__derived *derived, const nacre_crypto *crypto,
                                          const nacre_directory_info *info);

#endif
