/* SPDX-License-Identifier: MIT */
/* separate_response_test: responses that the application gives later, and how they are sent. */
#include "../scenario/raw.h"
#include "endpoint/endpoint_struct.h"

static pair world;

static raw open_raw(bool is_protected, const nacre_endpoint_config *config)
{
    pair_open(&world, config, &(pairing){ 0 });
    return raw_open(&world, is_protected ? world.ours : NULL);
}

static void respond(nacre_exchange exchange, const char *text)
{
    respond_text(&world.server, exchange, text);
}

/* RFC 7252 5.2.2: an empty ACK, then the response as a separate CON, with the same bytes until it is acknowledged. RFC
 * 8613 4.2: the ACK is not protected. */
static void separate_response_follows_an_empty_ack_and_is_retransmitted(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        raw r = open_raw(is_protected, NULL);
        nacre_endpoint *ep = world.server.ep;
        datagram request, response, again;
        raw_request(&r, &request, NACRE_CON, NACRE_GET, raw_options(-1, "slow", -1), 0);
        const nacre_exchange exchange = expect_event(&world.server, NACRE_EVENT_REQUEST).exchange;
        assert_int_equal(nacre_endpoint_defer_response(ep, exchange), NACRE_OK);
        assert_int_equal(nacre_endpoint_defer_response(ep, exchange), NACRE_OK); /* deferred already */
        assert_false(party_take(&world.server, &response, 0));
        assert_true(nacre_endpoint_deadline(ep) == 100);
        nacre_endpoint_expire(ep, 99);
        assert_false(party_take(&world.server, &response, 99));
        nacre_endpoint_expire(ep, 100);
        raw_expect_empty(&r, NACRE_ACK, r.mid, 100);
        assert_true(nacre_endpoint_deadline(ep) == UINT64_MAX);
        raw_give(&r, &request, 3000); /* RFC 7252 4.5: a duplicate is acknowledged again */
        raw_expect_empty(&r, NACRE_ACK, r.mid, 3000);
        expect_quiet(&world.server, 3000);

        respond(exchange, "at last");
        assert_int_equal(nacre_endpoint_respond(ep, exchange, &(nacre_message){ .code = NACRE_CONTENT }),
                         NACRE_ERR_STALE);
        const nacre_message sent = raw_take(&r, &response, 60000);
        assert_int_equal(sent.type, NACRE_CON);
        assert_true(nacre_bytes_equal(sent.token, r.token));
        assert_payload(raw_read(&r, &response), "at last");
        /* RFC 8613 8.3: the request's nonce, as it is its only response */
        if (is_protected) assert_false(r.info.has_partial_iv);
        raw_give(&r, &request, 60001);
        raw_expect_empty(&r, NACRE_ACK, r.mid, 60001);

        for (int i = 0; i < 4; i++) { /* RFC 7252 4.2 */
            const uint64_t due = nacre_endpoint_deadline(ep);
            nacre_endpoint_expire(ep, due);
            assert_true(party_take(&world.server, &again, due));
            assert_true(datagram_same(&again, &response));
            assert_false(party_take(&world.server, &again, due));
        }
        raw_empty(&r, NACRE_ACK, (uint16_t)(sent.mid + 1), 200000); /* of no message of ours */
        assert_true(nacre_endpoint_deadline(ep) != UINT64_MAX);
        raw_empty(&r, NACRE_ACK, sent.mid, 200000);
        assert_true(nacre_endpoint_deadline(ep) == UINT64_MAX);
        expect_quiet(&world.server, 300000);
        pair_close(&world);
    }
}

