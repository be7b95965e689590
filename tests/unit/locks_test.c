/* SPDX-License-Identifier: MIT */
/* locks_test: threads that lock the contexts of overlapping bursts never deadlock, and a locked context is used by one
 * thread only. */
#include "io/server/locks.h"
#include "support.h"

enum { CONTEXTS = 40, THREADS = 4, ROUNDS = 20000, MOST = 12 };

static nacre__locks locks;
static nacre_context contexts[CONTEXTS];
static unsigned counters[CONTEXTS]; /* touched under the lock only */

static void *count(void *arg)
{
    uint64_t seed = *(const uint64_t *)arg;
    for (int round = 0; round < ROUNDS; round++) {
        nacre_context *burst[MOST];
        size_t which[MOST];
        const size_t num = (size_t)(test_random(&seed) % (MOST + 1)); /* an empty burst is allowed */
        for (size_t i = 0; i < num; i++) burst[i] = &contexts[which[i] = (size_t)(test_random(&seed) % CONTEXTS)];
        nacre__locks_take(&locks, burst, num);
        for (size_t i = 0; i < num; i++) counters[which[i]]++;
        nacre__locks_give(&locks, burst, num);
    }
    return NULL;
}

static void overlapping_bursts_do_not_deadlock(void **state)
{
    pthread_t threads[THREADS];
    uint64_t seeds[THREADS];
    (void)state;
    assert_ok(nacre__locks_init(&locks));
    for (size_t i = 0; i < THREADS; i++) {
        seeds[i] = 1000 + i;
        assert_int_equal(pthread_create(&threads[i], NULL, count, &seeds[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    nacre__locks_destroy(&locks);

    unsigned expected[CONTEXTS] = { 0 };
    for (size_t t = 0; t < THREADS; t++) {
        uint64_t seed = 1000 + t;
        for (int round = 0; round < ROUNDS; round++) {
            const size_t num = (size_t)(test_random(&seed) % (MOST + 1));
            for (size_t i = 0; i < num; i++) expected[test_random(&seed) % CONTEXTS]++;
        }
    }
    for (size_t i = 0; i < CONTEXTS; i++) assert_int_equal(counters[i], expected[i]);
}

/* A context that occurs twice in a burst is locked once, and is then held. */
static void a_context_twice_in_a_burst_is_locked_once(void **state)
{
    nacre_context *twice[] = { &contexts[0], &contexts[0] };
    (void)state;
    assert_ok(nacre__locks_init(&locks));
    nacre__locks_take(&locks, twice, 2);
    size_t held = 0;
    for (size_t i = 0; i < NACRE__STRIPES; i++) {
        if (pthread_mutex_trylock(&locks.stripes[i]) != 0) held++;
        else assert_int_equal(pthread_mutex_unlock(&locks.stripes[i]), 0);
    }
    assert_int_equal(held, 1);
    nacre__locks_give(&locks, twice, 2);
    for (size_t i = 0; i < NACRE__STRIPES; i++) {
        assert_int_equal(pthread_mutex_trylock(&locks.stripes[i]), 0);
        assert_int_equal(pthread_mutex_unlock(&locks.stripes[i]), 0);
    }
    nacre__locks_destroy(&locks);
}

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(overlapping_bursts_do_not_deadlock),
                                        TEST(a_context_twice_in_a_burst_is_locked_once) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
