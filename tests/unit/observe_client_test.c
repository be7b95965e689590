/* SPDX-License-Identifier: MIT */
/* observe_client_test: the observations of a client against a server built from the core, which can misbehave: notify
 * out of order, twice, late, forged, and without protection. */
#include "../scenario/registration.h"
#include "endpoint/endpoint_struct.h"

/* ---- The life of an observation ---------------------------------------------------------------------------------- */

/* RFC 7641 3.2, 3.5, RFC 8613 8.4.2: the first response in the ACK, a NON, and a CON that gets its ACK; a response
 * without Observe ends the observation, and so does an error. */
static void notifications_are_reported_until_the_last(void **state)
{
    (void)state;
    for (int row = 0; row < 4; row++) {
        observed o;
        const bool plain = row % 2 == 1;
        observe_one(&o, NULL, plain, 0);
        hear(&o, say(&o, (saying){ .type = NON, .text = "two", .observe = 11, .new_piv = true }), 1000);
        expect_notified(&o, "two");
        expect_nothing(&o, 1000);
        hear(&o, say(&o, (saying){ .type = CON, .text = "three", .observe = 12, .new_piv = true }), 2000);
        expect_notified(&o, "three");
        expect_empty(&o, NACRE_ACK, (uint16_t)(o.next_mid - 1), 2000);
        expect_nothing(&o, 2000);
        const saying last =
            row < 2
                ? (saying){ .type = CON, .text = "end", .no_observe = true, .new_piv = true }
                : (saying){ .type = CON, .text = "end", .code = NACRE_SERVER_ERROR, .observe = 13, .new_piv = true };
        hear(&o, say(&o, last), 3000);
        const nacre_event end = expect_event(&o.p.client, NACRE_EVENT_RESPONSE);
        assert_payload(end.message, "end");
        assert_int_equal(end.exchange.number, o.exchange.number);
        expect_empty(&o, NACRE_ACK, (uint16_t)(o.next_mid - 1), 3000);
        assert_true(nacre_endpoint_deadline(o.p.client.ep) == UINT64_MAX);
        assert_int_equal(nacre_endpoint_unobserve(o.p.client.ep, o.exchange), NACRE_ERR_STALE);
        assert_int_equal(nacre_endpoint_get_stats(o.p.client.ep).notifications, 3);
        pair_close(&o.p);
    }
}

/* A server that accepts no observation: the response ends it. A separate response registers as well as a piggybacked
 * one. */
static void a_response_without_observe_ends_the_observation(void **state)
{
    (void)state;
    for (int row = 0; row < 6; row++) {
        observed o;
        register_one(&o, NULL, row % 2 == 1, 0);
        if (row < 2) {
            hear(&o, say(&o, (saying){ .text = "only", .no_observe = true }), 0);
            assert_payload(expect_event(&o.p.client, NACRE_EVENT_RESPONSE).message, "only");
        } else if (row < 4) {
            hear(&o, empty_message(NACRE_ACK, o.mid), 0);
            hear(&o, say(&o, (saying){ .type = CON, .text = "in time", .observe = 1 }), 900);
            expect_notified(&o, "in time");
            expect_empty(&o, NACRE_ACK, (uint16_t)(o.next_mid - 1), 900);
        } else {
            hear(&o, say(&o, (saying){ .type = NON, .text = "unasked", .observe = 1 }), 0);
            expect_notified(&o, "unasked");
        }
        expect_nothing(&o, 1000);
        if (row >= 2) assert_in_range(nacre_endpoint_deadline(o.p.client.ep), 65000, 76000); /* no retransmission */
        pair_close(&o.p);
    }
}

/* Several notifications in one burst, the last one final: all are reported in order. */
static void notifications_of_one_burst_are_reported_in_order(void **state)
{
    (void)state;
    observed o;
    observe_one(&o, NULL, false, 0);
    datagram d[4];
    nacre_datagram in[4] = { { .full_len = 0 } };
    for (unsigned i = 0; i < 4; i++) {
        d[i] = say(&o, (saying){ .type = NON,
                                 .text = (const char *[]){ "a", "b", "c", "d" }[i],
                                 .new_piv = true,
                                 .no_observe = i == 3 });
    }
    party_take_back(&o.p.client);
    for (unsigned i = 0; i < 4; i++)
        in[i] = (nacre_datagram){ .peer = o.p.server.address,
                                  .bytes = party_lend(&o.p.client, nacre_bytes_of(d[i].bytes, d[i].len)) };
    assert_int_equal(nacre_endpoint_receive_many(o.p.client.ep, in, 4, 5), 4);
    expect_notified(&o, "a");
    assert_int_equal(nacre_endpoint_receive_many(o.p.client.ep, in, 4, 5), 0); /* they point into the burst */
    expect_notified(&o, "b");
    expect_notified(&o, "c");
    assert_payload(expect_event(&o.p.client, NACRE_EVENT_RESPONSE).message, "d");
    expect_nothing(&o, 5);
    pair_close(&o.p);
}

