/* SPDX-License-Identifier: MIT */
/* serve: the measured servers, each started by process_fork: bare echoes, one endpoint on one socket, and the
 * multi-threaded server that `nacre serve --workers` is. */
#ifndef NACRE_BENCH_SERVE_H
#define NACRE_BENCH_SERVE_H

#include "net/pairs.h"
#include "net/process.h"

typedef enum serve_kind {
    SERVE_ECHO_ONE,     /* recvfrom, sendto */
    SERVE_ECHO_BURST,   /* recvmmsg, sendmmsg */
    SERVE_ECHO_BATCHES, /* UDP_GRO, UDP_SEGMENT */
    SERVE_BURST,        /* nacre: recvmmsg, sendmmsg */
    SERVE_BATCHES,      /* nacre: and UDP_GRO, UDP_SEGMENT */
    SERVE_WORKERS,      /* nacre: a multi-threaded server with its contexts in a database */
    SERVE_MEMORY,       /* the same server with the contexts in memory, and a store in memory for each */
} serve_kind;

typedef struct serve_config {
    serve_kind kind;
    const nacre_crypto *crypto;
    const nacre_table *contexts; /* may be NULL; not for workers */
    /* Called first in the server's process: pages inherited from the parent are shared until written to, and each first
     * write would add a cost that no real server has. May be NULL */
    void (*begin)(const void *of);
    const void *of;
    /* Called with the endpoint before it serves; not for workers. May be NULL */
    void (*on_endpoint)(nacre_endpoint *ep);
    const char *path; /* the resource's: "/a" */
    unsigned num_workers;
    size_t num_pairs;     /* of SERVE_WORKERS and SERVE_MEMORY: made anew, with the keys of pairs_open */
    const char *parent;   /* of SERVE_WORKERS: a directory for its database, which must exist while it serves */
    const char *database; /* of SERVE_WORKERS: one made by serve_database, in place of num_pairs and parent */
    size_t cache_bytes;   /* of its loaded contexts; 0: the default */
} serve_config;

/* serve_database makes a database with contexts 0 to `num` - 1, closed. */
void serve_database(const char *path, size_t num, const nacre_crypto *crypto);

/* serve_start; the resource at `path` responds to GET, protected or not, with 2.05 and sixteen bytes. */
process serve_start(const serve_config *config);

/* serve_table makes a table of the servers' sides; serve_table_close frees it. */
void serve_table(nacre_table *table, pair *pairs, size_t num);
void serve_table_close(nacre_table *table);

#endif
