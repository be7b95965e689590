/* SPDX-License-Identifier: MIT */
/* Shared by the files of the frame: one run, and its results so far. */
#ifndef NACRE_BENCH_RUN_H
#define NACRE_BENCH_RUN_H

#include "bench.h"

enum { BENCH_MAX_ROUNDS = 1000 };

struct bench {
    bench_config config;
    const char *json, *only, *once;
    size_t once_n;
    bool list, quick, heading_done;
    bench_result *results;
    size_t num_results, cap_results;
};

bench_result *bench__add(bench *b, const char *label, const char *name, const char *unit);
void bench__show(bench *b, const bench_result *results, size_t num); /* from the run's config */

#endif
