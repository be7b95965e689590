/* SPDX-License-Identifier: MIT */
/* request_id: what binds an answer to its request, and the right to the request's nonce. */
#include "oscore/request_id.h"
#include <string.h>

nacre_request_id nacre__request_id(const nacre_context *ctx, nacre_bytes kid, nacre_bytes partial_iv, uint8_t flags)
{
    nacre_request_id id;
    memset(&id, 0, sizeof id);
    id.context = ctx;
    if (kid.len > 0) memcpy(id.kid, kid.ptr, kid.len);
    id.kid_len = (uint8_t)kid.len;
    memcpy(id.partial_iv, partial_iv.ptr, partial_iv.len);
    id.partial_iv_len = (uint8_t)partial_iv.len;
    id.flags = flags;
    return id;
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
           nacre_bytes_equal(nacre__request_kid(id), nacre_context_recipient_id(ctx));
}
