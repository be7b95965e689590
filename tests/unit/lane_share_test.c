/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* lane_share_test: when the lanes part and join, and for how long others pause. */
#include "io/lane_share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { WINDOW = 10000 };

typedef struct clocks {
    uint64_t now_us, cpu_us;
} clocks;

/* Windows in which messages, of which one in `verified_of` verifies (0: none), take `took_us` of WINDOW. */
static void pass(nacre__lane_share *s, clocks *c, int windows, uint64_t took_us, unsigned verified_of, bool may_part)
{
    for (int i = 0; i < windows; i++) {
        s->num = 1000;
        s->num_verified = verified_of > 0 ? 1000 / verified_of : 0;
        c->now_us += WINDOW;
        c->cpu_us += took_us;
        assert_true(nacre__lane_share_due(s, c->now_us));
        nacre__lane_share_decide(s, may_part, c->now_us, c->cpu_us);
    }
}

static void begin(nacre__lane_share *s, clocks *c)
{
    *s = (nacre__lane_share){ 0 };
    *c = (clocks){ 1000000000, 5000000 };
    nacre__lane_share_decide(s, true, c->now_us, c->cpu_us);
    assert_false(s->is_apart); /* the first window began with the machine */
}

static void flood_parts_the_lanes_within_30_ms(void **state)
{
    (void)state;
    nacre__lane_share s;
    clocks c;
    begin(&s, &c);
    pass(&s, &c, 2, WINDOW / 7, 0, true);
    assert_false(s.is_apart);
    pass(&s, &c, 1, WINDOW / 7, 0, true);
    assert_true(s.is_apart);
}

static void less_than_an_eighth_of_a_core_does_not_part_the_lanes(void **state)
{
    (void)state;
    nacre__lane_share s;
    clocks c;
    begin(&s, &c);
    pass(&s, &c, 100, WINDOW / 9, 0, true);
    assert_false(s.is_apart);
}

static void verified_load_does_not_part_the_lanes(void **state)
{
    (void)state;
    nacre__lane_share s;
    clocks c;
    begin(&s, &c);
    pass(&s, &c, 100, WINDOW, 1, true);
    assert_false(s.is_apart);
    pass(&s, &c, 3, WINDOW, 2, true); /* half of it verifies */
    assert_true(s.is_apart);
}

static void plain_traffic_without_verified_peers_does_not_part_the_lanes(void **state)
{
    (void)state;
    nacre__lane_share s;
    clocks c;
    begin(&s, &c);
    pass(&s, &c, 100, WINDOW, 0, false);
    assert_false(s.is_apart);
}

static void a_window_with_idle_time_before_its_burst_does_not_part_the_lanes(void **state)
{
    (void)state;
    nacre__lane_share s;
    clocks c;
    begin(&s, &c);
    for (int i = 0; i < 10; i++) {
        pass(&s, &c, 2, WINDOW, 0, true);
        c.now_us += 1000000;
        pass(&s, &c, 1, WINDOW, 0, true);
        assert_false(s.is_apart);
    }
}

/* A burst of 64 messages of 2 ms each. */
static void expensive_messages_part_the_lanes_although_their_windows_are_long(void **state)
{
    (void)state;
    nacre__lane_share s;
    clocks c;
    begin(&s, &c);
    for (int i = 0; i < 3; i++) {
        assert_false(s.is_apart);
        c.now_us += 12 * WINDOW;
        c.cpu_us += 12 * WINDOW;
        pass(&s, &c, 1, WINDOW, 0, true);
    }
    assert_true(s.is_apart);
}

static void lanes_join_two_seconds_after_the_flood(void **state)
{
    (void)state;
    nacre__lane_share s;
    clocks c;
    begin(&s, &c);
    pass(&s, &c, 3, WINDOW, 0, true);
    pass(&s, &c, 199, WINDOW, 1, true);
    assert_true(s.is_apart);
    pass(&s, &c, 2, WINDOW, 1, true);
    assert_false(s.is_apart);
}

static uint64_t pause_after(nacre__lane_share *s, size_t num, size_t num_verified, uint64_t took_us, uint64_t now_us)
{
    s->paused_until_us = 0;
    nacre__lane_share_charge(s, num, num_verified, took_us, now_us);
    return s->paused_until_us > now_us ? s->paused_until_us - now_us : 0;
}

static void others_get_an_eighth_while_verified_peers_send(void **state)
{
    (void)state;
    nacre__lane_share s = { .is_apart = true, .last_lane_us = 500000 };
    assert_int_equal(pause_after(&s, 32, 0, 40, 500010), 280);
    assert_int_equal(pause_after(&s, 32, 16, 40, 500010), 140); /* what verifies is not charged */
    assert_int_equal(pause_after(&s, 32, 32, 40, 500010), 0);
    assert_int_equal(pause_after(&s, 32, 0, 1000000, 500010), 50000); /* newcomers get in however slow a burst was */
    assert_int_equal(pause_after(&s, 0, 0, 40, 500010), 0);
}

static void others_get_everything_while_no_verified_peer_sends(void **state)
{
    (void)state;
    nacre__lane_share s = { .is_apart = true, .last_lane_us = 500000 };
    assert_int_equal(pause_after(&s, 32, 0, 40, 520000), 280);
    assert_int_equal(pause_after(&s, 32, 0, 40, 520001), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flood_parts_the_lanes_within_30_ms),
        cmocka_unit_test(less_than_an_eighth_of_a_core_does_not_part_the_lanes),
        cmocka_unit_test(verified_load_does_not_part_the_lanes),
        cmocka_unit_test(plain_traffic_without_verified_peers_does_not_part_the_lanes),
        cmocka_unit_test(a_window_with_idle_time_before_its_burst_does_not_part_the_lanes),
        cmocka_unit_test(expensive_messages_part_the_lanes_although_their_windows_are_long),
        cmocka_unit_test(lanes_join_two_seconds_after_the_flood),
        cmocka_unit_test(others_get_an_eighth_while_verified_peers_send),
        cmocka_unit_test(others_get_everything_while_no_verified_peer_sends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
