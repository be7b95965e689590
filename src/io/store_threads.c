/* SPDX-License-Identifier: MIT */
/* store_threads: see store_threads.h. */
#include "io/store_threads.h"
#include "store/batch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BATCH = 1024 };

/* ---- Lists ------------------------------------------------------------------------------------------------------------- */

void nacre__store_jobs_add(nacre__store_jobs *list, nacre__store_job *job)
{
    job->next = NULL;
    if (list->last != NULL) list->last->next = job;
    else list->first = job;
    list->last = job;
}

static nacre__store_job *pop(nacre__store_jobs *list)
{
    nacre__store_job *job = list->first;
    if (job == NULL) return NULL;
    list->first = job->next;
    if (list->first == NULL) list->last = NULL;
    return job;
}

bool nacre__store_jobs_drop(nacre__store_jobs *list, const nacre__store_job *job)
{
    nacre__store_job *before = NULL;
    for (nacre__store_job *at = list->first; at != NULL; before = at, at = at->next) {
        if (at != job) continue;
        if (before != NULL) before->next = at->next;
        else list->first = at->next;
        if (list->last == at) list->last = before;
        return true;
    }
    return false;
}

void nacre__store_job_free(nacre__store_job *job)
{
    if (job == NULL) return;
    free(job->text);
    free(job);
}

/* ---- Inboxes ----------------------------------------------------------------------------------------------------------- */

nacre_err nacre__store_inbox_open(nacre__store_inbox *inbox)
{
    int ends[2];
    if (inbox->is_open) return NACRE_OK;
    if (pipe(ends) != 0) return NACRE_ERR_FILE;
    *inbox = (nacre__store_inbox){ .is_open = true, .read_fd = ends[0], .write_fd = ends[1] };
    for (int i = 0; i < 2; i++)
        if (fcntl(ends[i], F_SETFD, FD_CLOEXEC) != 0 || fcntl(ends[i], F_SETFL, O_NONBLOCK) != 0) {
            nacre__store_inbox_close(inbox);
            return NACRE_ERR_FILE;
        }
    return NACRE_OK;
}

void nacre__store_inbox_close(nacre__store_inbox *inbox)
{
    if (!inbox->is_open) return;
    (void)close(inbox->read_fd);
    (void)close(inbox->write_fd);
    *inbox = (nacre__store_inbox){ .is_open = false };
}

