/* SPDX-License-Identifier: MIT */
/* rederived_contexts_test: RFC 8613 B.2 where a side has a context from before: which exchanges end, and when the server
 * begins the procedure. */
#include "../scenario/rederiving_steps.h"

/* The client starts anew while the server still has a context: exchanges under it end on both sides. */
static void new_keys_end_exchanges_under_the_old(void **state)
{
    (void)state;
    static const uint8_t observe[] = { 0x60 };
    rederiving_pair p;
    open_rederiving(&p, &(nacre_endpoint_config){ .observe.num_observers = 2 });
    datagram d, m[4];
    nacre_exchange exchange;
    nacre_observer observer;
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    renew_over(&p, m, 0);
    const nacre_message get = { .type = NACRE_CON, .code = NACRE_GET, .options = NACRE_ARRAY(observe) };
    assert_int_equal(nacre_endpoint_request_with(p.client.ep, &exchange, &p.server.address, NULL, &get,
                                                 &(nacre_request_options){ .rederivation = &p.ours.rederivation },
                                                 NULL),
                     NACRE_OK);
    d = next_of(&p.client, 0);
    party_give(&p.server, &p.client, &d, 0);
    const nacre_exchange watched = expect_event(&p.server, NACRE_EVENT_REQUEST).exchange;
    assert_int_equal(nacre_endpoint_observe(p.server.ep, &observer, watched, NULL), NACRE_OK);
    respond_text(&p.server, watched, "state");
    d = next_of(&p.server, 0);
    party_give(&p.client, &p.server, &d, 0);
    (void)expect_event(&p.client, NACRE_EVENT_NOTIFICATION);
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    d = next_of(&p.client, 0);
    party_give(&p.server, &p.client, &d, 0);
    const nacre_exchange unanswered = expect_event(&p.server, NACRE_EVENT_REQUEST).exchange;
    assert_int_equal(nacre_endpoint_defer_response(p.server.ep, unanswered), NACRE_OK);

    nacre_endpoint_rederive(p.client.ep, &p.ours.rederivation);
    assert_null(nacre_rederivation_context(&p.ours.rederivation));
    for (int i = 0; i < 2; i++) expect_failed(&p.client, NACRE_ERR_NO_CONTEXT);
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    for (int i = 0; i < 3; i++) {
        d = next_of(i % 2 == 0 ? &p.client : &p.server, 0);
        party_give(i % 2 == 0 ? &p.server : &p.client, i % 2 == 0 ? &p.client : &p.server, &d, 0);
    }
    const nacre_event removed = expect_event(&p.server, NACRE_EVENT_OBSERVER_REMOVED);
    assert_int_equal(removed.err, NACRE_ERR_NO_CONTEXT);
    expect_rederived(&p.server, &p.theirs);
    const nacre_message response = { .code = NACRE_CONTENT };
    assert_int_equal(nacre_endpoint_respond(p.server.ep, unanswered, &response), NACRE_ERR_STALE);
    respond_text(&p.server, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange, "new");
    d = next_of(&p.server, 0);
    assert_int_equal(datagram_message(&d).code, NACRE_UNAUTHORIZED); /* to the request without a response */
    party_give(&p.client, &p.server, &d, 0);
    d = next_of(&p.server, 0);
    party_give(&p.client, &p.server, &d, 0);
    expect_rederived(&p.client, &p.ours);
    assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "new");
    close_rederiving(&p);
}

/* In one burst: request #2, followed by a request under the old keys, which must not get a response under the new
 * ones. */
static void a_request_under_old_keys_gets_no_response_under_new_ones(void **state)
{
    (void)state;
    rederiving_pair p;
    open_rederiving(&p, NULL);
    datagram m[4], d[2], out;
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    renew_over(&p, m, 0);
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    d[1] = next_of(&p.client, 0); /* under the old keys, and delayed */
    nacre_endpoint_rederive(p.client.ep, &p.ours.rederivation);
    expect_failed(&p.client, NACRE_ERR_NO_CONTEXT);
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    for (int i = 0; i < 2; i++) {
        d[0] = next_of(i == 0 ? &p.client : &p.server, 0);
        party_give(i == 0 ? &p.server : &p.client, i == 0 ? &p.client : &p.server, &d[0], 0);
    }
    d[0] = next_of(&p.client, 0);
    party_take_back(&p.server);
    nacre_datagram burst[2] = { { .full_len = 0 } };
    for (int i = 0; i < 2; i++)
        burst[i] = (nacre_datagram){ .peer = p.client.address,
                                     .bytes = party_lend(&p.server, nacre_bytes_of(d[i].bytes, d[i].len)) };
    assert_int_equal(nacre_endpoint_receive_many(p.server.ep, burst, 2, 0), 2);
    expect_rederived(&p.server, &p.theirs);
    respond_text(&p.server, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange, "new");
    nacre_event event;
    assert_false(nacre_endpoint_next_event(p.server.ep, &event));
    out = next_of(&p.server, 0);
    assert_payload(datagram_message(&out), "Security context not found");
    close_rederiving(&p);
}

