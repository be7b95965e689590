/* SPDX-License-Identifier: MIT */
/* store_threads_test: the threads that write stores: what they do at once and what one after the other, what waits for what, and
 * how it ends. To be run under ThreadSanitizer too. */
#include "io/store_threads.h"
#include "support.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX = 200, WAIT_MS = 10000 };

/* ---- A store that says nothing until its gate is open ------------------------------------------------------------------ */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_open[MAX]; /* by number of the store */
    int order[2 * MAX], num_calls, num_requests, num_within, most_within;
    size_t sizes[2 * MAX];
    nacre_store_request *kept[MAX]; /* with keeps: not done yet */
    size_t num_kept;
    bool keeps;
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
static int numbers[MAX]; /* the stores' selfs */

static void submit(nacre_store_request *const *requests, size_t num)
{
    const int number = (int)((int *)requests[0]->self - numbers);
    pthread_mutex_lock(&gate.lock);
    gate.order[gate.num_requests] = number;
    gate.num_requests += (int)num;
    gate.sizes[gate.num_calls++] = num;
    gate.num_within++;
    if (gate.num_within > gate.most_within) gate.most_within = gate.num_within;
    (void)pthread_cond_broadcast(&gate.changed);
    while (!gate.is_open[number]) (void)pthread_cond_wait(&gate.changed, &gate.lock);
    gate.num_within--;
    for (size_t i = 0; i < num && gate.keeps; i++) gate.kept[gate.num_kept++] = requests[i];
    const bool keeps = gate.keeps;
    (void)pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    for (size_t i = 0; i < num && !keeps; i++) nacre_store_done(requests[i], NACRE_OK, NULL);
}

static const void *one_database(void *self)
{
    (void)self;
    return numbers;
}

static const nacre_store_ops alone = { .size = sizeof alone, .version = NACRE_STORE_OPS_VERSION, .submit = submit };
static const nacre_store_ops together = {
    .size = sizeof together, .version = NACRE_STORE_OPS_VERSION, .submit = submit, .batch = one_database
};

static void set_gate(int from, int to, bool is_open)
{
    pthread_mutex_lock(&gate.lock);
    for (int i = from; i < to; i++) gate.is_open[i] = is_open;
    (void)pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void wait_for_requests(int num)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.num_requests < num) (void)pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

/* ---- A loop's side ----------------------------------------------------------------------------------------------------- */

static nacre__store_threads threads;
static nacre__store_inbox inbox;
static nacre__store_job *jobs[MAX];

static int set_up(void **state)
{
    (void)state;
    memset(&gate.is_open, 0, sizeof gate.is_open);
    gate.num_calls = gate.num_requests = gate.num_within = gate.most_within = 0;
    gate.num_kept = 0;
    gate.keeps = false;
    assert_ok(nacre__store_threads_init(&threads));
    assert_ok(nacre__store_inbox_open(&inbox));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    set_gate(0, MAX, true);
    nacre__store_threads_cancel_all(&threads, &inbox);
    nacre__store_threads_free(&threads);
    nacre__store_inbox_close(&inbox);
    return 0;
}

static nacre__store_job *job_of(const nacre_store_ops *ops, int number, bool joins)
{
    nacre__store_job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    job->store = (nacre_store){ ops, &numbers[number] };
    job->request = (nacre_store_request){ .self = &numbers[number], .ceiling = 10, .window_lost = joins };
    job->inbox = &inbox;
    return jobs[number] = job;
}

static void push(const nacre_store_ops *ops, int from, int to, bool joins)
{
    nacre__store_jobs list = { NULL, NULL };
    for (int i = from; i < to; i++) nacre__store_jobs_add(&list, job_of(ops, i, joins));
    assert_ok(nacre__store_threads_push(&threads, &list));
    assert_null(list.first);
}

/* How many have come to the inbox, once `num` have. */
static int take(int num)
{
    int taken = 0;
    const uint64_t end = nacre_clock_ms() + WAIT_MS;
    while (taken < num && nacre_clock_ms() < end) {
        struct pollfd fd = { .fd = inbox.read_fd, .events = POLLIN };
        (void)poll(&fd, 1, 100);
        for (nacre__store_job *next, *job = nacre__store_threads_take(&threads, &inbox); job != NULL; job = next) {
            next = job->next;
            assert_ok(job->err);
            nacre__store_job_free(job);
            taken++;
        }
    }
    struct pollfd fd = { .fd = inbox.read_fd, .events = POLLIN };
    assert_int_equal(poll(&fd, 1, 0), 0); /* and no wake-up is left */
    return taken;
}

/* ---- Tests ------------------------------------------------------------------------------------------------------------- */

