/* SPDX-License-Identifier: MIT */
/* endpoint_rederive_test: RFC 8613 B.2 between two endpoints, with each of its four messages lost, doubled, copied
 * under another MID and late, and two clients at once. */
#include "../scenario/rederiving_steps.h"

/* RFC 8613 B.2: the form of the four messages, and the events of both sides. */
static void four_messages_rederive_a_context(void **state)
{
    (void)state;
    for (uint8_t type = NACRE_CON; type <= NACRE_NON; type++) {
        rederiving_pair p;
        open_rederiving(&p, NULL);
        assert_null(nacre_rederivation_context(&p.ours.rederivation));
        (void)request_rederiving(&p.client, &p.server, &p.ours, type);
        datagram d = next_of(&p.client, 0);
        assert_int_equal(nacre_rederive_recognise(&(nacre_oscore_option){ .kid_context = option_of(&d).kid_context }),
                         NACRE_REDERIVE_REQUEST_1);
        party_give(&p.server, &p.client, &d, 0);
        d = next_of(&p.server, 0);
        expect_quiet(&p.server, 0); /* request #1 is not delivered */
        assert_int_equal(option_of(&d).kid_context.len, RESPONSE_1_FIELD);
        assert_int_equal(datagram_message(&d).type, type == NACRE_CON ? NACRE_ACK : NACRE_NON);
        party_give(&p.client, &p.server, &d, 0);
        d = next_of(&p.client, 0);
        expect_quiet(&p.client, 0);
        assert_int_equal(datagram_message(&d).type, type);
        assert_int_equal(nacre_rederive_recognise(&(nacre_oscore_option){ .kid_context = option_of(&d).kid_context }),
                         NACRE_REDERIVE_REQUEST_2);
        assert_null(nacre_rederivation_context(&p.ours.rederivation)); /* not before its response */
        party_give(&p.server, &p.client, &d, 0);
        expect_rederived(&p.server, &p.theirs);
        serve(&p, "new");
        d = next_of(&p.server, 0);
        assert_true(nacre_is_absent(option_of(&d).kid_context));
        party_give(&p.client, &p.server, &d, 0);
        expect_rederived(&p.client, &p.ours);
        expect_response(&p, "new");
        ordinary_exchange(&p, "once more", 1);
        assert_int_equal(nacre_context_next_seq(nacre_rederivation_context(&p.ours.rederivation)), 2);
        close_rederiving(&p);
    }
}

/* A response to request #1 as an ordinary server would make it, under context 1. */
static datagram response_under_context_1(rederiving_pair *p, const datagram *request_1)
{
    const nacre__unprotect_how how = { .any_kid_context = true };
    const nacre_crypto *crypto = &p->server.crypto;
    const nacre_message outer = datagram_message(request_1);
    nacre_rederive_client unused;
    nacre_rederived first = { 0 };
    nacre_message plain;
    nacre_request_id id;
    nacre_bytes out;
    uint8_t bytes[256];
    datagram d = { .peer = p->client.address };
    size_t size, align;
    assert_int_equal(nacre_context_key_layout(crypto, 0, &size, &align), NACRE_OK);
    first.key_buf = (nacre_buf){ malloc(size), size };
    const uint8_t *r1 = option_of(request_1).kid_context.ptr + 1; /* after the head of a CBOR byte string */
    assert_int_equal(nacre_rederive_begin(&unused, &first, crypto, &p->theirs.rederivation.material, r1), NACRE_OK);
    assert_int_equal(nacre__unprotect_request(&first.context, crypto, &id, &plain, NACRE_BUF(bytes), &outer, &how),
                     NACRE_OK);
    const nacre_message response = { .type = NACRE_NON, .code = NACRE_CONTENT, .mid = 77, .token = outer.token };
    assert_int_equal(nacre_protect_response(&first.context, crypto, &id, &out, (nacre_buf){ d.bytes, sizeof d.bytes },
                                            &response, NULL),
                     NACRE_OK);
    memmove(d.bytes, out.ptr, out.len);
    d.len = out.len;
    nacre_context_wipe(&first.context);
    free(first.key_buf.ptr);
    return d;
}

/* RFC 8613 B.2: no response uses context 1, which anything that repeats R1 brings back. It verifies, and is none. */
static void a_response_under_context_1_is_not_accepted(void **state)
{
    (void)state;
    rederiving_pair p;
    datagram m[4];
    open_rederiving(&p, NULL);
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_NON);
    const datagram request_1 = next_of(&p.client, 0), wrong = response_under_context_1(&p, &request_1);
    party_give(&p.client, &p.server, &wrong, 0);
    expect_quiet(&p.client, 0);
    assert_null(nacre_rederivation_context(&p.ours.rederivation));
    party_give(&p.server, &p.client, &request_1, 0); /* the procedure goes on */
    for (int i = 1; i < 4; i++) {
        party *from = i % 2 == 0 ? &p.client : &p.server, *to = i % 2 == 0 ? &p.server : &p.client;
        m[i] = next_of(from, 0);
        party_give(to, from, &m[i], 0);
        if (i == 2) expect_rederived(&p.server, &p.theirs);
        if (i == 2) serve(&p, "new");
    }
    expect_rederived(&p.client, &p.ours);
    expect_response(&p, "new");
    close_rederiving(&p);
}

