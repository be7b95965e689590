/* SPDX-License-Identifier: MIT */
/* rst_forgery_test: guessed message IDs neither end a protected observation nor silence its server (RFC 7641 3.6, 4.5;
 * RFC 7252 11.4). */
#include "../scenario/raw.h"

static pair world;

static raw open_raw(bool is_protected)
{
    pair_open(&world, &(nacre_endpoint_config){ .observe.num_observers = 4 }, &(pairing){ 0 });
    return raw_open(&world, is_protected ? world.ours : NULL);
}

static void say(nacre_exchange exchange)
{
    const nacre_message response = { .code = NACRE_CONTENT, .payload = NACRE_STR("state") };
    assert_int_equal(nacre_endpoint_respond(world.server.ep, exchange, &response), NACRE_OK);
}

/* Registers; the first notification, a CON, is acknowledged, and a NON follows, whose MID is returned. */
static nacre_observer observed(raw *r, uint16_t *mid, uint64_t now)
{
    nacre_observer observer;
    datagram d;
    const nacre_event event = raw_requested(r, NACRE_CON, NACRE_GET, raw_options(0, "x", -1), now);
    assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, event.exchange, NULL), NACRE_OK);
    say(event.exchange);
    (void)raw_take(r, &d, now);
    for (int i = 0; i < 2; i++) {
        nacre_endpoint_changed(world.server.ep, observer);
        (void)expect_event(&world.server, NACRE_EVENT_NOTIFY);
        say(notification_of(observer));
        const nacre_message m = raw_take(r, &d, now);
        assert_int_equal(m.type, i == 0 ? NACRE_CON : NACRE_NON);
        if (i == 0) raw_empty(r, NACRE_ACK, m.mid, now);
        *mid = m.mid;
    }
    return observer;
}

/* The CON that a RST causes. */
static uint16_t checked(raw *r, nacre_observer observer, uint64_t now)
{
    datagram d;
    assert_int_equal(expect_event(&world.server, NACRE_EVENT_NOTIFY).observer.number, observer.number);
    say(notification_of(observer));
    const nacre_message m = raw_take(r, &d, now);
    assert_int_equal(m.type, NACRE_CON);
    return m.mid;
}

static void strays(raw *r, uint16_t from, unsigned num, uint64_t now)
{
    for (unsigned i = 0; i < num; i++) raw_empty(r, NACRE_RST, (uint16_t)(from + 1000 + i), now);
}

/* A RST to a NON ends a plain observation; a protected one goes on when the CON that follows is acknowledged. */
static void rst_alone_ends_no_protected_observation(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        raw r = open_raw(is_protected);
        uint16_t mid;
        const nacre_observer observer = observed(&r, &mid, 0);
        raw_empty(&r, NACRE_RST, mid, 0);
        if (!is_protected) {
            assert_int_equal(expect_event(&world.server, NACRE_EVENT_OBSERVER_REMOVED).err, NACRE_ERR_RESET);
        } else {
            raw_empty(&r, NACRE_ACK, checked(&r, observer, 0), 0);
            expect_quiet(&world.server, 0);
            nacre_endpoint_changed(world.server.ep, observer);
            assert_int_equal(expect_event(&world.server, NACRE_EVENT_NOTIFY).observer.number, observer.number);
        }
        pair_close(&world);
    }
}

/* RFC 7641 4.5: a RST to the CON too, or its timeout, ends the observation. */
static void rst_to_the_con_ends_it_and_so_does_its_timeout(void **state)
{
    (void)state;
    for (int by_timeout = 0; by_timeout < 2; by_timeout++) {
        raw r = open_raw(true);
        uint16_t mid;
        datagram d;
        const nacre_observer observer = observed(&r, &mid, 0);
        raw_empty(&r, NACRE_RST, mid, 0);
        mid = checked(&r, observer, 0);
        if (!by_timeout) raw_empty(&r, NACRE_RST, mid, 0);
        for (uint64_t due; by_timeout && (due = nacre_endpoint_deadline(world.server.ep)) != UINT64_MAX;) {
            nacre_endpoint_expire(world.server.ep, due);
            while (party_take(&world.server, &d, due)) continue;
        }
        assert_int_equal(expect_event(&world.server, NACRE_EVENT_OBSERVER_REMOVED).err,
                         by_timeout ? NACRE_ERR_TIMEOUT : NACRE_ERR_RESET);
        pair_close(&world);
    }
}

