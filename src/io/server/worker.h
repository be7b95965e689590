/* SPDX-License-Identifier: MIT */
/* worker: what one thread of a server has for itself: a provider, a socket, a loop with endpoint and transfer, and a site.
 * Contexts and resources are shared; what was changed on one thread is told to the observers of all. */
#ifndef NACRE_IO_WORKER_H
#define NACRE_IO_WORKER_H

#include "io/server/locks.h"

#include <nacre/loop.h>
#include <nacre/site.h>

#include <pthread.h>
#include <stdatomic.h>

/* A path whose observers are to be told. */
typedef struct nacre__change {
    struct nacre__change *next;
    char path[];
} nacre__change;

typedef struct nacre__worker {
    nacre_crypto crypto;
    nacre_udp *udp;
    nacre_loop *loop;
    nacre_site *site;
    void *site_memory;
    int wake_read, wake_write; /* a pipe: whoever writes to it ends the step that the loop is in */
    atomic_bool is_stopped;
    pthread_mutex_t lock; /* of what follows */
    nacre__change *changes;
} nacre__worker;

/* nacre__worker_open takes over `udp`, also when it fails. `locks` is NULL when no other thread has the contexts. */
NACRE_MUST_USE nacre_err nacre__worker_open(nacre__worker *worker, nacre_udp *udp, const nacre_table *contexts,
                                            nacre__locks *locks, nacre_detail *why);
/* nacre__worker_close_loop comes before the contexts are closed, nacre__worker_close behind: their keys are its provider's. */
void nacre__worker_close_loop(nacre__worker *worker);
void nacre__worker_close(nacre__worker *worker);

/* nacre__worker_run serves until it is stopped. */
/* One step of nacre__worker_run; `is_stopped`: nacre__worker_stop was called. */
NACRE_MUST_USE nacre_err nacre__worker_step(nacre__worker *worker, uint32_t max_wait_ms, bool *is_stopped,
                                            nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__worker_run(nacre__worker *worker, nacre_detail *why);

/* These two may be called by any thread, the first by a signal handler too. */
void nacre__worker_stop(nacre__worker *worker);
void nacre__worker_tell(nacre__worker *worker, const char *path);

#endif
