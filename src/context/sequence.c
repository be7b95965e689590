/* SPDX-License-Identifier: MIT */
/* sequence: numbers are used only below a ceiling that the store has confirmed as durable (RFC 8613 B.1.1). The ceiling is
 * asked for in chunks that double up to NACRE__CHUNK_MAX, and early: with an eighth of a chunk still in hand. */
#include "context/sequence.h"

nacre_needs nacre_context_needs(const nacre_context *ctx)
{
    nacre_needs needs = { 0, ctx->window_lost_wanted, false };
    if (!ctx->persistent || ctx->confirmed > NACRE_SEQ_MAX) return needs;
    needs.blocked = ctx->next >= ctx->confirmed;
    uint64_t base = needs.blocked ? ctx->next : ctx->confirmed;
    if (base - ctx->next <= ctx->chunk / 8u) {
        uint64_t ceiling = base + ctx->chunk;
        needs.reserve = ceiling > NACRE_SEQ_MAX + 1 ? NACRE_SEQ_MAX + 1 : ceiling;
    }
    return needs;
}

void nacre_context_confirm_reserved(nacre_context *ctx, uint64_t ceiling)
{
    if (ceiling <= ctx->confirmed) return;
    ctx->confirmed = ceiling > NACRE_SEQ_MAX + 1 ? NACRE_SEQ_MAX + 1 : ceiling;
    ctx->chunk = ctx->chunk >= NACRE__CHUNK_MAX / 2 ? NACRE__CHUNK_MAX : (uint16_t)(ctx->chunk * 2);
}

void nacre_context_confirm_window_lost(nacre_context *ctx)
{
    ctx->window_on_disk = false;
    ctx->window_lost_wanted = false;
}
