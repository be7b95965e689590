/* SPDX-License-Identifier: MIT */
/* block2_server: responses to peers' requests, in blocks if one message is too small (RFC 7959 2.4, Block2).
 *
 * A block is cut from a payload, a source or a cached body. The ETag keeps the blocks of two bodies apart, so different
 * contents need different ETags (RFC 9175 3.8): the application's, or an HMAC of the body under a random key made at init. */
#include "transfer_internal.h"

#include <string.h>

/* ---- Short responses of the transfer ------------------------------------------------------------------------------- */

/* Sends a code and a text, with Block1 if the request had it and Size1 unless 0. */
void nacre__respond_code(nacre_transfer *t, const nacre__server_request *request, uint8_t code, const char *text,
                         uint64_t size1)
{
    nacre_message response = { .code = code };
    nacre_options o;
    nacre_options_init(&o, (nacre_buf){ t->options, t->max_message });
    if (request->has_block1) nacre_options_add_uint(&o, NACRE_OPT_BLOCK1, nacre__block_value(request->block1));
    if (size1 != 0) nacre_options_add_uint(&o, NACRE_OPT_SIZE1, size1);
    if (text != NULL) response.payload = nacre_bytes_of((const uint8_t *)text, strlen(text));
    if (nacre_options_finish(&o, &response.options) != NACRE_OK ||
        nacre_endpoint_respond(t->ep, request->event.exchange, &response) != NACRE_OK)
        nacre_endpoint_ignore(t->ep, request->event.exchange);
    t->queued = true;
}

/* ---- One block of a response --------------------------------------------------------------------------------------- */

/* A response being sent: the source of its body and the part requested. */
typedef struct part {
    const nacre_message *plain;
    const nacre__server_request *request;
    nacre_source source;
    uint64_t size, offset;
    nacre_bytes etag; /* to add; absent: the options have one, or none is needed */
    uint8_t etag_buf[NACRE__ETAG_LEN];
    bool with_size;    /* Size2 */
    bool more;         /* set by read_part: blocks follow this one */
    nacre__body *body; /* holds the payload; NULL: the caller's memory does */
} part;

static nacre_err read_part(nacre_transfer *t, part *p, size_t size, nacre_bytes *piece)
{
    if (p->source.read == NULL) {
        const uint64_t left = p->size - p->offset;
        const size_t len = left < size ? (size_t)left : size;
        *piece = len == 0 ? NACRE_ABSENT : nacre_bytes_of(p->plain->payload.ptr + p->offset, len);
        p->more = left > len;
        return NACRE_OK;
    }
    size_t len = 0, wanted = size;
    if (p->size == NACRE_SIZE_UNKNOWN) wanted = size + 1;
    else if (p->size - p->offset < size) wanted = (size_t)(p->size - p->offset);
    nacre_err err = NACRE_OK;
    if (wanted > 0) err = p->source.read(p->source.user, p->offset, (nacre_buf){ t->piece, wanted }, &len);
    if (err != NACRE_OK) return err;
    if (len > wanted) return NACRE_ERR_BAD_ARGUMENT;
    p->more = len == wanted && (p->size == NACRE_SIZE_UNKNOWN || p->offset + len < p->size);
    *piece = nacre_bytes_of(t->piece, len < size ? len : size);
    return NACRE_OK;
}

/* Adds Block2 if the request had it or the body has several blocks, and Block1 if the request had it. */
static nacre_err part_options(nacre_transfer *t, const part *p, uint8_t szx, nacre_bytes *out)
{
    const bool in_blocks = p->request->has_block2 || p->more || p->offset > 0;
    const nacre__block block = { (uint32_t)(p->offset >> (szx + 4)), p->more, szx };
    nacre_options o;
    nacre_options_init(&o, (nacre_buf){ t->options, t->max_message });
    nacre__copy_options(&o, p->plain->options, 0);
    if (!nacre_is_absent(p->etag)) nacre_options_add(&o, NACRE_OPT_ETAG, p->etag);
    if (in_blocks) nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, nacre__block_value(block));
    if (p->with_size && p->more) nacre_options_add_uint(&o, NACRE_OPT_SIZE2, p->size);
    if (p->request->has_block1) nacre_options_add_uint(&o, NACRE_OPT_BLOCK1, nacre__block_value(p->request->block1));
    return nacre_options_finish(&o, out);
}

