/* SPDX-License-Identifier: MIT */
/* echo_recovery_test: requests that overlap with the one that recovers a server's replay window (RFC 8613 B.1.2). Each is
 * processed once, as it is or as its repetition with Echo. */
#include "../scenario/world.h"

static const pairing lost = { .server_lost = true };

/* The client's next request, in flight. */
static datagram request_in_flight(pair *p)
{
    datagram d;
    (void)start(&p->client, &p->server, p->ours, NACRE_CON);
    (void)sent_request(p, &d, 0);
    return d;
}

/* Delivers the server's messages to the client; what the client then sends is in flight. */
static datagram repetition(pair *p)
{
    datagram challenge, d;
    assert_true(party_take(&p->server, &challenge, 0));
    party_give(&p->client, &p->server, &challenge, 0);
    (void)sent_request(p, &d, 0);
    return d;
}

/* Delivers both in one burst, the first one first. */
static void give_both(pair *p, const datagram *first, const datagram *second)
{
    party_take_back(&p->server);
    const nacre_datagram in[] = {
        { .peer = p->client.address, .bytes = party_lend(&p->server, nacre_bytes_of(first->bytes, first->len)) },
        { .peer = p->client.address, .bytes = party_lend(&p->server, nacre_bytes_of(second->bytes, second->len)) },
    };
    assert_int_equal(party_receive(&p->server, in, 2, 0), 2);
}

static void expect_served(pair *p)
{
    datagram back;
    respond_text(&p->server, expect_event(&p->server, NACRE_EVENT_REQUEST).exchange, "ok");
    assert_true(party_take(&p->server, &back, 0));
    party_give(&p->client, &p->server, &back, 0);
    assert_payload(expect_event(&p->client, NACRE_EVENT_RESPONSE).message, "ok");
}

/* The second request is challenged before the first one's repetition, which has a lower Partial IV, recovers the window. */
static void copy_of_a_challenged_request_is_not_processed_beside_its_repetition(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .congestion.nstart = 4 }, &lost);
    const datagram first = request_in_flight(&p);
    party_give(&p.server, &p.client, &first, 0);
    const datagram first_again = repetition(&p);
    datagram second = request_in_flight(&p);
    party_give(&p.server, &p.client, &second, 0);
    const datagram second_again = repetition(&p);
    party_give(&p.server, &p.client, &first_again, 0);
    expect_served(&p);

    datagram refusal;
    second.bytes[3]++; /* its message ID: no duplicate */
    party_give(&p.server, &p.client, &second, 0);
    assert_true(party_take(&p.server, &refusal, 0));
    assert_int_equal(datagram_message(&refusal).code, NACRE_UNAUTHORIZED);
    assert_payload(datagram_message(&refusal), nacre_err_text(NACRE_ERR_REPLAY));
    expect_quiet(&p.server, 0);
    party_give(&p.server, &p.client, &second_again, 0);
    expect_served(&p);
    pair_close(&p);
}

/* Verified while the window was unknown, and not challenged, because the next datagram of the burst recovers it. */
static void request_in_the_burst_of_the_recovery_is_accepted_as_its_retransmission(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .congestion.nstart = 4 }, &lost);
    const datagram first = request_in_flight(&p);
    party_give(&p.server, &p.client, &first, 0);
    const datagram first_again = repetition(&p), second = request_in_flight(&p);
    give_both(&p, &second, &first_again);
    expect_served(&p);
    expect_quiet(&p.server, 0);
    party_give(&p.server, &p.client, &second, 0);
    expect_served(&p);
    pair_close(&p);
}

/* The challenge waits for a sequence number, and the window is recovered before the store confirms it. */
static void challenge_that_waits_for_the_store_is_not_sent_after_the_recovery(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .congestion.nstart = 4 },
              &(pairing){ .server_lost = true, .server_persistent = true, .first_chunk = 1 });
    nacre_context *theirs = p.theirs;
    const datagram first = request_in_flight(&p);
    party_give(&p.server, &p.client, &first, 0);
    (void)expect_event(&p.server, NACRE_EVENT_PERSIST);
    const uint64_t next = nacre_context_next_seq(theirs);
    nacre_context_confirm_reserved(theirs, next + 1);
    nacre_endpoint_confirmed(p.server.ep, theirs, NACRE_OK);
    const datagram first_again = repetition(&p), second = request_in_flight(&p);
    party_give(&p.server, &p.client, &second, 0); /* waits for a number */
    expect_quiet(&p.client, 0);
    party_give(&p.server, &p.client, &first_again, 0);
    assert_true(nacre_context_replay(theirs)->known);
    nacre_event event;
    bool is_served = false;
    while (party_next_event(&p.server, &event)) {
        if (event.kind == NACRE_EVENT_REQUEST) respond_text(&p.server, event.exchange, "ok");
        else if (event.kind == NACRE_EVENT_PERSIST) serve_store(theirs);
        else fail_msg("event %d", (int)event.kind);
        is_served |= event.kind == NACRE_EVENT_REQUEST;
    }
    assert_true(is_served);
    nacre_endpoint_confirmed(p.server.ep, theirs, NACRE_OK);
    datagram back;
    unsigned num = 0;
    for (; party_take(&p.server, &back, 0); num++) party_give(&p.client, &p.server, &back, 0);
    assert_int_equal(num, 1); /* the response to the first */
    assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "ok");
    expect_quiet(&p.client, 0);
    party_give(&p.server, &p.client, &second, 0);
    expect_served(&p);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy_of_a_challenged_request_is_not_processed_beside_its_repetition),
        cmocka_unit_test(request_in_the_burst_of_the_recovery_is_accepted_as_its_retransmission),
        cmocka_unit_test(challenge_that_waits_for_the_store_is_not_sent_after_the_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
