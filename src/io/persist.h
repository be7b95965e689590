/* SPDX-License-Identifier: MIT */
/* persist: serves the PERSIST events of one endpoint from the stores and packs that were added to its loop. */
#ifndef NACRE_IO_PERSIST_H
#define NACRE_IO_PERSIST_H

#include "io/stores.h"
#include "store/pack_share.h"

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
    nacre_detail failure; /* the text of the last one */
} nacre__persist;

/* NACRE_OK; NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre__persist_add_pack(nacre__persist *p, nacre_pack *pack);
void nacre__persist_free(nacre__persist *p);

/* nacre__persist_serve does what a context asks for, or has it asked for, and tells the endpoint what came of it as soon as
 * that is known. */
void nacre__persist_serve(nacre__persist *p, nacre_endpoint *ep, nacre_context *ctx);

/* nacre__persist_commit makes durable what was asked of packs since the last time. */
void nacre__persist_commit(nacre__persist *p, nacre_endpoint *ep);

/* nacre__persist_look: stores that confirm later do so behind our back; this looks which have. */
void nacre__persist_look(nacre__persist *p, nacre_endpoint *ep);

#endif
