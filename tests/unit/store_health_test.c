/* SPDX-License-Identifier: MIT */
/* store_health_test: a failing store is reported when it starts and stops failing, with its text, its context and the
 * number of failing ones: by loops, by clients and servers with one thread and several, for stores that fail at once
 * and later. */
#include <nacre/nacre.h>

#include "endpoint/endpoint_driver.h"
#include "io/persist.h"
#include "support.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

/* ---- Reports ----------------------------------------------------------------------------------------------------- */

static struct {
    atomic_uint begun, still, ended;
    const nacre_context *context;
    nacre_err err;
    size_t num_failing;
    char text[512], claim[64];
} told;

static void on_store(void *user, const nacre_store_report *report)
{
    assert_ptr_equal(user, &told);
    told.context = report->context;
    told.num_failing = report->num_failing;
    (void)snprintf(told.claim, sizeof told.claim, "%s", report->claims != NULL ? report->claims[0] : "");
    if (report->state != NACRE_STORE_WORKS) {
        told.err = report->err;
        (void)snprintf(told.text, sizeof told.text, "%s", report->text);
    } else {
        assert_int_equal(report->err, NACRE_OK);
        assert_string_equal(report->text, "");
    }
    atomic_fetch_add(report->state == NACRE_STORE_FAILS   ? &told.begun
                     : report->state == NACRE_STORE_WORKS ? &told.ended
                                                          : &told.still,
                     1);
}

static void expect_told(unsigned begun, unsigned ended, size_t num_failing)
{
    assert_int_equal(atomic_load(&told.begun), begun);
    assert_int_equal(atomic_load(&told.ended), ended);
    assert_int_equal(told.num_failing, num_failing);
}

/* ---- The table --------------------------------------------------------------------------------------------------- */

static void each_of_ten_thousand_contexts_begins_and_ends_once(void **state)
{
    (void)state;
    enum { NUM = 10000 };
    static nacre_context contexts[NUM];
    static const nacre_detail why = { "no room" };
    nacre__store_health h;
    memset(&told, 0, sizeof told);
    assert_ok(nacre__store_health_init(&h));
    nacre__store_health_watch(&h, on_store, &told);
    for (int again = 0; again < 3; again++)
        for (size_t i = 0; i < NUM; i++) nacre__failed(&h, &contexts[i], &h, NACRE_ERR_FILE, &why);
    expect_told(NUM, 0, NUM);
    assert_true(atomic_load(&told.still) < 100); /* one report in five seconds, however often it is retried */
    assert_int_equal(nacre__store_health_get(&h).num_failures, 3 * NUM);
    assert_string_equal(told.text, "no room");
    size_t at = 0, num = 0;
    while (nacre__store_next_failing(&h, &h, &at) != NULL) num++;
    assert_int_equal(num, NUM);
    at = 0;
    assert_null(nacre__store_next_failing(&h, &why, &at)); /* found by another thread */
    nacre__store_forget(&h, &contexts[7]);
    assert_false(nacre__store_worked(&h, &contexts[7]));
    for (size_t i = 0; i < NUM; i++)
        if (i != 7) assert_true(nacre__store_worked(&h, &contexts[i]));
    expect_told(NUM, NUM - 1, 0);
    assert_int_equal(nacre__store_health_get(&h).num_failing, 0);
    nacre__store_health_free(&h);
}

/* ---- A loop's stores --------------------------------------------------------------------------------------------- */

typedef struct looped {
    nacre_crypto crypto;
    void *memory;
    nacre_endpoint *ep;
    nacre__persist persist;
    nacre__store_health health;
    nacre_context *ctx;
    nacre_memory memory_store;
} looped;

static void fill(void *self, uint8_t *out, size_t len)
{
    (void)self;
    memset(out, 7, len);
}

static nacre_context *persistent(void)
{
    nacre_context_params params = test_params(1, TEST_CLIENT);
    params.persistent = true;
    params.next_seq = 20;
    return test_context(&params);
}

static looped *open_loop(nacre_err result)
{
    looped *l = test_alloc(sizeof *l);
    memset(l, 0, sizeof *l);
    memset(&told, 0, sizeof told);
    l->crypto = *test_crypto();
    const nacre_endpoint_config config = { .crypto = l->crypto, .random = { fill, NULL } };
    const size_t size = nacre_endpoint_size(&config);
    l->memory = malloc(size);
    assert_ok(nacre_endpoint_init(&l->ep, l->memory, size, &config));
    assert_ok(nacre__store_health_init(&l->health));
    nacre__store_health_watch(&l->health, on_store, &told);
    l->persist.health = &l->health;
    nacre__endpoint_on_confirmed(l->ep, nacre__persist_on_confirmed, &l->persist);
    l->ctx = persistent();
    l->memory_store.result = result;
    assert_ok(nacre__stores_put(&l->persist.stores, l->ctx, nacre_memory_store(&l->memory_store)));
    return l;
}

