/* SPDX-License-Identifier: MIT */
/* stream_internal: shared by the files of a stream. */
#ifndef NACRE_STREAM_STREAM_INTERNAL_H
#define NACRE_STREAM_STREAM_INTERNAL_H

#include "stream/stream_frame.h"
#include <nacre/stream.h>

enum {
    NACRE__STREAM_ABORT_SIZE = 96, /* of the output, reserved for an Abort */
    NACRE__STREAM_CSM_SIZE = 32,
    NACRE__STREAM_BASE_SIZE = 1152, /* RFC 8323 5.3.1, and above it BERT: 5.3.2 */
    NACRE__STREAM_BASE_TOKEN = 8,   /* RFC 8974 2.2.1 */
    NACRE__STREAM_MAX_TOKEN = 65804,
};

typedef enum nacre__stream_step {
    NACRE__STREAM_GO_ON, /* no event */
    NACRE__STREAM_TELL,  /* the event is set */
    NACRE__STREAM_WAIT,  /* retry this frame later */
} nacre__stream_step;

/* stream.c: nacre__stream_end ends without a message to the peer, nacre__stream_fail with an Abort. `bad_csm_option`: 0 for
 * none. nacre__stream_write_frame returns false if the output is full except for the space reserved for an Abort. */
void nacre__stream_end(nacre_stream *s, nacre_err err, nacre_bytes text);
void nacre__stream_fail(nacre_stream *s, nacre_err err, uint16_t bad_csm_option, const char *text);
void nacre__stream_close_soon(nacre_stream *s, uint64_t now_ms);
bool nacre__stream_write_frame(nacre_stream *s, uint8_t code, nacre_bytes token, nacre_bytes body);

/* stream_signal.c */
size_t nacre__stream_announced(const nacre_stream *s);
void nacre__stream_write_csm(nacre_stream *s);
void nacre__stream_write_abort(nacre_stream *s, uint16_t bad_csm_option, const char *text);
nacre__stream_step nacre__stream_signal(nacre_stream *s, const nacre__frame *frame, nacre_stream_event *event,
                                        nacre_buf buf, uint64_t now_ms);

#endif
