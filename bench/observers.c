/* SPDX-License-Identifier: MIT */
/* observers: a resource changes and 10,000 observers are notified, each protected under a different context: against
 * the same unprotected, and against the bare cipher over as many bytes with as many keys. In memory: the server's
 * endpoint, from nacre_endpoint_changed to its datagrams; no sockets, whose cost `served` measures. */
#include "bench.h"
#include "net/pairs.h"
#include "net/serve.h"
#include "oscore/aad.h"

#include <stdlib.h>
#include <string.h>

enum { NUM_OBSERVERS = 10000, BURST = 32, BUF_SIZE = 1280, PAYLOAD = 16 };

static const uint8_t payload[PAYLOAD] = "sixteen bytes of";

/* ---- The observed side ------------------------------------------------------------------------------------------- */

typedef struct scene {
    nacre_endpoint *ep;
    void *memory;
    pair *pairs; /* one per observer; NULL: plain */
    nacre_observer *observers;
    uint8_t (*bufs)[BUF_SIZE]; /* BURST of them */
    uint64_t now_ms;
    nacre_datagram acks[BURST]; /* those of them that are CON */
    uint8_t ack_bytes[BURST][4];
    size_t num_acks;
} scene;

static void fill(void *self, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) out[i] = (uint8_t)bench_random(self);
}

static nacre_address address_of(size_t i)
{
    nacre_address a = { .len = 4 };
    pair_id(a.bytes, i);
    return a;
}

static void respond(const scene *s, nacre_exchange exchange)
{
    const nacre_message content = { .code = NACRE_CONTENT, .payload = NACRE_ARRAY(payload) };
    bench_check(nacre_endpoint_respond(s->ep, exchange, &content) == NACRE_OK, "respond");
}

/* The first notification is a CON, since its address is not validated (RFC 7641 7). */
static void note_ack(scene *s, const nacre_outgoing *out)
{
    if ((out->bytes.ptr[0] >> 4 & 3) != NACRE_CON) return;
    uint8_t *ack = s->ack_bytes[s->num_acks];
    memcpy(ack, (const uint8_t[]){ 0x60, 0, out->bytes.ptr[2], out->bytes.ptr[3] }, 4);
    s->acks[s->num_acks++] = (nacre_datagram){ .peer = out->peer, .bytes = nacre_bytes_of(ack, 4) };
}

/* Takes all datagrams to be sent; gives their number. */
static size_t transmit(scene *s)
{
    nacre_outgoing out[BURST];
    for (size_t i = 0; i < BURST; i++) out[i] = (nacre_outgoing){ .buf = { s->bufs[i], BUF_SIZE } };
    const size_t num = nacre_endpoint_transmit_many(s->ep, out, BURST, s->now_ms);
    s->num_acks = 0;
    for (size_t i = 0; i < num; i++) note_ack(s, &out[i]);
    return num;
}

static void register_one(scene *s, size_t i, const nacre_crypto *crypto)
{
    uint8_t buf[128], options[16], token[4];
    nacre_options o;
    nacre_request_id id;
    nacre_event event;
    nacre_datagram in = { .peer = address_of(i) };
    pair_id(token, i);
    nacre_message get = { .type = NACRE_NON, .code = NACRE_GET, .mid = (uint16_t)i, .token = NACRE_ARRAY(token) };
    get.payload = NACRE_ABSENT;
    nacre_options_init(&o, NACRE_BUF(options));
    nacre_options_add_uint(&o, NACRE_OPT_OBSERVE, 0);
    nacre_options_add(&o, NACRE_OPT_URI_PATH, NACRE_STR("a"));
    bench_check(nacre_options_finish(&o, &get.options) == NACRE_OK, "options");
    const nacre_err err = s->pairs == NULL ? nacre_message_write(&get, &in.bytes, NACRE_BUF(buf))
                                           : nacre_protect_request(&s->pairs[i].client, crypto, &id, &in.bytes,
                                                                   NACRE_BUF(buf), &get, NULL);
    bench_check(err == NACRE_OK && nacre_endpoint_receive_many(s->ep, &in, 1, s->now_ms) == 1 &&
                    nacre_endpoint_next_event(s->ep, &event) && event.kind == NACRE_EVENT_REQUEST &&
                    nacre_endpoint_observe(s->ep, &s->observers[i], event.exchange, NULL) == NACRE_OK,
                "a registration");
    respond(s, event.exchange);
    bench_check(transmit(s) == 1, "an answer");
}

