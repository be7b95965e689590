/* SPDX-License-Identifier: MIT */
/* silent_peer_test: NON messages to a peer that does not respond keep to PROBING_RATE (RFC 7252 4.7, RFC 7641
 * 4.5.1). */
#include "../scenario/raw.h"

enum { MAX_MESSAGE = 128, BURST = 16 * MAX_MESSAGE, RATE = 8, MANY = 400 };

static nacre_exchange request_from(party *p, const nacre_address *peer, uint8_t type)
{
    const nacre_message get = get_request(type);
    nacre_exchange exchange;
    assert_int_equal(nacre_endpoint_request(p->ep, &exchange, peer, NULL, &get, NULL), NACRE_OK);
    return exchange;
}

/* Sends NON requests, and gives up each at once, until one is held back, which stays. Returns the bytes sent. */
static size_t send_until_held(party *p, const nacre_address *peer, uint64_t now)
{
    size_t bytes = 0;
    for (int i = 0; i < MANY; i++) {
        datagram d;
        const nacre_exchange exchange = request_from(p, peer, NACRE_NON);
        if (!party_take(p, &d, now)) return bytes;
        bytes += d.len;
        nacre_endpoint_cancel(p->ep, exchange);
    }
    fail_msg("%d messages were sent", MANY);
    return 0;
}

static void open_at(pair *p, uint16_t nstart, uint32_t rate)
{
    pair_open(p,
              &(nacre_endpoint_config){ .max_message = MAX_MESSAGE,
                                        .congestion.nstart = nstart,
                                        .congestion.probing_rate = rate,
                                        .observe.num_observers = 1 },
              &(pairing){ 0 });
}

static void requests_after_a_burst_are_sent_at_the_rate(void **state)
{
    (void)state;
    static const uint16_t nstarts[] = { 1, UINT16_MAX };
    for (size_t row = 0; row < 2; row++) {
        pair p;
        datagram d;
        open_at(&p, nstarts[row], RATE);
        const size_t sent = send_until_held(&p.client, &p.server.address, 1000);
        assert_in_range(sent, BURST + 1, BURST + MAX_MESSAGE);
        const uint64_t due = nacre_endpoint_deadline(p.client.ep);
        assert_int_equal(due, 1000 + (sent - BURST) * 1000 / RATE);
        nacre_endpoint_expire(p.client.ep, due - 1);
        assert_false(party_take(&p.client, &d, due - 1));
        nacre_endpoint_expire(p.client.ep, due);
        assert_true(party_take(&p.client, &d, due));
        pair_close(&p);
    }
}

static void con_requests_and_other_peers_do_not_wait(void **state)
{
    (void)state;
    static const uint16_t nstarts[] = { 1, UINT16_MAX };
    for (size_t row = 0; row < 2; row++) {
        pair p;
        datagram d;
        open_at(&p, nstarts[row], RATE);
        const nacre_address other = address_named("other");
        (void)send_until_held(&p.client, &p.server.address, 0);
        (void)request_from(&p.client, &p.server.address, NACRE_NON);
        (void)request_from(&p.client, &p.server.address, NACRE_CON);
        assert_true(party_take(&p.client, &d, 0));
        assert_int_equal(datagram_message(&d).type, NACRE_CON);
        assert_false(party_take(&p.client, &d, 0));
        (void)request_from(&p.client, &other, NACRE_NON);
        assert_true(party_take(&p.client, &d, 0));
        assert_false(party_take(&p.client, &d, 0));
        pair_close(&p);
    }
}

static void any_message_of_the_peer_releases_held_requests(void **state)
{
    (void)state;
    static const uint16_t nstarts[] = { 1, UINT16_MAX };
    for (size_t row = 0; row < 2; row++) {
        pair p;
        datagram d;
        open_at(&p, nstarts[row], RATE);
        (void)send_until_held(&p.client, &p.server.address, 0);
        datagram ping = empty_message(NACRE_CON, 7);
        party_give(&p.client, &p.server, &ping, 10);
        assert_true(party_take(&p.client, &d, 10)); /* its RST */
        assert_int_equal(datagram_message(&d).code, NACRE_EMPTY);
        assert_true(party_take(&p.client, &d, 10));
        assert_int_equal(datagram_message(&d).type, NACRE_NON);
        pair_close(&p);
    }
}

static void a_held_request_can_be_cancelled(void **state)
{
    (void)state;
    pair p;
    datagram d;
    open_at(&p, 1, RATE);
    (void)send_until_held(&p.client, &p.server.address, 0);
    const nacre_exchange second = request_from(&p.client, &p.server.address, NACRE_NON);
    assert_false(party_take(&p.client, &d, 0));
    nacre_endpoint_cancel(p.client.ep, second);
    assert_true(nacre_endpoint_deadline(p.client.ep) != UINT64_MAX); /* the first one is still held back */
    pair_close(&p);
}

static void a_notification_above_the_rate_is_a_con(void **state)
{
    (void)state;
    for (int row = 0; row < 2; row++) {
        pair p;
        datagram d;
        nacre_observer observer;
        open_at(&p, 1, row == 0 ? RATE : UINT32_MAX);
        raw r = raw_open(&p, p.ours);
        const nacre_event event = raw_requested(&r, NACRE_NON, NACRE_GET, raw_options(0, "x", -1), 0);
        assert_int_equal(nacre_endpoint_observe(p.server.ep, &observer, event.exchange, NULL), NACRE_OK);
        respond_text(&p.server, event.exchange, "one");
        (void)raw_take(&r, &d, 0);
        size_t bytes = 0, cons = 0;
        for (int i = 0; i < MANY; i++) {
            nacre_endpoint_changed(p.server.ep, observer);
            assert_int_equal(expect_event(&p.server, NACRE_EVENT_NOTIFY).observer.number, observer.number);
            respond_text(&p.server, notification_of(observer), "two");
            const nacre_message m = raw_take(&r, &d, 0);
            if (m.type == NACRE_CON) {
                if (cons++ > 0) assert_in_range(bytes, BURST + 1, BURST + MAX_MESSAGE);
                raw_empty(&r, NACRE_ACK, m.mid, 0);
                bytes = 0;
            } else {
                bytes += d.len;
            }
        }
        assert_true(row == 0 ? cons > 2 : cons == 1); /* the first confirms the registration */
        pair_close(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_after_a_burst_are_sent_at_the_rate),
        cmocka_unit_test(con_requests_and_other_peers_do_not_wait),
        cmocka_unit_test(any_message_of_the_peer_releases_held_requests),
        cmocka_unit_test(a_held_request_can_be_cancelled),
        cmocka_unit_test(a_notification_above_the_rate_is_a_con),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