/* A pair of ordinary contexts of the same material. The client keeps its own. */
static nacre_context *context_from_before(party *p, bool is_server)
{
    return party_context(p, &(pairing){ .secret = 5 }, is_server);
}

/* The server has lost its context: an ordinary request serves as #1, and the client follows. Other exchanges in flight
 * end; queued ones are sent under the new context. */
static void a_server_without_its_context_rederives(void **state)
{
    (void)state;
    rederiving_pair p;
    open_rederiving(&p, NULL);
    nacre_context *first = context_from_before(&p.client, false);
    drop_rederivation(&p.ours, &p.client);
    make_rederivation(&p.ours, &p.client, 5, "c", "s", true, false);
    p.ours.rederivation.first = first;
    assert_int_equal(nacre_endpoint_add_rederivation(p.client.ep, &p.ours.rederivation), NACRE_OK);
    assert_ptr_equal(nacre_rederivation_context(&p.ours.rederivation), first);
    datagram d;
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    const datagram lead = next_of(&p.client, 0), beside = next_of(&p.client, 0);
    party_give(&p.server, &p.client, &lead, 0);
    const datagram offer = next_of(&p.server, 0);
    expect_quiet(&p.server, 0); /* it is not acted on */
    party_give(&p.server, &p.client, &beside, 0);
    const datagram other_offer = next_of(&p.server, 0);
    party_give(&p.client, &p.server, &offer, 0);
    expect_failed(&p.client, NACRE_ERR_NO_CONTEXT); /* the other exchange */
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    party_give(&p.client, &p.server, &other_offer, 0);
    d = next_of(&p.client, 0);
    expect_quiet(&p.client, 0);
    assert_int_equal(option_of(&d).kid_context.len, REQUEST_2_FIELD);
    party_give(&p.server, &p.client, &d, 0);
    expect_rederived(&p.server, &p.theirs);
    serve(&p, "welcome back");
    d = next_of(&p.server, 0);
    party_give(&p.client, &p.server, &d, 0);
    expect_rederived(&p.client, &p.ours);
    expect_response(&p, "welcome back");
    assert_ptr_not_equal(nacre_rederivation_context(&p.ours.rederivation), first);
    d = next_of(&p.client, 0); /* the queued request */
    expect_named(&d, &p.ours);
    close_rederiving(&p);
}

/* A server that has its context responds with it, and starts no procedure; request #1 of a client that lost it starts
 * one. The old context is then the caller's to remove. */
static void a_server_with_its_context_does_not_rederive(void **state)
{
    (void)state;
    rederiving_pair p;
    open_rederiving(&p, NULL);
    nacre_context *client_side = context_from_before(&p.client, false), *first = context_from_before(&p.server, true);
    drop_rederivation(&p.theirs, &p.server);
    make_rederivation(&p.theirs, &p.server, 5, "s", "c", false, true);
    p.theirs.rederivation.first = first;
    assert_int_equal(nacre_endpoint_add_rederivation(p.server.ep, &p.theirs.rederivation), NACRE_OK);
    datagram d, m[4];
    (void)start(&p.client, &p.server, client_side, NACRE_CON);
    d = next_of(&p.client, 0);
    party_give(&p.server, &p.client, &d, 0);
    const nacre_event request = expect_event(&p.server, NACRE_EVENT_REQUEST);
    assert_ptr_equal(request.context, first);
    respond_text(&p.server, request.exchange, "as ever");
    d = next_of(&p.server, 0);
    party_give(&p.client, &p.server, &d, 0);
    (void)expect_event(&p.client, NACRE_EVENT_RESPONSE);
    nacre_endpoint_remove_context(p.client.ep, client_side);
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    renew_over(&p, m, 0);
    nacre_table_remove(&p.server.table, first);
    nacre_endpoint_remove_context(p.server.ep, first);
    expect_quiet(&p.server, 0);
    ordinary_exchange(&p, "since then", 0);
    close_rederiving(&p);
}