static void drain(const nacre__store_inbox *inbox)
{
    char bytes[16];
    while (read(inbox->read_fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes) {}
}

/* Under the lock, the wake-up too: the inbox may be closed once its last job is done. */
static void deliver(nacre__store_threads *threads, nacre__store_job *job)
{
    nacre__store_inbox *inbox = job->inbox;
    if (inbox->done.first == NULL) {
        ssize_t written = write(inbox->write_fd, "", 1);
        (void)written; /* a full pipe is readable already */
    }
    job->state = NACRE__JOB_DONE;
    nacre__store_jobs_add(&inbox->done, job);
    inbox->num_open--;
    (void)pthread_cond_broadcast(&threads->done);
}

/* In a child of fork the lock may be held by a thread that the child does not have. */
static bool is_foreign(nacre__store_threads *threads)
{
    return atomic_load(&threads->num) > 0 && atomic_load(&threads->owner) != getpid();
}

nacre__store_job *nacre__store_threads_take(nacre__store_threads *threads, nacre__store_inbox *inbox)
{
    if (is_foreign(threads)) return NULL;
    (void)pthread_mutex_lock(&threads->lock);
    nacre__store_job *first = inbox->done.first;
    if (first != NULL) drain(inbox);
    inbox->done = (nacre__store_jobs){ NULL, NULL };
    (void)pthread_mutex_unlock(&threads->lock);
    return first;
}

/* ---- Serving ----------------------------------------------------------------------------------------------------------- */

static void take_time(const nacre__store_job *job)
{
    const uint64_t took_us = nacre__store_clock_us() - job->pushed_us;
    nacre__store_times *times = &job->threads->times;
    if (job->request.ceiling != 0) nacre__store_times_add(times, NACRE_STORE_RESERVE, took_us);
    if (job->request.window_lost) nacre__store_times_add(times, NACRE_STORE_WINDOW, took_us);
}

/* Called by nacre_store_done, in any thread. */
static void on_done(nacre_store_request *request, nacre_err err, const char *text)
{
    nacre__store_job *job = (nacre__store_job *)request;
    nacre__store_threads *threads = job->threads;
    take_time(job);
    job->err = err == NACRE_ERR_NOT_YET ? NACRE_ERR_FILE : err;
    job->text = err != NACRE_OK ? strdup(text) : NULL;
    (void)pthread_mutex_lock(&threads->lock);
    deliver(threads, job);
    (void)pthread_mutex_unlock(&threads->lock);
}

static nacre__store_jobs *queue_of(nacre__store_threads *threads, const nacre__store_job *job)
{
    return &threads->queues[job->request.window_lost];
}

static nacre__store_job *pop_next(nacre__store_threads *threads)
{
    nacre__store_job *job = pop(&threads->queues[threads->next_queue++ % 2]);
    return job != NULL ? job : pop(&threads->queues[threads->next_queue % 2]);
}

static nacre__store_thread *writer_of(nacre__store_threads *threads, const void *batch)
{
    for (size_t i = 0; i < NACRE__STORE_THREADS; i++)
        if (threads->all[i].batch == batch) return &threads->all[i];
    return NULL;
}

/* Moves all queued jobs of the batch to `requests`. */
static size_t gather(nacre__store_threads *threads, const nacre__store_job *first, nacre_store_request **requests)
{
    size_t num = 1;
    for (size_t q = 0; q < 2; q++) {
        nacre__store_jobs rest = { NULL, NULL };
        for (nacre__store_job *job; (job = pop(&threads->queues[q])) != NULL;) {
            if (num == MAX_BATCH || job->batch != first->batch || job->store.ops != first->store.ops) {
                nacre__store_jobs_add(&rest, job);
                continue;
            }
            job->state = NACRE__JOB_TAKEN;
            requests[num++] = &job->request;
        }
        threads->queues[q] = rest;
    }
    return num;
}

/* The next batch for `me`; a job whose store another thread writes is held there. 0: nothing to do. */
static size_t take_batch(nacre__store_thread *me, nacre_store_request **requests, const nacre_store_ops **ops)
{
    nacre__store_threads *threads = me->threads;
    nacre__store_job *job;
    nacre__store_thread *writer = NULL;
    while ((job = pop_next(threads)) != NULL && (writer = writer_of(threads, job->batch)) != NULL)
        nacre__store_jobs_add(&writer->held, job);
    if (job == NULL) return 0;
    me->batch = job->batch;
    job->state = NACRE__JOB_TAKEN;
    requests[0] = &job->request;
    *ops = job->store.ops;
    return job->store.ops->batch != NULL ? gather(threads, job, requests) : 1;
}

static void call_for_help(nacre__store_threads *threads);

/* Serves until there is nothing to do. The lock is held, and left while a store writes. */
static void serve(nacre__store_thread *me)
{
    nacre_store_request *requests[MAX_BATCH];
    const nacre_store_ops *ops = NULL;
    for (size_t num; (num = take_batch(me, requests, &ops)) > 0;) {
        call_for_help(me->threads);
        (void)pthread_mutex_unlock(&me->threads->lock);
        ops->submit(requests, num);
        (void)pthread_mutex_lock(&me->threads->lock);
        me->batch = NULL;
        for (nacre__store_job *job; (job = pop(&me->held)) != NULL;)
            nacre__store_jobs_add(queue_of(me->threads, job), job);
    }
}

static void *work(void *arg)
{
    nacre__store_thread *me = arg;
    nacre__store_threads *threads = me->threads;
    (void)pthread_mutex_lock(&threads->lock);
    while (!threads->ends) {
        serve(me);
        if (threads->ends) break;
        threads->num_idle++;
        (void)pthread_cond_wait(&threads->work, &threads->lock);
        threads->num_idle--;
    }
    (void)pthread_mutex_unlock(&threads->lock);
    return NULL;
}

/* Signals are for the program's threads. */
static void start_thread(nacre__store_threads *threads)
{
    sigset_t all, before;
    const size_t num = atomic_load(&threads->num);
    if (num == NACRE__STORE_THREADS) return;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&threads->all[num].thread, NULL, work, &threads->all[num]) == 0)
        atomic_store(&threads->num, num + 1);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Jobs are left for other threads: wakes one, or starts one. */
static void call_for_help(nacre__store_threads *threads)
{
    if (threads->queues[0].first == NULL && threads->queues[1].first == NULL) return;
    if (threads->num_idle > 0) (void)pthread_cond_signal(&threads->work);
    else start_thread(threads);
}

