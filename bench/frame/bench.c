/* SPDX-License-Identifier: MIT */
/* bench: see bench.h. Rounds with all cases interleaved; medians and quartiles; a table, and JSON. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

enum { MAX_ROUNDS = 1000, MAX_CASES = 64 };

typedef struct result {
    char label[96], name[64], unit[32];
    double value, low, high, best;                   /* ns per operation, or the value itself */
    double ratio, ratio_low, ratio_high, ratio_best; /* 0: the baseline, or a value */
    double goal;
    bool goal_is_floor;
} result;

struct bench {
    const char *name, *title, *json, *only, *once;
    size_t rounds, once_n;
    double slice_ns; /* how long one case runs in one round */
    bool list, heading_done;
    result *results;
    size_t num_results, cap_results;
};

/* ---- Help for programs ---- */

void bench_check(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

void *bench_alloc(size_t size)
{
    size_t rounded = (size + 63) / 64 * 64;
    void *p = aligned_alloc(64, rounded == 0 ? 64 : rounded);
    bench_check(p != NULL, "out of memory");
    return memset(p, 0, rounded == 0 ? 64 : rounded);
}

uint64_t bench_random(uint64_t *state) /* splitmix64: spreads well, and needs nothing */
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* ---- Arguments ---- */

static int usage(FILE *to, const char *program)
{
    fprintf(to,
            "usage: %s [--json FILE] [--rounds N] [--quick] [--only TEXT] [--list]\n"
            "       %s --once LABEL/NAME N\n",
            program, program);
    return to == stderr ? 2 : 0;
}

static bool number(const char *text, size_t max, size_t *out)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || n == 0 || n > max) return false;
    *out = n;
    return true;
}

bench *bench_start(int argc, char **argv, const char *name, const char *title)
{
    bench *b = bench_alloc(sizeof *b);
    b->name = name;
    b->title = title;
    b->rounds = 101;
    b->slice_ns = 2.5e5;
    bool ok = true;
    for (int i = 1; i < argc && ok; i++) {
        int left = argc - 1 - i;
        if (strcmp(argv[i], "--help") == 0) exit(usage(stdout, argv[0]));
        else if (strcmp(argv[i], "--quick") == 0) b->rounds = 3, b->slice_ns = 5e4;
        else if (strcmp(argv[i], "--list") == 0) b->list = true;
        else if (strcmp(argv[i], "--json") == 0 && left >= 1) b->json = argv[++i];
        else if (strcmp(argv[i], "--only") == 0 && left >= 1) b->only = argv[++i];
        else if (strcmp(argv[i], "--rounds") == 0 && left >= 1) ok = number(argv[++i], MAX_ROUNDS, &b->rounds);
        else if (strcmp(argv[i], "--once") == 0 && left >= 2) {
            b->once = argv[++i];
            ok = number(argv[++i], SIZE_MAX, &b->once_n);
        } else ok = false;
    }
    if (!ok) exit(usage(stderr, argv[0]));
    return b;
}

/* ---- Measuring ---- */

