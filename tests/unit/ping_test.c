/* SPDX-License-Identifier: MIT */
/* ping_test: an empty CON and its outcomes (RFC 7252 4.3). */
#include "../scenario/world.h"

static nacre_exchange ping(pair *p, datagram *d, uint64_t now)
{
    nacre_exchange exchange;
    assert_int_equal(nacre_endpoint_ping(p->client.ep, &exchange, &p->server.address, p), NACRE_OK);
    assert_true(party_take(&p->client, d, now));
    assert_int_equal(d->len, 4);
    assert_int_equal(datagram_message(d).type, NACRE_CON);
    assert_int_equal(datagram_message(d).code, NACRE_EMPTY);
    return exchange;
}

/* A RST is a pong, as our own endpoint sends it, and so is an ACK. A message with another MID or from elsewhere is
 * not. */
static void rst_or_ack_with_the_message_id_is_a_pong(void **state)
{
    (void)state;
    for (int row = 0; row < 2; row++) {
        pair p;
        pair_open(&p, NULL, &(pairing){ 0 });
        datagram d, back;
        const nacre_exchange exchange = ping(&p, &d, 0);
        const uint16_t mid = datagram_message(&d).mid;
        back = empty_message(NACRE_RST, (uint16_t)(mid + 1));
        party_give(&p.client, &p.server, &back, 0);
        back = empty_message(NACRE_RST, mid);
        party_give(&p.client, &p.client, &back, 0);
        expect_quiet(&p.client, 0);
        if (row == 0) {
            party_give(&p.server, &p.client, &d, 0);
            assert_true(party_take(&p.server, &back, 0));
            assert_int_equal(datagram_message(&back).type, NACRE_RST);
        } else {
            back = empty_message(NACRE_ACK, mid);
        }
        party_give(&p.client, &p.server, &back, 5);
        const nacre_event event = expect_event(&p.client, NACRE_EVENT_PONG);
        assert_int_equal(event.exchange.number, exchange.number);
        assert_ptr_equal(event.user, &p);
        assert_null(event.context);
        assert_true(nacre_address_equal(&event.peer, &p.server.address));
        party_give(&p.client, &p.server, &back, 6); /* duplicated */
        expect_quiet(&p.client, 6);
        assert_true(nacre_endpoint_deadline(p.client.ep) == UINT64_MAX);
        pair_close(&p);
    }
}

/* Without a pong the ping is retransmitted like any CON, then given up; or reported unreachable; or cancelled. */
static void without_a_pong_a_ping_is_given_up(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram first, d;
    (void)ping(&p, &first, 0);
    for (int i = 0; i < 4; i++) {
        const uint64_t due = nacre_endpoint_deadline(p.client.ep);
        nacre_endpoint_expire(p.client.ep, due);
        assert_true(party_take(&p.client, &d, due));
        assert_true(datagram_same(&first, &d));
    }
    nacre_endpoint_expire(p.client.ep, nacre_endpoint_deadline(p.client.ep));
    expect_failed(&p.client, NACRE_ERR_TIMEOUT);
    (void)ping(&p, &d, 0);
    nacre_endpoint_unreachable(p.client.ep, &p.server.address);
    expect_failed(&p.client, NACRE_ERR_UNREACHABLE);
    nacre_endpoint_cancel(p.client.ep, ping(&p, &d, 0));
    assert_int_equal(nacre_endpoint_unobserve(p.client.ep, ping(&p, &d, 0)), NACRE_ERR_BAD_ARGUMENT);
    expect_quiet(&p.client, 0);
    pair_close(&p);
}

static void ping_is_refused_over_tcp_and_when_full(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .num_client_exchanges = 1 }, &(pairing){ 0 });
    nacre_exchange exchange = { 77 };
    nacre_address reliable = p.server.address;
    reliable.flags = NACRE_ADDRESS_RELIABLE;
    assert_int_equal(nacre_endpoint_ping(p.client.ep, &exchange, &reliable, NULL), NACRE_ERR_UNSUPPORTED);
    assert_int_equal(nacre_endpoint_ping(p.client.ep, &exchange, &p.server.address, NULL), NACRE_OK);
    exchange.number = 77;
    assert_int_equal(nacre_endpoint_ping(p.client.ep, &exchange, &p.server.address, NULL), NACRE_ERR_BUSY);
    assert_int_equal(exchange.number, 77);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rst_or_ack_with_the_message_id_is_a_pong),
        cmocka_unit_test(without_a_pong_a_ping_is_given_up),
        cmocka_unit_test(ping_is_refused_over_tcp_and_when_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
