/* SPDX-License-Identifier: MIT */
/* worker: one thread's provider, socket, loop with endpoint and transfer, and site. Contexts and resources are shared; a
 * change made on one thread is passed to the observers of all workers. */
#ifndef NACRE_IO_WORKER_H
#define NACRE_IO_WORKER_H

#include "io/server/locks.h"

#include <nacre/server.h>

#include <pthread.h>
#include <stdatomic.h>

/* A path whose observers are to be notified. */
typedef struct nacre__change {
    struct nacre__change *next;
    char path[];
} nacre__change;

/* What a worker does for another thread, between two of its steps. */
typedef struct nacre__worker nacre__worker;
typedef struct nacre__task {
    struct nacre__task *next;
    void (*run)(struct nacre__task *task, nacre__worker *worker); /* may free the task */
} nacre__task;

struct nacre__worker {
    nacre_crypto crypto;
    nacre_udp *udp;
    nacre_loop *loop;
    nacre_site *site;
    struct nacre__loader *loader; /* of the server's databases; NULL: none */
    void *site_memory;
    int wake_read, wake_write; /* a pipe: a write ends the loop's current step */
    atomic_bool is_stopped;
    pthread_mutex_t table_lock; /* held by the worker while it searches the table of contexts, and by what changes it */
    pthread_mutex_t lock;       /* guards the fields below */
    pthread_cond_t idle;        /* `is_borrowed` ends */
    pthread_t thread;           /* … that runs it, if `is_running` */
    bool is_running;
    bool is_borrowed; /* another thread does a task of this worker, which does not run */
    nacre__change *changes;
    nacre__task *tasks, *last_task; /* of a worker that runs */
};

/* nacre__worker_open takes ownership of `udp`, also on failure; `config` is resolved. `locks` is NULL when no other thread uses the contexts. */
NACRE_MUST_USE nacre_err nacre__worker_open(nacre__worker *worker, nacre_udp *udp, const nacre_table *contexts,
                                            nacre__locks *locks, const nacre_server_config *config, nacre_detail *why);
/* Call nacre__worker_close_loop before the contexts are closed and nacre__worker_close after: it closes their provider. */
void nacre__worker_close_loop(nacre__worker *worker);
void nacre__worker_close(nacre__worker *worker);

/* nacre__worker_step runs one step; `is_stopped`: nacre__worker_stop was called. nacre__worker_run steps until then. */
NACRE_MUST_USE nacre_err nacre__worker_step(nacre__worker *worker, uint32_t max_wait_ms, bool *is_stopped,
                                            nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__worker_run(nacre__worker *worker, nacre_detail *why);

/* nacre__worker_begin and _end: the calling thread runs the worker; nacre__worker_run does both. */
void nacre__worker_begin(nacre__worker *worker);
void nacre__worker_end(nacre__worker *worker);

/* Any thread may call these: nacre__worker_post has the worker do a task, or does it at once if no thread runs the worker;
 * nacre__worker_is_here: whether the calling thread runs it. */
void nacre__worker_post(nacre__worker *worker, nacre__task *task);
bool nacre__worker_is_here(nacre__worker *worker);

/* Any thread may call these two; nacre__worker_stop also a signal handler. */
void nacre__worker_stop(nacre__worker *worker);
void nacre__worker_tell(nacre__worker *worker, const char *path);

#endif
