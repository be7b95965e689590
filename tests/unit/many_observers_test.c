/* SPDX-License-Identifier: MIT */
/* many_observers_test: the cost of a datagram does not depend on the number of observers, and no pool entry is ever
 * lost. */
#include "../scenario/raw.h"

#include <time.h>

static pair world;

static raw open_raw(uint32_t num)
{
    pair_open(
        &world,
        &(nacre_endpoint_config){ .max_message = 256, .observe.num_observers = num, .observe.observer_bytes = 32 },
        &(pairing){ 0 });
    return raw_open(&world, NULL);
}

static void act_as(raw *r, uint32_t i, uint8_t token[4])
{
    char name[16];
    (void)snprintf(name, sizeof name, "c%u", i % 1000); /* some observers share an address, and none a token */
    r->address = address_named(name);
    for (int k = 0; k < 4; k++) token[k] = (uint8_t)(i >> 8 * k);
    r->token = nacre_bytes_of(token, 4);
    r->mid = (uint16_t)(i * 3);
}

static nacre_observer observe(raw *r)
{
    datagram d;
    nacre_observer observer;
    const nacre_event event = raw_requested(r, NACRE_NON, NACRE_GET, raw_options(0, "x", -1), 0);
    assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, event.exchange, NULL), NACRE_OK);
    respond_text(&world.server, event.exchange, "one");
    (void)raw_take(r, &d, 0);
    return observer;
}

static void expect_removed(nacre_observer observer)
{
    assert_int_equal(expect_event(&world.server, NACRE_EVENT_OBSERVER_REMOVED).observer.number, observer.number);
}

/* One of each message that names an observer: a notification and its ACK, a RST, a new registration, a cancellation.
 * Leaves the observer unchanged. */
static nacre_observer round_of(raw *r, nacre_observer observer, bool by_reset)
{
    datagram d;
    nacre_endpoint_changed(world.server.ep, observer);
    assert_int_equal(expect_event(&world.server, NACRE_EVENT_NOTIFY).observer.number, observer.number);
    respond_text(&world.server, notification_of(observer), "two");
    const nacre_message m = raw_take(r, &d, 0);
    if (m.type == NACRE_CON) raw_empty(r, NACRE_ACK, m.mid, 0);
    if (by_reset && m.type == NACRE_NON) {
        raw_empty(r, NACRE_RST, m.mid, 0);
    } else {
        const nacre_event event = raw_requested(r, NACRE_NON, NACRE_GET, raw_options(1, "x", -1), 0);
        nacre_endpoint_ignore(world.server.ep, event.exchange);
    }
    expect_removed(observer);
    observer = observe(r);
    const nacre_observer anew = observe(r);
    expect_removed(observer);
    raw_empty(r, NACRE_RST, 1, 0); /* of no notification */
    raw_empty(r, NACRE_ACK, 2, 0);
    assert_true(nacre_endpoint_deadline(world.server.ep) == UINT64_MAX);
    return anew;
}

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The time of 2,000 rounds beside `num` observers. */
static double rounds_beside(uint32_t num)
{
    raw r = open_raw(num);
    nacre_observer *observers = calloc(num, sizeof *observers);
    uint8_t token[4];
    for (uint32_t i = 0; i < num; i++) {
        act_as(&r, i, token);
        observers[i] = observe(&r);
    }
    const double start = seconds();
    for (uint32_t n = 0; n < 2000; n++) {
        const uint32_t i = n * 7919 % num;
        act_as(&r, i, token);
        r.mid = (uint16_t)(40000 + 5 * n);
        observers[i] = round_of(&r, observers[i], n % 2 == 1);
    }
    const double took = seconds() - start;
    for (uint32_t i = 0; i < num; i++) { /* all are registered, and found */
        nacre_endpoint_changed(world.server.ep, observers[i]);
        assert_int_equal(expect_event(&world.server, NACRE_EVENT_NOTIFY).observer.number, observers[i].number);
        nacre_endpoint_ignore(world.server.ep, notification_of(observers[i]));
        nacre_endpoint_drop_observer(world.server.ep, observers[i]);
    }
    expect_quiet(&world.server, 0);
    free(observers);
    pair_close(&world);
    return took;
}

/* If any step walked all observers, the second run would take some hundred times as long as the first. */
static void time_does_not_grow_with_other_observers(void **state)
{
    (void)state;
    const double few = rounds_beside(50), many = rounds_beside(20000);
    print_message("2000 rounds beside 50 observers: %.1f ms, beside 20000: %.1f ms\n", few * 1e3, many * 1e3);
    assert_true(many < 20 * few);
}

/* A change that concerns all observers: each is notified, through few transmissions, in the order in which they were
 * marked. */
static void a_change_notifies_all_observers_in_order(void **state)
{
    (void)state;
    enum { NUM = 10000 };
    raw r = open_raw(NUM);
    static nacre_observer observers[NUM];
    uint8_t token[4];
    uint32_t told = 0, sent = 0;
    for (uint32_t i = 0; i < NUM; i++) {
        act_as(&r, i, token);
        observers[i] = observe(&r);
    }
    for (uint32_t i = 0; i < NUM; i++) nacre_endpoint_changed(world.server.ep, observers[i]);
    for (uint32_t before = UINT32_MAX; before != told + sent;) {
        before = told + sent;
        nacre_event event;
        while (nacre_endpoint_next_event(world.server.ep, &event)) {
            assert_int_equal(event.kind, NACRE_EVENT_NOTIFY);
            assert_int_equal(event.exchange.number, observers[told++].number);
            respond_text(&world.server, event.exchange, "two");
        }
        for (datagram d; party_take(&world.server, &d, 0); sent++) {
            const nacre_message m = datagram_message(&d);
            r.address = d.peer;
            if (m.type == NACRE_CON) raw_empty(&r, NACRE_ACK, m.mid, 0);
        }
    }
    assert_int_equal(told, NUM);
    assert_int_equal(sent, NUM);
    assert_true(nacre_endpoint_deadline(world.server.ep) == UINT64_MAX);
    pair_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(time_does_not_grow_with_other_observers),
                                        cmocka_unit_test(a_change_notifies_all_observers_in_order) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