/* A response given soon enough is still piggybacked, and no timer is left. */
static void an_early_response_is_piggybacked(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        raw r = open_raw(is_protected, &(nacre_endpoint_config){ .num_transmissions = 1 });
        datagram request, response, again;
        for (int i = 0; i < 3; i++) { /* the one transmission is freed each time */
            raw_request(&r, &request, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0);
            const nacre_exchange exchange = expect_event(&world.server, NACRE_EVENT_REQUEST).exchange;
            assert_int_equal(nacre_endpoint_defer_response(world.server.ep, exchange), NACRE_OK);
            raw_empty(&r, NACRE_ACK, 7, 50); /* another burst: the message's memory is reused */
            respond(exchange, "soon");
            const nacre_message sent = raw_take(&r, &response, 60);
            assert_int_equal(sent.type, NACRE_ACK);
            assert_int_equal(sent.mid, r.mid);
            assert_true(nacre_bytes_equal(sent.token, r.token));
            assert_payload(raw_read(&r, &response), "soon");
            raw_give(&r, &request, 70);
            assert_true(party_take(&world.server, &again, 70));
            assert_true(datagram_same(&again, &response));
            assert_true(nacre_endpoint_deadline(world.server.ep) == UINT64_MAX);
        }
        pair_close(&world);
    }
}

/* RFC 7252 5.2.3: the response to a NON is a NON, without an ACK, and sent once. */
static void response_to_a_non_is_a_non(void **state)
{
    (void)state;
    raw r = open_raw(true, NULL);
    datagram request, response;
    raw_request(&r, &request, NACRE_NON, NACRE_GET, NACRE_ABSENT, 0);
    const nacre_exchange exchange = expect_event(&world.server, NACRE_EVENT_REQUEST).exchange;
    assert_int_equal(nacre_endpoint_defer_response(world.server.ep, exchange), NACRE_OK);
    assert_true(nacre_endpoint_deadline(world.server.ep) == UINT64_MAX);
    raw_give(&r, &request, 1000);
    expect_quiet(&world.server, 1000);
    respond(exchange, "later");
    assert_int_equal(raw_take(&r, &response, 5000).type, NACRE_NON);
    assert_payload(raw_read(&r, &response), "later");
    expect_quiet(&world.server, 9000);
    pair_close(&world);
}

/* A RST, or no ACK, ends the exchange. */
static void rst_or_timeout_ends_the_response(void **state)
{
    (void)state;
    for (int by_reset = 0; by_reset < 2; by_reset++) {
        raw r = open_raw(true, &(nacre_endpoint_config){ .num_transmissions = 1 });
        nacre_endpoint *ep = world.server.ep;
        datagram d;
        for (int round = 0; round < 2; round++) {
            const nacre_exchange exchange = raw_requested(&r, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0).exchange;
            assert_int_equal(nacre_endpoint_defer_response(ep, exchange), NACRE_OK);
            nacre_endpoint_expire(ep, 100);
            raw_expect_empty(&r, NACRE_ACK, r.mid, 100);
            respond(exchange, "x");
            const uint16_t mid = raw_take(&r, &d, 100).mid;
            if (by_reset) raw_empty(&r, NACRE_RST, mid, 200);
            int sent = 1;
            for (uint64_t due; (due = nacre_endpoint_deadline(ep)) != UINT64_MAX;) {
                nacre_endpoint_expire(ep, due);
                sent += party_take(&world.server, &d, due);
            }
            assert_int_equal(sent, by_reset ? 1 : 5);
            expect_quiet(&world.server, 200000);
        }
        pair_close(&world);
    }
}

