/* SPDX-License-Identifier: MIT */
/* store_wait_test: contexts that wait for their store, and contexts that are removed (RFC 8613 B.1). */
#include "../scenario/world.h"

/* ---- Stores (RFC 8613 B.1) --------------------------------------------------------------------------------------- */

static void a_request_waits_for_its_store(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ .client_persistent = true, .first_chunk = 2 });
    datagram d;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    assert_false(party_take(&p.client, &d, 0)); /* nothing is sent with a number that is not durable */
    const nacre_event persist_event = expect_event(&p.client, NACRE_EVENT_PERSIST); /* one for both */
    assert_ptr_equal(persist_event.context, p.ours);
    expect_quiet(&p.client, 0);
    assert_true(nacre_context_needs(p.ours).blocked);
    nacre_endpoint_confirmed(p.client.ep, p.ours, NACRE_OK); /* too early: requested again, and nothing sent */
    assert_false(party_take(&p.client, &d, 0));
    (void)expect_event(&p.client, NACRE_EVENT_PERSIST);
    serve_store(p.ours);
    nacre_endpoint_confirmed(p.client.ep, p.ours, NACRE_OK);
    assert_true(party_take(&p.client, &d, 0));
    assert_true(party_take(&p.client, &d, 0));
    /* the last of the chunk is used: more is requested early */
    (void)expect_event(&p.client, NACRE_EVENT_PERSIST);
    expect_quiet(&p.client, 0);
    pair_close(&p);
}

/* A request draws its token when it is built. */
static void a_request_that_waits_is_built_once(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ .client_persistent = true, .first_chunk = 1 });
    datagram d;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    (void)expect_event(&p.client, NACRE_EVENT_PERSIST); /* before any transmission */
    const uint64_t before = p.client.chance.state;
    assert_false(party_take(&p.client, &d, 0));
    assert_int_equal(p.client.chance.state, before);
    serve_store(p.ours);
    nacre_endpoint_confirmed(p.client.ep, p.ours, NACRE_OK);
    assert_true(party_take(&p.client, &d, 0));
    assert_int_not_equal(p.client.chance.state, before);
    (void)expect_event(&p.client, NACRE_EVENT_PERSIST); /* the chunk of one is used: more is requested early */

    (void)start(&p.client, &p.server, p.ours, NACRE_NON); /* the same for one that finds the chunk used */
    const uint64_t used = p.client.chance.state;
    assert_false(party_take(&p.client, &d, 0));
    assert_int_equal(p.client.chance.state, used);
    serve_store(p.ours);
    nacre_endpoint_confirmed(p.client.ep, p.ours, NACRE_OK);
    assert_true(party_take(&p.client, &d, 0));
    pair_close(&p);
}

static void a_failed_store_ends_the_request(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ .client_persistent = true });
    datagram d;
    const nacre_exchange first = start(&p.client, &p.server, p.ours, NACRE_CON);
    (void)start(&p.client, &p.server, p.ours, NACRE_NON);
    (void)start(&p.client, &p.server, NULL, NACRE_NON); /* does not wait, and is sent */
    assert_true(party_take(&p.client, &d, 0));
    assert_false(party_take(&p.client, &d, 0));
    (void)expect_event(&p.client, NACRE_EVENT_PERSIST);
    nacre_endpoint_cancel(p.client.ep, first);
    nacre_endpoint_confirmed(p.client.ep, p.ours, NACRE_ERR_FILE);
    expect_failed(&p.client, NACRE_ERR_FILE);
    expect_quiet(&p.client, 0);
    assert_int_equal(nacre_context_next_seq(p.ours), 0);
    pair_close(&p);
}

/* RFC 8613 7.2.1: the last number is sent, then no more. */
static void requests_fail_after_the_last_number(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    p.ours->next = NACRE_SEQ_MAX;
    datagram d;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    assert_true(party_take(&p.client, &d, 0));
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    assert_false(party_take(&p.client, &d, 0));
    expect_failed(&p.client, NACRE_ERR_CONTEXT_UNAVAILABLE);
    pair_close(&p);
}

