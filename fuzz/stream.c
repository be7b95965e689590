/* SPDX-License-Identifier: MIT */
/* stream: a peer sends any bytes, in pieces of any size, while time passes and the output is read or not. What comes
 * out is well-formed; the output consists of frames of permitted sizes that another stream can parse; the end is
 * reported once, and nothing comes after it. */
#include "fuzz.h"

#include "stream/stream_frame.h"

enum { MAX_MESSAGE = 300, PEER_MESSAGE = 1 << 16 };

typedef struct state {
    nacre_stream stream, reader; /* the reader is the peer's end of our output */
    nacre_buf buf, reader_buf;
    uint64_t now;
    bool ended;
} state;

/* The output ends on a frame boundary: the reader consumes it all. */
static void read_output(state *s, nacre_bytes bytes)
{
    nacre_stream_event event;
    while (bytes.len > 0) {
        nacre_buf buf = nacre_stream_input(&s->reader);
        if (buf.cap == 0) return; /* it was sent a Release or an Abort */
        size_t len = bytes.len < buf.cap ? bytes.len : buf.cap;
        memcpy(buf.ptr, bytes.ptr, len);
        nacre_stream_received(&s->reader, len, s->now);
        bytes.ptr += len;
        bytes.len -= len;
        while (nacre_stream_next(&s->reader, &event, s->reader_buf, s->now)) {
            if (event.kind == NACRE_STREAM_ENDED) {
                /* Never with a parse error: it was sent a Release or an Abort. */
                CHECK(event.err == NACRE_OK || event.err == NACRE_ERR_RESET);
            }
            nacre_stream_processed(&s->reader);
        }
        nacre_bytes responds = nacre_stream_output(&s->reader);
        nacre_stream_sent(&s->reader, responds.len, s->now); /* discards the reader's Pongs */
    }
}

static void take_output(state *s, size_t len)
{
    nacre_bytes out = nacre_stream_output(&s->stream);
    if (len > out.len) len = out.len;
    read_output(s, nacre_bytes_of(out.ptr, len));
    nacre_stream_sent(&s->stream, len, s->now);
}

static void take_events(state *s, bool responds)
{
    nacre_stream_event event;
    while (nacre_stream_next(&s->stream, &event, s->buf, s->now)) {
        CHECK(!s->ended);
        CHECK(event.bytes.len <= s->buf.cap);
        if (event.kind == NACRE_STREAM_ENDED) {
            s->ended = true;
            CHECK(nacre_stream_is_closing(&s->stream) && nacre_stream_has_ended(&s->stream));
        }
        if (event.kind == NACRE_STREAM_RELEASED) CHECK(fuzz_well_formed(event.alternatives));
        if (event.kind != NACRE_STREAM_MESSAGE) continue;
        nacre_message m;
        CHECK(event.bytes.len <= MAX_MESSAGE);
        CHECK(nacre_stream_get_peer(&s->stream).has_settings);
        CHECK(nacre_message_parse(&m, event.bytes) == NACRE_OK);
        CHECK(m.type == NACRE_NON && (nacre_code_is_request(m.code) || nacre_code_is_response(m.code)));
        if (!responds || !nacre_code_is_request(m.code)) continue;
        nacre_bytes out;
        nacre_buf buf = fuzz_buf(MAX_MESSAGE);
        m.code = NACRE_CONTENT;
        m.options = m.payload = NACRE_ABSENT;
        CHECK(nacre_message_write(&m, &out, buf) == NACRE_OK);
        nacre_err err = nacre_stream_send(&s->stream, out, s->now);
        CHECK(err == NACRE_OK || err == NACRE_ERR_TOO_LONG); /* a response always fits the output */
        CHECK((err == NACRE_OK) ==
              (nacre__frame_size(m.token.len, 0) <= nacre_stream_get_peer(&s->stream).max_message));
    }
    CHECK(!nacre_stream_has_ended(&s->stream) || s->ended);
}