static bool has_etag(const nacre_message *plain)
{
    return !nacre_is_absent(nacre_option_find(plain->options, NACRE_OPT_ETAG));
}

static const nacre_message no_such_block = { .code = NACRE_BAD_REQUEST,
                                             .payload = NACRE_STR_INIT("there is no such block") };

/* Sends `message`. If it exceeds the allowance of an unvalidated address: NACRE_ERR_TOO_LONG if a `smaller` block is possible,
 * otherwise the endpoint substitutes its own response. */
static nacre_err respond(nacre_transfer *t, const nacre__server_request *request, const nacre_message *message,
                         bool smaller)
{
    if (smaller && !nacre_endpoint_fits(t->ep, request->event.exchange, message)) return NACRE_ERR_TOO_LONG;
    return nacre_endpoint_respond(t->ep, request->event.exchange, message);
}

static nacre_err send_part(nacre_transfer *t, part *p, uint8_t szx)
{
    nacre_message message = { .code = p->plain->code };
    nacre_err err = read_part(t, p, nacre__block_size(szx), &message.payload);
    if (err != NACRE_OK) return err;
    if (p->offset > 0 && message.payload.len == 0) /* past the end of a source of unknown size */
        return nacre_endpoint_respond(t->ep, p->request->event.exchange, &no_such_block);
    const uint64_t num = p->offset >> (szx + 4);
    const bool countable = num <= NACRE__MAX_BLOCK_NUM && !(p->more && num == NACRE__MAX_BLOCK_NUM);
    if (!countable) return NACRE_ERR_BLOCKS;
    if ((p->more || p->offset > 0) && nacre_is_absent(p->etag) && !has_etag(p->plain)) return NACRE_ERR_BAD_ARGUMENT;
    err = part_options(t, p, szx, &message.options);
    if (err != NACRE_OK) return err == NACRE_ERR_BUFFER_TOO_SMALL ? NACRE_ERR_TOO_LONG : err;
    return respond(t, p->request, &message, message.payload.len > NACRE__MIN_BLOCK);
}

/* Halves the block size until the protected message fits (RFC 8613 4.1.3.4.1) and an unvalidated address may receive it
 * (RFC 7252 11.3). */
static nacre_err send_fitting(nacre_transfer *t, part *p, uint8_t szx)
{
    nacre_err err = NACRE_ERR_TOO_LONG;
    for (int i = szx; err == NACRE_ERR_TOO_LONG && i >= 0; i--) err = send_part(t, p, (uint8_t)i);
    return err == NACRE_ERR_BLOCKS ? NACRE_ERR_TOO_LONG : err;
}

/* ---- A cached body ------------------------------------------------------------------------------------------------- */

/* RFC 8132 2.1: a different payload is a different query. An empty one matches: some clients omit it in later requests. */
static bool has_same_payload(const nacre_transfer *t, const nacre__body *body, const nacre_message *request)
{
    return request->payload.len == 0 || nacre__body_hash(t, request->payload) == body->payload_hash;
}

/* Sends a later block of a cached body; false: no cached body matches. */
bool nacre__respond_from_cache(nacre_transfer *t, const nacre__server_request *request)
{
    const nacre__body_key key = nacre__body_key_of(t, &request->event);
    nacre__body *body = nacre__body_find(t, &key, NACRE__BODY_RESPONSE);
    if (body == NULL || !has_same_payload(t, body, &request->event.message)) return false;
    const nacre_message plain = { .code = body->code,
                                  .options = nacre_bytes_of(body->options, body->options_len),
                                  .payload = nacre_bytes_of(body->bytes, (size_t)body->len) };
    part p = { .plain = &plain, .request = request, .size = body->len, .offset = nacre__block_offset(request->block2) };
    body->touched = t->now;
    if (p.offset >= p.size) {
        nacre__respond_code(t, request, NACRE_BAD_REQUEST, "there is no such block", 0);
        return true;
    }
    const uint8_t szx = request->block2.szx < t->max_szx ? request->block2.szx : t->max_szx;
    if (send_fitting(t, &p, szx) != NACRE_OK) nacre_endpoint_ignore(t->ep, request->event.exchange);
    else if (!p.more) nacre__body_release(t, body);
    t->queued = true;
    return true;
}

