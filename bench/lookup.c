/* SPDX-License-Identifier: MIT */
/* lookup: finding the context of a request among 1 to 1,000,000 contexts, by known and unknown kids, one by one and 32
 * at once; then finding and decrypting the request. The same with one kid for all contexts and a different ID Context
 * each. The baseline is one dependent random read in memory per lookup, over as many contexts, which every table needs.
 * Also the size of a context in bytes. */
#include "bench.h"
#include <nacre/nacre.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BURST = 32, MAX_QUERIES = 4096, FIRST_SEQ = 70000 };

static nacre_crypto crypto;

/* All contexts of one size of the population, each followed by its keys. */
typedef struct crowd {
    size_t num, stride, keys_at;
    bool one_kid;   /* all have the same kid, and different ID Contexts */
    bool scattered; /* kids in a scattered order */
    uint8_t *memory;
    uint8_t (*id_contexts)[4];
    nacre_table table;
    nacre_table_slot *slots;
    uint32_t next[MAX_QUERIES]; /* kids to look up */
    uint64_t random;
    bool known;
    /* Protected requests for next[]. */
    nacre_message outer[MAX_QUERIES];
    uint8_t (*datagrams)[64];
} crowd;

static nacre_context *context_at(const crowd *c, size_t i)
{
    return (nacre_context *)(void *)(c->memory + i * c->stride);
}

/* Each number below 2^24 once, in a scattered order: a multiplication spreads a counter evenly. */
static uint32_t scatter(uint32_t i)
{
    i = i * 0x9e3779b1 & 0xffffff;
    return (i ^ i >> 11) * 0x2c1b3c6d & 0xffffff;
}

/* Kids or ID Contexts of four bytes: a counter, scattered or not, or an unknown one. */
static void kid_of(uint8_t kid[4], const crowd *c, uint32_t i, bool known)
{
    if (c->scattered) i = scatter(i);
    kid[0] = known ? 0x10 : 0x77;
    kid[1] = (uint8_t)(i >> 16);
    kid[2] = (uint8_t)(i >> 8);
    kid[3] = (uint8_t)i;
}

/* The lookup keys of a request: its own kid; or the shared kid and its own kid context. */
static void look_up(nacre_table_query *q, const crowd *c, uint8_t bytes[4], uint32_t i)
{
    static const uint8_t kid_of_all[4] = { 0x10 };
    kid_of(bytes, c, i, c->known);
    q->kid = nacre_bytes_of(c->one_kid ? kid_of_all : bytes, 4);
    q->kid_context = nacre_bytes_of(c->one_kid ? bytes : NULL, c->one_kid ? 4 : 0);
    q->cursor = 0;
}

static void make_context(nacre_context *ctx, nacre_buf keys, nacre_bytes local, nacre_bytes peer)
{
    uint8_t secret[16] = { 7 };
    nacre_context_params params = {
        .master_secret.bytes = NACRE_ARRAY(secret), .sender_id = local, .recipient_id = peer, .next_seq = FIRST_SEQ
    };
    bench_check(nacre_context_init(ctx, &crypto, &params, keys) == NACRE_OK, "no context");
}

/* One context is derived, and the others are copies under other IDs: the layout in memory is as if each had been
 * derived. Only for keys in plain memory. */
static void open_crowd(crowd *c, size_t num, bool one_kid, bool scattered)
{
    size_t size, align, num_slots = nacre_table_num_slots(num);
    bench_check(nacre_context_key_layout(&crypto, 0, &size, &align) == NACRE_OK, "no AES-CCM-16-64-128");
    memset(c, 0, sizeof *c);
    c->num = num;
    c->one_kid = one_kid;
    c->scattered = scattered;
    c->keys_at = (sizeof(nacre_context) + align - 1) / align * align;
    c->stride = (c->keys_at + size + align - 1) / align * align;
    c->memory = bench_alloc(num * c->stride);
    c->datagrams = bench_alloc(sizeof(uint8_t[MAX_QUERIES][64]));
    c->id_contexts = bench_alloc(num * sizeof *c->id_contexts);
    c->slots = bench_alloc(num_slots * sizeof *c->slots);
    bench_check(nacre_table_init(&c->table, c->slots, num_slots) == NACRE_OK, "no table");
    uint8_t kid[4];
    kid_of(kid, c, 0, true);
    make_context(context_at(c, 0), (nacre_buf){ c->memory + c->keys_at, size }, NACRE_STR("s"), NACRE_ARRAY(kid));
    for (size_t i = 0; i < num; i++) {
        nacre_context *ctx = context_at(c, i);
        if (i > 0) memcpy(ctx, c->memory, c->stride);
        kid_of(one_kid ? c->id_contexts[i] : ctx->recipient_id, c, (uint32_t)i, true);
        ctx->id_context = one_kid ? c->id_contexts[i] : NULL;
        ctx->id_context_len = one_kid ? 4 : 0;
        ctx->keys = (uint8_t *)ctx + c->keys_at;
        bench_check(nacre_table_add(&c->table, ctx) == NACRE_OK, "table full");
    }
}

