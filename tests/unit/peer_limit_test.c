/* SPDX-License-Identifier: MIT */
/* peer_limit_test: peers that accept less than max_message, as connections may announce (RFC 8323 5.3.1). A message too
 * long for them is refused when it is given to the endpoint, so that a shorter one can be tried. */
#include "../scenario/world.h"

enum { MAX = 300, LIMIT = 100 };

/* The callback's state. */
typedef struct limits {
    const nacre_address *small; /* this peer accepts LIMIT */
} limits;

static size_t limit_of(void *self, const nacre_address *peer)
{
    const limits *l = self;
    return nacre_address_equal(peer, l->small) ? LIMIT : 100000; /* max_message still applies */
}

static nacre_message with_payload(uint8_t code, size_t len)
{
    static const uint8_t bytes[MAX] = { 0 };
    return (nacre_message){ .type = NACRE_NON, .code = code, .payload = nacre_bytes_of(bytes, len) };
}

/* The length of the longest payload that the endpoint accepts. */
static size_t longest_request(pair *p, nacre_context *context, const nacre_address *peer)
{
    for (size_t len = MAX; len > 0; len--) {
        nacre_exchange exchange;
        const nacre_message m = with_payload(NACRE_POST, len);
        const nacre_err err = nacre_endpoint_request(p->client.ep, &exchange, peer, context, &m, NULL);
        if (err == NACRE_OK) {
            datagram d;
            assert_true(party_take(&p->client, &d, 0));
            nacre_endpoint_cancel(p->client.ep, exchange);
            return len;
        }
        assert_int_equal(err, NACRE_ERR_TOO_LONG);
    }
    return 0;
}

static void requests_keep_the_limit_of_their_peer(void **state)
{
    (void)state;
    pair p;
    limits l;
    const nacre_address other = address_named("other");
    pair_open(&p, &(nacre_endpoint_config){ .max_message = MAX, .limit = { limit_of, &l } }, &(pairing){ 0 });
    l.small = &p.server.address;
    /* header 4, token 8, marker 1 */
    assert_int_equal(longest_request(&p, NULL, &p.server.address), LIMIT - 13);
    assert_int_equal(longest_request(&p, NULL, &other), MAX - 13);
    /* protected: OSCORE option 3, with 5 bytes reserved for the Partial IV, inner code and marker 2, tag 8 */
    const size_t small = longest_request(&p, p.ours, &p.server.address), large = longest_request(&p, p.ours, &other);
    assert_true(small < LIMIT - 13 - 10);
    assert_int_equal(large - small, MAX - LIMIT);
    pair_close(&p);
}

/* Piggybacked, separate, and as a notification. */
static void responses_keep_the_limit_of_their_peer(void **state)
{
    (void)state;
    for (int protected = 0; protected < 2; protected ++)
        for (int deferred = 0; deferred < 2; deferred++) {
            pair p;
            limits l;
            datagram out, back;
            pair_open(&p, &(nacre_endpoint_config){ .max_message = MAX, .limit = { limit_of, &l } }, &(pairing){ 0 });
            l.small = &p.client.address;
            (void)start(&p.client, &p.server, protected ? p.ours : NULL, NACRE_NON);
            assert_true(party_take(&p.client, &out, 0));
            party_give(&p.server, &p.client, &out, 0);
            const nacre_event event = expect_event(&p.server, NACRE_EVENT_REQUEST);
            if (deferred) assert_int_equal(nacre_endpoint_defer_response(p.server.ep, event.exchange), NACRE_OK);
            size_t len = LIMIT;
            nacre_err err = NACRE_ERR_TOO_LONG;
            for (; err == NACRE_ERR_TOO_LONG && len > 0; len--) {
                const nacre_message m = with_payload(NACRE_CONTENT, len);
                err = nacre_endpoint_respond(p.server.ep, event.exchange, &m);
            }
            assert_int_equal(err, NACRE_OK);
            assert_true(party_take(&p.server, &back, 0));
            assert_int_equal(back.len, LIMIT); /* and not a byte less than allowed */
            pair_close(&p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(requests_keep_the_limit_of_their_peer),
                                        cmocka_unit_test(responses_keep_the_limit_of_their_peer) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
