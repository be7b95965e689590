/* SPDX-License-Identifier: MIT */
/* endpoint_rederive_test: RFC 8613 B.2 between two endpoints, with each of its four messages lost, doubled, copied
 * under another MID and late, two clients at once, and a peer that lost its context. */
#include "../scenario/rederiving.h"
#include "oscore/unprotect.h"

/* Kid contexts encoded with their length: R2, and R2 | R3. */
enum { RESPONSE_1_FIELD = 1 + NACRE_REDERIVE_R2, REQUEST_2_FIELD = 2 + NACRE_REDERIVE_R2 + NACRE_REDERIVE_NONCE };

/* The decoded OSCORE option of a protected datagram. */
static nacre_oscore_option option_of(const datagram *d)
{
    nacre_oscore_option option;
    const nacre_message m = datagram_message(d);
    assert_int_equal(nacre_verify_start(&option, &m), NACRE_OK);
    return option;
}

/* The same message under another MID: a copy that deduplication does not recognise. */
static datagram under_another_mid(const datagram *d)
{
    datagram copy = *d;
    copy.bytes[2] ^= 0x55;
    return copy;
}

static void serve(rederiving_pair *p, const char *text)
{
    const nacre_event request = expect_event(&p->server, NACRE_EVENT_REQUEST);
    assert_ptr_equal(request.context, nacre_rederivation_context(&p->theirs.rederivation));
    respond_text(&p->server, request.exchange, text);
}

static void expect_response(rederiving_pair *p, const char *text)
{
    const nacre_event response = expect_event(&p->client, NACRE_EVENT_RESPONSE);
    assert_ptr_equal(response.context, nacre_rederivation_context(&p->ours.rederivation));
    assert_payload(response.message, text);
}

/* A request under the context in use carries its ID Context unchanged. */
static void expect_named(const datagram *d, const rederiving *r)
{
    assert_true(nacre_bytes_equal(option_of(d).kid_context,
                                  nacre_context_id_context(nacre_rederivation_context(&r->rederivation))));
}

/* An exchange under the context in use. */
static void ordinary_exchange(rederiving_pair *p, const char *text, uint64_t now)
{
    (void)request_rederiving(&p->client, &p->server, &p->ours, NACRE_CON);
    datagram d = next_of(&p->client, now);
    expect_named(&d, &p->ours);
    party_give(&p->server, &p->client, &d, now);
    serve(p, text);
    d = next_of(&p->server, now);
    party_give(&p->client, &p->server, &d, now);
    expect_response(p, text);
    expect_quiet(&p->client, now);
    expect_quiet(&p->server, now);
}

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

/* ---- The contexts before ----------------------------------------------------------------------------------------- */

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

/* ---- Adding, removing -------------------------------------------------------------------------------------------- */

