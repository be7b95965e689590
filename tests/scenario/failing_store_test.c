/* SPDX-License-Identifier: MIT */
/* failing_store: what a server and a client send while a store fails (RFC 8613 B.1). A request that is not accepted is
 * refused unprotected and its nonce stays unused. An accepted request is served under its own nonce, which needs no
 * store. A message that needs a Partial IV takes a reserved number, or is not sent. */
#include "raw.h"
#include "seal_log.h"

static pair world;

static void open_world(const pairing *how)
{
    pair_open(&world, &(nacre_endpoint_config){ .crypto.ops = seal_log_begin(), .observe.num_observers = 1 }, how);
}

static bool has_oscore(const datagram *d)
{
    return !nacre_is_absent(nacre_option_find(datagram_message(d).options, NACRE_OPT_OSCORE));
}

static void fails(void)
{
    nacre_endpoint_confirmed(world.server.ep, world.theirs, NACRE_ERR_FILE);
}

static void works(void)
{
    serve_store(world.theirs);
    nacre_endpoint_confirmed(world.server.ep, world.theirs, NACRE_OK);
}

/* The captured request in a separate datagram. */
static void give_again(raw *r, const datagram *request, uint16_t mid)
{
    datagram again = *request;
    again.bytes[2] = (uint8_t)(mid >> 8);
    again.bytes[3] = (uint8_t)mid;
    raw_give(r, &again, 0);
}

/* Pulls the persist requests and fails them. */
static void expect_quiet_but_for_the_store(void)
{
    datagram d;
    for (nacre_event e; nacre_endpoint_next_event(world.server.ep, &e);) {
        assert_int_equal(e.kind, NACRE_EVENT_PERSIST);
        fails();
    }
    assert_false(party_take(&world.server, &d, 100));
}

static void expect_clear_unavailable(raw *r)
{
    datagram d;
    assert_int_equal(raw_take(r, &d, 0).code, NACRE_UNAVAILABLE);
    assert_false(has_oscore(&d));
}

/* The request may be accepted later and is then answered once under its nonce; the nonce log fails on a second use. */
static void a_request_that_was_not_accepted_is_refused_in_clear_and_its_nonce_is_kept(void **state)
{
    (void)state;
    for (int numbers = 0; numbers < 2; numbers++) { /* a possible replay spends no reserved number */
        open_world(&(pairing){ .server_persistent = true, .server_stored = true });
        if (numbers) nacre_context_confirm_reserved(world.theirs, 10);
        raw r = raw_open(&world, world.ours);
        datagram request, d;
        raw_request(&r, &request, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0);
        for (uint16_t i = 0; i < 20; i++) {
            (void)expect_event(&world.server, NACRE_EVENT_PERSIST);
            fails();
            expect_clear_unavailable(&r);
            expect_quiet(&world.server, 0);
            assert_int_equal(encryptions.num, 1); /* the request itself */
            give_again(&r, &request, (uint16_t)(0x2000 + i));
        }
        (void)expect_event(&world.server, NACRE_EVENT_PERSIST);
        works();
        respond_text(&world.server, expect_event(&world.server, NACRE_EVENT_REQUEST).exchange, "accepted now");
        (void)raw_take(&r, &d, 0);
        assert_payload(raw_read(&r, &d), "accepted now");
        assert_false(r.info.has_partial_iv); /* the request's nonce */
        give_again(&r, &request, 0x3000);
        assert_int_equal(raw_take(&r, &d, 0).code, NACRE_UNAUTHORIZED); /* accepted before: a replay */
        pair_close(&world);
    }
}

/* The store made the window unknown durably and failed afterwards, e.g. for the numbers: the request is accepted and
 * answered under its nonce. For comparison, a window that is still durable. */
static void a_request_whose_window_is_durably_given_up_is_served(void **state)
{
    (void)state;
    for (int durable = 0; durable < 2; durable++) {
        open_world(&(pairing){ .server_persistent = true, .server_stored = true });
        raw r = raw_open(&world, world.ours);
        datagram d;
        raw_request(&r, &d, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0);
        (void)expect_event(&world.server, NACRE_EVENT_PERSIST);
        if (durable) nacre_context_confirm_window_lost(world.theirs);
        fails();
        if (durable) {
            respond_text(&world.server, expect_event(&world.server, NACRE_EVENT_REQUEST).exchange, "served");
            (void)raw_take(&r, &d, 0);
            assert_payload(raw_read(&r, &d), "served");
            assert_false(r.info.has_partial_iv);
        } else {
            expect_clear_unavailable(&r);
        }
        expect_quiet_but_for_the_store();
        pair_close(&world);
    }
}