static void bytes_arrive(state *s, fuzz_input *in)
{
    nacre_bytes bytes = fuzz_take(in, fuzz_u8(in) % 64);
    nacre_buf buf = nacre_stream_input(&s->stream);
    CHECK(!s->ended || buf.cap == 0);
    size_t len = bytes.len < buf.cap ? bytes.len : buf.cap;
    if (len > 0) memcpy(buf.ptr, bytes.ptr, len);
    nacre_stream_received(&s->stream, len, s->now);
}

static void we_send(state *s, fuzz_input *in)
{
    nacre_bytes bytes = fuzz_take(in, fuzz_u8(in));
    nacre_err err = nacre_stream_send(&s->stream, bytes, s->now);
    CHECK(!s->ended || err != NACRE_OK);
}

static void we_signal(state *s, fuzz_input *in)
{
    nacre_err err = NACRE_OK;
    uint8_t which = fuzz_u8(in);
    if (which % 4 == 0) err = nacre_stream_ping(&s->stream, fuzz_take(in, which >> 4), which & 4, s->now);
    else if (which % 4 == 1) err = nacre_stream_release(&s->stream, fuzz_take(in, which >> 2), which, s->now);
    else if (which == 255) nacre_stream_abort(&s->stream, "enough", s->now);
    else if (which % 4 == 2) nacre_stream_finished(&s->stream, s->now);
    CHECK(!s->ended || err != NACRE_OK || which % 4 >= 2);
}

static void time_passes(state *s, fuzz_input *in)
{
    s->now += (uint64_t)fuzz_u8(in) * 500;
    uint64_t deadline = nacre_stream_deadline(&s->stream);
    nacre_stream_expire(&s->stream, s->now);
    if (deadline > s->now) return;
    take_events(s, false);
    CHECK(nacre_stream_deadline(&s->stream) > s->now || s->ended); /* a deadline fires once */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = { data, data + size };
    uint8_t flags = fuzz_u8(&in);
    const nacre_stream_config peer = { .max_message = PEER_MESSAGE, .max_token = 65804 };
    const nacre_stream_config config = { .max_message = MAX_MESSAGE,
                                         .max_token = flags & 1 ? 200 : 0,
                                         .block_wise = flags & 2,
                                         .ping_after_ms = flags & 4 ? 5000 : 0,
                                         .idle_ms = flags & 8 ? 9000 : 0 };
    state *s = fuzz_alloc(sizeof *s);
    size_t more = flags & 16 ? 2000 : 0;
    *s = (state){ .buf = fuzz_buf(MAX_MESSAGE), .reader_buf = fuzz_buf(PEER_MESSAGE) };
    CHECK(nacre_stream_init(&s->stream, fuzz_buf(nacre_stream_input_size(&config)),
                            fuzz_buf(nacre_stream_output_size(&config) + more), &config, 0) == NACRE_OK);
    CHECK(nacre_stream_init(&s->reader, fuzz_buf(nacre_stream_input_size(&peer)),
                            fuzz_buf(nacre_stream_output_size(&peer)), &peer, 0) == NACRE_OK);
    while (in.at < in.end) {
        uint8_t op = fuzz_u8(&in);
        switch (op % 8) {
        case 0:
        case 1:
        case 2: bytes_arrive(s, &in); break;
        case 3: take_events(s, op & 8); break;
        case 4: take_output(s, fuzz_u8(&in)); break;
        case 5: op & 8 ? we_send(s, &in) : we_signal(s, &in); break;
        case 6: time_passes(s, &in); break;
        default: nacre_stream_processed(&s->stream); break;
        }
        if (op % 8 != 3 && s->ended) take_events(s, true);
    }
    take_output(s, SIZE_MAX);
    nacre_stream_wipe(&s->stream);
    nacre_stream_wipe(&s->reader);
    fuzz_release();
    return 0;
}
