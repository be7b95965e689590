/* SPDX-License-Identifier: MIT */
/* registration: an endpoint's client observes a hand-made server, which can misbehave: notify out of order, twice,
 * late, forged, and unprotected. */
#ifndef NACRE_TESTS_REGISTRATION_H
#define NACRE_TESTS_REGISTRATION_H

#include "world.h"

/* The server's state of one registration. */
typedef struct observed {
    pair p;
    nacre_exchange exchange;
    nacre_request_id id, older; /* of the last request, and of the one before */
    uint8_t token[8];
    uint8_t code, type; /* the last request's */
    uint16_t mid;       /* likewise */
    int observe;        /* its Observe value; -1: none */
    bool has_echo;
    uint16_t next_mid;
    bool plain;
} observed;

static inline void start_observing(observed *o, uint8_t type, const nacre_request_options *options)
{
    static const uint8_t observe[] = { 0x60 };
    nacre_message get = get_request(type);
    get.options = NACRE_ARRAY(observe);
    assert_int_equal(nacre_endpoint_request_with(o->p.client.ep, &o->exchange, &o->p.server.address,
                                                 o->plain ? NULL : o->p.ours, &get, options, o),
                     NACRE_OK);
}

/* Receives the client's request as a server does. */
static inline void take(observed *o, uint64_t now)
{
    datagram d;
    uint8_t buf[MAX_DATAGRAM];
    nacre_message plain = sent_request(&o->p, &d, now);
    o->older = o->id;
    if (!o->plain) {
        const nacre_message outer = plain;
        assert_int_equal(outer.code, NACRE_FETCH); /* RFC 8613 4.2, 4.1.3.5: with Observe */
        assert_false(nacre_is_absent(nacre_option_find(outer.options, NACRE_OPT_OBSERVE)));
        assert_int_equal(
            nacre_unprotect_request(o->p.theirs, &o->p.server.crypto, &o->id, &plain, NACRE_BUF(buf), &outer),
            NACRE_OK);
    }
    const nacre_bytes observe = nacre_option_find(plain.options, NACRE_OPT_OBSERVE);
    o->observe = nacre_is_absent(observe) ? -1 : observe.len == 0 ? 0 : observe.ptr[0];
    o->has_echo = !nacre_is_absent(nacre_option_find(plain.options, NACRE_OPT_ECHO));
    o->code = plain.code;
    o->type = plain.type;
    o->mid = plain.mid;
    assert_int_equal(plain.token.len, sizeof o->token);
    memcpy(o->token, plain.token.ptr, sizeof o->token);
}

static inline void open_observed(observed *o, const nacre_endpoint_config *config, bool plain)
{
    memset(o, 0, sizeof *o);
    pair_open(&o->p, config, &(pairing){ 0 });
    o->plain = plain;
    o->next_mid = 1000;
}

/* Registered, not answered yet. */
static inline void register_one(observed *o, const nacre_endpoint_config *config, bool plain, uint64_t now)
{
    open_observed(o, config, plain);
    start_observing(o, NACRE_CON, NULL);
    take(o, now);
    assert_int_equal(o->observe, 0);
    assert_int_equal(o->code, NACRE_GET);
}

/* What the server sends; all zero is a piggybacked 2.05 with Observe under the request's nonce. */
typedef struct saying {
    const char *text;
    uint8_t type; /* 0: ACK; otherwise type + 1 */
    uint8_t code;
    bool no_observe;
    uint32_t observe; /* unprotected: the value */
    int max_age;      /* -1: 0; 0: none */
    bool new_piv;
    bool older; /* responds to the request before the last */
    const char *echo;
    uint16_t option;    /* an extra empty one */
    const char *block2; /* one byte; with an ETag */
} saying;

