/* SPDX-License-Identifier: MIT */
/* probing_rate_test: the bytes that PROBING_RATE (RFC 7252 4.7) allows to a peer that does not respond, without an
 * endpoint. */
#include "endpoint/message/nstart.h"
#include "layers.h"

enum { MESSAGE = 64, RATE = 8, AHEAD_MS = NACRE__PROBED_BURST * MESSAGE * 1000 / RATE };

static uint64_t chance = 1;

static nacre__core core_with(uint32_t rate)
{
    nacre__core core = layer_core(&chance);
    core.config.congestion.probing_rate = rate;
    return core;
}

static void a_burst_is_sent_at_once_and_the_rest_at_the_rate(void **state)
{
    (void)state;
    const nacre__core core = core_with(RATE);
    nacre__probing_rate p;
    nacre__probing_rate_init(&p, &core);
    const nacre_address peer = layer_peer(1);
    uint64_t now = 5000, sent = 0;
    for (; nacre__probing_may_at(&p, &peer, now) == now; sent++) nacre__probing_sent(&p, &peer, MESSAGE, now);
    assert_int_equal(sent, NACRE__PROBED_BURST + 1); /* the last message uses bytes that the next one must wait for */
    for (int i = 0; i < 100; i++, sent++) {
        const uint64_t next = nacre__probing_may_at(&p, &peer, now);
        assert_int_equal(next - now, MESSAGE * 1000 / RATE);
        assert_int_equal(nacre__probing_may_at(&p, &peer, next - 1), next);
        now = next;
        nacre__probing_sent(&p, &peer, MESSAGE, now);
    }
}

static void a_received_message_ends_the_account_of_its_sender(void **state)
{
    (void)state;
    const nacre__core core = core_with(RATE);
    nacre__probing_rate p;
    nacre__probing_rate_init(&p, &core);
    const nacre_address one = layer_peer(1), two = layer_peer(2), three = layer_peer(3);
    for (int i = 0; i <= NACRE__PROBED_BURST; i++) {
        nacre__probing_sent(&p, &one, MESSAGE, 0);
        nacre__probing_sent(&p, &two, MESSAGE, 0);
    }
    assert_false(nacre__probing_heard(&p, &three));
    assert_int_equal(nacre__probing_may_at(&p, &three, 0), 0);
    assert_true(nacre__probing_heard(&p, &one));
    assert_false(nacre__probing_heard(&p, &one));
    assert_int_equal(nacre__probing_may_at(&p, &one, 0), 0);
    assert_true(nacre__probing_may_at(&p, &two, 0) > 0);
    assert_int_equal(p.num, 1);
}

static void peers_that_owe_least_are_evicted_first(void **state)
{
    (void)state;
    const nacre__core core = core_with(RATE);
    nacre__probing_rate p;
    nacre__probing_rate_init(&p, &core);
    const nacre_address deep = layer_peer(0);
    for (int i = 0; i < 3 * NACRE__PROBED_BURST; i++) nacre__probing_sent(&p, &deep, MESSAGE, 0);
    for (uint32_t i = 0; i < 10000; i++) {
        const nacre_address other = { .len = 3, .bytes = { 9, (uint8_t)(i >> 8), (uint8_t)i } };
        nacre__probing_sent(&p, &other, MESSAGE, 0);
    }
    assert_int_equal(p.num, NACRE__PROBED_SETS * NACRE__PROBED_WAYS);
    assert_true(nacre__probing_may_at(&p, &deep, 0) > AHEAD_MS);
    assert_true(nacre__probing_heard(&p, &deep));
    assert_int_equal(p.num, NACRE__PROBED_SETS * NACRE__PROBED_WAYS - 1);
}

static void without_a_limit_and_to_reliable_peers_nothing_is_counted(void **state)
{
    (void)state;
    const nacre__core unlimited = core_with(UINT32_MAX), limited = core_with(1);
    nacre__probing_rate p;
    const nacre_address peer = layer_peer(1);
    nacre__probing_rate_init(&p, &unlimited);
    for (int i = 0; i < 1000; i++) nacre__probing_sent(&p, &peer, MESSAGE, 0);
    assert_int_equal(nacre__probing_may_at(&p, &peer, 0), 0);
    assert_int_equal(p.num, 0);
    nacre__probing_rate_init(&p, &limited);
    nacre_address reliable = layer_peer(1);
    reliable.flags = NACRE_ADDRESS_RELIABLE;
    for (int i = 0; i < 1000; i++) nacre__probing_sent(&p, &reliable, MESSAGE, 0);
    assert_int_equal(nacre__probing_may_at(&p, &reliable, 0), 0);
    assert_int_equal(p.num, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_sent_at_once_and_the_rest_at_the_rate),
        cmocka_unit_test(a_received_message_ends_the_account_of_its_sender),
        cmocka_unit_test(peers_that_owe_least_are_evicted_first),
        cmocka_unit_test(without_a_limit_and_to_reliable_peers_nothing_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
