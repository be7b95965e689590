/* SPDX-License-Identifier: MIT */
/* floods: what a good client gets while an attacker with a core of its own floods the server: its requests in a second
 * against those of the same client at a server that is left alone, in one run. Of two cores the attacker has one, and the
 * server and the client the other, so that nothing but the server's work stands between the flood and the client. The server
 * is that of `nacre serve` with one worker, and for RFC 8613 B.2 an endpoint with one rederivation. */
#include "bench.h"
#include "net/directory.h"
#include "net/flood.h"
#include "net/serve.h"
#include "net/steady.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NUM_PAIRS = 16, ROUNDS = 5, MAX_ROUNDS = 16, MAX_OUTSTANDING = 8 };

typedef struct attack {
    const char *name;
    flood_write *write;       /* NULL: none, the baseline */
    double goal, goal_of_one; /* of the ratio, with 8 and with 1 outstanding */
    bool rederives;           /* the server has a rederivation */
} attack;

static const attack attacks[] = {
    { "no flood", NULL, 0, 0, false },
    { "random kid", flood_random_kid, 0.85, 0.7, false },
    { "known kid, wrong tag", flood_wrong_tag, 0.85, 0.7, false },
    { "replays", flood_replay, 0.85, 0.7, false },
    { "huge Partial IV", flood_huge_sequence, 0.85, 0.7, false },
    { "partial outer Block1", flood_outer_block1, 0.85, 0.5, false },
    { "/.well-known/core", flood_core, 0.85, 0.5, false },
    { "/.well-known/core, 170 filters", flood_core_filters, 0.85, 0.5, false },
};
static const attack rederivation_attacks[] = {
    { "no flood", NULL, 0, 0, true },
    { "B.2 message 1", flood_rederivation, 0.5, 0.5, true },
};
enum { MAX_ATTACKS = sizeof attacks / sizeof *attacks };

/* ---- Servers ------------------------------------------------------------------------------------------------------------ */

static nacre_crypto crypto;
static nacre_table table;
static char parent[DIRECTORY_PATH];

static void enable_rederivation(nacre_endpoint *ep)
{
    static nacre_rederivation r;
    size_t size, align;
    bench_check(nacre_context_key_layout(&crypto, 0, &size, &align) == NACRE_OK, "no AES-CCM-16-64-128");
    r = (nacre_rederivation){ .material = flood_material(false), .is_server = true };
    r.derived.key_buf = (nacre_buf){ bench_alloc(size), size };
    r.spare.key_buf = (nacre_buf){ bench_alloc(size), size };
    bench_check(nacre_endpoint_add_rederivation(ep, &r) == NACRE_OK, "rederivation");
}

static process start(bool rederives)
{
    const serve_config config = { .kind = rederives ? SERVE_BATCHES : SERVE_WORKERS,
                                  .crypto = &crypto,
                                  .contexts = &table,
                                  .path = "/a",
                                  .num_workers = 1,
                                  .num_pairs = NUM_PAIRS,
                                  .parent = parent,
                                  .on_endpoint = rederives ? enable_rederivation : NULL };
    return serve_start(&config);
}

/* ---- Measuring ---------------------------------------------------------------------------------------------------------- */

typedef struct victim {
    process server;
    steady client;
    flood flood;
    double seconds; /* duration of the flood, from which its rate follows */
    double rates[MAX_ROUNDS];
} victim;

static void wait_ms(long ms)
{
    const struct timespec t = { .tv_nsec = ms * 1000000 };
    (void)nanosleep(&t, NULL);
}

/* Requests of the client, enough for `seconds` at the most that one core has been seen to do. */
static void make_requests(batch *requests, pair *pairs, double seconds)
{
    const batch_kind kind = { .path = "a", .con = true, .pairs = pairs, .num_pairs = 1, .crypto = &crypto };
    const double num = 200000 * seconds;
    batch_fill(requests, num < BATCH_MOST ? (size_t)num : BATCH_MOST, &kind);
}

