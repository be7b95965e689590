/* SPDX-License-Identifier: MIT */
/* bench: see bench.h. Rounds with all cases interleaved; medians and quartiles. */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_CASES = 64, DEFAULT_ROUNDS = 101, LEAST_ROUNDS = 3 };

bench *bench_open(const bench_config *config)
{
    bench *b = bench_alloc(sizeof *b);
    b->config = *config;
    if (config->rounds == 0) b->config.rounds = config->seconds > 0 ? BENCH_MAX_ROUNDS : DEFAULT_ROUNDS;
    if (config->slice_ns <= 0) b->config.slice_ns = 2.5e5;
    return b;
}

/* ---- Helpers for programs ---- */

void bench_fail(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(5);
}

void *bench_alloc(size_t size)
{
    size_t rounded = (size + 63) / 64 * 64;
    void *p = aligned_alloc(64, rounded == 0 ? 64 : rounded);
    bench_check(p != NULL, "out of memory");
    return memset(p, 0, rounded == 0 ? 64 : rounded);
}

uint64_t bench_random(uint64_t *state) /* splitmix64: spreads well, and has no state but its counter */
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* ---- Measuring ---- */

static double now_ns(const bench_case *c)
{
    struct timespec t;
    clock_gettime(c->wall_clock ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The measured part: linked and not inlined, so that an instruction counter can select it by name
 * (bench/instructions.sh). */
void bench_measured(const bench_case *c, size_t n);
__attribute__((noinline)) void bench_measured(const bench_case *c, size_t n)
{
    c->run(c->arg, n);
    __asm__ __volatile__("" ::: "memory");
}

/* Time for `n` operations, in calls of at most max_n, each with its own preparation outside the measured time. */
static double timed(const bench_case *c, size_t n)
{
    double sum = 0;
    for (size_t done = 0, now; done < n; done += now) {
        now = c->max_n != 0 && n - done > c->max_n ? c->max_n : n - done;
        if (c->prepare != NULL) c->prepare(c->arg, now);
        double start = now_ns(c);
        bench_measured(c, now);
        sum += now_ns(c) - start;
    }
    return sum;
}

/* A whole number of bursts, and of calls if there is more than one. */
static size_t rounded(const bench_case *c, size_t n)
{
    size_t step = c->step == 0 ? 1 : c->step;
    if (c->max_n != 0 && n > c->max_n) step = c->max_n;
    n -= n % step;
    return n == 0 ? step : n;
}

/* The number of operations that fills a slice; finding it also warms caches, pages and clocks. */
static size_t calibrate(const bench *b, const bench_case *c)
{
    const double slice = b->config.slice_ns;
    for (size_t n = rounded(c, 1);;) {
        double ns = timed(c, n);
        size_t more = rounded(c, ns > 0 && ns * 8 > slice ? (size_t)((double)n * slice / ns) + 1 : n * 8);
        if (more <= n || ns >= slice / 2) return more < n ? more : n;
        n = more;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void quartiles(double *values, size_t num, double *low, double *middle, double *high)
{
    qsort(values, num, sizeof *values, by_value);
    *low = values[num / 4];
    *middle = num % 2 == 1 ? values[num / 2] : (values[num / 2 - 1] + values[num / 2]) / 2;
    *high = values[num - 1 - num / 4];
}

bool bench_wanted(const bench *b, const char *label)
{
    if (b->once != NULL) return strncmp(b->once, label, strlen(label)) == 0 && b->once[strlen(label)] == '/';
    return b->only == NULL || strstr(label, b->only) != NULL;
}

static void run_once(const bench *b, const char *label, const bench_case *cases, size_t num_cases)
{
    for (size_t i = 0; i < num_cases; i++) {
        if (b->list) printf("%s/%s\n", label, cases[i].name);
        else if (strcmp(b->once + strlen(label) + 1, cases[i].name) == 0)
            (void)timed(&cases[i], rounded(&cases[i], b->once_n));
    }
}

static double times[MAX_CASES][BENCH_MAX_ROUNDS], ratios[BENCH_MAX_ROUNDS];

static double wall_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Fills `times`; gives the number of rounds. */
static size_t run_rounds(const bench *b, const bench_case *cases, size_t num_cases)
{
    const double start = wall_seconds();
    size_t n[MAX_CASES], round = 0;
    for (size_t c = 0; c < num_cases; c++) n[c] = calibrate(b, &cases[c]);
    for (; round < b->config.rounds; round++) {
        if (b->config.seconds > 0 && round >= LEAST_ROUNDS && wall_seconds() - start > b->config.seconds) break;
        for (size_t i = 0; i < num_cases; i++) {
            size_t c = (i + round) % num_cases; /* no case always follows the same one */
            times[c][round] = timed(&cases[c], n[c]) / (double)n[c];
        }
    }
    return round;
}

/* Summarises one case's rounds. Sorts its times; the baseline comes last, because all ratios need its times in
 * order. */
static void evaluate(bench_result *r, size_t c, size_t rounds)
{
    r->rounds = rounds;
    for (size_t round = 0; round < rounds; round++) ratios[round] = times[c][round] / times[0][round];
    if (c > 0) quartiles(ratios, rounds, &r->ratio_low, &r->ratio, &r->ratio_high);
    quartiles(times[c], rounds, &r->low, &r->value, &r->high);
    r->best = times[c][0];
}

void bench_compare(bench *b, const char *label, const bench_case *cases, size_t num_cases)
{
    if (!bench_wanted(b, label)) return;
    bench_check(num_cases <= MAX_CASES, "too many cases under one label");
    if (b->list || b->once != NULL) {
        run_once(b, label, cases, num_cases);
        return;
    }
    const size_t rounds = run_rounds(b, cases, num_cases), first = b->num_results;
    for (size_t c = 0; c < num_cases; c++) {
        bench_result *r = bench__add(b, label, cases[c].name, "ns");
        r->goal = cases[c].goal;
        r->goal_is_floor = cases[c].goal_is_floor;
    }
    bench_result *results = &b->results[first];
    for (size_t c = num_cases; c-- > 0;) evaluate(&results[c], c, rounds);
    for (size_t c = 1; c < num_cases; c++) results[c].ratio_best = results[c].best / results[0].best;
    bench__show(b, results, num_cases);
}

void bench_value(bench *b, const char *label, const char *name, double value, const char *unit, double goal)
{
    if (b->list || b->once != NULL || !bench_wanted(b, label)) return;
    bench_result *r = bench__add(b, label, name, unit);
    r->value = value;
    r->goal = goal;
    bench__show(b, r, 1);
}

void bench_value_against(bench *b, const char *label, const char *name, double value, const char *unit, double other)
{
    if (b->list || b->once != NULL || !bench_wanted(b, label)) return;
    bench_result *r = bench__add(b, label, name, unit);
    r->value = value;
    r->ratio = other > 0 ? value / other : 0;
    bench__show(b, r, 1);
}

void bench_value_of_rounds(bench *b, const char *label, const char *name, double value, const char *unit,
                           double *values, size_t num, double goal)
{
    if (b->list || b->once != NULL || !bench_wanted(b, label)) return;
    bench_result *r = bench__add(b, label, name, unit);
    r->rounds = num;
    r->value = value;
    r->goal = goal;
    r->goal_is_floor = true;
    if (values != NULL) {
        quartiles(values, num, &r->ratio_low, &r->ratio, &r->ratio_high);
        r->ratio_best = values[num - 1];
        if (r->ratio <= 0) r->ratio = 1e-9; /* nothing came through; 0 would say that there is no ratio */
    }
    bench__show(b, r, 1);
}

void bench_limit(bench *b, double seconds)
{
    b->config.seconds = seconds;
}

bool bench_is_quick(const bench *b)
{
    return b->quick;
}

const bench_result *bench_find(const bench *b, const char *label, const char *name)
{
    for (size_t i = b->num_results; i-- > 0;)
        if (strcmp(b->results[i].label, label) == 0 && strcmp(b->results[i].name, name) == 0) return &b->results[i];
    return NULL;
}

static bool write_file(const bench *b)
{
    FILE *f = fopen(b->json, "w");
    if (f == NULL) return false;
    bench_write_json(b, f);
    bool ok = !ferror(f);
    return fclose(f) == 0 && ok;
}

int bench_finish(bench *b)
{
    bool ok = b->json == NULL || b->list || b->once != NULL || write_file(b);
    if (!ok) fprintf(stderr, "bench: cannot write %s: %s\n", b->json, strerror(errno));
    free(b->results);
    free(b);
    return ok ? 0 : 5;
}
