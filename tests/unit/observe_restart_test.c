/* SPDX-License-Identifier: MIT */
/* observe_restart_test: a verified Echo challenge (RFC 8613 B.1.2) shows that the server lost its replay window, and
 * most likely its observers: observations register again at once, at a bounded rate. */
#include "../scenario/registration.h"

typedef enum response_kind { CHALLENGE, PLAIN_CHALLENGE, REFUSED, CONTENT_WITH_ECHO } response_kind;

/* A GET with `context` that gets the given response; the client's events are discarded. */
static void register_with(observed *o, response_kind what, uint64_t now)
{
    datagram d, back = { 0 };
    uint8_t buf[MAX_DATAGRAM];
    nacre_request_id id;
    nacre_bytes out;
    nacre_event event;
    nacre_message plain;
    static const uint8_t echo_option[] = { 0xd2, 239, '1', '2' };
    const nacre_exchange exchange = start(&o->p.client, &o->p.server, o->p.ours, NACRE_CON);
    const nacre_message outer = sent_request(&o->p, &d, now);
    assert_int_equal(nacre_unprotect_request(o->p.theirs, &o->p.server.crypto, &id, &plain, NACRE_BUF(buf), &outer),
                     NACRE_OK);
    nacre_message m = { .type = NACRE_ACK, .code = NACRE_UNAUTHORIZED, .mid = outer.mid, .token = outer.token };
    if (what != REFUSED) m.options = NACRE_ARRAY(echo_option);
    if (what == CONTENT_WITH_ECHO) m.code = NACRE_CONTENT;
    if (what == PLAIN_CHALLENGE) {
        datagram_write(&back, &m);
    } else {
        const nacre_protect_options how = { .nonce = NACRE_NONCE_NEW };
        assert_int_equal(
            nacre_protect_response(o->p.theirs, &o->p.server.crypto, &id, &out, NACRE_BUF(back.bytes), &m, &how),
            NACRE_OK);
        back.len = out.len;
    }
    hear(o, back, now);
    assert_int_equal(party_take(&o->p.client, &d, now), what == CHALLENGE); /* the same with the Echo value */
    while (nacre_endpoint_next_event(o->p.client.ep, &event)) assert_int_equal(event.exchange.number, exchange.number);
    nacre_endpoint_cancel(o->p.client.ep, exchange);
}

static const nacre_endpoint_config several = { .congestion.nstart = 8 };

/* Only a verified response with an Echo challenge leads to a registration. */
static void echo_challenge_to_any_request_registers_again(void **state)
{
    (void)state;
    for (response_kind what = CHALLENGE; what <= CONTENT_WITH_ECHO; what++) {
        observed o;
        observe_one(&o, &several, false, 0);
        register_with(&o, what, 1000);
        nacre_endpoint_expire(o.p.client.ep, 1000);
        if (what == CHALLENGE) {
            take(&o, 1000);
            assert_int_equal(o.observe, 0);
            hear(&o, say(&o, (saying){ .text = "restarted" }), 1000);
            expect_notified(&o, "restarted");
        }
        expect_nothing(&o, 1000);
        assert_in_range(nacre_endpoint_deadline(o.p.client.ep), 65000, 76001);
        pair_close(&o.p);
    }
}

/* A plain observation at the challenging server's address is registered again, too; one through a proxy is not, because
 * its server may be another. */
static void plain_observation_of_the_same_server_registers_again(void **state)
{
    (void)state;
    for (int row = 0; row < 2; row++) {
        observed o;
        open_observed(&o, &several, true);
        start_observing(&o, NACRE_CON, &(nacre_request_options){ .via_proxy = row == 1 });
        take(&o, 0);
        hear(&o, say(&o, (saying){ .text = "one", .observe = 10 }), 0);
        expect_notified(&o, "one");
        register_with(&o, CHALLENGE, 1000);
        nacre_endpoint_expire(o.p.client.ep, 1000);
        if (row == 0) take(&o, 1000);
        else expect_nothing(&o, 1000);
        pair_close(&o.p);
    }
}

