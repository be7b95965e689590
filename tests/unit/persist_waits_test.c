/* SPDX-License-Identifier: MIT */
/* persist_waits_test: exchanges that wait for a store, without an endpoint. */
#include "endpoint/core/persist_waits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MAX = 4 };

typedef struct waits {
    nacre__core core;
    nacre__persist_waits p;
    nacre_context contexts[MAX + 1];
    void *memory;
} waits;

static waits *waits_open(void)
{
    waits *w = calloc(1, sizeof *w);
    assert_non_null(w);
    nacre__pool_layout plan = { 0 };
    nacre__persist_waits_lay_out(&w->p, &plan, MAX);
    w->memory = calloc(1, plan.at);
    assert_non_null(w->memory);
    nacre__persist_waits_lay_out(&w->p, &(nacre__pool_layout){ .base = w->memory }, MAX);
    w->p.core = &w->core;
    return w;
}

static void waits_close(waits *w)
{
    free(w->memory);
    free(w);
}

static void expect_next(waits *w, uint8_t kind, uint32_t index)
{
    nacre__ref waiter = { 0 };
    assert_true(nacre__persist_next(&w->p, &waiter));
    assert_int_equal(waiter.kind, kind);
    assert_int_equal(waiter.index, index);
}

static void expect_none(waits *w)
{
    nacre__ref waiter;
    assert_false(nacre__persist_next(&w->p, &waiter));
}

static void a_context_is_requested_once_until_it_is_confirmed(void **state)
{
    (void)state;
    waits *w = waits_open();
    nacre__persist_join(&w->p, &w->contexts[0], NACRE__OF_CLIENT_EXCHANGE, 0);
    nacre__persist_join(&w->p, &w->contexts[0], NACRE__OF_SERVER_EXCHANGE, 0);
    assert_ptr_equal(nacre__persist_event(&w->p), &w->contexts[0]);
    assert_null(nacre__persist_event(&w->p));
    nacre__request_persist(&w->p, &w->contexts[0]);
    assert_null(nacre__persist_event(&w->p));
    nacre__persist_confirmed(&w->p, &w->contexts[0]);
    nacre__request_persist(&w->p, &w->contexts[0]);
    assert_ptr_equal(nacre__persist_event(&w->p), &w->contexts[0]);
    waits_close(w);
}

static void waiters_are_released_in_order_across_pools(void **state)
{
    (void)state;
    waits *w = waits_open();
    nacre__persist_join(&w->p, &w->contexts[0], NACRE__OF_TRANSMISSION, 2);
    nacre__persist_join(&w->p, &w->contexts[1], NACRE__OF_SERVER_EXCHANGE, 1);
    nacre__persist_join(&w->p, &w->contexts[0], NACRE__OF_CLIENT_EXCHANGE, 2);
    expect_none(w);
    nacre__persist_confirmed(&w->p, &w->contexts[0]);
    expect_next(w, NACRE__OF_TRANSMISSION, 2);
    expect_next(w, NACRE__OF_CLIENT_EXCHANGE, 2);
    expect_none(w);
    nacre__persist_confirmed(&w->p, &w->contexts[1]);
    expect_next(w, NACRE__OF_SERVER_EXCHANGE, 1);
    assert_int_equal(w->p.num_waits, 0);
    waits_close(w);
}

/* A resumed exchange may wait again at once: it makes a new request, and is not resumed in the same round. */
static void a_waiter_that_waits_again_is_not_released_in_the_same_round(void **state)
{
    (void)state;
    waits *w = waits_open();
    nacre__persist_join(&w->p, &w->contexts[0], NACRE__OF_CLIENT_EXCHANGE, 0);
    nacre__persist_join(&w->p, &w->contexts[0], NACRE__OF_CLIENT_EXCHANGE, 1);
    assert_ptr_equal(nacre__persist_event(&w->p), &w->contexts[0]);
    nacre__persist_confirmed(&w->p, &w->contexts[0]);
    expect_next(w, NACRE__OF_CLIENT_EXCHANGE, 0);
    nacre__persist_join(&w->p, &w->contexts[0], NACRE__OF_CLIENT_EXCHANGE, 0);
    expect_next(w, NACRE__OF_CLIENT_EXCHANGE, 1);
    expect_none(w);
    assert_ptr_equal(nacre__persist_event(&w->p), &w->contexts[0]);
    waits_close(w);
}

static void removed_waiters_are_not_released(void **state)
{
    (void)state;
    waits *w = waits_open();
    for (uint32_t i = 0; i < 3; i++) nacre__persist_join(&w->p, &w->contexts[0], NACRE__OF_CLIENT_EXCHANGE, i);
    nacre__persist_leave(&w->p, NACRE__OF_SERVER_EXCHANGE, 1); /* of another pool */
    nacre__persist_leave(&w->p, NACRE__OF_CLIENT_EXCHANGE, 1);
    nacre__persist_confirmed(&w->p, &w->contexts[0]);
    nacre__persist_leave(&w->p, NACRE__OF_CLIENT_EXCHANGE, 0); /* between the confirmation and its resumption */
    expect_next(w, NACRE__OF_CLIENT_EXCHANGE, 2);
    expect_none(w);
    waits_close(w);
}

static void a_request_ahead_of_time_gives_way_to_one_with_a_waiter(void **state)
{
    (void)state;
    waits *w = waits_open();
    nacre__persist_join(&w->p, &w->contexts[0], NACRE__OF_CLIENT_EXCHANGE, 0);
    for (int i = 1; i < MAX; i++) nacre__request_persist(&w->p, &w->contexts[i]);
    nacre__persist_join(&w->p, &w->contexts[MAX], NACRE__OF_CLIENT_EXCHANGE, 1);
    bool told[MAX + 1] = { false };
    for (nacre_context *c; (c = nacre__persist_event(&w->p)) != NULL;) told[c - w->contexts] = true;
    assert_true(told[0]);
    assert_false(told[1]);
    assert_true(told[MAX]);
    waits_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_context_is_requested_once_until_it_is_confirmed),
        cmocka_unit_test(waiters_are_released_in_order_across_pools),
        cmocka_unit_test(a_waiter_that_waits_again_is_not_released_in_the_same_round),
        cmocka_unit_test(removed_waiters_are_not_released),
        cmocka_unit_test(a_request_ahead_of_time_gives_way_to_one_with_a_waiter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
