/* SPDX-License-Identifier: MIT */
/* protect: turns a plain message into an OSCORE message (RFC 8613 8.1, 8.3).
 *
 *    buf:   | header, token | outer options | ff | code | inner options | ff payload | tag |
 *                                                 `-------- encrypted in place -----'
 *
 * In two steps, so that a burst can run its ciphers in one call between them:
 *   begin   checks the arguments; spends the sequence number, or the right to the request's nonce; then writes
 *           the message, not yet encrypted
 *   end     takes the cipher's result: the message, or nothing and a wiped buffer */
#include <nacre/oscore.h>
#include "coap/message.h"
#include "coap/option_codec.h"
#include "context/fields.h"
#include "context/sequence.h"
#include "oscore/aad.h"
#include "oscore/nonce.h"
#include "oscore/option.h"
#include "oscore/proxy_uri.h"
#include "oscore/request_id.h"
#include "oscore/option_classes.h"

typedef nacre_protection protection; /* one message in progress */

static const nacre_protect_options defaults;

/* The message to protect, and its output. */
typedef struct task {
    nacre_context *ctx;
    const nacre_crypto *crypto;
    nacre_request_id *id; /* a response's: of the request */
    nacre_buf buf;
    const nacre_message *plain;
    const nacre_protect_options *how;
    bool is_request, new_piv, all_inner;
} task;

static nacre_bytes sender_id_of(const nacre_context *ctx)
{
    return nacre_bytes_of(ctx->sender_id, ctx->sender_id_len);
}

/* RFC 8613 5: requests carry Partial IV and kid, and the kid context by default; responses only what `how` requests. */
static nacre_err choose_option(nacre_oscore_option *o, const nacre_context *ctx, bool is_request,
                               const nacre_protect_options *how)
{
    o->kid = is_request || how->send_kid ? sender_id_of(ctx) : NACRE_ABSENT;
    o->kid_context = NACRE_ABSENT;
    if (how->kid_context_choice == NACRE_KID_CONTEXT_GIVEN) o->kid_context = how->kid_context;
    else if (how->kid_context_choice == NACRE_KID_CONTEXT_AUTO && is_request) o->kid_context = nacre__id_context(ctx);
    return o->kid_context.len > 255 ? NACRE_ERR_TOO_LONG : NACRE_OK;
}

static uint8_t outer_code(const nacre__option_classes *classes) /* RFC 8613 4.2 */
{
    if (classes->is_request) return classes->has_observe ? NACRE_FETCH : NACRE_POST;
    return classes->has_observe ? NACRE_CONTENT : NACRE_CHANGED;
}

static size_t plaintext_size(const nacre__option_classes *classes, const nacre_message *plain)
{
    return 1 + classes->inner_len + (plain->payload.len > 0 ? 1 + plain->payload.len : 0);
}

/* RFC 8613 8.1 step 5, 8.3 step 5, 6.2: writes the message, not yet encrypted; returns the start of the plaintext. The
 * message may already be in the buffer: payload and options only move up, last first, and the header stays. */
static uint8_t *write_message(uint8_t *buf, nacre__option_classes *classes, const nacre_message *m)
{
    uint8_t *outer = buf + nacre__header_size(m);
    uint8_t *plaintext = outer + classes->outer_len + 1;
    uint8_t *marker = plaintext + 1 + classes->inner_len;
    if (m->payload.len > 0) {
        nacre__move(marker + 1, m->payload.ptr, m->payload.len);
        *marker = NACRE__PAYLOAD_MARKER;
    }
    nacre__option_classes_write(classes, outer, plaintext + 1);
    nacre__header_write(buf, m, outer_code(classes));
    plaintext[-1] = NACRE__PAYLOAD_MARKER;
    plaintext[0] = m->code; /* RFC 8613 5.3 */
    return plaintext;
}

