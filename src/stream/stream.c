/* SPDX-License-Identifier: MIT */
/* stream: the configuration of a connection, its begin and its end (RFC 8323 3, 5.5, 5.6). */
#include "base/config_size.h"
#include "stream/stream_internal.h"

#include <string.h>

enum {
    DEFAULT_MAX_MESSAGE = 1280, /* as in nacre_endpoint_config */
    MIN_MESSAGE = 64,
    MAX_MESSAGE = 1 << 24,
};

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
    return with_defaults(config).max_message + NACRE__STREAM_FRAME_MORE;
}

size_t nacre_stream_output_size(const nacre_stream_config *config)
{
    return with_defaults(config).max_message + NACRE__STREAM_FRAME_MORE + NACRE__STREAM_ABORT_SIZE +
           NACRE__STREAM_CSM_SIZE;
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

void nacre__stream_end_with(nacre_stream *s, nacre_err err, const char *text)
{
    nacre__stream_end(s, err, nacre_bytes_of((const uint8_t *)text, strlen(text)));
}

void nacre__stream_close_soon(nacre_stream *s, uint64_t now_ms)
{
    if (!s->is_closing) s->closing_since = now_ms;
    s->is_closing = true;
}

void nacre__stream_end_closing(nacre_stream *s)
{
    if (s->outstanding > 0)
        nacre__stream_end_with(s, NACRE_ERR_UNREACHABLE, "the connection was closed before the answer came");
    else nacre__stream_end_with(s, NACRE_OK, "closed");
}

/* All input was taken. RFC 8323 5.5: after a Release outstanding requests are answered before closing; once the peer has
 * closed its side it sends no more responses. */
void nacre__stream_end_if_due(nacre_stream *s)
{
    if (s->no_more_input && !s->peer.has_settings)
        nacre__stream_end_with(s, NACRE_ERR_UNREACHABLE, "the peer closed before its first message");
    else if (s->no_more_input && (s->outstanding > 0 || s->owed == 0)) nacre__stream_end_closing(s);
    else if (s->released_by_peer && s->outstanding == 0 && s->owed == 0) nacre__stream_end_closing(s);
}

bool nacre__stream_tell_end(nacre_stream *s, nacre_stream_event *event, nacre_buf buf)
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
    return quiet ? s->talked : UINT64_MAX;
}

nacre_stream_peer nacre_stream_get_peer(const nacre_stream *s)
{
    return s->peer;
}
