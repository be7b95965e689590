/* SPDX-License-Identifier: MIT */
/* stream_signal: signaling messages (RFC 8323 5). */
#include "coap/message.h"
#include "stream/stream_internal.h"

#include <string.h>

/* ---- Ours --------------------------------------------------------------------------------------------------------------- */

/* The Max-Message-Size announced in the CSM. In datagram form a message is at most two bytes longer. */
size_t nacre__stream_announced(const nacre_stream *s)
{
    const size_t size = s->config.max_message - 2;
    return s->config.block_wise && size > NACRE__STREAM_BASE_SIZE ? (size_t)NACRE__STREAM_BASE_SIZE : size;
}

/* RFC 8323 3.3, 5.3: the first message. Options at their base values are left out. */
void nacre__stream_write_csm(nacre_stream *s)
{
    uint8_t buf[NACRE__STREAM_CSM_SIZE];
    nacre_options o;
    nacre_bytes options;
    const size_t size = nacre__stream_announced(s);
    nacre_options_init(&o, NACRE_BUF(buf));
    if (size != NACRE__STREAM_BASE_SIZE) nacre_options_add_uint(&o, NACRE_CSM_MAX_MESSAGE_SIZE, size);
    if (s->config.block_wise) nacre_options_add(&o, NACRE_CSM_BLOCK_WISE_TRANSFER, NACRE_STR(""));
    if (s->config.max_token > NACRE__STREAM_BASE_TOKEN)
        nacre_options_add_uint(&o, NACRE_CSM_EXTENDED_TOKEN_LENGTH, s->config.max_token);
    if (nacre_options_finish(&o, &options) == NACRE_OK) /* three short options always fit */
        (void)nacre__stream_write_frame(s, NACRE_SIGNAL_CSM, NACRE_ABSENT, options);
}

/* RFC 8323 5.6 */
void nacre__stream_write_abort(nacre_stream *s, uint16_t bad_csm_option, const char *text)
{
    uint8_t body[NACRE__STREAM_ABORT_SIZE];
    nacre_options o;
    nacre_bytes options;
    nacre_options_init(&o, (nacre_buf){ body, 8 });
    if (bad_csm_option != 0) nacre_options_add_uint(&o, NACRE_ABORT_BAD_CSM_OPTION, bad_csm_option);
    if (nacre_options_finish(&o, &options) != NACRE_OK) return; /* unreachable: one short option */
    size_t len = options.len, text_len = strlen(text);
    if (text_len > sizeof s->text) text_len = sizeof s->text;
    if (text_len > 0) {
        body[len++] = 0xff;
        memcpy(body + len, text, text_len);
        len += text_len;
    }
    (void)nacre__stream_write_frame(s, NACRE_SIGNAL_ABORT, NACRE_ABSENT, nacre_bytes_of(body, len));
}

nacre_err nacre_stream_ping(nacre_stream *s, nacre_bytes token, bool custody, uint64_t now_ms)
{
    s->clock = now_ms;
    if (s->has_ended) return NACRE_ERR_UNREACHABLE;
    if (token.len > NACRE__STREAM_BASE_TOKEN) return NACRE_ERR_TOO_LONG;
    static const uint8_t option[1] = { NACRE_PING_CUSTODY << 4 };
    if (!nacre__stream_write_frame(s, NACRE_SIGNAL_PING, token, nacre_bytes_of(option, custody ? 1 : 0)))
        return NACRE_ERR_BUFFER_TOO_SMALL;
    s->is_pinged = true;
    s->pinged = now_ms;
    return NACRE_OK;
}

