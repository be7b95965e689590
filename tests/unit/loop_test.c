/* SPDX-License-Identifier: MIT */
/* loop_test: a loop between its socket, its stores and its user: stores that fail, that confirm later, that are
 * missing; requests that fail at once; and the store map. Two loops in one process exchange over loopback. */
#include <nacre/nacre.h>

#include "io/persist.h"
#include "io/stores.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- A store whose results the test sets ------------------------------------------------------------------------- */

typedef struct fake_store {
    nacre_err says;
    int reserves;
    uint64_t ceiling; /* the last one requested */
} fake_store;

static nacre_err reserve(void *self, uint64_t ceiling, nacre_detail *why)
{
    fake_store *store = self;
    store->reserves++;
    store->ceiling = ceiling;
    if (store->says != NACRE_OK && why != NULL) (void)snprintf(why->text, sizeof why->text, "the disk is full");
    return store->says;
}

static nacre_err window_lost(void *self, nacre_detail *why)
{
    (void)why;
    return ((fake_store *)self)->says;
}

static nacre_err save(void *self, const nacre_context *ctx, nacre_detail *why)
{
    (void)self;
    (void)ctx;
    (void)why;
    return NACRE_OK;
}

static const nacre_store_ops fake_ops = { .size = sizeof fake_ops,
                                          .version = NACRE_STORE_OPS_VERSION,
                                          .reserve = reserve,
                                          .window_lost = window_lost,
                                          .save = save };

/* ---- Two loops --------------------------------------------------------------------------------------------------- */

static const nacre_timing quick = {
    .ack_timeout_ms = 200, .ack_random_factor_milli = 1000, .max_retransmit = 1, .response_timeout_ms = 400
};

typedef struct side {
    nacre_udp *udp;
    nacre_loop *loop;
    nacre_table table;
    nacre_table_slot slots[4];
    nacre_exchange exchange;
    int events, requests, restarts; /* restarts: how often a failed request is made again */
    nacre_event_kind kind;
    nacre_err err;
    nacre_address peer;
    size_t sent;
} side;

static void on_event(void *user, nacre_endpoint *ep, const nacre_event *event)
{
    side *s = user;
    nacre_message plain = { .code = NACRE_CONTENT, .payload = NACRE_STR("yes") };
    assert_int_not_equal(event->kind, NACRE_EVENT_PERSIST); /* the loop handles it */
    if (event->kind == NACRE_EVENT_REQUEST) {
        s->requests++;
        assert_ok(nacre_endpoint_respond(ep, event->exchange, &plain));
        return;
    }
    s->events++;
    s->kind = event->kind;
    s->err = event->err;
    plain.code = NACRE_GET;
    plain.payload = NACRE_ABSENT;
    if (s->restarts > 0) {
        s->restarts--;
        assert_ok(nacre_endpoint_request(ep, &s->exchange, &s->peer, NULL, &plain, NULL));
    }
}

static void count(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes, size_t full_len)
{
    (void)full_len;
    side *s = user;
    (void)peer;
    (void)bytes;
    if (outgoing) s->sent++;
}

static side *open_side(nacre_context *served)
{
    side *s = test_alloc(sizeof *s);
    nacre_address local;
    *s = (side){ 0 };
    assert_ok(nacre_address_resolve(&local, "[::1]:0", 0, NULL));
    assert_ok(nacre_udp_open(&s->udp, &local, NULL));
    assert_ok(nacre_table_init(&s->table, s->slots, 4));
    if (served != NULL) assert_ok(nacre_table_add(&s->table, served));
    nacre_endpoint_config config = {
        .num_client_exchanges = 2, .num_server_exchanges = 4, .burst = 2, .timing = quick
    };
    config.contexts = &s->table;
    config.crypto = *test_crypto();
    assert_ok(nacre_loop_open(&s->loop, s->udp, &config, on_event, s, NULL));
    nacre_loop_tap(s->loop, count, s);
    return s;
}

static void close_side(side *s)
{
    nacre_loop_close(s->loop);
    nacre_udp_close(s->udp);
}

static void send_request(side *s, const nacre_address *peer, nacre_context *context)
{
    nacre_message plain = { .type = NACRE_CON, .code = NACRE_GET };
    s->events = 0;
    s->peer = *peer;
    assert_ok(nacre_endpoint_request(nacre_loop_endpoint(s->loop), &s->exchange, peer, context, &plain, NULL));
}

/* Steps both until the client has its event. */
static void run(side *client, side *server)
{
    uint64_t end = nacre_clock_ms() + 3000;
    while (client->events == 0 && nacre_clock_ms() < end) {
        assert_ok(nacre_loop_step(client->loop, 5, NULL));
        if (server != NULL) assert_ok(nacre_loop_step(server->loop, 5, NULL));
    }
    assert_int_equal(client->events, 1);
}

static nacre_context *persistent(test_end end, uint64_t next)
{
    nacre_context_params params = test_params(1, end);
    params.persistent = true;
    params.next_seq = next;
    return test_context(&params);
}

