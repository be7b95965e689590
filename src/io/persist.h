/* SPDX-License-Identifier: MIT */
/* persist: serves the PERSIST events of one endpoint from the stores and packs added to its loop. */
#ifndef NACRE_IO_PERSIST_H
#define NACRE_IO_PERSIST_H

#include "io/store_health.h"
#include "io/stores.h"
#include "store/pack/pack_share.h"

#include <nacre/endpoint.h>
#include <nacre/pack.h>

/* All zero: no stores. */
typedef struct nacre__persist {
    nacre__stores stores;
    nacre_pack **packs; /* borrowed */
    size_t num_packs;
    nacre_lock lock;               /* for contexts shared with other loops */
    nacre__pack_request *requests; /* requests to shared packs since the last commit */
    size_t num_requests, cap_requests;
    nacre_detail failure;        /* text of the last failure */
    nacre__store_health *health; /* of this loop, or shared by all loops of a server; NULL: not kept */
    uint64_t retry_at;           /* ms: next retry of failing stores, … */
    size_t retry_from;           /* … from this index of `health`, … */
    bool retry_failed;           /* … until one fails again */
    bool telling;                /* these functions are calling nacre_endpoint_confirmed, not the program */
} nacre__persist;

/* NACRE_OK; NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre__persist_add_pack(nacre__persist *p, nacre_pack *pack);
void nacre__persist_free(nacre__persist *p);

/* nacre__persist_serve calls the store of a context, or queues the request for its pack, and reports the result to the endpoint
 * as soon as it is known. */
void nacre__persist_serve(nacre__persist *p, nacre_endpoint *ep, nacre_context *ctx);

/* nacre__persist_commit makes the requests to packs since the last commit durable. */
void nacre__persist_commit(nacre__persist *p, nacre_endpoint *ep);

/* nacre__persist_on_confirmed is called by nacre_endpoint_confirmed, for instance for an asynchronous store. */
void nacre__persist_on_confirmed(void *self, nacre_context *ctx, nacre_err err);

/* nacre__persist_report_failure: a store that returned NACRE_ERR_NOT_YET has failed. Any thread may call it; exchanges that
 * wait for the store end in the next nacre__persist_look of their loop. */
void nacre__persist_report_failure(nacre__persist *p, nacre_context *ctx, nacre_err err, const char *text);

/* nacre__persist_forget removes a context and its store. */
void nacre__persist_forget(nacre__persist *p, const nacre_context *ctx);

/* nacre__persist_retry tries some of the failing stores again once nacre__persist_deadline has passed (UINT64_MAX: never).
 * Without it a store that works again would be noticed only when a message needs it. */
void nacre__persist_retry(nacre__persist *p, nacre_endpoint *ep, uint64_t now_ms);
uint64_t nacre__persist_deadline(const nacre__persist *p);

/* nacre__persist_look polls asynchronous stores: they may confirm in another thread, without a call to the loop. */
void nacre__persist_look(nacre__persist *p, nacre_endpoint *ep);

#endif
