/* SPDX-License-Identifier: MIT */
/* bench: compares cases within one run.
 *
 * Machines drift, so every number is a ratio: a program compares cases, the first of which is the baseline, in many
 * short rounds that run every case once, one after the other. A case's time is the median of its rounds, its ratio the
 * median of the rounds' ratios, and the spread is the middle half of those; "best" is the ratio of the fastest rounds,
 * which load from other programs disturbs least. Nothing here is a test: a goal is printed beside the ratio, and a miss
 * does not fail.
 *
 *     int main(int argc, char **argv)
 *     {
 *         bench *b = bench_start(argc, argv, "lookup", "finding a context by kid");
 *         const bench_case cases[] = { { .name = "1 context", .run = find, .arg = &small },
 *                                      { .name = "1,000,000", .run = find, .arg = &large, .goal = 2.0 } };
 *         bench_compare(b, "known kids", cases, 2);
 *         return bench_finish(b);
 *     }
 *
 * Each program takes --json FILE, --rounds N, --quick, --only TEXT and --once TEXT; see bench_start. `nacre bench` runs
 * the cases of protect.c on the same frame. */
#ifndef NACRE_BENCH_H
#define NACRE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bench bench;

/* The result of one case, or one number: a line of the table and an entry of the JSON. */
typedef struct bench_result {
    char label[96], name[64], unit[32];
    size_t rounds;
    double value, low, high, best;                   /* ns per operation, or the value itself */
    double ratio, ratio_low, ratio_high, ratio_best; /* ratio to the baseline; 0: it is the baseline, or a value */
    double goal;
    bool goal_is_floor;
} bench_result;

/* One thing to measure. `run` does `n` operations inside the measured time; `prepare`, which may be NULL, runs before
 * it. */
typedef struct bench_case {
    const char *name;
    void (*prepare)(void *arg, size_t n);
    void (*run)(void *arg, size_t n);
    void *arg;
    size_t max_n; /* most operations in one call; 0: no limit */
    size_t step;  /* `n` and max_n are multiples of this (a burst's size); 0: of 1 */
    /* Measures wall-clock time, for sockets, disks and threads; otherwise this thread's processor time. */
    bool wall_clock;
    double goal; /* the ratio to the baseline that is the goal; 0: none */
    /* The ratio should be at least `goal`, not at most: the case should be the slower one. */
    bool goal_is_floor;
} bench_case;

/* bench_start reads the arguments:
 *     --json FILE    also write the results to FILE
 *     --rounds N     how many rounds (101)
 *     --quick        few, short rounds: tests that it works, not how fast
 *     --only TEXT    compare only where the label contains TEXT
 *     --once LABEL/NAME N   run that one case once with N operations and print nothing: for instruction counters
 *     --list         print LABEL/NAME of every case, run nothing
 * Ends the program on --help (0) and on unknown arguments (2). */
bench *bench_start(int argc, char **argv, const char *name, const char *title);

/* bench_open is the same for a program that parses its arguments itself. */
typedef struct bench_config {
    const char *name, *title;
    size_t rounds;   /* limit; 0: 101, and with `seconds` as many as fit */
    double slice_ns; /* duration of one case in one round; 0: a quarter of a millisecond */
    double seconds;  /* wall-clock time per comparison; at least three rounds are run. 0: no limit */
    /* Receives each comparison's results and each value; then no lines go to stdout. */
    void (*show)(void *user, const bench_result *results, size_t num);
    void *user;
} bench_config;
bench *bench_open(const bench_config *config);

/* bench_compare measures the cases of one label side by side and prints their lines. cases[0] is the baseline. */
void bench_compare(bench *b, const char *label, const bench_case *cases, size_t num_cases);

/* bench_wanted tells whether bench_compare would run any case of that label: saves a costly set-up. */
bool bench_wanted(const bench *b, const char *label);

/* bench_limit ends each comparison after `seconds` of wall-clock time, but not before three rounds: for operations that
 * take a second and more. */
void bench_limit(bench *b, double seconds);

/* bench_is_quick tells whether --quick was given: then measure something smaller. */
bool bench_is_quick(const bench *b);

/* bench_find gives the result of a measured case, or NULL; valid until the next comparison. */
const bench_result *bench_find(const bench *b, const char *label, const char *name);

/* bench_value records a number that is not a time, e.g. bytes per context. `goal` 0: none. */
void bench_value(bench *b, const char *label, const char *name, double value, const char *unit, double goal);

/* bench_value_against records one with its ratio to another. */
void bench_value_against(bench *b, const char *label, const char *name, double value, const char *unit, double other);

/* bench_value_of_rounds notes one with its ratio to another one in each of `num` rounds (NULL: it is that other one); at least
 * `goal` is aimed at (0: none). Sorts `values`, the ratios. */
void bench_value_of_rounds(bench *b, const char *label, const char *name, double value, const char *unit,
                           double *values, size_t num, double goal);

/* bench_write_json writes all results to `file`, a FILE. */
void bench_write_json(const bench *b, void *file);

/* bench_finish writes the JSON file and gives main's result: 0, or 5 if the file cannot be written. */
int bench_finish(bench *b);

/* bench_processor writes the processor's name if the system tells it. */
void bench_processor(char *out, size_t size);

/* bench_check ends the program with one line and exit code 5 if `ok` is false: failing operations must not be
 * measured. */
_Noreturn void bench_fail(const char *what);
static inline void bench_check(bool ok, const char *what)
{
    if (!ok) bench_fail(what);
}

/* bench_alloc gives zeroed memory aligned to 64 bytes, or ends the program. free releases it. */
void *bench_alloc(size_t size);

/* bench_random gives the next of a fixed sequence of numbers: the same in each run. */
uint64_t bench_random(uint64_t *state);

#endif
