/* SPDX-License-Identifier: MIT */
/* context: creates, compares and wipes a security context (RFC 8613 3.1, 3.2). */
#include "context/derive.h"
#include "context/fields.h"
#include "context/sequence.h"
#include "crypto/ops.h"
#include <string.h>

enum { FIRST_CHUNK = 10 };

static size_t round_up(size_t n, size_t align)
{
    return (n + align - 1) / align * align;
}

static bool key_stride(const nacre_crypto *crypto, const nacre_aead *aead, size_t *stride, size_t *align)
{
    size_t size;
    if (aead == NULL || !nacre__crypto_ops_fit(crypto->ops)) return false;
    if (!crypto->ops->key_layout(aead, &size, align)) return false;
    *stride = round_up(size, *align);
    return *stride <= UINT16_MAX;
}

static const nacre_aead *aead_of(int cose)
{
    return nacre_aead_by_number(cose == 0 ? NACRE_AES_CCM_16_64_128 : cose);
}

nacre_err nacre_context_key_layout(const nacre_crypto *crypto, int cose_aead, size_t *size, size_t *align)
{
    size_t stride, alignment;
    if (!key_stride(crypto, aead_of(cose_aead), &stride, &alignment)) return NACRE_ERR_UNSUPPORTED;
    *size = 2 * stride;
    *align = alignment;
    return NACRE_OK;
}

static uint16_t max_chunk(const nacre_context_params *p)
{
    return p->max_chunk == 0 ? NACRE__CHUNK_MAX : p->max_chunk;
}

static uint16_t first_chunk(const nacre_context_params *p)
{
    if (p->first_chunk != 0) return p->first_chunk;
    return max_chunk(p) < FIRST_CHUNK ? max_chunk(p) : FIRST_CHUNK;
}

static nacre_err check(const nacre_context_params *p, const nacre_aead *aead)
{
    size_t max_id = aead->nonce_len - 6u; /* RFC 8613 3.3 */
    if (nacre_hash_len(p->hash) == 0) return NACRE_ERR_UNSUPPORTED;
    if (p->sender_id.len > max_id || p->recipient_id.len > max_id) return NACRE_ERR_BAD_ARGUMENT;
    if (nacre_bytes_equal(p->sender_id, p->recipient_id)) return NACRE_ERR_BAD_ARGUMENT; /* RFC 8613 3.3 */
    if (p->id_context.len > NACRE_MAX_ID_CONTEXT) return NACRE_ERR_BAD_ARGUMENT;
    if (p->next_seq > (p->never_used ? 0 : NACRE_SEQ_MAX + 1)) return NACRE_ERR_BAD_ARGUMENT;
    if (p->max_chunk > NACRE__CHUNK_MAX || p->first_chunk > max_chunk(p)) return NACRE_ERR_BAD_ARGUMENT;
    if (!nacre_is_absent(p->echo) && p->echo.len != NACRE_ECHO_LEN) return NACRE_ERR_BAD_ARGUMENT;
    return NACRE_OK;
}

static void copy(uint8_t to[NACRE_MAX_ID], nacre_bytes from)
{
    if (from.len > 0) memcpy(to, from.ptr, from.len);
}

static void release(const nacre_context *ctx, void *key)
{
    size_t size, align;
    if (ctx->ops->key_layout(ctx->aead, &size, &align)) ctx->ops->key_release(ctx->aead, key, size);
}

/* RFC 8613 3.2.1. ctx->keys: both keys exist, or none. */
static nacre_err derive(nacre_context *ctx, nacre__source *source, uint8_t *keys)
{
    nacre_err err = nacre__source_extract(source);
    if (err == NACRE_OK) err = nacre__derive_common_iv(source, ctx->common_iv);
    if (err == NACRE_OK) err = nacre__derive_key(source, source->params->sender_id, NACRE_SEAL, keys);
    if (err != NACRE_OK) return err;
    err = nacre__derive_key(source, source->params->recipient_id, NACRE_OPEN, keys + ctx->key_stride);
    if (err == NACRE_OK) ctx->keys = keys;
    else release(ctx, keys);
    return err;
}

