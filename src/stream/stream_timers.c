/* SPDX-License-Identifier: MIT */
/* stream_timers: what a connection does when time has passed: its deadlines, Pings and releases. */
#include "stream/stream_internal.h"

enum { NUM_TIMERS = 7 };
#define NEVER UINT64_MAX

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
    if (s->in_len > 0 && nacre__stream_look(s, &frame) == NACRE_ERR_NOT_YET)
        t.rest = s->partial_since + c->stall_timeout_ms;
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
        nacre__stream_end_with(s, NACRE_ERR_TIMEOUT, "the peer does not read what is sent to it");
        s->out_len = 0;
    } else if (t.csm <= now_ms) {
        nacre__stream_fail(s, NACRE_ERR_TIMEOUT, 0, "no CSM came in time"); /* RFC 8323 3.3 */
    } else if (t.rest <= now_ms) {
        nacre__stream_fail(s, NACRE_ERR_TIMEOUT, 0, "the rest of a message did not come");
    } else if (t.close <= now_ms) {
        nacre__stream_end_closing(s);
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
