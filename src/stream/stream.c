/* SPDX-License-Identifier: MIT */
/* stream: bytes and messages of one connection, its close, and its timers (RFC 8323 3). */
#include "base/config_size.h"
#include "coap/message.h"
#include "stream/stream_internal.h"

#include <string.h>

enum {
    DEFAULT_MAX_MESSAGE = 1280, /* as in nacre_endpoint_config */
    MIN_MESSAGE = 64,
    MAX_MESSAGE = 1 << 24,
    NUM_TIMERS = 7,
    FRAME_MORE = 2, /* bytes by which a frame may exceed its datagram */
};
#define NEVER UINT64_MAX

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

/* One with a size that does not fit becomes one without any field, which is not possible. */
static nacre_stream_config with_defaults(const nacre_stream_config *config)
{
    nacre_stream_config c = { .size = sizeof c };
    if (!nacre__config_size_fits(config->size, sizeof *config)) return c;
    c = *config;
    if (c.size != 0) return c;
    c.size = sizeof c;
    if (c.max_message == 0) c.max_message = DEFAULT_MAX_MESSAGE;
    if (c.max_token == 0) c.max_token = NACRE__STREAM_BASE_TOKEN;
    if (c.csm_timeout_ms == 0) c.csm_timeout_ms = 10000;
    if (c.stall_timeout_ms == 0) c.stall_timeout_ms = 30000;
    if (c.close_timeout_ms == 0) c.close_timeout_ms = 10000;
    return c;
}

nacre_stream_config nacre_stream_config_default(void)
{
    return with_defaults(&(nacre_stream_config){ .size = 0 });
}

size_t nacre_stream_input_size(const nacre_stream_config *config)
{
    return with_defaults(config).max_message + FRAME_MORE;
}

size_t nacre_stream_output_size(const nacre_stream_config *config)
{
    return with_defaults(config).max_message + FRAME_MORE + NACRE__STREAM_ABORT_SIZE + NACRE__STREAM_CSM_SIZE;
}

nacre_err nacre_stream_init(nacre_stream *s, nacre_buf input, nacre_buf output, const nacre_stream_config *config,
                            uint64_t now_ms)
{
    nacre_stream_config c = with_defaults(config);
    if (c.csm_timeout_ms == 0 || c.stall_timeout_ms == 0 || c.close_timeout_ms == 0) return NACRE_ERR_BAD_ARGUMENT;
    if (c.max_message < MIN_MESSAGE || c.max_message > MAX_MESSAGE || c.max_token < NACRE__STREAM_BASE_TOKEN ||
        c.max_token > NACRE__STREAM_MAX_TOKEN)
        return NACRE_ERR_BAD_ARGUMENT;
    if (input.cap < nacre_stream_input_size(&c) || output.cap < nacre_stream_output_size(&c))
        return NACRE_ERR_BUFFER_TOO_SMALL;
    *s = (nacre_stream){
        .config = c, .in = input, .out = output, .clock = now_ms, .started = now_ms, .heard = now_ms, .talked = now_ms
    };
    s->peer.max_message = NACRE__STREAM_BASE_SIZE;
    s->peer.max_token = NACRE__STREAM_BASE_TOKEN;
    nacre__stream_write_csm(s);
    return NACRE_OK;
}

void nacre_stream_wipe(nacre_stream *s)
{
    if (s->in.ptr != NULL) nacre_wipe(s->in.ptr, s->in.cap);
    if (s->out.ptr != NULL) nacre_wipe(s->out.ptr, s->out.cap);
    nacre_wipe(s, sizeof *s);
}

/* ---- The end ------------------------------------------------------------------------------------------------------------ */

void nacre__stream_end(nacre_stream *s, nacre_err err, nacre_bytes text)
{
    if (s->has_ended) return;
    s->has_ended = true;
    s->err = err;
    s->text_len = text.len < sizeof s->text ? text.len : sizeof s->text;
    if (s->text_len > 0) memcpy(s->text, text.ptr, s->text_len);
    s->in_len = 0;
}

void nacre__stream_fail(nacre_stream *s, nacre_err err, uint16_t bad_csm_option, const char *text)
{
    if (s->has_ended) return;
    nacre__stream_end(s, err, nacre_bytes_of((const uint8_t *)text, strlen(text)));
    nacre__stream_write_abort(s, bad_csm_option, text);
}

static void end_with(nacre_stream *s, nacre_err err, const char *text)
{
    nacre__stream_end(s, err, nacre_bytes_of((const uint8_t *)text, strlen(text)));
}

void nacre__stream_close_soon(nacre_stream *s, uint64_t now_ms)
{
    if (!s->is_closing) s->closing_since = now_ms;
    s->is_closing = true;
}

static void end_closing(nacre_stream *s)
{
    if (s->outstanding > 0) end_with(s, NACRE_ERR_UNREACHABLE, "the connection was closed before the answer came");
    else end_with(s, NACRE_OK, "closed");
}

/* All input was taken. RFC 8323 5.5: after a Release outstanding requests are answered before closing; once the peer has
 * closed its side it sends no more responses. */
static void end_if_due(nacre_stream *s)
{
    if (s->no_more_input && !s->peer.has_settings)
        end_with(s, NACRE_ERR_UNREACHABLE, "the peer closed before its first message");
    else if (s->no_more_input && (s->outstanding > 0 || s->owed == 0)) end_closing(s);
    else if (s->released_by_peer && s->outstanding == 0 && s->owed == 0) end_closing(s);
}

