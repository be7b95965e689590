/* SPDX-License-Identifier: MIT */
/* echo_cache_test: an Echo value of any response is sent once, with the next request to the address and the security
 * context that it came from (RFC 9175 2.3). */
#include "../scenario/world.h"
#include "endpoint/endpoint_struct.h"

static const uint8_t echo_option[] = { 0xd3, 0xef, 'a', 'b', 'c' };

/* One request of the client, and a response with those options; returns the Echo value of the request. */
static nacre_bytes challenge(pair *p, const nacre_address *peer, nacre_context *ours, nacre_bytes response_options,
                             uint64_t now)
{
    static uint8_t kept[40];
    const nacre_message get = get_request(NACRE_CON);
    nacre_exchange exchange;
    datagram d, back;
    assert_int_equal(nacre_endpoint_request(p->client.ep, &exchange, peer, ours, &get, NULL), NACRE_OK);
    assert_true(party_take(&p->client, &d, now));
    if (!nacre_address_equal(peer, &p->server.address)) { /* no peer responds there */
        nacre_endpoint_cancel(p->client.ep, exchange);
        return nacre_option_find(datagram_message(&d).options, NACRE_OPT_ECHO).len > 0 ? NACRE_STR("some")
                                                                                       : NACRE_ABSENT;
    }
    party_give(&p->server, &p->client, &d, now);
    const nacre_event request = expect_event(&p->server, NACRE_EVENT_REQUEST);
    const nacre_bytes echo = nacre_option_find(request.message.options, NACRE_OPT_ECHO);
    const nacre_bytes copy = nacre_is_absent(echo) ? NACRE_ABSENT : nacre_bytes_of(kept, echo.len);
    if (echo.len > 0) memcpy(kept, echo.ptr, echo.len);
    const nacre_message response = { .code = NACRE_CONTENT, .options = response_options };
    assert_int_equal(nacre_endpoint_respond(p->server.ep, request.exchange, &response), NACRE_OK);
    assert_true(party_take(&p->server, &back, now));
    party_give(&p->client, &p->server, &back, now);
    (void)expect_event(&p->client, NACRE_EVENT_RESPONSE);
    return copy;
}

static void value_of_a_success_is_sent_once_with_the_next_request(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        pair p;
        pair_open(&p, NULL, &(pairing){ 0 });
        nacre_context *ctx = is_protected ? p.ours : NULL;
        assert_true(nacre_is_absent(challenge(&p, &p.server.address, ctx, NACRE_ARRAY(echo_option), 0)));
        assert_true(nacre_bytes_equal(challenge(&p, &p.server.address, ctx, NACRE_ABSENT, 0), NACRE_STR("abc")));
        assert_true(nacre_is_absent(challenge(&p, &p.server.address, ctx, NACRE_ABSENT, 0)));
        pair_close(&p);
    }
}

/* An inner value is sent inside, one in clear is sent in clear, neither to another address, and neither after it has
 * expired. */
static void value_is_sent_to_its_origin_only(void **state)
{
    (void)state;
    enum { OTHER_PROTECTION, ELSEWHERE, LATE, IN_TIME, NUM };
    for (int is_protected = 0; is_protected < 2; is_protected++)
        for (int row = OTHER_PROTECTION; row < NUM; row++) {
            pair p;
            pair_open(&p, NULL, &(pairing){ 0 });
            nacre_context *ctx = is_protected ? p.ours : NULL, *other = is_protected ? NULL : p.ours;
            const nacre_address elsewhere = address_named("elsewhere");
            (void)challenge(&p, &p.server.address, ctx, NACRE_ARRAY(echo_option), 0);
            const nacre_bytes got =
                row == OTHER_PROTECTION ? challenge(&p, &p.server.address, other, NACRE_ABSENT, 0)
                : row == ELSEWHERE      ? challenge(&p, &elsewhere, NULL, NACRE_ABSENT, 0)
                                   : challenge(&p, &p.server.address, ctx, NACRE_ABSENT, row == LATE ? 248000 : 246000);
            assert_int_equal(got.len, row == IN_TIME ? 3 : 0);
            /* a value in clear was sent as outer option of the protected request */
            const size_t left = row == OTHER_PROTECTION && !is_protected ? 0 : 3;
            if (row < LATE) assert_int_equal(challenge(&p, &p.server.address, ctx, NACRE_ABSENT, 0).len, left);
            pair_close(&p);
        }
}

/* Removing a context drops its value: another context may get its address. */
static void value_is_dropped_with_its_context(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    (void)challenge(&p, &p.server.address, p.ours, NACRE_ARRAY(echo_option), 0);
    nacre_endpoint_remove_context(p.client.ep, p.ours);
    assert_true(nacre_is_absent(challenge(&p, &p.server.address, p.ours, NACRE_ABSENT, 0)));
    pair_close(&p);
}