static void invalid_rederivations_are_refused(void **state)
{
    (void)state;
    rederiving_pair p;
    rederiving r;
    open_rederiving(&p, NULL);
    nacre_exchange exchange;
    const nacre_message get = get_request(NACRE_CON);
    for (int row = 0; row < 7; row++) {
        static const uint8_t nine[9];
        make_rederivation(&r, &p.client, 1, "x", row == 4 ? "x" : "y", true, true);
        nacre_err expected = NACRE_ERR_BAD_ARGUMENT;
        const size_t buf = r.rederivation.derived.key_buf.cap;
        if (row == 1) r.rederivation.is_client = r.rederivation.is_server = false;
        if (row == 2) r.rederivation.material.id_context = NACRE_ARRAY(nine);
        if (row == 3) r.rederivation.spare.key_buf.cap = 0;
        if (row == 3) expected = NACRE_ERR_BUFFER_TOO_SMALL;
        if (row == 5) r.rederivation.material.cose_aead = 999;
        if (row == 5) expected = NACRE_ERR_UNSUPPORTED;
        if (row == 0 || row == 6) expected = NACRE_OK;
        if (row == 6) r.rederivation.material.id_context = nacre_bytes_of(nine, 8);
        assert_string_equal(nacre_err_name(nacre_endpoint_add_rederivation(p.client.ep, &r.rederivation)),
                            nacre_err_name(expected));
        if (expected == NACRE_OK)
            assert_int_equal(nacre_endpoint_add_rederivation(p.client.ep, &r.rederivation), NACRE_ERR_BAD_ARGUMENT);
        else
            assert_int_equal(nacre_endpoint_request_with(p.client.ep, &exchange, &p.server.address, NULL, &get,
                                                         &(nacre_request_options){ .rederivation = &r.rederivation },
                                                         NULL),
                             NACRE_ERR_BAD_ARGUMENT);
        r.rederivation.spare.key_buf.cap = buf;
        drop_rederivation(&r, &p.client);
    }
    nacre_context *ctx = party_context(&p.client, &(pairing){ .secret = 7 }, false);
    assert_int_equal(nacre_endpoint_request_with(p.client.ep, &exchange, &p.server.address, ctx, &get,
                                                 &(nacre_request_options){ .rederivation = &p.ours.rederivation },
                                                 NULL),
                     NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(nacre_endpoint_request_with(p.server.ep, &exchange, &p.client.address, NULL, &get,
                                                 &(nacre_request_options){ .rederivation = &p.theirs.rederivation },
                                                 NULL),
                     NACRE_ERR_BAD_ARGUMENT); /* it is for servers only */
    close_rederiving(&p);
}

/* Removing ends what is in flight, on either side and at each step, and messages that arrive later have no effect. */
static void removing_ends_exchanges_at_each_step(void **state)
{
    (void)state;
    for (int step = 0; step < 4; step++) {
        rederiving_pair p;
        open_rederiving(&p, NULL);
        datagram d;
        nacre_event event;
        for (int i = 0; i < 3; i++) (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
        for (int i = 0; i < step; i++) {
            d = next_of(i % 2 == 0 ? &p.client : &p.server, 0);
            party_give(i % 2 == 0 ? &p.server : &p.client, i % 2 == 0 ? &p.client : &p.server, &d, 0);
        }
        nacre_endpoint_remove_rederivation(p.client.ep, &p.ours.rederivation);
        nacre_endpoint_remove_rederivation(p.client.ep, &p.ours.rederivation); /* removing once is enough */
        for (int i = 0; i < 3; i++) expect_failed(&p.client, NACRE_ERR_NO_CONTEXT);
        assert_null(nacre_rederivation_context(&p.ours.rederivation));
        nacre_endpoint_remove_rederivation(p.server.ep, &p.theirs.rederivation);
        assert_null(nacre_rederivation_context(&p.theirs.rederivation));
        assert_false(nacre_endpoint_next_event(p.server.ep, &event));
        while (party_take(&p.server, &d, 0)) party_give(&p.client, &p.server, &d, 0);
        expect_quiet(&p.client, 0);
        if (step == 2) { /* it may be added again, and works as before */
            assert_int_equal(nacre_endpoint_add_rederivation(p.client.ep, &p.ours.rederivation), NACRE_OK);
            assert_int_equal(nacre_endpoint_add_rederivation(p.server.ep, &p.theirs.rederivation), NACRE_OK);
            datagram m[4];
            (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
            renew_over(&p, m, 0);
        }
        close_rederiving(&p);
    }
}

/* Keys that are removed before their event is pulled are not reported: the event would have no context. */
static void removed_keys_are_not_reported(void **state)
{
    (void)state;
    for (int rederives = 0; rederives < 2; rederives++) {
        rederiving_pair p;
        open_rederiving(&p, NULL);
        datagram d;
        (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
        for (int i = 0; i < 4; i++) {
            d = next_of(i % 2 == 0 ? &p.client : &p.server, 0);
            party_give(i % 2 == 0 ? &p.server : &p.client, i % 2 == 0 ? &p.client : &p.server, &d, 0);
            if (i != 2) continue;
            expect_rederived(&p.server, &p.theirs);
            respond_text(&p.server, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange, "new");
        }
        if (rederives) {
            nacre_endpoint_rederive(p.client.ep, &p.ours.rederivation);
            expect_failed(&p.client, NACRE_ERR_NO_CONTEXT);
        } else {
            expect_rederived(&p.client, &p.ours);
            assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "new");
        }
        expect_quiet(&p.client, 0);
        close_rederiving(&p);
    }
}

/* Closing the endpoint first wipes the contexts. */
static void closing_the_endpoint_wipes_the_contexts(void **state)
{
    (void)state;
    rederiving_pair p;
    open_rederiving(&p, NULL);
    datagram m[4];
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    renew_over(&p, m, 0);
    party_close(&p.client);
    assert_null(p.ours.rederivation.derived.context.aead);
    for (int i = 0; i < 2; i++) free(p.ours.keys[i]);
    drop_rederivation(&p.theirs, &p.server);
    party_close(&p.server);
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
        cmocka_unit_test(new_keys_end_exchanges_under_the_old),
        cmocka_unit_test(a_request_under_old_keys_gets_no_response_under_new_ones),
        cmocka_unit_test(a_server_without_its_context_rederives),
        cmocka_unit_test(a_server_with_its_context_does_not_rederive),
        cmocka_unit_test(an_unprotected_hint_changes_nothing_until_it_is_trusted),
        cmocka_unit_test(both_sides_rederive_at_once),
        cmocka_unit_test(invalid_rederivations_are_refused),
        cmocka_unit_test(removing_ends_exchanges_at_each_step),
        cmocka_unit_test(removed_keys_are_not_reported),
        cmocka_unit_test(closing_the_endpoint_wipes_the_contexts),
        cmocka_unit_test(a_response_under_context_1_is_not_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
