/* SPDX-License-Identifier: MIT */
/* message: message codec functions shared with protect and unprotect. */
#ifndef NACRE_COAP_MESSAGE_H
#define NACRE_COAP_MESSAGE_H

#include "coap/option_codec.h"

/* Bit set of the option numbers seen in one walk: numbers from 64 on share one bit, the others share theirs in pairs. A clear
 * bit is definite; a set one may be another number's. */
#define NACRE__SEEN(number) (UINT32_C(1) << ((number) < 64 ? (number)&31 : 31))

/* Where the options that start at `at` end: at a payload marker or at `end`; NULL when they are not well-formed, and then
 * `seen` is not set. */
const uint8_t *nacre__options_scan(const uint8_t *at, const uint8_t *end, uint32_t *seen);

/* nacre_message_parse, which also returns the options seen; set on NACRE_OK. NACRE_ERR_MALFORMED also for a request with more
 * than `max_of_request` options. */
NACRE_MUST_USE nacre_err nacre__message_parse(nacre_message *m, uint32_t *seen, nacre_bytes datagram,
                                              size_t max_of_request);

/* nacre__message_parse_start parses a truncated message: header, token, complete options, and the start of the payload,
 * absent if not reached. NACRE_OK; NACRE_ERR_MALFORMED for a bad header or token, for an empty message, which cannot be
 * truncated, and for a request with more than `max_of_request` options. */
NACRE_MUST_USE nacre_err nacre__message_parse_start(nacre_message *m, nacre_bytes start, size_t max_of_request);

/* Splits options and payload; false when not well-formed. `body.ptr` is never NULL. */
bool nacre__body_parse(nacre_bytes body, nacre_bytes *options, nacre_bytes *payload, uint32_t *seen);

/* The header of `m` in UDP framing, token included, with another code. */
static inline bool nacre__header_ok(const nacre_message *m)
{
    return m->type <= NACRE_RST && m->token.len <= NACRE__OPTION_VALUE_MAX; /* the same field as an option's length */
}

static inline size_t nacre__header_size(const nacre_message *m)
{
    return 4 + nacre__option_field_size((uint32_t)m->token.len) + m->token.len;
}

#if defined(__OPTIMIZE_SIZE__)
uint8_t *nacre__header_write(uint8_t *out, const nacre_message *m, uint8_t code);
bool nacre__overlaps(nacre_bytes b, nacre_buf buf);
#endif

#if !defined(__OPTIMIZE_SIZE__) || defined(NACRE__CODEC_IS_HERE)

NACRE__CODEC uint8_t *nacre__header_write(uint8_t *out, const nacre_message *m, uint8_t code)
{
    *out++ = (uint8_t)(0x40u | (unsigned)m->type << 4 | nacre__option_nibble((uint32_t)m->token.len));
    *out++ = code;
    *out++ = (uint8_t)(m->mid >> 8);
    *out++ = (uint8_t)m->mid;
    out = nacre__option_field_write(out, (uint32_t)m->token.len);
    nacre__move(out, m->token.ptr, m->token.len); /* protect may write onto its input */
    return out + m->token.len;
}

/* Whether bytes and buffer overlap. */
NACRE__CODEC bool nacre__overlaps(nacre_bytes b, nacre_buf buf)
{
    uintptr_t start = (uintptr_t)b.ptr, buf_start = (uintptr_t)buf.ptr;
    return b.len > 0 && (start - buf_start < buf.cap || buf_start - start < b.len);
}

#endif

#endif
