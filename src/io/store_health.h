/* SPDX-License-Identifier: MIT */
/* store_health: the contexts whose stores fail now, and who is told of it. One object belongs to one loop, or to all loops of a
 * server. */
#ifndef NACRE_IO_STORE_HEALTH_H
#define NACRE_IO_STORE_HEALTH_H

#include <nacre/loop.h>

#include <pthread.h>
#include <stdatomic.h>

/* A context whose store fails, and the loop that noticed it and tries again. */
typedef struct nacre__failing_store {
    nacre_context *ctx; /* NULL: free */
    const void *finder;
    uint64_t late; /* num_late when it last failed after having said NACRE_ERR_NOT_YET; 0: it has not */
    nacre_err err; /* of that failure */
} nacre__failing_store;

typedef struct nacre__store_health {
    pthread_mutex_t lock; /* of all below but the counters, and while `on_store` runs: one report at a time */
    nacre__failing_store *entries;
    size_t cap; /* 0 or a power of two, at most three quarters are used */
    atomic_size_t num_failing;
    atomic_uint_least64_t num_failures;
    uint64_t told_at;        /* ms: the last report of a failure */
    uint64_t num_late;       /* failures that came later */
    nacre_on_store on_store; /* may be NULL */
    void *user;
    const char *const *(*claims)(void *self, const nacre_context *ctx); /* may be NULL */
    void *claims_self;
} nacre__store_health;

/* NACRE_OK; NACRE_ERR_NO_MEMORY: there is nothing to free. */
NACRE_MUST_USE nacre_err nacre__store_health_init(nacre__store_health *h);
void nacre__store_health_free(nacre__store_health *h);
void nacre__store_health_watch(nacre__store_health *h, nacre_on_store on_store, void *user);
nacre_store_health nacre__store_health_get(const nacre__store_health *h);

/* The store of `ctx` failed, or worked; `_worked` is true when it failed before. With `h` NULL nothing happens. The
 * caller holds no context's lock. */
void nacre__failed(nacre__store_health *h, nacre_context *ctx, const void *finder, nacre_err err,
                   const nacre_detail *why);
bool nacre__store_worked(nacre__store_health *h, nacre_context *ctx);

/* A store that had said NACRE_ERR_NOT_YET failed. Loops that wait for it compare with what `_num_late` was when they asked. */
void nacre__failed_later(nacre__store_health *h, nacre_context *ctx, const void *finder, nacre_err err,
                         const nacre_detail *why);
uint64_t nacre__store_num_late(nacre__store_health *h);
nacre_err nacre__failed_since(nacre__store_health *h, const nacre_context *ctx, uint64_t num_late); /* or NACRE_OK */

/* `finder` tries it again from now on. */
void nacre__store_found_by(nacre__store_health *h, const nacre_context *ctx, const void *finder);

/* The context is removed: no report, and `ctx` is not read. */
void nacre__store_forget(nacre__store_health *h, const nacre_context *ctx);

/* The next context that `finder` found, from place *at on; NULL after the last. */
nacre_context *nacre__store_next_failing(nacre__store_health *h, const void *finder, size_t *at);

#endif
