/* SPDX-License-Identifier: MIT */
/* protect: what OSCORE costs on top of its cipher. The baseline is the same provider's AEAD over as many bytes of
 * plaintext and AAD, with a prepared key and a new nonce for each message: a careful direct use of the library. One by
 * one with one pair of contexts; in bursts with 64, so that keys differ. */
#include "protect.h"
#include "context/fields.h"
#include "oscore/aad.h"
#include <nacre/nacre.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_CONTEXTS = 64,
    MAX_MESSAGES = 256,
    BUF_SIZE = 1152,
    MAX_PAYLOAD = 1024,
    FIRST_SEQ = 70000 /* 3 bytes, always */
};

typedef struct pair {
    nacre_context client, server;
    nacre_buf keys[2];
} pair;

/* One message: the inputs of a call, and the outputs of the call before it. */
typedef struct slot {
    nacre_request_id at_client, at_server;
    nacre_message outer;
    uint8_t *datagram, *buf; /* BUFFER bytes each */
    nacre_bytes sealed;
} slot;

typedef struct stage {
    const nacre_crypto *crypto;
    size_t num_pairs;
    pair *pairs;
    slot *slots;
    nacre_message request, response;
    uint8_t payload[MAX_PAYLOAD];
} stage;

typedef enum operation { PROTECT_REQUEST, UNPROTECT_REQUEST, PROTECT_RESPONSE, UNPROTECT_RESPONSE } operation;
static const char *const operation_names[] = { "protect request", "unprotect request", "protect response",
                                               "unprotect response" };

/* One case: an operation on a stage, in bursts or (0) one by one. */
typedef struct work {
    stage *on;
    operation what;
    size_t burst;
} work;

/* ---- The stage ---- */

static nacre_buf buf_of(size_t size)
{
    return (nacre_buf){ bench_alloc(size), size };
}

static void make_context(const stage *s, nacre_context *ctx, nacre_buf *keys, uint8_t local, uint8_t peer, uint8_t key)
{
    uint8_t secret[16] = { 1, 2, 3, key };
    nacre_context_params params = { .master_secret.bytes = NACRE_ARRAY(secret),
                                    .sender_id = { &local, 1 },
                                    .recipient_id = { &peer, 1 },
                                    .next_seq = FIRST_SEQ };
    size_t size, align;
    bench_check(nacre_context_key_layout(s->crypto, 0, &size, &align) == NACRE_OK, "no AES-CCM-16-64-128");
    *keys = buf_of(size);
    bench_check(nacre_context_init(ctx, s->crypto, &params, *keys) == NACRE_OK, "no context");
}

static void open_stage(stage *s, const nacre_crypto *crypto, size_t num_pairs)
{
    memset(s, 0, sizeof *s);
    s->crypto = crypto;
    s->num_pairs = num_pairs;
    s->pairs = bench_alloc(num_pairs * sizeof *s->pairs);
    s->slots = bench_alloc(MAX_MESSAGES * sizeof *s->slots);
    for (size_t i = 0; i < num_pairs; i++) {
        make_context(s, &s->pairs[i].client, &s->pairs[i].keys[0], 1, 2, (uint8_t)i);
        make_context(s, &s->pairs[i].server, &s->pairs[i].keys[1], 2, 1, (uint8_t)i);
    }
    for (size_t i = 0; i < MAX_MESSAGES; i++) {
        s->slots[i].datagram = bench_alloc(BUF_SIZE);
        s->slots[i].buf = bench_alloc(BUF_SIZE);
    }
}

static void close_stage(stage *s)
{
    for (size_t i = 0; i < s->num_pairs; i++) {
        nacre_context_wipe(&s->pairs[i].client);
        nacre_context_wipe(&s->pairs[i].server);
        free(s->pairs[i].keys[0].ptr);
        free(s->pairs[i].keys[1].ptr);
    }
    for (size_t i = 0; i < MAX_MESSAGES; i++) {
        free(s->slots[i].datagram);
        free(s->slots[i].buf);
    }
    free(s->slots);
    free(s->pairs);
}

