/* SPDX-License-Identifier: MIT */
/* persist_waits: persist requests of contexts, and what waits for them (RFC 8613 B.1).
 *
 * Each context has at most one PERSIST event outstanding. Pool entries stopped by NACRE_ERR_NOT_YET wait here by reference,
 * whichever layer owns them; when the context is confirmed they are released in order. A request may also be made before
 * anything waits. */
#ifndef NACRE_ENDPOINT_CORE_PERSIST_WAITS_H
#define NACRE_ENDPOINT_CORE_PERSIST_WAITS_H

#include "base/pool_layout.h"
#include "endpoint/core/core.h"
#include "endpoint/core/queue.h"

typedef struct nacre__persist_request {
    nacre_context *context;
    bool pending; /* its event was not pulled yet */
} nacre__persist_request;

typedef struct nacre__persist_wait {
    nacre_context *context;
    nacre__ref waiter;
    bool released; /* confirmed; nacre__persist_next takes it */
} nacre__persist_wait;

typedef struct nacre__persist_waits {
    const nacre__core *core;
    nacre__persist_request *requests;
    nacre__persist_wait *waits;
    uint32_t num_requests, num_waits, max; /* max: capacity of each */
} nacre__persist_waits;

/* `max`: the number of entries in all pools that can wait. */
void nacre__persist_waits_lay_out(nacre__persist_waits *p, nacre__pool_layout *layout, uint32_t max);

/* Requests persistence of `context`, unless that is outstanding. */
void nacre__request_persist(nacre__persist_waits *p, nacre_context *context);

/* `context` has just spent a sequence number: requests more before they run out. */
void nacre__request_persist_early(nacre__persist_waits *p, nacre_context *context);

/* Makes the pool entry wait for `context`, and requests that. It must not wait already. */
void nacre__persist_join(nacre__persist_waits *p, nacre_context *context, uint8_t kind, uint32_t index);

/* Ends the wait of the pool entry, if any. */
void nacre__persist_leave(nacre__persist_waits *p, uint8_t kind, uint32_t index);

/* The store has answered for `context`, or the context is removed: it may be requested anew. nacre__persist_next then takes
 * its waiters one by one; false: no more. */
void nacre__persist_confirmed(nacre__persist_waits *p, const nacre_context *context);
bool nacre__persist_next(nacre__persist_waits *p, nacre__ref *waiter);

/* Whether a request or a waiter refers to `context`. */
bool nacre__persist_refers_to(const nacre__persist_waits *p, const nacre_context *context);

/* The context of the next PERSIST event, or NULL. */
nacre_context *nacre__persist_event(nacre__persist_waits *p);

/* Whether a sequence number can be taken from `context`, and whether its replay window is durable: judged by the durable
 * state, because a store may fail in one of the two, and several endpoints may request one context. */
bool nacre__has_number(const nacre__core *core, nacre_context *context);
bool nacre__has_durable_window(const nacre__core *core, nacre_context *context);

#endif
