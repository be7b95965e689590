/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* sequence_test: sender sequence numbers are used once each, durable before use, and exhausted after 2^40 - 1 (RFC 8613
 * 7.2, 7.2.1, B.1.1). */
#include "support.h"

#include <oscore/request_id.h>

static nacre_message get(void)
{
    return test_request(NACRE_GET, test_options(NACRE_OPT_URI_PATH, "61", 0), NACRE_ABSENT);
}

/* Returns the error; on success `seq` is the number in the message. */
static nacre_err try_protect(nacre_context *ctx, uint64_t *seq)
{
    nacre_message m = get();
    nacre_request_id id;
    nacre_bytes out = NACRE_STR("unchanged");
    nacre_buf buf = test_buf(nacre_protect_size(ctx, &m, NULL));
    const nacre_context *before = test_snapshot(ctx);
    nacre_err err = nacre_protect_request(ctx, test_crypto(), &id, &out, buf, &m, NULL);
    if (err) {
        assert_true(test_same(before, ctx));
        assert_true(test_buf_is_clean(buf));
        assert_bytes(out, NACRE_STR("unchanged"));
        return err;
    }
    nacre_message outer = test_parse(out);
    nacre_oscore_option opt;
    assert_ok(nacre_verify_start(&opt, &outer));
    *seq = 0;
    for (size_t i = 0; i < opt.partial_iv.len; i++) *seq = *seq << 8 | opt.partial_iv.ptr[i];
    return NACRE_OK;
}

static void numbers_without_a_store_go_up_by_one(void **state)
{
    (void)state;
    nacre_context_params params = test_params(1, TEST_CLIENT);
    params.next_seq = 254;
    nacre_context *ctx = test_context(&params);
    for (uint64_t expected = 254; expected < 260; expected++) {
        uint64_t seq;
        assert_int_equal(nacre_context_next_seq(ctx), expected);
        assert_ok(try_protect(ctx, &seq));
        assert_int_equal(seq, expected);
    }
    nacre_needs needs = nacre_context_needs(ctx);
    assert_int_equal(needs.reserve, 0);
    assert_false(needs.blocked || needs.window_lost);
}

/* RFC 8613 7.2.1: 2^40 - 1 is used once; then requests and responses alike are refused. */
static void the_last_number_is_used_once(void **state)
{
    (void)state;
    for (int persistent = 0; persistent <= 1; persistent++) {
        test_exchange x = test_exchange_of(1);
        nacre_context_params params = test_params(1, TEST_SERVER);
        params.next_seq = NACRE_SEQ_MAX - 1;
        params.persistent = persistent;
        nacre_context *ctx = test_context(&params);
        nacre_context_confirm_reserved(ctx, UINT64_MAX);
        uint64_t seq;
        assert_ok(try_protect(ctx, &seq));
        assert_true(seq == NACRE_SEQ_MAX - 1);
        assert_ok(try_protect(ctx, &seq));
        assert_true(seq == NACRE_SEQ_MAX);
        assert_err(try_protect(ctx, &seq), NACRE_ERR_CONTEXT_UNAVAILABLE);
        assert_err(try_protect(ctx, &seq), NACRE_ERR_CONTEXT_UNAVAILABLE);
        assert_int_equal(nacre_context_needs(ctx).reserve, 0);
        assert_false(nacre_context_needs(ctx).blocked);

        nacre_message m = test_response(NACRE_CONTENT, NACRE_ABSENT, NACRE_ABSENT);
        nacre_protect_options fresh = { .nonce = NACRE_NONCE_NEW };
        nacre_bytes out = NACRE_ABSENT;
        nacre_request_id before = x.at_server;
        assert_err(nacre_protect_response(ctx, test_crypto(), &x.at_server, &out, test_buf(100), &m, &fresh),
                   NACRE_ERR_CONTEXT_UNAVAILABLE);
        assert_memory_equal(&before, &x.at_server, sizeof before);
    }
}

static void a_context_may_start_exhausted(void **state)
{
    (void)state;
    nacre_context_params params = test_params(1, TEST_CLIENT);
    params.next_seq = NACRE_SEQ_MAX + 1; /* as a store restores it after the last number */
    nacre_context *ctx = test_context(&params);
    uint64_t seq;
    assert_err(try_protect(ctx, &seq), NACRE_ERR_CONTEXT_UNAVAILABLE);
}

