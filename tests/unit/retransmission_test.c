/* SPDX-License-Identifier: MIT */
/* retransmission_test: retransmission and giving up at the times of RFC 7252 4.2 and 4.8, and what ends them. */
#include "../scenario/world.h"

/* ---- Timers (RFC 7252 4.2, 4.8) ---------------------------------------------------------------------------------- */

static void con_is_retransmitted_with_exponential_back_off(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        pair p;
        pair_open(&p, NULL, &(pairing){ 0 });
        p.client.chance.state = seed;
        datagram first, d;
        (void)start(&p.client, &p.server, p.ours, NACRE_CON);
        assert_true(nacre_endpoint_deadline(p.client.ep) == UINT64_MAX); /* timers start with the transmission */
        uint64_t now = 5000;
        assert_true(party_take(&p.client, &first, now));
        uint64_t wait = nacre_endpoint_deadline(p.client.ep) - now;
        assert_in_range(wait, 2000, 3000);
        for (int i = 0; i < 4; i++, wait *= 2) {
            assert_true(nacre_endpoint_deadline(p.client.ep) == now + wait);
            nacre_endpoint_expire(p.client.ep, now + wait - 1);
            expect_quiet(&p.client, now + wait - 1);
            now += wait;
            nacre_endpoint_expire(p.client.ep, now);
            assert_true(nacre_endpoint_deadline(p.client.ep) == UINT64_MAX);
            assert_true(party_take(&p.client, &d, now));
            assert_true(datagram_same(&d, &first)); /* never protected twice */
        }
        assert_true(nacre_endpoint_deadline(p.client.ep) == now + wait);
        nacre_endpoint_expire(p.client.ep, now + wait - 1);
        expect_quiet(&p.client, now);
        nacre_endpoint_expire(p.client.ep, now + wait);
        expect_failed(&p.client, NACRE_ERR_TIMEOUT);
        expect_quiet(&p.client, now + wait);
        assert_int_equal(nacre_context_next_seq(p.ours), 1);
        assert_int_equal(nacre_endpoint_get_stats(p.client.ep).retransmitted, 4);
        pair_close(&p);
    }
}

static void timing_is_configured(void **state)
{
    (void)state;
    nacre_endpoint_config config = nacre_endpoint_config_default();
    config.timing.ack_timeout_ms = 100;
    config.timing.ack_random_factor_milli = 1000;
    config.timing.max_retransmit = 0;
    config.timing.response_timeout_ms = 700;
    pair p;
    pair_open(&p, &config, &(pairing){ 0 });
    datagram d;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    assert_true(party_take(&p.client, &d, 10));
    assert_true(nacre_endpoint_deadline(p.client.ep) == 110);
    nacre_endpoint_expire(p.client.ep, 110); /* no retransmission */
    expect_failed(&p.client, NACRE_ERR_TIMEOUT);
    (void)start(&p.client, &p.server, p.ours, NACRE_NON);
    assert_true(party_take(&p.client, &d, 200));
    assert_true(nacre_endpoint_deadline(p.client.ep) == 900);
    nacre_endpoint_expire(p.client.ep, 899);
    expect_quiet(&p.client, 899);
    nacre_endpoint_expire(p.client.ep, 900);
    expect_failed(&p.client, NACRE_ERR_TIMEOUT);
    pair_close(&p);
}

/* The clock may be at its maximum: no time wraps. */
static void times_do_not_wrap_at_the_end_of_the_clock(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram d;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    assert_true(party_take(&p.client, &d, UINT64_MAX - 10));
    nacre_endpoint_expire(p.client.ep, UINT64_MAX - 10);
    expect_quiet(&p.client, UINT64_MAX - 10);
    pair_close(&p);
}

/* At its maximum, an event without a time is still not due. */
static void an_event_without_a_time_is_never_due(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    assert_true(nacre_endpoint_deadline(p.client.ep) == UINT64_MAX);
    nacre_endpoint_expire(p.client.ep, UINT64_MAX);
    expect_quiet(&p.client, UINT64_MAX);
    assert_true(nacre_endpoint_deadline(p.client.ep) == UINT64_MAX);
    pair_close(&p);
}

