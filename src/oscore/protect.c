/* SPDX-License-Identifier: MIT */
/* protect: a plain message becomes an OSCORE message (RFC 8613 8.1, 8.3).
 *
 *    room:  | header, token | outer options | ff | code | inner options | ff payload | tag |
 *                                                 `-------- encrypted in place -----'
 *
 * Everything that can fail for the caller's reasons is checked first. Then the sequence number, or the right to the
 * request's nonce, is spent; then the cipher runs. */
#include <nacre/oscore.h>
#include "coap/message.h"
#include "coap/option_codec.h"
#include "context/sequence.h"
#include "oscore/aad.h"
#include "oscore/nonce.h"
#include "oscore/request_id.h"
#include "oscore/split.h"

enum { MAX_OPTION = 1 + 5 + 1 + 255 + NACRE_MAX_ID };

/* One message on its way. */
typedef struct protection {
    nacre_context *ctx;
    const nacre_crypto *crypto;
    const nacre_message *plain;
    bool is_request, new_piv;
    uint8_t piv_bytes[5];
    nacre_bytes piv; /* the new one */
    uint8_t option_bytes[MAX_OPTION];
    nacre_bytes option;
    nacre__split split;
} protection;

static const nacre_protect_options defaults;

static nacre_err take_piv(protection *p)
{
    uint64_t seq;
    nacre_err err = nacre__sequence_next(p->ctx, &seq);
    if (err != NACRE_OK) return err;
    p->piv = nacre_bytes_of(p->piv_bytes, nacre__partial_iv(p->piv_bytes, seq));
    return NACRE_OK;
}

/* RFC 8613 5: requests carry Partial IV and kid, and the kid context when it helps; responses what is asked for. */
static nacre_err make_option(protection *p, const nacre_protect_options *how)
{
    nacre_oscore_option o = { p->piv, NACRE_ABSENT, NACRE_ABSENT };
    if (p->is_request || how->send_kid) o.kid = nacre_context_sender_id(p->ctx);
    if (how->kid_context_choice == NACRE_KID_CONTEXT_GIVEN) {
        if (how->kid_context.len > 255) return NACRE_ERR_TOO_LONG;
        o.kid_context = how->kid_context;
    } else if (how->kid_context_choice == NACRE_KID_CONTEXT_AUTO && p->is_request) {
        o.kid_context = nacre_context_id_context(p->ctx);
    }
    return nacre_oscore_option_write(&o, &p->option, NACRE_ROOM(p->option_bytes));
}

static uint8_t outer_code(const protection *p) /* RFC 8613 4.2 */
{
    if (p->is_request) return p->split.has_observe ? NACRE_FETCH : NACRE_POST;
    return p->split.has_observe ? NACRE_CONTENT : NACRE_CHANGED;
}

static size_t plaintext_size(const protection *p)
{
    return 1 + p->split.inner_len + (p->plain->payload.len > 0 ? 1 + p->plain->payload.len : 0);
}

/* Writes the message with its plaintext in clear; gives where the plaintext starts. */
static uint8_t *write_message(const protection *p, uint8_t *at)
{
    const nacre_message *m = p->plain;
    at = nacre__header_write(at, m, outer_code(p));
    uint8_t *plaintext = at + p->split.outer_len + 1;
    plaintext[-1] = NACRE__PAYLOAD_MARKER;
    plaintext[0] = m->code; /* RFC 8613 5.3 */
    nacre__split_write(&p->split, at, plaintext + 1);
    if (m->payload.len > 0) {
        at = plaintext + 1 + p->split.inner_len;
        *at = NACRE__PAYLOAD_MARKER;
        memcpy(at + 1, m->payload.ptr, m->payload.len);
    }
    return plaintext;
}

/* Checks, spends, writes, encrypts. `id` is the request's identity; with `spend` its right to the nonce goes. */
static nacre_err finish(protection *p, nacre_request_id *id, nacre_bytes *out, nacre_room room)
{
    nacre_context *ctx = p->ctx;
    size_t plaintext_len = plaintext_size(p);
    size_t size = nacre__header_size(p->plain) + p->split.outer_len + 1 + plaintext_len + ctx->aead->tag_len;
    if (plaintext_len > ctx->aead->max_len) return NACRE_ERR_TOO_LONG;
    if (size > room.cap) return NACRE_ERR_NO_ROOM;

    uint8_t nonce[NACRE_MAX_NONCE], aad[NACRE_MAX_AAD];
    nacre_bytes request_kid = nacre__request_kid(id), request_piv = nacre__request_piv(id);
    size_t aad_len = nacre__aad(aad, ctx->aead->cose, request_kid, request_piv);
    if (p->crypto->ops->max_aad != 0 && aad_len > p->crypto->ops->max_aad) return NACRE_ERR_UNSUPPORTED;
    /* RFC 8613 8.1 step 3, 8.3 step 3: the ID is that of whoever made the Partial IV. */
    if (p->new_piv) {
        nacre__nonce(nonce, ctx->aead, ctx->common_iv, nacre_context_sender_id(ctx), p->piv);
        nacre__sequence_take(ctx);
    } else {
        nacre__nonce(nonce, ctx->aead, ctx->common_iv, request_kid, request_piv);
        id->flags &= (uint8_t)~NACRE__MAY_USE_NONCE; /* one request nonce, one response */
    }

    uint8_t *plaintext = write_message(p, room.ptr);
    nacre_aead_job job = { ctx->aead, ctx->sender_key, nonce,     { aad, aad_len },
                           plaintext, plaintext_len,   plaintext, false };
    if (!nacre_seal(p->crypto, &job)) {
        nacre_wipe(room.ptr, size);
        return NACRE_ERR_CRYPTO;
    }
    *out = nacre_bytes_of(room.ptr, size);
    return NACRE_OK;
}

