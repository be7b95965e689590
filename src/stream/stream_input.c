/* SPDX-License-Identifier: MIT */
/* stream_input: the bytes received, frames to messages (RFC 8323 3.2 to 3.4). */
#include "coap/message.h"
#include "stream/stream_internal.h"

#include <string.h>

nacre_buf nacre_stream_input(nacre_stream *s)
{
    if (s->has_ended || s->no_more_input) return (nacre_buf){ s->in.ptr, 0 };
    if (s->in_at > 0) memmove(s->in.ptr, s->in.ptr + s->in_at, s->in_len);
    s->in_at = 0;
    return (nacre_buf){ s->in.ptr + s->in_len, s->in.cap - s->in_len };
}

void nacre_stream_received(nacre_stream *s, size_t len, uint64_t now_ms)
{
    if (len == 0 || s->has_ended) return;
    if (s->in_len == 0) s->partial_since = now_ms;
    s->in_len += len;
    s->heard = now_ms;
    s->is_pinged = false;
}

void nacre_stream_finished(nacre_stream *s, uint64_t now_ms)
{
    s->no_more_input = true;
    nacre__stream_close_soon(s, now_ms);
}

/* RFC 8446 5.1: a record of TLS begins with its type, 20 to 23, and version 3.x. As a CoAP header it is short with code 0.03,
 * not a CSM, so it is recognised before the frame is complete. */
static bool is_tls(const nacre_stream *s)
{
    const uint8_t *in = s->in.ptr + s->in_at;
    return !s->peer.has_settings && s->in_len >= 3 && in[0] >= 20 && in[0] <= 23 && in[1] == 3 && in[2] <= 4;
}

nacre_err nacre__stream_look(const nacre_stream *s, nacre__frame *frame)
{
    return nacre__frame_read(frame, nacre_bytes_of(s->in.ptr + s->in_at, s->in_len), s->config.max_message);
}

/* A request or response, in datagram form. */
static nacre__stream_step take_message(nacre_stream *s, const nacre__frame *frame, nacre_stream_event *event,
                                       nacre_buf buf, uint64_t now_ms)
{
    nacre_message m = { .type = NACRE_NON, .code = frame->code, .token = frame->token };
    nacre_bytes datagram;
    bool request = nacre_code_is_request(frame->code);
    const char *problem = NULL;
    uint32_t seen;
    if (!nacre__body_parse(frame->body, &m.options, &m.payload, &seen))
        problem = "malformed message"; /* RFC 8323 5.6 */
    else if (request && m.token.len > s->config.max_token) /* RFC 8974 2.2.1 */ problem = "token longer than announced";
    if (problem != NULL) {
        nacre__stream_fail(s, NACRE_ERR_MALFORMED, 0, problem);
        return NACRE__STREAM_GO_ON;
    }
    m.mid = s->mid++;
    if (nacre_message_write(&m, &datagram, buf) != NACRE_OK) { /* only if the buffer is smaller than promised */
        nacre__stream_fail(s, NACRE_ERR_TOO_LONG, 0, "message too large");
        return NACRE__STREAM_GO_ON;
    }
    s->talked = now_ms;
    s->unprocessed++;
    if (request) s->owed++;
    else if (s->outstanding > 0) s->outstanding--;
    *event = (nacre_stream_event){ .kind = NACRE_STREAM_MESSAGE, .bytes = datagram };
    return NACRE__STREAM_TELL;
}

static nacre__stream_step take_frame(nacre_stream *s, const nacre__frame *frame, nacre_stream_event *event,
                                     nacre_buf buf, uint64_t now_ms)
{
    if (frame->code == NACRE_EMPTY) { /* RFC 8323 3.4: always allowed and ignored; RFC 7252 4.1: if empty */
        if (frame->token.len != 0 || frame->body.len != 0)
            nacre__stream_fail(s, NACRE_ERR_MALFORMED, 0, "an empty message that is not empty");
        return NACRE__STREAM_GO_ON;
    }
    if (!s->peer.has_settings && frame->code != NACRE_SIGNAL_CSM) { /* RFC 8323 3.3 */
        nacre__stream_fail(s, NACRE_ERR_MALFORMED, 0, "the first message must be a CSM");
        return NACRE__STREAM_GO_ON;
    }
    if (nacre_code_is_request(frame->code) || nacre_code_is_response(frame->code))
        return take_message(s, frame, event, buf, now_ms);
    /* Classes 1 and 6 are reserved (RFC 7252 3): ignored. */
    if (frame->code >> 5 != 7) return NACRE__STREAM_GO_ON;
    return nacre__stream_signal(s, frame, event, buf, now_ms);
}

/* Whether the output has space for all outstanding responses and one more: a peer that does not read is not served. */
static bool can_queue_responses(const nacre_stream *s)
{
    size_t left = nacre__stream_output_left(s), each = s->config.max_message + NACRE__STREAM_FRAME_MORE;
    return left >= NACRE__STREAM_ABORT_SIZE && (left - NACRE__STREAM_ABORT_SIZE) / each > s->unprocessed;
}

static char *put(char *at, const char *text)
{
    const size_t len = strlen(text);
    memcpy(at, text, len + 1);
    return at + len;
}

static char *put_uint(char *at, uint64_t n)
{
    char digits[21], *first = &digits[20];
    *first = '\0';
    do *--first = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    return put(at, first);
}

/* RFC 8323 5.3.1: reports both lengths, to the peer and locally. */
static void fail_too_long(nacre_stream *s, size_t len)
{
    char text[96]; /* two numbers of up to 20 digits */
    char *at = put_uint(put(text, "message of "), len);
    (void)put_uint(put(at, " bytes, Max-Message-Size is "), nacre__stream_announced(s));
    nacre__stream_fail(s, NACRE_ERR_TOO_LONG, 0, text);
}

bool nacre_stream_next(nacre_stream *s, nacre_stream_event *event, nacre_buf buf, uint64_t now_ms)
{
    s->clock = now_ms;
    while (!s->has_ended && can_queue_responses(s)) {
        nacre__frame frame;
        nacre_err err = nacre__stream_look(s, &frame);
        if (is_tls(s)) {
            nacre__stream_fail(s, NACRE_ERR_MALFORMED, 0, "the peer speaks TLS, this side CoAP without it");
            break;
        }
        if (err == NACRE_ERR_NOT_YET) {
            nacre__stream_end_if_due(s);
            break;
        }
        if (err != NACRE_OK) {
            if (err == NACRE_ERR_TOO_LONG) fail_too_long(s, frame.len);
            else nacre__stream_fail(s, err, 0, "malformed message header");
            break;
        }
        nacre__stream_step step = take_frame(s, &frame, event, buf, now_ms);
        if (step == NACRE__STREAM_WAIT) break;
        if (!s->has_ended) {
            s->in_at += frame.len;
            s->in_len -= frame.len;
            s->partial_since = now_ms;
        }
        if (step == NACRE__STREAM_TELL) return true;
    }
    return nacre__stream_tell_end(s, event, buf);
}

void nacre_stream_processed(nacre_stream *s)
{
    s->unprocessed = 0;
}
