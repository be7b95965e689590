/* SPDX-License-Identifier: MIT */
/* fleet: a server whose contexts are in an SQLite database and are loaded when they are needed, over loopback by one core: against
 * contexts in memory; a million against a thousand, by how many of them are used and how many may be loaded; and how long such a
 * server takes to start, and its memory. The databases are made in the current directory, or in $NACRE_BENCH_DIR. */
#include "bench.h"
#include "net/directory.h"
#include "net/load_case.h"
#include "net/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NUM_FLOWS = 100,
    OUTSTANDING = 256,
    FIRST_SEQ = 70000 /* 3 bytes, always */,
    FEW = 1000,
    MANY = 1000000,
    QUICK = 400,
    QUICK_OUTSTANDING = 8,
};

static nacre_crypto crypto;
static char parent[DIRECTORY_PATH];
static uint32_t
    *next_seqs; /* of each context's client, less FIRST_SEQ; shared by the fleets, so that each sees them rise */
static uint64_t chance;

typedef struct fleet {
    const char *name;
    size_t num;        /* contexts in the database */
    size_t num_used;   /* the first ones */
    size_t num_loaded; /* that may be loaded at a time; 0: by the default */
    double goal;       /* of the rate */
    char path[DIRECTORY_PATH + 32];
} fleet;

/* ---- Requests ---------------------------------------------------------------------------------------------------------- */

static void add_request(const load_case *a, nacre_buf keys, size_t i)
{
    pair one;
    batch_kind kind = a->kind;
    uint8_t secret[16], id[4];
    pair_secret(secret, i);
    pair_id(id, i);
    const nacre_context_params params = { .master_secret.bytes = NACRE_ARRAY(secret),
                                          .sender_id = NACRE_ARRAY(id),
                                          .recipient_id = NACRE_STR(PAIR_SERVER_ID),
                                          .window = 64,
                                          .next_seq = FIRST_SEQ + next_seqs[i]++ };
    bench_check(nacre_context_init(&one.client, &crypto, &params, keys) == NACRE_OK, "no context");
    kind.pairs = &one;
    kind.num_pairs = 1;
    batch_add(a->batch, &kind);
    nacre_context_wipe(&one.client);
}

static nacre_buf make_keys(void)
{
    size_t size, align;
    bench_check(nacre_context_key_layout(&crypto, 0, &size, &align) == NACRE_OK, "no AES-CCM-16-64-128");
    return (nacre_buf){ bench_alloc(size), size };
}

/* Each request is made by a client that exists for it alone. */
static void make_requests(const load_case *a, size_t num)
{
    const fleet *f = a->of;
    const nacre_buf keys = make_keys();
    batch_start(a->batch);
    for (size_t i = 0; i < num; i++) add_request(a, keys, (size_t)(bench_random(&chance) % f->num_used));
    free(keys.ptr);
}

/* Each of the contexts that are used has sent one request, so that all that can be loaded are. */
static size_t next_warm;

static void make_each(const load_case *a, size_t num)
{
    const nacre_buf keys = make_keys();
    batch_start(a->batch);
    for (size_t i = 0; i < num; i++) add_request(a, keys, next_warm++);
    free(keys.ptr);
}

static void warm(load_case *a, size_t num)
{
    a->make = make_each;
    for (next_warm = 0; next_warm < num;)
        load_case_warm(a, num - next_warm < BATCH_MOST ? num - next_warm : BATCH_MOST);
    a->make = make_requests;
}

/* ---- Servers ----------------------------------------------------------------------------------------------------------- */

static uint64_t memory_of(process p)
{
    char path[64], line[256];
    unsigned long kib = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)p.pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "VmHWM: %lu", &kib) == 1) break;
    (void)fclose(file);
    return (uint64_t)kib * 1024;
}

/* What one loaded context takes of cache_bytes, or somewhat more. */
enum { BYTES_EACH = 840 };

static process start(fleet *f)
{
    static unsigned number;
    (void)snprintf(f->path, sizeof f->path, "%s/%u.db", parent, number++);
    serve_database(f->path, f->num, &crypto);
    const serve_config config = { .kind = SERVE_WORKERS,
                                  .crypto = &crypto,
                                  .path = "/a",
                                  .num_workers = 1,
                                  .database = f->path,
                                  .cache_bytes = f->num_loaded * (size_t)BYTES_EACH };
    return serve_start(&config);
}

static process start_in_memory(size_t num)
{
    const serve_config config = {
        .kind = SERVE_MEMORY, .crypto = &crypto, .path = "/a", .num_workers = 1, .num_pairs = num
    };
    return serve_start(&config);
}

