/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* stream_test: messages in a byte stream, which are refused, and the peer's announced settings (RFC 8323 3, 5.3; RFC
 * 8974 2). */
#include "stream_end.h"

enum { BUF_SIZE = 70000 };

/* ---- Framing ----------------------------------------------------------------------------------------------------- */

/* RFC 8323 3.2: the four forms of Len, and RFC 8974 2.1: those of TKL. `body` counts bytes after the token: one option
 * of two bytes, the marker, and the payload. */
static const struct {
    size_t token, body;
    const char *head; /* all before the token */
} lengths[] = {
    { 0, 0, "0002" },
    { 1, 4, "4102" },
    { 8, 12, "c802" },
    { 8, 13, "d80002" },
    { 8, 14, "d80102" },
    { 8, 268, "d8ff02" },
    { 8, 269, "e8000002" },
    { 8, 270, "e8000102" },
    { 8, 65804, "e8ffff02" },
    { 8, 65805, "f80000000002" },
    { 8, 65806, "f80000000102" },
    { 9, 0, "0902" },
    { 12, 4, "4c02" },
    { 13, 4, "4d0200" },
    { 14, 4, "4d0201" },
    { 268, 4, "4d02ff" },
    { 269, 4, "4e020000" },
    { 300, 300, "ee001f02001f" },
};

static nacre_bytes body_of(size_t len)
{
    if (len == 0) return NACRE_STR("");
    nacre_bytes body = test_copy(test_join(test_hex("b161ff"), test_fill(0x70, len - 3)));
    return body;
}

static end *large_end(void)
{
    end *e = end_of(&(nacre_stream_config){ .max_message = BUF_SIZE, .max_token = 1000 });
    (void)end_written(e);
    assert_true(end_give(e, test_hex("70e1 230fffff 4203e8"))); /* the peer takes 2^20-1 bytes, and tokens of 1000 */
    end_quiet(e);
    assert_int_equal(nacre_stream_get_peer(&e->s).max_message, 0xfffff);
    return e;
}

/* RFC 8323 3.2, RFC 8974 2.1 */
static void every_length_form_is_read_and_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        end *e = large_end();
        nacre_stream_event event;
        nacre_bytes frame = test_join(test_hex(lengths[i].head), test_fill(0x11, lengths[i].token));
        frame = test_join(frame, body_of(lengths[i].body));
        assert_ok(nacre_stream_send(&e->s, datagram_of(NACRE_CON, 0x7777, lengths[i].token, lengths[i].body), e->now));
        assert_bytes_row(lengths[i].head, end_written(e), frame);
        assert_true(end_give(e, frame));
        assert_true(end_next(e, &event));
        assert_int_equal(event.kind, NACRE_STREAM_MESSAGE);
        assert_bytes_row(lengths[i].head, event.bytes, datagram_of(NACRE_NON, 0, lengths[i].token, lengths[i].body));
        end_quiet(e);
        (void)test_release(NULL);
    }
}

/* RFC 8323 3.2, Figure 5; 5.7, Figures 11 and 12 */
static void examples_of_the_rfc_match(void **state)
{
    (void)state;
    end *e = open_end();
    nacre_message valid = { .type = NACRE_ACK, .code = NACRE_VALID, .mid = 7, .token = test_hex("7f") };
    assert_ok(nacre_stream_send(&e->s, test_datagram(&valid), e->now));
    assert_bytes(end_written(e), test_hex("01437f"));
    assert_true(end_give(e, test_hex("01e242")));
    end_quiet(e);
    assert_bytes(end_written(e), test_hex("01e342"));
}