typedef enum fate { LOST, DOUBLED, COPIED, FATES } fate;

/* Each of the four messages lost, doubled, or copied under another MID: the request is handled once and gets its
 * response. */
static void each_message_meets_each_fate(void **state)
{
    (void)state;
    for (int which = 0; which < 4; which++) {
        for (fate what = LOST; what < FATES; what++) {
            rederiving_pair p;
            open_rederiving(&p, NULL);
            uint64_t now = 0;
            unsigned handled = 0, completed = 0, told[2] = { 0 };
            int sent = 0;
            (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
            for (int step = 0; step < 40; step++) {
                party *from = step % 2 == 0 ? &p.client : &p.server, *to = step % 2 == 0 ? &p.server : &p.client;
                datagram d;
                bool any = false;
                while (party_take(from, &d, now)) {
                    any = true;
                    const bool is_it = datagram_message(&d).code != NACRE_EMPTY && sent++ == which;
                    if (is_it && what == LOST) continue;
                    datagram copy = what == COPIED ? under_another_mid(&d) : d;
                    for (int n = 0; n < (is_it ? 2 : 1); n++) {
                        party_give(to, from, n == 0 ? &d : &copy, now);
                        for (nacre_event event; nacre_endpoint_next_event(to->ep, &event);) {
                            if (event.kind == NACRE_EVENT_REDERIVED) told[to == &p.client]++;
                            else if (event.kind == NACRE_EVENT_RESPONSE) completed++;
                            else if (event.kind == NACRE_EVENT_REQUEST) handled++;
                            else fail_msg("message %d, fate %d: %s", which, what, nacre_err_name(event.err));
                            if (event.kind == NACRE_EVENT_REQUEST) respond_text(to, event.exchange, "answer");
                        }
                    }
                }
                if (any || step % 2 == 0) continue;
                now = nacre_endpoint_deadline(p.client.ep);
                if (now == UINT64_MAX) break;
                nacre_endpoint_expire(p.client.ep, now);
            }
            assert_int_equal(handled, 1);
            assert_int_equal(completed, 1);
            assert_int_equal(told[0], 1);
            assert_int_equal(told[1], 1);
            ordinary_exchange(&p, "after all that", now == UINT64_MAX ? 0 : now);
            close_rederiving(&p);
        }
    }
}

/* Every message is repeated after the end of the procedure, without effect. */
static void late_messages_have_no_effect(void **state)
{
    (void)state;
    rederiving_pair p;
    open_rederiving(&p, NULL);
    datagram m[4], out;
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    renew_over(&p, m, 0);
    const uint64_t seq = nacre_context_next_seq(nacre_rederivation_context(&p.theirs.rederivation));
    for (int i = 0; i < 4; i++) {
        const datagram late = under_another_mid(&m[i]);
        party_give(i % 2 == 0 ? &p.server : &p.client, i % 2 == 0 ? &p.client : &p.server, &late, 10);
    }
    nacre_event event;
    assert_false(nacre_endpoint_next_event(p.server.ep, &event));
    assert_false(nacre_endpoint_next_event(p.client.ep, &event));
    assert_true(party_take(&p.server, &out, 10)); /* #1: another offer, which is not used */
    assert_int_equal(option_of(&out).kid_context.len, RESPONSE_1_FIELD);
    assert_true(party_take(&p.server, &out, 10)); /* #2 */
    assert_payload(datagram_message(&out), "Replay detected");
    expect_quiet(&p.server, 10);
    expect_quiet(&p.client, 10);
    assert_true(nacre_context_next_seq(nacre_rederivation_context(&p.theirs.rederivation)) == seq);
    ordinary_exchange(&p, "as ever", 20);
    close_rederiving(&p);
}

/* Two responses to a copied request #1 are in flight: the first one and its request #2 count. */
static void the_first_of_two_offers_counts(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        rederiving_pair p;
        open_rederiving(&p, NULL);
        datagram offers[2];
        (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_NON);
        const datagram first = next_of(&p.client, 0), copy = under_another_mid(&first);
        party_give(&p.server, &p.client, &first, 0);
        offers[0] = next_of(&p.server, 0);
        party_give(&p.server, &p.client, &copy, 0);
        offers[1] = next_of(&p.server, 0);
        party_give(&p.client, &p.server, &offers[which], 0);
        party_give(&p.client, &p.server, &offers[1 - which], 0);
        const datagram second = next_of(&p.client, 0);
        expect_quiet(&p.client, 0);
        party_give(&p.server, &p.client, &second, 0);
        expect_rederived(&p.server, &p.theirs);
        serve(&p, "one of them");
        close_rederiving(&p);
    }
}

