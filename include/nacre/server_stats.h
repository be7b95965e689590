/* SPDX-License-Identifier: MIT */
/* server_stats: the figures of a running server (nacre_server_get_stats in server.h). */
#ifndef NACRE_SERVER_STATS_H
#define NACRE_SERVER_STATS_H

#include <nacre/loop.h>
#include <nacre/stats.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a store writes: a ceiling of sequence numbers, a replay window that becomes unknown, or the true state of a context
 * that goes on later. */
typedef enum nacre_store_write {
    NACRE_STORE_RESERVE,
    NACRE_STORE_WINDOW,
    NACRE_STORE_SAVE,
    NACRE_NUM_STORE_WRITES,
} nacre_store_write;

/* How long writes took, from the request to their confirmation or failure, waiting in the queue included. Bucket i counts
 * those that took at most nacre_store_time_limit_us(i), and longer than the limit before it; the last bucket has no limit. */
enum { NACRE_STORE_TIME_BUCKETS = 15 };
typedef struct nacre_store_times {
    uint64_t buckets[NACRE_STORE_TIME_BUCKETS];
    uint64_t sum_us; /* microseconds of all */
} nacre_store_times;
uint64_t nacre_store_time_limit_us(size_t bucket); /* microseconds: 500 for the first; UINT64_MAX for the last */

typedef struct nacre_server_stats {
    nacre_endpoint_stats endpoint; /* of all workers, added up */
    nacre_store_times store_times[NACRE_NUM_STORE_WRITES];
    nacre_store_health store_health;
    uint64_t queue_drops; /* datagrams that the system dropped because a socket's queue was full (Linux; else 0) */
    /* Contexts of databases: lookups answered from memory, and by databases; contexts that were unloaded */
    uint64_t cache_hits, cache_misses, cache_evictions;
    /* Key exchanges that gave a context, and that did not; 0 in this version, which has none */
    uint64_t handshakes, failed_handshakes;
    /* At present. These and busy_ms are as of the last time each worker waited for datagrams. */
    uint64_t workers;
    uint64_t contexts;  /* in memory */
    uint64_t databases; /* whose contexts are loaded when requests need them */
    uint64_t observers;
    uint64_t connections;     /* TCP */
    uint64_t bodies;          /* in blocks: uploads, and responses kept for their later blocks */
    uint64_t deferred;        /* requests whose response the application deferred */
    uint64_t store_requests;  /* writes that stores have been asked for and have not confirmed */
    uint64_t lanes_apart;     /* workers that serve verified peers before others at present */
    uint64_t open_handshakes; /* in progress; 0 in this version */
    /* How long the slowest worker has worked without waiting, in ms; more than a few seconds: it hangs, in a handler or on a disk */
    uint64_t busy_ms;
} nacre_server_stats;

#ifdef __cplusplus
}
#endif

#endif