static void the_store_is_called_before_anything_is_sent(void **state)
{
    (void)state;
    fake_store store = { NACRE_OK, 0, 0 };
    nacre_context *mine = persistent(TEST_CLIENT, 20);
    side *client = open_side(NULL), *server = open_side(test_context_of(1, TEST_SERVER));
    nacre_address peer = nacre_udp_local(server->udp);
    assert_ok(nacre_loop_add_store(client->loop, mine, (nacre_store){ &fake_ops, &store }));
    send_request(client, &peer, mine);
    run(client, server);
    assert_int_equal(client->kind, NACRE_EVENT_RESPONSE);
    assert_int_equal(server->requests, 1);
    assert_true(store.reserves >= 1);
    assert_true(store.ceiling > 20);
    assert_string_equal(nacre_loop_store_failure(client->loop), "");
    close_side(client);
    close_side(server);
}

/* RFC 8613 B.1.1: a number that is not durable is not used. */
static void a_store_that_fails_stops_the_request(void **state)
{
    (void)state;
    fake_store store = { NACRE_ERR_FILE, 0, 0 };
    nacre_context *mine = persistent(TEST_CLIENT, 20);
    side *client = open_side(NULL), *server = open_side(test_context_of(1, TEST_SERVER));
    nacre_address peer = nacre_udp_local(server->udp);
    assert_ok(nacre_loop_add_store(client->loop, mine, (nacre_store){ &fake_ops, &store }));
    send_request(client, &peer, mine);
    run(client, server);
    assert_int_equal(client->kind, NACRE_EVENT_FAILED);
    assert_int_equal(client->err, NACRE_ERR_FILE);
    assert_int_equal(client->sent, 0);
    assert_string_equal(nacre_loop_store_failure(client->loop), "the disk is full");
    store.says = NACRE_OK; /* and succeeds when the store does */
    send_request(client, &peer, mine);
    run(client, server);
    assert_int_equal(client->kind, NACRE_EVENT_RESPONSE);
    close_side(client);
    close_side(server);
}

static void a_context_without_its_store_is_not_used(void **state)
{
    (void)state;
    nacre_context *mine = persistent(TEST_CLIENT, 20);
    fake_store store = { NACRE_OK, 0, 0 };
    side *client = open_side(NULL), *server = open_side(test_context_of(1, TEST_SERVER));
    nacre_address peer = nacre_udp_local(server->udp);
    assert_ok(nacre_loop_add_store(client->loop, mine, (nacre_store){ &fake_ops, &store }));
    nacre_loop_remove_store(client->loop, mine);
    send_request(client, &peer, mine);
    run(client, server);
    assert_int_equal(client->kind, NACRE_EVENT_FAILED);
    assert_int_equal(client->sent, 0);
    assert_int_equal(store.reserves, 0);
    close_side(client);
    close_side(server);
}

/* A store that returns NACRE_ERR_NOT_YET confirms later by itself. */
static void a_store_may_confirm_asynchronously(void **state)
{
    (void)state;
    fake_store store = { NACRE_ERR_NOT_YET, 0, 0 };
    nacre_context *mine = persistent(TEST_CLIENT, 20);
    side *client = open_side(NULL), *server = open_side(test_context_of(1, TEST_SERVER));
    nacre_address peer = nacre_udp_local(server->udp);
    assert_ok(nacre_loop_add_store(client->loop, mine, (nacre_store){ &fake_ops, &store }));
    send_request(client, &peer, mine);
    for (int i = 0; i < 5; i++) assert_ok(nacre_loop_step(client->loop, 5, NULL));
    assert_int_equal(client->sent, 0);
    assert_int_equal(client->events, 0);
    assert_int_equal(store.reserves, 1); /* asked once, not repeatedly */
    nacre_context_confirm_reserved(mine, store.ceiling);
    run(client, server);
    assert_int_equal(client->kind, NACRE_EVENT_RESPONSE);
    close_side(client);
    close_side(server);
}

/* A handler that repeats a request which fails at once does not keep the step from returning. */
static void a_step_returns_although_requests_fail_at_once(void **state)
{
    enum { OFTEN = 1000 };
    (void)state;
    side *client = open_side(NULL);
    nacre_address nowhere;
    assert_ok(nacre_address_resolve(&nowhere, "[::1]:0", 0, NULL)); /* port 0: sendto itself refuses */
    send_request(client, &nowhere, NULL);
    client->restarts = OFTEN;
    int steps = 0;
    for (; client->events <= OFTEN && steps < OFTEN; steps++) assert_ok(nacre_loop_step(client->loop, 1000, NULL));
    assert_int_equal(client->events, OFTEN + 1);
    assert_int_equal(client->err, NACRE_ERR_UNREACHABLE);
    assert_true(steps > 2);
    close_side(client);
}