/* RFC 8323 5.5 */
nacre_err nacre_stream_release(nacre_stream *s, nacre_bytes alternative, uint32_t hold_off_s, uint64_t now_ms)
{
    uint8_t buf[272];
    nacre_options o;
    nacre_bytes options;
    s->clock = now_ms;
    if (s->has_ended) return NACRE_ERR_UNREACHABLE;
    if (s->released_by_us) return NACRE_OK;
    if (alternative.len > 255 || hold_off_s > 0xffffff) return NACRE_ERR_TOO_LONG;
    nacre_options_init(&o, NACRE_BUF(buf));
    if (alternative.len > 0) nacre_options_add(&o, NACRE_RELEASE_ALTERNATIVE_ADDRESS, alternative);
    if (hold_off_s != 0) nacre_options_add_uint(&o, NACRE_RELEASE_HOLD_OFF, hold_off_s);
    nacre_err err = nacre_options_finish(&o, &options);
    if (err != NACRE_OK) return err;
    if (!nacre__stream_write_frame(s, NACRE_SIGNAL_RELEASE, NACRE_ABSENT, options)) return NACRE_ERR_BUFFER_TOO_SMALL;
    s->released_by_us = true;
    nacre__stream_close_soon(s, now_ms);
    return NACRE_OK;
}

void nacre_stream_abort(nacre_stream *s, const char *text, uint64_t now_ms)
{
    s->clock = now_ms;
    nacre__stream_fail(s, NACRE_ERR_STALE, 0, text);
}

/* ---- The peer's ----------------------------------------------------------------------------------------------------------- */

/* The options of one signaling message. */
typedef struct signal {
    uint64_t max_message, max_token; /* 0: absent */
    bool block_wise, custody;
    uint32_t hold_off_s;
    uint16_t bad_csm_option;
} signal;

static bool read_csm_option(signal *said, const nacre_option *option)
{
    static const uint8_t max_len[] = { [NACRE_CSM_MAX_MESSAGE_SIZE] = 4, [NACRE_CSM_EXTENDED_TOKEN_LENGTH] = 3 };
    uint64_t value;
    if (option->number > NACRE_CSM_EXTENDED_TOKEN_LENGTH) return true;
    if (option->value.len > max_len[option->number] || !nacre_option_uint(option->value, &value)) return false;
    if (option->number == NACRE_CSM_BLOCK_WISE_TRANSFER) said->block_wise = true;
    if (option->number == NACRE_CSM_EXTENDED_TOKEN_LENGTH) said->max_token = value;
    /* A value of 0 differs from an absent option. */
    if (option->number == NACRE_CSM_MAX_MESSAGE_SIZE) said->max_message = value != 0 ? value : 1;
    return true;
}

/* Elective options of a wrong length are treated as unknown (RFC 7252 5.4.3). */
static void read_option(signal *said, uint8_t code, const nacre_option *option)
{
    uint64_t value;
    if (!nacre_option_uint(option->value, &value)) return;
    bool ping = code == NACRE_SIGNAL_PING || code == NACRE_SIGNAL_PONG;
    if (ping && option->number == NACRE_PING_CUSTODY) said->custody = option->value.len == 0;
    if (code == NACRE_SIGNAL_RELEASE && option->number == NACRE_RELEASE_HOLD_OFF && option->value.len <= 3)
        said->hold_off_s = (uint32_t)value;
    if (code == NACRE_SIGNAL_ABORT && option->number == NACRE_ABORT_BAD_CSM_OPTION && option->value.len <= 2)
        said->bad_csm_option = (uint16_t)value;
}

/* False: the connection has been aborted. All options defined by RFC 8323 are elective, so critical ones are unknown. */
static bool read_options(nacre_stream *s, signal *said, uint8_t code, nacre_bytes options)
{
    bool csm = code == NACRE_SIGNAL_CSM;
    uint32_t last = 0; /* not an option number of any signal */
    nacre_option option;
    for (nacre_option_iter it = nacre_option_begin(options); nacre_option_next(&it, &option); last = option.number) {
        if (nacre_option_is_critical(option.number)) { /* RFC 8323 5.2, 5.6 */
            nacre__stream_fail(s, NACRE_ERR_CRITICAL_OPTION, csm ? option.number : 0,
                               "critical signaling option not understood");
            return false;
        }
        if (option.number == last) continue; /* RFC 7252 5.4.5: a surplus one is treated as unknown */
        if (!csm) {
            read_option(said, code, &option);
        } else if (!read_csm_option(said, &option)) { /* RFC 8323 3.3, 5.6: an invalid CSM */
            nacre__stream_fail(s, NACRE_ERR_MALFORMED, option.number, "CSM option of a wrong length");
            return false;
        }
    }
    return true;
}