/* POST /sensors/temp and 2.04 with a Content-Format, with a token of two bytes and a payload of the given size. */
static void set_payload(stage *s, size_t len)
{
    static uint8_t request_options[32], response_options[32];
    static const uint8_t token[2] = { 0x4a, 0x7f };
    nacre_options o;
    nacre_message m = { .type = NACRE_NON, .code = NACRE_POST, .mid = 7, .token = NACRE_ARRAY(token) };
    m.payload = nacre_bytes_of(s->payload, len);
    nacre_options_init(&o, NACRE_BUF(request_options));
    nacre_options_add(&o, NACRE_OPT_URI_PATH, NACRE_STR("sensors"));
    nacre_options_add(&o, NACRE_OPT_URI_PATH, NACRE_STR("temp"));
    bench_check(nacre_options_finish(&o, &m.options) == NACRE_OK, "options");
    s->request = m;
    m.code = NACRE_CHANGED;
    nacre_options_init(&o, NACRE_BUF(response_options));
    nacre_options_add_uint(&o, NACRE_OPT_CONTENT_FORMAT, 60);
    bench_check(nacre_options_finish(&o, &m.options) == NACRE_OK, "options");
    s->response = m;
}

/* ---- nacre, one by one ---- */

static pair *pair_of(const stage *s, size_t i)
{
    return &s->pairs[i % s->num_pairs];
}

static bool do_one(const stage *s, operation what, size_t i)
{
    slot *at = &s->slots[i];
    pair *of = pair_of(s, i);
    nacre_buf datagram = { at->datagram, BUF_SIZE }, buf = { at->buf, BUF_SIZE };
    nacre_message plain;
    switch (what) {
    case PROTECT_REQUEST:
        return nacre_protect_request(&of->client, s->crypto, &at->at_client, &at->sealed, datagram, &s->request,
                                     NULL) == NACRE_OK;
    case UNPROTECT_REQUEST:
        return nacre_unprotect_request(&of->server, s->crypto, &at->at_server, &plain, buf, &at->outer) == NACRE_OK;
    case PROTECT_RESPONSE:
        return nacre_protect_response(&of->server, s->crypto, &at->at_server, &at->sealed, datagram, &s->response,
                                      NULL) == NACRE_OK;
    case UNPROTECT_RESPONSE:
        return nacre_unprotect_response(&of->client, s->crypto, &at->at_client, &plain, NULL, buf, &at->outer) ==
               NACRE_OK;
    }
    return false;
}

/* Prepares the operation: makes and parses the preceding message of the exchange. */
static void prepare(void *arg, size_t n)
{
    const work *w = arg;
    for (operation what = PROTECT_REQUEST; what < w->what; what++)
        for (size_t i = 0; i < n; i++) {
            slot *at = &w->on->slots[i];
            bench_check(do_one(w->on, what, i), "the message before it");
            bench_check(nacre_message_parse(&at->outer, at->sealed) == NACRE_OK, "parse");
        }
}

static void run_one_by_one(void *arg, size_t n)
{
    const work *w = arg;
    bool ok = true;
    for (size_t i = 0; i < n; i++) ok = do_one(w->on, w->what, i) && ok;
    bench_check(ok, operation_names[w->what]);
}

/* ---- nacre, in bursts ---- */

static void protect_burst(const work *w, size_t from)
{
    nacre_protect_item items[64];
    bool is_request = w->what == PROTECT_REQUEST;
    for (size_t i = 0; i < w->burst; i++) {
        slot *at = &w->on->slots[from + i];
        pair *of = pair_of(w->on, from + i);
        items[i].context = is_request ? &of->client : &of->server;
        items[i].id = is_request ? &at->at_client : &at->at_server;
        items[i].buf = (nacre_buf){ at->datagram, BUF_SIZE };
        items[i].plain = is_request ? &w->on->request : &w->on->response;
        items[i].options = NULL;
    }
    nacre_protect_many(w->on->crypto, items, w->burst);
    for (size_t i = 0; i < w->burst; i++) {
        bench_check(items[i].err == NACRE_OK, operation_names[w->what]);
        w->on->slots[from + i].sealed = items[i].out;
    }
}

static void unprotect_burst(const work *w, size_t from)
{
    nacre_unprotect_item items[64];
    bool is_request = w->what == UNPROTECT_REQUEST;
    for (size_t i = 0; i < w->burst; i++) {
        slot *at = &w->on->slots[from + i];
        pair *of = pair_of(w->on, from + i);
        items[i].context = is_request ? &of->server : &of->client;
        items[i].id = is_request ? &at->at_server : &at->at_client;
        items[i].buf = (nacre_buf){ at->buf, BUF_SIZE };
        items[i].outer = &at->outer;
        items[i].is_response = !is_request;
    }
    nacre_unprotect_many(w->on->crypto, items, w->burst);
    for (size_t i = 0; i < w->burst; i++) bench_check(items[i].err == NACRE_OK, operation_names[w->what]);
}

