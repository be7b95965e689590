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
    NACRE__STREAM_FRAME_MORE = 2, /* bytes by which a frame may exceed its datagram */
};

typedef enum nacre__stream_step {
    NACRE__STREAM_GO_ON, /* no event */
    NACRE__STREAM_TELL,  /* the event is set */
    NACRE__STREAM_WAIT,  /* retry this frame later */
} nacre__stream_step;

/* stream.c: nacre__stream_end and nacre__stream_end_with end without a message to the peer, nacre__stream_fail with an Abort;
 * `bad_csm_option`: 0 for none. nacre__stream_end_if_due: all input was taken. nacre__stream_tell_end sets the event of the end, once;
 * false: it has not ended, or was told. */
void nacre__stream_end(nacre_stream *s, nacre_err err, nacre_bytes text);
void nacre__stream_end_with(nacre_stream *s, nacre_err err, const char *text);
void nacre__stream_fail(nacre_stream *s, nacre_err err, uint16_t bad_csm_option, const char *text);
void nacre__stream_close_soon(nacre_stream *s, uint64_t now_ms);
void nacre__stream_end_closing(nacre_stream *s);
void nacre__stream_end_if_due(nacre_stream *s);
bool nacre__stream_tell_end(nacre_stream *s, nacre_stream_event *event, nacre_buf buf);

/* stream_output.c: nacre__stream_write_frame returns false if the output is full except for the space reserved for an Abort. */
size_t nacre__stream_output_left(const nacre_stream *s);
bool nacre__stream_write_frame(nacre_stream *s, uint8_t code, nacre_bytes token, nacre_bytes body);

/* stream_input.c: the frame at the start of the input; errors as nacre__frame_read. */
nacre_err nacre__stream_look(const nacre_stream *s, nacre__frame *frame);

/* stream_signal.c */
size_t nacre__stream_announced(const nacre_stream *s);
void nacre__stream_write_csm(nacre_stream *s);
void nacre__stream_write_abort(nacre_stream *s, uint16_t bad_csm_option, const char *text);
nacre__stream_step nacre__stream_signal(nacre_stream *s, const nacre__frame *frame, nacre_stream_event *event,
                                        nacre_buf buf, uint64_t now_ms);

#endif
