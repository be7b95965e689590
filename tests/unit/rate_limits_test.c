/* SPDX-License-Identifier: MIT */
/* rate_limits_test: how many challenges are sent (RFC 8613 B.1.2), and how many RST are acted on (RFC 7252 11.4),
 * without an endpoint. */
#include "endpoint/admission/rate_limits.h"
#include "endpoint/admission/reset_belief.h"
#include "layers.h"

typedef struct world {
    uint64_t chance;
    nacre__core core;
    nacre__rate_limits limits;
    nacre__reset_belief resets;
    nacre_context contexts[64];
    void *memory;
} world;

static world *world_open(void)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->core = layer_core(&w->chance);
    w->core.config.admission.challenges_per_second = 128;
    w->core.config.admission.context_challenges_per_second = 4;
    nacre__pool_layout plan = { 0 };
    nacre__rate_limits_lay_out(&w->limits, &plan);
    w->memory = calloc(1, plan.at);
    assert_non_null(w->memory);
    nacre__rate_limits_lay_out(&w->limits, &(nacre__pool_layout){ .base = w->memory });
    w->limits.core = w->resets.core = &w->core;
    return w;
}

static void world_close(world *w)
{
    free(w->memory);
    free(w);
}

static unsigned taken(world *w, const nacre_context *context, unsigned tries)
{
    unsigned num = 0;
    for (unsigned i = 0; i < tries; i++) num += nacre__challenge_take(&w->limits, context);
    return num;
}

static void context_has_its_burst_and_then_its_rate(void **state)
{
    (void)state;
    world *w = world_open();
    w->core.now_ms = 100000;
    assert_int_equal(taken(w, &w->contexts[0], 1000), 4 * 4 + 1);
    for (int second = 0; second < 10; second++) {
        w->core.now_ms += 1000;
        assert_int_equal(taken(w, &w->contexts[0], 1000), 4);
    }
    world_close(w);
}

static void all_contexts_together_have_one_rate(void **state)
{
    (void)state;
    world *w = world_open();
    unsigned num = 0;
    w->core.now_ms = 100000;
    for (size_t i = 0; i < COUNT(w->contexts); i++) num += taken(w, &w->contexts[i], 100);
    assert_int_equal(num, 4 * 128 + 1);
    w->core.now_ms += 1000;
    num = 0;
    for (size_t i = 0; i < COUNT(w->contexts); i++) num += taken(w, &w->contexts[i], 100);
    assert_in_range(num, 127, 128);
    world_close(w);
}

/* The largest times do not wrap, which would end the limit. */
static void bucket_stays_a_limit_at_the_end_of_time(void **state)
{
    (void)state;
    nacre__token_bucket bucket = 0;
    unsigned num = 0;
    for (int i = 0; i < 1000; i++) num += nacre__token_take(&bucket, UINT64_MAX - 1, 10);
    assert_int_equal(num, 41);
}

static void reset_is_accepted_until_five_matched_nothing(void **state)
{
    (void)state;
    world *w = world_open();
    const nacre_address one = layer_peer(1), two = layer_peer(2);
    w->core.now_ms = 5000;
    for (int i = 0; i < 4; i++) {
        nacre__reset_unmatched(&w->resets, &one);
        assert_true(nacre__reset_is_believed(&w->resets, &one));
    }
    nacre__reset_unmatched(&w->resets, &one);
    assert_false(nacre__reset_is_believed(&w->resets, &one));
    assert_true(nacre__reset_is_believed(&w->resets, &two));
    w->core.now_ms += 247000 / 4; /* one of them expires */
    assert_true(nacre__reset_is_believed(&w->resets, &one));
    world_close(w);
}

static void resets_expire_in_time(void **state)
{
    (void)state;
    world *w = world_open();
    const nacre_address peer = layer_peer(1);
    for (int i = 0; i < 100000; i++) nacre__reset_unmatched(&w->resets, &peer);
    assert_false(nacre__reset_is_believed(&w->resets, &peer));
    w->core.now_ms += 247000 / 4;
    assert_true(nacre__reset_is_believed(&w->resets, &peer));
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_has_its_burst_and_then_its_rate),
        cmocka_unit_test(all_contexts_together_have_one_rate),
        cmocka_unit_test(bucket_stays_a_limit_at_the_end_of_time),
        cmocka_unit_test(reset_is_accepted_until_five_matched_nothing),
        cmocka_unit_test(resets_expire_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
