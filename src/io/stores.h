/* SPDX-License-Identifier: MIT */
/* stores: hash table from context (by address) to store. All zero is an empty table. */
#ifndef NACRE_IO_STORES_H
#define NACRE_IO_STORES_H

#include "io/store_threads.h"

#include <nacre/store.h>

typedef struct nacre__store_entry {
    nacre_context *ctx; /* NULL: free */
    nacre_store store;
    bool waiting;          /* the store returned NACRE_ERR_NOT_YET; the endpoint is told when it has confirmed */
    uint64_t num_late;     /* nacre__store_num_late when the store was called */
    nacre__store_job *job; /* submitted to a store thread; NULL: none */
} nacre__store_entry;
typedef struct nacre__stores {
    nacre__store_entry *entries;
    size_t cap, num; /* cap: 0 or a power of two; load factor at most 3/4 */
    size_t num_waiting;
} nacre__stores;

/* NACRE_OK; NACRE_ERR_NO_MEMORY. Replaces the store of a context that is in the table. */
NACRE_MUST_USE nacre_err nacre__stores_put(nacre__stores *stores, nacre_context *ctx, nacre_store store);
nacre__store_entry *nacre__stores_find(const nacre__stores *stores, const nacre_context *ctx); /* NULL: none */
void nacre__stores_remove(nacre__stores *stores, const nacre_context *ctx);
void nacre__stores_free(nacre__stores *stores);

#endif
