/* SPDX-License-Identifier: MIT */
/* fields: accessors of packed context fields. */
#ifndef NACRE_CONTEXT_FIELDS_H
#define NACRE_CONTEXT_FIELDS_H

#include <nacre/context.h>
#include "base/copy.h"

static inline void *nacre__sender_key(const nacre_context *ctx)
{
    return ctx->keys;
}

static inline void *nacre__recipient_key(const nacre_context *ctx)
{
    return (uint8_t *)ctx->keys + ctx->key_stride;
}

/* Prefetches a prepared key: as much as an AES-128 key schedule. */
static inline void nacre__fetch_key(const void *key)
{
    for (size_t line = 0; line < 192; line += 64) NACRE__PREFETCH((const uint8_t *)key + line);
}

static inline uint64_t nacre__replay_index(const nacre_replay *w)
{
    return (uint64_t)w->index_high << 32 | w->index_low;
}

/* The Echo challenges that an unknown window records (replay.c): whether one was sent for `seq`, or for numbers so much higher
 * that it cannot be told, and that one is sent. */
bool nacre__replay_is_challenged(const nacre_replay *w, uint64_t seq);
void nacre__replay_challenged(nacre_replay *w, uint64_t seq);

static inline nacre_bytes nacre__id_context(const nacre_context *ctx)
{
    return nacre_bytes_of(ctx->id_context, ctx->id_context_len);
}

static inline bool nacre__is_stopped(const nacre_context *ctx)
{
    return ctx->persistent && ctx->max_chunk == 0;
}

#endif