/* The server lost the rederived context. It says so without protection, which proves nothing and changes nothing until
 * the application decides to trust it. */
static void an_unprotected_hint_changes_nothing_until_it_is_trusted(void **state)
{
    (void)state;
    rederiving_pair p;
    open_rederiving(&p, NULL);
    datagram d, m[4];
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    renew_over(&p, m, 0);
    drop_rederivation(&p.theirs, &p.server);
    make_rederivation(&p.theirs, &p.server, 5, "s", "c", false, true);
    assert_int_equal(nacre_endpoint_add_rederivation(p.server.ep, &p.theirs.rederivation), NACRE_OK);
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    d = next_of(&p.client, 0);
    party_give(&p.server, &p.client, &d, 0);
    d = next_of(&p.server, 0);
    assert_payload(datagram_message(&d), "Security context not found");
    party_give(&p.client, &p.server, &d, 0);
    expect_failed(&p.client, NACRE_ERR_UNAUTHENTICATED);
    assert_non_null(nacre_rederivation_context(&p.ours.rederivation));
    nacre_endpoint_rederive(p.client.ep, &p.ours.rederivation);
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    renew_over(&p, m, 0);
    close_rederiving(&p);
}

/* Both sides have lost their contexts and start at once: the side with the smaller Sender ID yields, and both requests
 * get a response. */
static void both_sides_rederive_at_once(void **state)
{
    (void)state;
    rederiving_pair p;
    open_rederiving(&p, NULL);
    p.ours.rederivation.is_server = p.theirs.rederivation.is_client = true;
    datagram d[2];
    party *sides[2] = { &p.client, &p.server };
    unsigned handled[2] = { 0 }, completed[2] = { 0 };
    uint64_t now = 0;
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    (void)request_rederiving(&p.server, &p.client, &p.theirs, NACRE_CON);
    for (int round = 0; round < 30 && completed[0] + completed[1] < 2; round++) {
        bool has[2];
        for (int i = 0; i < 2; i++) has[i] = party_take(sides[i], &d[i], now);
        for (int i = 0; i < 2; i++) {
            if (!has[i]) continue;
            party_give(sides[1 - i], sides[i], &d[i], now);
            for (nacre_event event; nacre_endpoint_next_event(sides[1 - i]->ep, &event);) {
                if (event.kind == NACRE_EVENT_REQUEST) {
                    handled[1 - i]++;
                    respond_text(sides[1 - i], event.exchange, "x");
                } else if (event.kind == NACRE_EVENT_RESPONSE) {
                    completed[1 - i]++;
                } else {
                    assert_true(event.kind == NACRE_EVENT_REDERIVED ||
                                (event.kind == NACRE_EVENT_FAILED && event.err == NACRE_ERR_NO_CONTEXT));
                    if (event.kind == NACRE_EVENT_FAILED) /* it was sent as #2: the application repeats it */
                        (void)request_rederiving(sides[1 - i], sides[i], 1 - i == 0 ? &p.ours : &p.theirs, NACRE_CON);
                }
            }
        }
        if (has[0] || has[1]) continue;
        const uint64_t a = nacre_endpoint_deadline(p.client.ep), b = nacre_endpoint_deadline(p.server.ep);
        now = a < b ? a : b;
        for (int i = 0; i < 2; i++) nacre_endpoint_expire(sides[i]->ep, now);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(completed[i], 1);
        assert_int_equal(handled[i], 1);
    }
    assert_true(nacre_bytes_equal(nacre_context_id_context(nacre_rederivation_context(&p.ours.rederivation)),
                                  nacre_context_id_context(nacre_rederivation_context(&p.theirs.rederivation))));
    assert_true(now < 30000);
    close_rederiving(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_keys_end_exchanges_under_the_old),
        cmocka_unit_test(a_request_under_old_keys_gets_no_response_under_new_ones),
        cmocka_unit_test(a_server_without_its_context_rederives),
        cmocka_unit_test(a_server_with_its_context_does_not_rederive),
        cmocka_unit_test(an_unprotected_hint_changes_nothing_until_it_is_trusted),
        cmocka_unit_test(both_sides_rederive_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
