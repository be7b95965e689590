/* SPDX-License-Identifier: MIT */
/* observe_server_test: the order in which observers are notified, which of them wait, and the share of one peer (RFC
 * 7641 4.5, RFC 7252 4.7), without an endpoint. */
#include "endpoint/observe/observe_server.h"
#include "endpoint/core/hash.h"
#include "layers.h"

enum { OBSERVERS = 8, REQUESTS = 8, SEPARATES = 8 };

typedef struct world {
    uint64_t chance;
    nacre__core core;
    nacre__persist_waits persist;
    nacre__protect_batch batch;
    nacre__transmissions tx;
    nacre__dedup dedup;
    nacre__empty_messages empty;
    nacre__address_validation validation;
    nacre__server_exchanges x;
    nacre__observe_server s;
    nacre_context *context; /* of the registrations; NULL: plain */
    void *memory;
} world;

static void con_notification_left(void *self, nacre__separate_response *separate)
{
    nacre__con_notification_left(&((world *)self)->s, separate);
}

/* All pools, followed by their bytes. */
static size_t cut(world *w, uint8_t *base, uint8_t *bytes[3])
{
    const nacre_endpoint_config *config = &w->core.config;
    nacre__pool_layout layout = { base, 0 };
    nacre__persist_waits_lay_out(&w->persist, &layout, REQUESTS + SEPARATES);
    nacre__protect_batch_lay_out(&w->batch, &layout);
    nacre__transmissions_lay_out(&w->tx, &layout, 0, SEPARATES, REQUESTS + SEPARATES);
    nacre__dedup_lay_out(&w->dedup, &layout, REQUESTS);
    nacre__address_validation_lay_out(&w->validation, &layout, 4);
    nacre__server_exchanges_lay_out(&w->x, &layout, config);
    nacre__observe_server_lay_out(&w->s, &layout, config);
    bytes[0] = nacre__lay_out(&layout, REQUESTS + SEPARATES, config->max_message);
    bytes[1] = nacre__lay_out(&layout, w->x.max_pending, 2 * config->max_message);
    bytes[2] = nacre__lay_out(&layout, nacre__max_observers(config), config->observe.observer_bytes);
    return layout.at;
}

static world *world_open_for(uint32_t num_observers, uint32_t per_peer)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->core = layer_core(&w->chance);
    w->core.config.num_server_exchanges = REQUESTS;
    w->core.config.num_transmissions = w->core.config.transmissions_per_peer = SEPARATES;
    w->core.config.burst = 1;
    w->core.config.observe.num_observers = num_observers;
    w->core.config.observe.observer_bytes = 64;
    w->core.config.observe.observers_per_peer = per_peer;
    uint8_t *bytes[3];
    w->memory = calloc(1, cut(w, NULL, bytes));
    assert_non_null(w->memory);
    (void)cut(w, w->memory, bytes);
    w->persist.core = w->batch.core = w->validation.core = w->x.core = w->s.core = &w->core;
    w->batch.persist = &w->persist;
    w->empty.core = &w->core;
    w->x.persist = &w->persist;
    w->x.batch = &w->batch;
    w->x.tx = &w->tx;
    w->x.dedup = &w->dedup;
    w->x.empty = &w->empty;
    w->x.validation = &w->validation;
    w->x.upper = (nacre__server_upper){ .self = w, .con_notification_left = con_notification_left };
    w->s.x = &w->x;
    nacre__transmissions_init(&w->tx, &w->core);
    for (uint32_t i = 0; i < SEPARATES; i++)
        w->tx.all[i].bytes = bytes[0] + w->core.config.max_message * (REQUESTS + i);
    nacre__dedup_init(&w->dedup, &w->core, bytes[0]);
    nacre__server_exchanges_init(&w->x, bytes[1]);
    nacre__observe_server_init(&w->s, bytes[2]);
    return w;
}

static world *world_open(uint32_t per_peer)
{
    return world_open_for(OBSERVERS, per_peer);
}

static void world_close(world *w)
{
    free(w->memory);
    free(w);
}