static double now_ns(const bench_case *c)
{
    struct timespec t;
    clock_gettime(c->wall_clock ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* What runs between the clock's two readings: linked, and not inlined, so that an instruction counter can be told its
 * name (scripts/bench-instructions.sh). */
void bench_measured(const bench_case *c, size_t n);
__attribute__((noinline)) void bench_measured(const bench_case *c, size_t n)
{
    c->run(c->arg, n);
    __asm__ __volatile__("" ::: "memory");
}

/* Time for `n` operations, in calls of at most max_n, each with its own preparation, which is not counted. */
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

/* A whole number of bursts, and of calls where there is more than one. */
static size_t rounded(const bench_case *c, size_t n)
{
    size_t step = c->step == 0 ? 1 : c->step;
    if (c->max_n != 0 && n > c->max_n) step = c->max_n;
    n -= n % step;
    return n == 0 ? step : n;
}

/* How many operations fill a slice; on the way there caches, pages and clocks become warm. */
static size_t calibrate(const bench *b, const bench_case *c)
{
    for (size_t n = rounded(c, 1);;) {
        double ns = timed(c, n);
        size_t more = rounded(c, ns > 0 && ns * 8 > b->slice_ns ? (size_t)((double)n * b->slice_ns / ns) + 1 : n * 8);
        if (more <= n || ns >= b->slice_ns / 2) return more < n ? more : n;
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

/* ---- Results ---- */

static result *add(bench *b, const char *label, const char *name, const char *unit)
{
    if (b->num_results == b->cap_results) {
        b->cap_results = b->cap_results == 0 ? 64 : 2 * b->cap_results;
        b->results = realloc(b->results, b->cap_results * sizeof *b->results);
        bench_check(b->results != NULL, "out of memory");
    }
    result *r = &b->results[b->num_results++];
    memset(r, 0, sizeof *r);
    snprintf(r->label, sizeof r->label, "%s", label);
    snprintf(r->name, sizeof r->name, "%s", name);
    snprintf(r->unit, sizeof r->unit, "%s", unit);
    return r;
}

static bool missed(const result *r)
{
    double got = r->ratio > 0 ? r->ratio : r->value;
    return r->goal > 0 && (r->goal_is_floor ? got < r->goal : got > r->goal);
}

static void print(bench *b, const result *r)
{
    if (!b->heading_done) {
        printf("%s: %s\n%-64s %9s %8s  %6s  %-14s %6s\n", b->name, b->title, "", "median", "spread", "ratio",
               "middle half", "best");
        b->heading_done = true;
    }
    char what[sizeof r->label + sizeof r->name + 2];
    snprintf(what, sizeof what, "%s: %s", r->label, r->name);
    printf("%-64s %9.1f %-2s", what, r->value, r->unit);
    if (r->low > 0) printf(" %3.0f %%", 100 * (r->high - r->low) / r->value);
    if (r->ratio > 0) printf("  %6.3f  %.3f to %.3f %6.3f", r->ratio, r->ratio_low, r->ratio_high, r->ratio_best);
    if (r->goal > 0) printf("  goal %s %g: %s", r->goal_is_floor ? ">=" : "<=", r->goal, missed(r) ? "missed" : "met");
    putchar('\n');
    fflush(stdout);
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

void bench_compare(bench *b, const char *label, const bench_case *cases, size_t num_cases)
{
    static double times[MAX_CASES][MAX_ROUNDS], ratios[MAX_ROUNDS];
    size_t n[MAX_CASES];
    if (!bench_wanted(b, label)) return;
    bench_check(num_cases <= MAX_CASES, "too many cases under one label");
    if (b->list || b->once != NULL) {
        run_once(b, label, cases, num_cases);
        return;
    }
    for (size_t c = 0; c < num_cases; c++) n[c] = calibrate(b, &cases[c]);
    for (size_t round = 0; round < b->rounds; round++)
        for (size_t i = 0; i < num_cases; i++) {
            size_t c = (i + round) % num_cases; /* none always follows the same one */
            times[c][round] = timed(&cases[c], n[c]) / (double)n[c];
        }
    /* The baseline's rounds are needed in their order for all ratios: it is sorted last. */
    result measured[MAX_CASES];
    for (size_t c = num_cases; c-- > 0;) {
        result *r = &measured[c];
        *r = (result){ .goal = cases[c].goal, .goal_is_floor = cases[c].goal_is_floor };
        for (size_t round = 0; round < b->rounds; round++) ratios[round] = times[c][round] / times[0][round];
        if (c > 0) quartiles(ratios, b->rounds, &r->ratio_low, &r->ratio, &r->ratio_high);
        quartiles(times[c], b->rounds, &r->low, &r->value, &r->high);
        r->best = times[c][0];
    }
    for (size_t c = 0; c < num_cases; c++) {
        if (c > 0) measured[c].ratio_best = measured[c].best / measured[0].best;
        result *r = add(b, label, cases[c].name, "ns");
        memcpy(measured[c].label, r->label, sizeof r->label);
        memcpy(measured[c].name, r->name, sizeof r->name);
        memcpy(measured[c].unit, r->unit, sizeof r->unit);
        *r = measured[c];
        print(b, r);
    }
}

void bench_value(bench *b, const char *label, const char *name, double value, const char *unit, double goal)
{
    if (b->list || b->once != NULL || !bench_wanted(b, label)) return;
    result *r = add(b, label, name, unit);
    r->value = value;
    r->goal = goal;
    print(b, r);
}

/* ---- JSON ---- */

static void put_text(FILE *f, const char *key, const char *text)
{
    fprintf(f, "\"%s\": \"", key);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') putc('\\', f);
        if ((unsigned char)*text >= 0x20) putc(*text, f);
    }
    putc('"', f);
}

/* "model name" of the first processor, where the system says. */
static void processor(char *out, size_t size)
{
    char line[256];
    snprintf(out, size, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (f == NULL) return;
    while (fgets(line, sizeof line, f) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || colon == NULL) continue;
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(out, size, "%s", colon + 2);
        break;
    }
    fclose(f);
}

static void put_result(FILE *f, const result *r)
{
    fputs("    { ", f);
    put_text(f, "label", r->label);
    fputs(", ", f);
    put_text(f, "name", r->name);
    fprintf(f, ", \"value\": %.3f, ", r->value);
    put_text(f, "unit", r->unit);
    if (r->low > 0) fprintf(f, ", \"low\": %.3f, \"high\": %.3f, \"best\": %.3f", r->low, r->high, r->best);
    if (r->ratio > 0)
        fprintf(f, ", \"ratio\": %.4f, \"ratio_low\": %.4f, \"ratio_high\": %.4f, \"ratio_best\": %.4f", r->ratio,
                r->ratio_low, r->ratio_high, r->ratio_best);
    if (r->goal > 0)
        fprintf(f, ", \"goal\": %g, \"goal_is\": \"%s\", \"met\": %s", r->goal,
                r->goal_is_floor ? "at least" : "at most", missed(r) ? "false" : "true");
    fputs(" }", f);
}

static bool write_json(const bench *b)
{
    FILE *f = fopen(b->json, "w");
    if (f == NULL) return false;
    struct utsname system = { .sysname = "?" };
    char cpu[128];
    (void)uname(&system);
    processor(cpu, sizeof cpu);
    const char *commit = getenv("NACRE_COMMIT");
    fputs("{ ", f);
    put_text(f, "bench", b->name);
    fputs(", ", f);
    put_text(f, "title", b->title);
    fputs(",\n  ", f);
    put_text(f, "processor", cpu);
    fputs(", ", f);
    put_text(f, "system", system.sysname);
    fputs(", ", f);
    put_text(f, "release", system.release);
    fputs(", ", f);
    put_text(f, "compiler", __VERSION__);
    fputs(", ", f);
    put_text(f, "commit", commit != NULL ? commit : "unknown");
    fprintf(f, ", \"rounds\": %zu,\n  \"results\": [\n", b->rounds);
    for (size_t i = 0; i < b->num_results; i++) {
        put_result(f, &b->results[i]);
        fputs(i + 1 < b->num_results ? ",\n" : "\n", f);
    }
    fputs("  ] }\n", f);
    bool ok = !ferror(f);
    return fclose(f) == 0 && ok;
}

int bench_finish(bench *b)
{
    bool ok = b->json == NULL || b->list || b->once != NULL || write_json(b);
    if (!ok) fprintf(stderr, "bench: cannot write %s: %s\n", b->json, strerror(errno));
    free(b->results);
    free(b);
    return ok ? 0 : 1;
}