static void an_empty_ack_ends_retransmission(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram d;
    (void)start(&p.client, &p.server, NULL, NACRE_CON);
    const nacre_message sent = sent_request(&p, &d, 0);
    datagram wrong_mid = empty_message(NACRE_ACK, (uint16_t)(sent.mid + 1));
    party_give(&p.client, &p.server, &wrong_mid, 100);
    assert_in_range(nacre_endpoint_deadline(p.client.ep), 2000, 3000);
    datagram ack = empty_message(NACRE_ACK, sent.mid);
    party_give(&p.client, &p.client, &ack, 100); /* from another peer */
    assert_in_range(nacre_endpoint_deadline(p.client.ep), 2000, 3000);
    party_give(&p.client, &p.server, &ack, 100);
    assert_true(nacre_endpoint_deadline(p.client.ep) == 93100);
    party_give(&p.client, &p.server, &ack, 5000); /* again: the time for the response does not restart */
    assert_true(nacre_endpoint_deadline(p.client.ep) == 93100);
    nacre_endpoint_expire(p.client.ep, 93099);
    expect_quiet(&p.client, 93099);
    nacre_endpoint_expire(p.client.ep, 93100);
    expect_failed(&p.client, NACRE_ERR_TIMEOUT);
    pair_close(&p);
}

/* An acknowledged CON is not retransmitted (RFC 7252 4.2), plain or protected, before or after a retransmission,
 * whenever the clock is read; one without an ACK is. */
static void acknowledged_request_is_never_sent_again(void **state)
{
    (void)state;
    for (int row = 0; row < 8; row++) {
        const bool is_protected = row & 1, is_resent = row & 2, is_acked = row & 4;
        pair p;
        pair_open(&p, NULL, &(pairing){ 0 });
        datagram first, d;
        (void)start(&p.client, &p.server, is_protected ? p.ours : NULL, NACRE_CON);
        datagram ack = empty_message(NACRE_ACK, sent_request(&p, &first, 0).mid);
        uint64_t now = 100;
        if (is_resent) {
            nacre_endpoint_expire(p.client.ep, now = 3000);
            assert_true(party_take(&p.client, &d, now));
        }
        if (is_acked) party_give(&p.client, &p.server, &ack, now);
        for (const uint64_t end = now + 93000; now < end; now += 250) {
            nacre_endpoint_expire(p.client.ep, now);
            if (party_take(&p.client, &d, now)) break;
        }
        assert_int_equal(party_take(&p.client, &d, now), false);
        assert_int_equal(now == (is_resent ? 96000 : 93100), is_acked);
        nacre_endpoint_expire(p.client.ep, now);
        if (is_acked) expect_failed(&p.client, NACRE_ERR_TIMEOUT);
        pair_close(&p);
    }
}

/* After the machine slept, no acknowledged request is retransmitted, and no deadline is left. */
static void acknowledged_request_is_not_sent_after_a_sleep(void **state)
{
    (void)state;
    const uint64_t wakes[] = { 23350, 46600, 93099, 93100, 1000000 };
    for (size_t i = 0; i < sizeof wakes / sizeof *wakes; i++) {
        pair p;
        pair_open(&p, NULL, &(pairing){ 0 });
        datagram first, d;
        (void)start(&p.client, &p.server, p.ours, NACRE_CON);
        datagram ack = empty_message(NACRE_ACK, sent_request(&p, &first, 0).mid);
        party_give(&p.client, &p.server, &ack, 100);
        nacre_endpoint_expire(p.client.ep, wakes[i]);
        assert_false(party_take(&p.client, &d, wakes[i]));
        assert_true(nacre_endpoint_deadline(p.client.ep) == (i < 3 ? 93100 : UINT64_MAX));
        if (i >= 3) expect_failed(&p.client, NACRE_ERR_TIMEOUT);
        pair_close(&p);
    }
}

/* A RST after the ACK is as unauthenticated as before it: it causes no retransmission, and is reported at the end. */
static void reset_after_the_ack_sends_nothing_again(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram first, d;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    const uint16_t mid = sent_request(&p, &first, 0).mid;
    datagram ack = empty_message(NACRE_ACK, mid), rst = empty_message(NACRE_RST, mid);
    party_give(&p.client, &p.server, &ack, 100);
    party_give(&p.client, &p.server, &rst, 200);
    nacre_endpoint_expire(p.client.ep, 50000);
    assert_false(party_take(&p.client, &d, 50000));
    nacre_endpoint_expire(p.client.ep, 93100);
    expect_failed(&p.client, NACRE_ERR_RESET);
    pair_close(&p);
}

/* The ACK may arrive while the retransmission is queued. */
static void ack_stops_a_queued_retransmission(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram d;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    const nacre_message sent = sent_request(&p, &d, 0);
    nacre_endpoint_expire(p.client.ep, 3000);
    datagram ack = empty_message(NACRE_ACK, sent.mid);
    party_give(&p.client, &p.server, &ack, 3000);
    expect_quiet(&p.client, 3000);
    assert_true(nacre_endpoint_deadline(p.client.ep) == 3000 + 93000);
    pair_close(&p);
}

