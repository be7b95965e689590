/* SPDX-License-Identifier: MIT */
/* key_mark: a number for a context's Sender Key or Recipient Key, for hash tables and sorted lists of keys. Equal keys have
 * equal marks; unequal keys collide with probability 2^-64. A mark reveals nothing of the key: it hashes what
 * nacre_context_same_sender_key compares, under a random key. */
#ifndef NACRE_CONTEXT_KEY_MARK_H
#define NACRE_CONTEXT_KEY_MARK_H

#include <nacre/context.h>
#include "base/copy.h"
#include "base/siphash.h"

/* NACRE_SEAL: the Sender Key's mark. NACRE_OPEN: the Recipient Key's; the two sides of one context have no mark in common.
 * Never 0. */
static inline uint64_t nacre__key_mark(const nacre_context *ctx, nacre_direction direction,
                                       const uint8_t key[NACRE__HASH_KEY_LEN])
{
    const bool seal = direction == NACRE_SEAL;
    const uint8_t *id = seal ? ctx->sender_id : ctx->recipient_id;
    const size_t id_len = seal ? ctx->sender_id_len : ctx->recipient_id_len;
    uint64_t iv[2] = { 0, 0 };
    NACRE__COPY_FIXED(&iv[0], ctx->common_iv, 8); /* zeros after a shorter nonce */
    NACRE__COPY_FIXED(&iv[1], ctx->common_iv + 8, NACRE_MAX_NONCE - 8);
    nacre__siphash hash = nacre__siphash_start(key);
    nacre__siphash_word(&hash, iv[0]);
    nacre__siphash_word(&hash, iv[1]);
    nacre__siphash_word(&hash, ctx->aead != NULL ? (uint64_t)ctx->aead->cose : 0);
    nacre__siphash_word(&hash, nacre__load_short(id, id_len));
    const uint64_t mark = nacre__siphash_end(&hash, (uint64_t)id_len << 1 | (seal ? 0 : 1));
    return mark != 0 ? mark : 1;
}

#endif
