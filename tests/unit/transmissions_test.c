/* SPDX-License-Identifier: MIT */
/* transmissions_test: retransmission, acknowledgment and giving up (RFC 7252 4.2), without an endpoint. */
#include "endpoint/message/nstart.h"
#include "layers.h"

enum { REQUESTS = 4, OTHERS = 3, ALL = REQUESTS + OTHERS };

typedef struct world {
    uint64_t chance;
    nacre__core core;
    nacre__transmissions tx;
    void *memory;
} world;

static world *world_open(void)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->core = layer_core(&w->chance);
    nacre__pool_layout plan = { 0 };
    nacre__transmissions_lay_out(&w->tx, &plan, REQUESTS, OTHERS, ALL);
    w->memory = calloc(1, plan.at);
    assert_non_null(w->memory);
    nacre__transmissions_lay_out(&w->tx, &(nacre__pool_layout){ .base = w->memory }, REQUESTS, OTHERS, ALL);
    nacre__transmissions_init(&w->tx, &w->core);
    return w;
}

static void world_close(world *w)
{
    free(w->memory);
    free(w);
}

/* Takes a transmission and queues it to `peer`. */
static nacre__transmission *queue_one(world *w, uint8_t type, uint8_t peer)
{
    nacre__transmission *t = nacre__transmission_take(&w->tx);
    assert_non_null(t);
    t->peer = layer_peer(peer);
    t->type = type;
    nacre__transmission_set_mid(&w->tx, t, nacre__new_mid(&w->tx, &t->peer));
    nacre__transmission_queue(&w->tx, t);
    return t;
}

/* Sends the next one in the queue; NULL when it is empty. */
static nacre__transmission *send_next(world *w, uint64_t now)
{
    nacre__ref ref;
    if (!nacre__transmissions_next(&w->tx, &ref)) return NULL;
    assert_int_equal(ref.kind, NACRE__OF_TRANSMISSION);
    nacre__transmission_sent(&w->tx, &w->tx.all[ref.index], now);
    return &w->tx.all[ref.index];
}

static void expect_nothing_due(world *w, uint64_t now)
{
    nacre__transmission *t;
    nacre__transmission_outcome outcome;
    assert_false(nacre__transmissions_expire(&w->tx, &t, &outcome, now));
}

static void expect_due(world *w, const nacre__transmission *which, nacre__transmission_outcome what, uint64_t now)
{
    nacre__transmission *t = NULL;
    nacre__transmission_outcome outcome;
    assert_true(nacre__transmissions_expire(&w->tx, &t, &outcome, now));
    assert_ptr_equal(t, which);
    assert_int_equal(outcome, what);
}

/* RFC 7252 4.2: the first wait between ACK_TIMEOUT and 1.5 times that, then doubled, four times. */
static void confirmable_is_sent_five_times_with_doubled_waits_and_then_given_up(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__transmission *t = queue_one(w, NACRE_CON, 1);
    assert_true(nacre__transmissions_deadline(&w->tx) == NACRE__NEVER);
    uint64_t now = 1000;
    assert_ptr_equal(send_next(w, now), t);
    uint64_t wait = nacre__transmissions_deadline(&w->tx) - now;
    assert_in_range(wait, 2000, 3000);
    for (int i = 0; i < 4; i++, wait *= 2) {
        expect_nothing_due(w, now + wait - 1);
        assert_null(send_next(w, now + wait - 1));
        now += wait;
        expect_nothing_due(w, now);
        assert_true(nacre__transmissions_deadline(&w->tx) == NACRE__NEVER); /* the timer restarts when it is sent */
        assert_ptr_equal(send_next(w, now), t);
        assert_true(nacre__transmissions_deadline(&w->tx) == now + wait * 2);
    }
    expect_nothing_due(w, now + wait - 1);
    expect_due(w, t, NACRE__TRANSMISSION_TIMED_OUT, now + wait);
    nacre__transmission_give_back(&w->tx, t);
    assert_int_equal(w->tx.num_free, OTHERS);
    assert_int_equal(w->tx.num_timers, 0);
    world_close(w);
}

static void non_confirmable_is_sent_once_and_waits_for_its_response(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__transmission *t = queue_one(w, NACRE_NON, 1);
    assert_ptr_equal(send_next(w, 0), t);
    expect_nothing_due(w, 92999);
    assert_null(send_next(w, 92999));
    expect_due(w, t, NACRE__TRANSMISSION_TIMED_OUT, 93000);
    world_close(w);
}

