/* SPDX-License-Identifier: MIT */
/* stream_end: one end of a connection for tests. */
#include "stream_end.h"

end *end_with(const nacre_stream_config *config, size_t more_output)
{
    end *e = test_alloc(sizeof *e);
    memset(e, 0x5a, sizeof *e);
    size_t max = config->max_message != 0 ? config->max_message : 1280;
    e->now = 1000;
    e->buf = test_buf(max);
    assert_ok(nacre_stream_init(&e->s, test_buf(nacre_stream_input_size(config)),
                                test_buf(nacre_stream_output_size(config) + more_output), config, e->now));
    return e;
}

end *end_of(const nacre_stream_config *config)
{
    return end_with(config, 4 * (config->max_message != 0 ? config->max_message : 1280));
}

end *plain_end(void)
{
    return end_of(&(nacre_stream_config){ 0 });
}

nacre_bytes end_written(end *e)
{
    nacre_bytes out = test_copy(nacre_stream_output(&e->s));
    nacre_stream_sent(&e->s, out.len, e->now);
    return out;
}

bool end_give(end *e, nacre_bytes bytes)
{
    nacre_buf buf = nacre_stream_input(&e->s);
    size_t len = bytes.len < buf.cap ? bytes.len : buf.cap;
    if (len > 0) memcpy(buf.ptr, bytes.ptr, len);
    nacre_stream_received(&e->s, len, e->now);
    return len == bytes.len;
}

bool end_next(end *e, nacre_stream_event *event)
{
    return nacre_stream_next(&e->s, event, e->buf, e->now);
}

void end_quiet(end *e)
{
    nacre_stream_event event;
    assert_false(end_next(e, &event));
}

end *open_end(void)
{
    end *e = plain_end();
    (void)end_written(e);
    assert_true(end_give(e, test_hex("00e1")));
    end_quiet(e);
    return e;
}

nacre_bytes datagram_of(uint8_t type, uint16_t mid, size_t token, size_t body)
{
    nacre_message m = { .type = type, .code = NACRE_POST, .mid = mid, .token = test_fill(0x11, token) };
    if (body > 0) {
        m.options = test_hex("b161");
        m.payload = test_fill(0x70, body - 3);
    }
    return test_datagram(&m);
}
