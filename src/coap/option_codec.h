/* SPDX-License-Identifier: MIT */
/* option_codec: reads and writes one option's header (RFC 7252 3.1).
 *
 *      0   1   2   3   4   5   6   7
 *    +---------------+---------------+
 *    |  Option Delta | Option Length |   1 byte
 *    +---------------+---------------+
 *    /  delta - 13, or delta - 269   /   0 to 2 bytes
 *    /  length - 13, or length - 269 /   0 to 2 bytes
 *    /  value                        /
 */
#ifndef NACRE_COAP_OPTION_CODEC_H
#define NACRE_COAP_OPTION_CODEC_H

#include <nacre/coap.h>
#include "base/copy.h"

enum { NACRE__PAYLOAD_MARKER = 0xff, NACRE__OPTION_VALUE_MAX = 65535 + 269 };

/* Inline, because each message calls them many times; with -Os, functions in message.c. */
#if defined(__OPTIMIZE_SIZE__)
bool nacre__option_field(const uint8_t **at, const uint8_t *end, unsigned nibble, uint32_t *out);
const uint8_t *nacre__option_read(const uint8_t *at, const uint8_t *end, uint32_t *number, nacre_bytes *value);
size_t nacre__option_field_size(uint32_t value);
size_t nacre__option_size(uint32_t delta, size_t len);
unsigned nacre__option_nibble(uint32_t value);
uint8_t *nacre__option_field_write(uint8_t *out, uint32_t value);
uint8_t *nacre__option_head_write(uint8_t *out, uint32_t delta, size_t len);
#endif

#if !defined(__OPTIMIZE_SIZE__) || defined(NACRE__CODEC_IS_HERE)

/* Reads the 4-bit field `nibble` with its extension. False: reserved, or past the end. */
NACRE__CODEC bool nacre__option_field(const uint8_t **at, const uint8_t *end, unsigned nibble, uint32_t *out)
{
    if (nibble < 13) {
        *out = nibble;
        return true;
    }
    if (nibble == 13 && end - *at >= 1) {
        *out = 13u + (*at)[0];
        *at += 1;
        return true;
    }
    if (nibble == 14 && end - *at >= 2) {
        *out = 269u + ((uint32_t)(*at)[0] << 8) + (*at)[1];
        *at += 2;
        return true;
    }
    return false;
}

/* Reads one option at `at`, which is below `end` and not a payload marker. Returns its end, or NULL if not well-formed;
 * `number` is the previous option's number and becomes this one's. */
NACRE__CODEC const uint8_t *nacre__option_read(const uint8_t *at, const uint8_t *end, uint32_t *number,
                                               nacre_bytes *value)
{
    uint32_t delta, len;
    uint8_t head = *at++;
    if (!nacre__option_field(&at, end, head >> 4, &delta) || !nacre__option_field(&at, end, head & 15u, &len) ||
        delta > 65535u - *number || len > (size_t)(end - at))
        return NULL;
    *number += delta;
    value->ptr = at;
    value->len = len;
    return at + len;
}

NACRE__CODEC size_t nacre__option_field_size(uint32_t value)
{
    return value < 13 ? 0 : value < 269 ? 1 : 2;
}

/* The size of an option, header and value. */
NACRE__CODEC size_t nacre__option_size(uint32_t delta, size_t len)
{
    return 1 + nacre__option_field_size(delta) + nacre__option_field_size((uint32_t)len) + len;
}

NACRE__CODEC unsigned nacre__option_nibble(uint32_t value)
{
    return value < 13 ? value : value < 269 ? 13 : 14;
}

NACRE__CODEC uint8_t *nacre__option_field_write(uint8_t *out, uint32_t value)
{
    if (value >= 269) {
        *out++ = (uint8_t)((value - 269) >> 8);
        *out++ = (uint8_t)(value - 269);
    } else if (value >= 13) {
        *out++ = (uint8_t)(value - 13);
    }
    return out;
}

/* Writes a header; returns where the value goes. `len` is at most NACRE__OPTION_VALUE_MAX. */
NACRE__CODEC uint8_t *nacre__option_head_write(uint8_t *out, uint32_t delta, size_t len)
{
    *out++ = (uint8_t)(nacre__option_nibble(delta) << 4 | nacre__option_nibble((uint32_t)len));
    out = nacre__option_field_write(out, delta);
    return nacre__option_field_write(out, (uint32_t)len);
}

#endif

/* nacre_options_add for a value to be written at the returned pointer; NULL if the buffer is too small. */
uint8_t *nacre__options_reserve(nacre_options *o, uint16_t number, size_t len);

#endif
