/* SPDX-License-Identifier: MIT */
/* unprotect: an OSCORE message becomes a plain one (RFC 8613 8.2, 8.4). Input and output are different rooms, so that
 * several contexts can be tried on one message.
 *
 * The plaintext is decrypted behind enough room for the outer options that stay; when there are none, which is the
 * rule, it stays where it is and the plain message's options and payload are slices of it. */
#include <nacre/oscore.h>
#include "coap/message.h"
#include "context/sequence.h"
#include "oscore/aad.h"
#include "oscore/nonce.h"
#include "oscore/request_id.h"
#include "oscore/split.h"

/* RFC 8613 8.2 step 2, 8.4 step 3: what a message names must be this context's. */
static bool names_context(const nacre_context *ctx, const nacre_oscore_option *o)
{
    nacre_bytes id_context = nacre_context_id_context(ctx);
    if (!nacre_is_absent(o->kid) && !nacre_bytes_equal(o->kid, nacre_context_recipient_id(ctx))) return false;
    if (nacre_is_absent(o->kid_context)) return true;
    return !nacre_is_absent(id_context) && nacre_bytes_equal(o->kid_context, id_context);
}

/* The decrypted message, before anybody relies on it. */
typedef struct opened {
    uint8_t *plaintext;
    size_t len;
    nacre_message plain;
} opened;

static nacre_err decrypt(nacre_context *ctx, const nacre_crypto *crypto, opened *o, nacre_room room,
                         const nacre_message *outer, const uint8_t *nonce, const nacre_request_id *id)
{
    if (crypto->ops != ctx->ops) return NACRE_ERR_BAD_ARGUMENT;
    if (outer->payload.len < ctx->aead->tag_len + 1u) return NACRE_ERR_PROTECTION_INVALID; /* no room for a code */
    size_t offset = nacre__merge_bound(outer->options);
    o->len = outer->payload.len - ctx->aead->tag_len;
    if (room.cap < offset || room.cap - offset < o->len) return NACRE_ERR_NO_ROOM;
    o->plaintext = room.ptr + offset;

    uint8_t aad[NACRE_MAX_AAD];
    size_t aad_len = nacre__aad(aad, ctx->aead->cose, nacre__request_kid(id), nacre__request_piv(id));
    if (crypto->ops->max_aad != 0 && aad_len > crypto->ops->max_aad) return NACRE_ERR_UNSUPPORTED;
    nacre_aead_job job = { ctx->aead,          ctx->recipient_key, nonce,        { aad, aad_len },
                           outer->payload.ptr, outer->payload.len, o->plaintext, false };
    if (nacre_open(crypto, &job)) return NACRE_OK;
    nacre_wipe(o->plaintext, o->len);
    if (ctx->failed != UINT32_MAX) ctx->failed++;
    return NACRE_ERR_PROTECTION_INVALID;
}

/* Takes the plaintext apart (RFC 8613 5.3) into o->plain, options not yet merged. */
static bool parse(opened *o, const nacre_message *outer, bool want_request)
{
    o->plain = *outer;
    o->plain.code = o->plaintext[0];
    if (want_request ? !nacre_code_is_request(o->plain.code) : !nacre_code_is_response(o->plain.code)) return false;
    if (!nacre__body_parse(nacre_bytes_of(o->plaintext + 1, o->len - 1), &o->plain.options, &o->plain.payload))
        return false;
    return nacre_is_absent(nacre_option_find(o->plain.options, NACRE_OPT_OSCORE)); /* nested OSCORE: not done here */
}

/* RFC 8613 8.2 step 7, 8.4 step 7: the outer options that stay join the inner ones. */
static void merge(opened *o, nacre_room room, const nacre_message *outer)
{
    if (nacre__merge_bound(outer->options) == 0) return;
    size_t len = nacre__merge(room.ptr, o->plain.options, outer->options);
    o->plain.options = nacre_bytes_of(room.ptr, len);
}

