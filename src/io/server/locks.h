/* SPDX-License-Identifier: MIT */
/* locks: contexts that several threads use, each under the lock of its stripe.
 *
 * A context's numbers and its window may be touched by one thread at a time. A lock in each context would cost every
 * context of every device its bytes; here some hundred locks stand for all contexts, chosen by address, so that two
 * threads seldom meet at one. A burst takes the locks of all its contexts at once, always in the order of the stripes, so
 * that no two threads wait for each other. */
#ifndef NACRE_IO_LOCKS_H
#define NACRE_IO_LOCKS_H

#include <nacre/context.h>

#include <pthread.h>

enum { NACRE__STRIPES = 256 };

typedef struct nacre__locks {
    pthread_mutex_t stripes[NACRE__STRIPES];
} nacre__locks;

/* nacre__locks_init: NACRE_OK; NACRE_ERR_NO_MEMORY when the system has no more of them. */
NACRE_MUST_USE nacre_err nacre__locks_init(nacre__locks *locks);
void nacre__locks_destroy(nacre__locks *locks);

/* Take, and give back, the locks of these contexts; one may be there twice. */
void nacre__locks_take(nacre__locks *locks, nacre_context *const *contexts, size_t num);
void nacre__locks_give(nacre__locks *locks, nacre_context *const *contexts, size_t num);

#endif
