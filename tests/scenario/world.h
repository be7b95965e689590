/* SPDX-License-Identifier: MIT */
/* world: endpoints without a network, for tests. A party is an endpoint with its memory (of exact size, for
 * AddressSanitizer), contexts and a seeded random source; a wire joins parties, loses, duplicates, delays and reorders,
 * and keeps a log of nonces. Time is a number. */
#ifndef NACRE_TESTS_WORLD_H
#define NACRE_TESTS_WORLD_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <nacre/context.h>
#include <nacre/endpoint.h>
#include <nacre/oscore.h>
#include <nacre/transfer.h>
#include "endpoint_config.h"

/* ---- Chance ------------------------------------------------------------------------------------------------------ */

typedef struct chance {
    uint64_t state;
} chance;

static inline uint64_t draw(chance *c)
{
    c->state += UINT64_C(0x9e3779b97f4a7c15); /* an odd step, then mixed until every bit depends on every other */
    uint64_t x = c->state;
    for (int i = 0; i < 3; i++) {
        x ^= x >> 31;
        x *= UINT64_C(0xd6e8feb86659fd93);
    }
    return x ^ x >> 32;
}

static inline bool percent(chance *c, unsigned p)
{
    return draw(c) % 100 < p;
}

static inline void chance_fill(void *self, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) out[i] = (uint8_t)draw(self);
}

/* ---- Parties ----------------------------------------------------------------------------------------------------- */

enum { PARTY_CONTEXTS = 16 };

typedef struct party {
    nacre_endpoint *ep;
    void *memory;
    nacre_transfer *transfer; /* NULL: events are pulled from the endpoint */
    void *transfer_memory;
    nacre_crypto crypto;
    nacre_address address;
    nacre_table table;
    nacre_table_slot table_slots[64];
    nacre_context contexts[PARTY_CONTEXTS];
    void *keys[PARTY_CONTEXTS];
    uint64_t words[PARTY_CONTEXTS][NACRE_REPLAY_MAX / 64];
    size_t num_contexts;
    chance chance;
    uint8_t *lent[32]; /* the datagrams of the last burst, in heap blocks of exact size */
    size_t num_lent;
} party;

static inline nacre_address address_named(const char *name)
{
    nacre_address a = { 0 };
    a.len = (uint8_t)strlen(name);
    memcpy(a.bytes, name, a.len);
    return a;
}

/* `config` may be NULL; its contexts, crypto and random are replaced by the party's, except for the operations of a
 * wrapped provider. */
static inline void party_open(party *p, const char *name, uint64_t seed, const nacre_endpoint_config *config)
{
    nacre_endpoint_config c = config_with(config != NULL ? *config : (nacre_endpoint_config){ 0 });
    memset(p, 0, sizeof *p);
    p->chance.state = seed;
    p->address = address_named(name);
    assert_int_equal(nacre_openssl_open(&p->crypto), NACRE_OK);
    if (c.crypto.ops != NULL) p->crypto.ops = c.crypto.ops;
    assert_int_equal(nacre_table_init(&p->table, p->table_slots, 64), NACRE_OK);
    c.contexts = &p->table;
    c.crypto = p->crypto;
    c.random = (nacre_random){ chance_fill, &p->chance };
    const size_t size = nacre_endpoint_size(&c);
    assert_true(size > 0);
    p->memory = malloc(size);
    assert_non_null(p->memory);
    assert_int_equal(nacre_endpoint_init(&p->ep, p->memory, size, &c), NACRE_OK);
}

/* A transfer on top of the party's endpoint; `config` may be NULL. */
static inline void party_add_transfer(party *p, const nacre_transfer_config *config)
{
    nacre_transfer_config c = { 0 };
    if (config != NULL) c = *config;
    c.endpoint = p->ep;
    const size_t size = nacre_transfer_size(&c);
    assert_true(size > 0);
    p->transfer_memory = malloc(size);
    assert_non_null(p->transfer_memory);
    assert_int_equal(nacre_transfer_init(&p->transfer, p->transfer_memory, size, &c), NACRE_OK);
}