static void close_loop(looped *l)
{
    nacre__persist_free(&l->persist);
    nacre__store_health_free(&l->health);
    nacre_endpoint_wipe(l->ep);
    free(l->memory);
}

static void a_store_that_fails_is_tried_again_without_a_request(void **state)
{
    (void)state;
    looped *l = open_loop(NACRE_ERR_FILE);
    nacre__persist_serve(&l->persist, l->ep, l->ctx);
    expect_told(1, 0, 1);
    assert_ptr_equal(told.context, l->ctx);
    assert_err(told.err, NACRE_ERR_FILE);
    assert_string_equal(told.text, "memory store: told to answer NACRE_ERR_FILE");
    const uint64_t due = nacre__persist_deadline(&l->persist);
    assert_true(due > nacre_clock_ms() && due <= nacre_clock_ms() + 5000);
    nacre__persist_retry(&l->persist, l->ep, due - 1); /* not due yet */
    assert_int_equal(l->memory_store.num_reserve, 1);
    nacre__persist_retry(&l->persist, l->ep, due);
    assert_int_equal(l->memory_store.num_reserve, 2);
    expect_told(1, 0, 1);
    l->memory_store.result = NACRE_OK;
    nacre__persist_retry(&l->persist, l->ep, nacre__persist_deadline(&l->persist));
    while (nacre__store_health_get(&l->health).num_failing > 0)
        nacre__persist_retry(&l->persist, l->ep, nacre__persist_deadline(&l->persist));
    expect_told(1, 1, 0);
    assert_false(nacre_context_needs(l->ctx).blocked);
    assert_int_equal(nacre__persist_deadline(&l->persist), UINT64_MAX);
    close_loop(l);
}

/* A context whose store works again makes the others retry at once, because they probably share its disk. */
static void a_store_that_works_again_makes_the_others_retry(void **state)
{
    (void)state;
    enum { NUM = 40 };
    looped *l = open_loop(NACRE_ERR_FILE);
    for (int i = 0; i < NUM; i++) {
        nacre_context *ctx = persistent();
        assert_ok(nacre__stores_put(&l->persist.stores, ctx, nacre_memory_store(&l->memory_store)));
        nacre__persist_serve(&l->persist, l->ep, ctx);
    }
    nacre__persist_serve(&l->persist, l->ep, l->ctx);
    expect_told(NUM + 1, 0, NUM + 1);
    const unsigned before = l->memory_store.num_reserve;
    nacre__persist_retry(&l->persist, l->ep, nacre__persist_deadline(&l->persist));
    assert_int_equal(l->memory_store.num_reserve, before + 1); /* the first failure ends the round */
    l->memory_store.result = NACRE_OK;
    nacre__persist_serve(&l->persist, l->ep, l->ctx);
    for (int round = 0; round < NUM; round++) nacre__persist_retry(&l->persist, l->ep, nacre_clock_ms());
    expect_told(NUM + 1, NUM + 1, 0);
    close_loop(l);
}

static void an_asynchronous_failure_is_reported_too(void **state)
{
    (void)state;
    for (int by_endpoint = 0; by_endpoint < 2; by_endpoint++) {
        looped *l = open_loop(NACRE_ERR_NOT_YET);
        nacre__persist_serve(&l->persist, l->ep, l->ctx);
        expect_told(0, 0, 0);
        assert_int_equal(l->persist.stores.num_waiting, 1);
        if (by_endpoint) nacre_endpoint_confirmed(l->ep, l->ctx, NACRE_ERR_FILE);
        else nacre__persist_report_failure(&l->persist, l->ctx, NACRE_ERR_FILE, "the flash is worn out");
        nacre__persist_look(&l->persist, l->ep);
        expect_told(1, 0, 1);
        if (!by_endpoint) assert_string_equal(told.text, "the flash is worn out");
        assert_int_equal(l->persist.stores.num_waiting, 0);
        nacre__persist_serve(&l->persist, l->ep, l->ctx); /* requested again: the earlier failure is cleared */
        nacre__persist_look(&l->persist, l->ep);
        assert_int_equal(l->persist.stores.num_waiting, 1);
        nacre_context_confirm_reserved(l->ctx, l->memory_store.requested);
        nacre__persist_look(&l->persist, l->ep);
        expect_told(1, 1, 0);
        close_loop(l);
    }
}