/* The outer Echo value of the client's next protected request; the exchange is completed. */
static nacre_bytes outer_echo(pair *p, const nacre_address *peer, uint64_t now)
{
    static datagram d;
    nacre_exchange exchange;
    const nacre_message get = get_request(NACRE_CON);
    assert_int_equal(nacre_endpoint_request(p->client.ep, &exchange, peer, p->ours, &get, NULL), NACRE_OK);
    assert_true(party_take(&p->client, &d, now));
    nacre_endpoint_cancel(p->client.ep, exchange);
    const nacre_message m = datagram_message(&d);
    if (nacre_address_equal(peer, &p->server.address)) { /* the added option does not disturb the server */
        party_give(&p->server, &p->client, &d, now);
        const nacre_event event = expect_event(&p->server, NACRE_EVENT_REQUEST);
        assert_ptr_equal(event.context, p->theirs);
        assert_true(nacre_is_absent(nacre_option_find(event.message.options, NACRE_OPT_ECHO)));
        nacre_endpoint_ignore(p->server.ep, event.exchange);
        assert_true(party_take(&p->server, &d, now));
        party_give(&p->server, &p->client, &d, now);
    }
    return nacre_option_find(m.options, NACRE_OPT_ECHO);
}

typedef enum origin { PLAIN_RESPONSE, OUTSIDE, UNPROTECTED_ERROR, UNPROTECTED_CONTENT, NUM_ORIGINS } origin;

/* The client receives a value in clear from its server, in response to a plain or a protected request. */
static void hear_in_clear(pair *p, origin from, uint64_t now)
{
    datagram d, back;
    nacre_event event;
    if (from == PLAIN_RESPONSE) {
        (void)challenge(p, &p->server.address, NULL, NACRE_ARRAY(echo_option), now);
        return;
    }
    const nacre_exchange exchange = start(&p->client, &p->server, p->ours, NACRE_CON);
    const nacre_message sent = sent_request(p, &d, now);
    static uint8_t options[64];
    nacre_message m = { .type = NACRE_ACK, .code = from == UNPROTECTED_ERROR ? NACRE_UNAUTHORIZED : NACRE_CONTENT };
    m.mid = sent.mid;
    m.token = sent.token;
    m.options = NACRE_ARRAY(echo_option);
    if (from == OUTSIDE) {
        served(p, &d, &back, "verified", now);
        m = datagram_message(&back);
        assert_true(m.options.len + sizeof echo_option < sizeof options);
        memcpy(options, m.options.ptr, m.options.len); /* the last option is OSCORE */
        memcpy(options + m.options.len,
               (const uint8_t[]){ 0xd3, NACRE_OPT_ECHO - NACRE_OPT_OSCORE - 13, 'a', 'b', 'c' }, 5);
        m.options = nacre_bytes_of(options, m.options.len + 5);
    }
    datagram changed;
    datagram_write(&changed, &m);
    party_give(&p->client, &p->server, &changed, now);
    assert_true(party_next_event(&p->client, &event));
    assert_int_equal(event.kind, from == OUTSIDE ? NACRE_EVENT_RESPONSE : NACRE_EVENT_FAILED);
    assert_int_equal(event.exchange.number, exchange.number);
    if (from == OUTSIDE) assert_true(nacre_is_absent(nacre_option_find(event.message.options, NACRE_OPT_ECHO)));
    assert_false(party_take(&p->client, &d, now)); /* it brings no retransmission */
}

/* RFC 9175 2.3: values from outer options, or from non-OSCORE responses, are sent in outer options: once, to that
 * address, before they expire. */
static void value_in_clear_is_sent_as_outer_option(void **state)
{
    (void)state;
    for (origin from = PLAIN_RESPONSE; from < NUM_ORIGINS; from++) {
        pair p;
        pair_open(&p, &(nacre_endpoint_config){ .congestion.nstart = 8 }, &(pairing){ 0 });
        const nacre_address elsewhere = address_named("elsewhere");
        hear_in_clear(&p, from, 0);
        assert_true(nacre_is_absent(outer_echo(&p, &elsewhere, 0)));
        assert_true(nacre_bytes_equal(outer_echo(&p, &p.server.address, 0), NACRE_STR("abc")));
        assert_true(nacre_is_absent(outer_echo(&p, &p.server.address, 0)));
        hear_in_clear(&p, from, 0);
        assert_true(nacre_is_absent(outer_echo(&p, &p.server.address, 248000)));
        pair_close(&p);
    }
}

