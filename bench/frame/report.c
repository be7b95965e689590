/* SPDX-License-Identifier: MIT */
/* report: results as text lines and as JSON. See bench.h. */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

bench_result *bench__add(bench *b, const char *label, const char *name, const char *unit)
{
    if (b->num_results == b->cap_results) {
        b->cap_results = b->cap_results == 0 ? 64 : 2 * b->cap_results;
        b->results = realloc(b->results, b->cap_results * sizeof *b->results);
        bench_check(b->results != NULL, "out of memory");
    }
    bench_result *r = &b->results[b->num_results++];
    memset(r, 0, sizeof *r);
    snprintf(r->label, sizeof r->label, "%s", label);
    snprintf(r->name, sizeof r->name, "%s", name);
    snprintf(r->unit, sizeof r->unit, "%s", unit);
    return r;
}

static bool missed(const bench_result *r)
{
    double got = r->ratio > 0 ? r->ratio : r->value;
    return r->goal > 0 && (r->goal_is_floor ? got < r->goal : got > r->goal);
}

static void print(bench *b, const bench_result *r)
{
    if (!b->heading_done) {
        printf("%s: %s\n%-80s %9s %8s  %6s  %-14s %6s\n", b->config.name, b->config.title, "", "median", "spread",
               "ratio", "middle half", "best");
        b->heading_done = true;
    }
    char what[sizeof r->label + sizeof r->name + 2];
    snprintf(what, sizeof what, "%s: %s", r->label, r->name);
    printf("%-80s %9.1f ", what, r->value);
    if (r->low > 0) printf("%-2s %3.0f %%", r->unit, 100 * (r->high - r->low) / r->value);
    else if (r->ratio > 0) printf("%-8.8s", r->unit);
    else printf("%s", r->unit);
    if (r->ratio > 0) printf("  %6.3f", r->ratio);
    if (r->ratio_low > 0) printf("  %.3f to %.3f %6.3f", r->ratio_low, r->ratio_high, r->ratio_best);
    if (r->goal > 0) printf("  goal %s %g: %s", r->goal_is_floor ? ">=" : "<=", r->goal, missed(r) ? "missed" : "met");
    putchar('\n');
    fflush(stdout);
}

void bench__show(bench *b, const bench_result *results, size_t num)
{
    if (b->config.show != NULL) b->config.show(b->config.user, results, num);
    else
        for (size_t i = 0; i < num; i++) print(b, &results[i]);
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

void bench_processor(char *out, size_t size)
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

static void put_result(FILE *f, const bench_result *r)
{
    fputs("    { ", f);
    put_text(f, "label", r->label);
    fputs(", ", f);
    put_text(f, "name", r->name);
    fprintf(f, ", \"value\": %.3f, ", r->value);
    put_text(f, "unit", r->unit);
    if (r->low > 0)
        fprintf(f, ", \"rounds\": %zu, \"low\": %.3f, \"high\": %.3f, \"best\": %.3f", r->rounds, r->low, r->high,
                r->best);
    if (r->ratio > 0) fprintf(f, ", \"ratio\": %.4f", r->ratio);
    if (r->ratio_low > 0)
        fprintf(f, ", \"ratio_low\": %.4f, \"ratio_high\": %.4f, \"ratio_best\": %.4f", r->ratio_low, r->ratio_high,
                r->ratio_best);
    if (r->goal > 0)
        fprintf(f, ", \"goal\": %g, \"goal_is\": \"%s\", \"met\": %s", r->goal,
                r->goal_is_floor ? "at least" : "at most", missed(r) ? "false" : "true");
    fputs(" }", f);
}

void bench_write_json(const bench *b, void *file)
{
    FILE *f = file;
    struct utsname system = { .sysname = "?" };
    char cpu[128];
    (void)uname(&system);
    bench_processor(cpu, sizeof cpu);
    const char *commit = getenv("NACRE_COMMIT");
    fputs("{ ", f);
    put_text(f, "bench", b->config.name);
    fputs(", ", f);
    put_text(f, "title", b->config.title);
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
    fputs(",\n  \"results\": [\n", f);
    for (size_t i = 0; i < b->num_results; i++) {
        put_result(f, &b->results[i]);
        fputs(i + 1 < b->num_results ? ",\n" : "\n", f);
    }
    fputs("  ] }\n", f);
}