/* The driver's calls, made on the transfer if there is one. */
static inline bool party_next_event(party *p, nacre_event *event)
{
    return p->transfer != NULL ? nacre_transfer_next_event(p->transfer, event)
                               : nacre_endpoint_next_event(p->ep, event);
}

static inline size_t party_transmit(party *p, nacre_outgoing *out, size_t num, uint64_t now)
{
    return p->transfer != NULL ? nacre_transfer_transmit_many(p->transfer, out, num, now)
                               : nacre_endpoint_transmit_many(p->ep, out, num, now);
}

static inline size_t party_receive(party *p, const nacre_datagram *in, size_t num, uint64_t now)
{
    return p->transfer != NULL ? nacre_transfer_receive_many(p->transfer, in, num, now)
                               : nacre_endpoint_receive_many(p->ep, in, num, now);
}

static inline uint64_t party_deadline(const party *p)
{
    return p->transfer != NULL ? nacre_transfer_deadline(p->transfer) : nacre_endpoint_deadline(p->ep);
}

static inline void party_expire(party *p, uint64_t now)
{
    if (p->transfer != NULL) nacre_transfer_expire(p->transfer, now);
    else nacre_endpoint_expire(p->ep, now);
}

/* Received datagrams are valid until the next receive_many; then their memory is freed. */
static inline void party_take_back(party *p)
{
    for (size_t i = 0; i < p->num_lent; i++) free(p->lent[i]);
    p->num_lent = 0;
}

static inline nacre_bytes party_lend(party *p, nacre_bytes bytes)
{
    uint8_t *copy = malloc(bytes.len == 0 ? 1 : bytes.len);
    assert_true(p->num_lent < 32);
    if (bytes.len > 0) memcpy(copy, bytes.ptr, bytes.len);
    p->lent[p->num_lent++] = copy;
    return nacre_bytes_of(copy, bytes.len);
}

static inline void party_close(party *p)
{
    nacre_transfer_wipe(p->transfer);
    free(p->transfer_memory);
    nacre_endpoint_wipe(p->ep);
    party_take_back(p);
    free(p->memory);
    for (size_t i = 0; i < p->num_contexts; i++) {
        nacre_context_wipe(&p->contexts[i]);
        free(p->keys[i]);
    }
    nacre_openssl_close(&p->crypto);
    memset(p, 0, sizeof *p);
}

/* The parameters of a pair of contexts; the rest is fixed. */
typedef struct pairing {
    const char *client_id, *server_id; /* default "c" and "s" */
    uint8_t secret;                    /* each number gives another master secret */
    bool client_persistent, server_persistent;
    uint16_t first_chunk;
    bool server_lost;     /* the server's window is uninitialised … */
    bool server_stored;   /* … or known, and durable as known */
    bool no_echo;         /* the server has no Echo value */
    uint16_t window;      /* of the server; 0: 32 */
    uint64_t next_seq[2]; /* client's, server's */
} pairing;

static inline nacre_context *party_context(party *p, const pairing *how, bool is_server)
{
    uint8_t secret[16], echo[NACRE_ECHO_LEN];
    const char *client_id = how->client_id != NULL ? how->client_id : "c";
    const char *server_id = how->server_id != NULL ? how->server_id : "s";
    const nacre_bytes ids[2] = { nacre_bytes_of((const uint8_t *)client_id, strlen(client_id)),
                                 nacre_bytes_of((const uint8_t *)server_id, strlen(server_id)) };
    memset(secret, how->secret, sizeof secret);
    chance_fill(&p->chance, echo, sizeof echo);
    nacre_context_params params = {
        .master_secret = { NACRE_ARRAY(secret), 0 },
        .sender_id = ids[is_server],
        .recipient_id = ids[!is_server],
        .persistent = is_server ? how->server_persistent : how->client_persistent,
        .first_chunk = how->first_chunk,
        .window = is_server ? how->window : 0,
        .window_words = p->words[p->num_contexts],
        .next_seq = how->next_seq[is_server],
        .never_used = how->next_seq[is_server] == 0,
        .echo = how->no_echo ? NACRE_ABSENT : NACRE_ARRAY(echo),
    };
    size_t size, align;
    assert_true(p->num_contexts < PARTY_CONTEXTS);
    assert_int_equal(nacre_context_key_layout(&p->crypto, 0, &size, &align), NACRE_OK);
    p->keys[p->num_contexts] = malloc(size);
    nacre_context *ctx = &p->contexts[p->num_contexts];
    assert_int_equal(nacre_context_init(ctx, &p->crypto, &params, (nacre_buf){ p->keys[p->num_contexts], size }),
                     NACRE_OK);
    p->num_contexts++;
    if (is_server && how->server_lost) assert_int_equal(nacre_context_set_replay(ctx, false, 0, NULL, 0), NACRE_OK);
    if (is_server && how->server_stored) ctx->window_on_disk = true;
    assert_int_equal(nacre_table_add(&p->table, ctx), NACRE_OK);
    return ctx;
}