static inline datagram say(observed *o, saying s)
{
    datagram d = { 0 };
    uint8_t buf[64], observe[3] = { (uint8_t)(s.observe >> 16), (uint8_t)(s.observe >> 8), (uint8_t)s.observe };
    uint8_t max_age[4] = { (uint8_t)((unsigned)s.max_age >> 24), (uint8_t)(s.max_age >> 16), (uint8_t)(s.max_age >> 8),
                           (uint8_t)s.max_age };
    nacre_options options;
    nacre_options_init(&options, NACRE_BUF(buf));
    if (!s.no_observe) nacre_options_add(&options, NACRE_OPT_OBSERVE, o->plain ? NACRE_ARRAY(observe) : NACRE_STR(""));
    if (s.max_age > 0) nacre_options_add(&options, NACRE_OPT_MAX_AGE, NACRE_ARRAY(max_age));
    if (s.max_age < 0) nacre_options_add(&options, NACRE_OPT_MAX_AGE, NACRE_STR(""));
    if (s.echo != NULL)
        nacre_options_add(&options, NACRE_OPT_ECHO, nacre_bytes_of((const uint8_t *)s.echo, strlen(s.echo)));
    if (s.block2 != NULL) {
        nacre_options_add(&options, NACRE_OPT_ETAG, NACRE_STR("v"));
        nacre_options_add(&options, NACRE_OPT_BLOCK2, nacre_bytes_of((const uint8_t *)s.block2, 1));
    }
    if (s.option != 0) nacre_options_add(&options, s.option, NACRE_STR(""));
    const uint8_t type = s.type == 0 ? NACRE_ACK : (uint8_t)(s.type - 1);
    nacre_message m = { .type = type,
                        .code = s.code != 0 ? s.code : NACRE_CONTENT,
                        .mid = type == NACRE_ACK ? o->mid : o->next_mid++,
                        .token = NACRE_ARRAY(o->token) };
    if (s.text != NULL) m.payload = nacre_bytes_of((const uint8_t *)s.text, strlen(s.text));
    assert_int_equal(nacre_options_finish(&options, &m.options), NACRE_OK);
    if (o->plain) {
        datagram_write(&d, &m);
        return d;
    }
    nacre_bytes out;
    const nacre_protect_options how = { .nonce = s.new_piv ? NACRE_NONCE_NEW : NACRE_NONCE_REQUEST };
    assert_int_equal(nacre_protect_response(o->p.theirs, &o->p.server.crypto, s.older ? &o->older : &o->id, &out,
                                            NACRE_BUF(d.bytes), &m, &how),
                     NACRE_OK);
    d.len = out.len;
    return d;
}

static inline void hear(observed *o, datagram d, uint64_t now)
{
    party_give(&o->p.client, &o->p.server, &d, now);
}

static inline void expect_notified(observed *o, const char *text)
{
    const nacre_event event = expect_event(&o->p.client, NACRE_EVENT_NOTIFICATION);
    assert_int_equal(event.exchange.number, o->exchange.number);
    assert_int_equal(event.err, NACRE_OK);
    assert_ptr_equal(event.context, o->plain ? NULL : o->p.ours);
    assert_ptr_equal(event.user, o);
    assert_true(nacre_address_equal(&event.peer, &o->p.server.address));
    assert_payload(event.message, text);
}

static inline void expect_empty(observed *o, uint8_t type, uint16_t mid, uint64_t now)
{
    datagram d;
    assert_true(party_take(&o->p.client, &d, now));
    assert_int_equal(d.len, 4);
    assert_int_equal(datagram_message(&d).type, type);
    assert_int_equal(datagram_message(&d).mid, mid);
}

static inline void expect_nothing(observed *o, uint64_t now)
{
    expect_quiet(&o->p.client, now);
}

enum { CON = NACRE_CON + 1, NON = NACRE_NON + 1 };

/* Registered, and notified of "one". */
static inline void observe_one(observed *o, const nacre_endpoint_config *config, bool plain, uint64_t now)
{
    register_one(o, config, plain, now);
    hear(o, say(o, (saying){ .text = "one", .observe = 10 }), now);
    expect_notified(o, "one");
    expect_nothing(o, now);
}

/* Lets Max-Age pass; the client registers again. */
static inline uint64_t renew(observed *o)
{
    uint8_t token[8];
    const uint64_t due = nacre_endpoint_deadline(o->p.client.ep);
    memcpy(token, o->token, sizeof token);
    nacre_endpoint_expire(o->p.client.ep, due - 1);
    expect_nothing(o, due - 1);
    nacre_endpoint_expire(o->p.client.ep, due);
    take(o, due);
    assert_int_equal(o->observe, 0);
    assert_int_equal(o->type, NACRE_CON);
    assert_memory_equal(token, o->token, sizeof token); /* RFC 7641 3.3.1: the same token */
    return due;
}

#endif
