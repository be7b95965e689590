/* SPDX-License-Identifier: MIT */
/* reboot_test: a context that outlives the process does not take its replay window for empty, unless the caller says so
 * (RFC 8613 7.5, B.1.2): the state after nacre_context_init, and its verdict on an old request. */
#include "support.h"

static const char ECHO_VALUE[] = "4368747563686b61";

typedef struct boot {
    const char *name;
    bool persistent, never_used, echo;
    uint64_t next_seq;
    nacre_err old_request;
} boot;

static nacre_context *booted(const boot *b)
{
    nacre_context_params params = test_params(1, TEST_SERVER);
    params.persistent = b->persistent;
    params.never_used = b->never_used;
    params.next_seq = b->next_seq;
    if (b->echo) params.echo = test_hex(ECHO_VALUE);
    nacre_context *ctx = test_context(&params);
    nacre_context_confirm_window_lost(ctx); /* its store holds no window, so nothing waits for it */
    return ctx;
}

static nacre_err offer(nacre_context *server, nacre_bytes datagram)
{
    nacre_request_id id;
    nacre_message outer = test_parse(datagram), plain;
    return nacre_unprotect_request(server, test_crypto(), &id, &plain, test_buf(datagram.len), &outer);
}

static nacre_bytes request_of(nacre_context *client, const char *echo)
{
    nacre_message put = test_request(NACRE_PUT, echo ? test_options(252, echo, 0) : NACRE_ABSENT, test_hex("aabb"));
    nacre_request_id id;
    return test_protect_request(client, &id, &put);
}

/* The core's default after a reboot: nacre_context_init alone, without nacre_context_set_replay. Rows in pairs differ
 * in one thing. A server that responds with the nonces of requests has used no number of its own, so next_seq is 0. */
static void an_old_request_is_not_accepted_after_a_reboot(void **state)
{
    (void)state;
    static const boot rows[] = {
        { "persistent, next_seq 0", true, false, true, 0, NACRE_ERR_REPLAY_ECHO },
        { "… and never used", true, true, true, 0, NACRE_OK },
        { "… or volatile", false, false, true, 0, NACRE_OK },
        { "… or volatile, and never used", false, true, true, 0, NACRE_OK },
        { "… or without Echo", true, false, false, 0, NACRE_ERR_REPLAY },
        { "persistent, next_seq 1", true, false, true, 1, NACRE_ERR_REPLAY_ECHO },
        { "persistent, next_seq at its end", true, false, true, NACRE_SEQ_MAX + 1, NACRE_ERR_REPLAY_ECHO },
        { "volatile, next_seq 1", false, false, true, 1, NACRE_OK },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_context *client = test_context_of(1, TEST_CLIENT), *before = test_context_of(1, TEST_SERVER);
        nacre_bytes old = request_of(client, NULL);
        assert_ok(offer(before, old));
        assert_err_row(rows[i].name, offer(booted(&rows[i]), old), rows[i].old_request);
    }
}

/* A window larger than a word is unknown as well, and keeps nothing of its memory's previous content. */
static void a_large_window_is_unknown_too(void **state)
{
    (void)state;
    uint64_t words[NACRE_REPLAY_MAX / 64];
    memset(words, 0xff, sizeof words);
    nacre_context_params params = test_params(1, TEST_SERVER);
    params.persistent = true;
    params.window = NACRE_REPLAY_MAX;
    params.window_words = words;
    nacre_context *server = test_context(&params);
    uint64_t index;
    uint8_t bits[NACRE_REPLAY_MAX / 8];
    assert_false(nacre_replay_export(nacre_context_replay(server), &index, bits));
    assert_err(nacre_replay_check(nacre_context_replay(server), 5), NACRE_ERR_REPLAY_ECHO);
}

/* Keys that were never used start at number 0 with an empty window. */
static void never_used_keys_start_at_number_0(void **state)
{
    (void)state;
    size_t size, align;
    assert_ok(nacre_context_key_layout(test_crypto(), 0, &size, &align));
    for (int persistent = 0; persistent < 2; persistent++)
        for (uint64_t next_seq = 0; next_seq < 2; next_seq++) {
            nacre_context ctx;
            nacre_context_params params = test_params(1, TEST_SERVER);
            params.persistent = persistent;
            params.next_seq = next_seq;
            params.never_used = true;
            assert_err(nacre_context_init(&ctx, test_crypto(), &params, test_buf(size)),
                       next_seq == 0 ? NACRE_OK : NACRE_ERR_BAD_ARGUMENT);
            if (next_seq == 0) nacre_context_wipe(&ctx);
            params.never_used = false;
            assert_ok(nacre_context_init(&ctx, test_crypto(), &params, test_buf(size)));
            nacre_context_wipe(&ctx);
        }
}