/* The result does not depend on how the bytes are split: in two parts at each position, and one by one. */
static void segmentation_does_not_matter(void **state)
{
    (void)state;
    static const char hex[] = "00e1 0000 51020a b161ff0102 01e242 d80145 0102030405060708 ff"
                              "000102030405060708090a0b0c 0084";
    for (size_t cut = 0, num_bytes = test_hex(hex).len; cut <= num_bytes + 1; cut++) {
        end *e = plain_end();
        nacre_bytes all = test_hex(hex);
        (void)end_written(e);
        nacre_stream_event event;
        size_t at = 0, num = 0;
        nacre_bytes seen[3];
        while (at < all.len) {
            size_t len = cut == all.len + 1 ? 1 : at < cut ? cut : all.len - at;
            assert_true(end_give(e, nacre_bytes_of(all.ptr + at, len)));
            at += len;
            while (end_next(e, &event)) {
                assert_int_equal(event.kind, NACRE_STREAM_MESSAGE);
                assert_true(num < COUNT(seen));
                seen[num++] = test_copy(event.bytes);
                nacre_stream_processed(&e->s);
                (void)end_written(e);
            }
        }
        assert_int_equal(num, 3);
        assert_bytes(seen[0], test_hex("51020000 0a b161ff0102"));
        assert_bytes(seen[1], test_hex("58450001 0102030405060708 ff000102030405060708090a0b0c"));
        assert_bytes(seen[2], test_hex("50840002"));
        (void)test_release(NULL);
    }
}

/* When a stream ends at any byte, all complete messages are delivered, and no incomplete one. */
static void truncated_streams_give_complete_messages_only(void **state)
{
    (void)state;
    static const char hex[] = "00e1 51020a b161ff0102 d80145 0102030405060708 ff000102030405060708090a0b0c";
    for (size_t len = 0, num_bytes = test_hex(hex).len; len <= num_bytes; len++) {
        end *e = plain_end();
        nacre_bytes all = test_hex(hex);
        (void)end_written(e);
        nacre_stream_event event = { 0 };
        size_t num = 0;
        assert_true(end_give(e, nacre_bytes_of(all.ptr, len)));
        nacre_stream_finished(&e->s, e->now);
        while (end_next(e, &event) && event.kind == NACRE_STREAM_MESSAGE) num++;
        assert_int_equal(num, len == all.len ? 2 : len >= 10 ? 1 : 0);
        if (len < 2) {
            assert_int_equal(event.kind, NACRE_STREAM_ENDED);
            assert_err(event.err, NACRE_ERR_UNREACHABLE);
        }
        assert_int_equal(nacre_stream_input(&e->s).cap, 0);
        (void)test_release(NULL);
    }
}

/* ---- Our first message ------------------------------------------------------------------------------------------- */

static void the_csm_is_sent_first(void **state)
{
    (void)state;
    static const struct {
        const char *name, *hex;
        nacre_stream_config config;
    } rows[] = {
        { "defaults", "30e1 2204fe", { 0 } },
        { "the base value", "00e1", { .max_message = 1154 } },
        { "a small room", "20e1 213e", { .max_message = 64 } },
        { "blocks", "10e1 40", { .block_wise = true } }, /* RFC 8323 5.3.2: not above 1152, or it means BERT */
        { "blocks, small", "40e1 22031e 20", { .max_message = 800, .block_wise = true } },
        { "tokens", "60e1 2204fe 4201f4", { .max_token = 500 } },
        { "tokens of 8", "30e1 2204fe", { .max_token = 8 } },
        { "tokens of 65804", "80e1 23027ffe 4301010c", { .max_message = 163840, .max_token = 65804 } },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        end *e = end_of(&rows[i].config);
        assert_bytes_row(rows[i].name, end_written(e), test_hex(rows[i].hex));
    }
}

