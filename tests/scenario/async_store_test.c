/* SPDX-License-Identifier: MIT */
/* async_store_test: client and server talk over loopback, each with a store that writes states to a file on a slow
 * thread and reports completion afterwards. Nothing is used before it is durable, a failed write ends what waits for
 * it, and a restart continues from the files. */
#include "scratch.h"
#include "support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/directory/sequence_file.h"

/* ---- The store: a thread with one job at a time ------------------------------------------------------------------ */

enum { MAX_JOBS = 8, NS_PER_MS = 1000000 };
typedef enum job_kind { RESERVE, WINDOW_LOST, SAVE } job_kind;
typedef struct job {
    job_kind kind;
    nacre__sequence state;
    nacre_err err;
} job;

typedef struct slow_store {
    nacre__dirfd dirfd;
    nacre__sequence requested; /* result of the jobs so far; used by the loop's thread */
    pthread_t thread;
    pthread_mutex_t lock; /* guards the fields below */
    pthread_cond_t changed;
    job jobs[MAX_JOBS], done[MAX_JOBS];
    size_t num_jobs, num_done;
    bool ends, fails;
    uint64_t durable; /* numbers below may be used */
    bool window_given_up;
} slow_store;

static nacre_err write_slowly(slow_store *s, const nacre__sequence *state, bool fails)
{
    bool uncertain;
    struct timespec time = { 0, 3 * NS_PER_MS };
    nanosleep(&time, NULL);
    return fails ? NACRE_ERR_FILE : nacre__sequence_write(&s->dirfd, state, true, &uncertain, NULL);
}

static void *work(void *arg)
{
    slow_store *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->ends || s->num_jobs > 0) {
        if (s->num_jobs == 0) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        job j = s->jobs[0];
        memmove(s->jobs, s->jobs + 1, --s->num_jobs * sizeof j);
        bool fails = s->fails;
        pthread_mutex_unlock(&s->lock);
        j.err = write_slowly(s, &j.state, fails);
        pthread_mutex_lock(&s->lock);
        if (j.err == NACRE_OK) s->durable = j.state.next_to_send;
        if (j.err == NACRE_OK) s->window_given_up = !j.state.window_known;
        s->done[s->num_done++] = j;
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static nacre_err put_job(slow_store *s, job_kind kind)
{
    pthread_mutex_lock(&s->lock);
    bool fits = s->num_jobs + s->num_done + 1 < MAX_JOBS;
    if (fits) s->jobs[s->num_jobs++] = (job){ kind, s->requested, NACRE_OK };
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return fits ? NACRE_ERR_NOT_YET : NACRE_ERR_BUSY;
}

static nacre_err slow_reserve(void *self, uint64_t ceiling, nacre_detail *why)
{
    slow_store *s = self;
    (void)why;
    s->requested.next_to_send = ceiling;
    return put_job(s, RESERVE);
}

static nacre_err slow_window_lost(void *self, nacre_detail *why)
{
    slow_store *s = self;
    (void)why;
    s->requested.window_known = false;
    return put_job(s, WINDOW_LOST);
}

static nacre_err slow_save(void *self, const nacre_context *ctx, nacre_detail *why)
{
    slow_store *s = self;
    (void)why;
    s->requested = (nacre__sequence){ .next_to_send = nacre_context_next_seq(ctx) };
    s->requested.window_known =
        nacre_replay_export(nacre_context_replay(ctx), &s->requested.window_index, s->requested.window_bits);
    return put_job(s, SAVE);
}

static const nacre_store_ops slow_ops = { .size = sizeof slow_ops,
                                          .version = NACRE_STORE_OPS_VERSION,
                                          .reserve = slow_reserve,
                                          .window_lost = slow_window_lost,
                                          .save = slow_save };

static slow_store *start_store(const char *path)
{
    slow_store *s = test_alloc(sizeof *s);
    bool found;
    *s = (slow_store){ .num_jobs = 0 };
    assert_ok(nacre__dirfd_open(&s->dirfd, path, NULL));
    assert_ok(nacre__sequence_read(&s->requested, &found, &s->dirfd, NACRE_REPLAY_DEFAULT, NULL));
    s->durable = s->requested.next_to_send;
    s->window_given_up = !s->requested.window_known;
    assert_int_equal(pthread_mutex_init(&s->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&s->changed, NULL), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, work, s), 0);
    return s;
}

static void stop_store(slow_store *s)
{
    pthread_mutex_lock(&s->lock);
    s->ends = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    nacre__dirfd_close(&s->dirfd);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
}

