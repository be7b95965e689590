/* SPDX-License-Identifier: MIT */
/* identify: distinguishes contexts without their keys (RFC 8613 3.3). */
#include "context/identify.h"
#include "context/derive.h"
#include <string.h>

static size_t copy(uint8_t to[NACRE_MAX_ID], nacre_bytes from)
{
    if (from.len > 0) memcpy(to, from.ptr, from.len);
    return from.len;
}

static bool fits(const nacre_context_params *p)
{
    return p->sender_id.len <= NACRE_MAX_ID && p->recipient_id.len <= NACRE_MAX_ID &&
           p->id_context.len <= NACRE_MAX_ID_CONTEXT;
}

nacre_err nacre__context_identify(nacre_context *ctx, const nacre_crypto *crypto, const nacre_context_params *params)
{
    memset(ctx, 0, sizeof *ctx);
    const nacre_aead *aead = nacre_aead_by_number(params->cose_aead);
    if (aead == NULL || nacre_hash_len(params->hash) == 0) return NACRE_ERR_UNSUPPORTED;
    if (!fits(params)) return NACRE_ERR_BAD_ARGUMENT;
    ctx->aead = aead;
    ctx->sender_id_len = copy(ctx->sender_id, params->sender_id) & 15;
    ctx->recipient_id_len = copy(ctx->recipient_id, params->recipient_id) & 15;
    ctx->id_context = params->id_context.ptr;
    ctx->id_context_len = params->id_context.len & 255;
    nacre__source source = { .crypto = crypto, .aead = aead, .params = params };
    nacre_err err = nacre__source_extract(&source);
    if (err == NACRE_OK) err = nacre__derive_common_iv(&source, ctx->common_iv);
    nacre__source_wipe(&source);
    if (err != NACRE_OK) nacre_wipe(ctx, sizeof *ctx);
    return err;
}