/* With more early requests than pool entries, a waiting context is still served. */
static void a_waiting_context_is_served_beyond_early_requests(void **state)
{
    (void)state;
    party client, server;
    party_open(&client, "client", 1, &(nacre_endpoint_config){ .num_client_exchanges = 1, .num_server_exchanges = 1 });
    party_open(&server, "server", 2, NULL);
    nacre_context *ctx[8];
    for (int i = 0; i < 8; i++) {
        const char id[2] = { (char)('0' + i), 0 };
        const pairing how = { .client_id = id, .secret = (uint8_t)i, .client_persistent = true, .first_chunk = 1 };
        ctx[i] = party_context(&client, &how, false);
        nacre_context_confirm_reserved(ctx[i], 1);
    }
    datagram d;
    for (int i = 0; i < 8; i++) { /* each uses its last number and requests more: there are two entries */
        const nacre_exchange e = start(&client, &server, ctx[i], NACRE_NON);
        assert_true(party_take(&client, &d, 0));
        nacre_endpoint_cancel(client.ep, e);
    }
    (void)start(&client, &server, ctx[7], NACRE_NON);
    assert_false(party_take(&client, &d, 0));
    bool requested = false;
    for (nacre_event event; nacre_endpoint_next_event(client.ep, &event);) {
        assert_int_equal(event.kind, NACRE_EVENT_PERSIST);
        requested = requested || event.context == ctx[7];
    }
    assert_true(requested);
    serve_store(ctx[7]);
    nacre_endpoint_confirmed(client.ep, ctx[7], NACRE_OK);
    assert_true(party_take(&client, &d, 0));
    party_close(&client);
    party_close(&server);
}

/* In a full pool early requests are evicted, not those that an exchange waits for. */
static void early_requests_are_evicted_first(void **state)
{
    (void)state;
    party client, server;
    party_open(&client, "client", 1, &(nacre_endpoint_config){ .num_client_exchanges = 2, .num_server_exchanges = 1 });
    party_open(&server, "server", 2, NULL);
    nacre_context *ctx[4];
    for (int i = 0; i < 4; i++) {
        const char id[2] = { (char)('0' + i), 0 };
        const pairing how = { .client_id = id, .secret = (uint8_t)i, .client_persistent = true, .first_chunk = 1 };
        ctx[i] = party_context(&client, &how, false);
        if (i == 1 || i == 2) nacre_context_confirm_reserved(ctx[i], 1);
    }
    datagram d;
    (void)start(&client, &server, ctx[0], NACRE_NON);
    assert_false(party_take(&client, &d, 0)); /* waits, and its event is not pulled */
    for (int i = 1; i < 3; i++) {
        const nacre_exchange e = start(&client, &server, ctx[i], NACRE_NON);
        assert_true(party_take(&client, &d, 0));
        nacre_endpoint_cancel(client.ep, e);
    }
    (void)start(&client, &server, ctx[3], NACRE_NON);
    assert_false(party_take(&client, &d, 0)); /* waits too: the fourth request for three entries */
    int requested = 0;
    for (nacre_event event; nacre_endpoint_next_event(client.ep, &event);)
        requested += event.context == ctx[0] || event.context == ctx[3];
    assert_int_equal(requested, 2);
    party_close(&client);
    party_close(&server);
}

/* A verified request waits until the store has marked the window unknown; then the same bytes are delivered. */
static void a_received_request_waits_for_its_store(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ .server_stored = true });
    datagram d, back;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    (void)sent_request(&p, &d, 0);
    party_give(&p.server, &p.client, &d, 0);
    assert_ptr_equal(expect_event(&p.server, NACRE_EVENT_PERSIST).context, p.theirs);
    expect_quiet(&p.server, 0);
    party_give(&p.server, &p.client, &d, 2500); /* a retransmission meanwhile: not a second request, not a replay */
    expect_quiet(&p.server, 2500);
    party_take_back(&p.server); /* the endpoint keeps its own copy of the bytes */
    serve_store(p.theirs);
    nacre_endpoint_confirmed(p.server.ep, p.theirs, NACRE_OK);
    const nacre_event request = expect_event(&p.server, NACRE_EVENT_REQUEST);
    assert_int_equal(request.message.code, NACRE_GET);
    respond_text(&p.server, request.exchange, "waited");
    assert_true(party_take(&p.server, &back, 2600));
    party_give(&p.client, &p.server, &back, 2600);
    assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "waited");
    expect_quiet(&p.server, 2600);
    pair_close(&p);
}