/* Deferred responses are limited, and each end frees an entry: a response, ignoring it, or removing its context. */
static void deferred_responses_are_bounded_and_freed(void **state)
{
    (void)state;
    raw r = open_raw(true, &(nacre_endpoint_config){ .num_transmissions = 2 });
    nacre_endpoint *ep = world.server.ep;
    nacre_exchange e[3];
    datagram d;
    for (int i = 0; i < 3; i++) {
        e[i] = raw_requested(&r, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0).exchange;
        assert_int_equal(nacre_endpoint_defer_response(ep, e[i]), i < 2 ? NACRE_OK : NACRE_ERR_BUSY);
    }
    respond(e[2], "now"); /* unchanged after BUSY */
    assert_true(party_take(&world.server, &d, 0));
    nacre_endpoint_ignore(ep, e[0]);
    raw_expect_empty(&r, NACRE_ACK, (uint16_t)(r.mid - 2), 0);
    assert_int_equal(nacre_endpoint_defer_response(ep, e[0]), NACRE_ERR_STALE);
    const nacre_exchange more = raw_requested(&r, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0).exchange;
    assert_int_equal(nacre_endpoint_defer_response(ep, more), NACRE_OK);
    nacre_endpoint_expire(ep, 100); /* both are acknowledged */
    assert_true(party_take(&world.server, &d, 100) && party_take(&world.server, &d, 100));
    nacre_endpoint_ignore(ep, e[1]);
    expect_quiet(&world.server, 100);
    nacre_endpoint_remove_context(ep, world.theirs);
    expect_quiet(&world.server, 100);
    assert_int_equal(nacre_endpoint_respond(ep, more, &(nacre_message){ .code = NACRE_CONTENT }), NACRE_ERR_STALE);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            nacre_endpoint_defer_response(ep, raw_requested(&r, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0).exchange),
            NACRE_OK);
    pair_close(&world);
}

/* Plain requests have half of the pool, those of addresses that are not validated half of that. */
static void forged_addresses_get_half_of_what_plain_ones_get(void **state)
{
    (void)state;
    enum { TRANSMISSIONS = 8, FORGED = 2 };
    raw r = open_raw(true, &(nacre_endpoint_config){ .num_transmissions = TRANSMISSIONS });
    nacre_endpoint *ep = world.server.ep;
    datagram d;
    raw forged = r, validated = r;
    forged.ctx = validated.ctx = NULL;
    forged.address = address_named("victim");
    validated.address = address_named("shown");
    for (int i = 0; i < TRANSMISSIONS; i++) {
        const nacre_exchange e = raw_requested(&forged, NACRE_NON, NACRE_GET, NACRE_ABSENT, 0).exchange;
        assert_int_equal(nacre_endpoint_defer_response(ep, e), i < FORGED ? NACRE_OK : NACRE_ERR_BUSY);
        if (i >= FORGED) respond(e, "sorry"); /* BUSY left it as it was */
        if (i >= FORGED) (void)raw_take(&forged, &d, 0);
    }
    assert_int_equal(
        nacre_endpoint_defer_response(ep, raw_requested(&r, NACRE_NON, NACRE_GET, NACRE_ABSENT, 0).exchange), NACRE_OK);
    nacre_exchange e = raw_requested(&validated, NACRE_NON, NACRE_GET, NACRE_ABSENT, 0).exchange;
    assert_int_equal(nacre_endpoint_defer_response(ep, e), NACRE_ERR_BUSY);
    nacre__validate(&ep->validation, &validated.address);
    assert_int_equal(nacre_endpoint_defer_response(ep, e), NACRE_OK);
    pair_close(&world);
}

/* When the context is removed before the ACK, the refusal has the request's token (RFC 8613 8.2 step 2). */
static void removing_the_context_refuses_with_the_token(void **state)
{
    (void)state;
    raw r = open_raw(true, NULL);
    datagram d;
    const nacre_exchange exchange = raw_requested(&r, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0).exchange;
    assert_int_equal(nacre_endpoint_defer_response(world.server.ep, exchange), NACRE_OK);
    nacre_endpoint_remove_context(world.server.ep, world.theirs);
    const nacre_message m = raw_take(&r, &d, 0);
    assert_int_equal(m.code, NACRE_UNAUTHORIZED);
    assert_true(nacre_bytes_equal(m.token, r.token));
    assert_true(nacre_endpoint_deadline(world.server.ep) == UINT64_MAX);
    pair_close(&world);
}