static void set_failing(slow_store *s, bool fails)
{
    pthread_mutex_lock(&s->lock);
    s->fails = fails;
    pthread_mutex_unlock(&s->lock);
}

/* ---- Client and server, each with its loop, context and store ---------------------------------------------------- */

typedef struct side {
    nacre_udp *udp;
    nacre_loop *loop;
    nacre_table table;
    nacre_table_slot slots[4];
    nacre_context *context;
    slow_store *store;
    int events, requests, too_early;
    uint64_t highest; /* number that was sent, plus one */
    nacre_event_kind kind;
    nacre_err err;
    uint8_t code;
} side;

static void on_event(void *user, nacre_endpoint *ep, const nacre_event *event)
{
    side *s = user;
    nacre_message plain = { .code = NACRE_CONTENT, .payload = NACRE_STR("yes") };
    if (event->kind == NACRE_EVENT_REQUEST) {
        pthread_mutex_lock(&s->store->lock); /* RFC 8613 B.1.2: accepted, so the window is durably unknown */
        s->too_early += !s->store->window_given_up;
        pthread_mutex_unlock(&s->store->lock);
        s->requests++;
        assert_ok(nacre_endpoint_respond(ep, event->exchange, &plain));
        return;
    }
    s->events++;
    s->kind = event->kind;
    s->err = event->err;
    s->code = event->message.code;
}

/* RFC 8613 B.1.1: each Partial IV sent is below the durable number. */
static void on_datagram(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes, size_t full_len)
{
    (void)full_len;
    side *s = user;
    nacre_oscore_option option;
    nacre_message m;
    uint64_t number = 0;
    (void)peer;
    if (!outgoing || nacre_message_parse(&m, bytes) != NACRE_OK || nacre_verify_start(&option, &m) != NACRE_OK ||
        nacre_is_absent(option.partial_iv))
        return;
    for (size_t i = 0; i < option.partial_iv.len; i++) number = number << 8 | option.partial_iv.ptr[i];
    pthread_mutex_lock(&s->store->lock);
    s->too_early += number >= s->store->durable;
    pthread_mutex_unlock(&s->store->lock);
    if (number >= s->highest) s->highest = number + 1;
}

static side *open_side(const char *path, test_end end)
{
    static const nacre_timing patient = { .ack_timeout_ms = 1000, .ack_random_factor_milli = 1000 };
    side *s = test_alloc(sizeof *s);
    nacre_address local;
    *s = (side){ .store = start_store(path) };
    nacre_context_params params = test_params(1, end);
    params.persistent = true;
    params.first_chunk = 2;
    params.max_chunk = 7;
    params.next_seq = s->store->requested.next_to_send;
    params.echo = NACRE_STR("8 bytes.");
    s->context = test_context(&params);
    assert_ok(nacre_context_set_replay(s->context, s->store->requested.window_known, s->store->requested.window_index,
                                       s->store->requested.window_bits, NACRE_REPLAY_DEFAULT / 8));
    assert_ok(nacre_address_resolve(&local, "[::1]:0", 0, NULL));
    assert_ok(nacre_udp_open(&s->udp, &local, NULL));
    assert_ok(nacre_table_init(&s->table, s->slots, 4));
    assert_ok(nacre_table_add(&s->table, s->context));
    nacre_endpoint_config config = {
        .num_client_exchanges = 4, .num_server_exchanges = 8, .burst = 4, .timing = patient
    };
    config.contexts = &s->table;
    config.crypto = *test_crypto();
    assert_ok(nacre_loop_open(&s->loop, s->udp, &config, on_event, s, NULL));
    nacre_loop_tap(s->loop, on_datagram, s);
    assert_ok(nacre_loop_add_store(s->loop, s->context, (nacre_store){ &slow_ops, s->store }));
    return s;
}

static void close_side(side *s)
{
    assert_int_equal(s->too_early, 0);
    stop_store(s->store);
    nacre_loop_close(s->loop);
    nacre_udp_close(s->udp);
}

/* Passes the thread's results to the context, on the thread that owns the context. */
static void take_results(side *s)
{
    job done[MAX_JOBS];
    pthread_mutex_lock(&s->store->lock);
    size_t num = s->store->num_done;
    memcpy(done, s->store->done, num * sizeof done[0]);
    s->store->num_done = 0;
    pthread_mutex_unlock(&s->store->lock);
    for (size_t i = 0; i < num; i++) {
        if (done[i].err != NACRE_OK) nacre_endpoint_confirmed(nacre_loop_endpoint(s->loop), s->context, done[i].err);
        else if (done[i].kind == RESERVE) nacre_context_confirm_reserved(s->context, done[i].state.next_to_send);
        else if (done[i].kind == WINDOW_LOST) nacre_context_confirm_window_lost(s->context);
    }
}

