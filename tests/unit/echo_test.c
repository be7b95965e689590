/* SPDX-License-Identifier: MIT */
/* echo_test: a server that lost its replay window requires an Echo (RFC 8613 B.1.2). The code is in unprotect.c and
 * protect.c. */
#include "support.h"

static const char ECHO_VALUE[] = "4368747563686b61";

static nacre_context *server_that_forgot(int vector, const char *echo)
{
    nacre_context_params params = test_params(vector, TEST_SERVER);
    params.echo = test_hex(echo);
    params.next_seq = 100;
    nacre_context *ctx = test_context(&params);
    assert_ok(nacre_context_set_replay(ctx, false, 0, NULL, 0));
    return ctx;
}

static nacre_message request_with_echo(const char *echo)
{
    nacre_bytes options = echo ? test_options(3, "68", 11, "61", 252, echo, 0) : test_options(3, "68", 11, "61", 0);
    return test_request(NACRE_PUT, options, test_hex("aabb"));
}

/* The server must challenge the request; returns the protected 4.01. */
static nacre_bytes challenge_for(nacre_context *server, nacre_bytes request, nacre_request_id *id)
{
    nacre_message outer = test_parse(request), plain, plain_before;
    memset(&plain, 0x77, sizeof plain), memcpy(&plain_before, &plain, sizeof plain);
    nacre_buf buf = test_buf(request.len);
    const nacre_context *before = test_snapshot(server);
    assert_err(nacre_unprotect_request(server, test_crypto(), id, &plain, buf, &outer), NACRE_ERR_REPLAY_ECHO);
    assert_true(test_same(before, server));
    assert_true(test_buf_is_clean(buf)); /* not delivered to the application */
    assert_memory_equal(&plain, &plain_before, sizeof plain);
    nacre_bytes out;
    buf = test_buf(100);
    nacre_message response = test_response(NACRE_UNAUTHORIZED, NACRE_ABSENT, NACRE_ABSENT);
    nacre_protect_options reuse = { .nonce = NACRE_NONCE_REQUEST }; /* RFC 8613 8.3: no right to the request's nonce */
    assert_err(nacre_protect_response(server, test_crypto(), id, &out, buf, &response, &reuse), NACRE_ERR_NONCE_USED);
    outer.type = NACRE_ACK;
    assert_ok(nacre_protect_echo(server, test_crypto(), id, &out, buf, &outer));
    return test_copy(out);
}

static nacre_oscore_option option_of(nacre_bytes datagram)
{
    nacre_message m = test_parse(datagram);
    nacre_oscore_option opt;
    assert_ok(nacre_verify_start(&opt, &m));
    return opt;
}

/* RFC 8613 B.1.2, complete: 4.01 with Echo only and its own Partial IV; then the request with Echo, whose Partial IV
 * becomes the lower edge; and a response with its own Partial IV. */
