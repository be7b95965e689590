/* SPDX-License-Identifier: MIT */
/* stream_signal_test: Ping and Pong, the ways a connection ends, its limits and its deadlines (RFC 8323 3.4, 5.4 to
 * 5.6). */
#include "stream_end.h"

enum { MS_CSM = 10000, MS_STALL = 30000, MS_CLOSE = 10000 };

/* ---- Ping and Pong ----------------------------------------------------------------------------------------------- */

/* RFC 8323 5.4.1: the Pong with Custody waits until everything received before the Ping is processed. */
static void a_pong_with_custody_waits(void **state)
{
    (void)state;
    end *e = open_end();
    nacre_stream_event event;
    assert_true(end_give(e, test_hex("0001 10e220 01e242")));
    assert_true(end_next(e, &event));
    end_quiet(e);
    assert_int_equal(nacre_stream_output(&e->s).len, 0);
    nacre_stream_processed(&e->s);
    end_quiet(e);
    assert_bytes(end_written(e), test_hex("10e320 01e342"));
    /* without Custody it is sent at once, and also with nothing to wait for */
    assert_true(end_give(e, test_hex("0001 00e2")));
    assert_true(end_next(e, &event));
    end_quiet(e);
    assert_bytes(end_written(e), test_hex("00e3"));
    nacre_stream_processed(&e->s);
    assert_true(end_give(e, test_hex("10e220 20e22100"))); /* and a Custody option with a value is ignored */
    end_quiet(e);
    assert_bytes(end_written(e), test_hex("10e320 00e3"));
}

static void pings_are_sent_and_pongs_reported(void **state)
{
    (void)state;
    end *e = open_end();
    nacre_stream_event event;
    assert_ok(nacre_stream_ping(&e->s, test_hex("0102"), true, e->now));
    assert_bytes(end_written(e), test_hex("12e2010220"));
    assert_ok(nacre_stream_ping(&e->s, NACRE_ABSENT, false, e->now));
    assert_bytes(end_written(e), test_hex("00e2"));
    assert_err(nacre_stream_ping(&e->s, test_fill(1, 9), false, e->now), NACRE_ERR_TOO_LONG);
    assert_true(end_give(e, test_hex("12e3010220 00e3")));
    assert_true(end_next(e, &event));
    assert_int_equal(event.kind, NACRE_STREAM_PONG);
    assert_bytes(event.bytes, test_hex("0102"));
    assert_true(event.custody);
    assert_true(end_next(e, &event));
    assert_int_equal(event.bytes.len, 0);
    assert_false(event.custody);
}

/* ---- Release and Abort ------------------------------------------------------------------------------------------- */

static void a_release_of_the_peer_ends_the_connection(void **state)
{
    (void)state;
    end *e = open_end();
    nacre_stream_event event;
    assert_true(end_give(e, test_hex("0001 d00ee4 23613a31 03623a32 210a ff 62757379 2d6e6f77 2d6f6b 2121212121")));
    assert_true(end_next(e, &event));
    assert_int_equal(event.kind, NACRE_STREAM_MESSAGE);
    assert_true(end_next(e, &event));
    assert_int_equal(event.kind, NACRE_STREAM_RELEASED);
    assert_int_equal(event.hold_off_s, 10);
    assert_bytes(event.bytes, NACRE_STR("busy-now-ok!!!!!"));
    static const char *const addresses[] = { "a:1", "b:2" };
    size_t num = 0;
    nacre_option option;
    for (nacre_option_iter it = nacre_option_begin(event.alternatives); nacre_option_next(&it, &option);)
        if (option.number == NACRE_RELEASE_ALTERNATIVE_ADDRESS) {
            assert_true(num < 2);
            assert_memory_equal(option.value.ptr, addresses[num++], 3);
        }
    assert_int_equal(num, 2);
    /* RFC 8323 5.5: open requests get their responses first, and no new ones are sent. */
    end_quiet(e);
    assert_true(nacre_stream_is_closing(&e->s));
    assert_err(nacre_stream_send(&e->s, test_hex("40011234"), e->now), NACRE_ERR_UNREACHABLE);
    assert_ok(nacre_stream_send(&e->s, test_hex("40451234"), e->now));
    assert_true(end_next(e, &event));
    assert_int_equal(event.kind, NACRE_STREAM_ENDED);
    assert_ok(event.err);
    assert_false(nacre_stream_is_over(&e->s));
    assert_bytes(end_written(e), test_hex("0045"));
    assert_true(nacre_stream_is_over(&e->s));
}