static void open_scene(scene *s, const nacre_crypto *crypto, const nacre_table *table, pair *pairs)
{
    static uint64_t chance;
    const nacre_endpoint_config config = { .crypto = *crypto,
                                           .contexts = table,
                                           .random = { fill, &chance },
                                           .observe.num_observers = NUM_OBSERVERS,
                                           .observe.observer_bytes = 32,
                                           .num_transmissions = BURST,
                                           .burst = BURST };
    const size_t size = nacre_endpoint_size(&config);
    *s = (scene){ .memory = bench_alloc(size), .pairs = pairs, .now_ms = 1000 };
    s->observers = bench_alloc(NUM_OBSERVERS * sizeof *s->observers);
    s->bufs = bench_alloc((size_t)BURST * BUF_SIZE);
    bench_check(nacre_endpoint_init(&s->ep, s->memory, size, &config) == NACRE_OK, "an endpoint");
    for (size_t i = 0; i < NUM_OBSERVERS; i++) register_one(s, i, crypto);
}

static void close_scene(scene *s)
{
    nacre_endpoint_wipe(s->ep);
    free(s->memory);
    free(s->observers);
    free(s->bufs);
}

static size_t tell_some(scene *s)
{
    nacre_event event;
    size_t told = 0;
    for (; nacre_endpoint_next_event(s->ep, &event); told++) {
        bench_check(event.kind == NACRE_EVENT_NOTIFY, "an event that is none of ours");
        respond(s, event.exchange);
    }
    return told;
}

/* Notifies all observers, n / NUM_OBSERVERS times. */
static void run_scene(void *arg, size_t n)
{
    scene *s = arg;
    for (size_t done = 0; done < n; done += NUM_OBSERVERS) {
        size_t told = 0, sent = 0, before;
        s->now_ms++;
        for (size_t i = 0; i < NUM_OBSERVERS; i++) nacre_endpoint_changed(s->ep, s->observers[i]);
        do {
            before = told + sent;
            told += tell_some(s);
            sent += transmit(s);
            if (s->num_acks > 0) {
                told += tell_some(s); /* nothing is received while events are pending */
                (void)nacre_endpoint_receive_many(s->ep, s->acks, s->num_acks, s->now_ms);
            }
        } while (told + sent > before);
        bench_check(told == NUM_OBSERVERS && sent == NUM_OBSERVERS, "an observer was not notified");
    }
}

/* ---- The bare cipher --------------------------------------------------------------------------------------------- */

typedef struct bare {
    const nacre_crypto *crypto;
    uint8_t *keys; /* one per observer, because reading the keys is part of the cost */
    size_t key_size, burst;
    uint64_t count;
    uint8_t aad[NACRE_MAX_AAD];
    size_t aad_len, len; /* of code, an empty Observe, and the payload with its marker */
} bare;