static void init_refuses_invalid_configurations(void **state)
{
    (void)state;
    static const struct {
        nacre_stream_config config;
        nacre_err err;
    } rows[] = {
        { { .max_message = 64 }, NACRE_OK },      { { .max_message = 63 }, NACRE_ERR_BAD_ARGUMENT },
        { { .max_message = 1 << 24 }, NACRE_OK }, { { .max_message = (1 << 24) + 1 }, NACRE_ERR_BAD_ARGUMENT },
        { { .max_token = 8 }, NACRE_OK },         { { .max_token = 7 }, NACRE_ERR_BAD_ARGUMENT },
        { { .max_token = 65804 }, NACRE_OK },     { { .max_token = 65805 }, NACRE_ERR_BAD_ARGUMENT },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_stream s;
        const nacre_stream_config *c = &rows[i].config;
        nacre_buf in = test_buf(nacre_stream_input_size(c)), out = test_buf(nacre_stream_output_size(c));
        assert_err(nacre_stream_init(&s, in, out, c, 0), rows[i].err);
        if (rows[i].err != NACRE_OK) continue;
        nacre_buf less_in = { in.ptr, in.cap - 1 }, less_out = { out.ptr, out.cap - 1 };
        assert_err(nacre_stream_init(&s, less_in, out, c, 0), NACRE_ERR_BUFFER_TOO_SMALL);
        assert_err(nacre_stream_init(&s, in, less_out, c, 0), NACRE_ERR_BUFFER_TOO_SMALL);
        (void)test_release(NULL);
    }
}

/* ---- Errors that end a connection -------------------------------------------------------------------------------- */

/* Each refused row has an accepted neighbour that differs in what its name says. `abort` is what is written; NULL:
 * nothing, and the connection goes on. */
static const struct {
    const char *name, *hex, *abort_options;
    nacre_err err;
} refused[] = {
    /* RFC 8323 3.3: the first message */
    { "first a request", "0001", "", NACRE_ERR_MALFORMED },
    { "first a CSM, then a request", "00e1 0001", NULL, NACRE_OK },
    { "first a Ping", "00e2", "", NACRE_ERR_MALFORMED },
    { "first an unknown signal", "00e6", "", NACRE_ERR_MALFORMED },
    { "first an Abort", "00e5", "", NACRE_ERR_MALFORMED },
    { "first a response", "0045", "", NACRE_ERR_MALFORMED },
    { "first a reserved class", "0020", "", NACRE_ERR_MALFORMED },
    /* RFC 8323 3.4 */
    { "first an empty message, then a CSM", "0000 00e1", NULL, NACRE_OK },
    { "an empty message with a token", "00e1 010011", "", NACRE_ERR_MALFORMED },
    { "an empty message with an option", "00e1 100010", "", NACRE_ERR_MALFORMED },
    { "an empty message", "00e1 0000", NULL, NACRE_OK },
    /* RFC 8323 5.2, 5.6 */
    { "CSM, critical option 1", "10e110", "2101", NACRE_ERR_CRITICAL_OPTION },
    { "CSM, elective option 8", "10e180", NULL, NACRE_OK },
    { "CSM, critical option 2049", "30e1e006f4", "220801", NACRE_ERR_CRITICAL_OPTION },
    { "CSM, elective option 2048", "30e1e006f3", NULL, NACRE_OK },
    { "CSM, critical option 9 after known ones", "30e1 20 20 50", "2109", NACRE_ERR_CRITICAL_OPTION },
    { "second CSM, critical option 1", "00e1 10e110", "2101", NACRE_ERR_CRITICAL_OPTION },
    { "second CSM", "00e1 00e1", NULL, NACRE_OK },
    { "CSM, Max-Message-Size of 5 bytes", "60e1 250000001000", "2102", NACRE_ERR_MALFORMED },
    { "CSM, Max-Message-Size of 4 bytes", "50e1 2400001000", NULL, NACRE_OK },
    { "CSM, Block-Wise-Transfer of 1 byte", "20e1 4100", "2104", NACRE_ERR_MALFORMED },
    { "CSM, Block-Wise-Transfer empty", "10e1 40", NULL, NACRE_OK },
    { "CSM, Extended-Token-Length of 4 bytes", "50e1 6400000008", "2106", NACRE_ERR_MALFORMED },
    { "CSM, Extended-Token-Length of 3 bytes", "40e1 63000008", NULL, NACRE_OK },
    { "CSM, option cut off", "10e121", "", NACRE_ERR_MALFORMED },
    { "CSM, marker without text", "10e1ff", "", NACRE_ERR_MALFORMED },
    { "CSM with a text", "20e1ff41", NULL, NACRE_OK },
    { "CSM with a token", "01e105", NULL, NACRE_OK },
    { "Ping, critical option", "00e1 10e210", "", NACRE_ERR_CRITICAL_OPTION },
    { "Ping, elective option", "00e1 10e240", NULL, NACRE_OK },
    { "Pong, critical option", "00e1 10e330", "", NACRE_ERR_CRITICAL_OPTION },
    { "Release, critical option", "00e1 10e430", "", NACRE_ERR_CRITICAL_OPTION },
    { "unknown signal, any option", "00e1 10e610", NULL, NACRE_OK },
    { "unknown signal 7.31", "00e1 00ff", NULL, NACRE_OK },
    { "signal 7.00", "00e1 00e0", NULL, NACRE_OK },
    { "unknown signal, malformed", "00e1 10e621", "", NACRE_ERR_MALFORMED },
    /* RFC 8323 5.6: syntax */
    { "option cut off", "00e1 2001b261", "", NACRE_ERR_MALFORMED },
    { "option whole", "00e1 2001b161", NULL, NACRE_OK },
    { "marker without payload", "00e1 1001ff", "", NACRE_ERR_MALFORMED },
    { "marker with payload", "00e1 2001ff00", NULL, NACRE_OK },
    { "TKL 15", "00e1 0f01", "", NACRE_ERR_MALFORMED },
    { "reserved class 1", "00e1 0020", NULL, NACRE_OK },
    { "reserved class 6", "00e1 00c0", NULL, NACRE_OK },
    /* RFC 8974 2.2.1 */
    { "request, token of 9", "00e1 0901 010203040506070809", "", NACRE_ERR_MALFORMED },
    { "request, token of 8", "00e1 0801 0102030405060708", NULL, NACRE_OK },
    { "response, token of 9", "00e1 0945 010203040506070809", NULL, NACRE_OK },
    /* 1280 bytes as a datagram, announced by the header alone */
    { "body of 1277", "00e1 e003f001", "", NACRE_ERR_TOO_LONG },
    { "body of 1276", "00e1 e003ef01", NULL, NACRE_OK },
    { "token of 1, body of 1276", "00e1 e103ef01", "", NACRE_ERR_TOO_LONG },
    { "token of 1, body of 1275", "00e1 e103ee01", NULL, NACRE_OK },
    { "response, token of 1275", "00e1 0e4503ee", "", NACRE_ERR_TOO_LONG },
    { "response, token of 1274", "00e1 0e4503ed", NULL, NACRE_OK },
    { "body of 2^32 + 65804", "00e1 f0ffffffff", "", NACRE_ERR_TOO_LONG },
    { "CSM too large", "e003f0e1", "", NACRE_ERR_TOO_LONG },
};