/* The window that the caller sets replaces the default. */
static void the_window_set_by_the_caller_counts(void **state)
{
    (void)state;
    for (int never_used = 0; never_used < 2; never_used++) {
        const boot persistent = { "", true, never_used, true, 0, NACRE_OK };
        nacre_context *client = test_context_of(1, TEST_CLIENT), *server = booted(&persistent);
        nacre_bytes first = request_of(client, NULL), second = request_of(client, NULL);
        assert_ok(nacre_context_set_replay(server, true, 0, (const uint8_t[]){ 1 }, 1));
        assert_err(offer(server, second), NACRE_ERR_NOT_YET); /* the store holds that window */
        nacre_context_confirm_window_lost(server);
        assert_err(offer(server, first), NACRE_ERR_REPLAY);
        assert_ok(offer(server, second));

        server = booted(&persistent);
        assert_ok(nacre_context_set_replay(server, false, 0, NULL, 0));
        assert_err(offer(server, first), NACRE_ERR_REPLAY_ECHO);
    }
}

/* RFC 8613 B.1.2: until the store confirms otherwise it may hold a known window, and the request that recovers by Echo
 * waits for it as any other: a crash would bring back a window in which that request was not seen. */
static void recovery_by_echo_waits_for_the_store(void **state)
{
    (void)state;
    nacre_context *client = test_context_of(1, TEST_CLIENT);
    nacre_context_params params = test_params(1, TEST_SERVER);
    params.persistent = true;
    params.echo = test_hex(ECHO_VALUE);
    nacre_context *server = test_context(&params);
    assert_err(offer(server, request_of(client, NULL)), NACRE_ERR_REPLAY_ECHO);
    assert_false(nacre_context_needs(server).window_lost); /* no request waits to be accepted */
    nacre_bytes fresh = request_of(client, ECHO_VALUE);
    for (int i = 0; i < 2; i++) {
        assert_err(offer(server, fresh), NACRE_ERR_NOT_YET);
        assert_true(nacre_context_needs(server).window_lost);
    }
    nacre_context_confirm_window_lost(server);
    assert_ok(offer(server, fresh));
    assert_err(offer(server, fresh), NACRE_ERR_REPLAY);
}

/* A store used in the order that context.h describes brings back the same window after a crash and after a clean
 * end. */
static void a_store_brings_the_window_back(void **state)
{
    (void)state;
    nacre_context *client = test_context_of(1, TEST_CLIENT);
    nacre_bytes old = request_of(client, NULL);
    nacre_memory memory = { .result = NACRE_OK };
    nacre_store store = nacre_memory_store(&memory);
    static const nacre_err verdicts[] = { NACRE_OK, NACRE_ERR_REPLAY_ECHO, NACRE_ERR_REPLAY_ECHO };
    for (size_t i = 0; i < COUNT(verdicts); i++) {
        nacre_stored stored;
        assert_ok(nacre_store_load(&store, &stored, NULL));
        nacre_context_params params = test_params(1, TEST_SERVER);
        params.persistent = true;
        params.echo = test_hex(ECHO_VALUE);
        params.next_seq = stored.next_seq;
        nacre_context *server = test_context(&params);
        assert_ok(nacre_context_set_replay(server, stored.window_known, stored.window_index, stored.window_bits,
                                           NACRE_REPLAY_DEFAULT / 8));
        nacre_err err = offer(server, old);
        if (err == NACRE_ERR_NOT_YET) {
            assert_ok(nacre_store_serve(&store, server, NULL));
            err = offer(server, old);
        }
        assert_err(err, verdicts[i]);
        if (i == 1) assert_ok(nacre_store_save(&store, server, NULL)); /* a clean end with the window still unknown */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_old_request_is_not_accepted_after_a_reboot),
        TEST(a_large_window_is_unknown_too),
        TEST(never_used_keys_start_at_number_0),
        TEST(the_window_set_by_the_caller_counts),
        TEST(recovery_by_echo_waits_for_the_store),
        TEST(a_store_brings_the_window_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