/* A response that points into the pending request's own bytes (an echo server). */
static void pending_request_may_be_echoed(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ .server_stored = true });
    datagram d, back;
    nacre_exchange exchange;
    const nacre_message put = { .type = NACRE_CON, .code = NACRE_PUT, .payload = NACRE_STR("give this back") };
    assert_int_equal(nacre_endpoint_request(p.client.ep, &exchange, &p.server.address, p.ours, &put, NULL), NACRE_OK);
    (void)sent_request(&p, &d, 0);
    party_give(&p.server, &p.client, &d, 0);
    (void)expect_event(&p.server, NACRE_EVENT_PERSIST);
    party_take_back(&p.server);
    serve_store(p.theirs);
    nacre_endpoint_confirmed(p.server.ep, p.theirs, NACRE_OK);
    const nacre_event request = expect_event(&p.server, NACRE_EVENT_REQUEST);
    const nacre_message response = { .code = NACRE_CONTENT, .payload = request.message.payload };
    assert_int_equal(nacre_endpoint_respond(p.server.ep, request.exchange, &response), NACRE_OK);
    assert_true(party_take(&p.server, &back, 0));
    party_give(&p.client, &p.server, &back, 0);
    assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "give this back");
    pair_close(&p);
}

/* The store fails: a CON gets a plain 5.03, a NON no response, and the window is unchanged. */
static void a_failed_store_refuses_the_received_request(void **state)
{
    (void)state;
    for (uint8_t type = NACRE_CON; type <= NACRE_NON; type++) {
        pair p;
        pair_open(&p, NULL, &(pairing){ .server_stored = true });
        datagram d, back;
        (void)start(&p.client, &p.server, p.ours, type);
        (void)sent_request(&p, &d, 0);
        party_give(&p.server, &p.client, &d, 0);
        (void)expect_event(&p.server, NACRE_EVENT_PERSIST);
        nacre_endpoint_confirmed(p.server.ep, p.theirs, NACRE_ERR_FILE);
        assert_int_equal(party_take(&p.server, &back, 0), type == NACRE_CON);
        if (type == NACRE_CON) {
            const nacre_message m = datagram_message(&back);
            assert_int_equal(m.code, NACRE_UNAVAILABLE);
            assert_int_equal(m.payload.len, 0);
            party_give(&p.client, &p.server, &back, 0);
            expect_failed(&p.client, NACRE_ERR_UNAUTHENTICATED);
        }
        expect_quiet(&p.server, 0);
        assert_int_equal(nacre_replay_check(nacre_context_replay(p.theirs), 0), NACRE_OK);
        pair_close(&p);
    }
}

/* After an Echo the response needs its own Partial IV, and with it the store (RFC 8613 8.3, B.1.2): returns the
 * delivered request of a server whose numbers are used up. */
static nacre_event request_whose_response_waits(pair *p, datagram *again)
{
    datagram d, back;
    pair_open(p, &(nacre_endpoint_config){ .max_message = 128 },
              &(pairing){ .server_lost = true, .server_persistent = true, .first_chunk = 1 });
    serve_store(p->theirs); /* one number, for the challenge */
    (void)start(&p->client, &p->server, p->ours, NACRE_CON);
    (void)sent_request(p, &d, 0);
    party_give(&p->server, &p->client, &d, 0);
    assert_true(party_take(&p->server, &back, 0));
    (void)expect_event(&p->server, NACRE_EVENT_PERSIST);
    party_give(&p->client, &p->server, &back, 0);
    (void)sent_request(p, again, 0);
    party_give(&p->server, &p->client, again, 0);
    return expect_event(&p->server, NACRE_EVENT_REQUEST);
}

