/* SPDX-License-Identifier: MIT */
/* reliable_transport_test: on a connection (NACRE_ADDRESS_RELIABLE) nothing is retransmitted, deduplicated or rejected,
 * errors get a response, and the end of the connection ends every exchange on it. */
#include "../scenario/world.h"

static void open_reliable(pair *p, const nacre_endpoint_config *config, const pairing *how)
{
    pair_open(p, config, how);
    p->client.address.flags = p->server.address.flags = NACRE_ADDRESS_RELIABLE;
}

/* A requested CON is sent as NON, once, regardless of NSTART, and its response has the time of a response. */
static void con_is_sent_once_as_non(void **state)
{
    (void)state;
    pair p;
    open_reliable(&p, &(nacre_endpoint_config){ .congestion.nstart = 1 }, &(pairing){ 0 });
    datagram d[3], back;
    for (int i = 0; i < 3; i++) (void)start(&p.client, &p.server, i == 0 ? NULL : p.ours, NACRE_CON);
    for (int i = 0; i < 3; i++) assert_int_equal(sent_request(&p, &d[i], 0).type, NACRE_NON);
    assert_true(nacre_endpoint_deadline(p.client.ep) == 93000);
    for (int i = 1; i < 3; i++) {
        served(&p, &d[i], &back, "there", 10);
        assert_int_equal(datagram_message(&back).type, NACRE_NON);
        party_give(&p.client, &p.server, &back, 20);
        assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "there");
    }
    nacre_endpoint_expire(p.client.ep, 93000);
    expect_failed(&p.client, NACRE_ERR_TIMEOUT);
    expect_quiet(&p.client, 93000);
    pair_close(&p);
}

/* The same bytes again are another request: a connection repeats nothing, and has no message IDs. Over datagrams they
 * are a duplicate. */
static void equal_bytes_are_separate_requests(void **state)
{
    (void)state;
    for (uint8_t flags = 0; flags <= NACRE_ADDRESS_RELIABLE; flags++) {
        pair p;
        pair_open(&p, &(nacre_endpoint_config){ .num_server_exchanges = 2 }, &(pairing){ 0 });
        p.client.address.flags = flags;
        datagram d, back;
        datagram_write(&d, &(nacre_message){ .type = NACRE_NON, .code = NACRE_GET, .token = NACRE_STR("t") });
        for (int i = 0; i < 5; i++) {
            party_give(&p.server, &p.client, &d, 0);
            if (i > 0 && flags == 0) {
                expect_quiet(&p.server, 0);
                continue;
            }
            respond_text(&p.server, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange, "again");
            assert_true(party_take(&p.server, &back, 0));
        }
        pair_close(&p);
    }
}

/* A replay is refused over any transport; over a connection, the refusal is sent (RFC 8613 7.4, 8.2). */
static void refusals_get_a_response(void **state)
{
    (void)state;
    for (uint8_t flags = 0; flags <= NACRE_ADDRESS_RELIABLE; flags++) {
        pair p;
        pair_open(&p, NULL, &(pairing){ 0 });
        p.client.address.flags = flags;
        datagram d, back;
        (void)start(&p.client, &p.server, p.ours, NACRE_NON);
        nacre_message m = sent_request(&p, &d, 0);
        party_give(&p.server, &p.client, &d, 0);
        nacre_endpoint_ignore(p.server.ep, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange);
        expect_quiet(&p.server, 0); /* nor is there an ACK */
        m.mid++;
        datagram again;
        datagram_write(&again, &m);
        party_give(&p.server, &p.client, &again, 0);
        if (flags == 0) {
            expect_quiet(&p.server, 0);
        } else {
            assert_true(party_take(&p.server, &back, 0));
            assert_int_equal(datagram_message(&back).code, NACRE_UNAUTHORIZED);
            assert_int_equal(datagram_message(&back).type, NACRE_NON);
            assert_payload(datagram_message(&back), "Replay detected");
        }
        pair_close(&p);
    }
}

