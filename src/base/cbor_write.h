/* SPDX-License-Identifier: MIT */
/* cbor_write: the few fixed CBOR items of `info` and the AAD, written by hand (RFC 8949 3). Never parsed again; the callers'
 * buffers fit the longest case. */
#ifndef NACRE_BASE_CBOR_WRITE_H
#define NACRE_BASE_CBOR_WRITE_H

#include <nacre/base.h>
#include <string.h>

enum {
    NACRE__CBOR_UINT = 0,
    NACRE__CBOR_NEGATIVE = 1,
    NACRE__CBOR_BYTES = 2,
    NACRE__CBOR_TEXT = 3,
    NACRE__CBOR_ARRAY = 4
};
enum { NACRE__CBOR_NULL = 0xf6 };

static inline uint8_t *nacre__cbor_head(uint8_t *out, unsigned major, unsigned value) /* value below 65536 */
{
    unsigned type = major << 5;
    if (value < 24) {
        *out++ = (uint8_t)(type | value);
    } else if (value < 256) {
        *out++ = (uint8_t)(type | 24);
        *out++ = (uint8_t)value;
    } else {
        *out++ = (uint8_t)(type | 25);
        *out++ = (uint8_t)(value >> 8);
        *out++ = (uint8_t)value;
    }
    return out;
}

static inline uint8_t *nacre__cbor_int(uint8_t *out, int value)
{
    return value >= 0 ? nacre__cbor_head(out, NACRE__CBOR_UINT, (unsigned)value)
                      : nacre__cbor_head(out, NACRE__CBOR_NEGATIVE, (unsigned)(-1 - value));
}

static inline uint8_t *nacre__cbor_bytes(uint8_t *out, nacre_bytes value)
{
    out = nacre__cbor_head(out, NACRE__CBOR_BYTES, (unsigned)value.len);
    if (value.len > 0) memcpy(out, value.ptr, value.len);
    return out + value.len;
}

#endif