/* A registration by `peer` under the token `name`, with its response. */
static nacre_err observe(world *w, uint8_t peer, char name, uint64_t *number)
{
    static const uint8_t observe_0[] = { 0x60 };
    static uint8_t tokens[256];
    tokens[(uint8_t)name] = (uint8_t)name;
    const nacre_datagram datagram = { .peer = layer_peer(peer), .bytes = { &tokens[(uint8_t)name], 1 } };
    const nacre_message request = { .type = NACRE_CON,
                                    .code = NACRE_GET,
                                    .mid = (uint8_t)name,
                                    .token = { &tokens[(uint8_t)name], 1 },
                                    .options = NACRE_ARRAY(observe_0) };
    nacre__server_exchange *exchange = nacre__server_exchange_add(
        &w->x, &datagram, &request, nacre__peer_hash(&w->core, &datagram.peer, datagram.bytes), 0);
    assert_non_null(exchange);
    exchange->message = request;
    exchange->context = w->context;
    exchange->state = NACRE__SERVER_DELIVERED;
    const nacre_err err = nacre__observer_register(&w->s, exchange, &tokens[(uint8_t)name], number);
    if (err == NACRE_OK) nacre__observer_begun(&w->s, nacre__observer_of(&w->s, *number), NULL);
    exchange->observer = NACRE__NONE;
    nacre__server_exchange_done(&w->x, exchange, true);
    return err;
}

/* The observer is confirmed, so NON notifications are allowed. */
static uint64_t observe_confirmed(world *w, uint8_t peer, char name)
{
    uint64_t number = 0;
    assert_int_equal(observe(w, peer, name, &number), NACRE_OK);
    nacre__observer_confirmed(nacre__observer_of(&w->s, number));
    return number;
}

static void change(world *w, uint64_t number)
{
    nacre__observer_changed(&w->s, nacre__observer_of(&w->s, number));
}

static void expect_notified(world *w, uint64_t number)
{
    nacre_event event;
    assert_true(nacre__observers_notify_event(&w->s, &event));
    assert_int_equal(event.kind, NACRE_EVENT_NOTIFY);
    assert_int_equal(event.observer.number, number);
}

static void expect_nobody(world *w)
{
    nacre_event event;
    assert_false(nacre__observers_notify_event(&w->s, &event));
}

static void observers_are_notified_in_order_and_once_for_many_changes(void **state)
{
    (void)state;
    world *w = world_open(OBSERVERS);
    const uint64_t a = observe_confirmed(w, 1, 'a'), b = observe_confirmed(w, 2, 'b');
    const uint64_t c = observe_confirmed(w, 3, 'c');
    change(w, c);
    change(w, a);
    change(w, c);
    change(w, b);
    expect_notified(w, c);
    expect_notified(w, a);
    expect_notified(w, b);
    expect_nobody(w);
    world_close(w);
}

/* The source of an unconfirmed plain registration may be forged: it is notified after the confirmed ones. */
static void unconfirmed_observer_comes_after_the_others(void **state)
{
    (void)state;
    world *w = world_open(OBSERVERS);
    uint64_t fresh;
    assert_int_equal(observe(w, 1, 'a', &fresh), NACRE_OK);
    const uint64_t known = observe_confirmed(w, 2, 'b');
    change(w, fresh);
    change(w, known);
    expect_notified(w, known);
    expect_notified(w, fresh);
    world_close(w);
}

/* NSTART is 1: until one CON notification has ended, the next to the same peer is stalled, and other peers' are not. */
static void second_con_to_a_peer_waits_for_the_first(void **state)
{
    (void)state;
    world *w = world_open(OBSERVERS);
    uint64_t a, b, c, d;
    assert_int_equal(observe(w, 1, 'a', &a), NACRE_OK);
    assert_int_equal(observe(w, 1, 'b', &b), NACRE_OK);
    assert_int_equal(observe(w, 1, 'c', &c), NACRE_OK);
    assert_int_equal(observe(w, 2, 'd', &d), NACRE_OK);
    change(w, a);
    change(w, b);
    change(w, c);
    change(w, d);
    expect_notified(w, a);
    expect_notified(w, d);
    expect_nobody(w);
    nacre__observer_ignore(&w->s, a); /* its notification has ended */
    expect_notified(w, b);
    expect_nobody(w);
    nacre__observer_ignore(&w->s, b);
    expect_notified(w, c);
    world_close(w);
}

