/* SPDX-License-Identifier: MIT */
/* server_run: a server's threads, from nacre_server_run to nacre_server_stop. */
#include "io/server/server_internal.h"
#include "base/hosted/detail.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* A thread other than the first. */
typedef struct helper {
    nacre_server *server;
    nacre__worker *worker;
    pthread_t thread;
    nacre_err err;
    nacre_detail why;
} helper;

static void *help(void *arg)
{
    helper *h = arg;
    h->err = nacre__worker_run(h->worker, &h->why);
    if (h->err != NACRE_OK) nacre_server_stop(h->server); /* if one thread fails, the server stops and reports it */
    return NULL;
}

static nacre_err run_first(nacre_server *server, nacre_detail *why)
{
    if (nacre__worker_is_here(nacre__server_first(server)))
        return nacre__fail(why, NACRE_ERR_BUSY, "a callback of this server runs: it runs already");
    return nacre__worker_run(nacre__server_first(server), why);
}

/* Threads inherit the signal mask, so that signals are delivered to the caller's thread only. */
static int start(helper *h)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&h->thread, NULL, help, h);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static nacre_err run_all(nacre_server *server, helper *helpers, nacre_detail *why)
{
    size_t num = 0;
    int error = 0;
    for (; num + 1 < server->num_workers && error == 0; num += error == 0) {
        helpers[num] = (helper){ .server = server, .worker = &server->workers[num + 1] };
        error = start(&helpers[num]);
    }
    nacre_err err = error == 0 ? run_first(server, why)
                               : nacre__fail(why, NACRE_ERR_NO_MEMORY, "cannot start a thread: %s", strerror(error));
    for (size_t i = 0; i < num; i++) nacre__worker_stop(helpers[i].worker);
    for (size_t i = 0; i < num; i++) {
        (void)pthread_join(helpers[i].thread, NULL);
        if (err != NACRE_OK || helpers[i].err == NACRE_OK) continue;
        err = helpers[i].err;
        if (why != NULL) *why = helpers[i].why;
    }
    return err;
}

nacre_err nacre_server_run(nacre_server *server, nacre_detail *why)
{
    if (server->num_workers == 1) return run_first(server, why);
    helper *helpers = calloc(server->num_workers, sizeof *helpers); /* for all threads but the first */
    const nacre_err err = helpers != NULL
                              ? run_all(server, helpers, why)
                              : nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for the server's threads");
    free(helpers);
    return err;
}

/* ---- In the program's loop ---------------------------------------------------------------------------------------------- */

nacre_err nacre_server_step(nacre_server *server, uint32_t max_wait_ms, nacre_detail *why)
{
    bool is_stopped = false;
    if (server->num_workers > 1)
        return nacre__fail(why, NACRE_ERR_UNSUPPORTED, "a server of several threads runs by nacre_server_run");
    nacre__worker *worker = nacre__server_first(server);
    if (nacre__worker_is_here(worker))
        return nacre__fail(why, NACRE_ERR_BUSY, "a callback of this server runs: a step inside of it is not possible");
    nacre__worker_begin(worker);
    const nacre_err err = nacre__worker_step(worker, max_wait_ms, &is_stopped, why);
    nacre__worker_end(worker);
    return err == NACRE_OK && is_stopped ? nacre__fail(why, NACRE_ERR_STALE, "the server was stopped") : err;
}

size_t nacre_server_fds(nacre_server *server, nacre_fd *fds, size_t num)
{
    return server->num_workers > 1 ? 0 : nacre_loop_fds(nacre__server_first(server)->loop, fds, num);
}

uint64_t nacre_server_deadline(const nacre_server *server)
{
    return server->num_workers > 1 ? UINT64_MAX : nacre_loop_deadline(nacre__server_first(server)->loop);
}

void nacre_server_stop(nacre_server *server)
{
    nacre__worker_stop(nacre__server_first(server));
}