static void run_bursts(void *arg, size_t n)
{
    const work *w = arg;
    bool is_protect = w->what == PROTECT_REQUEST || w->what == PROTECT_RESPONSE;
    for (size_t from = 0; from + w->burst <= n; from += w->burst)
        if (is_protect) protect_burst(w, from);
        else unprotect_burst(w, from);
}

/* ---- The bare cipher: one job for each message, each with its nonce ---- */

typedef struct bare {
    const stage *on;
    nacre_direction direction;
    operation what;
    size_t burst;
    nacre_aead_job jobs[MAX_MESSAGES];
    uint8_t nonces[MAX_MESSAGES][16];
    uint8_t aad[NACRE_MAX_AAD], plaintext[BUF_SIZE];
} bare;

static void next_nonce(bare *b, size_t i)
{
    uint64_t count;
    memcpy(&count, b->nonces[i] + 5, 8);
    count++;
    memcpy(b->nonces[i] + 5, &count, 8);
}

/* The job of message i: as many bytes as OSCORE passes to the cipher, between the same two buffers as with nacre. */
static void set_up_bare(bare *b, const stage *s, operation what, size_t burst)
{
    memset(b, 0, sizeof *b);
    b->on = s;
    b->what = what;
    b->burst = burst;
    b->direction = what == PROTECT_REQUEST || what == PROTECT_RESPONSE ? NACRE_SEAL : NACRE_OPEN;
    const nacre_message *m = what == PROTECT_REQUEST || what == UNPROTECT_REQUEST ? &s->request : &s->response;
    const nacre_aead *aead = nacre_aead_by_number(NACRE_AES_CCM_16_64_128);
    static const uint8_t piv[3] = { 1, 2, 3 };
    uint8_t kid = 1;
    size_t aad_len = nacre__aad(b->aad, aead->cose, nacre_bytes_of(&kid, 1), NACRE_ARRAY(piv));
    size_t len = 1 + m->options.len + (m->payload.len > 0 ? 1 + m->payload.len : 0);
    for (size_t i = 0; i < MAX_MESSAGES; i++) {
        const pair *of = pair_of(s, i);
        bool from_client = what == PROTECT_REQUEST || what == UNPROTECT_RESPONSE;
        const nacre_context *ctx = from_client ? &of->client : &of->server;
        nacre_aead_job *job = &b->jobs[i];
        job->aead = aead;
        job->key = b->direction == NACRE_SEAL ? nacre__sender_key(ctx) : nacre__recipient_key(ctx);
        job->nonce = b->nonces[i];
        job->aad = nacre_bytes_of(b->aad, aad_len);
        job->in = b->direction == NACRE_SEAL ? b->plaintext : s->slots[i].datagram;
        job->in_len = len + (b->direction == NACRE_SEAL ? 0 : aead->tag_len);
        job->out = b->direction == NACRE_SEAL ? s->slots[i].datagram : s->slots[i].buf;
    }
}

/* A message to be opened is sealed first, with the other side's key. */
static void prepare_bare(void *arg, size_t n)
{
    bare *b = arg;
    if (b->direction == NACRE_SEAL) return;
    for (size_t i = 0; i < n; i++) {
        pair *of = pair_of(b->on, i);
        nacre_aead_job job = b->jobs[i];
        uint8_t nonce[16];
        next_nonce(b, i);
        memcpy(nonce, b->nonces[i], sizeof nonce);
        job.nonce = nonce;
        job.key = b->what == UNPROTECT_REQUEST ? of->client.keys : of->server.keys;
        job.in = b->plaintext;
        job.in_len -= job.aead->tag_len;
        job.out = b->on->slots[i].datagram;
        bench_check(nacre_seal(b->on->crypto, &job), "seal");
        uint64_t count; /* the measured step restores it */
        memcpy(&count, b->nonces[i] + 5, 8);
        count--;
        memcpy(b->nonces[i] + 5, &count, 8);
    }
}

static void run_bare(void *arg, size_t n)
{
    bare *b = arg;
    const nacre_crypto *crypto = b->on->crypto;
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        next_nonce(b, i);
        ok = (b->direction == NACRE_SEAL ? nacre_seal(crypto, &b->jobs[i]) : nacre_open(crypto, &b->jobs[i])) && ok;
    }
    bench_check(ok, "bare cipher");
}

