/* SPDX-License-Identifier: MIT */
/* request_id: what binds an answer to its request, and the right to the request's nonce. */
#include "oscore/request_id.h"
#include "base/copy.h"

nacre_request_id nacre_request_id_dup(const nacre_request_id *id)
{
    nacre_request_id copy = *id;
    copy.flags &= (uint8_t)~NACRE__MAY_USE_NONCE;
    return copy;
}

/* Seven bytes, in constant time. */
static bool same_keys(const uint8_t *a, const uint8_t *b)
{
    uint32_t first[2], last[2];
    NACRE__COPY_FIXED(&first[0], a, 4);
    NACRE__COPY_FIXED(&first[1], b, 4);
    NACRE__COPY_FIXED(&last[0], a + 3, 4);
    NACRE__COPY_FIXED(&last[1], b + 3, 4);
    return ((first[0] ^ first[1]) | (last[0] ^ last[1])) == 0;
}

bool nacre__may_use_nonce(const nacre_request_id *id, const nacre_context *ctx)
{
    return (id->flags & NACRE__MAY_USE_NONCE) != 0 && id->context == ctx && same_keys(id->keys, ctx->common_iv) &&
           nacre__same_id(nacre__request_kid(id), ctx->recipient_id, ctx->recipient_id_len);
}