static void a_verified_echo_recovers_the_window(void **state)
{
    (void)state;
    for (int vector = 1; vector <= 3; vector++) {
        nacre_context_params params = test_params(vector, TEST_CLIENT);
        params.next_seq = 50;
        nacre_context *client = test_context(&params), *server = server_that_forgot(vector, ECHO_VALUE);
        nacre_message m = request_with_echo(NULL);
        nacre_request_id at_client, at_server;
        nacre_bytes first = test_protect_request(client, &at_client, &m);
        nacre_bytes challenge = challenge_for(server, first, &at_server);
        assert_int_equal(test_parse(challenge).code, NACRE_CHANGED);
        assert_bytes(option_of(challenge).partial_iv, test_hex("64"));
        assert_int_equal(nacre_context_next_seq(server), 101);

        nacre_message challenged = test_unprotect_response(client, &at_client, NULL, challenge);
        assert_int_equal(challenged.code, NACRE_UNAUTHORIZED);
        assert_bytes(challenged.options, test_options(252, ECHO_VALUE, 0));
        assert_int_equal(challenged.payload.len, 0);
        assert_bytes(challenged.token, m.token);
        assert_int_equal(challenged.mid, m.mid);

        m = request_with_echo(ECHO_VALUE);
        nacre_bytes second = test_protect_request(client, &at_client, &m);
        nacre_message got = test_unprotect_request(server, &at_server, second);
        assert_bytes(test_datagram(&got), test_datagram(&m));
        for (uint64_t seq = 0; seq <= 51; seq++)
            assert_err(nacre_replay_check(nacre_context_replay(server), seq), NACRE_ERR_REPLAY);
        assert_ok(nacre_replay_check(nacre_context_replay(server), 52));

        nacre_message response = test_response(NACRE_CHANGED, NACRE_ABSENT, test_hex("01"));
        nacre_protect_options reuse = { .nonce = NACRE_NONCE_REQUEST };
        nacre_bytes out;
        assert_err(nacre_protect_response(server, test_crypto(), &at_server, &out, test_buf(100), &response, &reuse),
                   NACRE_ERR_NONCE_USED);
        nacre_bytes protected = test_protect_response(server, &at_server, &response, NULL);
        assert_bytes(option_of(protected).partial_iv, test_hex("65"));
        assert_bytes(test_unprotect_response(client, &at_client, NULL, protected).payload, response.payload);

        m = request_with_echo(NULL); /* afterwards no Echo is needed */
        nacre_bytes third = test_protect_request(client, &at_client, &m);
        (void)test_unprotect_request(server, &at_server, third);
        nacre_bytes old[] = { first, second, third };
        for (size_t i = 0; i < COUNT(old); i++) {
            nacre_message outer = test_parse(old[i]), plain;
            assert_err(nacre_unprotect_request(server, test_crypto(), &at_server, &plain, test_buf(old[i].len), &outer),
                       NACRE_ERR_REPLAY);
        }
        assert_bytes(option_of(test_protect_response(server, &at_server, &response, NULL)).partial_iv, NACRE_ABSENT);
    }
}

/* Without Echo, or with a wrong, shorter or longer one, the request is challenged again and nothing changes; the right
 * one is accepted. */
static void a_wrong_echo_is_challenged_and_the_right_one_accepted(void **state)
{
    (void)state;
    nacre_context *client = test_context_of(1, TEST_CLIENT), *server = server_that_forgot(1, ECHO_VALUE);
    static const char *const wrong[] = { NULL,
                                         "",
                                         "43",
                                         "4368747563686b",
                                         "4368747563686b60",
                                         "c368747563686b61",
                                         "4368747563686b6100",
                                         "0000000000000000",
                                         "43687475636861616161616161616161" };
    nacre_request_id at_client, at_server;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        nacre_message m = request_with_echo(wrong[i]);
        nacre_bytes challenge = challenge_for(server, test_protect_request(client, &at_client, &m), &at_server);
        assert_bytes(nacre_option_find(test_unprotect_response(client, &at_client, NULL, challenge).options, 252),
                     test_hex(ECHO_VALUE));
    }
    for (size_t len = 1; len <= 40; len++) { /* every length of an Echo option */
        uint8_t value[40];
        memset(value, 0x43, sizeof value);
        nacre_options o;
        nacre_message m = request_with_echo(NULL);
        nacre_options_init(&o, test_buf(60));
        nacre_options_add(&o, NACRE_OPT_ECHO, nacre_bytes_of(value, len));
        assert_ok(nacre_options_finish(&o, &m.options));
        (void)challenge_for(server, test_protect_request(client, &at_client, &m), &at_server);
    }
    nacre_message m = request_with_echo(ECHO_VALUE);
    (void)test_unprotect_request(server, &at_server, test_protect_request(client, &at_client, &m));
}

/* A request that was challenged is not accepted after the recovery by another with a lower Partial IV: its sender repeats it
 * under a higher one. One that was not challenged is accepted. */
