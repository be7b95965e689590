/* SPDX-License-Identifier: MIT */
/* sequence: numbers are used only below a ceiling that the store has confirmed as durable (RFC 8613 B.1.1). The ceiling is
 * requested in chunks that double up to a limit, when an eighth of a chunk is left. */
#include "context/sequence.h"
#include "context/fields.h"

nacre_needs nacre_context_needs(const nacre_context *ctx)
{
    nacre_needs needs = { 0, ctx->window_lost_wanted, false };
    uint64_t confirmed = ctx->next + ctx->in_hand;
    if (!ctx->persistent || confirmed > NACRE_SEQ_MAX || nacre__is_stopped(ctx)) return needs;
    needs.blocked = ctx->in_hand == 0;
    if (ctx->in_hand <= ctx->chunk / 8u) {
        uint64_t ceiling = confirmed + ctx->chunk;
        needs.reserve = ceiling > NACRE_SEQ_MAX + 1 ? NACRE_SEQ_MAX + 1 : ceiling;
    }
    return needs;
}

void nacre_context_confirm_reserved(nacre_context *ctx, uint64_t ceiling)
{
    if (ceiling > NACRE_SEQ_MAX + 1) ceiling = NACRE_SEQ_MAX + 1;
    if (ceiling <= ctx->next + ctx->in_hand || nacre__is_stopped(ctx)) return;
    uint64_t in_hand = ceiling - ctx->next;
    ctx->in_hand =
        in_hand > UINT32_MAX ? UINT32_MAX : (uint32_t)in_hand; /* clamped to UINT32_MAX; the excess is skipped */
    uint32_t twice = 2 * (uint32_t)ctx->chunk;
    ctx->chunk = (twice > ctx->max_chunk ? ctx->max_chunk : twice) & NACRE__CHUNK_BITS;
}

void nacre_context_confirm_window_lost(nacre_context *ctx)
{
    ctx->window_on_disk = false;
    ctx->window_lost_wanted = false;
}

void nacre_context_stop(nacre_context *ctx)
{
    ctx->persistent = true;
    ctx->chunk = ctx->max_chunk = 0;
    ctx->in_hand = 0;
    ctx->window_lost_wanted = false;
    ctx->has_echo = false;
    nacre_wipe(ctx->echo, sizeof ctx->echo);
    if (ctx->replay.size != 0) nacre_replay_forget(&ctx->replay); /* 0: wiped */
}

bool nacre_context_is_stopped(const nacre_context *ctx)
{
    return nacre__is_stopped(ctx);
}

void nacre_context_before_save(nacre_context *ctx)
{
    if (!ctx->persistent) return;
    ctx->num_saves = (ctx->num_saves + 1) & NACRE__SAVES_BITS;
    /* RFC 8613 B.1.1: the saved state means that numbers from `next` on are unused. */
    ctx->in_hand = 0;
    /* RFC 8613 B.1.2: and that numbers not in the window were not seen. */
    if (ctx->replay.known) ctx->window_on_disk = true;
    ctx->window_lost_wanted = false;
}
