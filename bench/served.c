/* SPDX-License-Identifier: MIT */
/* served: requests over loopback, plain and protected, beside bare echoes of datagrams of the same size. The server has
 * one core, the client the other; the client's requests are protected before the clock starts, so that its core does
 * not limit the rate. The server's processor time per request is shown too: if the client is the slower of the two,
 * only that shows the cost of protection. */
#include "bench.h"
#include "net/load_case.h"
#include "net/directory.h"
#include "net/serve.h"

#include <string.h>

enum { NUM_FLOWS = 1000, MAX_CASES = 5 };

/* One server, and the load on it. */
typedef struct shape {
    const char *name;
    serve_kind kind;
    bool is_protected, client_batches;
    unsigned num_workers;
    double goal; /* over the baseline's time */
} shape;

#define ECHO_ONE                                                                                                       \
    {                                                                                                                  \
        "echo, recvfrom", SERVE_ECHO_ONE, true, false, 0, 0                                                            \
    }
#define ECHO_BURST                                                                                                     \
    {                                                                                                                  \
        "echo, recvmmsg", SERVE_ECHO_BURST, true, false, 0, 0                                                          \
    }
#define PLAIN                                                                                                          \
    {                                                                                                                  \
        "nacre, plain", SERVE_BATCHES, false, false, 0, 0                                                              \
    }
#define PROTECTED                                                                                                      \
    {                                                                                                                  \
        "nacre, protected", SERVE_BATCHES, true, false, 0, 1 / 0.9                                                     \
    }
#define ONE_BY_ONE                                                                                                     \
    {                                                                                                                  \
        ECHO_ONE, PLAIN, PROTECTED                                                                                     \
    }
#define MANY                                                                                                           \
    {                                                                                                                  \
        ECHO_BURST, ECHO_ONE, PLAIN, PROTECTED                                                                         \
    }
#define BATCHES                                                                                                        \
    {                                                                                                                  \
        { "echo, GRO and GSO", SERVE_ECHO_BATCHES, true, true, 0, 0 },                                                 \
            { "nacre, plain", SERVE_BATCHES, false, true, 0, 0 },                                                      \
        {                                                                                                              \
            "nacre, protected", SERVE_BATCHES, true, true, 0, 1 / 0.5                                                  \
        }                                                                                                              \
    }
#define BATCHES_AGAINST_CALLS                                                                                          \
    {                                                                                                                  \
        { "nacre, protected, recvmmsg and sendmmsg", SERVE_BURST, true, false, 0, 0 },                                 \
        {                                                                                                              \
            "nacre, protected, GRO and GSO", SERVE_BATCHES, true, true, 0, 1 / 4.0                                     \
        }                                                                                                              \
    }
#define PLAIN_OR_NOT                                                                                                   \
    {                                                                                                                  \
        PLAIN,                                                                                                         \
        {                                                                                                              \
            "nacre, protected", SERVE_BATCHES, true, false, 0, 1 / 0.9                                                 \
        }                                                                                                              \
    }
#define WORKERS                                                                                                        \
    {                                                                                                                  \
        ECHO_BURST, { "nacre serve, 1 worker", SERVE_WORKERS, true, false, 1, 0 },                                     \
        {                                                                                                              \
            "nacre serve, 2 workers", SERVE_WORKERS, true, false, 2, 0                                                 \
        }                                                                                                              \
    }

typedef struct row {
    const char *label;
    bool con;
    size_t outstanding, flows;
    shape shapes[MAX_CASES]; /* the first is the baseline */
} row;

