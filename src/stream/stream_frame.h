/* SPDX-License-Identifier: MIT */
/* stream_frame: one message in a byte stream (RFC 8323 3.2; tokens RFC 8974 2.1).
 *
 *      0   1   2   3   4   5   6   7
 *    +---------------+---------------+
 *    |      Len      |      TKL      |   1 byte
 *    +---------------+---------------+
 *    /  length - 13, - 269 or - 65805 /  0, 1, 2 or 4 bytes: Len is 13, 14 or 15
 *    |             Code              |   1 byte
 *    /  token's length - 13 or - 269 /   0, 1 or 2 bytes: TKL is 13 or 14
 *    /  token                        /
 *    /  options, 0xff, payload       /   the bytes that Len counts
 *
 * Unlike the datagram form it has no version, type and message ID, but a length. */
#ifndef NACRE_STREAM_STREAM_FRAME_H
#define NACRE_STREAM_STREAM_FRAME_H

#include <nacre/base.h>

enum { NACRE__FRAME_HEAD_MAX = 8 };

typedef struct nacre__frame {
    uint8_t code;
    nacre_bytes token, body; /* body: options, marker and payload */
    size_t len;              /* of the whole frame */
} nacre__frame;

/* nacre__frame_read parses the frame at the start of `in`; its datagram may have up to `max_datagram` bytes.
 * NACRE_OK            `frame` is set; its slices point into `in`
 * NACRE_ERR_NOT_YET   incomplete
 * NACRE_ERR_MALFORMED TKL 15
 * NACRE_ERR_TOO_LONG  it will be longer than that; returned as soon as the header is complete. frame->len is set */
NACRE_MUST_USE nacre_err nacre__frame_read(nacre__frame *frame, nacre_bytes in, size_t max_datagram);

/* nacre__frame_size is the size of a frame with that token and body. */
size_t nacre__frame_size(size_t token_len, size_t body_len);

/* nacre__frame_head_write writes everything before the token, at most NACRE__FRAME_HEAD_MAX bytes; returns the end.
 * token_len is at most 65804, body_len at most 2^32. */
uint8_t *nacre__frame_head_write(uint8_t *out, uint8_t code, size_t token_len, size_t body_len);

#endif
