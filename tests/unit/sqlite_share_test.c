/* SPDX-License-Identifier: MIT */
/* sqlite_share_test: the contexts of one database, used by several loops: one sync serves all requests made at once, and each is
 * confirmed only when it is durable. Also to be run under ThreadSanitizer. */
#include "io/server/locks.h"
#include "io/persist.h"
#include "databases.h"
#include "scratch.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NUM = 200, THREADS = 3 };

static atomic_uint num_syncs;
static atomic_bool disk_fails;

/* Replaces the C library's. */
int fdatasync(int fd)
{
    (void)fd;
    (void)atomic_fetch_add(&num_syncs, 1);
    return atomic_load(&disk_fails) ? -1 : 0;
}

static char *scratch;
static nacre_sqlite *db;
static nacre_context *shared[NUM];
static nacre__locks locks;

static void take(void *self, nacre_context *const *contexts, size_t num)
{
    nacre__locks_take(self, contexts, num);
}

static void give(void *self, nacre_context *const *contexts, size_t num)
{
    nacre__locks_give(self, contexts, num);
}

static int set_up(void **state)
{
    (void)state;
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    scratch = scratch_make();
    db_make(scratch_path(scratch, "fleet.db"), NUM);
    db = db_open(scratch_path(scratch, "fleet.db"));
    for (int64_t i = 0; i < NUM; i++) shared[i] = db_load(db, i + 1);
    return nacre__locks_init(&locks);
}

static int tear_down(void **state)
{
    db_close(db);
    nacre__locks_destroy(&locks);
    scratch_remove(scratch);
    return test_release(state);
}

/* The state of a loop. */
typedef struct looped {
    nacre_crypto crypto;
    void *memory;
    nacre_endpoint *ep;
    nacre__store_threads threads;
    nacre__persist persist;
} looped;

static void fill(void *self, uint8_t *out, size_t len)
{
    (void)self;
    memset(out, 7, len);
}

static looped *open_loop(void)
{
    looped *made = calloc(1, sizeof *made);
    assert_non_null(made);
    assert_ok(nacre__store_threads_init(&made->threads));
    made->persist = (nacre__persist){ .lock = { take, give, &locks }, .threads = &made->threads };
    assert_ok(nacre_openssl_open(&made->crypto));
    const nacre_endpoint_config config = { .crypto = made->crypto, .random = { fill, NULL } };
    const size_t size = nacre_endpoint_size(&config);
    made->memory = malloc(size);
    assert_ok(nacre_endpoint_init(&made->ep, made->memory, size, &config));
    for (size_t i = 0; i < NUM; i++)
        assert_ok(nacre__stores_put(&made->persist.stores, shared[i], nacre_sqlite_store(shared[i])));
    return made;
}

static void close_loop(looped *l)
{
    nacre__persist_free(&l->persist);
    nacre__store_threads_free(&l->threads);
    nacre_endpoint_wipe(l->ep);
    free(l->memory);
    nacre_openssl_close(&l->crypto);
    free(l);
}

/* Until the store threads have something for this loop. */
static void wait_for_store(const looped *l)
{
    struct pollfd fd = { .fd = nacre__persist_fd(&l->persist), .events = POLLIN };
    assert_int_equal(poll(&fd, 1, 10000), 1);
}

static void take_all(looped *l)
{
    for (nacre__persist_push(&l->persist, l->ep); l->persist.num_jobs > 0; nacre__persist_push(&l->persist, l->ep)) {
        wait_for_store(l);
        nacre__persist_take(&l->persist, l->ep);
    }
}

static void request_all(looped *l)
{
    for (size_t i = 0; i < NUM; i++) nacre__persist_serve(&l->persist, l->ep, shared[i]);
    take_all(l);
}

/* Whether the context may send; if so, the file must have that number. */
static bool may_send(size_t index)
{
    nacre_context *ctx = shared[index];
    const nacre_store store = nacre_sqlite_store(ctx);
    nacre_stored stored;
    assert_ok(nacre_store_load(&store, &stored, NULL));
    assert_true(stored.next_seq >= ctx->next + ctx->in_hand);
    return !nacre_context_needs(ctx).blocked;
}

