/* SPDX-License-Identifier: MIT */
/* persist_waits: contexts whose store must make something durable, and everything that waits for it (RFC 8613 B.1).
 *
 * A context is asked for by one PERSIST event, and not again until it is confirmed. Whatever NACRE_ERR_NOT_YET stopped waits
 * here as a reference to its pool entry, whichever layer owns it; when the context is confirmed the waiters are released in the
 * order in which they came. A context may also be asked for before anything waits. */
#ifndef NACRE_ENDPOINT_CORE_PERSIST_WAITS_H
#define NACRE_ENDPOINT_CORE_PERSIST_WAITS_H

#include "base/pool_layout.h"
#include "endpoint/core/core.h"
#include "endpoint/core/queue.h"

typedef struct nacre__persist_request {
    nacre_context *context;
    bool pending; /* its event is still to be pulled */
} nacre__persist_request;

typedef struct nacre__persist_wait {
    nacre_context *context;
    nacre__ref waiter;
    bool released; /* confirmed, and to be taken by nacre__persist_next */
} nacre__persist_wait;

typedef struct nacre__persist_waits {
    const nacre__core *core;
    nacre__persist_request *requests;
    nacre__persist_wait *waits;
    uint32_t num_requests, num_waits, max; /* max: of each */
} nacre__persist_waits;

/* `max`: as many as all pools together have entries that can wait. */
void nacre__persist_waits_lay_out(nacre__persist_waits *p, nacre__pool_layout *layout, uint32_t max);

/* Asks for `context`, unless it is asked for already. */
void nacre__request_persist(nacre__persist_waits *p, nacre_context *context);

/* `context` has just spent a sequence number: asks for more before none is left. */
void nacre__request_persist_early(nacre__persist_waits *p, nacre_context *context);

/* The pool entry waits for `context` from now on, which is asked for. It must not wait already. */
void nacre__persist_join(nacre__persist_waits *p, nacre_context *context, uint8_t kind, uint32_t index);

/* The pool entry does not wait any more, if it did. */
void nacre__persist_leave(nacre__persist_waits *p, uint8_t kind, uint32_t index);

/* The store has answered for `context`, or the context is removed: it may be asked for anew, and nacre__persist_next gives
 * what waited for it, one by one, each of which does not wait any more then. False: there is no more. */
void nacre__persist_confirmed(nacre__persist_waits *p, const nacre_context *context);
bool nacre__persist_next(nacre__persist_waits *p, nacre__ref *waiter);

/* The next context to tell the application about; NULL when there is none. */
nacre_context *nacre__persist_event(nacre__persist_waits *p);

/* Whether a sequence number can be taken from `context`, and whether its replay window is durable: decided by what is durable
 * now, because a store may fail in one of the two, and several endpoints may ask for one context. */
bool nacre__has_number(const nacre__core *core, nacre_context *context);
bool nacre__has_durable_window(const nacre__core *core, nacre_context *context);

#endif
