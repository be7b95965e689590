/* SPDX-License-Identifier: MIT */
/* request_id: what binds an answer to its request, and the right to the request's nonce. */
#include "oscore/request_id.h"
#include "base/copy.h"

void nacre__request_id_make(nacre_request_id *id, const nacre_context *ctx, nacre_bytes kid, nacre_bytes partial_iv,
                            uint8_t flags)
{
    *id = (nacre_request_id){ .context = ctx, .flags = flags };
    NACRE__COPY_FIXED(id->keys, ctx->common_iv, sizeof id->keys); /* the shortest Common IV has 7 bytes */
    nacre__put(id->kid, kid.ptr, kid.len);
    nacre__put(id->partial_iv, partial_iv.ptr, partial_iv.len);
    id->kid_len = (uint8_t)kid.len;
    id->partial_iv_len = (uint8_t)partial_iv.len;
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
           nacre_bytes_equal(nacre__request_kid(id), nacre_bytes_of(ctx->recipient_id, ctx->recipient_id_len));
}