static nacre_bytes abort_of(const char *options, nacre_bytes text)
{
    nacre_bytes body = test_join(test_hex(options), test_join(test_hex("ff"), text));
    uint8_t head[3] = { 0xd0, (uint8_t)(body.len - 13), NACRE_SIGNAL_ABORT };
    return test_join(test_copy(nacre_bytes_of(head, 3)), body);
}

static void protocol_errors_end_the_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        end *e = plain_end();
        nacre_stream_event event;
        (void)end_written(e);
        assert_true(end_give(e, test_hex(refused[i].hex)));
        bool any = false;
        while ((any = end_next(e, &event)) && event.kind == NACRE_STREAM_MESSAGE) {}
        if (refused[i].abort_options == NULL) {
            if (any || nacre_stream_is_closing(&e->s)) fail_msg("%s: ended", refused[i].name);
            continue;
        }
        if (!any || event.kind != NACRE_STREAM_ENDED || event.by_peer) fail_msg("%s: goes on", refused[i].name);
        assert_err_row(refused[i].name, event.err, refused[i].err);
        assert_true(event.bytes.len > 0);
        assert_false(nacre_stream_is_over(&e->s)); /* the Abort is written first */
        assert_bytes_row(refused[i].name, end_written(e), abort_of(refused[i].abort_options, event.bytes));
        assert_true(nacre_stream_is_over(&e->s));
        assert_err(nacre_stream_send(&e->s, datagram_of(NACRE_CON, 1, 1, 0), e->now), NACRE_ERR_UNREACHABLE);
        assert_err(nacre_stream_ping(&e->s, NACRE_ABSENT, false, e->now), NACRE_ERR_UNREACHABLE);
        assert_err(nacre_stream_release(&e->s, NACRE_ABSENT, 0, e->now), NACRE_ERR_UNREACHABLE);
        end_quiet(e);
        (void)test_release(NULL);
    }
}

