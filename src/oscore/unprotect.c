/* SPDX-License-Identifier: MIT */
/* unprotect: turns an OSCORE message into a plain one (RFC 8613 8.2, 8.4). Input and output buffers differ, so that several
 * contexts can be tried on one message.
 *
 * The plaintext is decrypted after space for the outer options that stay. Without these, the common case, it is not moved,
 * and the plain message's options and payload are slices of it. */
#include <nacre/oscore.h>
#include "coap/message.h"
#include "context/fields.h"
#include "context/sequence.h"
#include "oscore/aad.h"
#include "oscore/nonce.h"
#include "oscore/option.h"
#include "oscore/request_id.h"
#include "oscore/option_classes.h"
#include "oscore/unprotect.h"

/* RFC 8613 8.2 step 2, 8.4 step 2: the message must name this context. */
static bool names_context(const nacre_context *ctx, const nacre_oscore_option *o, const nacre__unprotect_how *how)
{
    nacre_bytes id_context = nacre__id_context(ctx);
    if (!nacre_is_absent(o->kid) && !nacre__same_id(o->kid, ctx->recipient_id, ctx->recipient_id_len)) return false;
    if (nacre_is_absent(o->kid_context) || how->any_kid_context) return true;
    return !nacre_is_absent(id_context) && nacre_bytes_equal(o->kid_context, id_context);
}

static const nacre__unprotect_how ordinary;

/* One message in progress. */
typedef struct unprotection {
    nacre_aead_job job;
    uint8_t nonce[NACRE_MAX_NONCE];
    uint8_t aad[NACRE_MAX_AAD];
    nacre_request_id new_id; /* a request's: its new identity */
    uint64_t seq;            /* of the message's Partial IV */
    size_t offset;           /* start of the plaintext in the buffer: after the space for merging, or 0 */
    bool has_piv;
    bool was_looked_up; /* a request's Partial IV was looked up in the window and fresh */
} unprotection;

/* `*read` is what the caller has parsed, or `parsed`. */
static nacre_err read_outer(unprotection *u, const nacre__outer_options **read, nacre__outer_options *parsed,
                            const nacre_message *outer, const nacre__unprotect_how *how)
{
    *read = how->outer != NULL ? how->outer : parsed;
    const nacre_err err = how->outer != NULL ? NACRE_OK : nacre__outer_read(parsed, outer);
    if (err == NACRE_OK) u->offset = (*read)->others_stay ? outer->options.len : 0; /* at most the merged ones */
    return err;
}

/* RFC 8613 8.2 steps 4 to 6, 8.4 steps 3 to 5, up to the cipher. The payload is the ciphertext: RFC 8613 6.2. */
static NACRE__INLINE nacre_err prepare(unprotection *u, const nacre_context *ctx, const nacre_crypto *crypto,
                                       nacre_buf buf, const nacre_message *outer, const nacre_request_id *id)
{
    if (crypto->ops != ctx->ops) return NACRE_ERR_BAD_ARGUMENT;
    if (outer->payload.len < ctx->aead->tag_len + 1u) return NACRE_ERR_PROTECTION_INVALID; /* too short for a code */
    size_t offset = u->offset, len = outer->payload.len - ctx->aead->tag_len;
    if (len > ctx->aead->max_len) return NACRE_ERR_PROTECTION_INVALID; /* cannot have been encrypted */
    if (buf.cap < offset || buf.cap - offset < len) return NACRE_ERR_BUFFER_TOO_SMALL;
    size_t aad_len = nacre__aad_of(u->aad, ctx->aead->cose, id);
    if (crypto->ops->max_aad != 0 && aad_len > crypto->ops->max_aad) return NACRE_ERR_UNSUPPORTED;
    u->job.aead = ctx->aead;
    u->job.key = nacre__recipient_key(ctx);
    u->job.nonce = u->nonce;
    u->job.aad = nacre_bytes_of(u->aad, aad_len);
    u->job.in = outer->payload.ptr;
    u->job.in_len = outer->payload.len;
    u->job.out = buf.ptr + offset;
    u->job.ok = false;
    return NACRE_OK;
}

/* The parsed plaintext: RFC 8613 5.3. */
typedef struct inner {
    uint8_t code;
    nacre_bytes options, payload;
} inner;