/* Whether parts of the message in the buffer lie where write_message can move them from. */
static bool may_share(const nacre_message *m, const nacre__option_classes *classes, nacre_buf buf)
{
    size_t header = nacre__header_size(m);
    if (!nacre__overlaps(m->token, buf) && !nacre__overlaps(m->options, buf)) return true;
    return classes->all_inner && (m->token.len == 0 || m->token.ptr == buf.ptr + header - m->token.len) &&
           (m->options.len == 0 || m->options.ptr == buf.ptr + header) &&
           (m->payload.len == 0 || !nacre__overlaps(m->payload, buf) ||
            m->payload.ptr > buf.ptr + header + m->options.len);
}

/* RFC 8613 8.1 steps 2 and 3, 8.3 steps 2 and 3. `id` is the request's identity, with kid and Partial IV for the AAD; `seq`
 * is the number of a new Partial IV, if any. */
static nacre_err make_nonce_and_aad(protection *p, const nacre_context *ctx, const nacre_crypto *crypto,
                                    const nacre_request_id *id, bool new_piv, uint64_t seq)
{
    size_t aad_len = nacre__aad_of(p->aad, ctx->aead->cose, id);
    if (crypto->ops->max_aad != 0 && aad_len > crypto->ops->max_aad) return NACRE_ERR_UNSUPPORTED;
    p->job.aad = nacre_bytes_of(p->aad, aad_len);
    p->job.nonce = p->nonce;
    /* The ID of the side that made the Partial IV. */
    nacre__nonce(p->nonce, ctx->aead, ctx->common_iv, new_piv ? sender_id_of(ctx) : nacre__request_kid(id),
                 new_piv ? seq : nacre__request_seq(id));
    return NACRE_OK;
}

static nacre_err begin_after_measure(protection *p, const task *t)
{
    nacre_context *ctx = t->ctx;
    nacre__option_classes classes;
    uint64_t seq = 0;
    nacre_err err = choose_option(&classes.oscore, ctx, t->is_request, t->how);
    if (err == NACRE_OK && t->new_piv) err = nacre__sequence_next(ctx, &seq);
    if (err != NACRE_OK) return err;
    classes.oscore.partial_iv = NACRE_ABSENT;
    if (t->new_piv) { /* a request's identity; a response needs only its Partial IV */
        nacre__request_id_make(&p->new_id, ctx, ctx->sender_id, ctx->sender_id_len, seq, 0);
        classes.oscore.partial_iv = nacre__request_piv(&p->new_id);
    }
    classes.options = t->plain->options;
    classes.is_request = t->is_request;
    classes.all_inner = t->all_inner;
    err = nacre__option_classes_measure(&classes);
    if (err != NACRE_OK) return err;
    size_t plaintext_len = plaintext_size(&classes, t->plain);
    size_t size = nacre__header_size(t->plain) + classes.outer_len + 1 + plaintext_len + ctx->aead->tag_len;
    if (plaintext_len > ctx->aead->max_len) return NACRE_ERR_TOO_LONG;
    if (size > t->buf.cap) return NACRE_ERR_BUFFER_TOO_SMALL;
    if (!may_share(t->plain, &classes, t->buf)) return NACRE_ERR_BAD_ARGUMENT;

    p->is_request = t->is_request;
    err = make_nonce_and_aad(p, ctx, t->crypto, t->is_request ? &p->new_id : t->id, t->new_piv, seq);
    if (err != NACRE_OK) return err;

    if (t->new_piv) nacre__sequence_take(ctx);
    else t->id->flags &= (uint8_t)~NACRE__MAY_USE_NONCE; /* RFC 8613 8.3: one request nonce, one response */
    if (ctx->sealed != UINT32_MAX) ctx->sealed++;
    p->used = (nacre_buf){ t->buf.ptr, size };
    p->job.aead = ctx->aead;
    p->job.key = nacre__sender_key(ctx);
    p->job.in = p->job.out = write_message(t->buf.ptr, &classes, t->plain);
    p->job.in_len = plaintext_len;
    p->job.ok = false;
    return NACRE_OK;
}

/* A request that may have a Proxy-Uri option: its options are then rewritten at the end of the buffer. Out of line, because
 * rare: keeps the copies off the common stack. */