static void a_removed_context_no_longer_fails(void **state)
{
    (void)state;
    for (int removed = 0; removed < 2; removed++) {
        looped *l = open_loop(NACRE_ERR_FILE);
        nacre__persist_serve(&l->persist, l->ep, l->ctx);
        assert_int_equal(nacre__store_health_get(&l->health).num_failing, 1);
        if (removed) nacre__persist_forget(&l->persist, l->ctx);
        else nacre__persist_on_confirmed(&l->persist, l->ctx, NACRE_ERR_NO_CONTEXT);
        assert_int_equal(nacre__store_health_get(&l->health).num_failing, 0);
        nacre__persist_retry(&l->persist, l->ep, UINT64_MAX - 10000);
        assert_int_equal(l->memory_store.num_reserve, 1);
        close_loop(l);
    }
}

/* ---- Servers and clients ----------------------------------------------------------------------------------------- */

/* A store of the program, for each thread of the server. */
static struct {
    atomic_int result, num_calls;
} program;

static nacre_err return_result(nacre_detail *why)
{
    const nacre_err err = (nacre_err)atomic_load(&program.result);
    atomic_fetch_add(&program.num_calls, 1);
    if (err != NACRE_OK && why != NULL) (void)snprintf(why->text, sizeof why->text, "the database is away");
    return err;
}

static nacre_err reserve(void *self, uint64_t ceiling, nacre_detail *why)
{
    (void)self, (void)ceiling;
    return return_result(why);
}

static nacre_err window_lost(void *self, nacre_detail *why)
{
    (void)self;
    return return_result(why);
}

static nacre_err save(void *self, const nacre_context *ctx, nacre_detail *why)
{
    (void)self, (void)ctx, (void)why;
    return NACRE_OK;
}

static const nacre_store_ops program_ops = { .size = sizeof program_ops,
                                             .version = NACRE_STORE_OPS_VERSION,
                                             .reserve = reserve,
                                             .window_lost = window_lost,
                                             .save = save };

static void *run(void *arg)
{
    (void)!nacre_server_run(arg, NULL);
    return NULL;
}

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    nacre_response_text(response, NACRE_CONTENT, "hello");
}

static nacre_credentials *credentials_of(const char *name, nacre_context *ctx, nacre_store store)
{
    nacre_credentials *made;
    assert_ok(nacre_credentials_new(&made));
    assert_ok(nacre_credentials_set_context(made, name, ctx, store, NULL));
    return made;
}

static void wait_for(const atomic_uint *counter, unsigned num)
{
    const uint64_t end = nacre_clock_ms() + 10000;
    while (atomic_load(counter) < num && nacre_clock_ms() < end) (void)poll(NULL, 0, 5);
    assert_int_equal(atomic_load(counter), num);
}

/* A server whose context's window is stored by the program, so that its first request waits for the store; and a
 * client. */
typedef struct both {
    nacre_crypto crypto;
    nacre_context theirs, ours;
    _Alignas(64) uint8_t keys[2][1024];
    nacre_credentials *names[2];
    nacre_server *server;
    nacre_client *client;
    pthread_t thread, asker;
    nacre_err outcome;
} both;

static void make_contexts(both *b)
{
    static const uint8_t empty[NACRE_REPLAY_DEFAULT / 8];
    nacre_context_params params = test_params(1, TEST_SERVER);
    params.persistent = true;
    assert_ok(nacre_context_init(&b->theirs, &b->crypto, &params, NACRE_BUF(b->keys[0])));
    assert_ok(nacre_context_set_replay(&b->theirs, true, 0, empty, sizeof empty));
    params = test_params(1, TEST_CLIENT);
    assert_ok(nacre_context_init(&b->ours, &b->crypto, &params, NACRE_BUF(b->keys[1])));
    b->names[0] = credentials_of(":alice", &b->theirs, (nacre_store){ &program_ops, NULL });
    b->names[1] = credentials_of("coap://*", &b->ours, (nacre_store){ NULL, NULL });
}

static both *open_both(unsigned workers, nacre_err result)
{
    both *b = aligned_alloc(64, (sizeof(both) + 63) / 64 * 64);
    assert_non_null(b);
    memset(b, 0, sizeof *b);
    memset(&told, 0, sizeof told);
    atomic_store(&program.result, result);
    atomic_store(&program.num_calls, 0);
    assert_ok(nacre_provider_open(&b->crypto));
    make_contexts(b);
    const nacre_client_options options = { .credentials = b->names[1] };
    assert_ok(nacre_server_open_workers(&b->server, "127.0.0.1:0", workers, NULL));
    assert_ok(nacre_server_use_credentials(b->server, b->names[0], NULL));
    assert_ok(nacre_server_add_resource(b->server, &(nacre_resource){ .path = "/hello", .handler = hello }));
    nacre_server_on_store(b->server, on_store, &told);
    assert_int_equal(pthread_create(&b->thread, NULL, run, b->server), 0);
    assert_ok(nacre_client_open(&b->client, &options, NULL));
    return b;
}