static const row rows[] = {
    { "NON, 1 outstanding, 1 flow", false, 1, 1, ONE_BY_ONE },
    { "CON, 1 outstanding, 1 flow", true, 1, 1, ONE_BY_ONE },
    { "NON, 1 outstanding, 1000 flows", false, 1, NUM_FLOWS, ONE_BY_ONE },
    { "CON, 1 outstanding, 1000 flows", true, 1, NUM_FLOWS, ONE_BY_ONE },
    { "NON, 64 outstanding, 1 flow", false, 64, 1, MANY },
    { "CON, 64 outstanding, 1 flow", true, 64, 1, MANY },
    { "NON, 64 outstanding, 1000 flows", false, 64, NUM_FLOWS, MANY },
    { "CON, 64 outstanding, 1000 flows", true, 64, NUM_FLOWS, MANY },
    { "NON, 64 outstanding, 1 flow, client sends runs", false, 64, 1, BATCHES },
    { "CON, 64 outstanding, 1 flow, client sends runs", true, 64, 1, BATCHES },
    { "NON, 64 outstanding, 1 flow, runs against calls", false, 64, 1, BATCHES_AGAINST_CALLS },
    { "CON, 64 outstanding, 1 flow, runs against calls", true, 64, 1, BATCHES_AGAINST_CALLS },
    { "NON, 64 outstanding, 1 flow, plain or not", false, 64, 1, PLAIN_OR_NOT },
    { "CON, 64 outstanding, 1000 flows, plain or not", true, 64, NUM_FLOWS, PLAIN_OR_NOT },
    { "NON, 64 outstanding, 1000 flows, workers", false, 64, NUM_FLOWS, WORKERS },
    { "CON, 64 outstanding, 1000 flows, workers", true, 64, NUM_FLOWS, WORKERS },
};

/* One process for each kind of server; cases of the same kind share it. */
static process server_of(const row *r, size_t i, const process *servers, const serve_config *config)
{
    for (size_t k = 0; k < i; k++)
        if (r->shapes[k].kind == config->kind && r->shapes[k].num_workers == config->num_workers) return servers[k];
    return serve_start(config);
}

static void measure(bench *b, const row *r, serve_config config, batch *buf, pair *pairs)
{
    process servers[MAX_CASES];
    load_case load_cases[MAX_CASES];
    bench_case cases[MAX_CASES];
    size_t num = 0;
    for (; num < MAX_CASES && r->shapes[num].name != NULL; num++) {
        const shape *s = &r->shapes[num];
        config.kind = s->kind;
        config.num_workers = s->num_workers;
        servers[num] = server_of(r, num, servers, &config);
        const batch_kind kind = { "a", r->con, s->is_protected ? pairs : NULL, r->flows, config.crypto };
        const load_config how = { .port = servers[num].port,
                                  .flows = r->flows,
                                  .outstanding = r->outstanding,
                                  .use_gso = s->client_batches,
                                  .coap = s->kind > SERVE_ECHO_BATCHES };
        load_cases[num] = load_case_open(servers[num], &how, buf, &kind);
        if (s->kind == SERVE_WORKERS) load_case_warm(&load_cases[num], r->flows);
        cases[num] = load_case_bench(s->name, &load_cases[num], s->goal);
    }
    bench_compare(b, r->label, cases, num);
    load_case_report(b, r->label, cases, num);
    for (size_t i = 0; i < num; i++) {
        load_case_close(&load_cases[i]);
        bool again = false;
        for (size_t k = 0; k < i; k++) again = again || servers[k].pid == servers[i].pid;
        if (!again) process_stop(servers[i]);
    }
}

int main(int argc, char **argv)
{
    bench *b = bench_start(argc, argv, "served", "requests served over loopback UDP, one core for the server");
    nacre_crypto crypto;
    nacre_table table;
    bench_check(nacre_provider_open(&crypto) == NACRE_OK, "provider");
    batch buf = batch_open();
    pair *pairs = pairs_open(&crypto, NUM_FLOWS);
    serve_table(&table, pairs, NUM_FLOWS);
    process_pin(PROCESS_CLIENT_CORE);
    char parent[DIRECTORY_PATH];
    directory_make(parent);
    const serve_config config = {
        .crypto = &crypto, .contexts = &table, .path = "/a", .num_pairs = NUM_FLOWS, .parent = parent
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (bench_wanted(b, rows[i].label)) measure(b, &rows[i], config, &buf, pairs);
    directory_remove(parent);
    serve_table_close(&table);
    pairs_close(pairs, NUM_FLOWS);
    batch_close(&buf);
    nacre_provider_close(&crypto);
    return bench_finish(b);
}