static void one_peer_gets_no_more_than_its_share(void **state)
{
    (void)state;
    world *w = world_open(2);
    uint64_t a, b, c;
    assert_int_equal(observe(w, 1, 'a', &a), NACRE_OK);
    assert_int_equal(observe(w, 1, 'b', &b), NACRE_OK);
    assert_int_equal(observe(w, 1, 'c', &c), NACRE_ERR_BUSY);
    assert_int_equal(observe(w, 2, 'd', &c), NACRE_OK);
    nacre__observer_release(&w->s, a);
    assert_int_equal(observe(w, 1, 'c', &c), NACRE_OK);
    world_close(w);
}

static void same_token_of_the_same_address_replaces_the_registration(void **state)
{
    (void)state;
    world *w = world_open(OBSERVERS);
    uint64_t first, second;
    nacre_event event;
    assert_int_equal(observe(w, 1, 'a', &first), NACRE_OK);
    assert_int_equal(observe(w, 1, 'a', &second), NACRE_OK);
    assert_null(nacre__observer_of(&w->s, first));
    assert_true(nacre__observers_ended_event(&w->s, &event));
    assert_int_equal(event.observer.number, first);
    assert_int_equal(event.err, NACRE_ERR_STALE);
    assert_int_equal(w->s.num_observing, 1);
    world_close(w);
}

static uint32_t num_of_ended(world *w, nacre_err err)
{
    uint32_t num = 0;
    for (nacre_event event; nacre__observers_ended_event(&w->s, &event); num++) assert_int_equal(event.err, err);
    return num;
}

/* Three of 203 belong to the peer and to the context; of the others few have the same hash. */
static void end_of_a_peer_or_a_context_visits_what_belongs_to_it(void **state)
{
    (void)state;
    enum { OTHERS = 200, BELONGING = 3, COLLIDING = 8 };
    nacre_context contexts[2] = { { .next = 0 } };
    for (int by_context = 0; by_context < 2; by_context++) {
        world *w = world_open_for(OTHERS + BELONGING, OTHERS + BELONGING);
        uint64_t number;
        const nacre_address peer = layer_peer(0);
        w->context = &contexts[0];
        for (unsigned i = 0; i < BELONGING; i++) assert_int_equal(observe(w, 0, (char)i, &number), NACRE_OK);
        for (unsigned i = 0; i < OTHERS; i++) {
            w->context = i % 2 && !by_context ? &contexts[1] : NULL;
            assert_int_equal(observe(w, (uint8_t)(1 + i), (char)(BELONGING + i), &number), NACRE_OK);
        }
        const nacre_err err = by_context ? NACRE_ERR_NO_CONTEXT : NACRE_ERR_UNREACHABLE;
        assert_in_range(nacre__observers_end_all(&w->s, by_context ? &contexts[0] : NULL, &peer, err), BELONGING,
                        BELONGING + COLLIDING);
        assert_int_equal(num_of_ended(w, err), BELONGING);
        assert_int_equal(w->s.num_observing, OTHERS);
        assert_int_equal(nacre__observers_end_all(&w->s, by_context ? &contexts[0] : NULL, &peer, err) <= COLLIDING, 1);
        assert_int_equal(num_of_ended(w, err), 0);
        world_close(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(observers_are_notified_in_order_and_once_for_many_changes),
        cmocka_unit_test(unconfirmed_observer_comes_after_the_others),
        cmocka_unit_test(second_con_to_a_peer_waits_for_the_first),
        cmocka_unit_test(one_peer_gets_no_more_than_its_share),
        cmocka_unit_test(end_of_a_peer_or_a_context_visits_what_belongs_to_it),
        cmocka_unit_test(same_token_of_the_same_address_replaces_the_registration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
