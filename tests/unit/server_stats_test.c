/* SPDX-License-Identifier: MIT */
/* server_stats_test: the figures of a server, taken by another thread while it runs. Also for ThreadSanitizer. */
#include "pair.h"
#include "support.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- A server in a thread ----------------------------------------------------------------------------------------------- */

typedef struct fixture {
    pair pair;
    nacre_server *server;
    pthread_t thread;
    char uri[104], slow[104], tcp[104];
} fixture;

static atomic_int must_wait; /* /slow waits while it is set */

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    if (request->message->code == NACRE_GET) nacre_response_text(response, NACRE_CONTENT, "Hello World!");
    else response->code = NACRE_CHANGED;
}

static void slow(void *user, const nacre_request *request, nacre_response *response)
{
    hello(user, request, response);
    while (atomic_load(&must_wait)) (void)poll(NULL, 0, 1);
}

static void *run(void *arg)
{
    nacre_detail why = { { 0 } };
    if (nacre_server_run(arg, &why) != NACRE_OK) (void)fprintf(stderr, "server_stats_test: %s\n", why.text);
    return NULL;
}

static int set_up(void **state)
{
    static const nacre_resource resources[] = {
        { .path = "/hello", .handler = hello, .flags = NACRE_RESOURCE_OBSERVABLE }, { .path = "/slow", .handler = slow }
    };
    fixture *f = calloc(1, sizeof *f);
    nacre_detail why = { { 0 } };
    char local[72];
    if (f == NULL) return -1;
    pair_make(&f->pair);
    assert_int_equal(nacre_server_open_workers(&f->server, "127.0.0.1:0", 2, &why), NACRE_OK);
    assert_int_equal(nacre_server_listen_tcp(f->server, "127.0.0.1:0", &why), NACRE_OK);
    assert_int_equal(nacre_server_add_context(f->server, f->pair.server, &why), NACRE_OK);
    for (size_t i = 0; i < COUNT(resources); i++)
        assert_int_equal(nacre_server_add_resource(f->server, &resources[i]), NACRE_OK);
    nacre_address address = nacre_server_local(f->server);
    nacre_address_text(&address, local);
    (void)snprintf(f->uri, sizeof f->uri, "coap://%s/hello", local);
    (void)snprintf(f->slow, sizeof f->slow, "coap://%s/slow", local);
    address = nacre_server_local_tcp(f->server);
    nacre_address_text(&address, local);
    (void)snprintf(f->tcp, sizeof f->tcp, "coap+tcp://%s/hello", local);
    assert_int_equal(pthread_create(&f->thread, NULL, run, f->server), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    nacre_detail why = { { 0 } };
    atomic_store(&must_wait, 0);
    nacre_server_stop(f->server);
    (void)pthread_join(f->thread, NULL);
    assert_int_equal(nacre_server_close(f->server, &why), NACRE_OK);
    pair_remove(&f->pair);
    free(f);
    return 0;
}

static nacre_server_stats stats_of(const fixture *f)
{
    nacre_server_stats stats;
    nacre_server_get_stats(f->server, &stats, sizeof stats);
    return stats;
}

static uint64_t writes(const nacre_server_stats *stats, nacre_store_write what)
{
    uint64_t all = 0;
    for (size_t i = 0; i < NACRE_STORE_TIME_BUCKETS; i++) all += stats->store_times[what].buckets[i];
    return all;
}

/* Gauges are as of when a worker last waited: a moment after its last response. */
#define COMES(f, condition)                                                                                            \
    do {                                                                                                               \
        nacre_server_stats now = stats_of(f);                                                                          \
        for (int wait = 0; wait < 5000 && !(condition); wait++) {                                                      \
            (void)poll(NULL, 0, 1);                                                                                    \
            now = stats_of(f);                                                                                         \
        }                                                                                                              \
        if (!(condition)) fail_msg("never: %s", #condition);                                                           \
    } while (0)

/* ---- Tests -------------------------------------------------------------------------------------------------------------- */

static void requests_of_all_workers_are_added_up(void **state)
{
    const fixture *f = *state;
    nacre_client *client = pair_open_with(f->pair.client);
    for (int i = 0; i < 5; i++) pair_expect(client, f->uri, "Hello World!");
    pair_close(client);
    const nacre_server_stats s = stats_of(f);
    assert_int_equal(s.workers, 2);
    assert_int_equal(s.endpoint.requests, 5); /* one that was challenged (RFC 8613 B.1.2) is not accepted */
    assert_int_equal(s.endpoint.protected_requests, 5);
    assert_int_equal(s.endpoint.responded[NACRE_UNAUTHORIZED], s.endpoint.echo_challenges);
    assert_int_equal(s.endpoint.echo_proofs, s.endpoint.echo_challenges);
    assert_int_equal(s.endpoint.responded[NACRE_CONTENT], 5);
    assert_int_equal(s.contexts, 1);
}

static void stores_are_timed_by_what_they_write(void **state)
{
    const fixture *f = *state;
    nacre_client *client = pair_open_with(f->pair.client);
    pair_expect(client, f->uri, "Hello World!");
    pair_close(client);
    const nacre_server_stats s = stats_of(f);
    assert_true(writes(&s, NACRE_STORE_WINDOW) >= 1); /* RFC 8613 B.1.2: before the first request is accepted */
    assert_true(s.store_times[NACRE_STORE_WINDOW].sum_us > 0);
    assert_int_equal(writes(&s, NACRE_STORE_SAVE), 0);
    assert_int_equal(s.store_health.num_failing, 0);
}

static void limits_of_store_times_ascend_and_the_last_has_none(void **state)
{
    (void)state;
    for (size_t i = 1; i < NACRE_STORE_TIME_BUCKETS; i++)
        assert_true(nacre_store_time_limit_us(i) > nacre_store_time_limit_us(i - 1));
    assert_true(nacre_store_time_limit_us(NACRE_STORE_TIME_BUCKETS - 1) == UINT64_MAX);
}

static void *get_slow(void *arg)
{
    const fixture *f = arg;
    nacre_client_options options = { .context_dir = f->pair.client, .timeout_ms = 20000 };
    nacre_client *client = pair_open(&options);
    pair_expect(client, f->slow, "Hello World!");
    pair_close(client);
    return NULL;
}

/* What /healthz is made of. */
static void a_worker_that_hangs_is_seen_and_one_that_waits_is_not(void **state)
{
    fixture *f = *state;
    pthread_t thread;
    (void)poll(NULL, 0, 300);
    assert_true(stats_of(f).busy_ms < 200); /* idle for 300 ms */
    atomic_store(&must_wait, 1);
    assert_int_equal(pthread_create(&thread, NULL, get_slow, f), 0);
    COMES(f, now.busy_ms >= 250);
    atomic_store(&must_wait, 0);
    (void)pthread_join(thread, NULL);
    COMES(f, now.busy_ms < 200);
}

static void connections_are_counted_while_they_last(void **state)
{
    const fixture *f = *state;
    COMES(f, now.connections == 0);
    nacre_client *client = pair_open_with(f->pair.client);
    pair_expect(client, f->tcp, "Hello World!");
    COMES(f, now.connections == 1);
    pair_close(client);
    COMES(f, now.connections == 0);
}

static void contexts_are_counted_when_they_come_and_go(void **state)
{
    const fixture *f = *state;
    nacre_detail why = { { 0 } };
    char other[400];
    assert_int_equal(stats_of(f).contexts, 1);
    pair_more(&f->pair, "other_client", "other_server");
    (void)snprintf(other, sizeof other, "%s", scratch_path(f->pair.dir, "other_server"));
    assert_int_equal(nacre_server_add_context(f->server, other, &why), NACRE_OK);
    assert_int_equal(stats_of(f).contexts, 2);
    assert_int_equal(nacre_server_remove_context(f->server, other, &why), NACRE_OK);
    COMES(f, now.contexts == 1);
}

static void a_program_with_a_shorter_struct_gets_its_part(void **state)
{
    const fixture *f = *state;
    union {
        nacre_server_stats stats;
        uint8_t bytes[sizeof(nacre_server_stats) + 64];
    } u;
    const size_t part = offsetof(nacre_server_stats, store_times);
    memset(&u, 0xa5, sizeof u);
    nacre_server_get_stats(f->server, &u.stats, part);
    for (size_t i = part; i < sizeof u; i++) assert_int_equal(u.bytes[i], 0xa5);
    nacre_server_get_stats(f->server, &u.stats, sizeof u); /* a program with a later header */
    for (size_t i = sizeof(nacre_server_stats); i < sizeof u; i++) assert_int_equal(u.bytes[i], 0);
}

/* Counters only rise, and are never seen half-written, while two workers count. */
static void counters_rise_while_they_are_read(void **state)
{
    const fixture *f = *state;
    nacre_client *client = pair_open_with(f->pair.client);
    nacre_server_stats before = stats_of(f);
    for (int i = 0; i < 200; i++) {
        pair_expect(client, f->uri, "Hello World!");
        const nacre_server_stats s = stats_of(f);
        assert_true(s.endpoint.received > before.endpoint.received &&
                    s.endpoint.received < before.endpoint.received + 10);
        assert_true(s.endpoint.requests > before.endpoint.requests);
        before = s;
    }
    pair_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_of_all_workers_are_added_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stores_are_timed_by_what_they_write, set_up, tear_down),
        cmocka_unit_test(limits_of_store_times_ascend_and_the_last_has_none),
        cmocka_unit_test_setup_teardown(a_worker_that_hangs_is_seen_and_one_that_waits_is_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_are_counted_while_they_last, set_up, tear_down),
        cmocka_unit_test_setup_teardown(contexts_are_counted_when_they_come_and_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_program_with_a_shorter_struct_gets_its_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counters_rise_while_they_are_read, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