/* ---- One by one -------------------------------------------------------------------------------------------------- */

enum { MAX_DATAGRAM = 1280 };

typedef struct datagram {
    nacre_address peer;
    size_t len;
    uint8_t bytes[MAX_DATAGRAM];
} datagram;

/* Takes one datagram out of the endpoint; false if it has none. */
static inline bool party_take(party *p, datagram *d, uint64_t now)
{
    nacre_outgoing out = { .buf = NACRE_BUF(d->bytes) };
    if (party_transmit(p, &out, 1, now) == 0) return false;
    assert_ptr_equal(out.bytes.ptr, d->bytes);
    d->peer = out.peer;
    d->len = out.bytes.len;
    return true;
}

/* Delivers it to `p` as coming from `from`. */
static inline void party_give(party *p, const party *from, const datagram *d, uint64_t now)
{
    party_take_back(p);
    const nacre_datagram in = { .peer = from->address, .bytes = party_lend(p, nacre_bytes_of(d->bytes, d->len)) };
    assert_int_equal(party_receive(p, &in, 1, now), 1);
}

static inline nacre_message datagram_message(const datagram *d)
{
    nacre_message m;
    assert_int_equal(nacre_message_parse(&m, nacre_bytes_of(d->bytes, d->len)), NACRE_OK);
    return m;
}

static inline void datagram_write(datagram *d, const nacre_message *m)
{
    nacre_bytes out;
    assert_int_equal(nacre_message_write(m, &out, NACRE_BUF(d->bytes)), NACRE_OK);
    d->len = out.len;
}

static inline bool datagram_same(const datagram *a, const datagram *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0 && nacre_address_equal(&a->peer, &b->peer);
}

static inline nacre_event expect_event(party *p, nacre_event_kind kind)
{
    nacre_event event;
    assert_true(party_next_event(p, &event));
    assert_int_equal(event.kind, kind);
    return event;
}

static inline void expect_failed(party *p, nacre_err err)
{
    const nacre_event event = expect_event(p, NACRE_EVENT_FAILED);
    assert_string_equal(nacre_err_name(event.err), nacre_err_name(err));
}

static inline void expect_quiet(party *p, uint64_t now)
{
    nacre_event event;
    datagram d;
    assert_false(party_next_event(p, &event));
    assert_false(party_take(p, &d, now));
}

static inline nacre_message get_request(uint8_t type)
{
    return (nacre_message){ .type = type, .code = NACRE_GET };
}

static inline nacre_exchange start(party *p, const party *peer, nacre_context *ctx, uint8_t type)
{
    const nacre_message get = get_request(type);
    nacre_exchange exchange = NACRE_EXCHANGE_NONE;
    assert_int_equal(nacre_endpoint_request(p->ep, &exchange, &peer->address, ctx, &get, NULL), NACRE_OK);
    assert_int_not_equal(exchange.number, 0);
    return exchange;
}

/* The exchange of an observer's notification, as in its NOTIFY event. */
static inline nacre_exchange notification_of(nacre_observer observer)
{
    return (nacre_exchange){ observer.number };
}

static inline void respond_text(party *p, nacre_exchange exchange, const char *text)
{
    const nacre_message response = { .code = NACRE_CONTENT,
                                     .payload = nacre_bytes_of((const uint8_t *)text, strlen(text)) };
    assert_int_equal(nacre_endpoint_respond(p->ep, exchange, &response), NACRE_OK);
}

