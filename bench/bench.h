/* SPDX-License-Identifier: MIT */
/* bench: measuring one thing against another in one run.
 *
 * Machines drift, so nothing here is a number of its own: a program compares cases, the first of which is the baseline,
 * in many short rounds that run every case once, one after the other. A case's time is the median of its rounds, its ratio
 * the median of what each round says, and the spread is the middle half of that; "best" is the ratio of the fastest rounds,
 * which a machine that others use too disturbs least. Nothing is a test: a goal is printed beside the ratio, and a miss
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
 * Each program takes --json FILE, --rounds N, --quick, --only TEXT and --once TEXT; see bench_start. `nacre bench` runs the
 * cases of protect.c on the same frame. */
#ifndef NACRE_BENCH_H
#define NACRE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bench bench;

/* What one case took, or one number: what a line of the table and an entry of the JSON say. */
typedef struct bench_result {
    char label[96], name[64], unit[32];
    size_t rounds;
    double value, low, high, best;                   /* ns for one operation, or the value itself */
    double ratio, ratio_low, ratio_high, ratio_best; /* to the baseline; 0: it is the baseline, or a value */
    double goal;
    bool goal_is_floor;
} bench_result;

/* One thing to measure. `run` does `n` operations and is what the clock sees; `prepare`, which may be NULL, makes what they
 * need before it starts. */
typedef struct bench_case {
    const char *name;
    void (*prepare)(void *arg, size_t n);
    void (*run)(void *arg, size_t n);
    void *arg;
    size_t max_n; /* operations in one call at most; 0: as many as the clock needs */
    size_t step;  /* `n` is a multiple of this (a burst's size), and so is max_n; 0: of 1 */
    /* The clock on the wall, where sockets, disks or other threads are part of it; otherwise it is this thread's time on the
     * processor. */
    bool wall_clock;
    double goal; /* the ratio to the baseline that is aimed at; 0: none */
    /* A ratio as large as `goal`, not as small, is aimed at: the case is to be the slower one. */
    bool goal_is_floor;
} bench_case;

/* bench_start reads the arguments:
 *     --json FILE    write the results there too
 *     --rounds N     how many rounds (101)
 *     --quick        few and short rounds: that it works, not how fast
 *     --only TEXT    compare only where the label contains TEXT
 *     --once LABEL/NAME N   run that one case once with N operations and print nothing: for instruction counters
 *     --list         print LABEL/NAME of every case, run nothing
 * Ends the program on --help (0) and on arguments not understood (2). */
bench *bench_start(int argc, char **argv, const char *name, const char *title);

/* bench_open is the same for a program that reads its arguments itself. */
typedef struct bench_config {
    const char *name, *title;
    size_t rounds;   /* at most; 0: 101, and with `seconds` what fits */
    double slice_ns; /* how long one case runs in one round; 0: a quarter of a millisecond */
    double seconds;  /* on the wall, for each comparison; at least three rounds are run. 0: no limit */
    /* Gets each comparison's results, and each value, in place of lines on stdout. */
    void (*show)(void *user, const bench_result *results, size_t num);
    void *user;
} bench_config;
bench *bench_open(const bench_config *config);

/* bench_compare measures the cases of one label side by side and prints their lines. cases[0] is the baseline. */
void bench_compare(bench *b, const char *label, const bench_case *cases, size_t num_cases);

/* bench_wanted tells whether bench_compare would run anything for that label: to save a costly set-up. */
bool bench_wanted(const bench *b, const char *label);

/* bench_limit ends each comparison's rounds after so many seconds on the wall, at least three being run: for operations that
 * take a second and more. */
void bench_limit(bench *b, double seconds);

/* bench_is_quick tells whether --quick was given: to measure something smaller. */
bool bench_is_quick(const bench *b);

/* bench_find gives the result of a case that was measured, or NULL; until the next comparison. */
const bench_result *bench_find(const bench *b, const char *label, const char *name);

/* bench_value notes a number that needs no clock: bytes per context, say. `goal` 0: none. */
void bench_value(bench *b, const char *label, const char *name, double value, const char *unit, double goal);

/* bench_value_against notes one with its ratio to another one. */
void bench_value_against(bench *b, const char *label, const char *name, double value, const char *unit, double other);

/* bench_value_of_rounds notes one with its ratio to another one in each of `num` rounds (NULL: it is that other one); at least
 * `goal` is aimed at (0: none). Sorts `ratios`. */
void bench_value_of_rounds(bench *b, const char *label, const char *name, double value, const char *unit,
                           double *ratios, size_t num, double goal);

/* bench_write_json writes all results to `file`, a FILE. */
void bench_write_json(const bench *b, void *file);

/* bench_finish writes the JSON file; gives main's result: 0, or 5 when the file could not be written. */
int bench_finish(bench *b);

/* bench_processor writes the processor's name, where the system says. */
void bench_processor(char *out, size_t size);

/* bench_check ends the program with one line and exit code 5 when `ok` is false: a benchmark of something that fails measures nothing. */
_Noreturn void bench_fail(const char *what);
static inline void bench_check(bool ok, const char *what)
{
    if (!ok) bench_fail(what);
}

/* bench_alloc gives zeroed memory on a boundary of 64 bytes, or ends the program. It is given back with free. */
void *bench_alloc(size_t size);

/* bench_random gives the next of a fixed row of numbers: the same in each run. */
uint64_t bench_random(uint64_t *state);

#endif