static void a_response_waits_for_its_store(void **state)
{
    (void)state;
    pair p;
    datagram again, back, duplicate;
    const nacre_event request = request_whose_response_waits(&p, &again);
    static const uint8_t big[120];
    const nacre_message large = { .code = NACRE_CONTENT, .payload = nacre_bytes_of(big, 100) };
    assert_int_equal(nacre_endpoint_respond(p.server.ep, request.exchange, &large), NACRE_ERR_TOO_LONG);
    respond_text(&p.server, request.exchange, "in time");
    assert_int_equal(nacre_endpoint_respond(p.server.ep, request.exchange, &large), NACRE_ERR_STALE);
    expect_quiet(&p.server, 0);
    party_give(&p.server, &p.client, &again, 2000); /* duplicates get no response yet */
    expect_quiet(&p.server, 2000);
    nacre_endpoint_confirmed(p.server.ep, p.theirs, NACRE_OK); /* confirmed too early: requested again */
    (void)expect_event(&p.server, NACRE_EVENT_PERSIST);
    expect_quiet(&p.server, 2000);
    serve_store(p.theirs);
    nacre_endpoint_confirmed(p.server.ep, p.theirs, NACRE_OK);
    assert_true(party_take(&p.server, &back, 3000));
    party_give(&p.server, &p.client, &again, 4000);
    assert_true(party_take(&p.server, &duplicate, 4000));
    assert_true(datagram_same(&back, &duplicate));
    party_give(&p.client, &p.server, &back, 4000);
    const nacre_event response = expect_event(&p.client, NACRE_EVENT_RESPONSE);
    assert_ptr_equal(response.context, p.ours);
    assert_payload(response.message, "in time");
    pair_close(&p);
}

/* The store fails, or the context is removed, while the response waits: it is not sent in clear. */
static void a_waiting_response_is_dropped_on_failure(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        pair p;
        datagram again, back;
        const nacre_event request = request_whose_response_waits(&p, &again);
        respond_text(&p.server, request.exchange, "not for everybody");
        if (first) nacre_endpoint_remove_context(p.server.ep, p.theirs);
        else nacre_endpoint_confirmed(p.server.ep, p.theirs, NACRE_ERR_FILE);
        assert_true(party_take(&p.server, &back, 0));
        const nacre_message m = datagram_message(&back);
        assert_int_equal(m.code, first ? NACRE_UNAUTHORIZED : NACRE_UNAVAILABLE);
        assert_true(nacre_bytes_equal(m.token, datagram_message(&again).token));
        assert_payload(m, first ? "Security context not found" : "");
        party_give(&p.client, &p.server, &back, 0);
        expect_failed(&p.client, NACRE_ERR_UNAUTHENTICATED);
        pair_close(&p);
    }
}

/* A whole burst waits, and is delivered in its order. */
static void a_burst_waits_for_its_store_in_order(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .burst = 4, .num_server_exchanges = 8 },
              &(pairing){ .server_stored = true });
    datagram d[6];
    nacre_datagram burst[4] = { { .full_len = 0 } };
    for (int i = 0; i < 6; i++) {
        (void)start(&p.client, &p.server, p.ours, NACRE_CON);
        (void)sent_request(&p, &d[i], 0);
    }
    for (int i = 0; i < 4; i++)
        burst[i] = (nacre_datagram){ .peer = p.client.address, .bytes = { d[i].bytes, d[i].len } };
    assert_int_equal(nacre_endpoint_receive_many(p.server.ep, burst, 4, 0), 4);
    party_give(&p.server, &p.client, &d[4], 0); /* no free entry: treated as if not received */
    (void)expect_event(&p.server, NACRE_EVENT_PERSIST);
    expect_quiet(&p.server, 0);
    assert_int_equal(nacre_endpoint_get_stats(p.server.ep).dropped, 1);
    serve_store(p.theirs);
    nacre_endpoint_confirmed(p.server.ep, p.theirs, NACRE_OK);
    for (int i = 0; i < 4; i++) {
        const nacre_event event = expect_event(&p.server, NACRE_EVENT_REQUEST);
        assert_int_equal(event.message.mid, datagram_message(&d[i]).mid);
        respond_text(&p.server, event.exchange, "x");
    }
    party_give(&p.server, &p.client, &d[4], 3000); /* its retransmission */
    (void)expect_event(&p.server, NACRE_EVENT_REQUEST);
    pair_close(&p);
}