static void open_requests_get_responses_after_a_release(void **state)
{
    (void)state;
    for (int responded = 0; responded < 2; responded++) {
        end *e = open_end();
        nacre_stream_event event;
        assert_ok(nacre_stream_send(&e->s, test_hex("4101123455"), e->now));
        (void)end_written(e);
        assert_true(end_give(e, test_hex("00e4")));
        assert_true(end_next(e, &event));
        assert_int_equal(event.kind, NACRE_STREAM_RELEASED);
        end_quiet(e);
        if (responded) {
            assert_true(end_give(e, test_hex("014555")));
            assert_true(end_next(e, &event));
            assert_int_equal(event.kind, NACRE_STREAM_MESSAGE);
        } else { /* with a deadline */
            assert_int_equal(nacre_stream_deadline(&e->s), e->now + MS_CLOSE);
            e->now += MS_CLOSE;
            nacre_stream_expire(&e->s, e->now);
        }
        assert_true(end_next(e, &event));
        assert_int_equal(event.kind, NACRE_STREAM_ENDED);
        assert_err(event.err, responded ? NACRE_OK : NACRE_ERR_UNREACHABLE);
    }
}

static void our_release_ends_the_connection(void **state)
{
    (void)state;
    end *e = open_end();
    nacre_stream_event event;
    assert_err(nacre_stream_release(&e->s, test_fill('a', 256), 0, e->now), NACRE_ERR_TOO_LONG);
    assert_err(nacre_stream_release(&e->s, NACRE_ABSENT, 1 << 24, e->now), NACRE_ERR_TOO_LONG);
    assert_false(nacre_stream_is_closing(&e->s));
    assert_ok(nacre_stream_release(&e->s, NACRE_STR("a:1"), 600, e->now));
    assert_bytes(end_written(e), test_hex("70e4 23613a31 220258"));
    assert_ok(nacre_stream_release(&e->s, NACRE_ABSENT, 0, e->now));
    assert_int_equal(end_written(e).len, 0);
    assert_true(end_give(e, test_hex("0001"))); /* the peer's further requests are served */
    assert_true(end_next(e, &event));
    assert_ok(nacre_stream_send(&e->s, test_hex("40451234"), e->now));
    end_quiet(e);
    nacre_stream_finished(&e->s, e->now);
    assert_true(end_next(e, &event));
    assert_int_equal(event.kind, NACRE_STREAM_ENDED);
    assert_ok(event.err);
}

/* RFC 8323 5.6 */
static void an_abort_of_the_peer_ends_the_connection(void **state)
{
    (void)state;
    end *e = open_end();
    nacre_stream_event event;
    assert_ok(nacre_stream_send(&e->s, test_hex("40011234"), e->now));
    assert_true(end_give(e, test_hex("60e5 2108 ff 6e6f21 0001")));
    assert_true(end_next(e, &event));
    assert_int_equal(event.kind, NACRE_STREAM_ENDED);
    assert_err(event.err, NACRE_ERR_RESET);
    assert_true(event.by_peer);
    assert_int_equal(event.bad_csm_option, 8);
    assert_bytes(event.bytes, NACRE_STR("no!"));
    assert_true(nacre_stream_is_over(&e->s)); /* nothing more is written or read */
    end_quiet(e);
    assert_int_equal(nacre_stream_input(&e->s).cap, 0);
}

static void our_abort_ends_the_connection(void **state)
{
    (void)state;
    end *e = open_end();
    nacre_stream_event event;
    char text[80];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    nacre_stream_abort(&e->s, text, e->now);
    assert_true(end_next(e, &event));
    assert_err(event.err, NACRE_ERR_STALE);
    assert_bytes(end_written(e), test_join(test_hex("d034e5ff"), test_fill('x', 64)));
    nacre_stream_abort(&e->s, text, e->now); /* once */
    assert_int_equal(end_written(e).len, 0);
    e = open_end();
    nacre_stream_abort(&e->s, "", e->now);
    assert_bytes(end_written(e), test_hex("00e5"));
}

/* ---- The peer closes --------------------------------------------------------------------------------------------- */

static void half_closed_peers_get_their_responses(void **state)
{
    (void)state;
    end *e = open_end();
    nacre_stream_event event;
    assert_true(end_give(e, test_hex("0001 0001 4001b1"))); /* the third one is incomplete */
    nacre_stream_finished(&e->s, e->now);
    assert_true(end_next(e, &event) && end_next(e, &event));
    end_quiet(e);
    assert_ok(nacre_stream_send(&e->s, test_hex("40451234"), e->now));
    end_quiet(e);
    assert_ok(nacre_stream_send(&e->s, test_hex("40451234"), e->now));
    assert_true(end_next(e, &event));
    assert_int_equal(event.kind, NACRE_STREAM_ENDED);
    assert_ok(event.err);
    assert_bytes(end_written(e), test_hex("0045 0045"));
    assert_true(nacre_stream_is_over(&e->s));
}

