/* SPDX-License-Identifier: MIT */
/* crowd: requests under 1,000,000 contexts against requests under 1,000, served over loopback by one core. Each request
 * uses a random context, so that with many contexts hardly any is in a cache. */
#include "bench.h"
#include "net/load_case.h"
#include "net/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUM_FLOWS = 1000, OUTSTANDING = 64, FIRST_SEQ = 70000 /* 3 bytes, always */ };

static nacre_crypto crypto;

/* ---- The server's contexts --------------------------------------------------------------------------------------- */

static nacre_table table; /* in the servers' processes, each with its number of contexts */

/* Context number `i` of either side, in `keys`; each has a different secret. */
static void make_context(nacre_context *ctx, nacre_buf keys, size_t i, bool is_client, uint64_t seq)
{
    uint8_t secret[16], id[4];
    pair_secret(secret, i);
    pair_id(id, i);
    nacre_context_params params = { .master_secret.bytes = NACRE_ARRAY(secret),
                                    .sender_id = NACRE_ARRAY(id),
                                    .recipient_id = NACRE_STR(PAIR_SERVER_ID),
                                    .window = 64,
                                    .next_seq = seq };
    if (!is_client) params.sender_id = NACRE_STR(PAIR_SERVER_ID);
    if (!is_client) params.recipient_id = NACRE_ARRAY(id);
    bench_check(nacre_context_init(ctx, &crypto, &params, keys) == NACRE_OK, "no context");
}

static void make_crowd(const void *of)
{
    const size_t num = *(const size_t *)of;
    size_t size, align, num_slots = 16;
    bench_check(nacre_context_key_layout(&crypto, 0, &size, &align) == NACRE_OK, "no AES-CCM-16-64-128");
    const size_t keys_at = (sizeof(nacre_context) + align - 1) / align * align;
    const size_t stride = (keys_at + size + align - 1) / align * align;
    uint8_t *memory = bench_alloc(num * stride); /* contexts, each followed by its keys */
    while (num > num_slots / 4 * 3) num_slots *= 2;
    bench_check(nacre_table_init(&table, bench_alloc(num_slots * sizeof(nacre_table_slot)), num_slots) == NACRE_OK,
                "no table");
    for (size_t i = 0; i < num; i++) {
        nacre_context *ctx = (nacre_context *)(void *)(memory + i * stride);
        make_context(ctx, (nacre_buf){ memory + i * stride + keys_at, size }, i, false, 0);
        bench_check(nacre_table_add(&table, ctx) == NACRE_OK, "table full");
    }
}

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

static uint64_t next_seq = FIRST_SEQ, chance;

/* Each request comes from a client made for it. Numbers rise over all contexts, and so for each one. */
static void make_requests(const load_case *a, size_t num)
{
    const size_t *num_contexts = a->of;
    size_t size, align;
    pair one;
    batch_kind kind = a->kind;
    kind.pairs = &one;
    kind.num_pairs = 1;
    bench_check(nacre_context_key_layout(&crypto, 0, &size, &align) == NACRE_OK, "no AES-CCM-16-64-128");
    const nacre_buf keys = { bench_alloc(size), size };
    batch_start(a->batch);
    for (size_t i = 0; i < num; i++) {
        make_context(&one.client, keys, (size_t)(bench_random(&chance) % *num_contexts), true, next_seq++);
        batch_add(a->batch, &kind);
        nacre_context_wipe(&one.client);
    }
    free(keys.ptr);
}

/* ---- Measuring --------------------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    static const size_t nums[] = { 1000, 100000, 1000000 };
    static const char *const names[] = { "1,000 contexts", "100,000 contexts", "1,000,000 contexts" };
    enum { MOST = sizeof nums / sizeof nums[0] };
    static const char label[] = "NON, 64 outstanding, 1000 flows";
    bench *b = bench_start(argc, argv, "crowd", "requests of many contexts, served over loopback UDP");
    if (!bench_wanted(b, label)) return bench_finish(b);
    bench_check(nacre_provider_open(&crypto) == NACRE_OK, "provider");
    /* OpenSSL allocates some two KiB more per context, and a million take seconds to make. */
    const bool all = strcmp(crypto.ops->name, "ipsec_mb") == 0 && !bench_is_quick(b);
    const size_t num = all ? MOST : MOST - 1;
    if (!all) (void)fputs("bench: 1,000,000 contexts: only with the provider ipsec_mb, and not with --quick\n", stderr);
    load_case load_cases[MOST];
    bench_case cases[MOST];
    batch buf = batch_open();
    process_pin(PROCESS_CLIENT_CORE);
    for (size_t i = 0; i < num; i++) {
        const serve_config config = { .kind = SERVE_BATCHES,
                                      .crypto = &crypto,
                                      .contexts = &table,
                                      .begin = make_crowd,
                                      .of = &nums[i],
                                      .path = "/a" };
        const process server = serve_start(&config);
        const batch_kind kind = { .path = "a", .crypto = &crypto };
        const load_config how = { .port = server.port, .flows = NUM_FLOWS, .outstanding = OUTSTANDING, .coap = true };
        load_cases[i] = load_case_open(server, &how, &buf, &kind);
        load_cases[i].make = make_requests;
        load_cases[i].of = &nums[i];
        cases[i] = load_case_bench(names[i], &load_cases[i], i == MOST - 1 ? 1 / 0.7 : 0);
    }
    bench_compare(b, label, cases, num);
    load_case_report(b, label, cases, num);
    for (size_t i = 0; i < num; i++) {
        load_case_close(&load_cases[i]);
        process_stop(load_cases[i].server);
    }
    batch_close(&buf);
    nacre_provider_close(&crypto);
    return bench_finish(b);
}