static void acknowledgment_matches_by_peer_and_message_id(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__transmission *a = queue_one(w, NACRE_CON, 1), *b = queue_one(w, NACRE_CON, 2);
    nacre__transmission_set_mid(&w->tx, b, a->mid); /* two peers, one ID */
    const nacre_address one = layer_peer(1), two = layer_peer(2), three = layer_peer(3);
    assert_ptr_equal(nacre__transmission_find(&w->tx, &one, a->mid), a);
    assert_ptr_equal(nacre__transmission_find(&w->tx, &two, a->mid), b);
    assert_null(nacre__transmission_find(&w->tx, &three, a->mid));
    assert_null(nacre__transmission_find(&w->tx, &one, (uint16_t)(a->mid + 1)));
    nacre__transmission_give_back(&w->tx, a);
    assert_null(nacre__transmission_find(&w->tx, &one, b->mid));
    assert_ptr_equal(nacre__transmission_find(&w->tx, &two, b->mid), b);
    world_close(w);
}

/* A transmission that an ACK ended is not retransmitted, and its owner's timer replaces the retransmission. */
static void stopped_transmission_is_not_sent_again_and_its_owner_gets_the_timer(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__transmission *t = queue_one(w, NACRE_CON, 1);
    assert_ptr_equal(send_next(w, 0), t);
    expect_nothing_due(w, 3000); /* it is queued again */
    nacre__transmission_stop(&w->tx, t);
    assert_null(send_next(w, 3000));
    nacre__transmission_set_due(&w->tx, t, 9000);
    expect_nothing_due(w, 8999);
    expect_due(w, t, NACRE__TRANSMISSION_OWNER_TIMER, 9000);
    world_close(w);
}

static void the_users_limit_ends_every_wait(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__transmission *t = &w->tx.all[0];
    t->type = NACRE_CON;
    t->give_up = 2500;
    nacre__transmission_queue(&w->tx, t);
    assert_ptr_equal(send_next(w, 1000), t);
    assert_true(nacre__transmissions_deadline(&w->tx) == 2500);
    expect_due(w, t, NACRE__TRANSMISSION_TIMED_OUT, 2500);
    world_close(w);
}

static void transmission_released_while_queued_is_free_when_dequeued(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__transmission *t = queue_one(w, NACRE_CON, 1), *next = queue_one(w, NACRE_CON, 2);
    nacre__transmission_give_back(&w->tx, t);
    assert_int_equal(w->tx.num_free, OTHERS - 2);
    assert_ptr_equal(send_next(w, 0), next);
    assert_int_equal(w->tx.num_free, OTHERS - 1);
    world_close(w);
}

static void new_message_id_is_not_in_flight_to_the_peer(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__transmission *t = queue_one(w, NACRE_CON, 1);
    const uint16_t used = (uint16_t)(t->mid + 1);
    nacre__transmission_set_mid(&w->tx, t, used); /* the next value of the count */
    const nacre_address one = layer_peer(1);
    for (int i = 0; i < 65536 * 2; i++) assert_int_not_equal(nacre__new_mid(&w->tx, &one), used);
    world_close(w);
}

static void timers_expire_in_order(void **state)
{
    (void)state;
    world *w = world_open();
    for (int round = 0; round < 500; round++) {
        for (uint32_t i = 0; i < ALL; i++) {
            uint8_t byte;
            layer_random(&w->chance, &byte, 1);
            nacre__transmission_set_due(&w->tx, &w->tx.all[i], byte < 20 ? NACRE__NEVER : byte);
        }
        uint64_t last = 0;
        for (uint64_t due; (due = nacre__transmissions_deadline(&w->tx)) != NACRE__NEVER; last = due) {
            assert_true(due >= last);
            nacre__transmission_set_due(&w->tx, &w->tx.all[w->tx.timers[0]], NACRE__NEVER);
        }
    }
    world_close(w);
}

/* ---- NSTART ------------------------------------------------------------------------------------------------------ */

static nacre__transmission *request_to(world *w, uint32_t index, uint8_t type, uint8_t peer)
{
    nacre__transmission *t = &w->tx.all[index];
    t->peer = layer_peer(peer);
    t->type = type;
    t->order = w->tx.next_order++;
    nacre__transmission_queue(&w->tx, t);
    return t;
}

