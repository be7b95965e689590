/* SPDX-License-Identifier: MIT */
/* no_response_test: responses that the client is not interested in are not sent (RFC 7967). */
#include "../scenario/raw.h"

static pair world;

/* RFC 7967 2.1: each bit suppresses one class, and no other; an ACK is still sent, and duplicates get it again. */
static void each_bit_suppresses_one_response_class(void **state)
{
    (void)state;
    const struct {
        int value; /* below 0: no option */
        uint8_t code;
        bool silent;
    } rows[] = {
        { -1, NACRE_CHANGED, false },       { -1, NACRE_SERVER_ERROR, false }, { 0, NACRE_CHANGED, false },
        { 0, NACRE_BAD_REQUEST, false },    { 2, NACRE_CHANGED, true },        { 2, NACRE_CONTENT, true },
        { 2, NACRE_BAD_REQUEST, false },    { 2, NACRE_SERVER_ERROR, false },  { 8, NACRE_BAD_REQUEST, true },
        { 8, NACRE_CHANGED, false },        { 8, NACRE_SERVER_ERROR, false },  { 16, NACRE_SERVER_ERROR, true },
        { 16, NACRE_CHANGED, false },       { 16, NACRE_BAD_REQUEST, false },  { 26, NACRE_CHANGED, true },
        { 26, NACRE_BAD_REQUEST, true },    { 26, NACRE_SERVER_ERROR, true },  { 4, NACRE_CHANGED, false },
        { 0xe5, NACRE_BAD_REQUEST, false }, { 256, NACRE_CHANGED, false }, /* too long: as if absent */
        { 0x102, NACRE_CHANGED, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int how = 0; how < 4; how++) {
            const uint8_t type = how & 1 ? NACRE_NON : NACRE_CON;
            pair_open(&world, NULL, &(pairing){ 0 });
            raw r = raw_open(&world, how & 2 ? world.ours : NULL);
            datagram d, request;
            raw_request(&r, &request, type, NACRE_POST, raw_options(-1, "x", rows[i].value), 0);
            const nacre_event event = expect_event(&world.server, NACRE_EVENT_REQUEST);
            const nacre_message response = { .code = rows[i].code };
            assert_int_equal(nacre_endpoint_respond(world.server.ep, event.exchange, &response), NACRE_OK);
            assert_int_equal(nacre_endpoint_respond(world.server.ep, event.exchange, &response), NACRE_ERR_STALE);
            for (int again = 0; again < 2; again++) {
                if (!rows[i].silent && (type == NACRE_CON || !again)) {
                    (void)raw_take(&r, &d, 0);
                    assert_int_equal(raw_read(&r, &d).code, rows[i].code);
                } else if (type == NACRE_CON) {
                    raw_expect_empty(&r, NACRE_ACK, r.mid, 0);
                }
                expect_quiet(&world.server, 0);
                raw_give(&r, &request, 0);
            }
            pair_close(&world);
        }
}

/* RFC 8613 4.1.3.6: only the inner option counts. */
static void an_outer_option_is_ignored(void **state)
{
    (void)state;
    for (int outside = 0; outside < 2; outside++) {
        pair_open(&world, NULL, &(pairing){ 0 });
        raw r = raw_open(&world, world.ours);
        datagram d;
        const nacre_message plain = {
            .code = NACRE_POST, .mid = 1, .token = r.token, .options = raw_options(-1, NULL, outside ? -1 : 26)
        };
        uint8_t memory[MAX_DATAGRAM], options_memory[256];
        nacre_bytes out;
        assert_int_equal(nacre_protect_request(r.ctx, &r.crypto, &r.id, &out, NACRE_BUF(memory), &plain, NULL),
                         NACRE_OK);
        nacre_message outer;
        assert_int_equal(nacre_message_parse(&outer, out), NACRE_OK);
        nacre_options options;
        nacre_options_init(&options, NACRE_BUF(options_memory));
        nacre_options_add(&options, NACRE_OPT_OSCORE, nacre_option_find(outer.options, NACRE_OPT_OSCORE));
        if (outside) nacre_options_add_uint(&options, NACRE_OPT_NO_RESPONSE, 26);
        assert_int_equal(nacre_options_finish(&options, &outer.options), NACRE_OK);
        datagram_write(&d, &outer);
        raw_give(&r, &d, 0);
        respond_text(&world.server, expect_event(&world.server, NACRE_EVENT_REQUEST).exchange, "x");
        assert_int_equal(raw_take(&r, &d, 0).code, outside ? NACRE_CHANGED : NACRE_EMPTY);
        pair_close(&world);
    }
}

/* A suppressed separate response sends nothing after the ACK, and its transmission is freed. */
static void suppressed_deferred_response_frees_its_transmission(void **state)
{
    (void)state;
    for (int acked = 0; acked < 2; acked++) {
        pair_open(&world, &(nacre_endpoint_config){ .num_transmissions = 1 }, &(pairing){ 0 });
        raw r = raw_open(&world, world.ours);
        for (int round = 0; round < 3; round++) {
            const nacre_event event = raw_requested(&r, NACRE_CON, NACRE_POST, raw_options(-1, NULL, 26), 0);
            assert_int_equal(nacre_endpoint_defer_response(world.server.ep, event.exchange), NACRE_OK);
            if (acked) nacre_endpoint_expire(world.server.ep, 100);
            respond_text(&world.server, event.exchange, "x");
            raw_expect_empty(&r, NACRE_ACK, r.mid, 100);
            expect_quiet(&world.server, 100);
            assert_true(nacre_endpoint_deadline(world.server.ep) == UINT64_MAX);
        }
        pair_close(&world);
    }
}

/* A registration always gets a response, because its client waits to learn whether it succeeded. */
static void a_registration_always_gets_a_response(void **state)
{
    (void)state;
    for (int taken = 0; taken < 2; taken++) {
        pair_open(&world, &(nacre_endpoint_config){ .observe.num_observers = 1 }, &(pairing){ 0 });
        raw r = raw_open(&world, world.ours);
        datagram d;
        nacre_observer observer;
        const nacre_event event = raw_requested(&r, NACRE_CON, NACRE_GET, raw_options(0, NULL, 26), 0);
        if (taken) assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, event.exchange, NULL), NACRE_OK);
        respond_text(&world.server, event.exchange, "x");
        assert_int_equal(raw_take(&r, &d, 0).code, taken ? NACRE_CONTENT : NACRE_EMPTY);
        pair_close(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bit_suppresses_one_response_class),
        cmocka_unit_test(an_outer_option_is_ignored),
        cmocka_unit_test(suppressed_deferred_response_frees_its_transmission),
        cmocka_unit_test(a_registration_always_gets_a_response),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
