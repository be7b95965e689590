/* SPDX-License-Identifier: MIT */
/* rederiving: parties that derive fresh contexts by RFC 8613 B.2. */
#ifndef NACRE_TESTS_REDERIVING_H
#define NACRE_TESTS_REDERIVING_H

#include "world.h"

#include <nacre/rederivation.h>

typedef struct rederiving {
    nacre_rederivation rederivation;
    uint8_t secret[16];
    char ids[2][4];
    void *keys[2];
} rederiving;

static inline void make_rederivation(rederiving *r, party *p, uint8_t secret, const char *us, const char *them,
                                     bool is_client, bool is_server)
{
    memset(r, 0, sizeof *r);
    memset(r->secret, secret, sizeof r->secret);
    snprintf(r->ids[0], sizeof r->ids[0], "%s", us);
    snprintf(r->ids[1], sizeof r->ids[1], "%s", them);
    size_t size, align;
    assert_int_equal(nacre_context_key_layout(&p->crypto, 0, &size, &align), NACRE_OK);
    for (int i = 0; i < 2; i++) r->keys[i] = malloc(size);
    r->rederivation.material.master_secret = (nacre_secret){ NACRE_ARRAY(r->secret), 0 };
    r->rederivation.material.sender_id = nacre_bytes_of((const uint8_t *)r->ids[0], strlen(us));
    r->rederivation.material.recipient_id = nacre_bytes_of((const uint8_t *)r->ids[1], strlen(them));
    r->rederivation.derived.key_buf = (nacre_buf){ r->keys[0], size };
    r->rederivation.spare.key_buf = (nacre_buf){ r->keys[1], size };
    r->rederivation.is_client = is_client;
    r->rederivation.is_server = is_server;
    r->rederivation.user = r;
}

static inline void drop_rederivation(rederiving *r, party *p)
{
    nacre_endpoint_remove_rederivation(p->ep, &r->rederivation);
    for (int i = 0; i < 2; i++) free(r->keys[i]);
}

typedef struct rederiving_pair {
    party client, server;
    rederiving ours, theirs;
} rederiving_pair;

static inline void open_rederiving(rederiving_pair *p, const nacre_endpoint_config *config)
{
    party_open(&p->client, "client", 1, config);
    party_open(&p->server, "server", 2, config);
    make_rederivation(&p->ours, &p->client, 5, "c", "s", true, false);
    make_rederivation(&p->theirs, &p->server, 5, "s", "c", false, true);
    assert_int_equal(nacre_endpoint_add_rederivation(p->client.ep, &p->ours.rederivation), NACRE_OK);
    assert_int_equal(nacre_endpoint_add_rederivation(p->server.ep, &p->theirs.rederivation), NACRE_OK);
}

static inline void close_rederiving(rederiving_pair *p)
{
    drop_rederivation(&p->ours, &p->client);
    drop_rederivation(&p->theirs, &p->server);
    party_close(&p->client);
    party_close(&p->server);
}

static inline nacre_exchange request_rederiving(party *from, const party *to, rederiving *r, uint8_t type)
{
    const nacre_message get = get_request(type);
    nacre_exchange exchange = NACRE_EXCHANGE_NONE;
    assert_int_equal(nacre_endpoint_request_with(from->ep, &exchange, &to->address, NULL, &get,
                                                 &(nacre_request_options){ .rederivation = &r->rederivation }, NULL),
                     NACRE_OK);
    return exchange;
}

/* The datagram that `from` has to send. */
static inline datagram next_of(party *from, uint64_t now)
{
    datagram d;
    assert_true(party_take(from, &d, now));
    return d;
}

static inline void expect_rederived(party *p, const rederiving *r)
{
    const nacre_event event = expect_event(p, NACRE_EVENT_REDERIVED);
    assert_ptr_equal(event.user, r);
    assert_ptr_equal(event.context, nacre_rederivation_context(&r->rederivation));
    assert_int_equal(nacre_context_id_context(event.context).len, NACRE_REDERIVE_R2 + NACRE_REDERIVE_NONCE);
}

/* The client has sent its request: runs the four messages, keeping copies, up to both sides' events. */
static inline void renew_over(rederiving_pair *p, datagram m[4], uint64_t now)
{
    for (int i = 0; i < 4; i++) {
        party *from = i % 2 == 0 ? &p->client : &p->server, *to = i % 2 == 0 ? &p->server : &p->client;
        m[i] = next_of(from, now);
        party_give(to, from, &m[i], now);
        if (i < 2) continue;
        expect_rederived(to, i == 2 ? &p->theirs : &p->ours);
        if (i == 2) respond_text(to, expect_event(to, NACRE_EVENT_REQUEST).exchange, "new");
        else assert_payload(expect_event(to, NACRE_EVENT_RESPONSE).message, "new");
    }
}

#endif