nacre_err nacre__store_threads_push(nacre__store_threads *threads, nacre__store_jobs *list)
{
    if (list->first == NULL) return NACRE_OK;
    if (is_foreign(threads)) return NACRE_ERR_LOCKED;
    const uint64_t now_us = nacre__store_clock_us();
    (void)pthread_mutex_lock(&threads->lock);
    atomic_store(&threads->owner, getpid());
    for (nacre__store_job *job; (job = pop(list)) != NULL;) {
        const void *batch = nacre__store_batch(&job->store);
        job->batch = batch != NULL ? batch : (const void *)job->store.ops;
        job->threads = threads;
        job->request.on_done = on_done;
        job->pushed_us = now_us;
        job->state = NACRE__JOB_QUEUED;
        job->inbox->num_open++;
        nacre__store_jobs_add(queue_of(threads, job), job);
    }
    call_for_help(threads);
    if (atomic_load(&threads->num) == 0) serve(&threads->all[0]); /* the system has no thread for us */
    (void)pthread_mutex_unlock(&threads->lock);
    return NACRE_OK;
}

/* ---- Cancelling -------------------------------------------------------------------------------------------------------- */

static void drop_queued(nacre__store_threads *threads, nacre__store_job *job)
{
    bool dropped = nacre__store_jobs_drop(queue_of(threads, job), job);
    for (size_t i = 0; i < NACRE__STORE_THREADS && !dropped; i++)
        dropped = nacre__store_jobs_drop(&threads->all[i].held, job);
    job->inbox->num_open--;
}

void nacre__store_threads_cancel(nacre__store_threads *threads, nacre__store_job *job)
{
    if (is_foreign(threads)) return;
    (void)pthread_mutex_lock(&threads->lock);
    if (job->state == NACRE__JOB_QUEUED) {
        drop_queued(threads, job);
    } else {
        while (job->state != NACRE__JOB_DONE) (void)pthread_cond_wait(&threads->done, &threads->lock);
        (void)nacre__store_jobs_drop(&job->inbox->done, job);
        if (job->inbox->done.first == NULL) drain(job->inbox);
    }
    (void)pthread_mutex_unlock(&threads->lock);
    nacre__store_job_free(job);
}

static void drop_all(nacre__store_jobs *list, nacre__store_inbox *inbox)
{
    nacre__store_jobs rest = { NULL, NULL };
    for (nacre__store_job *job; (job = pop(list)) != NULL;) {
        if (job->inbox != inbox) {
            nacre__store_jobs_add(&rest, job);
            continue;
        }
        inbox->num_open--;
        nacre__store_job_free(job);
    }
    *list = rest;
}

void nacre__store_threads_cancel_all(nacre__store_threads *threads, nacre__store_inbox *inbox)
{
    if (is_foreign(threads)) return;
    (void)pthread_mutex_lock(&threads->lock);
    for (size_t q = 0; q < 2; q++) drop_all(&threads->queues[q], inbox);
    for (size_t i = 0; i < NACRE__STORE_THREADS; i++) drop_all(&threads->all[i].held, inbox);
    while (inbox->num_open > 0) (void)pthread_cond_wait(&threads->done, &threads->lock);
    for (nacre__store_job *job; (job = pop(&inbox->done)) != NULL;) nacre__store_job_free(job);
    (void)pthread_mutex_unlock(&threads->lock);
}

/* ---- Life -------------------------------------------------------------------------------------------------------------- */

nacre_err nacre__store_threads_init(nacre__store_threads *threads)
{
    memset(threads, 0, sizeof *threads);
    for (size_t i = 0; i < NACRE__STORE_THREADS; i++) threads->all[i].threads = threads;
    atomic_store(&threads->owner, getpid());
    if (pthread_mutex_init(&threads->lock, NULL) != 0) return NACRE_ERR_NO_MEMORY;
    if (pthread_cond_init(&threads->work, NULL) == 0) {
        if (pthread_cond_init(&threads->done, NULL) == 0) return NACRE_OK;
        (void)pthread_cond_destroy(&threads->work);
    }
    (void)pthread_mutex_destroy(&threads->lock);
    return NACRE_ERR_NO_MEMORY;
}

void nacre__store_threads_free(nacre__store_threads *threads)
{
    if (is_foreign(threads)) return;
    (void)pthread_mutex_lock(&threads->lock);
    threads->ends = true;
    (void)pthread_cond_broadcast(&threads->work);
    (void)pthread_mutex_unlock(&threads->lock);
    for (size_t i = 0; i < atomic_load(&threads->num); i++) (void)pthread_join(threads->all[i].thread, NULL);
    (void)pthread_cond_destroy(&threads->done);
    (void)pthread_cond_destroy(&threads->work);
    (void)pthread_mutex_destroy(&threads->lock);
}
