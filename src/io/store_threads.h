/* SPDX-License-Identifier: MIT */
/* store_threads: a few threads that call the `submit` of stores, so that no loop waits for a disk. One object belongs to one
 * loop, or to all loops of a server.
 *
 * A job is one request of one context. Each loop has at most one job of a context at a time, which bounds the queue, and takes
 * finished jobs from its inbox. The threads start when there is work for them; without any, nacre__store_threads_push calls
 * the stores itself. */
#ifndef NACRE_IO_STORE_THREADS_H
#define NACRE_IO_STORE_THREADS_H

#include "context/sequence.h"
#include "io/store_times.h"

#include <nacre/store.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

/* A store that hangs occupies one thread; the others go on with other stores. */
enum { NACRE__STORE_THREADS = 4 };

typedef struct nacre__store_threads nacre__store_threads;
typedef struct nacre__store_inbox nacre__store_inbox;

typedef enum nacre__store_job_state {
    NACRE__JOB_NEW = 0,
    NACRE__JOB_QUEUED,
    NACRE__JOB_TAKEN, /* the store has it */
    NACRE__JOB_DONE,  /* in the inbox */
} nacre__store_job_state;

typedef struct nacre__store_job {
    nacre_store_request request; /* first; what the store sees */
    nacre_store store;
    nacre_context *ctx;           /* the loop's; the threads do not read it */
    nacre__store_needs submitted; /* what it was when the job was made */
    nacre__store_inbox *inbox;
    nacre__store_threads *threads; /* private, with all below; set by nacre__store_threads_push */
    const void *batch;
    uint64_t pushed_us; /* when it was pushed */
    struct nacre__store_job *next;
    nacre__store_job_state state;
    nacre_err err; /* of a job that was taken from the inbox, with … */
    char *text;    /* … its text; NULL: none, or out of memory */
} nacre__store_job;
void nacre__store_job_free(nacre__store_job *job); /* NULL is allowed */

typedef struct nacre__store_jobs { /* a list in order; all zero is empty */
    nacre__store_job *first, *last;
} nacre__store_jobs;
void nacre__store_jobs_add(nacre__store_jobs *list, nacre__store_job *job);
bool nacre__store_jobs_drop(nacre__store_jobs *list, const nacre__store_job *job); /* false: it is not in it */

/* The finished jobs of one loop. `read_fd` is readable while there are some. All zero: not open. */
struct nacre__store_inbox {
    bool is_open;
    int read_fd, write_fd;
    nacre__store_jobs done; /* under the threads' lock, as is num_open */
    size_t num_open;        /* pushed, not done */
};
/* NACRE_OK, also when it is open; NACRE_ERR_FILE: no descriptors */
NACRE_MUST_USE nacre_err nacre__store_inbox_open(nacre__store_inbox *inbox);
void nacre__store_inbox_close(nacre__store_inbox *inbox);

typedef struct nacre__store_thread {
    nacre__store_threads *threads;
    pthread_t thread;
    const void *batch;      /* what it writes at present; NULL: nothing */
    nacre__store_jobs held; /* jobs of that batch, until it is written */
} nacre__store_thread;

struct nacre__store_threads {
    pthread_mutex_t lock; /* over all below but the atomics */
    pthread_cond_t work;  /* a queue has jobs, or `ends` */
    pthread_cond_t done;  /* a job is done */
    /* Served in turns, so that contexts with traffic, which need numbers, do not wait for all that join. */
    nacre__store_jobs queues[2];
    unsigned next_queue;
    nacre__store_thread all[NACRE__STORE_THREADS];
    atomic_size_t num; /* started */
    size_t num_idle;
    bool ends;
    nacre__store_times times;
    _Atomic pid_t owner; /* a child of fork has no such threads */
};

/* NACRE_OK; NACRE_ERR_NO_MEMORY: nothing to free. */
NACRE_MUST_USE nacre_err nacre__store_threads_init(nacre__store_threads *threads);
/* No job of any loop may be left. */
void nacre__store_threads_free(nacre__store_threads *threads);

/* nacre__store_threads_push submits the jobs of `list`, and empties it. NACRE_OK: each of them comes to its inbox.
 * NACRE_ERR_LOCKED in a child of fork, where the threads do not exist: the list is unchanged. */
NACRE_MUST_USE nacre_err nacre__store_threads_push(nacre__store_threads *threads, nacre__store_jobs *list);

/* nacre__store_threads_take empties the inbox and returns its jobs, linked by `next`; the caller frees them. */
nacre__store_job *nacre__store_threads_take(nacre__store_threads *threads, nacre__store_inbox *inbox);

/* nacre__store_threads_cancel ends a job that was pushed and not taken, and frees it: it drops one that is queued, and waits for
 * one that the store has. nacre__store_threads_cancel_all does so for all of an inbox. */
void nacre__store_threads_cancel(nacre__store_threads *threads, nacre__store_job *job);
void nacre__store_threads_cancel_all(nacre__store_threads *threads, nacre__store_inbox *inbox);

#endif