/* RFC 8323 5.3.1, 5.6: the Abort and our user's error name the length and the announced limit. */
static void too_long_is_reported_with_both_lengths(void **state)
{
    (void)state;
    static const struct {
        nacre_stream_config config;
        const char *hex, *text;
    } rows[] = {
        { { 0 }, "00e1 e00600 45", "message of 1809 bytes, Max-Message-Size is 1278" },
        { { .block_wise = true }, "00e1 e00600 45", "message of 1809 bytes, Max-Message-Size is 1152" },
        { { .max_message = 64 }, "00e1 d834 02", "message of 76 bytes, Max-Message-Size is 62" },
        { { .max_message = 64 }, "00e1 f0ffffffff 02", "message of 4295033106 bytes, Max-Message-Size is 62" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (i == 3 && SIZE_MAX <= UINT32_MAX) continue;
        end *e = end_of(&rows[i].config);
        nacre_stream_event event;
        (void)end_written(e);
        assert_true(end_give(e, test_hex(rows[i].hex)));
        assert_true(end_next(e, &event));
        assert_int_equal(event.kind, NACRE_STREAM_ENDED);
        assert_err(event.err, NACRE_ERR_TOO_LONG);
        const nacre_bytes text = nacre_bytes_of((const uint8_t *)rows[i].text, strlen(rows[i].text));
        assert_bytes_row(rows[i].text, event.bytes, text);
        assert_bytes_row(rows[i].text, end_written(e), abort_of("", text));
        (void)test_release(NULL);
    }
}

/* ---- The peer's settings ----------------------------------------------------------------------------------------- */

static void settings_of_the_peer_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *name, *hex;
        nacre_stream_peer peer;
    } rows[] = {
        { "nothing said", "00e1", { true, false, 1152, 8 } },
        { "Max-Message-Size", "30e1 220800", { true, false, 2048, 8 } },
        { "leading zeros", "50e1 2400000800", { true, false, 2048, 8 } },
        { "largest", "50e1 24ffffffff", { true, false, UINT32_MAX, 8 } },
        { "twice: the first counts", "60e1 220800 021000", { true, false, 2048, 8 } }, /* RFC 7252 5.4.5 */
        { "cumulative", "30e1 220800 10e1 40", { true, true, 2048, 8 } },              /* RFC 8323 5.3 */
        { "replaced", "30e1 220800 20e1 2140", { true, false, 64, 8 } },
        { "tokens", "30e1 620100", { true, false, 1152, 256 } },
        { "tokens below 8 are ignored", "20e1 6107", { true, false, 1152, 8 } }, /* RFC 8974 2.2.1 */
        { "tokens above 65804 are 65804", "40e1 6301010d", { true, false, 1152, 65804 } },
        { "tokens of 65804", "40e1 6301010c", { true, false, 1152, 65804 } },
        { "all", "70e1 220800 20 220009", { true, true, 2048, 9 } },
    };
    end *before = plain_end();
    assert_false(nacre_stream_get_peer(&before->s).has_settings);
    assert_int_equal(nacre_stream_get_peer(&before->s).max_message, 1152);
    for (size_t i = 0; i < COUNT(rows); i++) {
        end *e = plain_end();
        assert_true(end_give(e, test_hex(rows[i].hex)));
        end_quiet(e);
        nacre_stream_peer peer = nacre_stream_get_peer(&e->s);
        if (peer.has_settings != rows[i].peer.has_settings || peer.block_wise != rows[i].peer.block_wise ||
            peer.max_message != rows[i].peer.max_message || peer.max_token != rows[i].peer.max_token)
            fail_msg("%s: %u %u", rows[i].name, (unsigned)peer.max_message, (unsigned)peer.max_token);
    }
}