static nacre_err take_derived(nacre_context *ctx, const nacre_crypto *crypto, const nacre_derived_keys *derived,
                              uint8_t *keys)
{
    memcpy(ctx->common_iv, derived->common_iv.ptr, ctx->aead->nonce_len);
    nacre_err err = crypto->ops->key_init(crypto, ctx->aead, NACRE_SEAL, keys, derived->sender_key.ptr);
    if (err != NACRE_OK) return err;
    err = crypto->ops->key_init(crypto, ctx->aead, NACRE_OPEN, keys + ctx->key_stride, derived->recipient_key.ptr);
    if (err == NACRE_OK) ctx->keys = keys;
    else release(ctx, keys);
    return err;
}

/* Sets everything except the keys and the Common IV. */
static nacre_err begin(nacre_context *ctx, const nacre_crypto *crypto, const nacre_context_params *params,
                       nacre_buf keys)
{
    memset(ctx, 0, sizeof *ctx);
    const nacre_aead *aead = aead_of(params->cose_aead);
    size_t stride, align;
    if (!key_stride(crypto, aead, &stride, &align)) return NACRE_ERR_UNSUPPORTED;
    nacre_err err = check(params, aead);
    if (err != NACRE_OK) return err;
    if (keys.ptr == NULL || (uintptr_t)keys.ptr % align != 0) return NACRE_ERR_BAD_ARGUMENT;
    if (keys.cap < 2 * stride) return NACRE_ERR_BUFFER_TOO_SMALL;
    err = nacre_replay_init(&ctx->replay, params->window == 0 ? NACRE_REPLAY_DEFAULT : params->window,
                            params->window_words);
    if (err != NACRE_OK) {
        nacre_wipe(ctx, sizeof *ctx);
        return err;
    }
    /* RFC 8613 3.2.2: the window of new keys is empty. That of persistent keys is unknown after a restart, whatever the next
     * sequence number: a server that responds with the nonces of requests uses none (RFC 8613 7.5). */
    if (params->persistent && !params->never_used) nacre_replay_forget(&ctx->replay);

    ctx->ops = crypto->ops;
    ctx->aead = aead;
    copy(ctx->sender_id, params->sender_id);
    copy(ctx->recipient_id, params->recipient_id);
    ctx->sender_id_len = params->sender_id.len & 15; /* at most 7 */
    ctx->recipient_id_len = params->recipient_id.len & 15;
    ctx->id_context = params->id_context.ptr;
    ctx->id_context_len = params->id_context.len & 255;
    ctx->key_stride = stride & 0xffffu;
    ctx->next = params->next_seq;
    ctx->persistent = params->persistent;
    ctx->window_on_disk = params->persistent; /* until confirmed, the store may restore an older window */
    ctx->chunk = (uint32_t)first_chunk(params) & NACRE__CHUNK_BITS;
    ctx->max_chunk = (uint32_t)max_chunk(params) & NACRE__CHUNK_BITS;
    if (!nacre_is_absent(params->echo)) memcpy(ctx->echo, params->echo.ptr, NACRE_ECHO_LEN);
    ctx->has_echo = !nacre_is_absent(params->echo);
    return NACRE_OK;
}

nacre_err nacre_context_init(nacre_context *ctx, const nacre_crypto *crypto, const nacre_context_params *params,
                             nacre_buf keys)
{
    nacre_err err = begin(ctx, crypto, params, keys);
    if (err != NACRE_OK) return err;
    nacre__source source = { .crypto = crypto, .aead = ctx->aead, .params = params };
    err = derive(ctx, &source, keys.ptr);
    nacre__source_wipe(&source);
    if (err != NACRE_OK) nacre_context_wipe(ctx);
    return err;
}

