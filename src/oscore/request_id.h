/* SPDX-License-Identifier: MIT */
/* request_id: making and using the identity of a request. */
#ifndef NACRE_OSCORE_REQUEST_ID_H
#define NACRE_OSCORE_REQUEST_ID_H

#include <nacre/oscore.h>
#include "base/copy.h"
#include "context/sequence.h"

enum { NACRE__MAY_USE_NONCE = 1 };

/* Makes `id` in place: it is small and made for every message, so it is not copied about. `kid` is one of the context's two
 * IDs, zeros behind it. RFC 8613 7.1: an answer is bound to its request by these. */
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

/* Whether the kid is one that a context with this algorithm can have: a longer one does not fit into its nonce (RFC 8613 5.2). */
static inline bool nacre__request_kid_fits(const nacre_request_id *id, const nacre_aead *aead)
{
    return id->kid_len + 6u <= aead->nonce_len;
}

/* Whether `ctx` may answer with the request's own nonce (RFC 8613 8.3, D.4): once, and only the context that verified the
 * request, whose peer made that nonce, with the keys that it had then. */
bool nacre__may_use_nonce(const nacre_request_id *id, const nacre_context *ctx);

#endif