/* The window is already durably unknown and the store fails: each new request is accepted, handled once, and
 * answered. */
static void requests_are_served_with_request_nonces_while_the_store_fails(void **state)
{
    (void)state;
    open_world(&(pairing){ .server_persistent = true });
    nacre_context_confirm_window_lost(world.theirs);
    raw r = raw_open(&world, world.ours);
    for (int i = 0; i < 40; i++) {
        datagram request, d;
        raw_request(&r, &request, i % 2 ? NACRE_CON : NACRE_NON, NACRE_POST, NACRE_ABSENT, 0);
        const nacre_event event = expect_event(&world.server, NACRE_EVENT_REQUEST);
        fails(); /* between delivery and answer */
        respond_text(&world.server, event.exchange, "yes");
        (void)raw_take(&r, &d, 0);
        assert_payload(raw_read(&r, &d), "yes");
        assert_false(r.info.has_partial_iv);
        give_again(&r, &request, (uint16_t)(0x4000 + i));
        if (i % 2) assert_int_equal(raw_take(&r, &d, 0).code, NACRE_UNAUTHORIZED);
        expect_quiet_but_for_the_store();
    }
    assert_int_equal(nacre_context_next_seq(world.theirs), 0);
    pair_close(&world);
}

/* A server whose request carried Echo, so its nonce may not be used, and whose numbers are spent. */
static nacre_event recovered_request(raw *r)
{
    datagram d;
    uint8_t buf[16];
    nacre_options options;
    nacre_bytes with_echo;
    open_world(&(pairing){ .server_lost = true, .server_persistent = true, .first_chunk = 1 });
    nacre_context_confirm_reserved(world.theirs, 1);
    *r = raw_open(&world, world.ours);
    raw_request(r, &d, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0);
    (void)raw_take(r, &d, 0);
    const nacre_message challenge = raw_read(r, &d);
    assert_int_equal(challenge.code, NACRE_UNAUTHORIZED);
    nacre_options_init(&options, NACRE_BUF(buf));
    nacre_options_add(&options, NACRE_OPT_ECHO, nacre_option_find(challenge.options, NACRE_OPT_ECHO));
    assert_int_equal(nacre_options_finish(&options, &with_echo), NACRE_OK);
    (void)expect_event(&world.server, NACRE_EVENT_PERSIST);
    return raw_requested(r, NACRE_CON, NACRE_GET, with_echo, 0);
}

static void a_recovered_request_gets_a_response_with_a_reserved_number_or_in_clear(void **state)
{
    (void)state;
    for (int in_hand = 0; in_hand < 2; in_hand++) {
        raw r;
        datagram d;
        respond_text(&world.server, recovered_request(&r).exchange, "with a number");
        expect_quiet(&world.server, 0);
        if (in_hand) nacre_context_confirm_reserved(world.theirs, 2);
        fails();
        if (in_hand) {
            (void)raw_take(&r, &d, 0);
            assert_payload(raw_read(&r, &d), "with a number");
            assert_true(r.info.has_partial_iv && r.info.partial_iv == 1);
        } else {
            expect_clear_unavailable(&r);
        }
        expect_quiet_but_for_the_store();
        pair_close(&world);
    }
}

/* Two responses and one number: the second is refused and never reuses the number. */
static void one_number_serves_one_response(void **state)
{
    (void)state;
    raw r;
    datagram d;
    const nacre_event first = recovered_request(&r);
    const nacre_request_id first_id = r.id;
    respond_text(&world.server, first.exchange, "first");
    const nacre_exchange exchange = raw_requested(&r, NACRE_CON, NACRE_GET, raw_options(0, NULL, -1), 0).exchange;
    nacre_observer observer;
    assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, exchange, NULL), NACRE_OK);
    respond_text(&world.server, exchange, "registered"); /* with the request's nonce */
    (void)raw_take(&r, &d, 0);
    assert_payload(raw_read(&r, &d), "registered");
    nacre_endpoint_changed(world.server.ep, observer);
    assert_int_equal(expect_event(&world.server, NACRE_EVENT_NOTIFY).observer.number, observer.number);
    respond_text(&world.server, notification_of(observer), "notified"); /* waits together with the first response */
    nacre_context_confirm_reserved(world.theirs, 2);
    fails();
    (void)raw_take(&r, &d, 0);
    assert_payload(raw_read_as(&r, &first_id, &d), "first");
    (void)expect_event(&world.server, NACRE_EVENT_PERSIST);
    expect_quiet(&world.server, 0); /* the notification still waits */
    fails();
    expect_quiet(&world.server, 0);
    works();
    assert_int_equal(expect_event(&world.server, NACRE_EVENT_NOTIFY).observer.number, observer.number);
    pair_close(&world);
}

