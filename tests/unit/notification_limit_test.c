/* SPDX-License-Identifier: MIT */
/* notification_limit_test: how many CON notifications are in flight to one peer (RFC 7252 4.7), and which observers
 * wait for them. */
#include "../scenario/raw.h"

enum { OBSERVERS = 4, TRANSMISSIONS = 16 };

static pair world;
static nacre_observer observers[OBSERVERS];
static const uint8_t tokens[OBSERVERS] = { 1, 2, 3, 4 };

/* All but the last observe from one address, under different tokens. */
static raw client(int i, bool is_protected)
{
    raw r = raw_open(&world, is_protected ? world.ours : NULL);
    r.token = nacre_bytes_of(&tokens[i], 1);
    r.mid = (uint16_t)(i * 100);
    if (i == OBSERVERS - 1) r.address = address_named("another");
    return r;
}

static void open(bool is_protected, uint16_t nstart)
{
    pair_open(&world,
              &(nacre_endpoint_config){
                  .congestion.nstart = nstart, .observe.num_observers = OBSERVERS, .num_transmissions = TRANSMISSIONS },
              &(pairing){ 0 });
    for (int i = 0; i < OBSERVERS; i++) {
        datagram d;
        raw r = client(i, is_protected);
        const nacre_event event = raw_requested(&r, NACRE_CON, NACRE_GET, raw_options(0, "x", -1), 0);
        assert_int_equal(nacre_endpoint_observe(world.server.ep, &observers[i], event.exchange, NULL), NACRE_OK);
        respond_text(&world.server, event.exchange, "one");
        (void)raw_take(&r, &d, 0);
    }
}

static void all_change(void)
{
    for (int i = 0; i < OBSERVERS; i++) nacre_endpoint_changed(world.server.ep, observers[i]);
}

static void expect_notify(int i)
{
    assert_int_equal(expect_event(&world.server, NACRE_EVENT_NOTIFY).observer.number, observers[i].number);
}

static void expect_none(void)
{
    nacre_event event;
    assert_false(nacre_endpoint_next_event(world.server.ep, &event));
}

/* The notification of observer `i`, provided by the application and sent. */
static nacre_message notified(int i, uint64_t now)
{
    datagram d;
    raw r = client(i, false);
    respond_text(&world.server, notification_of(observers[i]), "two");
    return raw_take(&r, &d, now);
}

static void nstart_notifications_are_in_flight(void **state)
{
    (void)state;
    static const uint16_t limits[] = { 1, 2, UINT16_MAX };
    for (int is_protected = 0; is_protected < 2; is_protected++)
        for (size_t row = 0; row < 3; row++) {
            uint16_t message_ids[OBSERVERS];
            open(is_protected, limits[row]);
            const raw near = client(0, is_protected);
            all_change();
            for (int i = 0; i < OBSERVERS; i++)
                if (i < limits[row] || i == OBSERVERS - 1) expect_notify(i); /* another peer has its own limit */
            expect_none();
            for (int i = 0; i < OBSERVERS; i++) {
                if (i >= limits[row] && i != OBSERVERS - 1) continue;
                const nacre_message m = notified(i, 0);
                assert_int_equal(m.type, NACRE_CON);
                message_ids[i] = m.mid;
            }
            for (int i = limits[row]; i < OBSERVERS - 1; i++) { /* in order, each after one that has ended */
                raw r = near;
                expect_none();
                raw_empty(&r, NACRE_ACK, message_ids[i - limits[row]], 0);
                expect_notify(i);
                message_ids[i] = notified(i, 0).mid;
            }
            expect_none();
            pair_close(&world);
        }
}

/* However a notification in flight ends, the next one is sent. */
static void each_end_lets_the_next_notification_be_sent(void **state)
{
    (void)state;
    enum { ACK, RST, TIMEOUT, IGNORED, DROPPED, DEFERRED, BURST, REMOVED, NUM };
    for (int how = 0; how < NUM; how++) {
        nacre_endpoint *ep;
        nacre_message first = { .mid = 0 };
        datagram d;
        raw r;
        open(true, 1);
        ep = world.server.ep;
        r = client(0, true);
        for (int i = 0; i < OBSERVERS - 1; i++) nacre_endpoint_changed(ep, observers[i]);
        expect_notify(0);
        expect_none();
        if (how <= TIMEOUT) first = notified(0, 0);
        if (how == ACK || how == RST) raw_empty(&r, how == ACK ? NACRE_ACK : NACRE_RST, first.mid, 0);
        for (uint64_t due; how == TIMEOUT && (due = nacre_endpoint_deadline(ep)) != UINT64_MAX;) {
            nacre_endpoint_expire(ep, due);
            while (party_take(&world.server, &d, due)) continue;
        }
        if (how == IGNORED) nacre_endpoint_ignore(ep, notification_of(observers[0]));
        if (how == DROPPED) nacre_endpoint_drop_observer(ep, observers[0]);
        if (how == DEFERRED)
            assert_int_equal(nacre_endpoint_defer_response(ep, notification_of(observers[0])), NACRE_OK);
        if (how == BURST) raw_empty(&r, NACRE_ACK, 0x7777, 0); /* every message but one that responds to it */
        if (how == REMOVED) {
            nacre_endpoint_remove_context(ep, world.theirs);
            for (int i = 0; i < OBSERVERS; i++) (void)expect_event(&world.server, NACRE_EVENT_OBSERVER_REMOVED);
            expect_none();
            pair_close(&world);
            continue;
        }
        if (how == RST || how == TIMEOUT) (void)expect_event(&world.server, NACRE_EVENT_OBSERVER_REMOVED);
        expect_notify(1);
        expect_none();
        pair_close(&world);
    }
}

/* A waiting observer may be removed, notified later of its newest state, or sent the final response. */
static void a_waiting_observer_may_be_removed(void **state)
{
    (void)state;
    open(true, 1);
    nacre_endpoint *ep = world.server.ep;
    all_change();
    expect_notify(0);
    expect_notify(3);
    expect_none(); /* 1 and 2 wait */
    nacre_endpoint_changed(ep, observers[1]);
    nacre_endpoint_drop_observer(ep, observers[2]);
    const nacre_message first = notified(0, 0);
    raw r = client(0, true);
    raw_empty(&r, NACRE_ACK, first.mid, 0);
    expect_notify(1);
    expect_none();
    pair_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nstart_notifications_are_in_flight),
        cmocka_unit_test(each_end_lets_the_next_notification_be_sent),
        cmocka_unit_test(a_waiting_observer_may_be_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