static void open_bare(bare *b, const nacre_crypto *crypto, size_t burst)
{
    static const uint8_t kid[4] = { 1 }, partial_iv[3] = { 1, 2, 3 };
    const nacre_aead *aead = nacre_aead_by_number(NACRE_AES_CCM_16_64_128);
    size_t align;
    *b = (bare){ .crypto = crypto, .burst = burst, .len = 1 + 1 + 1 + PAYLOAD };
    bench_check(crypto->ops->key_layout(aead, &b->key_size, &align), "no AES-CCM-16-64-128");
    b->key_size = (b->key_size + align - 1) / align * align;
    b->keys = bench_alloc(NUM_OBSERVERS * b->key_size);
    for (size_t i = 0; i < NUM_OBSERVERS; i++) {
        uint8_t bytes[16];
        pair_secret(bytes, i);
        bench_check(crypto->ops->key_init(crypto, aead, NACRE_SEAL, b->keys + i * b->key_size, bytes) == NACRE_OK,
                    "key");
    }
    b->aad_len = nacre__aad(b->aad, NACRE_AES_CCM_16_64_128, NACRE_ARRAY(kid), NACRE_ARRAY(partial_iv));
}

static void close_bare(bare *b)
{
    const nacre_aead *aead = nacre_aead_by_number(NACRE_AES_CCM_16_64_128);
    for (size_t i = 0; i < NUM_OBSERVERS; i++)
        b->crypto->ops->key_release(aead, b->keys + i * b->key_size, b->key_size);
    free(b->keys);
}

static void run_bare(void *arg, size_t n)
{
    bare *b = arg;
    const nacre_aead *aead = nacre_aead_by_number(NACRE_AES_CCM_16_64_128);
    uint8_t nonces[BURST][16] = { { 0 } }, out[BURST][64];
    static const uint8_t plaintext[32];
    nacre_aead_job jobs[BURST], *list[BURST];
    bool ok = true;
    for (size_t from = 0; from < n; from += b->burst) {
        for (size_t i = 0; i < b->burst; i++) {
            b->count++;
            memcpy(nonces[i] + 5, &b->count, sizeof b->count);
            jobs[i] = (nacre_aead_job){ .aead = aead,
                                        .key = b->keys + (from + i) % NUM_OBSERVERS * b->key_size,
                                        .nonce = nonces[i],
                                        .aad = nacre_bytes_of(b->aad, b->aad_len),
                                        .in = plaintext,
                                        .in_len = b->len,
                                        .out = out[i] };
            list[i] = &jobs[i];
        }
        b->crypto->ops->seal_many(b->crypto, list, b->burst);
        for (size_t i = 0; i < b->burst; i++) ok = jobs[i].ok && ok;
    }
    bench_check(ok, "bare cipher");
}

int main(int argc, char **argv)
{
    static const char label[] = "10,000 observers";
    bench *b = bench_start(argc, argv, "observers", "one change told to 10,000 observers, in memory, 16 B of payload");
    nacre_crypto crypto;
    nacre_table table;
    scene plain, protected;
    bare one, burst;
    if (!bench_wanted(b, label)) return bench_finish(b);
    bench_check(nacre_provider_open(&crypto) == NACRE_OK, "provider");
    pair *pairs = pairs_open(&crypto, NUM_OBSERVERS);
    serve_table(&table, pairs, NUM_OBSERVERS);
    open_scene(&plain, &crypto, NULL, NULL);
    open_scene(&protected, &crypto, &table, pairs);
    open_bare(&one, &crypto, 1);
    open_bare(&burst, &crypto, BURST);
    const bench_case cases[] = {
        { .name = "bare cipher, bursts of 32", .run = run_bare, .arg = &burst, .step = BURST },
        { .name = "bare cipher, one by one", .run = run_bare, .arg = &one },
        { .name = "plain notification", .run = run_scene, .arg = &plain, .step = NUM_OBSERVERS },
        { .name = "protected notification", .run = run_scene, .arg = &protected, .step = NUM_OBSERVERS },
    };
    bench_compare(b, label, cases, sizeof cases / sizeof cases[0]);
    const bench_case against_plain[] = { cases[2], cases[3] };
    bench_compare(b, "10,000 observers, protected against plain", against_plain, 2);
    close_bare(&one);
    close_bare(&burst);
    close_scene(&plain);
    close_scene(&protected);
    serve_table_close(&table);
    pairs_close(pairs, NUM_OBSERVERS);
    nacre_provider_close(&crypto);
    return bench_finish(b);
}