static nacre_err prepare(protection *p, const nacre_protect_options *how)
{
    if (p->crypto->ops != p->ctx->ops || !nacre__header_ok(p->plain)) return NACRE_ERR_BAD_ARGUMENT;
    if (p->new_piv) {
        nacre_err err = take_piv(p);
        if (err != NACRE_OK) return err;
    }
    nacre_err err = make_option(p, how);
    if (err != NACRE_OK) return err;
    return nacre__split_measure(&p->split, p->plain, p->option, p->is_request);
}

static void begin(protection *p, nacre_context *ctx, const nacre_crypto *crypto, const nacre_message *plain)
{
    p->ctx = ctx;
    p->crypto = crypto;
    p->plain = plain;
    p->is_request = nacre_code_is_request(plain->code);
    p->new_piv = true;
    p->piv = NACRE_ABSENT;
}

nacre_err nacre_protect_request(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id, nacre_bytes *out,
                                nacre_room room, const nacre_message *plain, const nacre_protect_options *options)
{
    protection p;
    begin(&p, ctx, crypto, plain);
    if (!p.is_request) return NACRE_ERR_BAD_ARGUMENT;
    nacre_err err = prepare(&p, options != NULL ? options : &defaults);
    if (err != NACRE_OK) return err;
    nacre_request_id own = nacre__request_id(ctx, nacre_context_sender_id(ctx), p.piv, 0);
    err = finish(&p, &own, out, room);
    if (err == NACRE_OK) *id = own;
    return err;
}

nacre_err nacre_protect_response(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id, nacre_bytes *out,
                                 nacre_room room, const nacre_message *plain, const nacre_protect_options *options)
{
    protection p;
    begin(&p, ctx, crypto, plain);
    if (!nacre_code_is_response(plain->code)) return NACRE_ERR_BAD_ARGUMENT;
    const nacre_protect_options *how = options != NULL ? options : &defaults;
    bool may_reuse = nacre__may_use_nonce(id, ctx);
    if (how->nonce == NACRE_NONCE_REQUEST && !may_reuse) return NACRE_ERR_NONCE_USED;
    p.new_piv = how->nonce == NACRE_NONCE_NEW || !may_reuse;
    nacre_err err = prepare(&p, how);
    return err != NACRE_OK ? err : finish(&p, id, out, room);
}

size_t nacre_protect_size(const nacre_context *ctx, const nacre_message *plain, const nacre_protect_options *options)
{
    size_t kid_context = nacre_context_id_context(ctx).len;
    if (options != NULL && options->kid_context.len > kid_context) kid_context = options->kid_context.len;
    nacre_bytes longest = { NULL, 1 + 5 + 1 + kid_context + ctx->sender_id_len }; /* measuring reads no value */
    protection p;
    begin(&p, (nacre_context *)(uintptr_t)ctx, NULL, plain);
    if (nacre__split_measure(&p.split, plain, longest, p.is_request) != NACRE_OK) return 0;
    return nacre__header_size(plain) + p.split.outer_len + 1 + plaintext_size(&p) + ctx->aead->tag_len;
}

nacre_err nacre_protect_echo(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id, nacre_bytes *out,
                             nacre_room room, const nacre_message *header)
{
    if (!ctx->has_echo) return NACRE_ERR_BAD_ARGUMENT;
    uint8_t bytes[NACRE_ECHO_LEN + 3];
    nacre_options options;
    nacre_options_init(&options, NACRE_ROOM(bytes));
    nacre_options_add(&options, NACRE_OPT_ECHO, NACRE_ARRAY(ctx->echo));
    nacre_message plain = {
        .type = header->type, .code = NACRE_UNAUTHORIZED, .mid = header->mid, .token = header->token
    };
    nacre_err err = nacre_options_finish(&options, &plain.options);
    /* RFC 8613 B.1.2: the request was not replay-checked, so its nonce must not be used again. */
    const nacre_protect_options how = { .nonce = NACRE_NONCE_NEW };
    return err != NACRE_OK ? err : nacre_protect_response(ctx, crypto, id, out, room, &plain, &how);
}