/* Requests started during the procedure wait for its end, in order; none is sent in clear. */
static void other_requests_wait_for_the_procedure(void **state)
{
    (void)state;
    rederiving_pair p;
    open_rederiving(&p, NULL);
    datagram m[4];
    nacre_exchange exchanges[3];
    for (int i = 0; i < 3; i++) exchanges[i] = request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    renew_over(&p, m, 0);
    for (int i = 1; i < 3; i++) {
        datagram d = next_of(&p.client, 0);
        expect_named(&d, &p.ours);
        party_give(&p.server, &p.client, &d, 0);
        serve(&p, "waited");
        d = next_of(&p.server, 0);
        party_give(&p.client, &p.server, &d, 0);
        assert_int_equal(expect_event(&p.client, NACRE_EVENT_RESPONSE).exchange.number, exchanges[i].number);
    }
    expect_quiet(&p.client, 0);
    close_rederiving(&p);
}

/* The leading request ends before the procedure has: the next one leads, from the start, with its own R1. */
static void the_next_request_leads_when_the_leader_ends(void **state)
{
    (void)state;
    for (int row = 0; row < 4; row++) {
        rederiving_pair p;
        open_rederiving(&p, NULL);
        datagram d, m[4];
        const nacre_exchange leader = request_rederiving(&p.client, &p.server, &p.ours, NACRE_NON);
        (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
        const datagram first = next_of(&p.client, 0);
        expect_quiet(&p.client, 0);
        if (row >= 2) { /* up to request #2 */
            party_give(&p.server, &p.client, &first, 0);
            d = next_of(&p.server, 0);
            party_give(&p.client, &p.server, &d, 0);
            d = next_of(&p.client, 0);
        }
        if (row % 2 == 0) {
            nacre_endpoint_cancel(p.client.ep, leader);
        } else {
            nacre_endpoint_expire(p.client.ep, 93000);
            expect_failed(&p.client, NACRE_ERR_TIMEOUT);
        }
        assert_null(nacre_rederivation_context(&p.ours.rederivation));
        renew_over(&p, m, 93000);
        assert_false(nacre_bytes_equal(option_of(&first).kid_context, option_of(&m[0]).kid_context));
        expect_quiet(&p.client, 93000);
        close_rederiving(&p);
    }
}

/* A response #1 that does not verify changes nothing; an unprotected one ends the request, and validates nothing. */
static void an_invalid_response_1_changes_nothing(void **state)
{
    (void)state;
    rederiving_pair p;
    open_rederiving(&p, NULL);
    datagram d, bad;
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    d = next_of(&p.client, 0);
    party_give(&p.server, &p.client, &d, 0);
    const datagram good = next_of(&p.server, 0);
    bad = good;
    bad.bytes[bad.len - 1] ^= 1;
    party_give(&p.client, &p.server, &bad, 0);
    expect_quiet(&p.client, 0);
    party_give(&p.client, &p.server, &good, 0);
    d = next_of(&p.client, 0);
    assert_int_equal(option_of(&d).kid_context.len, REQUEST_2_FIELD);
    const nacre_message m = datagram_message(&d);
    datagram_write(&bad, &(nacre_message){ NACRE_ACK, NACRE_UNAUTHORIZED, m.mid, m.token, { 0 }, { 0 } });
    party_give(&p.client, &p.server, &bad, 0);
    expect_failed(&p.client, NACRE_ERR_UNAUTHENTICATED);
    assert_null(nacre_rederivation_context(&p.ours.rederivation));
    close_rederiving(&p);
}

/* Forged requests #1 and #2, and a peer that does not respond: refused like any other. */
static void forged_requests_are_refused(void **state)
{
    (void)state;
    rederiving_pair p;
    open_rederiving(&p, NULL);
    datagram d, bad, out;
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    d = next_of(&p.client, 0);
    bad = d;
    bad.bytes[bad.len - 1] ^= 1;
    party_give(&p.server, &p.client, &bad, 0);
    out = next_of(&p.server, 0);
    assert_payload(datagram_message(&out), "Decryption failed");
    party_give(&p.server, &p.client, &d, 0);
    out = next_of(&p.server, 0);
    party_give(&p.client, &p.server, &out, 0);
    d = next_of(&p.client, 0);
    for (int row = 0; row < 2; row++) {
        bad = under_another_mid(&d);
        if (row == 0) bad.bytes[bad.len - 1] ^= 1; /* the tag */
        else bad.bytes[4 + 8 + 7] ^= 1;            /* R2 */
        party_give(&p.server, &p.client, &bad, 0);
        nacre_event event;
        assert_false(nacre_endpoint_next_event(p.server.ep, &event));
        out = next_of(&p.server, 0);
        assert_payload(datagram_message(&out), row == 0 ? "Decryption failed" : "Security context not found");
    }
    party_give(&p.server, &p.client, &d, 0); /* the offer stays valid */
    expect_rederived(&p.server, &p.theirs);
    serve(&p, "real");
    close_rederiving(&p);

    open_rederiving(&p, NULL);
    p.theirs.rederivation.is_server = false;
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    d = next_of(&p.client, 0);
    party_give(&p.server, &p.client, &d, 0);
    out = next_of(&p.server, 0);
    assert_payload(datagram_message(&out), "Security context not found");
    close_rederiving(&p);
}

/* RFC 8613 B.2.2: requests #1 are rate-limited by the shares of their source and of the peer, and a shared rate above these;
 * excess ones get no response, and later ones do. */
static void requests_1_are_rate_limited(void **state)
{
    (void)state;
    rederiving_pair p;
    open_rederiving(&p, &(nacre_endpoint_config){ .admission.context_challenges_per_second = 2,
                                                  .admission.challenges_per_second = 3 });
    datagram out;
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    const datagram first = next_of(&p.client, 0);
    unsigned completed = 0;
    for (int i = 1; i < 100; i++) {
        datagram copy = first;
        copy.bytes[3] ^= (uint8_t)i;
        party_give(&p.server, &p.client, &copy, 0);
        completed += party_take(&p.server, &out, 0);
    }
    assert_in_range(completed, 15 + 4 + 6, 15 + 10 + 14);
    party_give(&p.server, &p.client, &first, 5000);
    assert_true(party_take(&p.server, &out, 5000));
    close_rederiving(&p);
}

/* Two clients at once; the messages of one are interleaved with those of the other. */
static void two_clients_rederive_at_once(void **state)
{
    (void)state;
    rederiving_pair a;
    party other;
    rederiving ours, theirs;
    open_rederiving(&a, NULL);
    party_open(&other, "other", 7, NULL);
    make_rederivation(&ours, &other, 9, "d", "s", true, false);
    make_rederivation(&theirs, &a.server, 9, "s", "d", false, true);
    assert_int_equal(nacre_endpoint_add_rederivation(other.ep, &ours.rederivation), NACRE_OK);
    assert_int_equal(nacre_endpoint_add_rederivation(a.server.ep, &theirs.rederivation), NACRE_OK);
    party *clients[2] = { &a.client, &other };
    rederiving *at_client[2] = { &a.ours, &ours }, *at_server[2] = { &a.theirs, &theirs };
    datagram d[2];
    for (int i = 0; i < 2; i++) (void)request_rederiving(clients[i], &a.server, at_client[i], NACRE_CON);
    for (int message = 0; message < 4; message++) {
        for (int i = 0; i < 2; i++) d[i] = next_of(message % 2 == 0 ? clients[i] : &a.server, 0);
        for (int i = 0; i < 2; i++) {
            party *to = message % 2 == 0 ? &a.server : clients[i];
            party_give(to, message % 2 == 0 ? clients[i] : &a.server, &d[i], 0);
            if (message == 2) {
                expect_rederived(to, at_server[i]);
                respond_text(to, expect_event(to, NACRE_EVENT_REQUEST).exchange, i == 0 ? "first" : "second");
            } else if (message == 3) {
                expect_rederived(to, at_client[i]);
                assert_payload(expect_event(to, NACRE_EVENT_RESPONSE).message, i == 0 ? "first" : "second");
            }
        }
    }
    for (int i = 0; i < 2; i++) expect_quiet(clients[i], 0);
    expect_quiet(&a.server, 0);
    drop_rederivation(&ours, &other);
    drop_rederivation(&theirs, &a.server);
    party_close(&other);
    close_rederiving(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_messages_rederive_a_context),
        cmocka_unit_test(each_message_meets_each_fate),
        cmocka_unit_test(late_messages_have_no_effect),
        cmocka_unit_test(the_first_of_two_offers_counts),
        cmocka_unit_test(other_requests_wait_for_the_procedure),
        cmocka_unit_test(the_next_request_leads_when_the_leader_ends),
        cmocka_unit_test(an_invalid_response_1_changes_nothing),
        cmocka_unit_test(forged_requests_are_refused),
        cmocka_unit_test(requests_1_are_rate_limited),
        cmocka_unit_test(two_clients_rederive_at_once),
        cmocka_unit_test(a_response_under_context_1_is_not_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
