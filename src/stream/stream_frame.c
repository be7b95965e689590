/* SPDX-License-Identifier: MIT */
/* stream_frame: reads and writes the header of a message in a byte stream. */
#include "stream/stream_frame.h"
#include "base/reader.h"
#include "coap/option_codec.h"

enum { DATAGRAM_HEADER = 4, FIRST_13 = 13, FIRST_14 = 269, FIRST_15 = 65805 };

static uint64_t read_uint(nacre__reader *r, size_t num_bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < num_bytes; i++) value = value << 8 | nacre__read_u8(r);
    return value;
}

/* RFC 8323 3.2: four forms of a length. */
static uint64_t read_length(nacre__reader *r, unsigned len)
{
    switch (len) {
    case 13: return FIRST_13 + read_uint(r, 1);
    case 14: return FIRST_14 + read_uint(r, 2);
    case 15: return FIRST_15 + read_uint(r, 4);
    default: return len;
    }
}

static nacre_err too_long(nacre__frame *frame, size_t token_len, uint64_t body_len)
{
    const size_t most = SIZE_MAX / 2; /* on a 32-bit machine */
    frame->len = nacre__frame_size(token_len, body_len < most ? (size_t)body_len : most);
    return NACRE_ERR_TOO_LONG;
}

nacre_err nacre__frame_read(nacre__frame *frame, nacre_bytes in, size_t max_datagram)
{
    nacre__reader r = nacre__reader_of(in);
    nacre__frame f;
    uint8_t first = nacre__read_u8(&r);
    unsigned tkl = first & 15u;
    if (tkl == 15) return NACRE_ERR_MALFORMED; /* RFC 8974 2.1: reserved */
    uint64_t body_len = read_length(&r, first >> 4);
    if (!r.bad && body_len > max_datagram) return too_long(frame, tkl, body_len);
    f.code = nacre__read_u8(&r);
    size_t ext = tkl == 13 ? 1 : tkl == 14 ? 2 : 0;
    size_t token_len = ext == 0 ? tkl : (size_t)read_uint(&r, ext) + (ext == 1 ? FIRST_13 : FIRST_14);
    if (r.bad) return NACRE_ERR_NOT_YET;
    if (DATAGRAM_HEADER + ext + token_len + body_len > max_datagram) return too_long(frame, token_len, body_len);
    f.token = nacre__read(&r, token_len);
    f.body = nacre__read(&r, (size_t)body_len);
    if (r.bad) return NACRE_ERR_NOT_YET;
    f.len = in.len - nacre__left(&r);
    *frame = f;
    return NACRE_OK;
}

static size_t length_size(size_t len)
{
    return len < FIRST_13 ? 0 : len < FIRST_14 ? 1 : len < FIRST_15 ? 2 : 4;
}

size_t nacre__frame_size(size_t token_len, size_t body_len)
{
    return 2 + length_size(body_len) + nacre__option_field_size((uint32_t)token_len) + token_len + body_len;
}

uint8_t *nacre__frame_head_write(uint8_t *out, uint8_t code, size_t token_len, size_t body_len)
{
    size_t size = length_size(body_len);
    unsigned len = size == 4 ? 15 : nacre__option_nibble((uint32_t)body_len);
    *out++ = (uint8_t)(len << 4 | nacre__option_nibble((uint32_t)token_len));
    if (size == 4)
        for (unsigned shift = 32; shift > 0; shift -= 8) *out++ = (uint8_t)((body_len - FIRST_15) >> (shift - 8));
    else out = nacre__option_field_write(out, (uint32_t)body_len);
    *out++ = code;
    return nacre__option_field_write(out, (uint32_t)token_len);
}
