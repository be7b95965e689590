/* SPDX-License-Identifier: MIT */
/* removal: a context leaves a server that runs: it is closed once no worker refers to it. */
#ifndef NACRE_IO_REMOVAL_H
#define NACRE_IO_REMOVAL_H

#include "io/context_set.h"

#include <nacre/server.h>

typedef struct nacre__removal nacre__removal;

/* nacre__removal_new makes one, in advance; NULL: out of memory. nacre__removal_free frees one that was not started. */
nacre__removal *nacre__removal_new(nacre_server *server);
void nacre__removal_free(nacre__removal *r);

/* nacre__removal_assign gives it the context of `key`, which the table no longer has. The caller holds `index`. */
void nacre__removal_assign(nacre__removal *r, const nacre__key *key);

/* nacre__removal_start gives each worker a task that ends what refers to the context. Its end frees the stale names of contexts too; a
 * removal without a context does only that. The caller holds `changing`. */
void nacre__removal_start(nacre__removal *r);

/* nacre__removal_end waits for a started one, closes its context and frees it. In a thread that runs a worker it returns at once, and
 * the last worker does that. Returns what nacre__key_close does. The caller holds no lock. */
nacre_err nacre__removal_end(nacre__removal *r, nacre_detail *why);

/* The context of a started one, and the next one of the server's list, under `index`. It is in the list while workers may refer to its
 * context: until then no other context may have its keys (RFC 8613 3.3). */
const nacre_context *nacre__removal_context(const nacre__removal *r);
const nacre__removal *nacre__removal_next(const nacre__removal *r);

#endif