static void close_crowd(crowd *c)
{
    free(c->memory);
    free(c->id_contexts);
    free(c->slots);
    free(c->datagrams);
}

/* ---- Cases ---- */

static void choose(crowd *c, size_t n, bool known)
{
    c->known = known;
    for (size_t i = 0; i < n; i++) c->next[i] = (uint32_t)(bench_random(&c->random) % c->num);
}

static void choose_known(void *arg, size_t n)
{
    choose(arg, n, true);
}

static void choose_unknown(void *arg, size_t n)
{
    choose(arg, n, false);
}

/* Each index depends on the previous read, so that reads cannot overlap, just as lookups whose result decides the next
 * step. */
static void run_reads(void *arg, size_t n)
{
    crowd *c = arg;
    size_t last = 0;
    for (size_t i = 0; i < n; i++) {
        const volatile uint8_t *at = c->memory + ((c->next[i] + last) % c->num) * c->stride;
        last = at[sizeof(nacre_context) - 1] & 1u;
    }
}

static void run_find(void *arg, size_t n)
{
    crowd *c = arg;
    size_t last = 0, found = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t bytes[4];
        nacre_table_query q;
        look_up(&q, c, bytes, (uint32_t)((c->next[i] + last) % c->num));
        const nacre_context *ctx = nacre_table_find(&c->table, q.kid, q.kid_context, &q.cursor);
        found += ctx != NULL;
        last = ctx != NULL && ctx->recipient_id_len == 1; /* never true, but keeps the read */
    }
    bench_check(found == (c->known ? n : 0), "a search went wrong");
}

static void run_find_many(void *arg, size_t n)
{
    crowd *c = arg;
    size_t found = 0;
    for (size_t from = 0; from + BURST <= n; from += BURST) {
        nacre_table_query queries[BURST];
        uint8_t bytes[BURST][4];
        for (size_t i = 0; i < BURST; i++) look_up(&queries[i], c, bytes[i], c->next[from + i]);
        nacre_table_find_many(&c->table, queries, BURST);
        for (size_t i = 0; i < BURST; i++)
            found += queries[i].context != NULL && queries[i].context->recipient_id_len == 4;
    }
    bench_check(found == (c->known ? n : 0), "a search went wrong");
}

/* A request from each client: with its own kid, and the key that all share here. */
static void make_requests(void *arg, size_t n)
{
    crowd *c = arg;
    static nacre_context client;
    static nacre_buf keys;
    static uint64_t seq;
    static uint8_t payload[16];
    uint8_t kid[4];
    kid_of(kid, c, 0, true);
    if (keys.ptr == NULL) {
        size_t size, align;
        bench_check(nacre_context_key_layout(&crypto, 0, &size, &align) == NACRE_OK, "no keys");
        keys = (nacre_buf){ bench_alloc(size), size };
        make_context(&client, keys, NACRE_ARRAY(kid), NACRE_STR("s"));
        seq = client.next;
    }
    choose(c, n, true);
    nacre_message plain = { .type = NACRE_NON, .code = NACRE_POST, .payload = NACRE_ARRAY(payload) };
    for (size_t i = 0; i < n; i++) {
        nacre_request_id id;
        nacre_bytes sent;
        nacre_table_query q;
        look_up(&q, c, kid, c->next[i]);
        memcpy(client.sender_id, q.kid.ptr, q.kid.len);
        client.id_context = q.kid_context.ptr;
        client.id_context_len = (uint8_t)q.kid_context.len;
        client.next = seq++;
        bench_check(nacre_protect_request(&client, &crypto, &id, &sent, (nacre_buf){ c->datagrams[i], 64 }, &plain,
                                          NULL) == NACRE_OK,
                    "protect");
        bench_check(nacre_message_parse(&c->outer[i], sent) == NACRE_OK, "parse");
    }
}