static void a_store_that_hangs_does_not_hold_up_the_others(void **state)
{
    (void)state;
    push(&alone, 0, 1, false); /* hangs */
    wait_for_requests(1);
    set_gate(1, 100, true);
    push(&alone, 1, 100, true);
    push(&alone, 0, 1, false); /* what waits for it is not in their way either */
    push(&alone, 100, 101, false);
    set_gate(100, 101, true);
    assert_int_equal(take(100), 100);
    set_gate(0, 1, true);
    assert_int_equal(take(2), 2);
    assert_true(gate.most_within <= NACRE__STORE_THREADS);
}

static void contexts_with_traffic_do_not_wait_for_all_that_join(void **state)
{
    (void)state;
    push(&alone, 0, 100, true);
    wait_for_requests(NACRE__STORE_THREADS);
    push(&alone, 100, 101, false); /* needs numbers */
    set_gate(0, 101, true);
    assert_int_equal(take(101), 101);
    int at = 0;
    while (gate.order[at] != 100) at++;
    assert_in_range(at, NACRE__STORE_THREADS, NACRE__STORE_THREADS + 1);
}

static void one_database_gets_all_that_wait_in_one_call(void **state)
{
    (void)state;
    push(&together, 0, 1, false);
    wait_for_requests(1);
    for (int i = 1; i < 150; i++) push(&together, i, i + 1, i % 2 != 0);
    set_gate(0, MAX, true);
    assert_int_equal(take(150), 150);
    assert_int_equal(gate.most_within, 1); /* calls never overlap */
    assert_in_range(gate.num_calls, 2, 3);
}

static void *done_elsewhere(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < gate.num_kept; i++) nacre_store_done(gate.kept[i], NACRE_OK, NULL);
    return NULL;
}

static void a_request_may_be_done_afterwards_by_another_thread(void **state)
{
    (void)state;
    pthread_t thread;
    set_gate(0, MAX, true);
    gate.keeps = true;
    push(&together, 0, 10, true);
    push(&alone, 10, 20, true);
    wait_for_requests(20);
    pthread_mutex_lock(&gate.lock);
    while (gate.num_kept < 20) (void)pthread_cond_wait(&gate.changed, &gate.lock);
    gate.keeps = false;
    pthread_mutex_unlock(&gate.lock);
    assert_null(nacre__store_threads_take(&threads, &inbox));
    assert_int_equal(pthread_create(&thread, NULL, done_elsewhere, NULL), 0);
    assert_int_equal(take(20), 20);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static atomic_bool opens_late;

static void *open_late(void *arg)
{
    (void)arg;
    (void)poll(NULL, 0, 50);
    atomic_store(&opens_late, true);
    set_gate(0, MAX, true);
    return NULL;
}

static void a_context_that_goes_drops_what_waits_and_awaits_what_is_written(void **state)
{
    (void)state;
    pthread_t thread;
    push(&alone, 0, 8, true);
    wait_for_requests(NACRE__STORE_THREADS);
    nacre__store_threads_cancel(&threads, jobs[7]); /* still queued: at once */
    assert_false(atomic_load(&opens_late));
    assert_int_equal(pthread_create(&thread, NULL, open_late, NULL), 0);
    nacre__store_threads_cancel(&threads, jobs[0]);
    assert_true(atomic_load(&opens_late));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(take(6), 6);
    for (int i = 0; i < gate.num_requests; i++) assert_true(gate.order[i] != 7);
}

/* In the child the lock may be held by a thread that it does not have. */
static void a_child_of_fork_is_refused_and_does_not_hang(void **state)
{
    (void)state;
    int status;
    push(&alone, 0, 8, true);
    wait_for_requests(NACRE__STORE_THREADS);
    pthread_mutex_lock(&threads.lock);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        nacre__store_jobs list = { NULL, NULL };
        (void)alarm(10);
        nacre__store_jobs_add(&list, job_of(&alone, 9, false));
        const bool refused = nacre__store_threads_push(&threads, &list) == NACRE_ERR_LOCKED && list.first == jobs[9];
        const bool nothing = nacre__store_threads_take(&threads, &inbox) == NULL;
        nacre__store_threads_cancel_all(&threads, &inbox);
        nacre__store_threads_free(&threads);
        _exit(refused && nothing ? 0 : 1);
    }
    pthread_mutex_unlock(&threads.lock);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    set_gate(0, MAX, true);
    assert_int_equal(take(8), 8);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_store_that_hangs_does_not_hold_up_the_others),
        ROW(contexts_with_traffic_do_not_wait_for_all_that_join),
        ROW(one_database_gets_all_that_wait_in_one_call),
        ROW(a_request_may_be_done_afterwards_by_another_thread),
        ROW(a_context_that_goes_drops_what_waits_and_awaits_what_is_written),
        ROW(a_child_of_fork_is_refused_and_does_not_hang),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