static void a_challenged_request_is_not_accepted_after_the_recovery(void **state)
{
    (void)state;
    nacre_context *client = test_context_of(1, TEST_CLIENT), *server = server_that_forgot(1, ECHO_VALUE);
    nacre_message m = request_with_echo(ECHO_VALUE), plain;
    nacre_request_id at_client, at_server;
    nacre_bytes recovering = test_protect_request(client, &at_client, &m), requests[3];
    m = request_with_echo(NULL);
    for (size_t i = 0; i < COUNT(requests); i++) requests[i] = test_protect_request(client, &at_client, &m);
    (void)challenge_for(server, requests[1], &at_server);
    (void)test_unprotect_request(server, &at_server, recovering);
    nacre_message outer = test_parse(requests[1]);
    assert_err(nacre_unprotect_request(server, test_crypto(), &at_server, &plain, test_buf(100), &outer),
               NACRE_ERR_REPLAY);
    (void)test_unprotect_request(server, &at_server, requests[2]);
    (void)test_unprotect_request(server, &at_server, requests[0]);
}

/* Only an inner Echo value counts, because an attacker can add an outer one. */
static void an_outer_echo_does_not_count(void **state)
{
    (void)state;
    nacre_context *client = test_context_of(1, TEST_CLIENT), *server = server_that_forgot(1, ECHO_VALUE);
    nacre_message m = request_with_echo(NULL);
    nacre_request_id at_client, at_server;
    nacre_message outer = test_parse(test_protect_request(client, &at_client, &m));
    nacre_options o;
    nacre_options_init(&o, test_buf(60));
    nacre_options_add(&o, NACRE_OPT_OSCORE, nacre_option_find(outer.options, NACRE_OPT_OSCORE));
    nacre_options_add(&o, NACRE_OPT_ECHO, test_hex(ECHO_VALUE));
    assert_ok(nacre_options_finish(&o, &outer.options));
    (void)challenge_for(server, test_datagram(&outer), &at_server);
}

/* With a token of the extended form (RFC 8974). */
static void challenges_work_with_extended_tokens(void **state)
{
    (void)state;
    static const size_t lengths[] = { 0, 8, 13, 14, 268, 269, 300 };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        nacre_context *client = test_context_of(1, TEST_CLIENT), *server = server_that_forgot(1, ECHO_VALUE);
        nacre_message m = request_with_echo(NULL);
        m.token = test_fill(0xff, lengths[i]);
        nacre_request_id at_client, at_server;
        nacre_message outer = test_parse(test_protect_request(client, &at_client, &m)), plain;
        assert_err(nacre_unprotect_request(server, test_crypto(), &at_server, &plain, test_buf(400), &outer),
                   NACRE_ERR_REPLAY_ECHO);
        nacre_bytes out;
        size_t needed = 0;
        for (size_t cap = 0; !needed; cap++) { /* the challenge fits its exact length, and not one byte less */
            nacre_buf buf = test_buf(cap);
            nacre_err err = nacre_protect_echo(server, test_crypto(), &at_server, &out, buf, &outer);
            if (!err) needed = cap;
            else {
                assert_err(err, NACRE_ERR_BUFFER_TOO_SMALL);
                assert_int_equal(nacre_context_next_seq(server), 100);
                assert_true(test_buf_is_clean(buf));
            }
        }
        assert_int_equal(out.len, needed);
        assert_bytes(test_parse(out).token, m.token);
        assert_int_equal(test_unprotect_response(client, &at_client, NULL, out).code, NACRE_UNAUTHORIZED);
    }
}