NACRE__NOT_INLINE static nacre_err begin_after_proxy_uri(protection *p, const task *t)
{
    nacre_message plain = *t->plain;
    task now = *t;
    now.plain = &plain;
    nacre_err err = nacre__proxy_uri_split(&plain, &now.buf);
    if (err == NACRE_OK) err = begin_after_measure(p, &now);
    nacre_wipe(t->buf.ptr + now.buf.cap, t->buf.cap - now.buf.cap); /* they contain the plaintext path */
    return err;
}

static nacre_err begin(protection *p, task *t)
{
    if (t->crypto->ops != t->ctx->ops || !nacre__header_ok(t->plain)) return NACRE_ERR_BAD_ARGUMENT;
    if (nacre__is_stopped(t->ctx)) return NACRE_ERR_CONTEXT_UNAVAILABLE;
    t->all_inner = nacre__all_inner(t->plain->options);
    return t->all_inner || !t->is_request ? begin_after_measure(p, t) : begin_after_proxy_uri(p, t);
}

static nacre_bytes message_of(const protection *p)
{
    return nacre_bytes_of(p->used.ptr, p->used.cap);
}

static nacre_err end(const protection *p, nacre_request_id *id, nacre_bytes *out)
{
    if (!p->job.ok) {
        nacre_wipe(p->used.ptr, p->used.cap);
        return NACRE_ERR_CRYPTO;
    }
    if (p->is_request) *id = p->new_id;
    *out = message_of(p);
    return NACRE_OK;
}

/* Chooses request or response, and the nonce. */
static nacre_err choose(task *t)
{
    if (t->how == NULL) t->how = &defaults;
    t->new_piv = true;
    t->is_request = nacre_code_is_request(t->plain->code);
    if (t->is_request) return NACRE_OK;
    if (!nacre_code_is_response(t->plain->code)) return NACRE_ERR_BAD_ARGUMENT;
    if (!nacre__request_kid_fits(t->id, t->ctx->aead)) return NACRE_ERR_BAD_ARGUMENT; /* a request of another context */
    /* RFC 8613 8.3, 8.3.1: all responses after the first, notifications too, have their own Partial IV. */
    bool may_reuse = nacre__may_use_nonce(t->id, t->ctx);
    if (t->how->nonce == NACRE_NONCE_REQUEST && !may_reuse) return NACRE_ERR_NONCE_USED;
    t->new_piv = t->how->nonce == NACRE_NONCE_NEW || !may_reuse;
    return NACRE_OK;
}

static nacre_err protect(task *t, nacre_bytes *out)
{
    protection p;
    nacre_err err = choose(t);
    if (err == NACRE_OK) err = begin(&p, t);
    if (err != NACRE_OK) return err;
    nacre_seal(t->crypto, &p.job); /* RFC 8613 8.1 step 4, 8.3 step 4 */
    return end(&p, t->id, out);
}

nacre_err nacre_protect_request(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id, nacre_bytes *out,
                                nacre_buf buf, const nacre_message *plain, const nacre_protect_options *options)
{
    if (!nacre_code_is_request(plain->code)) return NACRE_ERR_BAD_ARGUMENT;
    task t = { .ctx = ctx, .crypto = crypto, .id = id, .buf = buf, .plain = plain, .how = options };
    return protect(&t, out);
}

nacre_err nacre_protect_response(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id, nacre_bytes *out,
                                 nacre_buf buf, const nacre_message *plain, const nacre_protect_options *options)
{
    if (!nacre_code_is_response(plain->code)) return NACRE_ERR_BAD_ARGUMENT;
    task t = { .ctx = ctx, .crypto = crypto, .id = id, .buf = buf, .plain = plain, .how = options };
    return protect(&t, out);
}

size_t nacre_protect_size(const nacre_context *ctx, const nacre_message *plain, const nacre_protect_options *options)
{
    if (ctx->aead == NULL) return 0; /* a wiped context */
    static const uint8_t piv[5];     /* the longest; only its length matters */
    nacre__option_classes classes = { .options = plain->options, .is_request = nacre_code_is_request(plain->code) };
    classes.all_inner = nacre__all_inner(plain->options);
    if (choose_option(&classes.oscore, ctx, classes.is_request, options != NULL ? options : &defaults) != NACRE_OK)
        return 0;
    classes.oscore.partial_iv = NACRE_ARRAY(piv);
    if (nacre__option_classes_measure(&classes) != NACRE_OK) return 0;
    size_t size =
        nacre__header_size(plain) + classes.outer_len + 1 + plaintext_size(&classes, plain) + ctx->aead->tag_len;
    return size + nacre__proxy_uri_extra(plain);
}