/* A separate response after the empty ACK is never sent unprotected; a reserved number lets it be sent. */
static void a_separate_response_is_protected_or_not_sent(void **state)
{
    (void)state;
    for (int in_hand = 0; in_hand < 2; in_hand++) {
        raw r;
        datagram d;
        const nacre_exchange exchange = recovered_request(&r).exchange;
        assert_int_equal(nacre_endpoint_defer_response(world.server.ep, exchange), NACRE_OK);
        nacre_endpoint_expire(world.server.ep, 100);
        raw_expect_empty(&r, NACRE_ACK, r.mid, 100);
        respond_text(&world.server, exchange, "later");
        if (in_hand) nacre_context_confirm_reserved(world.theirs, 2);
        fails();
        if (in_hand) {
            (void)raw_take(&r, &d, 100);
            assert_payload(raw_read(&r, &d), "later");
        }
        expect_quiet_but_for_the_store();
        pair_close(&world);
    }
}

/* Client: a request takes a reserved number, or ends with the store's error. */
static void a_client_uses_the_numbers_in_hand(void **state)
{
    (void)state;
    for (int in_hand = 0; in_hand < 2; in_hand++) {
        open_world(&(pairing){ .client_persistent = true });
        datagram d;
        (void)start(&world.client, &world.server, world.ours, NACRE_CON);
        assert_false(party_take(&world.client, &d, 0));
        (void)expect_event(&world.client, NACRE_EVENT_PERSIST);
        if (in_hand) nacre_context_confirm_reserved(world.ours, 1);
        nacre_endpoint_confirmed(world.client.ep, world.ours, NACRE_ERR_FILE);
        assert_int_equal(party_take(&world.client, &d, 0), in_hand);
        if (!in_hand) expect_failed(&world.client, NACRE_ERR_FILE);
        pair_close(&world);
    }
}

/* The store fails and recovers in turn: no number is lost or used twice, and each recovery works without a restart. */
static void a_store_that_flaps_costs_no_numbers(void **state)
{
    (void)state;
    open_world(&(pairing){ .client_persistent = true, .first_chunk = 1 });
    unsigned sent = 0, failed = 0;
    for (int round = 0; round < 60; round++) {
        datagram d;
        const nacre_exchange exchange = start(&world.client, &world.server, world.ours, NACRE_NON);
        for (nacre_event event; !party_take(&world.client, &d, 0);) {
            if (!nacre_endpoint_next_event(world.client.ep, &event)) break;
            if (event.kind == NACRE_EVENT_FAILED) failed++;
            if (event.kind != NACRE_EVENT_PERSIST) break;
            if (round % 2) serve_store(world.ours);
            nacre_endpoint_confirmed(world.client.ep, world.ours, round % 2 ? NACRE_OK : NACRE_ERR_FILE);
        }
        sent = (unsigned)nacre_context_next_seq(world.ours);
        nacre_endpoint_cancel(world.client.ep, exchange);
    }
    assert_int_equal(sent, encryptions.num);
    assert_true(sent >= 30 && failed >= 1 && sent + failed == 60);
    pair_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_was_not_accepted_is_refused_in_clear_and_its_nonce_is_kept),
        cmocka_unit_test(a_request_whose_window_is_durably_given_up_is_served),
        cmocka_unit_test(requests_are_served_with_request_nonces_while_the_store_fails),
        cmocka_unit_test(a_recovered_request_gets_a_response_with_a_reserved_number_or_in_clear),
        cmocka_unit_test(one_number_serves_one_response),
        cmocka_unit_test(a_separate_response_is_protected_or_not_sent),
        cmocka_unit_test(a_client_uses_the_numbers_in_hand),
        cmocka_unit_test(a_store_that_flaps_costs_no_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