static void close_both(both *b)
{
    assert_ok(nacre_client_close(b->client, NULL));
    nacre_server_stop(b->server);
    assert_int_equal(pthread_join(b->thread, NULL), 0);
    assert_ok(nacre_server_close(b->server, NULL));
    for (int i = 0; i < 2; i++) nacre_credentials_free(b->names[i]);
    nacre_context_wipe(&b->theirs);
    nacre_context_wipe(&b->ours);
    nacre_provider_close(&b->crypto);
    free(b);
}

/* The outcome of one request: NACRE_OK for a response. */
static void *serve_one(void *arg)
{
    both *b = arg;
    char local[72], uri[96];
    const nacre_address address = nacre_server_local(b->server);
    nacre_reply reply;
    nacre_address_text(&address, local);
    (void)snprintf(uri, sizeof uri, "coap://%s/hello", local);
    b->outcome = nacre_client_request(b->client, &reply, NACRE_GET, uri, NULL, NACRE_ABSENT, NULL);
    return NULL;
}

static void expect_told_of_alice(const both *b, const char *text)
{
    wait_for(&told.begun, 1);
    assert_string_equal(told.text, text);
    assert_string_equal(told.claim, ":alice");
    assert_ptr_equal(told.context, &b->theirs);
    assert_int_equal(nacre_server_store_health(b->server).num_failing, 1);
    assert_true(nacre_server_store_health(b->server).num_failures >= 1);
}

static void a_server_reports_the_names_of_the_context(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers += 2) {
        both *b = open_both(workers, NACRE_ERR_FILE);
        (void)serve_one(b);
        assert_err(b->outcome, NACRE_ERR_UNAUTHENTICATED); /* 5.03 in clear: it was not accepted */
        expect_told_of_alice(b, "the database is away");
        atomic_store(&program.result, NACRE_OK);
        (void)serve_one(b);
        assert_ok(b->outcome);
        wait_for(&told.ended, 1);
        assert_int_equal(nacre_server_store_health(b->server).num_failing, 0);
        close_both(b);
    }
}

/* The store announced a later result, and another thread reports that it failed. */
static void any_thread_may_report_a_failure(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers += 2) {
        both *b = open_both(workers, NACRE_ERR_NOT_YET);
        assert_int_equal(pthread_create(&b->asker, NULL, serve_one, b), 0);
        const uint64_t end = nacre_clock_ms() + 10000;
        while (atomic_load(&program.num_calls) == 0 && nacre_clock_ms() < end) (void)poll(NULL, 0, 5);
        (void)poll(NULL, 0, 50); /* the request is waiting */
        nacre_server_store_failed(b->server, &b->theirs, NACRE_ERR_FILE, "the database went away");
        assert_int_equal(pthread_join(b->asker, NULL), 0);
        assert_err(b->outcome, NACRE_ERR_UNAUTHENTICATED);
        expect_told_of_alice(b, "the database went away");
        atomic_store(&program.result, NACRE_OK);
        (void)serve_one(b);
        assert_ok(b->outcome);
        wait_for(&told.ended, 1);
        close_both(b);
    }
}

/* A client's own store fails: nothing is sent, and it is reported too. */
static void a_client_reports_its_store(void **state)
{
    (void)state;
    both *b = open_both(1, NACRE_OK);
    nacre_client *client;
    nacre_credentials *mine = credentials_of("coap://*", &b->theirs, (nacre_store){ &program_ops, NULL });
    const nacre_client_options options = { .credentials = mine, .on_store = on_store, .user = &told };
    nacre_reply reply;
    nacre_detail why;
    memset(&told, 0, sizeof told);
    atomic_store(&program.result, NACRE_ERR_FILE);
    assert_ok(nacre_client_open(&client, &options, NULL));
    assert_err(nacre_client_request(client, &reply, NACRE_GET, "coap://127.0.0.1:9/x", NULL, NACRE_ABSENT, &why),
               NACRE_ERR_FILE);
    assert_string_equal(why.text, "the database is away");
    expect_told(1, 0, 1);
    assert_string_equal(told.claim, "coap://*");
    assert_int_equal(nacre_client_store_health(client).num_failing, 1);
    assert_ok(nacre_client_close(client, NULL));
    nacre_credentials_free(mine);
    close_both(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_ten_thousand_contexts_begins_and_ends_once),
        cmocka_unit_test_teardown(a_store_that_fails_is_tried_again_without_a_request, test_release),
        cmocka_unit_test_teardown(a_store_that_works_again_makes_the_others_retry, test_release),
        cmocka_unit_test_teardown(an_asynchronous_failure_is_reported_too, test_release),
        cmocka_unit_test_teardown(a_removed_context_no_longer_fails, test_release),
        cmocka_unit_test_teardown(a_server_reports_the_names_of_the_context, test_release),
        cmocka_unit_test_teardown(any_thread_may_report_a_failure, test_release),
        cmocka_unit_test_teardown(a_client_reports_its_store, test_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
