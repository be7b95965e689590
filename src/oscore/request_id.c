/* SPDX-License-Identifier: MIT */
/* request_id: what binds an answer to its request, and the right to the request's nonce. */
#include "oscore/request_id.h"
#include <string.h>

/* RFC 8613 7.1: an answer is bound to its request by these. */
void nacre__request_id_make(nacre_request_id *id, const nacre_context *ctx, nacre_bytes kid, nacre_bytes partial_iv,
                            uint8_t flags)
{
    id->context = ctx;
    memcpy(id->keys, ctx->common_iv, sizeof id->keys); /* the shortest Common IV has 7 bytes */
    id->kid_len = (uint8_t)kid.len;
    id->partial_iv_len = (uint8_t)partial_iv.len;
    id->flags = flags;
    for (size_t i = 0; i < sizeof id->kid; i++) id->kid[i] = i < kid.len ? kid.ptr[i] : 0;
    for (size_t i = 0; i < sizeof id->partial_iv; i++) id->partial_iv[i] = i < partial_iv.len ? partial_iv.ptr[i] : 0;
}

nacre_request_id nacre_request_id_dup(const nacre_request_id *id)
{
    nacre_request_id copy = *id;
    copy.flags &= (uint8_t)~NACRE__MAY_USE_NONCE;
    return copy;
}

bool nacre__may_use_nonce(const nacre_request_id *id, const nacre_context *ctx)
{
    return (id->flags & NACRE__MAY_USE_NONCE) != 0 && id->context == ctx &&
           nacre_equal_ct(id->keys, ctx->common_iv, sizeof id->keys) &&
           nacre_bytes_equal(nacre__request_kid(id), nacre_context_recipient_id(ctx));
}
