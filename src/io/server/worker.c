/* SPDX-License-Identifier: MIT */
/* worker: one thread of a server, from socket to site. */
#include "io/server/worker.h"
#include "io/loop_internal.h"
#include "endpoint/endpoint_driver.h"
#include "base/hosted/detail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BURST = 64 };

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

static void on_event(void *user, nacre_transfer *transfer, const nacre_event *event)
{
    nacre__worker *worker = user;
    (void)transfer;
    nacre_err err = nacre_site_respond(worker->site, event);
    (void)err; /* the site has already responded or ignored the exchange; nothing is left to do */
}

static nacre_err make_site(nacre__worker *worker)
{
    const nacre_site_config config = { .transfer = nacre_loop_transfer(worker->loop) };
    const size_t size = nacre_site_size(&config);
    worker->site_memory = malloc(size);
    if (worker->site_memory == NULL) return NACRE_ERR_NO_MEMORY;
    return nacre_site_init(&worker->site, worker->site_memory, size, &config);
}

static bool make_pipe(nacre__worker *worker)
{
    int ends[2];
    if (pipe(ends) != 0) return false;
    worker->wake_read = ends[0];
    worker->wake_write = ends[1];
    for (int i = 0; i < 2; i++)
        if (fcntl(ends[i], F_SETFD, FD_CLOEXEC) != 0 || fcntl(ends[i], F_SETFL, O_NONBLOCK) != 0) return false;
    return true;
}

static void take(void *self, nacre_context *const *contexts, size_t num)
{
    nacre__locks_take(self, contexts, num);
}

static void give(void *self, nacre_context *const *contexts, size_t num)
{
    nacre__locks_give(self, contexts, num);
}

static void take_table(void *self, nacre_context *const *contexts, size_t num)
{
    nacre__worker *worker = self;
    (void)contexts, (void)num;
    (void)pthread_mutex_lock(&worker->table_lock);
}

static void give_table(void *self, nacre_context *const *contexts, size_t num)
{
    nacre__worker *worker = self;
    (void)contexts, (void)num;
    (void)pthread_mutex_unlock(&worker->table_lock);
}

static nacre_err set_up(nacre__worker *worker, const nacre_table *contexts, nacre__locks *locks,
                        const nacre_server_config *limits, nacre_detail *why)
{
    if (!make_pipe(worker)) return nacre__fail(why, NACRE_ERR_FILE, "cannot make a pipe: %s", strerror(errno));
    nacre_err err = nacre_provider_open(&worker->crypto);
    if (err != NACRE_OK) return nacre__fail(why, err, "cannot use a cryptography library: %s", nacre_err_text(err));
    (void)nacre_udp_use_gso(worker->udp); /* optional: without GSO it needs more system calls */
    nacre_endpoint_config config = nacre_endpoint_config_default();
    config.num_server_exchanges = limits->num_requests;
    config.num_transmissions = limits->num_transmissions;
    config.transmissions_per_peer = limits->transmissions_per_peer;
    config.burst = BURST;
    config.observe = limits->observe;
    config.admission = limits->admission;
    config.admission.origin = (nacre_origin){ 0 }; /* the loop's */
    config.congestion = limits->congestion;
    config.outer_block = limits->outer_block;
    config.timing = limits->timing;
    config.num_lookups = limits->num_lookups;
    config.contexts = contexts;
    config.crypto = worker->crypto;
    if (locks != NULL) config.lock = (nacre_lock){ take, give, locks };
    /* pages of bodies are touched only when used */
    const nacre_transfer_config transfer = { .bodies = limits->bodies, .block_size = limits->block_size };
    err = nacre_loop_open_transfer(&worker->loop, worker->udp, &config, &transfer, on_event, worker, why);
    if (err != NACRE_OK) return err;
    nacre__loop_set_wake(worker->loop, worker->wake_read);
    nacre__loop_on_lookup(worker->loop, NULL, NULL);
    nacre__endpoint_share_table(nacre_loop_endpoint(worker->loop), (nacre_lock){ take_table, give_table, worker });
    err = make_site(worker);
    return err == NACRE_OK ? err : nacre__fail(why, err, "cannot make a site: %s", nacre_err_text(err));
}

static bool make_locks(nacre__worker *worker)
{
    if (pthread_mutex_init(&worker->lock, NULL) != 0) return false;
    if (pthread_mutex_init(&worker->table_lock, NULL) == 0) {
        if (pthread_cond_init(&worker->idle, NULL) == 0) return true;
        (void)pthread_mutex_destroy(&worker->table_lock);
    }
    (void)pthread_mutex_destroy(&worker->lock);
    return false;
}

nacre_err nacre__worker_open(nacre__worker *worker, nacre_udp *udp, const nacre_table *contexts, nacre__locks *locks,
                             const nacre_server_config *config, nacre_detail *why)
{
    *worker = (nacre__worker){ .udp = udp, .wake_read = -1, .wake_write = -1 };
    if (!make_locks(worker)) {
        nacre_udp_close(udp);
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a server");
    }
    const nacre_err err = set_up(worker, contexts, locks, config, why);
    if (err != NACRE_OK) nacre__worker_close(worker);
    return err;
}

static nacre__change *take_changes(nacre__worker *worker)
{
    (void)pthread_mutex_lock(&worker->lock);
    nacre__change *changes = worker->changes;
    worker->changes = NULL;
    (void)pthread_mutex_unlock(&worker->lock);
    return changes;
}

static void free_changes(nacre__change *changes)
{
    for (nacre__change *next; changes != NULL; changes = next) {
        next = changes->next;
        free(changes);
    }
}