/* A response that cannot be sent leaves the exchange open, with its token, before and after its ACK. */
static void a_response_too_long_may_be_shortened(void **state)
{
    (void)state;
    static uint8_t body[1300];
    for (int acked = 0; acked < 2; acked++)
        for (int is_protected = 0; is_protected < 2; is_protected++) {
            raw r = open_raw(is_protected, NULL);
            datagram d;
            const nacre_exchange exchange = raw_requested(&r, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0).exchange;
            assert_int_equal(nacre_endpoint_defer_response(world.server.ep, exchange), NACRE_OK);
            nacre_endpoint_expire(world.server.ep, 100);
            if (acked) raw_expect_empty(&r, NACRE_ACK, r.mid, 100);
            const nacre_message too_long = { .code = NACRE_CONTENT, .payload = NACRE_ARRAY(body) };
            const nacre_message no_response = { .code = NACRE_GET };
            assert_int_equal(nacre_endpoint_respond(world.server.ep, exchange, &too_long), NACRE_ERR_TOO_LONG);
            assert_int_equal(nacre_endpoint_respond(world.server.ep, exchange, &no_response), NACRE_ERR_BAD_ARGUMENT);
            respond(exchange, "short");
            if (!acked) raw_expect_empty(&r, NACRE_ACK, r.mid, 100);
            assert_true(nacre_bytes_equal(raw_take(&r, &d, 100).token, r.token));
            assert_payload(raw_read(&r, &d), "short");
            pair_close(&world);
        }
}

/* A request that is delivered once its Echo value has recovered the window. */
static nacre_exchange requested_with_echo(raw *r, datagram *d)
{
    raw_request(r, d, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0);
    (void)expect_event(&world.server, NACRE_EVENT_PERSIST); /* asked for early: the challenge took the last */
    (void)raw_take(r, d, 0);
    const nacre_message challenge = raw_read(r, d);
    uint8_t echo[16];
    nacre_options options;
    nacre_bytes with_echo;
    nacre_options_init(&options, NACRE_BUF(echo));
    nacre_options_add(&options, NACRE_OPT_ECHO, nacre_option_find(challenge.options, NACRE_OPT_ECHO));
    assert_int_equal(nacre_options_finish(&options, &with_echo), NACRE_OK);
    return raw_requested(r, NACRE_CON, NACRE_GET, with_echo, 0).exchange;
}

/* RFC 8613 B.1: a recovered window removes the right to the request's nonce, so its response has a number, which may
 * wait for the store: then the response waits too, and is sent when it is confirmed. */
static void a_separate_response_waits_for_its_store(void **state)
{
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        pair_open(&world, NULL, &(pairing){ .server_lost = true, .server_persistent = true, .first_chunk = 1 });
        raw r = raw_open(&world, world.ours);
        datagram d;
        nacre_context_confirm_reserved(world.theirs, 1);
        const nacre_exchange exchange = requested_with_echo(&r, &d);
        assert_int_equal(nacre_endpoint_defer_response(world.server.ep, exchange), NACRE_OK);
        nacre_endpoint_expire(world.server.ep, 100);
        raw_expect_empty(&r, NACRE_ACK, r.mid, 100);
        respond(exchange, "slowly");
        expect_quiet(&world.server, 100);
        if (!fails) serve_store(world.theirs);
        nacre_endpoint_confirmed(world.server.ep, world.theirs, fails ? NACRE_ERR_FILE : NACRE_OK);
        if (fails) {
            expect_quiet(&world.server, 100);
        } else {
            assert_int_equal(raw_take(&r, &d, 100).type, NACRE_CON);
            assert_payload(raw_read(&r, &d), "slowly");
            assert_true(r.info.has_partial_iv);
        }
        pair_close(&world);
    }
}

static bool pool_holds(const char *text)
{
    const nacre_endpoint *ep = world.server.ep;
    const size_t len = strlen(text);
    for (uint32_t i = 0; i < ep->tx.num; i++) {
        const uint8_t *bytes = ep->tx.all[i].bytes;
        for (size_t at = 0; bytes != NULL && at + len <= ep->core.config.max_message; at++)
            if (memcmp(bytes + at, text, len) == 0) return true;
    }
    return false;
}

