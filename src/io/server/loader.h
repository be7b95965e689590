/* SPDX-License-Identifier: MIT */
/* loader: the thread of a server that finds and loads contexts of its databases when requests need them, and unloads those that
 * were not used for the longest when they take more than cache_bytes.
 *
 *     worker: LOOKUP -> kid_memo: nothing there -> refused at once
 *                    -> queue -> loader: one query for all that wait -> nacre_sqlite_load -> table of contexts
 *     worker: looked up <- task of each worker <-
 *
 * It has an eighth of a core for kids that no database has, as all that is not verified (decisions/lanes.md). */
#ifndef NACRE_IO_LOADER_H
#define NACRE_IO_LOADER_H

#include "io/server/cache.h"

/* nacre__loader_open makes a loader without databases; its thread starts with the first. NACRE_OK; NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre__loader_open(nacre__loader **loader, nacre_server *server);
/* nacre__loader_add gives it an open database, which it closes at the end. On failure the caller keeps that.
 * NACRE_OK; NACRE_ERR_NO_MEMORY (no memory, no thread); NACRE_ERR_UNSUPPORTED (there are 16); NACRE_ERR_FILE */
NACRE_MUST_USE nacre_err nacre__loader_add(nacre__loader *loader, nacre__database *database);
/* nacre__loader_stop ends the thread, before the workers' loops are closed; nacre__loader_close then closes the databases, and
 * returns the first failure of nacre_sqlite_close. NULL is allowed. */
void nacre__loader_stop(nacre__loader *loader);
nacre_err nacre__loader_close(nacre__loader *loader, nacre_detail *why);

/* nacre__loader_count: for nacre_server_get_stats, by any thread. */
typedef struct nacre__loader_counts {
    uint64_t hits, misses, evictions; /* lookups answered from memory, and by databases; contexts unloaded for others */
    size_t num_databases;
} nacre__loader_counts;
nacre__loader_counts nacre__loader_count(const nacre__loader *loader); /* NULL is allowed */

/* nacre__loader_on_lookup is a worker's: nacre__loop_on_lookup, with the worker. */
void nacre__loader_on_lookup(void *self, nacre_endpoint *ep, const nacre_event *event);

#endif