/* What a verified request does to the window. NACRE_OK: go on; `fresh` tells that Echo has just shown it. */
static nacre_err accept(nacre_context *ctx, uint64_t seq, nacre_bytes options, bool *by_echo)
{
    *by_echo = false;
    if (ctx->replay.known) {
        nacre_err err = nacre_replay_check(&ctx->replay, seq);
        if (err != NACRE_OK) return err;
        if (ctx->window_on_disk) { /* RFC 8613 B.1.2: what the store holds is about to become untrue */
            ctx->window_lost_wanted = true;
            return NACRE_ERR_NOT_YET;
        }
        return nacre_replay_accept(&ctx->replay, seq);
    }
    nacre_bytes echo = nacre_option_find(options, NACRE_OPT_ECHO);
    if (echo.len != NACRE_ECHO_LEN || !nacre_equal_ct(echo.ptr, ctx->echo, NACRE_ECHO_LEN))
        return NACRE_ERR_REPLAY_ECHO;
    nacre_replay_set_fresh(&ctx->replay, seq); /* RFC 8613 B.1.2: its Partial IV is the lower edge from now on */
    *by_echo = true;
    return NACRE_OK;
}

/* The look before decrypting (RFC 8613 8.2 step 3). An uninitialised window waits for what the Echo option says. */
static nacre_err look(const nacre_context *ctx, uint64_t seq)
{
    nacre_err err = nacre_replay_check(&ctx->replay, seq);
    if (err != NACRE_ERR_REPLAY_ECHO) return err;
    return ctx->has_echo && seq <= NACRE_SEQ_MAX ? NACRE_OK : NACRE_ERR_REPLAY;
}

nacre_err nacre_unprotect_request(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id,
                                  nacre_message *plain, nacre_room room, const nacre_message *outer)
{
    nacre_oscore_option option;
    nacre_err err = nacre_verify_start(&option, outer);
    if (err != NACRE_OK) return err;
    if (nacre_is_absent(option.partial_iv) || nacre_is_absent(option.kid)) return NACRE_ERR_DECODE; /* RFC 8613 5 */
    if (!names_context(ctx, &option)) return NACRE_ERR_NO_CONTEXT;
    uint64_t seq = nacre__partial_iv_number(option.partial_iv);
    err = look(ctx, seq);
    if (err != NACRE_OK) return err;

    uint8_t nonce[NACRE_MAX_NONCE];
    nacre__nonce(nonce, ctx->aead, ctx->common_iv, option.kid, option.partial_iv);
    nacre_request_id own;
    nacre__request_id_make(&own, ctx, option.kid, option.partial_iv, NACRE__MAY_USE_NONCE);
    opened o;
    err = decrypt(ctx, crypto, &o, room, outer, nonce, &own);
    if (err != NACRE_OK) return err;

    bool by_echo = false;
    err = parse(&o, outer, true) ? accept(ctx, seq, o.plain.options, &by_echo) : NACRE_ERR_PROTECTION_INVALID;
    if (by_echo || err == NACRE_ERR_REPLAY_ECHO) own = nacre_request_id_dup(&own); /* no right to that nonce */
    if (err == NACRE_OK || err == NACRE_ERR_REPLAY_ECHO) *id = own;
    if (err != NACRE_OK) {
        nacre_wipe(o.plaintext, o.len);
        return err;
    }
    merge(&o, room, outer);
    *plain = o.plain;
    return NACRE_OK;
}

nacre_err nacre_unprotect_response(nacre_context *ctx, const nacre_crypto *crypto, const nacre_request_id *id,
                                   nacre_message *plain, nacre_response_info *info, nacre_room room,
                                   const nacre_message *outer)
{
    nacre_oscore_option option;
    nacre_err err = nacre_verify_start(&option, outer);
    if (err != NACRE_OK) return err;
    if (!names_context(ctx, &option)) return NACRE_ERR_NO_CONTEXT;

    /* RFC 8613 8.4 step 5: the request's nonce, or the server's Partial IV with the server's ID. */
    bool has_piv = !nacre_is_absent(option.partial_iv);
    uint8_t nonce[NACRE_MAX_NONCE];
    if (has_piv) nacre__nonce(nonce, ctx->aead, ctx->common_iv, nacre_context_recipient_id(ctx), option.partial_iv);
    else nacre__nonce(nonce, ctx->aead, ctx->common_iv, nacre__request_kid(id), nacre__request_piv(id));

    opened o;
    err = decrypt(ctx, crypto, &o, room, outer, nonce, id);
    if (err != NACRE_OK) return err;
    if (!parse(&o, outer, false)) {
        nacre_wipe(o.plaintext, o.len);
        return NACRE_ERR_PROTECTION_INVALID;
    }
    merge(&o, room, outer);
    *plain = o.plain;
    if (info != NULL) {
        info->has_partial_iv = has_piv;
        info->partial_iv = has_piv ? nacre__partial_iv_number(option.partial_iv) : 0;
    }
    return NACRE_OK;
}