static double measure_once(victim *v, const attack *a, batch *requests, pair *pairs, double seconds)
{
    make_requests(requests, pairs, seconds);
    if (a->write != NULL) flood_begin(&v->flood);
    wait_ms(20); /* until queues are as full as they get */
    const double rate = steady_run(&v->client, requests, seconds);
    if (a->write != NULL) flood_pause(&v->flood);
    wait_ms(20);
    v->seconds += seconds + 0.02;
    return rate;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(bench *b, const char *label, const attack *all, victim *victims, size_t num, size_t rounds)
{
    for (size_t i = 0; i < num; i++) {
        char name[64];
        double ratios[MAX_ROUNDS], rates[MAX_ROUNDS];
        for (size_t k = 0; k < rounds; k++) ratios[k] = victims[i].rates[k] / victims[0].rates[k];
        memcpy(rates, victims[i].rates, sizeof rates);
        qsort(rates, rounds, sizeof *rates, by_value);
        bench_value_of_rounds(b, label, all[i].name, rates[rounds / 2], "/s", i == 0 ? NULL : ratios, rounds,
                              victims[i].client.outstanding == 1 ? all[i].goal_of_one : all[i].goal);
        if (i == 0) continue;
        (void)snprintf(name, sizeof name, "%s: flood", all[i].name);
        bench_value(b, label, name, (double)*victims[i].flood.sent / victims[i].seconds, "/s", 0);
        (void)snprintf(name, sizeof name, "%s: lost", all[i].name);
        if (victims[i].client.lost > 0) bench_value(b, label, name, (double)victims[i].client.lost, "requests", 0);
    }
}

static void measure(bench *b, const char *label, const attack *all, size_t num, size_t outstanding, pair *pairs,
                    batch *requests)
{
    static victim victims[MAX_ATTACKS];
    const size_t rounds = bench_is_quick(b) ? 1 : ROUNDS;
    const double seconds = bench_is_quick(b) ? 0.05 : 0.5;
    if (!bench_wanted(b, label)) return;
    for (size_t i = 0; i < num; i++) {
        victims[i] = (victim){ .server = start(all[i].rederives) };
        victims[i].client = steady_open(victims[i].server.port, outstanding);
        if (all[i].write != NULL)
            victims[i].flood = flood_open(victims[i].server.port, all[i].write, pairs, &crypto, PROCESS_CLIENT_CORE);
        make_requests(requests, pairs, 0.1);
        (void)steady_run(&victims[i].client, requests, 0.1); /* the store is told of the window, pages are touched */
        victims[i].client.lost = 0;
    }
    for (size_t k = 0; k < rounds; k++)
        for (size_t i = 0; i < num; i++)
            victims[i].rates[k] = measure_once(&victims[i], &all[i], requests, pairs, seconds);
    report(b, label, all, victims, num, rounds);
    for (size_t i = 0; i < num; i++) {
        if (all[i].write != NULL) flood_close(&victims[i].flood);
        steady_close(&victims[i].client);
        process_stop(victims[i].server);
    }
}

int main(int argc, char **argv)
{
    bench *b = bench_start(argc, argv, "floods", "a good client while an attacker floods, over loopback UDP");
    bench_check(nacre_provider_open(&crypto) == NACRE_OK, "provider");
    batch requests = batch_open();
    pair *pairs = pairs_open(&crypto, NUM_PAIRS);
    serve_table(&table, pairs, NUM_PAIRS);
    process_pin(PROCESS_SERVER_CORE); /* the attackers have the client's */
    directory_make(parent);
    measure(b, "CON, 8 outstanding", attacks, MAX_ATTACKS, MAX_OUTSTANDING, pairs, &requests);
    measure(b, "CON, 1 outstanding", attacks, MAX_ATTACKS, 1, pairs, &requests);
    measure(b, "CON, 8 outstanding, B.2", rederivation_attacks, 2, MAX_OUTSTANDING, pairs, &requests);
    measure(b, "CON, 1 outstanding, B.2", rederivation_attacks, 2, 1, pairs, &requests);
    directory_remove(parent);
    serve_table_close(&table);
    pairs_close(pairs, NUM_PAIRS);
    batch_close(&requests);
    nacre_provider_close(&crypto);
    return bench_finish(b);
}
