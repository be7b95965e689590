/* SPDX-License-Identifier: MIT */
/* removal: a context leaves a server that runs.
 *
 *     out of the table and the set -> a task for each worker: its exchanges and observations end, its store is forgotten
 *                                  -> the last one is done: no thread refers to the context, and it is closed
 *
 * A worker does the task between two steps, when no burst of its endpoint refers to contexts that it found before. */
#include "io/loop_internal.h"
#include "io/server/removal.h"
#include "io/server/server_internal.h"
#include "base/hosted/detail.h"

#include <stdlib.h>

typedef nacre__removal removal;
typedef struct worker_task {
    nacre__task task; /* first */
    removal *owner;
} worker_task;
struct nacre__removal {
    removal *next, *previous; /* of the server's list, of those with a context that is not closed; under `index` */
    nacre_server *server;
    nacre__key key;
    nacre__claims *stale;
    /* Under the server's `removal_lock`: */
    size_t num_left;     /* workers that may still refer to it */
    bool is_detached;    /* no thread waits: the last worker closes it */
    worker_task tasks[]; /* one for each worker */
};

void nacre__removal_assign(nacre__removal *r, const nacre__key *key)
{
    nacre_server *server = r->server;
    r->key = *key;
    r->next = server->removals;
    if (r->next != NULL) r->next->previous = r;
    server->removals = r;
}

static void unlink_removal(removal *r)
{
    nacre_server *server = r->server;
    (void)pthread_mutex_lock(&server->index);
    if (r->previous != NULL) r->previous->next = r->next;
    else server->removals = r->next;
    if (r->next != NULL) r->next->previous = r->previous;
    (void)pthread_mutex_unlock(&server->index);
}

const nacre_context *nacre__removal_context(const nacre__removal *r)
{
    return r->key.ctx;
}

const nacre__removal *nacre__removal_next(const nacre__removal *r)
{
    return r->next;
}

/* No thread refers to the context: closes it, frees the removal. */
static nacre_err finish(removal *r, nacre_detail *why)
{
    nacre_server *server = r->server;
    nacre_detail text = { "" };
    nacre_context *ctx = r->key.ctx;
    if (ctx != NULL) unlink_removal(r);
    const nacre_err err = nacre__key_close(&r->key, &text);
    if (ctx != NULL && server->on_removed != NULL) server->on_removed(server->removed_user, ctx, err, text.text);
    if (err != NACRE_OK) (void)nacre__fail(why, err, "%s", text.text);
    nacre__claims_free_all(r->stale);
    free(r);
    return err;
}

static void remove_from_worker(nacre__task *task, nacre__worker *worker)
{
    removal *r = ((worker_task *)task)->owner;
    if (r->key.ctx != NULL) {
        nacre_transfer_remove_context(nacre_loop_transfer(worker->loop), r->key.ctx);
        nacre_loop_remove_store(worker->loop, r->key.ctx);
    }
    (void)pthread_mutex_lock(&r->server->removal_lock);
    const bool is_last = --r->num_left == 0, is_mine = is_last && r->is_detached;
    if (is_last && !is_mine) (void)pthread_cond_broadcast(&r->server->removal_done);
    (void)pthread_mutex_unlock(&r->server->removal_lock);
    if (is_mine) (void)finish(r, NULL);
}

static bool is_worker_thread(const nacre_server *server)
{
    bool is_here = false;
    for (size_t i = 0; i < server->num_workers && !is_here; i++) is_here = nacre__worker_is_here(&server->workers[i]);
    return is_here;
}

/* Waits until all workers are done. False: they are not, and this thread runs one of them, so it must not wait. */
static bool wait_for_all(removal *r)
{
    const bool may_wait = !is_worker_thread(r->server);
    (void)pthread_mutex_lock(&r->server->removal_lock);
    while (may_wait && r->num_left > 0) (void)pthread_cond_wait(&r->server->removal_done, &r->server->removal_lock);
    r->is_detached = r->num_left > 0;
    const bool is_done = !r->is_detached;
    (void)pthread_mutex_unlock(&r->server->removal_lock);
    return is_done;
}

nacre__removal *nacre__removal_new(nacre_server *server)
{
    removal *r = calloc(1, sizeof *r + server->num_workers * sizeof r->tasks[0]);
    if (r == NULL) return NULL;
    r->server = server;
    r->num_left = server->num_workers;
    return r;
}

void nacre__removal_start(nacre__removal *r)
{
    nacre_server *server = r->server;
    r->stale = nacre__context_set_stale(&server->context_set);
    for (size_t i = 0; i < server->num_workers; i++) {
        r->tasks[i] = (worker_task){ { NULL, remove_from_worker }, r };
        nacre__worker_post(&server->workers[i], &r->tasks[i].task);
    }
}

nacre_err nacre__removal_end(nacre__removal *r, nacre_detail *why)
{
    return wait_for_all(r) ? finish(r, why) : NACRE_OK;
}

void nacre__removal_free(nacre__removal *r)
{
    free(r);
}