/* Four RST that match nothing are tolerated, five indicate guessing; after an exchange lifetime they expire. */
static void rst_to_the_con_counts_while_few_matched_nothing(void **state)
{
    (void)state;
    static const struct {
        unsigned strays;
        uint64_t pause;
        bool from_elsewhere, ends;
    } rows[] = { { 4, 0, false, true },
                 { 5, 0, false, false },
                 { 500, 0, false, false },
                 { 500, 0, true, true },
                 { 5, 65000, false, true } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        raw r = open_raw(true);
        uint16_t mid;
        const nacre_address ours = r.address;
        const nacre_observer observer = observed(&r, &mid, 0);
        if (rows[i].from_elsewhere) r.address = address_named("elsewhere");
        strays(&r, mid, rows[i].strays, 0);
        r.address = ours;
        raw_empty(&r, NACRE_RST, mid, rows[i].pause);
        mid = checked(&r, observer, rows[i].pause);
        raw_empty(&r, NACRE_RST, mid, rows[i].pause);
        if (rows[i].ends)
            assert_int_equal(expect_event(&world.server, NACRE_EVENT_OBSERVER_REMOVED).err, NACRE_ERR_RESET);
        else raw_empty(&r, NACRE_ACK, mid, rows[i].pause); /* the client's own ACK */
        expect_quiet(&world.server, rows[i].pause);
        pair_close(&world);
    }
}

/* All 65,536 message IDs, over and over: one CON at a time, and one per quarter of the exchange lifetime. */
static void guessing_all_message_ids_causes_few_cons(void **state)
{
    (void)state;
    raw r = open_raw(true);
    uint16_t mid;
    datagram d;
    nacre_event event;
    const nacre_observer observer = observed(&r, &mid, 0);
    unsigned cons = 0;
    for (uint64_t now = 0; now < 240000; now += 40000)
        for (uint32_t n = 0; n < 65536; n++) {
            raw_empty(&r, NACRE_RST, (uint16_t)n, now);
            if (!nacre_endpoint_next_event(world.server.ep, &event)) continue;
            assert_int_equal(event.kind, NACRE_EVENT_NOTIFY);
            say(notification_of(observer));
            const nacre_message m = raw_take(&r, &d, now);
            cons += m.type == NACRE_CON;
            raw_empty(&r, NACRE_ACK, m.mid, now);
        }
    print_message("  %u CONs\n", cons);
    assert_in_range(cons, 1, 4);
    nacre_endpoint_changed(world.server.ep, observer);
    assert_int_equal(expect_event(&world.server, NACRE_EVENT_NOTIFY).observer.number, observer.number);
    pair_close(&world);
}

/* A guessed RST does not end a protected separate response either. */
static void rst_ends_a_protected_response_while_few_matched_nothing(void **state)
{
    (void)state;
    for (unsigned num = 4; num <= 5; num++) {
        raw r = open_raw(true);
        datagram d, first;
        const nacre_exchange exchange = raw_requested(&r, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0).exchange;
        assert_int_equal(nacre_endpoint_defer_response(world.server.ep, exchange), NACRE_OK);
        nacre_endpoint_expire(world.server.ep, 100);
        raw_expect_empty(&r, NACRE_ACK, r.mid, 100);
        say(exchange);
        const uint16_t mid = raw_take(&r, &first, 100).mid;
        strays(&r, mid, num, 100);
        raw_empty(&r, NACRE_RST, mid, 100);
        const uint64_t due = nacre_endpoint_deadline(world.server.ep);
        assert_int_equal(due == UINT64_MAX, num == 4);
        if (num == 5) {
            nacre_endpoint_expire(world.server.ep, due);
            assert_true(party_take(&world.server, &d, due) && datagram_same(&d, &first));
        }
        pair_close(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rst_alone_ends_no_protected_observation),
        cmocka_unit_test(rst_to_the_con_ends_it_and_so_does_its_timeout),
        cmocka_unit_test(rst_to_the_con_counts_while_few_matched_nothing),
        cmocka_unit_test(guessing_all_message_ids_causes_few_cons),
        cmocka_unit_test(rst_ends_a_protected_response_while_few_matched_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