static void step(side *s)
{
    assert_ok(nacre_loop_step(s->loop, 2, NULL));
    take_results(s);
}

static void send_request(side *client, side *server)
{
    nacre_message plain = { .type = NACRE_CON, .code = NACRE_GET };
    nacre_address peer = nacre_udp_local(server->udp);
    nacre_exchange exchange;
    uint64_t end = nacre_clock_ms() + 10000;
    client->events = 0;
    assert_ok(
        nacre_endpoint_request(nacre_loop_endpoint(client->loop), &exchange, &peer, client->context, &plain, NULL));
    while (client->events == 0 && nacre_clock_ms() < end) {
        step(client);
        step(server);
    }
    assert_int_equal(client->events, 1);
}

static void request_ok(side *client, side *server)
{
    send_request(client, server);
    if (client->kind != NACRE_EVENT_RESPONSE || client->code != NACRE_CONTENT)
        fail_msg("kind %d, %s", (int)client->kind, nacre_err_name(client->err));
}

struct directories {
    char *root, *client, *server;
};

static struct directories make_directories(void)
{
    struct directories p = { .root = scratch_make() };
    scratch_mkdir(p.root, "client");
    scratch_mkdir(p.root, "server");
    p.client = strdup(scratch_path(p.root, "client"));
    p.server = strdup(scratch_path(p.root, "server"));
    return p;
}

static void remove_directories(struct directories *p)
{
    scratch_remove(p->root);
    free(p->client);
    free(p->server);
}

/* Many chunks over three runs: the first ends in a crash, the second with a save. */
static void numbers_are_used_only_after_they_are_durable(void **state)
{
    (void)state;
    struct directories p = make_directories();
    uint64_t highest = 0;
    for (int life = 0; life < 3; life++) {
        side *client = open_side(p.client, TEST_CLIENT), *server = open_side(p.server, TEST_SERVER);
        assert_true(nacre_context_next_seq(client->context) >= highest);
        assert_int_equal(nacre_context_replay(server->context)->known, life != 1); /* unknown after a crash */
        for (int i = 0; i < 40; i++) request_ok(client, server);
        assert_int_equal(server->requests, 40);
        highest = client->highest;
        if (life > 0) {
            nacre_store stores[] = { { &slow_ops, client->store }, { &slow_ops, server->store } };
            assert_err(nacre_store_save(&stores[0], client->context, NULL), NACRE_ERR_NOT_YET);
            assert_err(nacre_store_save(&stores[1], server->context, NULL), NACRE_ERR_NOT_YET);
        }
        close_side(client); /* the stores close after their last write */
        close_side(server);
    }
    char *text = scratch_state(p.client);
    assert_non_null(strstr(text, "\"bitfield\""));
    free(text);
    remove_directories(&p);
}

/* The store returns "not yet" and later reports a failure: the waiting exchange ends with that error, nothing is sent,
 * and exchanges work again once the store can write. */
static void a_late_store_failure_ends_the_waiting_exchange(void **state)
{
    (void)state;
    struct directories p = make_directories();
    side *client = open_side(p.client, TEST_CLIENT), *server = open_side(p.server, TEST_SERVER);
    set_failing(client->store, true);
    send_request(client, server);
    assert_int_equal(client->kind, NACRE_EVENT_FAILED);
    assert_err(client->err, NACRE_ERR_FILE);
    assert_int_equal(client->highest, 0);
    assert_int_equal(server->requests, 0);
    set_failing(client->store, false);
    for (int i = 0; i < 20; i++) request_ok(client, server);

    set_failing(server->store, true);
    for (int i = 0; i < 20; i++) request_ok(client, server); /* responses under the requests' nonces need no store */
    close_side(server);
    server = open_side(p.server, TEST_SERVER); /* as after a crash: it must challenge, with a number of its own */
    set_failing(server->store, true);
    send_request(client, server);
    assert_int_equal(server->requests, 0);
    assert_int_equal(server->highest, 0);
    assert_true(client->kind == NACRE_EVENT_FAILED);
    assert_err(client->err, NACRE_ERR_UNAUTHENTICATED); /* 5.03 unprotected: no number was available */
    set_failing(server->store, false);
    for (int i = 0; i < 20; i++) request_ok(client, server);
    close_side(client);
    close_side(server);
    remove_directories(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_are_used_only_after_they_are_durable),
        TEST(a_late_store_failure_ends_the_waiting_exchange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
