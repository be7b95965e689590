/* SPDX-License-Identifier: MIT */
/* request_id: binds a response to its request, and holds the right to the request's nonce. */
#include "oscore/request_id.h"
#include "base/copy.h"

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
           nacre__same_id(nacre__request_kid(id), ctx->recipient_id, ctx->recipient_id_len);
}
