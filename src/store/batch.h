/* SPDX-License-Identifier: MIT */
/* batch: the batched form of a store, used by a caller that waits. */
#ifndef NACRE_STORE_BATCH_H
#define NACRE_STORE_BATCH_H

#include <nacre/store.h>

#include <stddef.h>

/* Whether a table of functions has the batched form: tables that were compiled before it are shorter. */
static inline bool nacre__store_has_submit(const nacre_store_ops *ops)
{
    return ops->version == NACRE_STORE_OPS_VERSION &&
           ops->size >= offsetof(nacre_store_ops, batch) + sizeof ops->batch && ops->submit != NULL;
}

/* What identifies the batch of a store. */
static inline const void *nacre__store_batch(const nacre_store *store)
{
    return store->ops->batch != NULL ? store->ops->batch(store->self) : store->self;
}

/* The true state of a context. */
nacre_stored nacre__stored_of(const nacre_context *ctx);

/* nacre__store_submit_and_wait submits one request and waits until it is done. Its error; NACRE_ERR_BAD_ARGUMENT: no submit. */
NACRE_MUST_USE nacre_err nacre__store_submit_and_wait(const nacre_store_ops *ops, nacre_store_request *request,
                                                      nacre_detail *why);

#endif