static void run_requests(void *arg, size_t n)
{
    crowd *c = arg;
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        nacre_oscore_option option;
        nacre_message plain;
        nacre_request_id id;
        uint8_t buf[64];
        size_t cursor = 0;
        bench_check(nacre_verify_start(&option, &c->outer[i]) == NACRE_OK, "option");
        nacre_context *ctx = nacre_table_find(&c->table, option.kid, option.kid_context, &cursor);
        ok = ok && ctx != NULL &&
             nacre_unprotect_request(ctx, &crypto, &id, &plain, NACRE_BUF(buf), &c->outer[i]) == NACRE_OK;
    }
    bench_check(ok, "unprotect");
}

static void run_request_bursts(void *arg, size_t n)
{
    crowd *c = arg;
    bool ok = true;
    for (size_t from = 0; from + BURST <= n; from += BURST) {
        nacre_table_query queries[BURST];
        nacre_unprotect_item items[BURST];
        nacre_request_id ids[BURST];
        uint8_t bufs[BURST][64];
        for (size_t i = 0; i < BURST; i++) {
            nacre_oscore_option option;
            bench_check(nacre_verify_start(&option, &c->outer[from + i]) == NACRE_OK, "option");
            queries[i] = (nacre_table_query){ option.kid, option.kid_context, 0, NULL };
        }
        nacre_table_find_many(&c->table, queries, BURST);
        for (size_t i = 0; i < BURST; i++) {
            bench_check(queries[i].context != NULL, "unknown");
            items[i].context = queries[i].context;
            items[i].id = &ids[i];
            items[i].buf = (nacre_buf){ bufs[i], sizeof bufs[i] };
            items[i].outer = &c->outer[from + i];
            items[i].is_response = false;
        }
        nacre_unprotect_many(&crypto, items, BURST);
        for (size_t i = 0; i < BURST; i++) ok = ok && items[i].err == NACRE_OK;
    }
    bench_check(ok, "unprotect");
}

static void measure(bench *b, size_t num, bool one_kid, bool scattered)
{
    static crowd c;
    char label[64];
    snprintf(label, sizeof label, one_kid ? "one kid, %zu ID Context%s%s" : "%zu context%s%s", num, num == 1 ? "" : "s",
             scattered ? ", scattered kids" : "");
    if (!bench_wanted(b, label)) return;
    open_crowd(&c, num, one_kid, scattered);
    const bench_case cases[] = {
        { "one read of memory", choose_known, run_reads, &c, MAX_QUERIES, 0, false, 0, false },
        { "known kid", choose_known, run_find, &c, MAX_QUERIES, 0, false, 0, false },
        { "unknown kid", choose_unknown, run_find, &c, MAX_QUERIES, 0, false, 0, false },
        { "known kids, 32 at once", choose_known, run_find_many, &c, MAX_QUERIES, BURST, false, 0, false },
        { "unknown kids, 32 at once", choose_unknown, run_find_many, &c, MAX_QUERIES, BURST, false, 0, false },
        { "request found and opened", make_requests, run_requests, &c, MAX_QUERIES, 0, false, 0, false },
        { "requests, 32 at once", make_requests, run_request_bursts, &c, MAX_QUERIES, BURST, false, 0, false },
    };
    bench_compare(b, label, cases, sizeof cases / sizeof cases[0]);
    bench_value(b, label, "memory for each",
                (double)(num * c.stride + c.table.num_slots * sizeof *c.slots) / (double)num, "B", num == 1 ? 0 : 448);
    close_crowd(&c);
}

int main(int argc, char **argv)
{
    bench *b = bench_start(argc, argv, "lookup", "finding contexts by kid, with AES-CCM-16-64-128 keys prepared");
    if (nacre_ipsec_mb_open(&crypto) != NACRE_OK) {
        fputs("bench: lookup needs keys in plain memory, so the provider ipsec_mb, which is not here\n", stderr);
        return bench_finish(b);
    }
    static const size_t nums[] = { 1, 64, 1000, 10000, 100000, 1000000 };
    for (size_t i = 0; i < sizeof nums / sizeof nums[0]; i++) measure(b, nums[i], false, false);
    measure(b, 1000, false, true);
    measure(b, 1000000, false, true);
    measure(b, 10000, true, false);
    measure(b, 1000000, true, false);
    nacre_ipsec_mb_close(&crypto);
    return bench_finish(b);
}
