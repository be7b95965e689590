/* SPDX-License-Identifier: MIT */
/* extended_token_test: requests with tokens of any length that fits a datagram are served (RFC 8974). */
#include "../scenario/raw.h"

static pair world;
static uint8_t long_token[MAX_DATAGRAM];

static raw open_raw(bool is_protected, size_t token_len)
{
    pair_open(&world, &(nacre_endpoint_config){ .observe.num_observers = 1 }, &(pairing){ 0 });
    raw r = raw_open(&world, is_protected ? world.ours : NULL);
    for (size_t i = 0; i < sizeof long_token; i++) long_token[i] = (uint8_t)(i * 7);
    r.token = nacre_bytes_of(long_token, token_len);
    return r;
}

static void expect_response(raw *r, const char *text)
{
    datagram d;
    assert_true(nacre_bytes_equal(raw_take(r, &d, 100).token, r->token));
    assert_payload(raw_read(r, &d), text);
}

/* Every kind of response returns the whole token: piggybacked, separate, notification. */
static void tokens_of_every_length_are_returned(void **state)
{
    (void)state;
    static const size_t lengths[] = { 0, 1, 8, 9, 12, 13, 14, 100, 200, 268, 269, 270, 300, 1000, 1200 };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int how = 0; how < 4; how++) {
            raw r = open_raw(how & 1, lengths[i]);
            const nacre_event event = raw_requested(&r, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0);
            if (how & 2) {
                assert_int_equal(nacre_endpoint_defer_response(world.server.ep, event.exchange), NACRE_OK);
                nacre_endpoint_expire(world.server.ep, 100);
                raw_expect_empty(&r, NACRE_ACK, r.mid, 100);
            }
            respond_text(&world.server, event.exchange, "x");
            expect_response(&r, "x");
            pair_close(&world);
        }
}

/* An observer stores its token; a registration with a longer one gets a response without Observe. */
static void observer_needs_a_token_that_fits(void **state)
{
    (void)state;
    static const size_t lengths[] = { 13, 200, 250, 251, 1000 }; /* observer_bytes: 256 */
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const bool fits = lengths[i] <= 250;
        raw r = open_raw(true, lengths[i]);
        nacre_observer observer;
        const nacre_event event = raw_requested(&r, NACRE_CON, NACRE_GET, raw_options(0, NULL, -1), 0);
        assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, event.exchange, NULL),
                         fits ? NACRE_OK : NACRE_ERR_TOO_LONG);
        respond_text(&world.server, event.exchange, "one");
        expect_response(&r, "one");
        if (fits) {
            nacre_endpoint_changed(world.server.ep, observer);
            (void)expect_event(&world.server, NACRE_EVENT_NOTIFY);
            respond_text(&world.server, notification_of(observer), "two");
            datagram d;
            const nacre_message m = raw_take(&r, &d, 100); /* no more than three times the registration */
            assert_true(nacre_bytes_equal(m.token, r.token));
            assert_payload(raw_read(&r, &d), "two");
        }
        pair_close(&world);
    }
}

/* RFC 8974 2.2.2: never a RST. Where the token leaves too few bytes for the response, the application shortens it, and
 * the shortest always fits. */
static void a_long_token_leaves_fewer_bytes_for_the_response(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++)
        for (uint8_t type = NACRE_CON; type <= NACRE_NON; type++) {
            raw r = open_raw(is_protected, is_protected ? 1280 - 6 - 15 : 1280 - 6);
            datagram d;
            const nacre_event event = raw_requested(&r, type, NACRE_GET, NACRE_ABSENT, 0);
            const nacre_message text = { .code = NACRE_CONTENT, .payload = NACRE_STR("does not fit any more") };
            const nacre_message refusal = { .code = NACRE_BAD_REQUEST };
            assert_int_equal(nacre_endpoint_respond(world.server.ep, event.exchange, &text), NACRE_ERR_TOO_LONG);
            assert_int_equal(nacre_endpoint_respond(world.server.ep, event.exchange, &refusal), NACRE_OK);
            assert_true(nacre_bytes_equal(raw_take(&r, &d, 0).token, r.token));
            assert_int_equal(raw_read(&r, &d).code, NACRE_BAD_REQUEST);
            pair_close(&world);
        }
}

/* An error response carries the whole token, without its diagnostic if needed, also for a request one byte too long for
 * a datagram; RST where the token alone does not fit. */
static void refusal_carries_the_whole_token(void **state)
{
    (void)state;
    static const size_t token_lens[] = { 1270, 1271, 1276 };
    static const uint8_t codes[] = { NACRE_BAD_OPTION, NACRE_TOO_LARGE, NACRE_EMPTY };
    for (size_t i = 0; i < 3; i++) {
        raw r = open_raw(true, 1000);
        static uint8_t bytes[1290];
        datagram d;
        nacre_bytes out;
        static const uint8_t garbage[] = { 0x91, 0xe0, 0xff, 0 }; /* an OSCORE option that does not decode */
        const nacre_message m = { .mid = 5,
                                  .code = NACRE_POST,
                                  .token = { long_token, token_lens[i] },
                                  .options = { garbage, 2 },
                                  .payload = { garbage + 3, 1 } };
        assert_int_equal(nacre_message_write(&m, &out, NACRE_BUF(bytes)), NACRE_OK);
        assert_int_equal(out.len, 1280 + token_lens[i] - 1270);
        const nacre_datagram in = { .peer = r.address, .bytes = out };
        assert_int_equal(nacre_endpoint_receive_many(world.server.ep, &in, 1, 0), 1);
        assert_true(party_take(&world.server, &d, 0));
        const nacre_message response = datagram_message(&d);
        assert_int_equal(response.type, codes[i] == NACRE_EMPTY ? NACRE_RST : NACRE_ACK);
        assert_int_equal(response.code, codes[i]);
        if (codes[i] != NACRE_EMPTY) assert_true(nacre_bytes_equal(response.token, m.token));
        pair_close(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_of_every_length_are_returned),
        cmocka_unit_test(observer_needs_a_token_that_fits),
        cmocka_unit_test(a_long_token_leaves_fewer_bytes_for_the_response),
        cmocka_unit_test(refusal_carries_the_whole_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
