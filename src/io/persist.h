/* SPDX-License-Identifier: MIT */
/* persist: serves the PERSIST events of one endpoint from the stores added to its loop. Stores that have `submit`, as
 * directories and databases do, are written by store threads; others are called in the loop's thread. */
#ifndef NACRE_IO_PERSIST_H
#define NACRE_IO_PERSIST_H

#include "io/store_health.h"
#include "io/stores.h"

#include <nacre/endpoint.h>

/* All zero: no stores, and no threads: every store is called at once. */
typedef struct nacre__persist {
    nacre__stores stores;
    /* gives the store of a context that has none in `stores`, which keeps it; NULL: there are no others */
    bool (*find_store)(void *self, const nacre_context *ctx, nacre_store *store);
    void *find_store_self;
    nacre_lock lock;               /* for contexts shared with other loops */
    nacre__store_threads *threads; /* of this loop, or shared by all loops of a server */
    nacre__store_inbox inbox;      /* open since the first job */
    nacre__store_jobs ready;       /* jobs since the last push */
    size_t num_jobs;               /* pushed or ready, and not taken */
    nacre_detail failure;          /* text of the last failure */
    nacre__store_health *health;   /* of this loop, or shared by all loops of a server; NULL: not kept */
    uint64_t retry_at;             /* ms: next retry of failing stores, … */
    size_t retry_from;             /* … from this index of `health`, … */
    bool retry_failed;             /* … until one fails again */
    bool telling;                  /* these functions are calling nacre_endpoint_confirmed, not the program */
} nacre__persist;

void nacre__persist_free(nacre__persist *p);

/* nacre__persist_serve calls the store of a context, or makes a job for the store threads, and reports the result to the endpoint
 * as soon as it is known. */
void nacre__persist_serve(nacre__persist *p, nacre_endpoint *ep, nacre_context *ctx);

/* nacre__persist_push hands the new jobs to the store threads. */
void nacre__persist_push(nacre__persist *p, nacre_endpoint *ep);

/* nacre__persist_take confirms what the store threads have made durable, and tells the endpoint. nacre__persist_fd is readable
 * when there is something to take; -1: not now. */
void nacre__persist_take(nacre__persist *p, nacre_endpoint *ep);
int nacre__persist_fd(const nacre__persist *p);

/* nacre__persist_on_confirmed is called by nacre_endpoint_confirmed, for instance for an asynchronous store. */
void nacre__persist_on_confirmed(void *self, nacre_context *ctx, nacre_err err);

/* nacre__persist_report_failure: a store that returned NACRE_ERR_NOT_YET has failed. Any thread may call it; exchanges that
 * wait for the store end in the next nacre__persist_look of their loop. */
void nacre__persist_report_failure(nacre__persist *p, nacre_context *ctx, nacre_err err, const char *text);

/* nacre__persist_forget removes a context and its store. It waits for a write of it that has begun. */
void nacre__persist_forget(nacre__persist *p, const nacre_context *ctx);

/* nacre__persist_uses: whether a request of that context to its store is under way. */
bool nacre__persist_uses(const nacre__persist *p, const nacre_context *ctx);

/* nacre__persist_retry tries some of the failing stores again once nacre__persist_deadline has passed (UINT64_MAX: never).
 * Without it a store that works again would be noticed only when a message needs it. */
void nacre__persist_retry(nacre__persist *p, nacre_endpoint *ep, uint64_t now_ms);
uint64_t nacre__persist_deadline(const nacre__persist *p);

/* nacre__persist_look polls asynchronous stores: they may confirm in another thread, without a call to the loop. */
void nacre__persist_look(nacre__persist *p, nacre_endpoint *ep);

#endif
