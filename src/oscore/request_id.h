/* SPDX-License-Identifier: MIT */
/* request_id: creates and uses the identity of a request. */
#ifndef NACRE_OSCORE_REQUEST_ID_H
#define NACRE_OSCORE_REQUEST_ID_H

#include <nacre/oscore.h>
#include "base/copy.h"
#include "context/sequence.h"

enum { NACRE__MAY_USE_NONCE = 1 };

/* Makes `id` in place, without copies, because every message makes one. `kid` is one of the context's two IDs, padded with
 * zeros. RFC 8613 7.1: binds a response to its request. */
static inline void nacre__request_id_make(nacre_request_id *id, const nacre_context *ctx,
                                          const uint8_t kid[NACRE_MAX_ID], uint8_t kid_len, uint64_t seq, uint8_t flags)
{
    id->context = ctx;
    NACRE__COPY_FIXED(id->keys, ctx->common_iv, sizeof id->keys); /* the shortest has 7 bytes, and a zero */
    NACRE__COPY_FIXED(id->kid, kid, sizeof id->kid);
    id->partial_iv_len = nacre__partial_iv(id->partial_iv, seq);
    id->kid_len = kid_len;
    id->flags = flags;
}

static inline nacre_bytes nacre__request_kid(const nacre_request_id *id)
{
    return nacre_bytes_of(id->kid, id->kid_len);
}

static inline uint64_t nacre__request_seq(const nacre_request_id *id)
{
    return nacre__partial_iv_number(nacre_bytes_of(id->partial_iv, id->partial_iv_len));
}

static inline nacre_bytes nacre__request_piv(const nacre_request_id *id)
{
    return nacre_bytes_of(id->partial_iv, id->partial_iv_len);
}

/* Whether a context with this algorithm can have this kid: a longer one does not fit its nonce (RFC 8613 5.2). */
static inline bool nacre__request_kid_fits(const nacre_request_id *id, const nacre_aead *aead)
{
    return id->kid_len + 6u <= aead->nonce_len;
}

/* Whether `ctx` may respond with the request's nonce (RFC 8613 8.3, D.4): once, and only the context that verified the
 * request, with unchanged keys. */
bool nacre__may_use_nonce(const nacre_request_id *id, const nacre_context *ctx);

#endif
