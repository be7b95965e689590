/* SPDX-License-Identifier: MIT */
/* arguments: the command line of a program of bench/. See bench.h. */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    bench *b = bench_open(&(bench_config){ .name = name, .title = title });
    bool ok = true;
    for (int i = 1; i < argc && ok; i++) {
        int left = argc - 1 - i;
        if (strcmp(argv[i], "--help") == 0) exit(usage(stdout, argv[0]));
        else if (strcmp(argv[i], "--quick") == 0) b->quick = true;
        else if (strcmp(argv[i], "--list") == 0) b->list = true;
        else if (strcmp(argv[i], "--json") == 0 && left >= 1) b->json = argv[++i];
        else if (strcmp(argv[i], "--only") == 0 && left >= 1) b->only = argv[++i];
        else if (strcmp(argv[i], "--rounds") == 0 && left >= 1)
            ok = number(argv[++i], BENCH_MAX_ROUNDS, &b->config.rounds);
        else if (strcmp(argv[i], "--once") == 0 && left >= 2) {
            b->once = argv[++i];
            ok = number(argv[++i], SIZE_MAX, &b->once_n);
        } else ok = false;
    }
    if (b->quick) b->config.rounds = 3, b->config.slice_ns = 5e4;
    if (!ok) exit(usage(stderr, argv[0]));
    return b;
}