static size_t plaintext_len(const unprotection *u)
{
    return u->job.in_len - u->job.aead->tag_len;
}

static void count_failure(nacre_context *ctx)
{
    if (ctx->failed != UINT32_MAX) ctx->failed++;
}

/* Parses the plaintext (RFC 8613 5.3), options not yet merged. */
static bool parse(const unprotection *u, inner *in, bool want_request)
{
    const uint8_t *plaintext = u->job.out;
    uint32_t seen;
    in->code = plaintext[0];
    if (want_request ? !nacre_code_is_request(in->code) : !nacre_code_is_response(in->code)) return false;
    nacre_bytes body = { plaintext + 1, plaintext_len(u) - 1 };
    if (!nacre__body_parse(body, &in->options, &in->payload, &seen)) return false;
    return (seen & NACRE__SEEN(NACRE_OPT_OSCORE)) == 0 || /* nested OSCORE: not supported */
           nacre_is_absent(nacre_option_find(in->options, NACRE_OPT_OSCORE));
}

/* RFC 8613 8.2 step 7, 8.4 step 6: merges the outer options that stay with the inner ones. */
static void deliver(const unprotection *u, nacre_message *plain, const inner *in, nacre_buf buf,
                    const nacre_message *outer)
{
    nacre_bytes options = in->options;
    if (u->offset > 0) options = nacre_bytes_of(buf.ptr, nacre__merge(buf.ptr, options, outer->options));
    plain->type = outer->type;
    plain->code = in->code;
    plain->mid = outer->mid;
    plain->token = outer->token;
    plain->options = options;
    plain->payload = in->payload;
}

/* ---- Requests ---- */

/* RFC 8613 B.1.2: the stored window is about to become outdated. */
static nacre_err wait_for_store(nacre_context *ctx)
{
    ctx->window_lost_wanted = true;
    return NACRE_ERR_NOT_YET;
}

/* Updates the window for a verified request. If freshness depends on Echo, its nonce must not be used for the response,
 * because its Partial IV was not checked in a window (RFC 8613 B.1.2). */
static nacre_err accept(unprotection *u, nacre_context *ctx, nacre_bytes options)
{
    if (ctx->replay.known) {
        if (!ctx->window_on_disk) return nacre_replay_accept(&ctx->replay, u->seq);
        nacre_err err = nacre_replay_check(&ctx->replay, u->seq);
        return err == NACRE_OK ? wait_for_store(ctx) : err;
    }
    u->new_id.flags = 0;
    nacre_bytes echo = nacre_option_find(options, NACRE_OPT_ECHO);
    if (echo.len != NACRE_ECHO_LEN || !nacre_equal_ct(echo.ptr, ctx->echo, NACRE_ECHO_LEN))
        return NACRE_ERR_REPLAY_ECHO;
    if (ctx->window_on_disk) return wait_for_store(ctx);
    nacre_replay_set_fresh(&ctx->replay, u->seq); /* RFC 8613 B.1.2: its Partial IV becomes the lower edge */
    nacre_wipe(ctx->echo, sizeof ctx->echo);      /* for one recovery: a copy of this request must not recover again */
    ctx->has_echo = false;
    return NACRE_OK;
}

/* The check before decrypting (RFC 8613 8.2 step 3). An uninitialised window is decided by the Echo option. */
static nacre_err look(const nacre_context *ctx, uint64_t seq)
{
    nacre_err err = nacre_replay_check(&ctx->replay, seq);
    if (err != NACRE_ERR_REPLAY_ECHO) return err;
    if (nacre__is_stopped(ctx)) return NACRE_ERR_CONTEXT_UNAVAILABLE;
    return ctx->has_echo && seq <= NACRE_SEQ_MAX ? NACRE_OK : NACRE_ERR_REPLAY;
}