/* Datagrams beyond one burst wait for the next step, and none is lost. */
static void datagrams_beyond_a_burst_wait_for_the_next_step(void **state)
{
    (void)state;
    nacre_context *mine = test_context_of(1, TEST_CLIENT);
    side *client = open_side(NULL), *server = open_side(test_context_of(1, TEST_SERVER));
    nacre_address peer = nacre_udp_local(server->udp);
    for (int i = 0; i < 40; i++) {
        send_request(client, &peer, mine);
        for (int k = 0; k < 20; k++) assert_ok(nacre_loop_step(client->loop, 0, NULL));
        nacre_endpoint_cancel(nacre_loop_endpoint(client->loop), client->exchange);
    }
    uint64_t end = nacre_clock_ms() + 3000;
    while (server->requests < 40 && nacre_clock_ms() < end) assert_ok(nacre_loop_step(server->loop, 10, NULL));
    assert_int_equal(server->requests, 40);
    close_side(client);
    close_side(server);
}

static void a_step_waits_no_longer_than_its_limit(void **state)
{
    (void)state;
    side *s = open_side(NULL);
    uint64_t start = nacre_clock_ms();
    assert_ok(nacre_loop_step(s->loop, 60, NULL));
    uint64_t took = nacre_clock_ms() - start;
    assert_in_range(took, 55, 2000);
    close_side(s);
}

/* RFC 7252 4.2: the endpoint's timers run without any datagram, though the step may wait much longer. */
static void timers_run_without_datagrams(void **state)
{
    (void)state;
    side *client = open_side(NULL), *silent = open_side(NULL);
    nacre_address peer = nacre_udp_local(silent->udp);
    uint64_t start = nacre_clock_ms();
    send_request(client, &peer, NULL);
    while (client->events == 0) assert_ok(nacre_loop_step(client->loop, 60000, NULL));
    uint64_t took = nacre_clock_ms() - start;
    assert_int_equal(client->err, NACRE_ERR_TIMEOUT);
    assert_int_equal(client->sent, 2);
    assert_in_range(took, 590, 3000); /* 200 + 400 */
    close_side(client);
    close_side(silent);
}

static void invalid_configurations_are_refused(void **state)
{
    (void)state;
    nacre_udp *udp;
    nacre_loop *loop = NULL;
    nacre_detail why = { { 0 } };
    assert_ok(nacre_udp_open(&udp, NULL, NULL));
    nacre_endpoint_config config = { .max_message = 65536, .crypto = *test_crypto() };
    assert_err(nacre_loop_open(&loop, udp, &config, on_event, NULL, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_null(loop);
    assert_true(why.text[0] != '\0');
    config.max_message = 65535;
    assert_ok(nacre_loop_open(&loop, udp, &config, on_event, NULL, &why));
    nacre_loop_close(loop);
    nacre_loop_close(NULL);
    nacre_udp_close(udp);
}

/* ---- The store map against a model ------------------------------------------------------------------------------- */

static void stores_are_found_by_context(void **state)
{
    enum { NUM = 64 };
    static nacre_context contexts[NUM]; /* only their addresses matter */
    static fake_store stores[NUM];
    bool in[NUM] = { false };
    nacre__stores table = { 0 };
    uint64_t seed = 1;
    size_t num = 0;
    (void)state;
    assert_null(nacre__stores_find(&table, &contexts[0]));
    nacre__stores_remove(&table, &contexts[0]);
    for (int step = 0; step < 20000; step++) {
        size_t i = (size_t)(test_random(&seed) % NUM);
        bool put = test_random(&seed) % 2 == 0;
        if (put) {
            assert_ok(nacre__stores_put(&table, &contexts[i], (nacre_store){ &fake_ops, &stores[i] }));
            if (test_random(&seed) % 4 == 0 && !in[i]) {
                nacre__stores_find(&table, &contexts[i])->waiting = true;
                table.num_waiting++;
            }
        } else {
            nacre__stores_remove(&table, &contexts[i]);
        }
        num = num + (put && !in[i]) - (!put && in[i]);
        in[i] = put;
        assert_int_equal(table.num, num);
        size_t waiting = 0;
        for (size_t k = 0; k < NUM; k++) {
            const nacre__store_entry *entry = nacre__stores_find(&table, &contexts[k]);
            assert_int_equal(entry != NULL, in[k]);
            if (entry != NULL) assert_ptr_equal(entry->store.self, &stores[k]);
            waiting += entry != NULL && entry->waiting;
        }
        assert_int_equal(table.num_waiting, waiting);
    }
    nacre__stores_free(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_store_is_called_before_anything_is_sent),
        TEST(a_store_that_fails_stops_the_request),
        TEST(a_context_without_its_store_is_not_used),
        TEST(a_store_may_confirm_asynchronously),
        TEST(a_step_returns_although_requests_fail_at_once),
        TEST(datagrams_beyond_a_burst_wait_for_the_next_step),
        TEST(a_step_waits_no_longer_than_its_limit),
        TEST(timers_run_without_datagrams),
        TEST(invalid_configurations_are_refused),
        TEST(stores_are_found_by_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
