/* SPDX-License-Identifier: MIT */
/* fields: what a context holds in another form than it is used in. */
#ifndef NACRE_CONTEXT_FIELDS_H
#define NACRE_CONTEXT_FIELDS_H

#include <nacre/context.h>

static inline void *nacre__sender_key(const nacre_context *ctx)
{
    return ctx->keys;
}

static inline void *nacre__recipient_key(const nacre_context *ctx)
{
    return (uint8_t *)ctx->keys + ctx->key_stride;
}

static inline uint64_t nacre__replay_index(const nacre_replay *w)
{
    return (uint64_t)w->index_high << 32 | w->index_low;
}

static inline nacre_bytes nacre__id_context(const nacre_context *ctx)
{
    return nacre_bytes_of(ctx->id_context, ctx->id_context_len);
}

#endif