nacre_err nacre_protect_echo(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id, nacre_bytes *out,
                             nacre_buf buf, const nacre_message *header)
{
    if (!ctx->has_echo) return NACRE_ERR_BAD_ARGUMENT;
    uint8_t bytes[NACRE_ECHO_LEN + 3];
    nacre_options options;
    nacre_options_init(&options, NACRE_BUF(bytes));
    nacre_options_add(&options, NACRE_OPT_ECHO, NACRE_ARRAY(ctx->echo));
    nacre_message plain = {
        .type = header->type, .code = NACRE_UNAUTHORIZED, .mid = header->mid, .token = header->token
    };
    nacre_err err = nacre_options_finish(&options, &plain.options);
    /* RFC 8613 B.1.2: the request was not replay-checked, so its nonce must not be used again. */
    const nacre_protect_options how = { .nonce = NACRE_NONCE_NEW };
    if (err == NACRE_OK) err = nacre_protect_response(ctx, crypto, id, out, buf, &plain, &how);
    if (err == NACRE_OK) nacre__replay_challenged(&ctx->replay, nacre__request_seq(id));
    return err;
}

enum { AHEAD = 4 };
static nacre_err begin_item(const nacre_crypto *crypto, protection *p, const nacre_protect_item *item)
{
    task t = { item->context, crypto, item->id, item->buf, item->plain, item->options, false, false, false };
    const nacre_err err = choose(&t);
    return err == NACRE_OK ? begin(p, &t) : err;
}

static void protect_burst(const nacre_crypto *crypto, nacre_protect_item *items, size_t num)
{
    protection work[NACRE_BURST];
    nacre_aead_job *jobs[NACRE_BURST];
    size_t num_jobs = 0;
    for (size_t i = 0; i < num; i++) {
        nacre_protect_item *item = &items[i];
        if (i + AHEAD < num) {
            NACRE__PREFETCH(items[i + AHEAD].context);
            NACRE__PREFETCH((const uint8_t *)items[i + AHEAD].context + 64);
            NACRE__PREFETCH(items[i + AHEAD].buf.ptr);
        }
        item->err = begin_item(crypto, &work[i], item);
        if (item->err != NACRE_OK) continue;
        jobs[num_jobs++] = &work[i].job;
        nacre__fetch_key(work[i].job.key);
    }
    if (num_jobs > 0) crypto->ops->seal_many(crypto, jobs, num_jobs);
    for (size_t i = 0; i < num; i++)
        if (items[i].err == NACRE_OK) items[i].err = end(&work[i], items[i].id, &items[i].out);
}

void nacre_protect_many(const nacre_crypto *crypto, nacre_protect_item *items, size_t num)
{
    for (size_t at = 0; at < num; at += NACRE_BURST)
        protect_burst(crypto, items + at, num - at < NACRE_BURST ? num - at : NACRE_BURST);
}

nacre_err nacre_protect_begin(const nacre_crypto *crypto, nacre_protection *p, nacre_protect_item *item)
{
    item->err = begin_item(crypto, p, item);
    if (item->err != NACRE_OK) return item->err;
    if (p->is_request) *item->id = p->new_id;
    item->out = message_of(p);
    return NACRE_OK;
}

void nacre_protect_finish(const nacre_crypto *crypto, nacre_protection *const *protections, bool *ok, size_t num)
{
    nacre_aead_job *jobs[NACRE_BURST];
    for (size_t i = 0; i < num; i++) jobs[i] = &protections[i]->job;
    if (num > 0) crypto->ops->seal_many(crypto, jobs, num);
    for (size_t i = 0; i < num; i++) {
        ok[i] = protections[i]->job.ok;
        if (!ok[i]) nacre_wipe(protections[i]->used.ptr, protections[i]->used.cap);
    }
}
