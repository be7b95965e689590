/* SPDX-License-Identifier: MIT */
/* key_mark: a number for a context's Sender Key or Recipient Key, for hash tables and sorted lists of keys. Equal keys have equal
 * marks; unequal keys differ, but for a chance of 2^-64. A mark tells nothing of the key: it is made of what
 * nacre_context_same_sender_key compares, under a random factor. */
#ifndef NACRE_CONTEXT_KEY_MARK_H
#define NACRE_CONTEXT_KEY_MARK_H

#include <nacre/context.h>
#include "base/copy.h"
#include "base/stir.h"

/* NACRE_SEAL: the Sender Key's mark. NACRE_OPEN: the Recipient Key's; the two sides of one context have no mark in common.
 * `factor` is odd. Never 0. */
static inline uint64_t nacre__key_mark(const nacre_context *ctx, nacre_direction direction, uint64_t factor)
{
    const bool seal = direction == NACRE_SEAL;
    const uint8_t *id = seal ? ctx->sender_id : ctx->recipient_id;
    const size_t id_len = seal ? ctx->sender_id_len : ctx->recipient_id_len;
    uint64_t iv[2] = { 0, 0 }, last = id_len << 1 | (seal ? 0 : 1);
    NACRE__COPY_FIXED(&iv[0], ctx->common_iv, 8); /* zeros behind a shorter nonce */
    NACRE__COPY_FIXED(&iv[1], ctx->common_iv + 8, NACRE_MAX_NONCE - 8);
    for (size_t i = 0; i < id_len; i++) last = last << 8 | id[i];
    uint64_t mark = nacre__stir(0, iv[0], factor);
    mark = nacre__stir(mark, iv[1], factor);
    mark = nacre__stir(mark, last, factor);
    mark = nacre__stir(mark, ctx->aead != NULL ? (uint64_t)ctx->aead->cose : 0, factor);
    return mark != 0 ? mark : 1;
}

#endif