/* The next request that may be sent at `now`, those that NSTART holds skipped; NULL: none. */
static nacre__transmission *start_next(world *w, uint64_t now)
{
    for (nacre__ref ref; nacre__transmissions_next(&w->tx, &ref);) {
        nacre__transmission *t = &w->tx.all[ref.index];
        if (!nacre__nstart_enter(&w->tx, t, now)) continue;
        nacre__transmission_sent(&w->tx, t, now);
        return t;
    }
    return NULL;
}

static void second_request_to_a_peer_is_held_until_the_first_has_ended(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__transmission *a = request_to(w, 0, NACRE_CON, 1), *b = request_to(w, 1, NACRE_CON, 1);
    nacre__transmission *c = request_to(w, 2, NACRE_CON, 2), *d = request_to(w, 3, NACRE_CON, 1);
    assert_ptr_equal(start_next(w, 0), a);
    assert_ptr_equal(start_next(w, 0), c); /* another peer's */
    assert_null(start_next(w, 0));
    assert_int_equal(w->tx.num_held, 2);
    nacre__nstart_leave(&w->tx, a);
    nacre__transmission_stop(&w->tx, a);
    assert_ptr_equal(start_next(w, 10), b); /* in the order of the requests */
    assert_null(start_next(w, 10));
    nacre__nstart_leave(&w->tx, b);
    nacre__transmission_stop(&w->tx, b);
    assert_ptr_equal(start_next(w, 20), d);
    assert_int_equal(w->tx.num_held, 0);
    world_close(w);
}

/* A NON may never get a response: after ACK_TIMEOUT it no longer counts. */
static void non_confirmable_holds_others_for_ack_timeout(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__transmission *a = request_to(w, 0, NACRE_NON, 1), *b = request_to(w, 1, NACRE_NON, 1);
    assert_ptr_equal(start_next(w, 0), a);
    assert_null(start_next(w, 0));
    expect_nothing_due(w, 1999);
    assert_null(start_next(w, 1999));
    expect_nothing_due(w, 2000);
    assert_ptr_equal(start_next(w, 2000), b);
    world_close(w);
}

static void cancelled_held_request_lets_the_next_one_be_sent(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__transmission *a = request_to(w, 0, NACRE_CON, 1), *b = request_to(w, 1, NACRE_CON, 1);
    nacre__transmission *c = request_to(w, 2, NACRE_CON, 1);
    assert_ptr_equal(start_next(w, 0), a);
    assert_null(start_next(w, 0));
    nacre__nstart_leave(&w->tx, b); /* cancelled */
    nacre__transmission_stop(&w->tx, b);
    assert_null(start_next(w, 1)); /* the first is still in flight */
    nacre__nstart_leave(&w->tx, a);
    nacre__transmission_stop(&w->tx, a);
    assert_ptr_equal(start_next(w, 2), c);
    world_close(w);
}

static void connections_have_no_limit(void **state)
{
    (void)state;
    world *w = world_open();
    for (uint32_t i = 0; i < 2; i++) {
        nacre__transmission *t = request_to(w, i, NACRE_NON, 1);
        t->peer.flags = NACRE_ADDRESS_RELIABLE;
        assert_ptr_equal(start_next(w, 0), t);
    }
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confirmable_is_sent_five_times_with_doubled_waits_and_then_given_up),
        cmocka_unit_test(non_confirmable_is_sent_once_and_waits_for_its_response),
        cmocka_unit_test(acknowledgment_matches_by_peer_and_message_id),
        cmocka_unit_test(stopped_transmission_is_not_sent_again_and_its_owner_gets_the_timer),
        cmocka_unit_test(the_users_limit_ends_every_wait),
        cmocka_unit_test(transmission_released_while_queued_is_free_when_dequeued),
        cmocka_unit_test(new_message_id_is_not_in_flight_to_the_peer),
        cmocka_unit_test(timers_expire_in_order),
        cmocka_unit_test(second_request_to_a_peer_is_held_until_the_first_has_ended),
        cmocka_unit_test(non_confirmable_holds_others_for_ack_timeout),
        cmocka_unit_test(cancelled_held_request_lets_the_next_one_be_sent),
        cmocka_unit_test(connections_have_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