nacre_err nacre_context_init_derived(nacre_context *ctx, const nacre_crypto *crypto, const nacre_context_params *params,
                                     const nacre_derived_keys *derived, nacre_buf keys)
{
    nacre_err err = begin(ctx, crypto, params, keys);
    if (err != NACRE_OK) return err;
    const bool fits = derived->sender_key.len == ctx->aead->key_len &&
                      derived->recipient_key.len == ctx->aead->key_len &&
                      derived->common_iv.len == ctx->aead->nonce_len;
    err = fits ? take_derived(ctx, crypto, derived, keys.ptr) : NACRE_ERR_BAD_ARGUMENT;
    if (err != NACRE_OK) nacre_context_wipe(ctx);
    return err;
}

void nacre_context_wipe(nacre_context *ctx)
{
    if (ctx->keys != NULL) {
        release(ctx, nacre__sender_key(ctx));
        release(ctx, nacre__recipient_key(ctx));
    }
    nacre_wipe(ctx, sizeof *ctx);
}

nacre_err nacre_context_set_replay(nacre_context *ctx, bool known, uint64_t index, const uint8_t *bitfield, size_t len)
{
    if (known) {
        nacre_err err = nacre_replay_import(&ctx->replay, index, bitfield, len);
        if (err == NACRE_OK) ctx->window_on_disk = ctx->persistent;
        return err;
    }
    nacre_replay_forget(&ctx->replay);
    nacre_context_confirm_window_lost(ctx); /* the store holds no window to restore */
    return NACRE_OK;
}

nacre_bytes nacre_context_sender_id(const nacre_context *ctx)
{
    return nacre_bytes_of(ctx->sender_id, ctx->sender_id_len);
}

nacre_bytes nacre_context_recipient_id(const nacre_context *ctx)
{
    return nacre_bytes_of(ctx->recipient_id, ctx->recipient_id_len);
}

nacre_bytes nacre_context_id_context(const nacre_context *ctx)
{
    return nacre__id_context(ctx);
}

nacre_bytes nacre_context_common_iv(const nacre_context *ctx)
{
    return nacre_bytes_of(ctx->common_iv, ctx->aead != NULL ? ctx->aead->nonce_len : 0);
}

const nacre_aead *nacre_context_aead(const nacre_context *ctx)
{
    return ctx->aead;
}

const nacre_replay *nacre_context_replay(const nacre_context *ctx)
{
    return &ctx->replay;
}

/* Common IV and keys come from one secret, salt, hash and algorithm (RFC 8613 3.2.1), so equal IVs and equal IDs imply equal
 * keys. Unlike the IDs it is not public. */
static bool same_source(const nacre_context *a, const nacre_context *b)
{
    return a->aead != NULL && a->aead == b->aead && nacre_equal_ct(a->common_iv, b->common_iv, a->aead->nonce_len) &&
           nacre_bytes_equal(nacre__id_context(a), nacre__id_context(b));
}

bool nacre_context_same_sender_key(const nacre_context *a, const nacre_context *b)
{
    return nacre_bytes_equal(nacre_context_sender_id(a), nacre_context_sender_id(b)) && same_source(a, b);
}

bool nacre_context_same_recipient_key(const nacre_context *a, const nacre_context *b)
{
    return nacre_bytes_equal(nacre_context_recipient_id(a), nacre_context_recipient_id(b)) && same_source(a, b);
}

uint64_t nacre_context_next_seq(const nacre_context *ctx)
{
    return ctx->next;
}

uint32_t nacre_context_failed_decryptions(const nacre_context *ctx)
{
    return ctx->failed;
}

nacre_usage nacre_context_usage(const nacre_context *ctx)
{
    /* draft-ietf-core-oscore-key-limits 2.1.1: CCM with 8-byte tags allows fewer forgeries and shorter messages. */
    bool short_tag = ctx->aead->tag_len == 8;
    nacre_usage u = {
        .protected_messages = ctx->sealed > ctx->next ? ctx->sealed : ctx->next,
        .max_protected_messages = UINT64_C(1) << 20,
        .failed_decryptions = ctx->failed,
        .max_failed_decryptions = UINT64_C(1) << (short_tag ? 14 : 20),
        .max_message = short_tag ? 4096 : 16384,
    };
    u.due = u.protected_messages >= u.max_protected_messages || u.failed_decryptions >= u.max_failed_decryptions;
    return u;
}