static void one_sync_serves_all_concurrent_requests(void **state)
{
    (void)state;
    looped *l = open_loop();
    num_syncs = 0;
    request_all(l);
    assert_in_range(num_syncs, 1, 8); /* the first use of a database needs a few more syncs */
    for (size_t i = 0; i < NUM; i++) assert_true(may_send(i));
    num_syncs = 0;
    request_all(l); /* nothing to persist */
    assert_int_equal(num_syncs, 0);
    for (size_t i = 0; i < NUM; i++) shared[i]->in_hand = 0; /* as if they had been used */
    for (size_t i = 0; i < NUM; i++) shared[i]->next += 10;
    request_all(l);
    assert_int_equal(num_syncs, 1);
    for (size_t i = 0; i < NUM; i++) assert_true(may_send(i));
    close_loop(l);
}

static void nothing_is_confirmed_before_it_is_durable(void **state)
{
    (void)state;
    looped *l = open_loop(), *other = open_loop();
    disk_fails = true;
    request_all(l);
    assert_non_null(strstr(l->persist.failure.text, "disk I/O error"));
    for (size_t i = 0; i < NUM; i++) assert_true(nacre_context_needs(shared[i]).blocked);
    take_all(l); /* no request is open any more */
    disk_fails = false;
    request_all(other); /* and the failed part is written again */
    for (size_t i = 0; i < NUM; i++) assert_true(may_send(i));
    close_loop(l);
    close_loop(other);
}

/* A state is saved after the needs of a context were handed to the store threads, before or after they were written: the file then
 * has less than was requested, which is not confirmed but requested again. */
static void a_save_in_between_is_requested_again(void **state)
{
    (void)state;
    for (size_t written_first = 0; written_first < 2; written_first++) {
        looped *l = open_loop();
        nacre_context *ctx = shared[written_first];
        const nacre_store store = nacre_sqlite_store(ctx);
        nacre__persist_serve(&l->persist, l->ep, ctx);
        if (written_first) {
            nacre__persist_push(&l->persist, l->ep);
            wait_for_store(l);
        }
        assert_ok(nacre_store_save(&store, ctx, NULL));
        if (written_first) nacre__persist_take(&l->persist, l->ep);
        assert_true(nacre_context_needs(ctx).blocked);
        take_all(l);
        assert_true(may_send(written_first));
        close_loop(l);
    }
}

static atomic_uint num_spent;

/* Each uses the confirmed numbers, and requests more. */
static void *request_on(void *arg)
{
    looped *l = arg;
    for (int round = 0; round < 30; round++) {
        request_all(l);
        for (size_t i = 0; i < NUM; i++) {
            nacre_context *ctx = shared[i];
            take(&locks, &ctx, 1);
            if (ctx->in_hand > 0) {
                ctx->in_hand--;
                ctx->next++;
                (void)atomic_fetch_add(&num_spent, 1);
            }
            give(&locks, &ctx, 1);
        }
    }
    return NULL;
}

static void several_threads_use_one_database(void **state)
{
    (void)state;
    looped *loops[THREADS];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) loops[i] = open_loop();
    for (size_t i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, request_on, loops[i]), 0);
    for (size_t i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < THREADS; i++) assert_string_equal(loops[i]->persist.failure.text, "");
    for (size_t i = 0; i < NUM; i++) assert_true(may_send(i));
    uint64_t sum = 0;
    for (size_t i = 0; i < NUM; i++) sum += shared[i]->next;
    assert_true(sum == num_spent && sum > 30 * NUM);
    for (size_t i = 0; i < THREADS; i++) close_loop(loops[i]);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(one_sync_serves_all_concurrent_requests),
        ROW(nothing_is_confirmed_before_it_is_durable),
        ROW(a_save_in_between_is_requested_again),
        ROW(several_threads_use_one_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