static bool tell_end(nacre_stream *s, nacre_stream_event *event, nacre_buf buf)
{
    if (!s->has_ended || s->end_is_told) return false;
    s->end_is_told = true;
    nacre_stream_event e = { .kind = NACRE_STREAM_ENDED, .err = s->err, .by_peer = s->by_peer };
    e.bad_csm_option = s->bad_csm_option;
    if (s->text_len > 0) memcpy(buf.ptr, s->text, s->text_len);
    e.bytes = nacre_bytes_of(buf.ptr, s->text_len);
    *event = e;
    return true;
}

bool nacre_stream_is_over(const nacre_stream *s)
{
    return s->end_is_told && s->out_len == 0;
}

bool nacre_stream_is_closing(const nacre_stream *s)
{
    return s->has_ended || s->is_closing;
}

bool nacre_stream_has_ended(const nacre_stream *s)
{
    return s->has_ended;
}

uint64_t nacre_stream_quiet_since(const nacre_stream *s)
{
    bool quiet = s->outstanding == 0 && s->owed == 0 && s->in_len == 0 && s->out_len == 0;
    return quiet ? s->talked : NEVER;
}

nacre_stream_peer nacre_stream_get_peer(const nacre_stream *s)
{
    return s->peer;
}

/* ---- Output --------------------------------------------------------------------------------------------------------------- */

static size_t output_left(const nacre_stream *s)
{
    return s->out.cap - s->out_len;
}

bool nacre__stream_write_frame(nacre_stream *s, uint8_t code, nacre_bytes token, nacre_bytes body)
{
    size_t size = nacre__frame_size(token.len, body.len);
    size_t kept = code == NACRE_SIGNAL_ABORT ? 0 : NACRE__STREAM_ABORT_SIZE;
    if (size > output_left(s) || output_left(s) - size < kept) return false;
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

/* ---- Input ---------------------------------------------------------------------------------------------------------------- */

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

static nacre_err look_at_frame(const nacre_stream *s, nacre__frame *frame)
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
    size_t left = output_left(s), each = s->config.max_message + FRAME_MORE;
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
        nacre_err err = look_at_frame(s, &frame);
        if (is_tls(s)) {
            nacre__stream_fail(s, NACRE_ERR_MALFORMED, 0, "the peer speaks TLS, this side CoAP without it");
            break;
        }
        if (err == NACRE_ERR_NOT_YET) {
            end_if_due(s);
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
    return tell_end(s, event, buf);
}

void nacre_stream_processed(nacre_stream *s)
{
    s->unprocessed = 0;
}

/* ---- Timers ------------------------------------------------------------------------------------------------------------- */

/* Times, or NEVER if not running. */
typedef struct timers {
    uint64_t csm, rest, output, close, pong, ping, idle;
} timers;

static timers look_at_timers(const nacre_stream *s)
{
    const nacre_stream_config *c = &s->config;
    timers t = { NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER };
    nacre__frame frame;
    if (s->out_len > 0) t.output = s->output_since + c->stall_timeout_ms;
    if (s->has_ended) return t;
    if (!s->peer.has_settings) t.csm = s->started + c->csm_timeout_ms;
    if (s->in_len > 0 && look_at_frame(s, &frame) == NACRE_ERR_NOT_YET) t.rest = s->partial_since + c->stall_timeout_ms;
    if (s->is_closing) t.close = s->closing_since + c->close_timeout_ms;
    if (s->is_pinged) t.pong = s->pinged + c->stall_timeout_ms;
    else if (c->ping_after_ms != 0 && !s->is_closing) t.ping = s->heard + c->ping_after_ms;
    if (c->idle_ms != 0 && s->outstanding == 0 && !s->is_closing) t.idle = s->talked + c->idle_ms;
    return t;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t nacre_stream_deadline(const nacre_stream *s)
{
    timers t = look_at_timers(s);
    uint64_t first = earlier(earlier(t.csm, t.rest), earlier(t.output, t.close));
    return earlier(first, earlier(t.pong, earlier(t.ping, t.idle)));
}

static void do_one(nacre_stream *s, uint64_t now_ms)
{
    timers t = look_at_timers(s);
    if (t.output <= now_ms) { /* a peer that does not read would not read an Abort either */
        end_with(s, NACRE_ERR_TIMEOUT, "the peer does not read what is sent to it");
        s->out_len = 0;
    } else if (t.csm <= now_ms) {
        nacre__stream_fail(s, NACRE_ERR_TIMEOUT, 0, "no CSM came in time"); /* RFC 8323 3.3 */
    } else if (t.rest <= now_ms) {
        nacre__stream_fail(s, NACRE_ERR_TIMEOUT, 0, "the rest of a message did not come");
    } else if (t.close <= now_ms) {
        end_closing(s);
    } else if (t.pong <= now_ms) {
        nacre__stream_fail(s, NACRE_ERR_TIMEOUT, 0, "no Pong came in time");
    } else if (t.ping <= now_ms) {
        /* The output is full only if the peer does not read, which has its own timer. */
        if (nacre_stream_ping(s, NACRE_ABSENT, false, now_ms) != NACRE_OK) s->heard = now_ms;
    } else if (t.idle <= now_ms) {
        if (nacre_stream_release(s, NACRE_ABSENT, 0, now_ms) != NACRE_OK) s->talked = now_ms;
    }
}

/* Handles the most important due timer first; it is not due afterwards. */
void nacre_stream_expire(nacre_stream *s, uint64_t now_ms)
{
    s->clock = now_ms;
    for (int i = 0; i < NUM_TIMERS && nacre_stream_deadline(s) <= now_ms; i++) do_one(s, now_ms);
}