static void run_bare_bursts(void *arg, size_t n)
{
    bare *b = arg;
    const nacre_crypto *crypto = b->on->crypto;
    nacre_aead_job *jobs[64];
    bool ok = true;
    for (size_t from = 0; from + b->burst <= n; from += b->burst) {
        for (size_t i = 0; i < b->burst; i++) {
            next_nonce(b, from + i);
            jobs[i] = &b->jobs[from + i];
        }
        if (b->direction == NACRE_SEAL) crypto->ops->seal_many(crypto, jobs, b->burst);
        else crypto->ops->open_many(crypto, jobs, b->burst);
        for (size_t i = 0; i < b->burst; i++) ok = jobs[i]->ok && ok;
    }
    bench_check(ok, "bare cipher");
}

/* ---- What is compared ---- */

typedef struct provider {
    const char *name;
    nacre_err (*open)(nacre_crypto *crypto);
    void (*close)(nacre_crypto *crypto);
    double goal; /* one by one */
} provider;

static const provider providers[] = {
    { "openssl", nacre_openssl_open, nacre_openssl_close, 1.25 },
    { "ipsec_mb", nacre_ipsec_mb_open, nacre_ipsec_mb_close, 1.5 },
};

static void one_by_one(bench *b, const provider *p, const nacre_crypto *crypto)
{
    static const size_t sizes[] = { 0, 16, 64, 256, 1024 };
    static bare plain;
    stage s;
    open_stage(&s, crypto, 1);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (operation what = PROTECT_REQUEST; what <= UNPROTECT_RESPONSE; what++) {
            char label[96];
            snprintf(label, sizeof label, "%s, %s, %zu B", p->name, operation_names[what], sizes[i]);
            set_payload(&s, sizes[i]);
            set_up_bare(&plain, &s, what, 0);
            work w = { &s, what, 0 };
            const bench_case cases[] = {
                { .name = "bare cipher",
                  .prepare = prepare_bare,
                  .run = run_bare,
                  .arg = &plain,
                  .max_n = MAX_MESSAGES },
                { .name = "nacre",
                  .prepare = prepare,
                  .run = run_one_by_one,
                  .arg = &w,
                  .max_n = MAX_MESSAGES,
                  .goal = sizes[i] == 16 ? p->goal : 0 },
            };
            bench_compare(b, label, cases, 2);
        }
    close_stage(&s);
}

static void in_bursts(bench *b, const provider *p, const nacre_crypto *crypto)
{
    static bare plain;
    stage s;
    open_stage(&s, crypto, MAX_CONTEXTS);
    set_payload(&s, 16);
    for (size_t burst = 1; burst <= 64; burst *= 2)
        for (operation what = PROTECT_REQUEST; what <= UNPROTECT_RESPONSE; what++) {
            char label[96];
            snprintf(label, sizeof label, "%s, %s, burst of %zu", p->name, operation_names[what], burst);
            set_up_bare(&plain, &s, what, burst);
            work w = { &s, what, burst };
            const bench_case cases[] = {
                { .name = "bare burst",
                  .prepare = prepare_bare,
                  .run = run_bare_bursts,
                  .arg = &plain,
                  .max_n = MAX_MESSAGES,
                  .step = burst },
                { .name = "nacre burst",
                  .prepare = prepare,
                  .run = run_bursts,
                  .arg = &w,
                  .max_n = MAX_MESSAGES,
                  .step = burst,
                  .goal = burst == 32 ? 1.6 : 0 },
                { .name = "bare one by one",
                  .prepare = prepare_bare,
                  .run = run_bare,
                  .arg = &plain,
                  .max_n = MAX_MESSAGES },
                { .name = "nacre one by one",
                  .prepare = prepare,
                  .run = run_one_by_one,
                  .arg = &w,
                  .max_n = MAX_MESSAGES },
            };
            bench_compare(b, label, cases, 4);
        }
    close_stage(&s);
}

nacre_err protect_compare(bench *b, const char *name)
{
    for (size_t i = 0; i < sizeof providers / sizeof providers[0]; i++) {
        nacre_crypto crypto;
        if (strcmp(name, providers[i].name) != 0) continue;
        nacre_err err = providers[i].open(&crypto);
        if (err != NACRE_OK) return err;
        one_by_one(b, &providers[i], &crypto);
        in_bursts(b, &providers[i], &crypto);
        providers[i].close(&crypto);
        return NACRE_OK;
    }
    return NACRE_ERR_BAD_ARGUMENT;
}

const char *protect_provider(size_t i)
{
    return i < sizeof providers / sizeof providers[0] ? providers[i].name : NULL;
}
