/* SPDX-License-Identifier: MIT */
/* transfer_serving: a server with a transfer, and scripted clients with a context each, which send single block-wise messages. */
#ifndef NACRE_TESTS_TRANSFER_SERVING_H
#define NACRE_TESTS_TRANSFER_SERVING_H

#include "blocks.h"

enum { MAX_BODY = 4000, CLIENTS = 6 };

typedef struct fixture {
    party server, client; /* the client has all contexts, and no transfer */
    nacre_context *ctx[CLIENTS];
    nacre_message got; /* the client's last received message */
    uint64_t now;
    unsigned num_requests; /* REQUEST events */
} fixture;

static inline void begin_with(fixture *f, const nacre_transfer_config *config)
{
    static const char *const names[CLIENTS] = { "c0", "c1", "c2", "c3", "c4", "c5" };
    const nacre_endpoint_config c = config_unlimited((nacre_endpoint_config){ .congestion.nstart = UINT16_MAX });
    memset(f, 0, sizeof *f);
    party_open(&f->server, "server", 1, &c);
    party_open(&f->client, "client", 2, &c);
    party_add_transfer(&f->server, config);
    for (uint8_t i = 0; i < CLIENTS; i++) {
        const pairing how = { .client_id = names[i], .secret = i };
        f->ctx[i] = party_context(&f->client, &how, false);
        (void)party_context(&f->server, &how, true);
    }
}

static inline void begin(fixture *f)
{
    begin_with(f, &(nacre_transfer_config){ .bodies.max_body = MAX_BODY });
}

static inline void end(fixture *f)
{
    party_close(&f->server);
    party_close(&f->client);
}

/* Sends a request of client `client` (-1: plain); its events stay at the server. */
static inline void send(fixture *f, int client, const said *s)
{
    nacre_exchange exchange;
    const nacre_message m = said_message(s);
    assert_int_equal(nacre_endpoint_request(f->client.ep, &exchange, &f->server.address,
                                            client < 0 ? NULL : f->ctx[client], &m, NULL),
                     NACRE_OK);
    carry(&f->client, &f->server, f->now);
}

static inline void gets(fixture *f)
{
    carry(&f->server, &f->client, f->now);
    f->got = expect_event(&f->client, NACRE_EVENT_RESPONSE).message;
}

/* A request that the transfer responds to by itself. */
static inline uint8_t settled(fixture *f, int client, const said *s)
{
    nacre_event event;
    send(f, client, s);
    assert_false(party_next_event(&f->server, &event));
    gets(f);
    return f->got.code;
}

/* A request that reaches the application. */
static inline nacre_event reaches(fixture *f, int client, const said *s)
{
    send(f, client, s);
    f->num_requests++;
    return expect_event(&f->server, NACRE_EVENT_REQUEST);
}

static inline void respond(fixture *f, const nacre_event *event, const said *s)
{
    const nacre_message m = said_message(s);
    assert_int_equal(nacre_transfer_respond(f->server.transfer, event->exchange, &m, NULL), NACRE_OK);
    gets(f);
}

#define UP(num, more, szx, tag_)                                                                                       \
    SAID(.code = NACRE_PUT, .path = "x", .tag = (tag_), .block1 = BLOCK(num, more, szx),                               \
         .payload = pattern((size_t)(num) << ((szx) + 4), (more) ? (size_t)16 << (szx) : 7))

#define GET(block_) SAID(.code = NACRE_GET, .path = "x", .block2 = (block_))

static inline void expect_block1(const fixture *f, int64_t block)
{
    assert_int_equal(option_of(&f->got, NACRE_OPT_BLOCK1) + 1, block);
}

#endif