static nacre__body *new_body(nacre_transfer *t, const part *p)
{
    const nacre__body_key key = nacre__server_request_key(t, p->request);
    nacre__body *body = nacre__body_find(t, &key, NACRE__BODY_RESPONSE);
    if (body != NULL) nacre__body_release(t, body);
    return nacre__body_new(t, &key, NACRE__BODY_RESPONSE);
}

/* Caches the whole response for later block requests. NULL: too large, or the cache is full. */
static nacre__body *keep(nacre_transfer *t, const part *p)
{
    nacre_options o;
    nacre_bytes out;
    const nacre_bytes payload = p->plain->payload;
    if (payload.len > t->config.bodies.max_body) return NULL;
    nacre__body *body = p->body != NULL ? p->body : new_body(t, p);
    if (body == NULL) return NULL;
    nacre_options_init(&o, (nacre_buf){ body->options, t->max_message });
    nacre__copy_options(&o, p->plain->options, 0);
    if (!nacre_is_absent(p->etag)) nacre_options_add(&o, NACRE_OPT_ETAG, p->etag);
    if (nacre_options_finish(&o, &out) != NACRE_OK) {
        nacre__body_release(t, body);
        return NULL;
    }
    body->options_len = out.len;
    body->code = p->plain->code;
    body->is_safe = nacre_code_is_safe(p->request->event.message.code);
    body->payload_hash = nacre__server_request_payload_hash(t, p->request);
    body->len = payload.len;
    if (payload.ptr != body->bytes) memcpy(body->bytes, payload.ptr, payload.len);
    return body;
}

/* ---- ETags --------------------------------------------------------------------------------------------------------- */

/* RFC 9175 3.8: a keyed hash of Content-Format and payload: equal contents have equal ETags, and collisions cannot be searched
 * for without the key. */
static nacre_err make_etag(const nacre_transfer *t, uint8_t etag[NACRE__ETAG_LEN], const nacre_message *plain)
{
    const nacre_crypto *crypto = &nacre_endpoint_get_config(t->ep)->crypto;
    const nacre_bytes format = nacre_option_find(plain->options, NACRE_OPT_CONTENT_FORMAT);
    const uint8_t format_len = nacre_is_absent(format) ? 0xff : (uint8_t)format.len;
    const nacre_bytes parts[] = { { &format_len, 1 }, format, plain->payload };
    uint8_t mac[NACRE_MAX_HASH];
    const nacre_err err = crypto->ops->hmac(crypto, NACRE_SHA256, NACRE_ARRAY(t->etag_key), parts, 3, mac);
    if (err == NACRE_OK) memcpy(etag, mac, NACRE__ETAG_LEN);
    return err;
}

/* ---- Responses of the application ---------------------------------------------------------------------------------- */

static uint8_t smallest(const nacre_transfer *t, const nacre__server_request *request, uint8_t szx)
{
    if (szx > t->max_szx) szx = t->max_szx;
    return request->has_block2 && request->block2.szx < szx ? request->block2.szx : szx;
}

/* Truncates an error's diagnostic text to one block: it has no ETag, so it cannot span several. */
static nacre_err respond_error(nacre_transfer *t, const nacre__server_request *request, const nacre_message *plain,
                               uint8_t szx)
{
    nacre_message cut = *plain;
    nacre__server_request without = *request;
    without.has_block2 = false;
    nacre_err err = NACRE_ERR_TOO_LONG;
    for (int i = szx; err == NACRE_ERR_TOO_LONG && i >= 0; i--) {
        if (cut.payload.len > nacre__block_size((uint8_t)i)) cut.payload.len = nacre__block_size((uint8_t)i);
        part p = { .plain = &cut, .request = &without, .size = cut.payload.len };
        err = send_part(t, &p, NACRE__MAX_SZX);
    }
    return err;
}

