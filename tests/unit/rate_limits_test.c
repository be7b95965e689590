/* SPDX-License-Identifier: MIT */
/* rate_limits_test: how much is done for unverified requests (RFC 8613 B.1.2, B.2), and how many RST are acted on (RFC 7252
 * 11.4), without an endpoint. */
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

/* Addresses are {network, host, port}. */
static nacre_bytes part(void *self, const nacre_address *peer, bool network)
{
    (void)self;
    return nacre_bytes_of(peer->bytes, network ? 2 : 4);
}

static nacre_address address(unsigned network, unsigned host, unsigned port)
{
    const unsigned words[] = { network, host, port };
    nacre_address a = { .len = 6 };
    for (int i = 0; i < 6; i++) a.bytes[i] = (uint8_t)(words[i / 2] >> 8 * (i % 2));
    return a;
}

static world *world_open(void)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->core = layer_core(&w->chance);
    w->core.config.admission.challenges_per_second = 128;
    w->core.config.admission.context_challenges_per_second = 4;
    w->core.config.admission.source_per_second = 1;
    w->core.config.admission.origin.part = part;
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

enum { SOURCE_BURST = 3 * 5, ROUNDS = 1000 }; /* a bucket of one a second has five at once; three rows */

/* Tokens that `num` hosts of each of `networks` get in `ms`, each of them trying `per_second` times a second. */
static unsigned flood(world *w, unsigned networks, unsigned hosts, unsigned per_second, uint64_t ms)
{
    unsigned num = 0;
    const uint64_t end = w->core.now_ms + ms;
    for (; w->core.now_ms < end; w->core.now_ms += 1000 / per_second)
        for (unsigned i = 0; i < networks * hosts; i++) {
            const nacre_address peer = address(1 + i / hosts, 1 + i % hosts, (unsigned)w->core.now_ms);
            num += nacre__source_take(&w->limits, &peer);
        }
    return num;
}

static void source_has_its_burst_and_then_its_rate_on_all_ports_together(void **state)
{
    (void)state;
    world *w = world_open();
    w->core.now_ms = 1000;
    assert_in_range(flood(w, 1, 1, 1000, 1000), SOURCE_BURST, SOURCE_BURST + 3);
    assert_in_range(flood(w, 1, 1, 1000, 10000), 29, 31);
    world_close(w);
}

static void flood_from_one_host_takes_nothing_from_another_of_its_network(void **state)
{
    (void)state;
    world *w = world_open();
    w->core.now_ms = 1000;
    (void)flood(w, 1, 1, 500, 20000);
    const nacre_address honest = address(1, 2, 3);
    for (int i = 0; i < 5; i++) assert_true(nacre__source_take(&w->limits, &honest));
    world_close(w);
}

static void flood_from_one_network_takes_nothing_from_another(void **state)
{
    (void)state;
    world *w = world_open();
    w->core.now_ms = 1000;
    (void)flood(w, 1, 4000, 1, 10000);
    const nacre_address honest = address(2, 1, 3);
    for (int i = 0; i < 5; i++) assert_true(nacre__source_take(&w->limits, &honest));
    world_close(w);
}

/* Two of the three buckets of an honest network are among those of 64 others with probability 1/8 squared; the host's is
 * taken, because each network has many hosts. */
static void floods_from_64_networks_leave_nearly_every_other_network_its_share(void **state)
{
    (void)state;
    unsigned served = 0;
    for (unsigned i = 0; i < 100; i++) {
        world *w = world_open();
        layer_random(&w->chance, w->core.hash_key, sizeof w->core.hash_key);
        w->core.hash_key[0] = (uint8_t)i;
        w->core.now_ms = 1000;
        (void)flood(w, 64, 64, 2, 4000);
        const nacre_address honest = address(100, 1, 3);
        served += nacre__source_take(&w->limits, &honest);
        world_close(w);
    }
    assert_in_range(served, 94, 100);
}

