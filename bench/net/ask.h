/* SPDX-License-Identifier: MIT */
/* ask: a case of the frame that puts load on a server: its requests are made before the clock starts. */
#ifndef NACRE_BENCH_ASK_H
#define NACRE_BENCH_ASK_H

#include "bench.h"
#include "net/load.h"
#include "net/pairs.h"
#include "net/process.h"

typedef struct ask {
    process server;
    load *load;
    size_t outstanding;
    batch *batch;                                  /* shared by cases, which take turns */
    batch_kind kind;                               /* of its requests */
    void (*make)(const struct ask *a, size_t num); /* NULL: batch_fill with `kind` */
    const void *of;                                /* what `make` wants to know */
    double seconds;                                /* of the server's cores, in all */
    uint64_t requests, resent;
} ask;

ask ask_open(process server, const load_config *how, batch *room, const batch_kind *kind);
void ask_close(ask *a);

/* ask_warm asks `num` times and counts nothing: for servers that do something once for each context, such as telling a file
 * that its replay window is in use. */
void ask_warm(ask *a, size_t num);

/* ask_case: the clock on the wall, and so many requests in one go that one wake-up more or less does not matter. */
bench_case ask_case(const char *name, ask *a, double goal);

/* ask_report notes what the servers' cores spent on each request, with its ratio to the first case, and what had to be sent
 * again. */
void ask_report(bench *b, const char *label, const bench_case *cases, size_t num);

#endif