static void a_peer_that_closes_early_fails_our_requests(void **state)
{
    (void)state;
    end *e = open_end();
    nacre_stream_event event;
    assert_ok(nacre_stream_send(&e->s, test_hex("40011234"), e->now));
    nacre_stream_finished(&e->s, e->now);
    assert_true(end_next(e, &event));
    assert_err(event.err, NACRE_ERR_UNREACHABLE);
    e = open_end();
    nacre_stream_finished(&e->s, e->now);
    assert_true(end_next(e, &event));
    assert_ok(event.err);
}

/* ---- Limits ------------------------------------------------------------------------------------------------------ */

/* From a peer that does not read, no more messages are taken than can be responded to; an Abort always fits. */
static void unread_responses_stop_requests(void **state)
{
    (void)state;
    end *e = end_with(&(nacre_stream_config){ 0 }, 0);
    nacre_stream_event event;
    nacre_bytes response = datagram_of(NACRE_NON, 1, 8, 1140);
    (void)end_written(e);
    assert_true(end_give(e, test_hex("00e1")));
    ((uint8_t *)(uintptr_t)response.ptr)[1] = NACRE_CONTENT;
    assert_true(end_give(e, test_hex("0001 0001 00e2")));
    assert_true(end_next(e, &event));
    end_quiet(e); /* one response fits */
    assert_ok(nacre_stream_send(&e->s, response, e->now));
    nacre_stream_processed(&e->s);
    end_quiet(e);
    assert_err(nacre_stream_send(&e->s, response, e->now), NACRE_ERR_BUFFER_TOO_SMALL);
    nacre_stream_sent(&e->s, 1, e->now);
    end_quiet(e);
    (void)end_written(e);
    assert_true(end_next(e, &event));
    nacre_stream_processed(&e->s);
    assert_ok(nacre_stream_send(&e->s, response, e->now));
    end_quiet(e);
    assert_int_equal(nacre_stream_output(&e->s).len, 1152);
    while (nacre_stream_ping(&e->s, NACRE_ABSENT, false, e->now) == NACRE_OK) {}
    nacre_stream_abort(&e->s, "enough", e->now);
    nacre_bytes out = end_written(e);
    assert_bytes(nacre_bytes_of(out.ptr + out.len - 9, 9), test_hex("70e5ff656e6f756768"));
}

/* Whatever the peer sends while nothing is processed, no more than the buffer's size is kept. */
static void input_is_bounded(void **state)
{
    (void)state;
    end *e = open_end();
    nacre_bytes requests = test_fill(0x01, 4096); /* in every two bytes: a request with a token of one, 3 bytes; any */
    assert_false(end_give(e, requests));
    assert_int_equal(nacre_stream_input(&e->s).cap, 0);
    assert_false(end_give(e, requests));
}

/* ---- Time -------------------------------------------------------------------------------------------------------- */

typedef enum situation { NO_CSM, HALF_A_MESSAGE, BLOCKED_OUTPUT, SILENT, IDLE, RELEASED_BY_US } situation;

static end *in_situation(situation which)
{
    nacre_stream_config config = { .ping_after_ms = which == SILENT ? 60000 : 0, .idle_ms = which == IDLE ? 60000 : 0 };
    end *e = end_of(&config);
    if (which == NO_CSM) {
        (void)end_written(e);
        return e;
    }
    assert_true(end_give(e, test_hex("00e1")));
    end_quiet(e);
    if (which == BLOCKED_OUTPUT) return e;
    (void)end_written(e);
    if (which == HALF_A_MESSAGE) {
        assert_true(end_give(e, test_hex("40")));
        end_quiet(e);
    }
    if (which == RELEASED_BY_US) {
        assert_ok(nacre_stream_release(&e->s, NACRE_ABSENT, 0, e->now));
        (void)end_written(e);
    }
    return e;
}