static inline void assert_payload(nacre_message m, const char *text)
{
    assert_int_equal(m.payload.len, strlen(text));
    if (m.payload.len > 0) assert_memory_equal(m.payload.ptr, text, m.payload.len);
}

/* The test's store: makes durable at once whatever the context requests. */
static inline void serve_store(nacre_context *ctx)
{
    const nacre_needs needs = nacre_context_needs(ctx);
    if (needs.reserve != 0) nacre_context_confirm_reserved(ctx, needs.reserve);
    if (needs.window_lost) nacre_context_confirm_window_lost(ctx);
}

/* ---- A client and a server --------------------------------------------------------------------------------------- */

typedef struct pair {
    party client, server;
    nacre_context *ours, *theirs; /* the two ends of one pair of contexts */
} pair;

static inline void pair_open(pair *p, const nacre_endpoint_config *config, const pairing *how)
{
    party_open(&p->client, "client", 1, config);
    party_open(&p->server, "server", 2, config);
    p->ours = party_context(&p->client, how, false);
    p->theirs = party_context(&p->server, how, true);
}

static inline void pair_close(pair *p)
{
    party_close(&p->client);
    party_close(&p->server);
}

/* Takes the request out of the client's endpoint and parses it. */
static inline nacre_message sent_request(pair *p, datagram *d, uint64_t now)
{
    assert_true(party_take(&p->client, d, now));
    return datagram_message(d);
}

/* The server answers the client's latest message; the response is left in `back`. */
static inline void served(pair *p, const datagram *d, datagram *back, const char *text, uint64_t now)
{
    party_give(&p->server, &p->client, d, now);
    respond_text(&p->server, expect_event(&p->server, NACRE_EVENT_REQUEST).exchange, text);
    assert_true(party_take(&p->server, back, now));
}

static inline datagram empty_message(uint8_t type, uint16_t mid)
{
    datagram d;
    datagram_write(&d, &(nacre_message){ .type = type, .mid = mid });
    return d;
}

/* ---- The log of nonces -------------------------------------------------------------------------------------------
 * For each protected datagram that leaves a party: the key (the sender), and the nonce (the Partial IV and the side
 * that made it). One key and nonce must always give the same datagram (RFC 8613 D.4). */
typedef struct nonce_row {
    uint8_t side, maker;
    bool used;
    uint64_t piv, hash;
} nonce_row;
typedef struct token_row {
    bool used, again; /* again: the token was used before, as an observation's is */
    uint64_t token, piv, before;
    uint16_t mid, mid_before; /* number of these requests; a piggybacked response has its own */
} token_row;
enum { LOG_ROWS = 1 << 18 };
typedef struct nonce_log {
    nonce_row nonces[LOG_ROWS];
    token_row tokens[LOG_ROWS];
    size_t num;
} nonce_log;

static inline uint64_t plain_hash(nacre_bytes b)
{
    uint64_t h = UINT64_C(0x51ed270b2f6a1c35);
    for (size_t i = 0; i < b.len; i++) h = (h ^ b.ptr[i]) * UINT64_C(0x2545f4914f6cdd1d), h ^= h >> 29;
    return h;
}

static inline uint64_t number_of(nacre_bytes b)
{
    uint64_t n = 0;
    for (size_t i = 0; i < b.len; i++) n = n << 8 | b.ptr[i];
    return n;
}

static inline token_row *log_token(nonce_log *log, uint64_t token)
{
    size_t at = (token ^ token >> 32) % LOG_ROWS;
    while (log->tokens[at].used && log->tokens[at].token != token) at = (at + 1) % LOG_ROWS;
    return &log->tokens[at];
}