static nacre_err begin_request(unprotection *u, const nacre_context *ctx, const nacre_crypto *crypto, nacre_buf buf,
                               const nacre_message *outer, const nacre__unprotect_how *how)
{
    nacre__outer_options parsed;
    const nacre__outer_options *read;
    nacre_err err = read_outer(u, &read, &parsed, outer, how);
    if (err != NACRE_OK) return err;
    const nacre_oscore_option *option = &read->oscore;
    if (nacre_is_absent(option->partial_iv) || nacre_is_absent(option->kid)) return NACRE_ERR_DECODE; /* RFC 8613 5 */
    if (!names_context(ctx, option, how)) return NACRE_ERR_NO_CONTEXT;
    u->seq = nacre__partial_iv_number(option->partial_iv);
    u->has_piv = true;
    err = look(ctx, u->seq);
    if (err != NACRE_OK) return err;
    u->was_looked_up = true;
    nacre__nonce(u->nonce, ctx->aead, ctx->common_iv, option->kid, u->seq);
    nacre__request_id_make(&u->new_id, ctx, ctx->recipient_id, ctx->recipient_id_len, u->seq, NACRE__MAY_USE_NONCE);
    return prepare(u, ctx, crypto, buf, outer, &u->new_id);
}

/* The error if it did not verify, or is no request. An earlier message of the burst may have used its Partial IV since the
 * check: then REPLAY, as if processed one by one, not a failed decryption. */
NACRE__NOT_INLINE static nacre_err refuse_request(const unprotection *u, nacre_context *ctx)
{
    nacre_err err = look(ctx, u->seq);
    if (err != NACRE_OK) return err;
    if (!u->job.ok) count_failure(ctx);
    return NACRE_ERR_PROTECTION_INVALID;
}

static nacre_err end_request(unprotection *u, nacre_context *ctx, nacre_request_id *id, nacre_message *plain,
                             nacre_buf buf, const nacre_message *outer)
{
    inner in;
    nacre_err err = u->job.ok && parse(u, &in, true) ? accept(u, ctx, in.options) : refuse_request(u, ctx);
    if (err == NACRE_OK || err == NACRE_ERR_REPLAY_ECHO) *id = u->new_id;
    if (err != NACRE_OK) {
        nacre_wipe(u->job.out, plaintext_len(u));
        return err;
    }
    deliver(u, plain, &in, buf, outer);
    return NACRE_OK;
}

nacre_err nacre__unprotect_request(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id,
                                   nacre_message *plain, nacre_buf buf, const nacre_message *outer,
                                   const nacre__unprotect_how *how)
{
    unprotection u;
    nacre_err err = begin_request(&u, ctx, crypto, buf, outer, how);
    if (err != NACRE_OK) return err;
    nacre_open(crypto, &u.job);
    return end_request(&u, ctx, id, plain, buf, outer);
}

nacre_err nacre_unprotect_request(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id,
                                  nacre_message *plain, nacre_buf buf, const nacre_message *outer)
{
    return nacre__unprotect_request(ctx, crypto, id, plain, buf, outer, &ordinary);
}

/* ---- Responses ---- */

static nacre_err begin_response(unprotection *u, const nacre_context *ctx, const nacre_crypto *crypto,
                                const nacre_request_id *id, nacre_buf buf, const nacre_message *outer,
                                const nacre__unprotect_how *how)
{
    nacre__outer_options parsed;
    const nacre__outer_options *read;
    nacre_err err = read_outer(u, &read, &parsed, outer, how);
    if (err != NACRE_OK) return err;
    const nacre_oscore_option *option = &read->oscore;
    if (!names_context(ctx, option, how)) return NACRE_ERR_NO_CONTEXT;
    if (!nacre__request_kid_fits(id, ctx->aead)) return NACRE_ERR_BAD_ARGUMENT; /* a request of another context */
    u->has_piv = !nacre_is_absent(option->partial_iv);
    u->seq = u->has_piv ? nacre__partial_iv_number(option->partial_iv) : 0;
    /* RFC 8613 8.4 step 4, 5.2: the request's nonce, or the server's Partial IV with the server's ID. */
    bool others = !u->has_piv && how->request_common_iv != NULL;
    nacre__nonce(u->nonce, ctx->aead, others ? how->request_common_iv : ctx->common_iv,
                 u->has_piv ? nacre_bytes_of(ctx->recipient_id, ctx->recipient_id_len) : nacre__request_kid(id),
                 u->has_piv ? u->seq : nacre__request_seq(id));
    return prepare(u, ctx, crypto, buf, outer, id);
}

