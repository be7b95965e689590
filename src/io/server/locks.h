/* SPDX-License-Identifier: MIT */
/* locks: lock stripes for contexts shared by threads.
 *
 * One thread at a time may use a context's sequence numbers and replay window. Instead of a mutex in each context, 256 mutexes
 * serve all contexts, chosen by a hash of the context's address, so contention is rare and contexts stay small. A burst locks
 * the stripes of all its contexts at once, in ascending order, so that threads cannot deadlock. */
#ifndef NACRE_IO_LOCKS_H
#define NACRE_IO_LOCKS_H

#include <nacre/context.h>

#include <pthread.h>

enum { NACRE__STRIPES = 256 };

typedef struct nacre__locks {
    pthread_mutex_t stripes[NACRE__STRIPES];
} nacre__locks;

/* nacre__locks_init: NACRE_OK; NACRE_ERR_NO_MEMORY: the system has no more mutexes. */
NACRE_MUST_USE nacre_err nacre__locks_init(nacre__locks *locks);
void nacre__locks_destroy(nacre__locks *locks);

/* Lock and unlock the stripes of these contexts; duplicates are allowed. */
void nacre__locks_take(nacre__locks *locks, nacre_context *const *contexts, size_t num);
void nacre__locks_give(nacre__locks *locks, nacre_context *const *contexts, size_t num);

#endif