static size_t outstanding; /* requests */

static load_case open_case(process server, batch *buf, const fleet *f)
{
    const batch_kind kind = { .path = "a", .crypto = &crypto };
    const load_config how = { .port = server.port, .flows = NUM_FLOWS, .outstanding = outstanding, .coap = true };
    load_case a = load_case_open(server, &how, buf, &kind);
    a.make = make_requests;
    a.of = f;
    warm(&a, f->num_used);
    return a;
}

/* ---- Measuring --------------------------------------------------------------------------------------------------------- */

static void compare(bench *b, const char *label, fleet *fleets, size_t num, bool memory_first, batch *buf)
{
    enum { MOST = 4 };
    load_case load_cases[MOST];
    bench_case cases[MOST];
    if (!bench_wanted(b, label)) return;
    for (size_t i = 0; i < num; i++) {
        const bool in_memory = i == 0 && memory_first;
        const process server = in_memory ? start_in_memory(fleets[i].num) : start(&fleets[i]);
        load_cases[i] = open_case(server, buf, &fleets[i]);
        cases[i] = load_case_bench(fleets[i].name, &load_cases[i], fleets[i].goal != 0 ? 1 / fleets[i].goal : 0);
    }
    bench_compare(b, label, cases, num);
    load_case_report(b, label, cases, num);
    for (size_t i = 0; i < num; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s: memory", fleets[i].name);
        bench_value(b, label, name, (double)memory_of(load_cases[i].server) / 1048576, "MiB", 0);
        load_case_close(&load_cases[i]);
        process_stop(load_cases[i].server);
    }
}

static void run_start(void *arg, size_t n)
{
    const fleet *f = arg;
    for (size_t i = 0; i < n; i++) {
        const serve_config config = {
            .kind = SERVE_WORKERS, .crypto = &crypto, .path = "/a", .num_workers = 1, .database = f->path
        };
        process_stop(serve_start(&config));
    }
}

static void compare_starts(bench *b, size_t few, size_t many)
{
    static const char label[] = "start of a server";
    fleet fleets[] = { { .name = "1,000 contexts", .num = few, .num_used = 1 },
                       { .name = "1,000,000 contexts", .num = many, .num_used = 1 } };
    bench_case cases[2];
    if (!bench_wanted(b, label)) return;
    for (size_t i = 0; i < 2; i++) {
        process_stop(start(&fleets[i]));
        cases[i] = (bench_case){ .name = fleets[i].name,
                                 .run = run_start,
                                 .arg = &fleets[i],
                                 .max_n = 1,
                                 .wall_clock = true,
                                 .goal = i == 1 ? 1 : 0 };
    }
    bench_compare(b, label, cases, 2);
}

int main(int argc, char **argv)
{
    bench *b = bench_start(argc, argv, "fleet", "contexts in an SQLite database, loaded when they are needed");
    const size_t many = bench_is_quick(b) ? QUICK : MANY, few = bench_is_quick(b) ? QUICK / 4 : FEW;
    outstanding = bench_is_quick(b) ? QUICK_OUTSTANDING : OUTSTANDING;
    fleet hot[] = { { .name = "in memory", .num = few, .num_used = few },
                    { .name = "SQLite", .num = few, .num_used = few, .goal = 0.95 } };
    fleet crowds[] = {
        { .name = "1,000 contexts", .num = few, .num_used = few },
        { .name = "1,000,000, of which 1,000 are used", .num = many, .num_used = few, .goal = 0.9 },
        { .name = "all used, and loaded", .num = many, .num_used = many, .num_loaded = many + many / 8, .goal = 0.5 },
        { .name = "all used, a tenth loaded", .num = many, .num_used = many, .num_loaded = many / 10, .goal = 0.1 }
    };
    bench_check(nacre_provider_open(&crypto) == NACRE_OK, "provider");
    batch buf = batch_open();
    next_seqs = bench_alloc(many * sizeof *next_seqs);
    process_pin(PROCESS_CLIENT_CORE);
    directory_make(parent);
    compare(b, "NON, 256 outstanding, 100 flows, hot contexts", hot, 2, true, &buf);
    compare(b, "NON, 256 outstanding, 100 flows", crowds, 4, false, &buf);
    compare_starts(b, few, many);
    directory_remove(parent);
    batch_close(&buf);
    free(next_seqs);
    nacre_provider_close(&crypto);
    return bench_finish(b);
}
