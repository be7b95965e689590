/* SPDX-License-Identifier: MIT */
/* address_validation_test: which addresses are validated and for how long (RFC 9175 2.4), without an endpoint. */
#include "endpoint/admission/address_validation.h"
#include "layers.h"

enum { PEERS = 16, LIFETIME = 247000 };

typedef struct world {
    uint64_t chance;
    nacre__core core;
    nacre__address_validation v;
    void *memory;
} world;

static world *world_open(void)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->core = layer_core(&w->chance);
    nacre__pool_layout plan = { 0 };
    nacre__address_validation_lay_out(&w->v, &plan, PEERS);
    w->memory = calloc(1, plan.at);
    assert_non_null(w->memory);
    nacre__address_validation_lay_out(&w->v, &(nacre__pool_layout){ .base = w->memory }, PEERS);
    w->v.core = &w->core;
    return w;
}

static void world_close(world *w)
{
    free(w->memory);
    free(w);
}

static void address_is_validated_for_an_exchange_lifetime_and_another_is_not(void **state)
{
    (void)state;
    world *w = world_open();
    const nacre_address one = layer_peer(1), two = layer_peer(2);
    w->core.now_ms = 1000;
    assert_false(nacre__is_validated(&w->v, &one));
    nacre__validate(&w->v, &one);
    assert_true(nacre__is_validated(&w->v, &one));
    assert_false(nacre__is_validated(&w->v, &two));
    w->core.now_ms = 1000 + LIFETIME - 1;
    assert_true(nacre__is_validated(&w->v, &one));
    w->core.now_ms = 1000 + LIFETIME;
    assert_false(nacre__is_validated(&w->v, &one));
    world_close(w);
}

/* A hash set holds four addresses: a fifth one replaces the set's longest silent address and no other. */
static void newest_addresses_stay_when_the_table_is_full(void **state)
{
    (void)state;
    world *w = world_open();
    for (uint8_t i = 0; i < 200; i++) {
        const nacre_address peer = layer_peer(i);
        w->core.now_ms++;
        nacre__validate(&w->v, &peer);
        assert_true(nacre__is_validated(&w->v, &peer));
    }
    unsigned known = 0;
    for (uint8_t i = 0; i < 200; i++) {
        const nacre_address peer = layer_peer(i);
        known += nacre__is_validated(&w->v, &peer);
    }
    assert_int_equal(known, PEERS);
    world_close(w);
}

static void address_that_is_validated_again_outlives_the_others(void **state)
{
    (void)state;
    world *w = world_open();
    const nacre_address kept = layer_peer(0);
    for (uint8_t i = 1; i < 200; i++) {
        const nacre_address peer = layer_peer(i);
        w->core.now_ms++;
        nacre__validate(&w->v, &kept);
        nacre__validate(&w->v, &peer);
    }
    assert_true(nacre__is_validated(&w->v, &kept));
    world_close(w);
}

static void connection_needs_no_validation_nor_does_an_endpoint_without_the_limit(void **state)
{
    (void)state;
    world *w = world_open();
    const nacre_address udp = layer_peer(1);
    nacre_address tcp = udp;
    tcp.flags = NACRE_ADDRESS_RELIABLE;
    assert_true(nacre__is_validated(&w->v, &tcp));
    assert_false(nacre__is_validated(&w->v, &udp));
    w->core.config.admission.amplification_limit = false;
    assert_true(nacre__is_validated(&w->v, &udp));
    world_close(w);
}

static void allowance_is_three_times_the_received_bytes_and_at_least_136(void **state)
{
    (void)state;
    assert_int_equal(nacre__allowance(0), 136);
    assert_int_equal(nacre__allowance(45), 136);
    assert_int_equal(nacre__allowance(46), 138);
    assert_int_equal(nacre__allowance(1000), 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_is_validated_for_an_exchange_lifetime_and_another_is_not),
        cmocka_unit_test(newest_addresses_stay_when_the_table_is_full),
        cmocka_unit_test(address_that_is_validated_again_outlives_the_others),
        cmocka_unit_test(connection_needs_no_validation_nor_does_an_endpoint_without_the_limit),
        cmocka_unit_test(allowance_is_three_times_the_received_bytes_and_at_least_136),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
