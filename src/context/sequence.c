/* SPDX-License-Identifier: MIT */
/* sequence: numbers are used only below a ceiling that the store has confirmed as durable (RFC 8613 B.1.1). The ceiling is
 * asked for in chunks that double up to a limit, and early: with an eighth of a chunk still in hand. */
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
    uint32_t twice = 2 * (uint32_t)ctx->chunk;
    ctx->chunk = (twice > ctx->max_chunk ? ctx->max_chunk : twice) & NACRE__CHUNK_BITS;
}

void nacre_context_confirm_window_lost(nacre_context *ctx)
{
    ctx->window_on_disk = false;
    ctx->window_lost_wanted = false;
}

void nacre_context_before_save(nacre_context *ctx)
{
    if (!ctx->persistent) return;
    /* RFC 8613 B.1.1: what is saved says that numbers from `next` on were not used. */
    ctx->confirmed = ctx->next;
    /* RFC 8613 B.1.2: and that what the window does not hold was not seen. */
    if (ctx->replay.known) ctx->window_on_disk = true;
    ctx->window_lost_wanted = false;
}