/* While it waits for its store it stands in the pool in clear. */
static void a_waiting_response_that_is_dropped_leaves_no_plaintext(void **state)
{
    (void)state;
    pair_open(&world, NULL, &(pairing){ .server_lost = true, .server_persistent = true, .first_chunk = 1 });
    raw r = raw_open(&world, world.ours);
    datagram d;
    nacre_context_confirm_reserved(world.theirs, 1);
    const nacre_exchange exchange = requested_with_echo(&r, &d);
    assert_int_equal(nacre_endpoint_defer_response(world.server.ep, exchange), NACRE_OK);
    nacre_endpoint_expire(world.server.ep, 100);
    raw_expect_empty(&r, NACRE_ACK, r.mid, 100);
    respond(exchange, "the plaintext of a response");
    assert_true(pool_holds("the plaintext of a response"));
    nacre_endpoint_remove_context(world.server.ep, world.theirs);
    assert_false(pool_holds("plaintext"));
    pair_close(&world);
}

/* A request that waited for its store frees that entry when its message is released, not when it gets its response. */
static void pending_requests_free_their_entry_when_deferred(void **state)
{
    (void)state;
    pair_open(&world, &(nacre_endpoint_config){ .burst = 1 }, &(pairing){ .server_stored = true });
    const pairing how = { .client_id = "d", .secret = 1, .server_stored = true };
    nacre_context *ours[] = { world.ours, party_context(&world.client, &how, false) };
    nacre_context *theirs[] = { world.theirs, party_context(&world.server, &how, true) };
    for (int i = 0; i < 2; i++) {
        raw r = raw_open(&world, ours[i]);
        datagram d;
        r.mid = (uint16_t)(i * 100);
        raw_request(&r, &d, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0);
        (void)expect_event(&world.server, NACRE_EVENT_PERSIST);
        serve_store(theirs[i]);
        nacre_endpoint_confirmed(world.server.ep, theirs[i], NACRE_OK);
        const nacre_exchange exchange = expect_event(&world.server, NACRE_EVENT_REQUEST).exchange;
        assert_int_equal(nacre_endpoint_defer_response(world.server.ep, exchange), NACRE_OK);
    }
    pair_close(&world);
}

/* A request that was not deferred still counts as ignored at the next burst. */
static void requests_that_are_not_deferred_are_ignored(void **state)
{
    (void)state;
    raw r = open_raw(true, NULL);
    const nacre_exchange exchange = raw_requested(&r, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0).exchange;
    raw_empty(&r, NACRE_ACK, 7, 0);
    raw_expect_empty(&r, NACRE_ACK, r.mid, 0);
    assert_int_equal(nacre_endpoint_defer_response(world.server.ep, exchange), NACRE_ERR_STALE);
    assert_int_equal(nacre_endpoint_defer_response(world.server.ep, NACRE_EXCHANGE_NONE), NACRE_ERR_STALE);
    assert_int_equal(nacre_endpoint_defer_response(world.server.ep, (nacre_exchange){ UINT64_MAX }), NACRE_ERR_STALE);
    pair_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(separate_response_follows_an_empty_ack_and_is_retransmitted),
        cmocka_unit_test(an_early_response_is_piggybacked),
        cmocka_unit_test(response_to_a_non_is_a_non),
        cmocka_unit_test(rst_or_timeout_ends_the_response),
        cmocka_unit_test(deferred_responses_are_bounded_and_freed),
        cmocka_unit_test(forged_addresses_get_half_of_what_plain_ones_get),
        cmocka_unit_test(removing_the_context_refuses_with_the_token),
        cmocka_unit_test(a_response_too_long_may_be_shortened),
        cmocka_unit_test(a_separate_response_waits_for_its_store),
        cmocka_unit_test(pending_requests_free_their_entry_when_deferred),
        cmocka_unit_test(requests_that_are_not_deferred_are_ignored),
        cmocka_unit_test(a_waiting_response_that_is_dropped_leaves_no_plaintext),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
