/* SPDX-License-Identifier: MIT */
/* message: parses a datagram into a view, and writes it (RFC 7252 3; tokens RFC 8974 2.1). */
#define NACRE__CODEC_IS_HERE
#include "coap/message.h"
#include "base/reader.h"

static inline const uint8_t *scan(const uint8_t *at, const uint8_t *end, uint32_t *seen, size_t max_options)
{
    uint32_t number = 0, all = 0;
    nacre_bytes value;
    for (; at != end && *at != NACRE__PAYLOAD_MARKER; max_options--) {
        if (max_options == 0) return NULL;
        uint32_t delta = *at >> 4, len = *at & 15u;
        if (delta < 13 && len < 13 && number < 256) { /* the common case; no sum can overflow */
            if ((size_t)(end - at) <= len) return NULL;
            number += delta;
            at += 1 + len;
        } else {
            at = nacre__option_read(at, end, &number, &value);
            if (at == NULL) return NULL;
        }
        all |= NACRE__SEEN(number);
    }
    *seen = all;
    return at;
}

const uint8_t *nacre__options_scan(const uint8_t *at, const uint8_t *end, uint32_t *seen)
{
    return scan(at, end, seen, SIZE_MAX); /* no message has as many */
}

static bool parse_body(nacre_bytes body, nacre_bytes *options, nacre_bytes *payload, uint32_t *seen, size_t max_options)
{
    const uint8_t *end = body.ptr + body.len;
    const uint8_t *at = scan(body.ptr, end, seen, max_options);
    if (at == NULL) return false;
    nacre_bytes rest = { at, (size_t)(end - at) };
    if (rest.len == 1) return false; /* RFC 7252 3: a marker without a payload is a format error */
    *options = nacre_bytes_of(body.ptr, (size_t)(at - body.ptr));
    *payload = rest.len == 0 ? rest : nacre_bytes_of(at + 1, rest.len - 1);
    return true;
}

bool nacre__body_parse(nacre_bytes body, nacre_bytes *options, nacre_bytes *payload, uint32_t *seen)
{
    return parse_body(body, options, payload, seen, SIZE_MAX);
}

static size_t token_len(nacre__reader *r, unsigned tkl) /* RFC 8974 2.1 */
{
    if (tkl == 13) return 13u + nacre__read_u8(r);
    if (tkl == 14) {
        size_t high = nacre__read_u8(r);
        return 269u + (high << 8 | nacre__read_u8(r));
    }
    if (tkl == 15) r->bad = true; /* reserved */
    return tkl;
}

/* Header and token; `body` is what follows them. */
static inline bool parse_head(nacre_message *m, nacre_bytes *body, nacre_bytes datagram)
{
    nacre__reader r = nacre__reader_of(datagram);
    nacre_bytes head = nacre__read(&r, 4);
    if (r.bad || head.ptr[0] >> 6 != 1) return false;
    m->type = head.ptr[0] >> 4 & 3;
    m->code = head.ptr[1];
    m->mid = (uint16_t)(head.ptr[2] << 8 | head.ptr[3]);
    if (m->code == NACRE_EMPTY && datagram.len != 4) return false; /* RFC 7252 4.1 */
    size_t len = token_len(&r, head.ptr[0] & 15u);
    m->token = nacre__read(&r, len);
    *body = nacre__read(&r, nacre__left(&r));
    return !r.bad;
}

nacre_err nacre__message_parse(nacre_message *m, uint32_t *seen, nacre_bytes datagram, size_t max_of_request)
{
    nacre_message out;
    nacre_bytes body;
    if (!parse_head(&out, &body, datagram)) return NACRE_ERR_MALFORMED;
    const size_t max_options = nacre_code_is_request(out.code) ? max_of_request : SIZE_MAX;
    if (!parse_body(body, &out.options, &out.payload, seen, max_options)) return NACRE_ERR_MALFORMED;
    *m = out;
    return NACRE_OK;
}

nacre_err nacre_message_parse(nacre_message *m, nacre_bytes datagram)
{
    uint32_t seen;
    return nacre__message_parse(m, &seen, datagram, SIZE_MAX);
}

nacre_err nacre__message_parse_start(nacre_message *m, nacre_bytes start, size_t max_of_request)
{
    nacre_message out;
    nacre_bytes body, value;
    if (!parse_head(&out, &body, start) || out.code == NACRE_EMPTY) return NACRE_ERR_MALFORMED;
    const uint8_t *at = body.ptr, *end = body.ptr + body.len, *next = at;
    size_t left = nacre_code_is_request(out.code) ? max_of_request : SIZE_MAX;
    for (uint32_t number = 0; next != NULL && next != end && *next != NACRE__PAYLOAD_MARKER; left--) {
        if (left == 0) return NACRE_ERR_MALFORMED;
        next = nacre__option_read(next, end, &number, &value);
        if (next != NULL) at = next;
    }
    out.options = nacre_bytes_of(body.ptr, (size_t)(at - body.ptr));
    const bool has_payload = next != NULL && next != end;
    out.payload = has_payload ? nacre_bytes_of(next + 1, (size_t)(end - next) - 1) : NACRE_ABSENT;
    *m = out;
    return NACRE_OK;
}

size_t nacre_message_size(const nacre_message *m)
{
    return nacre__header_size(m) + m->options.len + (m->payload.len > 0 ? 1 + m->payload.len : 0);
}

nacre_err nacre_message_write(const nacre_message *m, nacre_bytes *out, nacre_buf buf)
{
    if (m->token.len > NACRE__OPTION_VALUE_MAX) return NACRE_ERR_TOO_LONG;
    if (!nacre__header_ok(m)) return NACRE_ERR_BAD_ARGUMENT;
    size_t size = nacre_message_size(m);
    if (size > buf.cap) return NACRE_ERR_BUFFER_TOO_SMALL;

    uint8_t *at = nacre__header_write(buf.ptr, m, m->code);
    if (m->options.len > 0) memcpy(at, m->options.ptr, m->options.len);
    at += m->options.len;
    if (m->payload.len > 0) {
        *at++ = NACRE__PAYLOAD_MARKER;
        memcpy(at, m->payload.ptr, m->payload.len);
    }
    *out = nacre_bytes_of(buf.ptr, size);
    return NACRE_OK;
}