static inline void log_nonce(nonce_log *log, uint8_t side, uint8_t maker, uint64_t piv, uint64_t hash)
{
    size_t at = (piv * 7 + side * 3u + maker) % LOG_ROWS;
    for (;; at = (at + 1) % LOG_ROWS) {
        nonce_row *row = &log->nonces[at];
        if (!row->used) {
            *row = (nonce_row){ side, maker, true, piv, hash };
            assert_true(++log->num < LOG_ROWS / 2);
            return;
        }
        if (row->side != side || row->maker != maker || row->piv != piv) continue;
        if (row->hash != hash) fail_msg("party %u used nonce (%u, %llu) twice", side, maker, (unsigned long long)piv);
        return;
    }
}

static inline bool log_has(const nonce_log *log, uint8_t side, uint8_t maker, uint64_t piv, uint64_t hash)
{
    for (size_t at = (piv * 7 + side * 3u + maker) % LOG_ROWS; log->nonces[at].used; at = (at + 1) % LOG_ROWS) {
        const nonce_row *row = &log->nonces[at];
        if (row->side == side && row->maker == maker && row->piv == piv && row->hash == hash) return true;
    }
    return false;
}

/* `side` and `other` number the two ends of one pair of contexts. */
static inline void log_datagram(nonce_log *log, uint8_t side, uint8_t other, nacre_bytes bytes)
{
    nacre_message m;
    nacre_oscore_option option;
    if (nacre_message_parse(&m, bytes) != NACRE_OK || nacre_verify_start(&option, &m) != NACRE_OK) return;
    const uint64_t token = number_of(m.token), hash = plain_hash(bytes);
    if (!nacre_is_absent(option.partial_iv)) {
        const uint64_t piv = number_of(option.partial_iv);
        token_row *row = log_token(log, token);
        if (nacre_code_is_request(m.code) && !(row->used && row->piv == piv))
            *row = (token_row){ true, row->used, token, piv, row->piv, m.mid, row->mid };
        log_nonce(log, side, side, piv, hash);
    } else {
        const token_row *row = log_token(log, token);
        assert_true(row->used);
        if (row->again && log_has(log, side, other, row->before, hash))
            return; /* the response to the previous one, again */
        const bool is_before = row->again && m.type == NACRE_ACK && m.mid == row->mid_before && m.mid != row->mid;
        log_nonce(log, side, other, is_before ? row->before : row->piv,
                  hash); /* under the nonce of the request, made by the other side */
    }
}

/* ---- The wire ---------------------------------------------------------------------------------------------------- */

typedef struct network {
    unsigned loss, doubling, spoiling; /* percent */
    uint64_t min_delay, max_delay;     /* ms: large enough for datagrams to overtake each other */
} network;

typedef struct flying {
    uint64_t at;
    uint64_t order;
    party *from, *to;
    uint8_t *bytes;
    size_t len;
} flying;

enum { WIRE_PARTIES = 4, WIRE_MAX = 4096 };
typedef struct wire {
    party *parties[WIRE_PARTIES];
    size_t num_parties;
    network network;
    unsigned cutting; /* percent: only the start of a datagram arrives */
    chance chance;
    flying air[WIRE_MAX];
    size_t num_air;
    uint64_t order, now;
    nonce_log *log; /* may be NULL */
    void (*on_event)(void *user, party *p, const nacre_event *event, uint64_t now);
    void *user;
} wire;

static inline uint8_t wire_index(const wire *w, const party *p)
{
    for (uint8_t i = 0; i < w->num_parties; i++)
        if (w->parties[i] == p) return i;
    fail_msg("a stranger");
    return 0;
}

static inline void wire_fly(wire *w, party *from, party *to, nacre_bytes bytes)
{
    assert_true(w->num_air < WIRE_MAX);
    flying *f = &w->air[w->num_air++];
    *f = (flying){ .from = from, .to = to, .order = w->order++, .len = bytes.len };
    f->at = w->now + w->network.min_delay + draw(&w->chance) % (w->network.max_delay - w->network.min_delay + 1);
    f->bytes = malloc(bytes.len == 0 ? 1 : bytes.len);
    memcpy(f->bytes, bytes.ptr, bytes.len);
    if (bytes.len > 0 && w->cutting > 0 && percent(&w->chance, w->cutting))
        f->len = (size_t)(draw(&w->chance) % bytes.len);
    if (bytes.len > 0 && percent(&w->chance, w->network.spoiling))
        f->bytes[draw(&w->chance) % bytes.len] ^= (uint8_t)(1 << draw(&w->chance) % 8);
}

