/* SPDX-License-Identifier: MIT */
/* cache: the contexts of databases that are loaded, for the loader's thread. Which were not used for the longest is found as by a
 * clock: its hand goes around, and a context that was used since its last visit gets another round. */
#ifndef NACRE_IO_CACHE_H
#define NACRE_IO_CACHE_H

#include "io/server/kid_memo.h"
#include "io/server/server_internal.h"

#include <stdatomic.h>

/* One database; its provider is used by the loader's thread only. */
typedef struct nacre__database {
    nacre_sqlite *db;
    nacre_crypto crypto;
    uint64_t version;   /* nacre__sqlite_data_version */
    bool is_unreadable; /* warned about */
} nacre__database;

typedef struct nacre__cached {
    nacre_context *ctx;
    nacre__database *from;
    size_t size;    /* bytes, with its place in the table of contexts */
    uint64_t state; /* a hash of its numbers and window at the last visit: another one means that it was used */
} nacre__cached;

typedef struct nacre__cache {
    nacre__cached *all;
    size_t num, cap, hand;
    size_t bytes;
    atomic_uint_least64_t num_evicted;
} nacre__cache;

/* NACRE_OK; NACRE_ERR_NO_MEMORY: unchanged */
NACRE_MUST_USE nacre_err nacre__cache_put(nacre__cache *cache, nacre_context *ctx, nacre__database *from);
void nacre__cache_take(nacre__cache *cache, const nacre_context *ctx); /* the one that was put last */
void nacre__cache_free(nacre__cache *cache);

/* nacre__cache_shrink unloads contexts until at most `limit` bytes are left, or all others are in use. */
void nacre__cache_shrink(nacre__cache *cache, nacre_server *server, nacre__kid_memo *memo, size_t limit);

#endif