/* Inner and outer values in one request, each where it came from. */
static void values_inside_and_outside_do_not_mix(void **state)
{
    (void)state;
    static const uint8_t inner[] = { 0xd2, 0xef, 'i', 'n' };
    pair p;
    datagram d;
    pair_open(&p, NULL, &(pairing){ 0 });
    (void)challenge(&p, &p.server.address, p.ours, NACRE_ARRAY(inner), 0);
    (void)challenge(&p, &p.server.address, NULL, NACRE_ARRAY(echo_option), 0);
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    const nacre_message outer = sent_request(&p, &d, 0);
    assert_true(nacre_bytes_equal(nacre_option_find(outer.options, NACRE_OPT_ECHO), NACRE_STR("abc")));
    party_give(&p.server, &p.client, &d, 0);
    const nacre_event event = expect_event(&p.server, NACRE_EVENT_REQUEST);
    assert_true(nacre_bytes_equal(nacre_option_find(event.message.options, NACRE_OPT_ECHO), NACRE_STR("in")));
    pair_close(&p);
}

/* An inner value stays, however many servers send values in clear. */
static void values_in_clear_evict_no_inner_value(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .congestion.nstart = 8 }, &(pairing){ 0 });
    (void)challenge(&p, &p.server.address, p.ours, NACRE_ARRAY(echo_option), 0);
    const nacre_address server = p.server.address;
    for (char name[] = "aa"; name[0] <= 'b'; name[1] == 'z' ? (void)(name[0]++, name[1] = 'a') : (void)name[1]++) {
        p.server.address = address_named(name);
        hear_in_clear(&p, UNPROTECTED_ERROR, 0);
    }
    p.server.address = server;
    assert_int_equal(challenge(&p, &server, p.ours, NACRE_ABSENT, 0).len, 3);
    pair_close(&p);
}

/* A request that is too long for the value is sent without it; the next shorter one carries it. */
static void value_without_space_waits_for_a_shorter_request(void **state)
{
    (void)state;
    pair p;
    datagram d;
    static uint8_t payload[200];
    pair_open(&p, &(nacre_endpoint_config){ .max_message = 128, .congestion.nstart = 8 }, &(pairing){ 0 });
    hear_in_clear(&p, PLAIN_RESPONSE, 0);
    nacre_message put = { .code = NACRE_PUT, .payload = NACRE_ARRAY(payload) };
    nacre_exchange exchange;
    while (nacre_endpoint_request(p.client.ep, &exchange, &p.server.address, p.ours, &put, NULL) == NACRE_ERR_TOO_LONG)
        put.payload.len--;
    assert_true(party_take(&p.client, &d, 0));
    assert_true(nacre_is_absent(nacre_option_find(datagram_message(&d).options, NACRE_OPT_ECHO)));
    assert_true(d.len > 120);
    nacre_endpoint_cancel(p.client.ep, exchange);
    assert_int_equal(outer_echo(&p, &p.server.address, 0).len, 3);
    pair_close(&p);
}

/* Our own value returned as outer option validates its address: the whole response is sent there. */
static void our_value_returned_as_outer_option_validates_the_address(void **state)
{
    (void)state;
    static uint8_t body[1000];
    for (int is_ours = 0; is_ours < 2; is_ours++) {
        pair p;
        datagram d, back;
        uint8_t value[NACRE__ECHO_LEN];
        pair_open(&p, NULL, &(pairing){ 0 });
        const nacre_bytes echo = nacre__echo_for(&p.server.ep->echo, &p.client.address, value);
        if (!is_ours) value[0] ^= 1;
        uint8_t options[2 + NACRE__ECHO_LEN] = { 0xd8, 0xef };
        memcpy(options + 2, echo.ptr, echo.len);
        nacre__echo_keep(&p.client.ep->kept_echos, &p.server.address, NULL, NACRE_ARRAY(options));
        (void)start(&p.client, &p.server, p.ours, NACRE_CON);
        (void)sent_request(&p, &d, 0);
        party_give(&p.server, &p.client, &d, 0);
        const nacre_event event = expect_event(&p.server, NACRE_EVENT_REQUEST);
        const nacre_message response = { .code = NACRE_CONTENT, .payload = NACRE_ARRAY(body) };
        assert_int_equal(nacre_endpoint_respond(p.server.ep, event.exchange, &response), NACRE_OK);
        assert_true(party_take(&p.server, &back, 0));
        assert_int_equal(back.len > 1000, is_ours);
        pair_close(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_of_a_success_is_sent_once_with_the_next_request),
        cmocka_unit_test(value_is_sent_to_its_origin_only),
        cmocka_unit_test(value_is_dropped_with_its_context),
        cmocka_unit_test(value_in_clear_is_sent_as_outer_option),
        cmocka_unit_test(values_inside_and_outside_do_not_mix),
        cmocka_unit_test(values_in_clear_evict_no_inner_value),
        cmocka_unit_test(value_without_space_waits_for_a_shorter_request),
        cmocka_unit_test(our_value_returned_as_outer_option_validates_the_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