/* RFC 8613 B.1.1: a number is used only after it is durably reserved. */
static void numbers_wait_for_confirmation(void **state)
{
    (void)state;
    nacre_context_params params = test_params(1, TEST_CLIENT);
    params.persistent = true;
    params.next_seq = 5;
    nacre_context *ctx = test_context(&params);
    uint64_t seq;
    nacre_needs needs = nacre_context_needs(ctx);
    assert_true(needs.blocked);
    assert_int_equal(needs.reserve, 15); /* the first chunk is 10 */
    assert_err(try_protect(ctx, &seq), NACRE_ERR_NOT_YET);
    nacre_context_confirm_reserved(ctx, 5);
    assert_err(try_protect(ctx, &seq), NACRE_ERR_NOT_YET);
    nacre_context_confirm_reserved(ctx, 7);
    nacre_context_confirm_reserved(ctx, 6); /* below the confirmed one: no effect */
    for (uint64_t expected = 5; expected < 7; expected++) {
        assert_ok(try_protect(ctx, &seq));
        assert_int_equal(seq, expected);
    }
    assert_err(try_protect(ctx, &seq), NACRE_ERR_NOT_YET);
    nacre_context_confirm_reserved(ctx, 8);
    assert_ok(try_protect(ctx, &seq));
    assert_int_equal(seq, 7);
}