static inline party *wire_party_at(wire *w, const nacre_address *address)
{
    for (size_t i = 0; i < w->num_parties; i++)
        if (nacre_address_equal(&w->parties[i]->address, address)) return w->parties[i];
    return NULL;
}

static inline void wire_send(wire *w, party *from, const nacre_outgoing *out)
{
    party *to = wire_party_at(w, &out->peer);
    assert_non_null(to);
    assert_true(out->bytes.len <= MAX_DATAGRAM);
    const unsigned here = wire_index(w, from), there = wire_index(w, to); /* each two have a pair of contexts */
    if (w->log != NULL)
        log_datagram(w->log, (uint8_t)(here * WIRE_PARTIES + there), (uint8_t)(there * WIRE_PARTIES + here),
                     out->bytes);
    if (!percent(&w->chance, w->network.loss)) wire_fly(w, from, to, out->bytes);
    if (percent(&w->chance, w->network.doubling)) wire_fly(w, from, to, out->bytes);
}

/* Pulls transmissions and events until the party has neither; each may cause the other. */
static inline void wire_settle(wire *w, party *p)
{
    static uint8_t bufs[8][MAX_DATAGRAM];
    for (bool busy = true; busy;) {
        nacre_outgoing out[8];
        for (size_t i = 0; i < 8; i++) out[i] = (nacre_outgoing){ .buf = NACRE_BUF(bufs[i]) };
        const size_t n = party_transmit(p, out, 8, w->now);
        for (size_t i = 0; i < n; i++) wire_send(w, p, &out[i]);
        busy = n > 0;
        for (nacre_event event; party_next_event(p, &event); busy = true) w->on_event(w->user, p, &event, w->now);
    }
}

/* Takes the first datagram that is due for `p` off the wire. */
static inline bool wire_land(wire *w, const party *p, flying *landed)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < w->num_air; i++) {
        const flying *f = &w->air[i];
        if (f->to != p || f->at > w->now) continue;
        if (best == SIZE_MAX || f->at < w->air[best].at || (f->at == w->air[best].at && f->order < w->air[best].order))
            best = i;
    }
    if (best == SIZE_MAX) return false;
    *landed = w->air[best];
    w->air[best] = w->air[--w->num_air];
    return true;
}

/* Delivers what is due for `p`, in bursts, in order of arrival. */
static inline void wire_deliver(wire *w, party *p)
{
    for (;;) {
        nacre_datagram burst[16] = { { .full_len = 0 } };
        flying landed;
        size_t num = 0;
        party_take_back(p);
        for (; num < 16 && wire_land(w, p, &landed); num++) {
            burst[num] = (nacre_datagram){ .peer = landed.from->address,
                                           .bytes = party_lend(p, nacre_bytes_of(landed.bytes, landed.len)) };
            free(landed.bytes);
        }
        if (num == 0) return;
        for (size_t done = 0; done < num;) {
            const size_t took = party_receive(p, burst + done, num - done, w->now);
            assert_true(took > 0);
            done += took;
            wire_settle(w, p);
        }
    }
}

/* Advances time by one step; false when no timer and no datagram is left. */
static inline bool wire_step(wire *w)
{
    for (size_t i = 0; i < w->num_parties; i++) wire_settle(w, w->parties[i]);
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < w->num_air; i++)
        if (w->air[i].at < next) next = w->air[i].at;
    for (size_t i = 0; i < w->num_parties; i++) {
        const uint64_t deadline = party_deadline(w->parties[i]);
        if (deadline < next) next = deadline;
    }
    if (next == UINT64_MAX) return false;
    if (next > w->now) w->now = next;
    for (size_t i = 0; i < w->num_parties; i++) {
        wire_deliver(w, w->parties[i]);
        party_expire(w->parties[i], w->now);
    }
    return true;
}

static inline void wire_close(wire *w)
{
    for (size_t i = 0; i < w->num_air; i++) free(w->air[i].bytes);
    w->num_air = 0;
}

#endif