/* After a restart an old request is refused or challenged, never accepted, however often it is received. */
static void an_old_request_is_not_accepted_after_a_restart(void **state)
{
    (void)state;
    nacre_context *client = test_context_of(1, TEST_CLIENT), *before = test_context_of(1, TEST_SERVER);
    nacre_message m = request_with_echo(NULL);
    nacre_request_id at_client, at_server;
    nacre_bytes recorded = test_protect_request(client, &at_client, &m);
    (void)test_unprotect_request(before, &at_server, recorded);
    nacre_context *with_echo = server_that_forgot(1, ECHO_VALUE), *without = server_that_forgot(1, NULL);
    for (int i = 0; i < 5; i++) {
        (void)challenge_for(with_echo, recorded, &at_server);
        nacre_message outer = test_parse(recorded), plain;
        assert_err(nacre_unprotect_request(without, test_crypto(), &at_server, &plain, test_buf(recorded.len), &outer),
                   NACRE_ERR_REPLAY);
    }
    assert_int_equal(nacre_context_next_seq(with_echo), 105); /* each challenge has a Partial IV of its own */
}

/* A forged request is refused, and brings no challenge. */
static void a_forged_request_is_not_challenged(void **state)
{
    (void)state;
    nacre_context *client = test_context_of(1, TEST_CLIENT), *server = server_that_forgot(1, ECHO_VALUE);
    nacre_message m = request_with_echo(ECHO_VALUE), plain;
    nacre_request_id at_client, at_server;
    nacre_bytes good = test_protect_request(client, &at_client, &m), forged = test_copy(good);
    ((uint8_t *)(uintptr_t)forged.ptr)[forged.len - 1] ^= 1;
    nacre_message outer = test_parse(forged);
    const nacre_context *before = test_snapshot(server);
    assert_err(nacre_unprotect_request(server, test_crypto(), &at_server, &plain, test_buf(forged.len), &outer),
               NACRE_ERR_PROTECTION_INVALID);
    assert_true(test_same_but_failed(before, server, 1));
    (void)test_unprotect_request(server, &at_server, good);
}

static void without_an_echo_value_there_is_no_challenge(void **state)
{
    (void)state;
    nacre_context *client = test_context_of(1, TEST_CLIENT), *server = server_that_forgot(1, NULL);
    nacre_message m = request_with_echo(NULL);
    nacre_request_id at_client;
    nacre_message outer = test_parse(test_protect_request(client, &at_client, &m));
    const nacre_context *before = test_snapshot(server);
    nacre_buf buf = test_buf(100);
    nacre_bytes out = NACRE_STR("unchanged");
    assert_err(nacre_protect_echo(server, test_crypto(), &at_client, &out, buf, &outer), NACRE_ERR_BAD_ARGUMENT);
    assert_true(test_same(before, server) && test_buf_is_untouched(buf));
    assert_bytes(out, NACRE_STR("unchanged"));
}

/* A challenge uses its own Partial IV even when the request ID has the right to the request's nonce, and leaves that
 * right. */
static void a_challenge_never_uses_the_requests_nonce(void **state)
{
    (void)state;
    nacre_context_params params = test_params(1, TEST_SERVER);
    params.echo = test_hex(ECHO_VALUE);
    nacre_context *client = test_context_of(1, TEST_CLIENT), *server = test_context(&params);
    nacre_message m = request_with_echo(NULL), response = test_response(NACRE_CONTENT, NACRE_ABSENT, NACRE_ABSENT);
    nacre_request_id at_client, at_server;
    nacre_bytes request = test_protect_request(client, &at_client, &m), out;
    nacre_message outer = test_parse(request);
    (void)test_unprotect_request(server, &at_server, request);
    assert_ok(nacre_protect_echo(server, test_crypto(), &at_server, &out, test_buf(100), &outer));
    assert_bytes(option_of(out).partial_iv, test_hex("00"));
    assert_bytes(option_of(test_protect_response(server, &at_server, &response, NULL)).partial_iv, NACRE_ABSENT);
}

