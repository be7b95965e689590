/* SPDX-License-Identifier: MIT */
/* store: persists what a context requests through the store that it is given. */
#include <nacre/store.h>

#include <stddef.h>

#include "base/hosted/detail.h"
#include "context/sequence.h"
#include "store/batch.h"

/* The graver of two results: failure, then NOT_YET, then OK; of two failures the first. */
static nacre_err graver(nacre_err first, nacre_err second)
{
    if (first == NACRE_OK) return second;
    if (first == NACRE_ERR_NOT_YET && second != NACRE_OK) return second;
    return first;
}

static nacre_err check_ops(const nacre_store *store, nacre_detail *why)
{
    if (store->ops->version == NACRE_STORE_OPS_VERSION && store->ops->size >= offsetof(nacre_store_ops, submit))
        return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                       "the store's table of functions is of version %u, with %zu bytes; compile it anew for "
                       "version %d, with %zu",
                       store->ops->version, store->ops->size, (int)NACRE_STORE_OPS_VERSION, sizeof *store->ops);
}

/* A store that has `submit` alone: one request, waited for. */
static nacre_err serve_by_submit(const nacre_store *store, nacre_context *ctx, nacre_detail *why)
{
    const nacre__store_needs submitted = nacre__store_needs_of(ctx);
    if (submitted.needs.reserve == 0 && !submitted.needs.window_lost) return NACRE_OK;
    nacre_store_request request = { .self = store->self,
                                    .ceiling = submitted.needs.reserve,
                                    .window_lost = submitted.needs.window_lost };
    const nacre_err err = nacre__store_submit_and_wait(store->ops, &request, why);
    if (err == NACRE_OK) (void)nacre__store_needs_confirm(ctx, &submitted);
    if (err == NACRE_ERR_LOCKED) nacre_context_stop(ctx);
    return err;
}

nacre_err nacre_store_serve(const nacre_store *store, nacre_context *ctx, nacre_detail *why)
{
    nacre_needs needs = nacre_context_needs(ctx);
    nacre_err lost = NACRE_OK, reserved = NACRE_OK;
    const nacre_err err = check_ops(store, why);
    if (err != NACRE_OK) return err;
    if (store->ops->reserve == NULL) return serve_by_submit(store, ctx, why);

    /* RFC 8613 B.1.2: the stored window is invalidated before the first request is accepted that it does not contain. */
    if (needs.window_lost) {
        lost = store->ops->window_lost(store->self, why);
        if (lost == NACRE_OK) nacre_context_confirm_window_lost(ctx);
    }
    /* RFC 8613 B.1.1: sequence numbers are stored as used before they are used. */
    if (needs.reserve != 0) {
        bool told = lost != NACRE_OK && lost != NACRE_ERR_NOT_YET;
        reserved = store->ops->reserve(store->self, needs.reserve, told ? NULL : why);
        if (reserved == NACRE_OK) nacre_context_confirm_reserved(ctx, needs.reserve);
    }
    return graver(lost, reserved);
}

nacre_err nacre_store_save(const nacre_store *store, nacre_context *ctx, nacre_detail *why)
{
    const nacre_err err = check_ops(store, why);
    if (err != NACRE_OK) return err;
    /* Before the save: even one that fails may have written the new state. */
    nacre_context_before_save(ctx);
    if (store->ops->save != NULL) return store->ops->save(store->self, ctx, why);
    const nacre_stored state = nacre__stored_of(ctx);
    nacre_store_request request = { .self = store->self, .state = &state };
    const nacre_err saved = nacre__store_submit_and_wait(store->ops, &request, why);
    if (saved == NACRE_ERR_LOCKED) nacre_context_stop(ctx);
    return saved;
}

nacre_err nacre_store_load(const nacre_store *store, nacre_stored *state, nacre_detail *why)
{
    nacre_stored read = { .next_seq = 0 };
    nacre_err err = check_ops(store, why);
    if (err != NACRE_OK) return err;
    if (store->ops->load == NULL)
        return nacre__fail(why, NACRE_ERR_UNSUPPORTED, "this store does not tell what it holds");
    err = store->ops->load(store->self, &read, why);
    if (err != NACRE_OK) return err;
    if (read.next_seq > NACRE_SEQ_MAX + 1 || (read.window_known && read.window_index > NACRE_SEQ_MAX + 1))
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "the store holds numbers above 2^40");
    *state = read;
    return NACRE_OK;
}
