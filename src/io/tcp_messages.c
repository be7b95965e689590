/* SPDX-License-Identifier: MIT */
/* tcp_messages: messages taken from connections and queued on them. */
#include "io/tcp_internal.h"

#include <string.h>

enum { BASE_MESSAGE = 1152 }; /* RFC 8323 5.3.1 */

static void note_unreachable(nacre_tcp *tcp, const nacre_address *peer)
{
    if (tcp->num_unreachable < NACRE__UDP_UNREACHABLE) tcp->unreachable[tcp->num_unreachable++] = *peer;
}

static void note_hold_off(nacre_tcp *tcp, const nacre_address *peer, uint32_t seconds, uint64_t now_ms)
{
    if (seconds == 0) return;
    tcp->hold_offs[tcp->next_hold_off] = (nacre__hold_off){ *peer, now_ms + (uint64_t)seconds * 1000 };
    tcp->next_hold_off = (tcp->next_hold_off + 1) % NACRE__TCP_HOLD_OFFS;
}

/* Generates a response to an own request that could not be sent to the peer. */
static nacre_bytes write_refusal(const nacre__refusal *refusal, nacre_buf buf)
{
    nacre_bytes out = NACRE_ABSENT;
    nacre_message m = { .type = NACRE_NON, .code = refusal->code };
    m.token = nacre_bytes_of(refusal->token, refusal->token_len);
    return nacre_message_write(&m, &out, buf) == NACRE_OK ? out : NACRE_ABSENT;
}

static void refuse(nacre_tcp *tcp, const nacre_address *peer, const nacre_message *m, uint8_t code)
{
    if (tcp->num_refusals == NACRE__TCP_REFUSALS || m->token.len > sizeof tcp->refusals->token) return;
    nacre__refusal *refusal = &tcp->refusals[tcp->num_refusals++];
    *refusal = (nacre__refusal){ .peer = *peer, .code = code, .token_len = (uint8_t)m->token.len };
    if (m->token.len > 0) memcpy(refusal->token, m->token.ptr, m->token.len);
}

/* The next message of one connection. Signaling messages are handled here; an Alternative-Address is not followed, because it
 * is unauthenticated. */
static bool take_from(nacre_tcp *tcp, nacre__connection *c, nacre_datagram *in, nacre_buf buf, uint64_t now_ms)
{
    nacre_stream_event event;
    while (c->state == NACRE__TCP_OPEN && nacre_stream_next(&c->stream, &event, buf, now_ms)) {
        if (event.kind == NACRE_STREAM_RELEASED) note_hold_off(tcp, &c->peer, event.hold_off_s, now_ms);
        if (event.kind == NACRE_STREAM_ENDED) nacre__tcp_note_end(tcp, c, &event);
        if (event.kind != NACRE_STREAM_MESSAGE) continue;
        c->idle_since = now_ms;
        *in = (nacre_datagram){ .peer = c->peer, .bytes = event.bytes };
        return true;
    }
    return false;
}

size_t nacre__tcp_take(nacre_tcp *tcp, nacre_datagram *in, const nacre__udp_buffers *buffers, uint64_t now_ms)
{
    size_t num = 0, all = tcp->num_entries;
    for (; num < buffers->num && tcp->num_refusals > 0; num++) {
        const nacre__refusal *refusal = &tcp->refusals[--tcp->num_refusals];
        nacre_buf buf = { buffers->memory + num * buffers->stride, buffers->stride };
        in[num] = (nacre_datagram){ .peer = refusal->peer, .bytes = write_refusal(refusal, buf) };
    }
    size_t first = tcp->next; /* the connection that filled the buffers is last next time */
    for (size_t i = 0; i < all && num < buffers->num; i++) {
        size_t at = (first + i) % all;
        nacre_buf buf = { buffers->memory + num * buffers->stride, buffers->stride };
        while (num < buffers->num && take_from(tcp, &tcp->connections[at], &in[num], buf, now_ms)) {
            num++;
            buf.ptr = buffers->memory + num * buffers->stride;
        }
        tcp->next = (at + 1) % all;
    }
    return num;
}

void nacre__tcp_processed(nacre_tcp *tcp)
{
    for (size_t i = 0; i < tcp->num_entries; i++)
        if (tcp->connections[i].state == NACRE__TCP_OPEN) nacre_stream_processed(&tcp->connections[i].stream);
}

size_t nacre__tcp_max_message(const nacre_tcp *tcp, const nacre_address *peer)
{
    const nacre__connection *c = nacre__tcp_find(tcp, peer);
    if (c == NULL || nacre__tcp_is_lost(c)) return BASE_MESSAGE;
    /* Up to 65804 bytes a datagram is no shorter than its frame. */
    return nacre_stream_get_peer(&c->stream).max_message;
}

void nacre__tcp_send(nacre_tcp *tcp, const nacre_outgoing *out, uint64_t now_ms)
{
    nacre_message m;
    if (nacre_message_parse(&m, out->bytes) != NACRE_OK) return; /* the endpoint writes well-formed ones only */
    bool request = nacre_code_is_request(m.code);
    nacre__connection *c = nacre__tcp_find(tcp, &out->peer);
    if (c == NULL && request) c = nacre__tcp_connect(tcp, &out->peer, now_ms);
    if (c == NULL) {
        if (request) note_unreachable(tcp, &out->peer);
        return; /* a response whose connection is gone */
    }
    if (nacre__tcp_is_lost(c)) return; /* the endpoint will be told */
    nacre_err err = nacre_stream_send(&c->stream, out->bytes, now_ms);
    if (err == NACRE_ERR_BUFFER_TOO_SMALL) {
        nacre__connection_flush(c, now_ms);
        if (c->state == NACRE__TCP_OPEN) err = nacre_stream_send(&c->stream, out->bytes, now_ms);
    }
    if (err == NACRE_OK) return;
    if (request) refuse(tcp, &out->peer, &m, err == NACRE_ERR_TOO_LONG ? NACRE_TOO_LARGE : NACRE_UNAVAILABLE);
    else if (err == NACRE_ERR_BUFFER_TOO_SMALL) nacre_stream_abort(&c->stream, "answers are not read", now_ms);
    else if (err ==
             NACRE_ERR_TOO_LONG) /* the peer lowered its limit after the response was made; it cannot be replaced */
        nacre_stream_abort(&c->stream, "an answer is longer than your Max-Message-Size", now_ms);
}

void nacre__tcp_flush(nacre_tcp *tcp, uint64_t now_ms)
{
    for (size_t i = 0; i < tcp->num_entries; i++) nacre__connection_flush(&tcp->connections[i], now_ms);
}