/* Observe in another method, or with another value, starts no observation. */
static void other_uses_of_observe_start_no_observation(void **state)
{
    (void)state;
    const struct {
        uint8_t code;
        const char *observe;
        bool observes;
    } rows[] = {
        { NACRE_GET, "", true },      { NACRE_FETCH, "", true }, { NACRE_POST, "", false },
        { NACRE_GET, "\x01", false }, { NACRE_PUT, "", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        observed o;
        uint8_t buf[8];
        nacre_options options;
        open_observed(&o, NULL, false);
        nacre_options_init(&options, NACRE_BUF(buf));
        nacre_options_add(&options, NACRE_OPT_OBSERVE,
                          nacre_bytes_of((const uint8_t *)rows[i].observe, strlen(rows[i].observe)));
        nacre_message request = { .type = NACRE_CON, .code = rows[i].code };
        assert_int_equal(nacre_options_finish(&options, &request.options), NACRE_OK);
        assert_int_equal(
            nacre_endpoint_request(o.p.client.ep, &o.exchange, &o.p.server.address, o.p.ours, &request, &o), NACRE_OK);
        take(&o, 0);
        hear(&o, say(&o, (saying){ .text = "x" }), 0);
        if (rows[i].observes) expect_notified(&o, "x");
        else assert_payload(expect_event(&o.p.client, NACRE_EVENT_RESPONSE).message, "x");
        pair_close(&o.p);
    }
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    const nacre_exchange exchange = start(&p.client, &p.server, p.ours, NACRE_CON);
    assert_int_equal(nacre_endpoint_unobserve(p.client.ep, exchange), NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(nacre_endpoint_unobserve(p.client.ep, NACRE_EXCHANGE_NONE), NACRE_ERR_STALE);
    pair_close(&p);
}

/* ---- Order ------------------------------------------------------------------------------------------------------- */

/* RFC 8613 7.4.1: order by Partial IV; a notification without one is the oldest and is accepted once. The outer Observe
 * has no effect. */
static void protected_notifications_are_ordered_by_partial_iv(void **state)
{
    (void)state;
    observed o;
    register_one(&o, NULL, false, 0);
    datagram none = say(&o, (saying){ .type = NON, .text = "none" });
    datagram n[4];
    for (unsigned i = 0; i < 4; i++)
        n[i] = say(&o, (saying){ .type = NON, .text = (const char *[]){ "0", "1", "2", "3" }[i], .new_piv = true });
    hear(&o, n[1], 10);
    expect_notified(&o, "1");
    hear(&o, n[0], 11); /* older */
    hear(&o, n[1], 12); /* the same */
    hear(&o, none, 13); /* the oldest */
    expect_nothing(&o, 13);
    hear(&o, n[3], 14);
    expect_notified(&o, "3");
    hear(&o, n[2], 15);
    hear(&o, n[3], 16);
    expect_nothing(&o, 16);
    assert_int_equal(nacre_endpoint_get_stats(o.p.client.ep).dropped, 5);
    assert_int_equal(nacre_context_failed_decryptions(o.p.ours), 0);
    pair_close(&o.p);
}

/* RFC 7641 3.4 */
static void plain_notifications_are_ordered_by_observe_value(void **state)
{
    (void)state;
    const struct {
        uint32_t v1, v2;
        uint64_t after;
        bool newer;
    } rows[] = {
        { 10, 11, 0, true },           { 10, 10, 0, false },      { 11, 10, 0, false },
        { 0, (1 << 23) - 1, 0, true }, { 0, 1 << 23, 0, false },  { 0, (1 << 23) + 1, 0, false },
        { (1 << 23) + 1, 0, 0, true }, { 1 << 23, 0, 0, false },  { 0xffffff, 0, 0, true },
        { 0, 0xffffff, 0, false },     { 11, 10, 128000, false }, { 11, 10, 128001, true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        observed o;
        register_one(&o, NULL, true, 0);
        hear(&o, say(&o, (saying){ .text = "first", .observe = rows[i].v1, .max_age = 1000 }), 50);
        expect_notified(&o, "first");
        hear(&o, say(&o, (saying){ .type = CON, .text = "second", .observe = rows[i].v2, .max_age = 1000 }),
             50 + rows[i].after);
        if (rows[i].newer) expect_notified(&o, "second");
        expect_empty(&o, NACRE_ACK, (uint16_t)(o.next_mid - 1), 50 + rows[i].after); /* whether accepted or not */
        expect_nothing(&o, 50 + rows[i].after);
        pair_close(&o.p);
    }
}

/* ---- Without effect ---------------------------------------------------------------------------------------------- */

/* RFC 8613 8.4.2: a forged or unprotected notification neither ends the observation nor makes the client register
 * again; nor does a RST. */
static void forged_and_unprotected_notifications_change_nothing(void **state)
{
    (void)state;
    observed o;
    observe_one(&o, NULL, false, 0);
    const uint64_t deadline = nacre_endpoint_deadline(o.p.client.ep);
    for (uint8_t type = CON; type <= NON; type++) {
        datagram bad = say(&o, (saying){ .type = type, .text = "forged", .new_piv = true });
        bad.bytes[bad.len - 1] ^= 1;
        hear(&o, bad, 20);
        if (type == CON) expect_empty(&o, NACRE_ACK, (uint16_t)(o.next_mid - 1), 20);
        const uint8_t codes[] = { NACRE_CONTENT, NACRE_UNAUTHORIZED, NACRE_SERVER_ERROR };
        for (size_t i = 0; i < sizeof codes; i++) {
            datagram clear;
            datagram_write(&clear, &(nacre_message){ .type = (uint8_t)(type - 1),
                                                     .code = codes[i],
                                                     .mid = (uint16_t)(o.next_mid++),
                                                     .token = NACRE_ARRAY(o.token) });
            hear(&o, clear, 30);
            if (type == CON) expect_empty(&o, NACRE_ACK, (uint16_t)(o.next_mid - 1), 30);
        }
        expect_nothing(&o, 30);
    }
    hear(&o, empty_message(NACRE_RST, o.mid), 40);
    hear(&o, empty_message(NACRE_ACK, o.mid), 40);
    expect_nothing(&o, 40);
    assert_true(nacre_endpoint_deadline(o.p.client.ep) == deadline);
    hear(&o, say(&o, (saying){ .type = NON, .text = "real", .new_piv = true }), 50);
    expect_notified(&o, "real");
    pair_close(&o.p);
}

/* Nor does a RST to the registration end a plain observation that already got its response. */
static void reset_after_the_response_does_not_end_the_observation(void **state)
{
    (void)state;
    observed o;
    observe_one(&o, NULL, true, 0);
    hear(&o, empty_message(NACRE_RST, o.mid), 40);
    expect_nothing(&o, 40);
    pair_close(&o.p);
}

/* A verified notification with an unknown critical option (RFC 7252 5.4.1): a NON is ignored; a CON gets a RST and the
 * observation ends. An elective one is harmless. When the context is removed, unpulled events go with it. A
 * registration without a response ends. */
static void critical_options_removal_and_silence_end_the_observation(void **state)
{
    (void)state;
    observed o;
    observe_one(&o, NULL, false, 0);
    hear(&o, say(&o, (saying){ .type = NON, .text = "x", .option = 2000, .new_piv = true }), 10);
    expect_notified(&o, "x");
    hear(&o, say(&o, (saying){ .type = NON, .text = "x", .option = 2001, .new_piv = true }), 10);
    expect_nothing(&o, 10);
    hear(&o, say(&o, (saying){ .type = CON, .text = "x", .option = 2001, .new_piv = true }), 10);
    expect_empty(&o, NACRE_RST, (uint16_t)(o.next_mid - 1), 10);
    expect_failed(&o.p.client, NACRE_ERR_CRITICAL_OPTION);
    expect_nothing(&o, 10);
    pair_close(&o.p);

    observe_one(&o, NULL, false, 0);
    hear(&o, say(&o, (saying){ .type = NON, .text = "late", .new_piv = true }), 10);
    nacre_endpoint_remove_context(o.p.client.ep, o.p.ours); /* before the event was pulled */
    expect_failed(&o.p.client, NACRE_ERR_NO_CONTEXT);
    expect_nothing(&o, 10);
    pair_close(&o.p);

    register_one(&o, NULL, false, 0);
    for (uint64_t due = 0; (due = nacre_endpoint_deadline(o.p.client.ep)) != UINT64_MAX;) {
        datagram d;
        nacre_endpoint_expire(o.p.client.ep, due);
        while (party_take(&o.p.client, &d, due)) continue;
    }
    expect_failed(&o.p.client, NACRE_ERR_TIMEOUT);
    pair_close(&o.p);
}

/* ---- Registering again ------------------------------------------------------------------------------------------- */

/* RFC 7641 3.3.1, RFC 8613 7.3: registered again 5 to 15 seconds after Max-Age, which each notification restarts. */
static void observation_registers_again_after_max_age(void **state)
{
    (void)state;
    for (int row = 0; row < 2; row++) {
        observed o;
        register_one(&o, NULL, row == 1, 0);
        hear(&o, say(&o, (saying){ .text = "one", .observe = 1, .max_age = 100 }), 0);
        expect_notified(&o, "one");
        assert_in_range(nacre_endpoint_deadline(o.p.client.ep), 105000, 115001);
        hear(&o, say(&o, (saying){ .type = NON, .text = "two", .observe = 2, .new_piv = true, .max_age = 300 }), 90000);
        expect_notified(&o, "two");
        assert_in_range(nacre_endpoint_deadline(o.p.client.ep), 395000, 405001);
        uint64_t now = renew(&o);
        if (row == 0)
            assert_memory_not_equal(o.id.partial_iv, o.older.partial_iv, 1); /* RFC 8613 4.1.3.5.1: a new one */
        hear(&o, say(&o, (saying){ .text = "three", .observe = 3, .max_age = -1 }), now);
        expect_notified(&o, "three"); /* the first response to this request, so it needs no Partial IV */
        assert_in_range(nacre_endpoint_deadline(o.p.client.ep), now + 5000, now + 15001);
        hear(&o, say(&o, (saying){ .type = NON, .text = "four", .observe = 4, .new_piv = true }), now);
        expect_notified(&o, "four");
        now = renew(&o);
        hear(&o, say(&o, (saying){ .text = "end", .no_observe = true }), now);
        assert_payload(expect_event(&o.p.client, NACRE_EVENT_RESPONSE).message, "end");
        pair_close(&o.p);
    }
}

/* RFC 8613 7.3: an observation with frequent notifications is registered again too; none is when the configuration
 * disables it. */
static void live_observation_is_registered_again_unless_disabled(void **state)
{
    (void)state;
    for (int row = 0; row < 3; row++) {
        observed o;
        nacre_endpoint_config config = config_with((nacre_endpoint_config){ 0 });
        config.observe.reregister = row != 1;
        if (row == 2) config.observe.reregister_ms = 70000;
        register_one(&o, &config, false, 0);
        hear(&o, say(&o, (saying){ .text = "a", .max_age = 100000 }), 0);
        expect_notified(&o, "a");
        const uint64_t due = nacre_endpoint_deadline(o.p.client.ep);
        const uint64_t expected[] = { 3600000, UINT64_MAX, 70000 };
        assert_true(due == expected[row]);
        hear(&o, say(&o, (saying){ .type = NON, .text = "b", .new_piv = true, .max_age = 100000 }), 60000);
        expect_notified(&o, "b");
        assert_true(nacre_endpoint_deadline(o.p.client.ep) == due);
        pair_close(&o.p);
    }
}

/* Between the new registration and its response the old one is valid; afterwards its notifications do not verify (RFC
 * 8613 8.4.2: and change nothing). */
static void old_registration_is_valid_until_the_new_response(void **state)
{
    (void)state;
    observed o;
    observe_one(&o, NULL, false, 0);
    datagram late = say(&o, (saying){ .type = NON, .text = "very late", .new_piv = true });
    const uint64_t now = renew(&o);
    hear(&o, say(&o, (saying){ .type = NON, .text = "old", .new_piv = true, .older = true }), now);
    expect_notified(&o, "old");
    assert_in_range(nacre_endpoint_deadline(o.p.client.ep), now + 2000,
                    now + 3000); /* the new registration has no response yet */
    hear(&o, late, now);         /* older than "old" */
    expect_nothing(&o, now);
    hear(&o, say(&o, (saying){ .text = "new" }), now);
    expect_notified(&o, "new");
    assert_in_range(nacre_endpoint_deadline(o.p.client.ep), now + 65000, now + 75001);
    assert_int_equal(nacre_context_failed_decryptions(o.p.ours), 0);
    hear(&o, say(&o, (saying){ .type = CON, .text = "stale", .new_piv = true, .older = true }), now + 10);
    expect_empty(&o, NACRE_ACK, (uint16_t)(o.next_mid - 1), now + 10);
    expect_nothing(&o, now + 10);
    assert_int_equal(nacre_context_failed_decryptions(o.p.ours), 1);
    hear(&o, say(&o, (saying){ .type = NON, .text = "newer", .new_piv = true }), now + 20);
    expect_notified(&o, "newer");
    pair_close(&o.p);
}

/* A new registration without a response ends the observation. One that meets a server without its window is repeated
 * with the Echo value and the same token, and the old registration stays valid meanwhile (RFC 8613 B.1.2). */
static void failed_registration_ends_the_observation(void **state)
{
    (void)state;
    observed o;
    observe_one(&o, NULL, false, 0);
    uint64_t now = renew(&o);
    for (uint64_t due = 0; (due = nacre_endpoint_deadline(o.p.client.ep)) != UINT64_MAX;) {
        datagram d;
        nacre_endpoint_expire(o.p.client.ep, due);
        while (party_take(&o.p.client, &d, due)) continue;
    }
    expect_failed(&o.p.client, NACRE_ERR_TIMEOUT);
    hear(&o, say(&o, (saying){ .type = NON, .text = "who?", .new_piv = true }), now + 200000);
    expect_empty(&o, NACRE_RST, (uint16_t)(o.next_mid - 1), now + 200000);
    pair_close(&o.p);

    observe_one(&o, NULL, false, 0);
    const nacre_request_id first = o.id;
    now = renew(&o);
    datagram challenge =
        say(&o, (saying){ .code = NACRE_UNAUTHORIZED, .echo = "12345678", .no_observe = true, .new_piv = true });
    hear(&o, challenge, now);
    hear(&o, challenge, now); /* duplicated, before the repetition is sent */
    take(&o, now);
    assert_true(o.has_echo);
    assert_int_equal(o.observe, 0);
    hear(&o, challenge, now); /* and after it */
    expect_nothing(&o, now);
    o.older = first;
    hear(&o, say(&o, (saying){ .type = NON, .text = "old", .new_piv = true, .older = true }), now);
    expect_notified(&o, "old");
    hear(&o, say(&o, (saying){ .text = "fresh" }), now);
    expect_notified(&o, "fresh");
    (void)renew(&o);
    assert_false(o.has_echo); /* it is used up */
    pair_close(&o.p);
}

/* A notification of the old registration after the response to the new one, in one burst or in two, is older than the
 * known state, whatever its Partial IV, and ends nothing. In the reverse order both count. */
static void old_notification_after_the_new_response_is_dropped(void **state)
{
    (void)state;
    for (int row = 0; row < 8; row++) {
        const bool is_error = row & 1, in_one_burst = row & 2, in_order = row & 4;
        observed o;
        observe_one(&o, NULL, false, 0);
        const uint64_t now = renew(&o);
        datagram old = say(&o, (saying){ .type = NON,
                                         .text = "old",
                                         .code = is_error ? NACRE_NOT_FOUND : 0,
                                         .no_observe = is_error,
                                         .new_piv = true,
                                         .older = true });
        datagram new = say(&o, (saying){ .text = "new" });
        datagram *d[] = { in_order ? &old : &new, in_order ? &new : &old };
        if (in_one_burst) {
            nacre_datagram in[2] = { { .full_len = 0 } };
            party_take_back(&o.p.client);
            for (int i = 0; i < 2; i++)
                in[i] = (nacre_datagram){ .peer = o.p.server.address,
                                          .bytes = party_lend(&o.p.client, nacre_bytes_of(d[i]->bytes, d[i]->len)) };
            assert_int_equal(party_receive(&o.p.client, in, 2, now), 2);
        } else {
            hear(&o, *d[0], now);
            if (in_order && !is_error) expect_notified(&o, "old");
            if (!(in_order && is_error) && !in_order) expect_notified(&o, "new");
            if (!(in_order && is_error)) hear(&o, *d[1], now);
        }
        if (in_order && is_error) {
            assert_int_equal(expect_event(&o.p.client, NACRE_EVENT_RESPONSE).message.code, NACRE_NOT_FOUND);
        } else {
            if (in_order && in_one_burst) expect_notified(&o, "old");
            if (in_order || in_one_burst) expect_notified(&o, "new");
            nacre_event event;
            assert_false(nacre_endpoint_next_event(o.p.client.ep, &event));
        }
        pair_close(&o.p);
    }
}

/* A registration queued after another request (RFC 7252 4.7) receives an Echo challenge of the registration before it:
 * it stays queued, takes the value, and is counted once. */
static void queued_registration_takes_an_echo_value(void **state)
{
    (void)state;
    observed o;
    datagram d;
    observe_one(&o, &(nacre_endpoint_config){ .congestion.nstart = 1 }, false, 0);
    const uint64_t now = nacre_endpoint_deadline(o.p.client.ep);
    const nacre_exchange other = start(&o.p.client, &o.p.server, NULL, NACRE_CON);
    assert_true(party_take(&o.p.client, &d, now));
    nacre_endpoint_expire(o.p.client.ep, now);
    expect_nothing(&o, now);
    assert_int_equal(o.p.client.ep->tx.num_held, 1);
    hear(&o,
         say(&o,
             (saying){
                 .type = NON, .code = NACRE_UNAUTHORIZED, .echo = "12345678", .no_observe = true, .new_piv = true }),
         now);
    expect_nothing(&o, now);
    assert_int_equal(o.p.client.ep->tx.num_held, 1);
    nacre_endpoint_cancel(o.p.client.ep, other);
    take(&o, now);
    assert_true(o.has_echo);
    assert_int_equal(o.p.client.ep->tx.num_held, 0);
    hear(&o, say(&o, (saying){ .text = "fresh" }), now);
    expect_notified(&o, "fresh");
    pair_close(&o.p);
}

/* RFC 7641 3.6, RFC 8613 4.1.3.5.1: Observe 1 under the same token; notifications in flight are ignored but
 * acknowledged; the response ends the observation. */
static void unobserve_sends_observe_1_and_ends_with_the_response(void **state)
{
    (void)state;
    for (int row = 0; row < 2; row++) {
        observed o;
        uint8_t token[8];
        observe_one(&o, NULL, row == 1, 0);
        memcpy(token, o.token, sizeof token);
        hear(&o, say(&o, (saying){ .type = NON, .text = "not pulled", .observe = 11, .new_piv = true }), 5);
        assert_int_equal(nacre_endpoint_unobserve(o.p.client.ep, o.exchange), NACRE_OK);
        assert_int_equal(nacre_endpoint_unobserve(o.p.client.ep, o.exchange), NACRE_OK); /* repeating is allowed */
        nacre_event event;
        assert_false(nacre_endpoint_next_event(o.p.client.ep, &event));
        datagram before = say(&o, (saying){ .type = CON, .text = "before", .observe = 12, .new_piv = true });
        hear(&o, before, 6);
        take(&o, 6);
        expect_empty(&o, NACRE_ACK, (uint16_t)(o.next_mid - 1), 6);
        assert_int_equal(o.observe, 1);
        assert_memory_equal(token, o.token, sizeof token);
        hear(&o, say(&o, (saying){ .type = NON, .text = "after", .observe = 13, .new_piv = true, .older = true }), 7);
        expect_nothing(&o, 7);
        hear(&o, say(&o, (saying){ .text = "bye", .no_observe = true, .new_piv = true }), 8);
        assert_payload(expect_event(&o.p.client, NACRE_EVENT_RESPONSE).message, "bye");
        assert_true(nacre_endpoint_deadline(o.p.client.ep) == UINT64_MAX);
        hear(&o, say(&o, (saying){ .type = NON, .text = "again?", .observe = 14, .new_piv = true, .older = true }), 9);
        expect_empty(&o, NACRE_RST, (uint16_t)(o.next_mid - 1), 9);
        expect_nothing(&o, 9);
        pair_close(&o.p);
    }
}

/* Unobserving before the first response, in each state of a registration. */
static void unobserving_before_the_first_response_ends_the_observation(void **state)
{
    (void)state;
    for (int row = 0; row < 3; row++) {
        observed o;
        open_observed(&o, NULL, false);
        start_observing(&o, NACRE_CON, NULL);
        if (row > 0) take(&o, 0);
        datagram ack = empty_message(NACRE_ACK, o.mid);
        if (row == 2) hear(&o, ack, 0);
        const datagram first = row > 0 ? say(&o, (saying){ .type = NON, .text = "first" }) : (datagram){ .len = 0 };
        assert_int_equal(nacre_endpoint_unobserve(o.p.client.ep, o.exchange), NACRE_OK);
        if (row > 0) hear(&o, first, 1);
        take(&o, 1);
        assert_int_equal(o.observe, 1);
        if (row > 0) hear(&o, first, 2);
        expect_nothing(&o, 2);
        hear(&o, say(&o, (saying){ .text = "bye", .no_observe = true }), 3);
        assert_payload(expect_event(&o.p.client, NACRE_EVENT_RESPONSE).message, "bye");
        expect_nothing(&o, 3);
        pair_close(&o.p);
    }
}

/* RFC 7641 3.6: after nacre_endpoint_cancel the next notification, CON or NON, is rejected. An unexpected response
 * without Observe is not. */
static void notification_after_cancel_is_rejected(void **state)
{
    (void)state;
    for (uint8_t type = CON; type <= NON; type++) {
        observed o;
        observe_one(&o, NULL, false, 0);
        hear(&o, say(&o, (saying){ .type = NON, .text = "not pulled", .new_piv = true }), 5);
        nacre_endpoint_cancel(o.p.client.ep, o.exchange);
        expect_nothing(&o, 5);
        assert_true(nacre_endpoint_deadline(o.p.client.ep) == UINT64_MAX);
        hear(&o, say(&o, (saying){ .type = type, .text = "x", .new_piv = true }), 10);
        expect_empty(&o, NACRE_RST, (uint16_t)(o.next_mid - 1), 10);
        hear(&o, say(&o, (saying){ .type = NON, .text = "x", .new_piv = true, .no_observe = true }), 10);
        expect_nothing(&o, 10);
        pair_close(&o.p);
    }
}

/* Bytes for Observe 1 are reserved from the start: every accepted registration can be unobserved. */
static void the_longest_registration_can_be_unobserved(void **state)
{
    (void)state;
    static uint8_t payload[256];
    for (int row = 0; row < 2; row++) {
        observed o;
        static const uint8_t observe[] = { 0x60 };
        open_observed(&o, &(nacre_endpoint_config){ .max_message = 128 }, row == 1);
        nacre_message fetch = { .type = NACRE_CON, .code = NACRE_FETCH, .options = NACRE_ARRAY(observe) };
        for (size_t len = sizeof payload;; len--) {
            fetch.payload = nacre_bytes_of(payload, len);
            if (nacre_endpoint_request(o.p.client.ep, &o.exchange, &o.p.server.address, o.plain ? NULL : o.p.ours,
                                       &fetch, &o) == NACRE_OK)
                break;
        }
        take(&o, 0);
        assert_int_equal(nacre_endpoint_unobserve(o.p.client.ep, o.exchange), NACRE_OK);
        take(&o, 0);
        assert_int_equal(o.observe, 1);
        pair_close(&o.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notifications_are_reported_until_the_last),
        cmocka_unit_test(a_response_without_observe_ends_the_observation),
        cmocka_unit_test(notifications_of_one_burst_are_reported_in_order),
        cmocka_unit_test(other_uses_of_observe_start_no_observation),
        cmocka_unit_test(protected_notifications_are_ordered_by_partial_iv),
        cmocka_unit_test(plain_notifications_are_ordered_by_observe_value),
        cmocka_unit_test(forged_and_unprotected_notifications_change_nothing),
        cmocka_unit_test(reset_after_the_response_does_not_end_the_observation),
        cmocka_unit_test(critical_options_removal_and_silence_end_the_observation),
        cmocka_unit_test(observation_registers_again_after_max_age),
        cmocka_unit_test(live_observation_is_registered_again_unless_disabled),
        cmocka_unit_test(old_registration_is_valid_until_the_new_response),
        cmocka_unit_test(failed_registration_ends_the_observation),
        cmocka_unit_test(queued_registration_takes_an_echo_value),
        cmocka_unit_test(old_notification_after_the_new_response_is_dropped),
        cmocka_unit_test(unobserve_sends_observe_1_and_ends_with_the_response),
        cmocka_unit_test(unobserving_before_the_first_response_ends_the_observation),
        cmocka_unit_test(notification_after_cancel_is_rejected),
        cmocka_unit_test(the_longest_registration_can_be_unobserved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