/* Sends one message if it fits, else the first of several blocks: makes an ETag if there is none and caches the body. */
static nacre_err respond_payload(nacre_transfer *t, part *p, uint8_t szx)
{
    nacre_err err = NACRE_ERR_TOO_LONG;
    if (p->offset == 0 && p->size <= nacre__block_size(szx)) err = send_part(t, p, szx);
    if (err != NACRE_ERR_TOO_LONG) return err;
    if (!has_etag(p->plain)) {
        err = make_etag(t, p->etag_buf, p->plain);
        if (err != NACRE_OK && p->body != NULL) nacre__body_release(t, p->body);
        if (err != NACRE_OK) return err;
        p->etag = NACRE_ARRAY(p->etag_buf);
    }
    nacre__body *kept = p->offset == 0 ? keep(t, p) : NULL;
    err = NACRE_ERR_TOO_LONG;
    if (kept != NULL || nacre_code_is_safe(p->request->event.message.code)) err = send_fitting(t, p, szx);
    else if (p->offset == 0 && p->size <= nacre__block_size(szx)) /* too long only for an unvalidated address */
        err = respond(t, p->request, p->plain, false);
    p->etag = NACRE_ABSENT;
    if (kept != NULL && (err != NACRE_OK || !p->more)) nacre__body_release(t, kept);
    return err;
}

/* Reads a source of at most NACRE_MAX_BLOCK bytes into memory, to be sent like a payload, if it has no ETag or the method is
 * not safe. The peer's block size or an unvalidated address may split it, which takes an ETag; and the application is not
 * called again for an unsafe method. Longer sources stay sources. */
static nacre_err read_short(nacre_transfer *t, part *p, nacre_message *whole)
{
    size_t len = 0;
    const bool is_known = p->size != NACRE_SIZE_UNKNOWN;
    const bool may_request_again = has_etag(p->plain) && nacre_code_is_safe(p->request->event.message.code);
    if (may_request_again || (is_known && p->size > NACRE_MAX_BLOCK)) return NACRE_OK;
    const size_t wanted = is_known ? (size_t)p->size : NACRE_MAX_BLOCK + 1;
    if (wanted > 0) {
        const nacre_err err = p->source.read(p->source.user, 0, (nacre_buf){ t->piece, wanted }, &len);
        if (err != NACRE_OK) return err;
    }
    if (len > wanted) return NACRE_ERR_BAD_ARGUMENT;
    if (len > NACRE_MAX_BLOCK) return NACRE_OK;
    *whole = *p->plain;
    whole->payload = nacre_bytes_of(t->piece, len);
    p->plain = whole;
    p->source.read = NULL;
    p->size = len;
    return NACRE_OK;
}

/* Reads up to max_body bytes; *len > max_body if the source has more. */
static nacre_err read_all(nacre_transfer *t, const part *p, uint8_t *to, size_t *len)
{
    const size_t max = t->config.bodies.max_body;
    const bool is_known = p->size != NACRE_SIZE_UNKNOWN;
    size_t more = 0;
    const size_t wanted = is_known ? (size_t)p->size : max;
    nacre_err err = p->source.read(p->source.user, 0, (nacre_buf){ to, wanted }, len);
    if (err == NACRE_OK && *len > wanted) return NACRE_ERR_BAD_ARGUMENT;
    if (err == NACRE_OK && !is_known && *len == max)
        err = p->source.read(p->source.user, max, (nacre_buf){ t->piece, 1 }, &more);
    *len += more;
    return err;
}

/* Reads a long source into the cache if the method is not safe, because the application is not called again for later blocks.
 * NACRE_ERR_TOO_LONG: larger than max_body, or the cache is full. */