void nacre__worker_close_loop(nacre__worker *worker)
{
    nacre_loop_close(worker->loop);
    worker->loop = NULL;
}

void nacre__worker_close(nacre__worker *worker)
{
    nacre__worker_close_loop(worker);
    nacre_udp_close(worker->udp);
    if (worker->crypto.ops != NULL) nacre_provider_close(&worker->crypto);
    if (worker->wake_read >= 0) (void)close(worker->wake_read);
    if (worker->wake_write >= 0) (void)close(worker->wake_write);
    free(worker->site_memory);
    free_changes(take_changes(worker));
    (void)pthread_cond_destroy(&worker->idle);
    (void)pthread_mutex_destroy(&worker->table_lock);
    (void)pthread_mutex_destroy(&worker->lock);
}

/* ---- Tasks ------------------------------------------------------------------------------------------------------------ */

static nacre__task *take_tasks(nacre__worker *worker, bool is_running)
{
    (void)pthread_mutex_lock(&worker->lock);
    nacre__task *tasks = worker->tasks;
    worker->tasks = worker->last_task = NULL;
    if (tasks == NULL) worker->is_running = is_running;
    (void)pthread_mutex_unlock(&worker->lock);
    return tasks;
}

/* Does all tasks, also those that are posted meanwhile. False: nothing was to be done. */
static bool do_tasks(nacre__worker *worker, bool is_running)
{
    bool any = false;
    for (nacre__task *next, *task; (task = take_tasks(worker, is_running)) != NULL;)
        for (any = true; task != NULL; task = next) {
            next = task->next;
            task->run(task, worker);
        }
    return any;
}

void nacre__worker_begin(nacre__worker *worker)
{
    (void)pthread_mutex_lock(&worker->lock);
    while (worker->is_borrowed) (void)pthread_cond_wait(&worker->idle, &worker->lock);
    worker->thread = pthread_self();
    worker->is_running = true;
    (void)pthread_mutex_unlock(&worker->lock);
}

void nacre__worker_end(nacre__worker *worker)
{
    (void)do_tasks(worker, false);
}

bool nacre__worker_is_here(nacre__worker *worker)
{
    (void)pthread_mutex_lock(&worker->lock);
    const bool is_here = worker->is_running && pthread_equal(worker->thread, pthread_self()) != 0;
    (void)pthread_mutex_unlock(&worker->lock);
    return is_here;
}

static void wake(const nacre__worker *worker)
{
    int error = errno; /* restored, because this runs in signal handlers */
    ssize_t written = write(worker->wake_write, "", 1);
    (void)written; /* a full pipe is readable already */
    errno = error;
}

void nacre__worker_post(nacre__worker *worker, nacre__task *task)
{
    task->next = NULL;
    (void)pthread_mutex_lock(&worker->lock);
    while (worker->is_borrowed) (void)pthread_cond_wait(&worker->idle, &worker->lock);
    const bool is_running = worker->is_running;
    if (is_running) {
        if (worker->last_task != NULL) worker->last_task->next = task;
        else worker->tasks = task;
        worker->last_task = task;
    } else worker->is_borrowed = true;
    (void)pthread_mutex_unlock(&worker->lock);
    if (is_running) {
        wake(worker);
        return;
    }
    task->run(task, worker);
    (void)pthread_mutex_lock(&worker->lock);
    worker->is_borrowed = false;
    (void)pthread_cond_broadcast(&worker->idle);
    (void)pthread_mutex_unlock(&worker->lock);
}

/* ---- Running ---------------------------------------------------------------------------------------------------------- */

/* Handles the wake-up; false: stop. */
static bool go_on(nacre__worker *worker)
{
    char bytes[64];
    while (read(worker->wake_read, bytes, sizeof bytes) > 0) {}
    nacre__change *changes = take_changes(worker);
    for (nacre__change *c = changes; c != NULL; c = c->next) nacre_site_changed(worker->site, c->path);
    free_changes(changes);
    if (do_tasks(worker, true)) nacre__loop_touch(worker->loop);
    return !atomic_exchange(&worker->is_stopped, false);
}

nacre_err nacre__worker_step(nacre__worker *worker, uint32_t max_wait_ms, bool *is_stopped, nacre_detail *why)
{
    const nacre_err err = nacre_loop_step(worker->loop, max_wait_ms, why);
    *is_stopped = err == NACRE_OK && nacre__loop_woken(worker->loop) && !go_on(worker);
    return err;
}

nacre_err nacre__worker_run(nacre__worker *worker, nacre_detail *why)
{
    bool is_stopped = false;
    nacre_err err = NACRE_OK;
    nacre__worker_begin(worker);
    while (err == NACRE_OK && !is_stopped) err = nacre__worker_step(worker, UINT32_MAX, &is_stopped, why);
    nacre__worker_end(worker);
    return err;
}

void nacre__worker_stop(nacre__worker *worker)
{
    atomic_store(&worker->is_stopped, true);
    wake(worker);
}

/* Out of memory the change is dropped; observers get the next one, or ask again after Max-Age. */
void nacre__worker_tell(nacre__worker *worker, const char *path)
{
    const size_t size = strlen(path) + 1;
    nacre__change *change = malloc(sizeof *change + size);
    if (change == NULL) return;
    memcpy(change->path, path, size);
    (void)pthread_mutex_lock(&worker->lock);
    bool known = false;
    for (const nacre__change *c = worker->changes; c != NULL && !known; c = c->next) known = strcmp(c->path, path) == 0;
    change->next = worker->changes;
    if (!known) worker->changes = change;
    (void)pthread_mutex_unlock(&worker->lock);
    if (known) free(change);
    else wake(worker);
}