static void each_situation_has_its_deadline(void **state)
{
    (void)state;
    static const struct {
        situation which;
        uint64_t after;
        const char *out; /* a prefix of the output */
        bool ends;
        nacre_err err;
    } rows[] = {
        { NO_CSM, MS_CSM, "d007e5ff", true, NACRE_ERR_TIMEOUT },
        { HALF_A_MESSAGE, MS_STALL, "d0", true, NACRE_ERR_TIMEOUT },
        { BLOCKED_OUTPUT, MS_STALL, "", true, NACRE_ERR_TIMEOUT },
        { SILENT, 60000, "00e2", false, NACRE_OK },
        { IDLE, 60000, "00e4", false, NACRE_OK },
        { RELEASED_BY_US, MS_CLOSE, "", true, NACRE_OK },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        end *e = in_situation(rows[i].which);
        nacre_stream_event event;
        nacre_bytes out = test_hex(rows[i].out);
        assert_int_equal(nacre_stream_deadline(&e->s), e->now + rows[i].after);
        e->now += rows[i].after - 1;
        nacre_stream_expire(&e->s, e->now);
        end_quiet(e);
        e->now++;
        nacre_stream_expire(&e->s, e->now);
        assert_int_equal(end_next(e, &event), rows[i].ends);
        if (rows[i].ends) assert_err(event.err, rows[i].err);
        nacre_bytes got = end_written(e);
        assert_true(got.len >= out.len);
        assert_bytes(nacre_bytes_of(got.ptr, out.len), out);
        assert_int_equal(nacre_stream_is_over(&e->s), rows[i].ends);
        (void)test_release(NULL);
    }
    end *e = open_end();
    assert_true(nacre_stream_deadline(&e->s) == UINT64_MAX);
}

/* The deadline of a message starts with its first byte, so sending it in small pieces gains no time. */
static void small_pieces_do_not_extend_the_deadline(void **state)
{
    (void)state;
    end *e = open_end();
    nacre_stream_event event;
    uint64_t start = e->now;
    assert_true(end_give(e, test_hex("c001")));
    for (int i = 0; i < 11; i++) {
        e->now = start + (uint64_t)i * 2000;
        assert_true(end_give(e, test_hex("10")));
        end_quiet(e);
    }
    assert_int_equal(nacre_stream_deadline(&e->s), start + MS_STALL);
    assert_true(end_give(e, test_hex("10 40")));
    assert_true(end_next(e, &event));
    assert_int_equal(event.kind, NACRE_STREAM_MESSAGE);
    assert_int_equal(nacre_stream_deadline(&e->s), e->now + MS_STALL); /* the next one has begun */
}

static void a_ping_without_a_pong_ends_the_connection(void **state)
{
    (void)state;
    for (int responded = 0; responded < 2; responded++) {
        end *e = in_situation(SILENT);
        nacre_stream_event event;
        e->now += 60000;
        nacre_stream_expire(&e->s, e->now);
        (void)end_written(e);
        e->now += MS_STALL - 1;
        if (responded) {
            assert_true(end_give(e, test_hex("00e3")));
            assert_true(end_next(e, &event));
        }
        e->now++;
        nacre_stream_expire(&e->s, e->now);
        assert_int_equal(end_next(e, &event), !responded);
        if (!responded) assert_err(event.err, NACRE_ERR_TIMEOUT);
    }
}

/* Two deadlines that are due at once are both handled. */
static void two_deadlines_at_once_are_both_handled(void **state)
{
    (void)state;
    end *e = end_of(&(nacre_stream_config){ .ping_after_ms = 60000, .idle_ms = 50000 });
    assert_true(end_give(e, test_hex("00e1")));
    end_quiet(e);
    (void)end_written(e);
    e->now += 60000;
    nacre_stream_expire(&e->s, e->now);
    assert_bytes(end_written(e), test_hex("00e2 00e4"));
    assert_true(nacre_stream_deadline(&e->s) > e->now);
}

/* A connection with an open request is not idle. */
static void a_connection_with_an_open_request_is_not_idle(void **state)
{
    (void)state;
    end *e = in_situation(IDLE);
    nacre_stream_event event;
    assert_ok(nacre_stream_send(&e->s, test_hex("40011234"), e->now));
    (void)end_written(e);
    assert_true(nacre_stream_deadline(&e->s) == UINT64_MAX);
    e->now += 5000;
    assert_true(end_give(e, test_hex("0045")));
    assert_true(end_next(e, &event));
    assert_int_equal(nacre_stream_deadline(&e->s), e->now + 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pong_with_custody_waits),
        TEST(pings_are_sent_and_pongs_reported),
        TEST(a_release_of_the_peer_ends_the_connection),
        TEST(open_requests_get_responses_after_a_release),
        TEST(our_release_ends_the_connection),
        TEST(an_abort_of_the_peer_ends_the_connection),
        TEST(our_abort_ends_the_connection),
        TEST(half_closed_peers_get_their_responses),
        TEST(a_peer_that_closes_early_fails_our_requests),
        TEST(unread_responses_stop_requests),
        TEST(input_is_bounded),
        TEST(each_situation_has_its_deadline),
        TEST(small_pieces_do_not_extend_the_deadline),
        TEST(a_ping_without_a_pong_ends_the_connection),
        TEST(two_deadlines_at_once_are_both_handled),
        TEST(a_connection_with_an_open_request_is_not_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
