/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* transfer_sizes_test: every body from 0 to 5000 bytes, in blocks of every size, in both directions at once, is
 * returned unchanged. */
#include "../scenario/world.h"
#include "sampled.h"

enum { MAX_SIZE = 5000 };

static uint8_t body[MAX_SIZE], back[MAX_SIZE + 16];

/* The server returns what it receives; the client gets one final event. */
typedef struct outcome {
    unsigned ends;
    nacre_event event;
    size_t len;
    bool same;
} outcome;

static void on_event(void *user, party *p, const nacre_event *event, uint64_t now)
{
    outcome *o = user;
    (void)now;
    if (event->kind == NACRE_EVENT_REQUEST) {
        const nacre_message response = { .code = NACRE_CHANGED, .payload = event->message.payload };
        assert_int_equal(nacre_transfer_respond(p->transfer, event->exchange, &response, NULL), NACRE_OK);
        return;
    }
    o->ends++;
    o->event = *event;
    o->len = event->message.payload.len;
    o->same = o->len == 0 || memcmp(event->message.payload.ptr, body, o->len) == 0;
}

static void one(pair *p, wire *w, outcome *o, bool is_protected, size_t len, uint16_t block_size)
{
    nacre_transfer_exchange exchange;
    const nacre_message post = { .type = NACRE_CON, .code = NACRE_POST, .payload = nacre_bytes_of(body, len) };
    const nacre_transfer_options options = { .buf = NACRE_BUF(back), .block_size = block_size };
    *o = (outcome){ 0 };
    assert_int_equal(nacre_transfer_request(p->client.transfer, &exchange, &p->server.address,
                                            is_protected ? p->ours : NULL, &post, &options, o),
                     NACRE_OK);
    while (o->ends == 0) assert_true(wire_step(w));
    if (o->event.kind != NACRE_EVENT_RESPONSE || o->len != len || !o->same)
        fail_msg("%zu bytes in blocks of %u: %s, %zu back", len, block_size, nacre_err_name(o->event.err), o->len);
    assert_int_equal(o->event.transfer_exchange.number, exchange.number);
    assert_ptr_equal(o->event.user, o);
}

static void sizes(bool is_protected, size_t step_of_small)
{
    static wire w;
    pair p;
    outcome o;
    for (size_t i = 0; i < MAX_SIZE; i++) body[i] = (uint8_t)(i * 31 + (i >> 8));
    pair_open(&p, NULL, &(pairing){ 0 });
    party_add_transfer(&p.client, NULL);
    party_add_transfer(&p.server, NULL);
    w = (wire){ .parties = { &p.client, &p.server }, .num_parties = 2, .on_event = on_event, .user = &o };
    for (uint16_t block_size = 16; block_size <= 1024; block_size *= 2) {
        const size_t step = block_size < 256 ? step_of_small : 1;
        for (size_t len = 0; len <= MAX_SIZE; len += (len < 1100 ? 1 : step) * (SAMPLED ? 29 : 1))
            one(&p, &w, &o, is_protected, len, block_size);
        for (size_t len = block_size; len <= MAX_SIZE;
             len += block_size * (len < 1100 ? 1 : step)) /* near a block boundary */
            for (size_t d = 0; d < 3; d++)
                if (len + d <= MAX_SIZE + 1) one(&p, &w, &o, is_protected, len + d - 1, block_size);
    }
    for (size_t len = 0; len <= MAX_SIZE; len += SAMPLED ? 29 : 1) one(&p, &w, &o, is_protected, len, 0);
    pair_close(&p);
}

static void plain_bodies_of_each_size_arrive(void **state)
{
    (void)state;
    sizes(false, 7);
}

/* RFC 8613 4.1.3.4.1 */
static void protected_bodies_of_each_size_arrive(void **state)
{
    (void)state;
    sizes(true, 61);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(plain_bodies_of_each_size_arrive),
                                        cmocka_unit_test(protected_bodies_of_each_size_arrive) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