/* A ceiling that is very far away is stored as a nearer one, never as a farther one, and requested again. */
static void a_distant_ceiling_is_stored_as_a_nearer_one(void **state)
{
    (void)state;
    static const struct {
        uint64_t next, ceiling, kept;
    } rows[] = {
        { 5, 5 + (UINT64_C(1) << 32) - 2, 5 + (UINT64_C(1) << 32) - 2 },
        { 5, 5 + (UINT64_C(1) << 32) - 1, 5 + (UINT64_C(1) << 32) - 1 },
        { 5, 5 + (UINT64_C(1) << 32), 5 + (UINT64_C(1) << 32) - 1 },
        { 5, NACRE_SEQ_MAX, 5 + (UINT64_C(1) << 32) - 1 },
        { NACRE_SEQ_MAX - 5, UINT64_MAX, NACRE_SEQ_MAX + 1 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_context_params params = test_params(1, TEST_CLIENT);
        params.persistent = true;
        params.next_seq = rows[i].next;
        nacre_context *ctx = test_context(&params);
        nacre_context_confirm_reserved(ctx, rows[i].ceiling);
        nacre_needs needs = nacre_context_needs(ctx);
        assert_true(!needs.blocked && needs.reserve == 0);
        nacre_context_confirm_reserved(ctx, rows[i].kept); /* it has that already */
        assert_true(ctx->next + ctx->in_hand == rows[i].kept);
        ctx->next += ctx->in_hand; /* all used */
        ctx->in_hand = 0;
        assert_int_equal(nacre_context_needs(ctx).blocked, rows[i].kept <= NACRE_SEQ_MAX);
    }
}

/* A store that always writes when asked never blocks the context, and is asked less and less often. */
static void numbers_are_requested_early(void **state)
{
    (void)state;
    nacre_context_params params = test_params(1, TEST_CLIENT);
    params.persistent = true;
    params.first_chunk = 16;
    nacre_context *ctx = test_context(&params);
    nacre_message m = get();
    uint8_t buf[100];
    uint64_t ceiling = nacre_context_needs(ctx).reserve;
    assert_int_equal(ceiling, 16);
    nacre_context_confirm_reserved(ctx, ceiling);
    unsigned requested = 1;
    for (uint64_t expected = 0; expected < 40000; expected++) {
        nacre_needs needs = nacre_context_needs(ctx);
        assert_false(needs.blocked);
        if (needs.reserve) {
            assert_true(needs.reserve > ceiling);
            assert_true(needs.reserve - ceiling <= 10000); /* the most that a crash skips */
            ceiling = needs.reserve;
            nacre_context_confirm_reserved(ctx, ceiling);
            requested++;
        }
        assert_int_equal(nacre_context_next_seq(ctx), expected);
        nacre_request_id id;
        nacre_bytes out;
        assert_ok(nacre_protect_request(ctx, test_crypto(), &id, &out, NACRE_BUF(buf), &m, NULL));
        assert_true(expected < ceiling);
    }
    assert_true(requested >= 5 && requested < 40);
}

/* Chunks double from the first to the largest, and stay there. */
static void chunks_are_limited(void **state)
{
    (void)state;
    static const struct {
        uint16_t first, max;
        uint64_t requested[6]; /* chunk after chunk */
    } rows[] = {
        { 0, 0, { 10, 20, 40, 80, 160, 320 } },
        { 4, 30, { 4, 8, 16, 30, 30, 30 } },
        { 1, 1, { 1, 1, 1, 1, 1, 1 } },
        { 0, 3, { 3, 3, 3, 3, 3, 3 } },
        { 4000, 0, { 4000, 8000, 10000, 10000, 10000, 10000 } },
        { 10000, 10000, { 10000, 10000, 10000, 10000, 10000, 10000 } },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_context_params params = test_params(1, TEST_CLIENT);
        params.persistent = true;
        params.first_chunk = rows[i].first;
        params.max_chunk = rows[i].max;
        nacre_context *ctx = test_context(&params);
        for (size_t k = 0; k < COUNT(rows[i].requested); k++) {
            ctx->next += ctx->in_hand; /* all used */
            ctx->in_hand = 0;
            assert_true(nacre_context_needs(ctx).reserve == ctx->next + rows[i].requested[k]);
            nacre_context_confirm_reserved(ctx, nacre_context_needs(ctx).reserve);
        }
    }
    static const struct {
        uint16_t first, max;
        nacre_err err;
    } limits[] = {
        { 10000, 10000, NACRE_OK },
        { 10001, 0, NACRE_ERR_BAD_ARGUMENT },
        { 0, 10001, NACRE_ERR_BAD_ARGUMENT },
        { 21, 20, NACRE_ERR_BAD_ARGUMENT },
        { 20, 20, NACRE_OK },
    };
    for (size_t i = 0; i < COUNT(limits); i++) {
        nacre_context ctx;
        size_t size, align;
        nacre_context_params params = test_params(1, TEST_CLIENT);
        params.first_chunk = limits[i].first;
        params.max_chunk = limits[i].max;
        assert_ok(
            nacre_context_key_layout(test_crypto(), params.cose_aead == 0 ? 10 : params.cose_aead, &size, &align));
        assert_err(nacre_context_init(&ctx, test_crypto(), &params, test_buf(size)), limits[i].err);
        nacre_context_wipe(&ctx);
    }
}

/* A save, which writes exact numbers, revokes the confirmations: numbers and window wait for the store again. */
static void a_save_revokes_the_confirmations(void **state)
{
    (void)state;
    nacre_context_params params = test_params(1, TEST_CLIENT);
    params.persistent = true;
    nacre_context *ctx = test_context(&params);
    uint64_t seq;
    nacre_context_confirm_reserved(ctx, 10);
    nacre_context_confirm_window_lost(ctx);
    assert_ok(try_protect(ctx, &seq));
    nacre_context_before_save(ctx);
    assert_err(try_protect(ctx, &seq), NACRE_ERR_NOT_YET);
    assert_true(nacre_context_needs(ctx).blocked);
    assert_true(nacre_context_needs(ctx).reserve > 1);
    nacre_context_confirm_reserved(ctx, 2);
    assert_ok(try_protect(ctx, &seq));
    assert_int_equal(seq, 1);
    assert_err(try_protect(ctx, &seq), NACRE_ERR_NOT_YET);

    params.persistent = false; /* without a store nothing waits */
    nacre_context *volatile_one = test_context(&params);
    nacre_context_before_save(volatile_one);
    assert_ok(try_protect(volatile_one, &seq));
}

/* A ceiling never exceeds 2^40, and a context near its end requests no more. */
static void no_number_is_reserved_beyond_the_last(void **state)
{
    (void)state;
    nacre_context_params params = test_params(1, TEST_CLIENT);
    params.persistent = true;
    params.next_seq = NACRE_SEQ_MAX - 3;
    nacre_context *ctx = test_context(&params);
    nacre_needs needs = nacre_context_needs(ctx);
    assert_true(needs.blocked);
    assert_true(needs.reserve == NACRE_SEQ_MAX + 1);
    nacre_context_confirm_reserved(ctx, needs.reserve);
    needs = nacre_context_needs(ctx);
    assert_false(needs.blocked);
    assert_int_equal(needs.reserve, 0);
    uint64_t seq;
    for (int i = 0; i < 4; i++) assert_ok(try_protect(ctx, &seq));
    assert_err(try_protect(ctx, &seq), NACRE_ERR_CONTEXT_UNAVAILABLE);
}

/* Partial IVs have the shortest form, in the message and in the request ID (RFC 8613 5, 6.1). */
static void partial_ivs_have_the_shortest_form(void **state)
{
    (void)state;
    static const struct {
        uint64_t seq;
        const char *partial_iv;
    } rows[] = {
        { 0, "00" },
        { 1, "01" },
        { 255, "ff" },
        { 256, "0100" },
        { 65535, "ffff" },
        { 65536, "010000" },
        { (1 << 24) - 1, "ffffff" },
        { 1 << 24, "01000000" },
        { UINT64_C(0xffffffff), "ffffffff" },
        { UINT64_C(1) << 32, "0100000000" },
        { NACRE_SEQ_MAX, "ffffffffff" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_context_params params = test_params(1, TEST_CLIENT);
        params.next_seq = rows[i].seq;
        nacre_context *client = test_context(&params), *server = test_context_of(1, TEST_SERVER);
        nacre_message m = get();
        nacre_request_id at_client, at_server;
        nacre_bytes datagram = test_protect_request(client, &at_client, &m);
        nacre_message outer = test_parse(datagram);
        nacre_oscore_option opt;
        assert_ok(nacre_verify_start(&opt, &outer));
        assert_bytes(opt.partial_iv, test_hex(rows[i].partial_iv));
        (void)test_unprotect_request(server, &at_server, datagram);
        assert_bytes(nacre__request_piv(&at_client), opt.partial_iv);
        assert_bytes(nacre__request_piv(&at_server), opt.partial_iv);
        /* the window gets the whole number */
        assert_err(nacre_replay_check(nacre_context_replay(server), rows[i].seq), NACRE_ERR_REPLAY);
        if (rows[i].seq < NACRE_SEQ_MAX) assert_ok(nacre_replay_check(nacre_context_replay(server), rows[i].seq + 1));
        if (rows[i].seq) assert_ok(nacre_replay_check(nacre_context_replay(server), rows[i].seq - 1));
    }
}

/* A stopped context protects nothing, even with reserved numbers and a request's nonce, and accepts no request, unlike
 * one that is not stopped. It still reads responses to its earlier requests. */
static void a_stopped_context_protects_and_accepts_nothing(void **state)
{
    (void)state;
    for (int stopped = 0; stopped <= 1; stopped++) {
        nacre_context_params params = test_params(1, TEST_SERVER);
        params.persistent = params.never_used = true;
        params.echo = NACRE_STR("12345678");
        nacre_context *client = test_context_of(1, TEST_CLIENT), *server = test_context(&params);
        nacre_message m = get(), reply = { .type = NACRE_ACK, .code = NACRE_CONTENT };
        nacre_request_id at_client, at_server, requested, other;
        nacre_context_confirm_reserved(server, nacre_context_needs(server).reserve);
        nacre_context_confirm_window_lost(server);
        (void)test_unprotect_request(server, &at_server, test_protect_request(client, &at_client, &m));
        nacre_bytes question = test_protect_request(server, &requested, &m),
                    next = test_protect_request(client, &other, &m);
        (void)test_unprotect_request(client, &other, question);
        nacre_bytes response = test_protect_response(client, &other, &reply, NULL);
        if (stopped) nacre_context_stop(server);
        assert_int_equal(nacre_context_is_stopped(server), stopped);
        nacre_context_confirm_reserved(server, 1000);
        nacre_context_confirm_window_lost(server);
        nacre_needs needs = nacre_context_needs(server);
        if (stopped) assert_true(needs.reserve == 0 && !needs.blocked && !needs.window_lost);
        nacre_bytes out;
        nacre_message plain;
        const nacre_err wanted = stopped ? NACRE_ERR_CONTEXT_UNAVAILABLE : NACRE_OK;
        const nacre_protect_options reuse = { .nonce = NACRE_NONCE_REQUEST };
        assert_err(nacre_protect_response(server, test_crypto(), &at_server, &out, test_buf(100), &reply, &reuse),
                   wanted);
        assert_err(nacre_protect_request(server, test_crypto(), &other, &out, test_buf(100), &m, NULL), wanted);
        (void)test_unprotect_response(server, &requested, NULL, response);
        nacre_message outer = test_parse(next);
        assert_err(nacre_unprotect_request(server, test_crypto(), &other, &plain, test_buf(100), &outer), wanted);
    }
    nacre_context wiped = { 0 };
    nacre_context_stop(&wiped);
    assert_true(nacre_context_is_stopped(&wiped));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_without_a_store_go_up_by_one),
        TEST(the_last_number_is_used_once),
        TEST(a_context_may_start_exhausted),
        TEST(numbers_wait_for_confirmation),
        TEST(a_distant_ceiling_is_stored_as_a_nearer_one),
        TEST(numbers_are_requested_early),
        TEST(chunks_are_limited),
        TEST(a_stopped_context_protects_and_accepts_nothing),
        TEST(a_save_revokes_the_confirmations),
        TEST(no_number_is_reserved_beyond_the_last),
        TEST(partial_ivs_have_the_shortest_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