static nacre_err read_long(nacre_transfer *t, part *p, nacre_message *whole)
{
    const bool is_known = p->size != NACRE_SIZE_UNKNOWN;
    if (nacre_code_is_safe(p->request->event.message.code) || p->offset > 0) return NACRE_OK;
    if (is_known && p->size > t->config.bodies.max_body) return NACRE_ERR_TOO_LONG;
    nacre__body *body = new_body(t, p);
    if (body == NULL) return NACRE_ERR_TOO_LONG;
    size_t len = 0;
    const nacre_err err = read_all(t, p, body->bytes, &len);
    const bool fits = len <= t->config.bodies.max_body;
    body->len = fits ? len : t->config.bodies.max_body; /* to be wiped */
    if (err != NACRE_OK || !fits) {
        nacre__body_release(t, body);
        return err != NACRE_OK ? err : NACRE_ERR_TOO_LONG;
    }
    *whole = *p->plain;
    whole->payload = nacre_bytes_of(body->bytes, len);
    p->plain = whole;
    p->source.read = NULL;
    p->size = len;
    p->body = body;
    return NACRE_OK;
}

static nacre_err respond_in_blocks(nacre_transfer *t, const nacre__server_request *request, const nacre_message *plain,
                                   const nacre_response_options *options, uint8_t szx)
{
    part p = { .plain = plain, .request = request, .source = options->source };
    nacre_message whole;
    if (plain->code >> 5 != 2) return respond_error(t, request, plain, szx);
    p.offset = request->has_block2 ? nacre__block_offset(request->block2) : 0;
    p.size = p.source.read != NULL ? p.source.size : plain->payload.len;
    if (p.source.read != NULL) {
        nacre_err err = read_short(t, &p, &whole);
        if (err == NACRE_OK && p.source.read != NULL) err = read_long(t, &p, &whole);
        if (err != NACRE_OK) return err;
    }
    p.with_size = p.offset == 0 && p.size != NACRE_SIZE_UNKNOWN; /* RFC 7959 4 */
    if (p.offset > 0 && p.offset >= p.size) return respond_error(t, request, &no_such_block, szx);
    return p.source.read != NULL ? send_fitting(t, &p, szx) : respond_payload(t, &p, szx);
}

/* A response that fits one message, to a request without Block options, is sent unchanged. */
nacre_err nacre_transfer_respond(nacre_transfer *t, nacre_exchange exchange, const nacre_message *plain,
                                 const nacre_response_options *options)
{
    static const nacre_response_options none;
    uint8_t szx = t->max_szx;
    if (options == NULL) options = &none;
    if (options->block_size != 0 && !nacre__block_szx(&szx, options->block_size)) return NACRE_ERR_BAD_ARGUMENT;
    if (options->source.read != NULL && plain->payload.len > 0) return NACRE_ERR_BAD_ARGUMENT;
    nacre__server_request *request = nacre__server_request_find(t, exchange);
    nacre_err err = NACRE_ERR_TOO_LONG;
    if (request == NULL)
        return options->source.read != NULL ? NACRE_ERR_STALE : nacre_endpoint_respond(t->ep, exchange, plain);
    szx = smallest(t, request, szx);
    if (!request->has_block1 && !request->has_block2 && options->source.read == NULL &&
        plain->payload.len <= nacre__block_size(szx))
        err = respond(t, request, plain, plain->payload.len > NACRE__MIN_BLOCK);
    if (err == NACRE_ERR_TOO_LONG) err = respond_in_blocks(t, request, plain, options, szx);
    if (err == NACRE_OK || err == NACRE_ERR_STALE) nacre__server_request_forget(t, request);
    return err;
}

void nacre_transfer_ignore(nacre_transfer *t, nacre_exchange exchange)
{
    nacre__server_request *request = nacre__server_request_find(t, exchange);
    if (request != NULL) nacre__server_request_forget(t, request);
    nacre_endpoint_ignore(t->ep, exchange);
}