/* RFC 8323 5.3: settings in a CSM replace earlier ones; absent ones stay. */
static void take_settings(nacre_stream *s, const signal *said)
{
    s->peer.has_settings = true;
    if (said->block_wise) s->peer.block_wise = true;
    if (said->max_message != 0) s->peer.max_message = (uint32_t)said->max_message;
    if (said->max_token < NACRE__STREAM_BASE_TOKEN) return; /* RFC 8974 2.2.1: ignored */
    bool more = said->max_token > NACRE__STREAM_MAX_TOKEN;
    s->peer.max_token = more ? NACRE__STREAM_MAX_TOKEN : (uint32_t)said->max_token;
}

/* RFC 8323 5.4: the Pong has the Ping's token. nacre_stream_next has checked that there is space. */
static nacre__stream_step send_pong(nacre_stream *s, const nacre__frame *frame, const signal *said)
{
    static const uint8_t option[1] = { NACRE_PING_CUSTODY << 4 };
    if (said->custody && s->unprocessed > 0) return NACRE__STREAM_WAIT; /* RFC 8323 5.4.1 */
    (void)nacre__stream_write_frame(s, NACRE_SIGNAL_PONG, frame->token, nacre_bytes_of(option, said->custody ? 1 : 0));
    return NACRE__STREAM_GO_ON;
}

static nacre_bytes copy(nacre_buf buf, size_t *used, nacre_bytes bytes)
{
    uint8_t *at = buf.ptr + *used;
    size_t len = bytes.len <= buf.cap - *used ? bytes.len : 0; /* the buffer is larger than any frame */
    if (len > 0) memcpy(at, bytes.ptr, len);
    *used += len;
    return nacre_bytes_of(at, len);
}

nacre__stream_step nacre__stream_signal(nacre_stream *s, const nacre__frame *frame, nacre_stream_event *event,
                                        nacre_buf buf, uint64_t now_ms)
{
    nacre_bytes options, payload;
    size_t used = 0;
    signal said = { 0 };
    uint32_t seen;
    if (!nacre__body_parse(frame->body, &options, &payload, &seen)) {
        nacre__stream_fail(s, NACRE_ERR_MALFORMED, 0, "malformed signaling message"); /* RFC 8323 5.6 */
        return NACRE__STREAM_GO_ON;
    }
    bool known = frame->code >= NACRE_SIGNAL_CSM && frame->code <= NACRE_SIGNAL_ABORT;
    if (!known || !read_options(s, &said, frame->code, options)) return NACRE__STREAM_GO_ON;
    nacre_stream_event e = { .custody = said.custody, .hold_off_s = said.hold_off_s };
    switch (frame->code) {
    case NACRE_SIGNAL_CSM: take_settings(s, &said); return NACRE__STREAM_GO_ON;
    case NACRE_SIGNAL_PING: return send_pong(s, frame, &said);
    case NACRE_SIGNAL_PONG:
        e.kind = NACRE_STREAM_PONG;
        e.bytes = copy(buf, &used, frame->token);
        break;
    case NACRE_SIGNAL_RELEASE:
        e.kind = NACRE_STREAM_RELEASED;
        e.alternatives = copy(buf, &used, options);
        e.bytes = copy(buf, &used, payload);
        s->released_by_peer = true;
        nacre__stream_close_soon(s, now_ms);
        break;
    default: /* RFC 8323 5.6: Abort; nothing more is sent or processed */
        s->by_peer = true;
        s->bad_csm_option = said.bad_csm_option;
        nacre__stream_end(s, NACRE_ERR_RESET, payload);
        s->out_len = 0;
        return NACRE__STREAM_GO_ON;
    }
    *event = e;
    return NACRE__STREAM_TELL;
}