/* ---- A removed context ------------------------------------------------------------------------------------------- */

static void removing_a_context_ends_its_requests(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram d, back;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON); /* sent and responded to, its event not pulled */
    (void)sent_request(&p, &d, 0);
    served(&p, &d, &back, "x", 0);
    party_give(&p.client, &p.server, &back, 0);
    (void)start(&p.client, &p.server, p.ours, NACRE_CON); /* not sent */
    (void)start(&p.client, &p.server, NULL, NACRE_CON);   /* independent of the context */
    nacre_endpoint_remove_context(p.client.ep, p.ours);
    expect_failed(&p.client, NACRE_ERR_NO_CONTEXT);
    expect_failed(&p.client, NACRE_ERR_NO_CONTEXT);
    nacre_event event;
    assert_false(nacre_endpoint_next_event(p.client.ep, &event));
    assert_true(party_take(&p.client, &d, 0));
    assert_int_equal(datagram_message(&d).code, NACRE_GET);
    expect_quiet(&p.client, 0);
    pair_close(&p);
}

static void removing_a_context_ends_its_responses(void **state)
{
    (void)state;
    for (int stage = 0; stage < 3; stage++) { /* 0: waits for the store; 1: event queued; 2: event pulled */
        pair p;
        pair_open(&p, NULL, &(pairing){ .server_stored = stage == 0 });
        datagram d, back;
        (void)start(&p.client, &p.server, p.ours, NACRE_CON);
        (void)sent_request(&p, &d, 0);
        party_give(&p.server, &p.client, &d, 0);
        nacre_event event = { 0 };
        if (stage != 1) assert_true(nacre_endpoint_next_event(p.server.ep, &event));
        nacre_table_remove(&p.server.table, p.theirs);
        nacre_endpoint_remove_context(p.server.ep, p.theirs);
        nacre_context_wipe(p.theirs);
        nacre_event none;
        assert_false(nacre_endpoint_next_event(p.server.ep, &none));
        const nacre_message response = { .code = NACRE_CONTENT };
        if (stage == 2) /* a response that can no longer be protected is not sent */
            assert_int_equal(nacre_endpoint_respond(p.server.ep, event.exchange, &response), NACRE_ERR_STALE);
        assert_true(party_take(&p.server, &back, 0));
        assert_int_equal(datagram_message(&back).code, NACRE_UNAUTHORIZED);
        assert_true(nacre_bytes_equal(datagram_message(&back).token, datagram_message(&d).token));
        nacre_endpoint_confirmed(p.server.ep, p.theirs, NACRE_OK); /* too late, without effect */
        expect_quiet(&p.server, 0);
        pair_close(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_waits_for_its_store),
        cmocka_unit_test(a_request_that_waits_is_built_once),
        cmocka_unit_test(a_failed_store_ends_the_request),
        cmocka_unit_test(requests_fail_after_the_last_number),
        cmocka_unit_test(a_waiting_context_is_served_beyond_early_requests),
        cmocka_unit_test(a_received_request_waits_for_its_store),
        cmocka_unit_test(pending_request_may_be_echoed),
        cmocka_unit_test(a_failed_store_refuses_the_received_request),
        cmocka_unit_test(a_burst_waits_for_its_store_in_order),
        cmocka_unit_test(a_response_waits_for_its_store),
        cmocka_unit_test(a_waiting_response_is_dropped_on_failure),
        cmocka_unit_test(early_requests_are_evicted_first),
        cmocka_unit_test(removing_a_context_ends_its_requests),
        cmocka_unit_test(removing_a_context_ends_its_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
