/* SPDX-License-Identifier: MIT */
/* crowd: requests of 1,000,000 contexts against requests of 1,000, served over loopback by one core: each request is of a
 * context picked at random, so that of many hardly any is in a cache. */
#include "bench.h"
#include "net/ask.h"
#include "net/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUM_FLOWS = 1000, OUTSTANDING = 64, FIRST_SEQ = 70000 /* 3 bytes, always */ };

static nacre_crypto crypto;

/* ---- The server's contexts -------------------------------------------------------------------------------------------- */

static nacre_table table; /* in the servers' processes, each with its own number of contexts */

static void make_context(nacre_context *ctx, nacre_room keys, nacre_bytes mine, nacre_bytes theirs)
{
    uint8_t secret[16];
    pair_secret(secret, 0);
    const nacre_context_params params = { .master_secret.bytes = NACRE_ARRAY(secret),
                                          .sender_id = mine,
                                          .recipient_id = theirs,
                                          .window = 64,
                                          .next_seq = FIRST_SEQ };
    bench_check(nacre_context_init(ctx, &crypto, &params, keys) == NACRE_OK, "no context");
}

/* One context is derived, and the others are copies under other IDs: that is not how contexts are made, but in memory they
 * lie as if they had been. Only with keys that are plain memory. */
static void make_crowd(const void *of)
{
    const size_t num = *(const size_t *)of;
    size_t size, align, num_slots = 16;
    uint8_t id[4];
    bench_check(nacre_context_key_room(&crypto, 0, &size, &align) == NACRE_OK, "no AES-CCM-16-64-128");
    const size_t keys_at = (sizeof(nacre_context) + align - 1) / align * align;
    const size_t stride = (keys_at + size + align - 1) / align * align;
    uint8_t *memory = bench_alloc(num * stride); /* contexts, each with its keys behind it */
    while (num > num_slots / 4 * 3) num_slots *= 2;
    bench_check(nacre_table_init(&table, bench_alloc(num_slots * sizeof(nacre_table_slot)), num_slots) == NACRE_OK,
                "no table");
    pair_id(id, 0);
    make_context((nacre_context *)(void *)memory, (nacre_room){ memory + keys_at, size }, NACRE_STR(PAIR_SERVER_ID),
                 NACRE_ARRAY(id));
    for (size_t i = 0; i < num; i++) {
        nacre_context *ctx = (nacre_context *)(void *)(memory + i * stride);
        if (i > 0) memcpy(ctx, memory, stride);
        pair_id(ctx->recipient_id, i);
        ctx->keys = (uint8_t *)ctx + keys_at;
        bench_check(nacre_table_add(&table, ctx) == NACRE_OK, "table full");
    }
}

/* ---- Requests --------------------------------------------------------------------------------------------------------- */

/* The one client of all contexts: their keys are the same, only its Sender ID changes. */
static struct client {
    nacre_context ctx;
    nacre_room keys;
    uint64_t seq, random;
} client;

static void open_client(void)
{
    size_t size, align;
    uint8_t id[4];
    pair_id(id, 0);
    bench_check(nacre_context_key_room(&crypto, 0, &size, &align) == NACRE_OK, "no keys");
    client.keys = (nacre_room){ bench_alloc(size), size };
    make_context(&client.ctx, client.keys, NACRE_ARRAY(id), NACRE_STR(PAIR_SERVER_ID));
    client.seq = FIRST_SEQ;
}

/* Numbers go up over all contexts, so they do for each. */
static void make_requests(const ask *a, size_t num)
{
    const size_t *num_contexts = a->of;
    batch_kind kind = a->kind;
    pair one = { .client = client.ctx };
    kind.pairs = &one;
    kind.num_pairs = 1;
    batch_start(a->batch);
    for (size_t i = 0; i < num; i++) {
        pair_id(one.client.sender_id, (size_t)(bench_random(&client.random) % *num_contexts));
        one.client.next = client.seq++;
        batch_add(a->batch, &kind);
    }
}

/* ---- Measuring -------------------------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    static const size_t nums[] = { 1000, 100000, 1000000 };
    static const char *const names[] = { "1,000 contexts", "100,000 contexts", "1,000,000 contexts" };
    enum { NUM = sizeof nums / sizeof nums[0] };
    static const char label[] = "NON, 64 outstanding, 1000 flows";
    bench *b = bench_start(argc, argv, "crowd", "requests of many contexts, served over loopback UDP");
    if (nacre_ipsec_mb_open(&crypto) != NACRE_OK) {
        (void)fputs("bench: crowd needs keys in plain memory, so the provider ipsec_mb, which is not here\n", stderr);
        return bench_finish(b);
    }
    if (!bench_wanted(b, label)) return bench_finish(b);
    ask asks[NUM];
    bench_case cases[NUM];
    batch room = batch_open();
    process_pin(PROCESS_CLIENT_CORE);
    open_client();
    for (size_t i = 0; i < NUM; i++) {
        const serve_config config = {
            .kind = SERVE_RUNS, .crypto = &crypto, .contexts = &table, .begin = make_crowd, .of = &nums[i], .path = "/a"
        };
        const process server = serve_start(&config);
        const batch_kind kind = { .path = "a", .crypto = &crypto };
        const load_config how = { .port = server.port, .flows = NUM_FLOWS, .outstanding = OUTSTANDING, .coap = true };
        asks[i] = ask_open(server, &how, &room, &kind);
        asks[i].make = make_requests;
        asks[i].of = &nums[i];
        cases[i] = ask_case(names[i], &asks[i], i == NUM - 1 ? 1 / 0.7 : 0);
    }
    bench_compare(b, label, cases, NUM);
    ask_report(b, label, cases, NUM);
    for (size_t i = 0; i < NUM; i++) {
        ask_close(&asks[i]);
        process_stop(asks[i].server);
    }
    nacre_context_wipe(&client.ctx);
    free(client.keys.ptr);
    batch_close(&room);
    nacre_ipsec_mb_close(&crypto);
    return bench_finish(b);
}
