/* SPDX-License-Identifier: MIT */
/* stream_output: messages to frames, and the bytes to be sent (RFC 8323 3.2). */
#include "coap/message.h"
#include "stream/stream_internal.h"

#include <string.h>

size_t nacre__stream_output_left(const nacre_stream *s)
{
    return s->out.cap - s->out_len;
}

bool nacre__stream_write_frame(nacre_stream *s, uint8_t code, nacre_bytes token, nacre_bytes body)
{
    size_t size = nacre__frame_size(token.len, body.len);
    size_t kept = code == NACRE_SIGNAL_ABORT ? 0 : NACRE__STREAM_ABORT_SIZE;
    if (size > nacre__stream_output_left(s) || nacre__stream_output_left(s) - size < kept) return false;
    if (s->out.cap - s->out_at - s->out_len < size) {
        memmove(s->out.ptr, s->out.ptr + s->out_at, s->out_len);
        s->out_at = 0;
    }
    if (s->out_len == 0) s->output_since = s->clock;
    uint8_t *at = s->out.ptr + s->out_at + s->out_len;
    at = nacre__frame_head_write(at, code, token.len, body.len);
    if (token.len > 0) memcpy(at, token.ptr, token.len);
    if (body.len > 0) memcpy(at + token.len, body.ptr, body.len);
    s->out_len += size;
    return true;
}

nacre_bytes nacre_stream_output(const nacre_stream *s)
{
    return nacre_bytes_of(s->out.ptr + s->out_at, s->out_len);
}

void nacre_stream_sent(nacre_stream *s, size_t len, uint64_t now_ms)
{
    s->out_at += len;
    s->out_len -= len;
    s->output_since = now_ms;
}

/* RFC 8323 3.2: version, type and message ID are omitted. */
nacre_err nacre_stream_send(nacre_stream *s, nacre_bytes datagram, uint64_t now_ms)
{
    nacre_message m;
    if (s->has_ended) return NACRE_ERR_UNREACHABLE;
    nacre_err err = nacre_message_parse(&m, datagram);
    if (err != NACRE_OK) return err;
    if (m.code == NACRE_EMPTY) return NACRE_OK;
    bool request = nacre_code_is_request(m.code);
    if (!request && !nacre_code_is_response(m.code)) return NACRE_ERR_BAD_ARGUMENT;
    if (request && s->is_closing) return NACRE_ERR_UNREACHABLE; /* RFC 8323 5.5 */
    nacre_bytes body = { m.options.ptr, (size_t)(datagram.ptr + datagram.len - m.options.ptr) };
    /* RFC 8323 5.3.1, RFC 8974 2.2.1 */
    if (datagram.len > s->config.max_message || nacre__frame_size(m.token.len, body.len) > s->peer.max_message)
        return NACRE_ERR_TOO_LONG;
    if (request && m.token.len > s->peer.max_token) return NACRE_ERR_TOO_LONG;
    s->clock = now_ms;
    if (!nacre__stream_write_frame(s, m.code, m.token, body)) return NACRE_ERR_BUFFER_TOO_SMALL;
    s->talked = now_ms;
    if (request) s->outstanding++;
    else if (s->owed > 0) s->owed--;
    return NACRE_OK;
}
