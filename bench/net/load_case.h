/* SPDX-License-Identifier: MIT */
/* load_case: a case of the frame that loads a server with requests built before the clock starts. */
#ifndef NACRE_BENCH_LOAD_CASE_H
#define NACRE_BENCH_LOAD_CASE_H

#include "bench.h"
#include "net/load.h"
#include "net/pairs.h"
#include "net/process.h"

typedef struct load_case {
    process server;
    load *load;
    size_t outstanding;
    batch *batch;                                        /* shared by cases, which take turns */
    batch_kind kind;                                     /* of its requests */
    void (*make)(const struct load_case *a, size_t num); /* NULL: batch_fill with `kind` */
    const void *of;                                      /* argument of `make` */
    double seconds;                                      /* of the server's cores together */
    uint64_t requests, resent;
} load_case;

load_case load_case_open(process server, const load_config *how, batch *buf, const batch_kind *kind);
void load_case_close(load_case *a);

/* load_case_warm sends `num` requests outside the measurement: for servers with one-time work per context, such as
 * recording in a file that its replay window is in use. */
void load_case_warm(load_case *a, size_t num);

/* load_case_bench: wall-clock time, and enough requests per run that a single wake-up does not matter. */
bench_case load_case_bench(const char *name, load_case *a, double goal);

/* load_case_report records the processor time of the servers per request, with its ratio to the first case, and the
 * retransmissions. */
void load_case_report(bench *b, const char *label, const bench_case *cases, size_t num);

#endif