/* A RST ends a plain exchange (RFC 7252 4.2). For a protected one an off-path attacker may have guessed the MID, so it
 * goes on: a verified response still counts, and RESET is reported only without one. */
static void rst_ends_a_plain_exchange_but_not_a_protected_one(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    for (int row = 0; row < 4; row++) {
        const uint8_t type = row % 2 == 0 ? NACRE_CON : NACRE_NON;
        nacre_context *context = row < 2 ? NULL : p.ours;
        datagram d;
        (void)start(&p.client, &p.server, context, type);
        const nacre_message sent = sent_request(&p, &d, 0);
        datagram wrong = empty_message(NACRE_RST, (uint16_t)(sent.mid + 1)), rst = empty_message(NACRE_RST, sent.mid);
        party_give(&p.client, &p.server, &wrong, 0);
        party_give(&p.client, &p.client, &rst, 0); /* from another peer */
        expect_quiet(&p.client, 0);
        party_give(&p.client, &p.server, &rst, 0);
        if (context != NULL) {
            expect_quiet(&p.client, 0);
            for (uint64_t due = 0; (due = nacre_endpoint_deadline(p.client.ep)) != UINT64_MAX;) {
                nacre_endpoint_expire(p.client.ep, due);
                while (party_take(&p.client, &d, due)) continue;
            }
        }
        expect_failed(&p.client, NACRE_ERR_RESET);
        party_give(&p.client, &p.server, &rst, 0);
        expect_quiet(&p.client, 0);
    }
    pair_close(&p);
}

static void unreachable_address_fails_requests_that_were_sent(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram d;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    nacre_endpoint_unreachable(p.client.ep, &p.server.address); /* nothing was sent yet */
    const nacre_message sent = sent_request(&p, &d, 0);
    nacre_endpoint_unreachable(p.client.ep, &p.client.address);
    expect_quiet(&p.client, 0);
    nacre_endpoint_unreachable(p.client.ep, &p.server.address);
    expect_failed(&p.client, NACRE_ERR_UNREACHABLE);

    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    const nacre_message second = sent_request(&p, &d, 0);
    assert_int_not_equal(second.mid, sent.mid);
    datagram ack = empty_message(NACRE_ACK, second.mid);
    party_give(&p.client, &p.server, &ack, 0);
    nacre_endpoint_unreachable(p.client.ep, &p.server.address); /* acknowledged: the peer was reachable */
    expect_quiet(&p.client, 0);
    pair_close(&p);
}

static void cancelled_request_is_not_sent_again(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram d, back;
    const nacre_exchange unsent = start(&p.client, &p.server, p.ours, NACRE_CON);
    nacre_endpoint_cancel(p.client.ep, unsent);
    expect_quiet(&p.client, 0);
    const nacre_exchange exchange = start(&p.client, &p.server, p.ours, NACRE_CON);
    assert_true(party_take(&p.client, &d, 0));
    nacre_endpoint_cancel(p.client.ep, exchange);
    assert_true(nacre_endpoint_deadline(p.client.ep) == UINT64_MAX);
    party_give(&p.server, &p.client, &d, 0);
    respond_text(&p.server, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange, "late");
    assert_true(party_take(&p.server, &back, 0));
    party_give(&p.client, &p.server, &back, 0);
    expect_quiet(&p.client, 0);
    const nacre_exchange completed = start(&p.client, &p.server, NULL, NACRE_CON);
    const nacre_message sent = sent_request(&p, &d, 0);
    datagram rst = empty_message(NACRE_RST, sent.mid);
    party_give(&p.client, &p.server, &rst, 0);
    nacre_endpoint_cancel(p.client.ep, completed); /* its queued event is removed */
    expect_quiet(&p.client, 0);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(con_is_retransmitted_with_exponential_back_off),
        cmocka_unit_test(timing_is_configured),
        cmocka_unit_test(times_do_not_wrap_at_the_end_of_the_clock),
        cmocka_unit_test(an_event_without_a_time_is_never_due),
        cmocka_unit_test(an_empty_ack_ends_retransmission),
        cmocka_unit_test(acknowledged_request_is_never_sent_again),
        cmocka_unit_test(acknowledged_request_is_not_sent_after_a_sleep),
        cmocka_unit_test(reset_after_the_ack_sends_nothing_again),
        cmocka_unit_test(ack_stops_a_queued_retransmission),
        cmocka_unit_test(rst_ends_a_plain_exchange_but_not_a_protected_one),
        cmocka_unit_test(unreachable_address_fails_requests_that_were_sent),
        cmocka_unit_test(cancelled_request_is_not_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
