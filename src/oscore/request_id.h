/* SPDX-License-Identifier: MIT */
/* request_id: making and using the identity of a request. */
#ifndef NACRE_OSCORE_REQUEST_ID_H
#define NACRE_OSCORE_REQUEST_ID_H

#include <nacre/oscore.h>

enum { NACRE__MAY_USE_NONCE = 1 };

/* Makes `id` in place: it is small and made for every message, so it is not copied about. RFC 8613 7.1: an answer is bound
 * to its request by these. */
void nacre__request_id_make(nacre_request_id *id, const nacre_context *ctx, nacre_bytes kid, nacre_bytes partial_iv,
                            uint8_t flags);

static inline nacre_bytes nacre__request_kid(const nacre_request_id *id)
{
    return nacre_bytes_of(id->kid, id->kid_len);
}

static inline nacre_bytes nacre__request_piv(const nacre_request_id *id)
{
    return nacre_bytes_of(id->partial_iv, id->partial_iv_len);
}

/* Whether `ctx` may answer with the request's own nonce (RFC 8613 8.3, D.4): once, and only the context that verified the
 * request, whose peer made that nonce, with the keys that it had then. */
bool nacre__may_use_nonce(const nacre_request_id *id, const nacre_context *ctx);

#endif
