/* SPDX-License-Identifier: MIT */
/* raw: a client of hand-made messages, for tests of the server side: it sends any message, under any token and MID, and
 * reads the responses, without an endpoint that would follow the protocol. */
#ifndef NACRE_TESTS_RAW_H
#define NACRE_TESTS_RAW_H

#include "world.h"

typedef struct raw {
    party *server;
    nacre_address address;
    nacre_crypto crypto;
    nacre_context *ctx;  /* NULL: unprotected */
    nacre_request_id id; /* of the last request */
    uint16_t mid;        /* of the last message sent */
    nacre_bytes token;
    uint8_t memory[MAX_DATAGRAM]; /* of the last message read */
    nacre_response_info info;     /* … and its Partial IV */
} raw;

static inline raw raw_open(pair *p, nacre_context *ctx)
{
    static const uint8_t token[] = { 0x70, 0x71 };
    return (raw){ .server = &p->server,
                  .address = p->client.address,
                  .crypto = p->client.crypto,
                  .ctx = ctx,
                  .mid = 0x1000,
                  .token = NACRE_ARRAY(token) };
}

/* Options of a request: Observe (absent below 0), one path segment (absent when NULL), No-Response (absent below 0). */
static inline nacre_bytes raw_options(int observe, const char *path, int no_response)
{
    static uint8_t memory[4][256];
    static int at;
    nacre_options options;
    nacre_bytes out = NACRE_ABSENT;
    nacre_options_init(&options, NACRE_BUF(memory[at = (at + 1) % 4]));
    if (observe >= 0) nacre_options_add_uint(&options, NACRE_OPT_OBSERVE, (uint64_t)observe);
    if (path != NULL)
        nacre_options_add(&options, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)path, strlen(path)));
    if (no_response >= 0) nacre_options_add_uint(&options, NACRE_OPT_NO_RESPONSE, (uint64_t)no_response);
    assert_int_equal(nacre_options_finish(&options, &out), NACRE_OK);
    return out;
}

static inline void raw_give(raw *r, const datagram *d, uint64_t now)
{
    party_take_back(r->server);
    const nacre_datagram in = { .peer = r->address, .bytes = party_lend(r->server, nacre_bytes_of(d->bytes, d->len)) };
    assert_int_equal(nacre_endpoint_receive_many(r->server->ep, &in, 1, now), 1);
}

/* Builds a request under the next MID in `d`. */
static inline void raw_write(raw *r, datagram *d, uint8_t type, uint8_t code, nacre_bytes options)
{
    const nacre_message m = { .type = type, .code = code, .mid = ++r->mid, .token = r->token, .options = options };
    nacre_bytes out;
    if (r->ctx == NULL) assert_int_equal(nacre_message_write(&m, &out, NACRE_BUF(d->bytes)), NACRE_OK);
    else
        assert_int_equal(nacre_protect_request(r->ctx, &r->crypto, &r->id, &out, NACRE_BUF(d->bytes), &m, NULL),
                         NACRE_OK);
    d->len = out.len;
}

/* Builds and sends it. */
static inline void raw_request(raw *r, datagram *d, uint8_t type, uint8_t code, nacre_bytes options, uint64_t now)
{
    raw_write(r, d, type, code, options);
    raw_give(r, d, now);
}

static inline nacre_event raw_requested(raw *r, uint8_t type, uint8_t code, nacre_bytes options, uint64_t now)
{
    datagram d;
    raw_request(r, &d, type, code, options, now);
    return expect_event(r->server, NACRE_EVENT_REQUEST);
}

static inline void raw_empty(raw *r, uint8_t type, uint16_t mid, uint64_t now)
{
    const datagram d = empty_message(type, mid);
    raw_give(r, &d, now);
}

/* Takes the server's next datagram and parses its header. */
static inline nacre_message raw_take(raw *r, datagram *d, uint64_t now)
{
    assert_true(party_take(r->server, d, now));
    assert_true(nacre_address_equal(&d->peer, &r->address));
    return datagram_message(d);
}

/* Decrypts it as a response to the request `id`. */
static inline nacre_message raw_read_as(raw *r, const nacre_request_id *id, const datagram *d)
{
    const nacre_message outer = datagram_message(d);
    nacre_message plain = outer;
    if (r->ctx != NULL)
        assert_int_equal(
            nacre_unprotect_response(r->ctx, &r->crypto, id, &plain, &r->info, NACRE_BUF(r->memory), &outer), NACRE_OK);
    return plain;
}

static inline nacre_message raw_read(raw *r, const datagram *d)
{
    return raw_read_as(r, &r->id, d);
}

/* The server's next datagram is an empty message of that type and MID. */
static inline void raw_expect_empty(raw *r, uint8_t type, uint16_t mid, uint64_t now)
{
    datagram d;
    const nacre_message m = raw_take(r, &d, now);
    assert_int_equal(d.len, 4);
    assert_int_equal(m.type, type);
    assert_int_equal(m.mid, mid);
}

#endif
