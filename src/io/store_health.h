/* SPDX-License-Identifier: MIT */
/* store_health: the contexts whose stores fail, and the callback that reports them. One object belongs to one loop, or to all
 * loops of a server. */
#ifndef NACRE_IO_STORE_HEALTH_H
#define NACRE_IO_STORE_HEALTH_H

#include <nacre/loop.h>

#include <pthread.h>
#include <stdatomic.h>

/* A context whose store fails, and the loop that retries it. */
typedef struct nacre__failing_store {
    nacre_context *ctx; /* NULL: free */
    const void *finder;
    uint64_t late; /* num_late at its last failure after NACRE_ERR_NOT_YET; 0: none */
    nacre_err err; /* of that failure */
} nacre__failing_store;

typedef struct nacre__store_health {
    pthread_mutex_t lock; /* guards all but the counters; held while `on_store` runs: one report at a time */
    nacre__failing_store *entries;
    size_t cap; /* 0 or a power of two; load factor at most 3/4 */
    atomic_size_t num_failing;
    atomic_uint_least64_t num_failures;
    uint64_t told_at;        /* ms: the last report of a failure */
    uint64_t num_late;       /* failures after NACRE_ERR_NOT_YET */
    nacre_on_store on_store; /* may be NULL */
    void *user;
    const char *const *(*claims)(void *self, const nacre_context *ctx); /* may be NULL */
    void *claims_self;
} nacre__store_health;

/* NACRE_OK; NACRE_ERR_NO_MEMORY: nothing to free. */
NACRE_MUST_USE nacre_err nacre__store_health_init(nacre__store_health *h);
void nacre__store_health_free(nacre__store_health *h);
void nacre__store_health_watch(nacre__store_health *h, nacre_on_store on_store, void *user);
nacre_store_health nacre__store_health_get(const nacre__store_health *h);

/* The store of `ctx` failed, or worked; `_worked` returns true when it was failing. `h` may be NULL: no effect. The caller
 * holds no lock of a context. */
void nacre__failed(nacre__store_health *h, nacre_context *ctx, const void *finder, nacre_err err,
                   const nacre_detail *why);
bool nacre__store_worked(nacre__store_health *h, nacre_context *ctx);

/* A store that returned NACRE_ERR_NOT_YET has failed. Waiting loops compare `_num_late` with its value when they called it. */
void nacre__report_failure(nacre__store_health *h, nacre_context *ctx, const void *finder, nacre_err err,
                           const nacre_detail *why);
uint64_t nacre__store_num_late(nacre__store_health *h);
nacre_err nacre__failed_since(nacre__store_health *h, const nacre_context *ctx, uint64_t num_late); /* or NACRE_OK */

/* From now on `finder` retries the store of `ctx`. */
void nacre__store_found_by(nacre__store_health *h, const nacre_context *ctx, const void *finder);

/* The context is removed: no report; `ctx` is not dereferenced. */
void nacre__store_forget(nacre__store_health *h, const nacre_context *ctx);

/* The next failing context of `finder`, from index *at on; NULL after the last. */
nacre_context *nacre__store_next_failing(nacre__store_health *h, const void *finder, size_t *at);

#endif