/* A challenge fails too when numbers are exhausted or wait for the store. */
static void challenges_use_sequence_numbers(void **state)
{
    (void)state;
    nacre_context *client = test_context_of(1, TEST_CLIENT);
    nacre_message m = request_with_echo(NULL), plain;
    nacre_request_id at_client, at_server;
    nacre_bytes request = test_protect_request(client, &at_client, &m), out;
    for (int persistent = 0; persistent <= 1; persistent++) {
        nacre_context_params params = test_params(1, TEST_SERVER);
        params.echo = test_hex(ECHO_VALUE);
        params.next_seq = persistent ? 5 : NACRE_SEQ_MAX;
        params.persistent = persistent;
        nacre_context *server = test_context(&params);
        assert_ok(nacre_context_set_replay(server, false, 0, NULL, 0));
        nacre_message outer = test_parse(request);
        assert_err(nacre_unprotect_request(server, test_crypto(), &at_server, &plain, test_buf(request.len), &outer),
                   NACRE_ERR_REPLAY_ECHO);
        nacre_buf buf = test_buf(100);
        if (persistent) {
            assert_err(nacre_protect_echo(server, test_crypto(), &at_server, &out, buf, &outer), NACRE_ERR_NOT_YET);
            nacre_context_confirm_reserved(server, 6);
        }
        assert_ok(nacre_protect_echo(server, test_crypto(), &at_server, &out, buf, &outer));
        assert_err(nacre_protect_echo(server, test_crypto(), &at_server, &out, buf, &outer),
                   persistent ? NACRE_ERR_NOT_YET : NACRE_ERR_CONTEXT_UNAVAILABLE);
    }
}

static nacre_err take_echo(nacre_context *server, nacre_context *client, const char *echo)
{
    nacre_message m = request_with_echo(echo), plain;
    nacre_request_id at_client, at_server;
    nacre_bytes request = test_protect_request(client, &at_client, &m);
    nacre_message outer = test_parse(request);
    return nacre_unprotect_request(server, test_crypto(), &at_server, &plain, test_buf(request.len), &outer);
}

/* A value that is used up, or that a stopped context no longer has, is zeros in memory: neither that nor the old value
 * recovers a window that is lost again, and there is nothing to challenge with. */
static void a_wiped_echo_value_recovers_nothing(void **state)
{
    (void)state;
    static const char zeros[] = "0000000000000000";
    for (int stopped = 0; stopped <= 1; stopped++) {
        nacre_context *client = test_context_of(1, TEST_CLIENT), *server = server_that_forgot(1, ECHO_VALUE);
        if (stopped) nacre_context_stop(server);
        else assert_ok(take_echo(server, client, ECHO_VALUE));
        assert_ok(nacre_context_set_replay(server, false, 0, NULL, 0));
        const nacre_err refusal = stopped ? NACRE_ERR_CONTEXT_UNAVAILABLE : NACRE_ERR_REPLAY;
        assert_err(take_echo(server, client, zeros), refusal);
        assert_err(take_echo(server, client, ECHO_VALUE), refusal);
        nacre_message m = request_with_echo(NULL);
        nacre_request_id id;
        nacre_bytes out;
        nacre_message outer = test_parse(test_protect_request(client, &id, &m));
        assert_err(nacre_protect_echo(server, test_crypto(), &id, &out, test_buf(100), &outer), NACRE_ERR_BAD_ARGUMENT);
        for (size_t i = 0; i < NACRE_ECHO_LEN; i++) assert_int_equal(server->echo[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_verified_echo_recovers_the_window),
        TEST(a_wrong_echo_is_challenged_and_the_right_one_accepted),
        TEST(a_challenged_request_is_not_accepted_after_the_recovery),
        TEST(an_outer_echo_does_not_count),
        TEST(challenges_work_with_extended_tokens),
        TEST(an_old_request_is_not_accepted_after_a_restart),
        TEST(a_forged_request_is_not_challenged),
        TEST(without_an_echo_value_there_is_no_challenge),
        TEST(a_challenge_never_uses_the_requests_nonce),
        TEST(challenges_use_sequence_numbers),
        TEST(a_wiped_echo_value_recovers_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
