/* SPDX-License-Identifier: MIT */
/* sequence: sender sequence numbers, and the persistent ceiling that limits them (RFC 8613 7.2, B.1.1). */
#ifndef NACRE_CONTEXT_SEQUENCE_H
#define NACRE_CONTEXT_SEQUENCE_H

#include <nacre/context.h>
#include "base/copy.h"

#define NACRE__CHUNK_BITS UINT32_C(0x3fff) /* bits of a chunk field */
#define NACRE__SAVES_BITS UINT32_C(0x7fff) /* bits of num_saves */
enum { NACRE__CHUNK_MAX = 10000 };

/* What was requested of a store asynchronously, and the saves until then: a save since makes the result obsolete. */
typedef struct nacre__store_needs {
    nacre_needs needs;
    uint32_t num_saves;
} nacre__store_needs;

static inline nacre__store_needs nacre__store_needs_of(const nacre_context *ctx)
{
    return (nacre__store_needs){ nacre_context_needs(ctx), ctx->num_saves };
}

/* Confirms what has become durable. False: a save in between has replaced it, and nothing is confirmed. */
static inline bool nacre__store_needs_confirm(nacre_context *ctx, const nacre__store_needs *submitted)
{
    if (ctx->num_saves != submitted->num_saves) return false;
    if (submitted->needs.window_lost) nacre_context_confirm_window_lost(ctx);
    if (submitted->needs.reserve != 0) nacre_context_confirm_reserved(ctx, submitted->needs.reserve);
    return true;
}

/* The next number, if one may be used now; nacre__sequence_take uses it.
 * NACRE_OK, NACRE_ERR_CONTEXT_UNAVAILABLE, NACRE_ERR_NOT_YET; `seq` is set on NACRE_OK only */
static inline nacre_err nacre__sequence_next(const nacre_context *ctx, uint64_t *seq)
{
    if (ctx->next > NACRE_SEQ_MAX) return NACRE_ERR_CONTEXT_UNAVAILABLE; /* RFC 8613 7.2.1, 12.6 */
    if (ctx->persistent && ctx->in_hand == 0) return NACRE_ERR_NOT_YET;
    *seq = ctx->next;
    return NACRE_OK;
}

static inline void nacre__sequence_take(nacre_context *ctx)
{
    ctx->next++;
    ctx->in_hand -= ctx->persistent;
}

/* A number as Partial IV: big-endian without leading zeros, zero is one byte (RFC 8613 5). Returns its length, 1 to 5; the
 * bytes after it become zero. */
static inline uint8_t nacre__partial_iv(uint8_t out[5], uint64_t seq)
{
#if defined(__GNUC__) && !defined(__OPTIMIZE_SIZE__)
    unsigned len = (71u - (unsigned)__builtin_clzll(seq | 1)) / 8;
#else
    uint32_t low = (uint32_t)seq, high = (uint32_t)(seq >> 32);
    unsigned len = high != 0 ? 5 : low >> 24 != 0 ? 4 : low >> 16 != 0 ? 3 : low >> 8 != 0 ? 2 : 1;
#endif
    uint64_t left = seq << 8 * (5 - len);
    nacre__put_u32(out, (uint32_t)(left >> 8));
    out[4] = (uint8_t)left;
    return (uint8_t)len;
}

static inline uint64_t nacre__partial_iv_number(nacre_bytes partial_iv)
{
    uint64_t seq = 0;
    for (size_t i = 0; i < partial_iv.len; i++) seq = seq << 8 | partial_iv.ptr[i];
    return seq;
}

#endif