/* An observation in another context belongs to another server. */
static void observation_in_another_context_is_left_alone(void **state)
{
    (void)state;
    observed o;
    observe_one(&o, &several, false, 0);
    nacre_context *const theirs = o.p.theirs, *const ours = o.p.ours;
    const pairing other = { .secret = 1 };
    o.p.ours = party_context(&o.p.client, &other, false);
    o.p.theirs = party_context(&o.p.server, &other, true);
    register_with(&o, CHALLENGE, 1000);
    nacre_endpoint_expire(o.p.client.ep, 1000);
    expect_nothing(&o, 1000);
    o.p.ours = ours;
    o.p.theirs = theirs;
    register_with(&o, CHALLENGE, 2000);
    nacre_endpoint_expire(o.p.client.ep, 2000);
    take(&o, 2000);
    pair_close(&o.p);
}

/* A server that challenges every request does not make each challenge a registration. */
static void frequent_challenges_register_at_a_bounded_rate(void **state)
{
    (void)state;
    observed o;
    int registrations = 0;
    observe_one(&o, &several, false, 0);
    for (uint64_t now = 1000; now < 61000; now += 500) {
        register_with(&o, CHALLENGE, now);
        const bool is_due = nacre_endpoint_deadline(o.p.client.ep) <= now;
        nacre_endpoint_expire(o.p.client.ep, now);
        if (!is_due) continue;
        registrations++;
        take(&o, now);
        hear(&o, say(&o, (saying){ .text = "state" }), now);
        expect_notified(&o, "state");
    }
    assert_int_equal(registrations, 2); /* at 1 s and at 31 s */
    pair_close(&o.p);
}

/* The configuration leaves registrations to the application. */
static void without_reregister_it_is_left_to_the_application(void **state)
{
    (void)state;
    observed o;
    const nacre_endpoint_config config = config_once((nacre_endpoint_config){ .congestion.nstart = 8 });
    observe_one(&o, &config, false, 0);
    register_with(&o, CHALLENGE, 1000);
    assert_true(nacre_endpoint_deadline(o.p.client.ep) == UINT64_MAX);
    pair_close(&o.p);
}

/* A restarted server may respond in clear that it has no such context: a protected observation goes on, and a verified
 * response to the same registration is reported. Without one the hint is reported when the time is up. */
static void unprotected_error_does_not_end_a_new_registration(void **state)
{
    (void)state;
    static const uint8_t codes[] = { NACRE_UNAUTHORIZED, NACRE_BAD_OPTION, NACRE_UNAVAILABLE, NACRE_NOT_FOUND };
    for (size_t i = 0; i < sizeof codes; i++)
        for (uint8_t type = NACRE_CON; type <= NACRE_ACK; type++)
            for (int is_responded = 0; is_responded < 2; is_responded++) {
                observed o;
                datagram d = { 0 };
                nacre_event event;
                observe_one(&o, NULL, false, 0);
                const uint64_t now = renew(&o);
                nacre_message m = { .type = type, .code = codes[i], .token = NACRE_ARRAY(o.token) };
                m.mid = type == NACRE_ACK ? o.mid : 77;
                datagram_write(&d, &m);
                hear(&o, d, now);
                if (type == NACRE_CON) expect_empty(&o, NACRE_ACK, 77, now);
                expect_nothing(&o, now);
                if (is_responded) {
                    hear(&o, say(&o, (saying){ .type = NON, .text = "back" }), now + 1);
                    expect_notified(&o, "back");
                    (void)renew(&o);
                } else {
                    uint64_t due;
                    while ((due = nacre_endpoint_deadline(o.p.client.ep)) != UINT64_MAX) {
                        nacre_endpoint_expire(o.p.client.ep, due);
                        while (party_take(&o.p.client, &d, due)) continue;
                    }
                    assert_true(party_next_event(&o.p.client, &event));
                    assert_int_equal(event.kind, NACRE_EVENT_FAILED);
                    assert_int_equal(event.message.code, codes[i]);
                }
                pair_close(&o.p);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo_challenge_to_any_request_registers_again),
        cmocka_unit_test(plain_observation_of_the_same_server_registers_again),
        cmocka_unit_test(observation_in_another_context_is_left_alone),
        cmocka_unit_test(frequent_challenges_register_at_a_bounded_rate),
        cmocka_unit_test(without_reregister_it_is_left_to_the_application),
        cmocka_unit_test(unprotected_error_does_not_end_a_new_registration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