/* RFC 8323 5.3.1: the size counts the whole message in the stream. RFC 8974 2.2.1: tokens of requests. */
static void limits_of_the_peer_are_kept(void **state)
{
    (void)state;
    static const struct {
        const char *csm;
        size_t token, body;
        uint8_t code;
        nacre_err err;
    } rows[] = {
        { "00e1", 8, 1140, NACRE_POST, NACRE_OK }, /* 4 of header, 8 of token: 1152 */
        { "00e1", 8, 1141, NACRE_POST, NACRE_ERR_TOO_LONG },
        { "00e1", 8, 1141, NACRE_CONTENT, NACRE_ERR_TOO_LONG },
        { "30e1 220481", 8, 1141, NACRE_POST, NACRE_OK }, /* 1153 */
        { "20e1 2120", 2, 25, NACRE_POST, NACRE_OK },     /* 32: 3 of header */
        { "20e1 2120", 2, 28, NACRE_POST, NACRE_ERR_TOO_LONG },
        { "10e1 20", 0, 0, NACRE_POST, NACRE_ERR_TOO_LONG }, /* 0 */
        { "20e1 2102", 0, 0, NACRE_POST, NACRE_OK },
        { "00e1", 9, 4, NACRE_POST, NACRE_ERR_TOO_LONG },
        { "00e1", 9, 4, NACRE_CONTENT, NACRE_OK },
        { "20e1 6109", 9, 4, NACRE_POST, NACRE_OK },
        { "30e1 220800", 8, 1268, NACRE_POST, NACRE_OK }, /* 1280 as a datagram: our limit */
        { "30e1 220800", 8, 1269, NACRE_POST, NACRE_ERR_TOO_LONG },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        end *e = plain_end();
        (void)end_written(e);
        assert_true(end_give(e, test_hex(rows[i].csm)));
        end_quiet(e);
        uint8_t *datagram = (uint8_t *)(uintptr_t)datagram_of(NACRE_NON, 1, rows[i].token, rows[i].body).ptr;
        size_t len = 4 + rows[i].token + rows[i].body;
        datagram[1] = rows[i].code;
        assert_err_row(rows[i].csm, nacre_stream_send(&e->s, nacre_bytes_of(datagram, len), e->now), rows[i].err);
        assert_int_equal(end_written(e).len == 0, rows[i].err != NACRE_OK);
    }
}

/* Message types that only datagrams have are accepted and not sent; a code that is neither request nor response is
 * refused. */
static void send_checks_type_and_code(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        nacre_err err;
        size_t sent;
    } rows[] = {
        { "60001234", NACRE_OK, 0 },
        { "70001234", NACRE_OK, 0 },
        { "40001234", NACRE_OK, 0 },
        { "40011234", NACRE_OK, 2 },
        { "60451234", NACRE_OK, 2 },
        { "40e11234", NACRE_ERR_BAD_ARGUMENT, 0 },
        { "40201234", NACRE_ERR_BAD_ARGUMENT, 0 },
        { "00011234", NACRE_ERR_MALFORMED, 0 },
        { "400112", NACRE_ERR_MALFORMED, 0 },
    };
    end *e = open_end();
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_err_row(rows[i].hex, nacre_stream_send(&e->s, test_hex(rows[i].hex), e->now), rows[i].err);
        assert_int_equal(end_written(e).len, rows[i].sent);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_length_form_is_read_and_written),
        TEST(examples_of_the_rfc_match),
        TEST(segmentation_does_not_matter),
        TEST(truncated_streams_give_complete_messages_only),
        TEST(the_csm_is_sent_first),
        TEST(init_refuses_invalid_configurations),
        TEST(protocol_errors_end_the_connection),
        TEST(too_long_is_reported_with_both_lengths),
        TEST(settings_of_the_peer_are_read),
        TEST(limits_of_the_peer_are_kept),
        TEST(send_checks_type_and_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