/* RFC 8323 3: there is no RST. An unexpected notification is dropped. */
static void nothing_is_rejected_by_rst(void **state)
{
    (void)state;
    static const uint8_t observe[] = { 0x60 };
    for (uint8_t flags = 0; flags <= NACRE_ADDRESS_RELIABLE; flags++) {
        pair p;
        pair_open(&p, NULL, &(pairing){ 0 });
        p.server.address.flags = flags;
        datagram d, out;
        datagram_write(&d, &(nacre_message){ NACRE_NON, NACRE_CONTENT, 5, NACRE_STR("whatever"), NACRE_ARRAY(observe),
                                             NACRE_STR("x") });
        party_give(&p.client, &p.server, &d, 0);
        assert_int_equal(party_take(&p.client, &out, 0), flags == 0);
        pair_close(&p);
    }
}

/* RFC 8323 7.1: the order of a connection is the order of its notifications, whatever their Observe values are. */
static void notifications_are_in_the_order_of_the_connection(void **state)
{
    (void)state;
    static const uint8_t observe[] = { 0x60 };
    pair p;
    open_reliable(&p, NULL, &(pairing){ 0 });
    datagram d, back;
    nacre_exchange exchange;
    const nacre_message get = { .type = NACRE_CON, .code = NACRE_GET, .options = NACRE_ARRAY(observe) };
    assert_int_equal(nacre_endpoint_request(p.client.ep, &exchange, &p.server.address, NULL, &get, NULL), NACRE_OK);
    const nacre_message sent = sent_request(&p, &d, 0);
    for (int i = 0; i < 3; i++) {
        datagram_write(&back, &(nacre_message){ NACRE_NON, NACRE_CONTENT, 0, sent.token, NACRE_ARRAY(observe), { 0 } });
        party_give(&p.client, &p.server, &back, 0);
        (void)expect_event(&p.client, NACRE_EVENT_NOTIFICATION);
    }
    nacre_endpoint_expire(p.client.ep, nacre_endpoint_deadline(p.client.ep));
    assert_int_equal(sent_request(&p, &d, 80000).type, NACRE_NON); /* registered again, not as a CON */
    pair_close(&p);
}

/* The connection is lost: our requests in each state end, the peer's become stale; exchanges with other peers go on. */
static void the_end_of_a_connection_ends_its_exchanges(void **state)
{
    (void)state;
    static const uint8_t observe[] = { 0x60 };
    pair p;
    open_reliable(&p, &(nacre_endpoint_config){ .congestion.nstart = 1 }, &(pairing){ .client_persistent = true });
    party udp;
    party_open(&udp, "server", 3, NULL); /* the same address, over datagrams */
    datagram d, out;
    nacre_exchange exchange;
    (void)start(&p.client, &udp, NULL, NACRE_NON);
    assert_true(party_take(&p.client, &d, 0));
    (void)start(&p.client, &p.server, NULL, NACRE_CON); /* sent */
    assert_true(party_take(&p.client, &d, 0));
    const nacre_message get = { .type = NACRE_CON, .code = NACRE_GET, .options = NACRE_ARRAY(observe) };
    assert_int_equal(nacre_endpoint_request(p.client.ep, &exchange, &p.server.address, NULL, &get, NULL), NACRE_OK);
    const nacre_message sent = sent_request(&p, &d, 0);
    datagram_write(&d, &(nacre_message){ NACRE_NON, NACRE_CONTENT, 0, sent.token, NACRE_ARRAY(observe), { 0 } });
    party_give(&p.client, &p.server, &d, 0); /* observing */
    (void)expect_event(&p.client, NACRE_EVENT_NOTIFICATION);
    (void)start(&p.client, &p.server, p.ours, NACRE_CON); /* waits for its store */
    assert_false(party_take(&p.client, &d, 0));
    (void)expect_event(&p.client, NACRE_EVENT_PERSIST);
    (void)start(&p.client, &p.server, NULL, NACRE_CON); /* queued */
    datagram_write(&d, &(nacre_message){ .type = NACRE_NON, .code = NACRE_GET, .token = NACRE_STR("a") });
    party_give(&p.client, &p.server, &d, 0);
    const nacre_event request = expect_event(&p.client, NACRE_EVENT_REQUEST);

    nacre_endpoint_unreachable(p.client.ep, &p.server.address);
    for (int i = 0; i < 4; i++) expect_failed(&p.client, NACRE_ERR_UNREACHABLE);
    const nacre_message response = { .code = NACRE_CONTENT };
    assert_int_equal(nacre_endpoint_respond(p.client.ep, request.exchange, &response), NACRE_ERR_STALE);
    serve_store(p.ours);
    nacre_endpoint_confirmed(p.client.ep, p.ours, NACRE_OK);
    expect_quiet(&p.client, 0);
    assert_false(party_take(&p.client, &out, 0));
    nacre_endpoint_expire(p.client.ep, 93000); /* the request over datagrams goes on */
    expect_failed(&p.client, NACRE_ERR_TIMEOUT);
    party_close(&udp);
    pair_close(&p);
}

