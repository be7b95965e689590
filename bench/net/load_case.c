/* SPDX-License-Identifier: MIT */
/* load_case: load as a case of the frame. See load_case.h. */
#include "load_case.h"

#include <stdio.h>

enum { WINDOWS = 100 }; /* requests per run, as a multiple of the outstanding ones */

load_case load_case_open(process server, const load_config *how, batch *buf, const batch_kind *kind)
{
    return (load_case){
        .server = server, .load = load_open(how), .outstanding = how->outstanding, .batch = buf, .kind = *kind
    };
}

void load_case_close(load_case *a)
{
    load_close(a->load);
}

static void prepare(void *arg, size_t n)
{
    load_case *a = arg;
    if (a->make != NULL) a->make(a, n);
    else batch_fill(a->batch, n, &a->kind);
}

static void run(void *arg, size_t n)
{
    load_case *a = arg;
    const double before = process_seconds(a->server);
    const load_result result = load_run(a->load, a->batch->requests, n, NULL, NULL);
    a->seconds += process_seconds(a->server) - before;
    a->requests += n;
    a->resent += result.resent;
}

void load_case_warm(load_case *a, size_t num)
{
    prepare(a, num);
    run(a, num);
    a->seconds = 0;
    a->requests = a->resent = 0;
}

bench_case load_case_bench(const char *name, load_case *a, double goal)
{
    const size_t step = WINDOWS * a->outstanding;
    return (bench_case){
        .name = name,
        .prepare = prepare,
        .run = run,
        .arg = a,
        .max_n = BATCH_MOST / step * step,
        .step = step,
        .wall_clock = true,
        .goal = goal,
    };
}

void load_case_report(bench *b, const char *label, const bench_case *cases, size_t num)
{
    char name[64];
    double first = 0;
    for (size_t i = 0; i < num; i++) {
        const load_case *a = cases[i].arg;
        if (a->requests == 0) continue;
        const double ns = 1e9 * a->seconds / (double)a->requests;
        (void)snprintf(name, sizeof name, "%s: server's cores", cases[i].name);
        bench_value_against(b, label, name, ns, "ns", first);
        if (i == 0) first = ns;
        (void)snprintf(name, sizeof name, "%s: sent again", cases[i].name);
        if (a->resent > 0) bench_value(b, label, name, (double)a->resent, "requests", 0);
    }
}
