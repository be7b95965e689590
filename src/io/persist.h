/* SPDX-License-Identifier: MIT */
/* persist: serves the PERSIST events of one endpoint from the stores and packs that were added to its loop. */
#ifndef NACRE_IO_PERSIST_H
#define NACRE_IO_PERSIST_H

#include "io/store_health.h"
#include "io/stores.h"
#include "store/pack/pack_share.h"

#include <nacre/endpoint.h>
#include <nacre/pack.h>

/* All zero has no store. */
typedef struct nacre__persist {
    nacre__stores stores;
    nacre_pack **packs; /* borrowed */
    size_t num_packs;
    nacre_lock lock;          /* of contexts that other loops have too, */
    nacre__pack_wish *wishes; /* and what those of packs ask for, until the commit */
    size_t num_wishes, cap_wishes;
    nacre_detail failure;        /* the text of the last one */
    nacre__store_health *health; /* of this loop, or of all of a server; NULL: nothing is noted */
    uint64_t retry_at;           /* ms: when the stores that fail are tried again, */
    size_t retry_from;           /* from this place of `health` on … */
    bool retry_failed;           /* … until one has failed again */
    bool telling;                /* the endpoint is being told by these functions, not by somebody else */
} nacre__persist;

/* NACRE_OK; NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre__persist_add_pack(nacre__persist *p, nacre_pack *pack);
void nacre__persist_free(nacre__persist *p);

/* nacre__persist_serve does what a context asks for, or has it asked for, and tells the endpoint what came of it as soon as
 * that is known. */
void nacre__persist_serve(nacre__persist *p, nacre_endpoint *ep, nacre_context *ctx);

/* nacre__persist_commit makes durable what was asked of packs since the last time. */
void nacre__persist_commit(nacre__persist *p, nacre_endpoint *ep);

/* nacre__persist_on_confirmed: the endpoint was told of a store, by a store that takes its time for instance. */
void nacre__persist_on_confirmed(void *self, nacre_context *ctx, nacre_err err);

/* nacre__persist_failed_later: a store that had said NACRE_ERR_NOT_YET could not do it. Any thread; what waits ends in the next
 * nacre__persist_look of each loop that waits for it. */
void nacre__persist_failed_later(nacre__persist *p, nacre_context *ctx, nacre_err err, const char *text);

/* nacre__persist_forget: the context goes, and its store. */
void nacre__persist_forget(nacre__persist *p, const nacre_context *ctx);

/* nacre__persist_retry tries stores that fail again, a few of them, when it is time; and when that is: nacre__persist_deadline,
 * UINT64_MAX for never. Without it a store that works again would show only when a message needs it. */
void nacre__persist_retry(nacre__persist *p, nacre_endpoint *ep, uint64_t now_ms);
uint64_t nacre__persist_deadline(const nacre__persist *p);

/* nacre__persist_look: stores that confirm later do so behind our back; this looks which have. */
void nacre__persist_look(nacre__persist *p, nacre_endpoint *ep);

#endif