/* A response that is queued when the connection is lost is not sent. */
static void a_queued_response_is_removed_too(void **state)
{
    (void)state;
    pair p;
    open_reliable(&p, NULL, &(pairing){ 0 });
    datagram d, back;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    (void)sent_request(&p, &d, 0);
    party_give(&p.server, &p.client, &d, 0);
    respond_text(&p.server, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange, "late");
    nacre_endpoint_unreachable(p.server.ep, &p.client.address);
    assert_false(party_take(&p.server, &back, 0));
    pair_close(&p);
}

/* A separate response and notifications are NON, sent once; an observer ends with its connection. */
static void notifications_are_sent_once_and_end_with_the_connection(void **state)
{
    (void)state;
    static const uint8_t observe[] = { 0x60 };
    pair p;
    open_reliable(&p, &(nacre_endpoint_config){ .observe.num_observers = 2 }, &(pairing){ 0 });
    datagram d, back;
    nacre_exchange exchange;
    nacre_observer observer;
    const nacre_message get = { .type = NACRE_CON, .code = NACRE_GET, .options = NACRE_ARRAY(observe) };
    assert_int_equal(nacre_endpoint_request(p.client.ep, &exchange, &p.server.address, p.ours, &get, NULL), NACRE_OK);
    (void)sent_request(&p, &d, 0);
    party_give(&p.server, &p.client, &d, 0);
    const nacre_exchange request = expect_event(&p.server, NACRE_EVENT_REQUEST).exchange;
    assert_int_equal(nacre_endpoint_observe(p.server.ep, &observer, request, NULL), NACRE_OK);
    assert_int_equal(nacre_endpoint_defer_response(p.server.ep, request), NACRE_OK);
    expect_quiet(&p.server, 5000); /* no empty ACK */
    for (int i = 0; i < 20; i++) { /* over datagrams, one in 16 is a CON */
        if (i > 0) nacre_endpoint_changed(p.server.ep, observer);
        respond_text(&p.server, i == 0 ? request : expect_event(&p.server, NACRE_EVENT_NOTIFY).exchange, "state");
        assert_true(party_take(&p.server, &back, 5000));
        assert_int_equal(datagram_message(&back).type, NACRE_NON);
        party_give(&p.client, &p.server, &back, 5000);
        assert_payload(expect_event(&p.client, NACRE_EVENT_NOTIFICATION).message, "state");
        expect_quiet(&p.client, 5000);
    }
    assert_true(nacre_endpoint_deadline(p.server.ep) == UINT64_MAX);
    nacre_endpoint_changed(p.server.ep, observer);
    respond_text(&p.server, expect_event(&p.server, NACRE_EVENT_NOTIFY).exchange, "late");
    nacre_endpoint_unreachable(p.server.ep, &p.client.address);
    const nacre_event removed = expect_event(&p.server, NACRE_EVENT_OBSERVER_REMOVED);
    assert_int_equal(removed.observer.number, observer.number);
    assert_int_equal(removed.err, NACRE_ERR_UNREACHABLE);
    expect_quiet(&p.server, 5000);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(con_is_sent_once_as_non),
        cmocka_unit_test(equal_bytes_are_separate_requests),
        cmocka_unit_test(refusals_get_a_response),
        cmocka_unit_test(nothing_is_rejected_by_rst),
        cmocka_unit_test(notifications_are_in_the_order_of_the_connection),
        cmocka_unit_test(the_end_of_a_connection_ends_its_exchanges),
        cmocka_unit_test(a_queued_response_is_removed_too),
        cmocka_unit_test(notifications_are_sent_once_and_end_with_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