static void tokens_are_refused_at_random_when_few_are_left(void **state)
{
    (void)state;
    world *w = world_open();
    unsigned honest = 0, others = 0;
    nacre__token_bucket bucket = 0;
    w->core.config.random.fill = NULL; /* a call of the system for each message would help the flood */
    for (unsigned i = 0; i < 8 * ROUNDS;
         i++) { /* eight a second, and an honest one after each eighth, in step with them */
        w->core.now_ms += 125;
        others += nacre__token_take(&w->limits, &bucket, 4);
        if (i % 8 == 0) honest += nacre__token_take(&w->limits, &bucket, 4);
    }
    assert_in_range(honest, ROUNDS * 38 / 100, ROUNDS * 52 / 100); /* four for nine */
    assert_in_range(honest + others, 4 * ROUNDS - 20, 4 * ROUNDS + 20);
    world_close(w);
}

static void repeated_challenges_have_the_rate_of_their_context_and_of_their_source(void **state)
{
    (void)state;
    world *w = world_open();
    unsigned of_one = 0, of_all = 0;
    for (unsigned i = 0; i < 8 * ROUNDS; i++) {
        const nacre_address one = address(1, 1, i), other = address(i, i, i);
        w->core.now_ms += 125;
        of_one += nacre__challenge_take(&w->limits, &w->contexts[0], &one, true);
        of_all += nacre__challenge_take(&w->limits, &w->contexts[1], &other, true);
    }
    assert_in_range(of_one, 3 * ROUNDS - 100, 3 * ROUNDS + 200);
    assert_in_range(of_all, 4 * ROUNDS - 100, 4 * ROUNDS + 50);
    world_close(w);
}

static void repeated_challenges_take_nothing_from_first_ones(void **state)
{
    (void)state;
    world *w = world_open();
    const nacre_address peer = address(1, 1, 1);
    w->core.now_ms = 1000;
    for (unsigned i = 0; i < ROUNDS; i++) {
        const nacre_address any = address(i, i, i);
        (void)nacre__challenge_take(&w->limits, &w->contexts[0], &any, true);
    }
    for (int i = 0; i < 256; i++) assert_true(nacre__challenge_take(&w->limits, &w->contexts[0], &peer, false));
    world_close(w);
}

static void derivations_of_a_flooded_source_fall_back_on_the_rates_of_their_peer_and_of_all(void **state)
{
    (void)state;
    world *w = world_open();
    const nacre_address peer = address(1, 1, 1);
    nacre__token_bucket of_peer = 0;
    unsigned num = 0;
    for (unsigned i = 0; i < 200 * 100; i++) {
        w->core.now_ms += 5;
        num += nacre__derivation_take(&w->limits, &peer, &of_peer);
    }
    assert_in_range(num, 100 * (3 + 4 + 128) - 100, 100 * (3 + 4 + 128) + 600);
    world_close(w);
}

/* The largest times do not wrap, which would end the limit. */
static void bucket_stays_a_limit_at_the_end_of_time(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__token_bucket bucket = 0;
    unsigned num = 0;
    w->core.now_ms = UINT64_MAX - 1;
    for (int i = 0; i < 1000; i++) num += nacre__token_take(&w->limits, &bucket, 10);
    assert_in_range(num, 21, 41);
    world_close(w);
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
        cmocka_unit_test(source_has_its_burst_and_then_its_rate_on_all_ports_together),
        cmocka_unit_test(flood_from_one_host_takes_nothing_from_another_of_its_network),
        cmocka_unit_test(flood_from_one_network_takes_nothing_from_another),
        cmocka_unit_test(floods_from_64_networks_leave_nearly_every_other_network_its_share),
        cmocka_unit_test(tokens_are_refused_at_random_when_few_are_left),
        cmocka_unit_test(repeated_challenges_have_the_rate_of_their_context_and_of_their_source),
        cmocka_unit_test(repeated_challenges_take_nothing_from_first_ones),
        cmocka_unit_test(derivations_of_a_flooded_source_fall_back_on_the_rates_of_their_peer_and_of_all),
        cmocka_unit_test(bucket_stays_a_limit_at_the_end_of_time),
        cmocka_unit_test(reset_is_accepted_until_five_matched_nothing),
        cmocka_unit_test(resets_expire_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