static nacre_err end_response(const unprotection *u, nacre_context *ctx, nacre_message *plain,
                              nacre_response_info *info, nacre_buf buf, const nacre_message *outer)
{
    inner in;
    if (!u->job.ok) count_failure(ctx);
    if (!u->job.ok || !parse(u, &in, false)) {
        nacre_wipe(u->job.out, plaintext_len(u));
        return NACRE_ERR_PROTECTION_INVALID;
    }
    deliver(u, plain, &in, buf, outer);
    if (info != NULL) {
        info->has_partial_iv = u->has_piv;
        info->partial_iv = u->seq;
    }
    return NACRE_OK;
}

nacre_err nacre__unprotect_response(nacre_context *ctx, const nacre_crypto *crypto, const nacre_request_id *id,
                                    nacre_message *plain, nacre_response_info *info, nacre_buf buf,
                                    const nacre_message *outer, const nacre__unprotect_how *how)
{
    unprotection u;
    nacre_err err = begin_response(&u, ctx, crypto, id, buf, outer, how);
    if (err != NACRE_OK) return err;
    nacre_open(crypto, &u.job);
    return end_response(&u, ctx, plain, info, buf, outer);
}

nacre_err nacre_unprotect_response(nacre_context *ctx, const nacre_crypto *crypto, const nacre_request_id *id,
                                   nacre_message *plain, nacre_response_info *info, nacre_buf buf,
                                   const nacre_message *outer)
{
    return nacre__unprotect_response(ctx, crypto, id, plain, info, buf, outer, &ordinary);
}

/* ---- Bursts ---- */

static nacre_err begin_item(unprotection *u, const nacre_crypto *crypto, const nacre_unprotect_item *item,
                            const nacre__outer_options *outer)
{
    const nacre__unprotect_how how = { .outer = outer };
    u->was_looked_up = false;
    if (item->is_response) return begin_response(u, item->context, crypto, item->id, item->buf, item->outer, &how);
    return begin_request(u, item->context, crypto, item->buf, item->outer, &how);
}

/* `item->err` is the result of the first step. A failure after the Partial IV check may be a replay by now, as if processed
 * one by one. */
static nacre_err end_item(unprotection *u, nacre_unprotect_item *item)
{
    if (item->err != NACRE_OK) {
        nacre_err now = u->was_looked_up ? look(item->context, u->seq) : NACRE_OK;
        return now != NACRE_OK ? now : item->err;
    }
    if (item->is_response) return end_response(u, item->context, &item->plain, &item->info, item->buf, item->outer);
    return end_request(u, item->context, item->id, &item->plain, item->buf, item->outer);
}

enum { AHEAD = 4 };
static void unprotect_burst(const nacre_crypto *crypto, nacre_unprotect_item *items,
                            const nacre__outer_options *const *outers, size_t num)
{
    unprotection work[NACRE_BURST];
    nacre_aead_job *jobs[NACRE_BURST];
    size_t num_jobs = 0;
    for (size_t i = 0; i < num; i++) {
        if (i + AHEAD < num) {
            NACRE__PREFETCH(items[i + AHEAD].context);
            NACRE__PREFETCH((const uint8_t *)items[i + AHEAD].context + 64);
            NACRE__PREFETCH(items[i + AHEAD].outer);
            NACRE__PREFETCH(items[i + AHEAD].outer->options.ptr);
        }
        items[i].err = begin_item(&work[i], crypto, &items[i], outers != NULL ? outers[i] : NULL);
        if (items[i].err != NACRE_OK) continue;
        jobs[num_jobs++] = &work[i].job;
        nacre__fetch_key(work[i].job.key);
    }
    if (num_jobs > 0) crypto->ops->open_many(crypto, jobs, num_jobs);
    /* In order, so that of two equal Partial IVs in one burst the second is a replay (RFC 8613 7.4). */
    for (size_t i = 0; i < num; i++) items[i].err = end_item(&work[i], &items[i]);
}

void nacre__unprotect_many(const nacre_crypto *crypto, nacre_unprotect_item *items,
                           const nacre__outer_options *const *outers, size_t num)
{
    for (size_t at = 0; at < num; at += NACRE_BURST)
        unprotect_burst(crypto, items + at, outers != NULL ? outers + at : NULL,
                        num - at < NACRE_BURST ? num - at : NACRE_BURST);
}

void nacre_unprotect_many(const nacre_crypto *crypto, nacre_unprotect_item *items, size_t num)
{
    nacre__unprotect_many(crypto, items, NULL, num);
}
