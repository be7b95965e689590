/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* unprotect_test: incoming requests and responses (RFC 8613 8.2, 8.4): a refused one changes nothing, and an accepted
 * one gives the message that was protected. */
#include "support.h"

#include <context/sequence.h>
#include <oscore/aad.h>
#include <oscore/nonce.h>
#include <stdlib.h>

/* ---- One refused message: the error, and an unchanged state ---- */
static void refuse_request(const char *name, nacre_context *ctx, nacre_bytes datagram, nacre_err expected)
{
    nacre_message outer, plain, plain_before;
    nacre_request_id id, id_before;
    assert_err_row(name, nacre_message_parse(&outer, datagram), NACRE_OK);
    memset(&plain, 0x77, sizeof plain), memcpy(&plain_before, &plain, sizeof plain);
    memset(&id, 0x77, sizeof id), memcpy(&id_before, &id, sizeof id);
    nacre_buf buf = test_buf(datagram.len);
    const nacre_context *before = test_snapshot(ctx);
    nacre_err err = nacre_unprotect_request(ctx, test_crypto(), &id, &plain, buf, &outer);
    assert_err_row(name, err, expected);
    assert_memory_equal(&plain, &plain_before, sizeof plain);
    if (err != NACRE_ERR_REPLAY_ECHO) assert_memory_equal(&id, &id_before, sizeof id);
    assert_true(test_same(before, ctx) ||
                (err == NACRE_ERR_PROTECTION_INVALID && test_same_but_failed(before, ctx, 1)));
    assert_true(test_buf_is_clean(buf));
}

static void refuse_response(const char *name, nacre_context *ctx, const nacre_request_id *id, nacre_bytes datagram,
                            nacre_err expected)
{
    nacre_message outer, plain, plain_before;
    nacre_response_info info = { true, 77 };
    assert_err_row(name, nacre_message_parse(&outer, datagram), NACRE_OK);
    memset(&plain, 0x77, sizeof plain), memcpy(&plain_before, &plain, sizeof plain);
    nacre_buf buf = test_buf(datagram.len);
    const nacre_context *before = test_snapshot(ctx);
    nacre_err err = nacre_unprotect_response(ctx, test_crypto(), id, &plain, &info, buf, &outer);
    assert_err_row(name, err, expected);
    assert_memory_equal(&plain, &plain_before, sizeof plain);
    assert_true(info.has_partial_iv && info.partial_iv == 77);
    assert_true(test_same(before, ctx) ||
                (err == NACRE_ERR_PROTECTION_INVALID && test_same_but_failed(before, ctx, 1)));
    assert_true(test_buf_is_clean(buf));
}

/* Makes the datagram of a request, or of a response with a Partial IV, with any plaintext and outer options. */
static nacre_bytes sealed(nacre_context *sender, nacre_bytes request_kid, nacre_bytes request_piv, nacre_bytes piv,
                          const nacre_oscore_option *fields, nacre_bytes plaintext, uint8_t code)
{
    uint8_t nonce[NACRE_MAX_NONCE], aad[NACRE_MAX_AAD], option[64];
    nacre_bytes value, ciphertext = test_fill(0, plaintext.len + 8);
    nacre__nonce(nonce, sender->aead, sender->common_iv, nacre_context_sender_id(sender),
                 nacre__partial_iv_number(piv));
    nacre_aead_job job = { sender->aead,
                           sender->keys,
                           nonce,
                           { aad, 0 },
                           plaintext.ptr,
                           plaintext.len,
                           (uint8_t *)(uintptr_t)ciphertext.ptr,
                           false };
    job.aad.len = nacre__aad(aad, 10, request_kid, request_piv);
    assert_true(nacre_seal(test_crypto(), &job));
    assert_ok(nacre_oscore_option_write(fields, &value, NACRE_BUF(option)));
    nacre_options o;
    nacre_message m = { NACRE_CON, code, 0x1234, test_hex("0a"), NACRE_ABSENT, ciphertext };
    nacre_options_init(&o, test_buf(80));
    nacre_options_add(&o, NACRE_OPT_OSCORE, value);
    assert_ok(nacre_options_finish(&o, &m.options));
    return test_datagram(&m);
}

static nacre_bytes sealed_request(nacre_context *client, const char *piv_hex, const char *plaintext)
{
    nacre_bytes piv = test_hex(piv_hex), kid = nacre_context_sender_id(client);
    nacre_oscore_option fields = { piv, NACRE_ABSENT, kid };
    return sealed(client, kid, piv, piv, &fields, test_hex(plaintext), NACRE_POST);
}

/* ---- Round trips ---- */
/* RFC 8613 8.2 step 7: split, protect, unprotect and merge give the original, for any options in any number. */
static nacre_bytes random_options(uint64_t *random, bool observe)
{
    static const uint16_t numbers[] = { 1,   3,   4,   5,   7,    8,     11,    11, 12,  13,  14,  15,
                                        15,  16,  17,  20,  21,   23,    27,    28, 39,  60,  235, 239,
                                        252, 258, 292, 292, 2049, 65000, 65535, 10, 281, 2053 };
    nacre_options o;
    nacre_bytes out;
    nacre_options_init(&o, test_buf(20000));
    size_t num = (size_t)(test_random(random) % 40);
    for (size_t i = 0; i < num; i++) {
        uint64_t r = test_random(random);
        size_t len = (size_t)(r & 7 ? (r >> 8) % 16 : 250 + (r >> 8) % 40);
        nacre_options_add(&o, numbers[(r >> 32) % COUNT(numbers)], test_fill((uint8_t)(r >> 3), len));
    }
    if (observe && test_random(random) % 3 == 0) nacre_options_add_uint(&o, NACRE_OPT_OBSERVE, test_random(random) % 2);
    assert_ok(nacre_options_finish(&o, &out));
    return test_copy(out);
}

static void assert_same_message(nacre_message got, nacre_message expected)
{
    assert_bytes(test_datagram(&got), test_datagram(&expected));
}

static void random_messages_round_trip(void **state)
{
    (void)state;
    uint64_t random = 18;
    for (int round = 0; round < 400; round++) {
        int vector = 1 + (int)(test_random(&random) % 3);
        test_exchange x = test_exchange_of(vector);
        nacre_message m = test_request((uint8_t)(1 + test_random(&random) % 7), random_options(&random, true),
                                       test_fill(0xff, (size_t)(test_random(&random) % 40)));
        m.type = (uint8_t)(test_random(&random) % 2);
        m.token = test_fill(7, (size_t)(test_random(&random) % 9));
        nacre_request_id at_client, at_server;
        assert_same_message(
            test_unprotect_request(x.server, &at_server, test_protect_request(x.client, &at_client, &m)), m);
        nacre_message r = test_response(NACRE_CONTENT, random_options(&random, false), m.payload);
        nacre_response_info info;
        nacre_bytes datagram = test_protect_response(x.server, &at_server, &r, NULL);
        assert_same_message(test_unprotect_response(x.client, &at_client, &info, datagram), r);
        assert_false(info.has_partial_iv);
        (void)test_release(NULL);
    }
}

static void payloads_of_every_length_round_trip(void **state)
{
    (void)state;
    test_exchange x = test_exchange_of(1);
    for (size_t len = 0; len <= 700; len++) {
        nacre_message m = test_request(NACRE_POST, NACRE_ABSENT, test_fill((uint8_t)len, len));
        nacre_request_id at_client, at_server;
        assert_same_message(
            test_unprotect_request(x.server, &at_server, test_protect_request(x.client, &at_client, &m)), m);
        nacre_message r = test_response(NACRE_CHANGED, NACRE_ABSENT, m.payload);
        assert_same_message(
            test_unprotect_response(x.client, &at_client, NULL, test_protect_response(x.server, &at_server, &r, NULL)),
            r);
    }
}

/* RFC 8613 5.3: option deltas and lengths where their encoding changes, inner and outer. */
static void edges_of_deltas_and_lengths_round_trip(void **state)
{
    (void)state;
    static const uint16_t deltas[] = { 12, 13, 268, 269, 270, 65535 };
    static const size_t lengths[] = { 0, 12, 13, 268, 269, 270, 65000 };
    test_exchange x = test_exchange_of(1);
    for (size_t d = 0; d < COUNT(deltas); d++)
        for (size_t l = 0; l < COUNT(lengths); l++)
            for (int host = 0; host <= 1; host++) {
                nacre_options o;
                nacre_bytes options;
                nacre_options_init(&o, test_buf(lengths[l] + 400));
                nacre_options_add(&o, deltas[d], test_fill(0xff, lengths[l]));
                if (host)
                    nacre_options_add(&o, NACRE_OPT_URI_HOST, test_fill(0xff, lengths[l] < 300 ? lengths[l] : 255));
                assert_ok(nacre_options_finish(&o, &options));
                nacre_message m = test_request(NACRE_GET, options, test_hex("ffff"));
                nacre_request_id id;
                assert_same_message(test_unprotect_request(x.server, &id, test_protect_request(x.client, &id, &m)), m);
            }
}

/* ---- Forgeries ---- */
static nacre_message forged_request(void)
{
    return test_request(NACRE_PUT, test_options(3, "686f7374", 11, "747631", 12, "2a", 65000, "0102", 0),
                        test_hex("aabb"));
}

/* Only unauthenticated parts of an accepted message may differ: code, class E options and payload are equal. */
static void assert_inner_is(nacre_message got, nacre_message plain)
{
    nacre_option a, b;
    nacre_option_iter in = nacre_option_begin(plain.options), out = nacre_option_begin(got.options);
    assert_int_equal(got.code, plain.code);
    assert_bytes(got.payload, plain.payload);
    while (nacre_option_next(&in, &a)) {
        if (!(nacre_option_lookup(a.number)->flags & NACRE_CLASS_E)) continue;
        do assert_true(nacre_option_next(&out, &b));
        while (!(nacre_option_lookup(b.number)->flags & NACRE_CLASS_E));
        assert_int_equal(a.number, b.number);
        assert_bytes(b.value, a.value);
    }
}

static bool is_within(nacre_bytes part, nacre_bytes whole, size_t at)
{
    size_t start = (size_t)(part.ptr - whole.ptr);
    return at >= start && at < start + part.len;
}

/* RFC 8613 12.6: each bit of the OSCORE option and of the payload is protected; with another bit flipped, the message
 * is refused, or its inner part is unchanged. */
static void every_flipped_bit_is_refused_or_harmless(void **state)
{
    (void)state;
    for (int vector = 1; vector <= 3; vector++) {
        test_exchange x = test_exchange_of(vector);
        nacre_message m = forged_request(), r = test_response(NACRE_CONTENT, m.options, m.payload);
        nacre_request_id at_client, at_server;
        nacre_bytes request = test_protect_request(x.client, &at_client, &m);
        (void)test_unprotect_request(x.server, &at_server, request);
        nacre_protect_options with_all = { .nonce = NACRE_NONCE_NEW, .send_kid = true };
        nacre_bytes response = test_protect_response(x.server, &at_server, &r, &with_all);
        for (int is_response = 0; is_response <= 1; is_response++) {
            nacre_bytes whole = is_response ? response : request;
            nacre_message good = test_parse(whole);
            nacre_bytes option = nacre_option_find(good.options, NACRE_OPT_OSCORE);
            for (size_t bit = 0; bit < 8 * whole.len; bit++) {
                nacre_bytes flipped = test_copy(whole);
                ((uint8_t *)(uintptr_t)flipped.ptr)[bit / 8] ^= (uint8_t)(1u << bit % 8);
                bool authentic = is_within(option, whole, bit / 8) || is_within(good.payload, whole, bit / 8);
                nacre_context_params params = test_params(vector, TEST_SERVER);
                nacre_context *receiver = is_response ? x.client : test_context(&params);
                nacre_message outer, plain;
                nacre_request_id id;
                if (nacre_message_parse(&outer, flipped)) continue;
                const nacre_context *before = test_snapshot(receiver);
                nacre_buf buf = test_buf(flipped.len);
                nacre_err err =
                    is_response
                        ? nacre_unprotect_response(receiver, test_crypto(), &at_client, &plain, NULL, buf, &outer)
                        : nacre_unprotect_request(receiver, test_crypto(), &id, &plain, buf, &outer);
                if (authentic) assert_int_not_equal(err, NACRE_OK);
                if (!err) {
                    assert_inner_is(plain, is_response ? r : m);
                    continue;
                }
                assert_true(test_same(before, receiver) ||
                            (err == NACRE_ERR_PROTECTION_INVALID && test_same_but_failed(before, receiver, 1)));
                assert_true(test_buf_is_clean(buf));
            }
            (void)test_unprotect_response(x.client, &at_client, NULL, response); /* the intact one still opens */
        }
        (void)test_release(NULL);
    }
}

/* A message truncated at every byte, in a buffer of exactly that size. */
static void truncated_messages_are_refused(void **state)
{
    (void)state;
    test_exchange x = test_exchange_of(3);
    nacre_message m = forged_request(), r = test_response(NACRE_CONTENT, m.options, m.payload);
    nacre_request_id at_client, at_server;
    nacre_bytes request = test_protect_request(x.client, &at_client, &m);
    nacre_context *server = test_context_of(3, TEST_SERVER);
    (void)test_unprotect_request(x.server, &at_server, request);
    nacre_bytes response = test_protect_response(x.server, &at_server, &r, NULL);
    for (size_t len = 0; len < request.len || len < response.len; len++) {
        nacre_message outer, plain;
        nacre_request_id id;
        nacre_bytes cut = test_copy(nacre_bytes_of(request.ptr, len < request.len ? len : 0));
        const nacre_context *before = test_snapshot(server);
        if (!nacre_message_parse(&outer, cut)) {
            nacre_buf buf = test_buf(cut.len);
            assert_int_not_equal(nacre_unprotect_request(server, test_crypto(), &id, &plain, buf, &outer), NACRE_OK);
            assert_true(test_buf_is_clean(buf));
            assert_true(test_same(before, server) || test_same_but_failed(before, server, 1));
        }
        cut = test_copy(nacre_bytes_of(response.ptr, len < response.len ? len : 0));
        if (!nacre_message_parse(&outer, cut)) {
            nacre_buf buf = test_buf(cut.len);
            assert_int_not_equal(
                nacre_unprotect_response(x.client, test_crypto(), &at_client, &plain, NULL, buf, &outer), NACRE_OK);
            assert_true(test_buf_is_clean(buf));
        }
    }
    (void)test_unprotect_request(server, &at_server, request);
}

/* RFC 8613 7.4, 8.2 step 3, 12.4: the window moves only when the tag has verified. A forged message with a huge Partial
 * IV changes nothing. */
static void a_forged_partial_iv_does_not_move_the_window(void **state)
{
    (void)state;
    nacre_context *client = test_context_of(1, TEST_CLIENT), *server = test_context_of(1, TEST_SERVER);
    nacre_message m = forged_request();
    nacre_request_id id;
    nacre_bytes first = test_protect_request(client, &id, &m), second = test_protect_request(client, &id, &m);
    (void)test_unprotect_request(server, &id, second);
    static const char *const pivs[] = { "64", "ffff", "ffffff", "ffffffff", "ffffffffff" };
    for (size_t i = 0; i < COUNT(pivs); i++) {
        nacre_bytes forged = sealed_request(client, pivs[i], "0161");
        ((uint8_t *)(uintptr_t)forged.ptr)[forged.len - 1] ^= 1;
        refuse_request(pivs[i], server, forged, NACRE_ERR_PROTECTION_INVALID);
        assert_int_equal(nacre_context_failed_decryptions(server), i + 1);
    }
    (void)test_unprotect_request(server, &id, first); /* still inside the window */
    (void)test_unprotect_request(server, &id, sealed_request(client, "ffffffffff", "01"));
    refuse_request("the window has moved", server, sealed_request(client, "64", "01"), NACRE_ERR_REPLAY);
}

static void the_failure_counter_saturates(void **state)
{
    (void)state;
    nacre_context *client = test_context_of(1, TEST_CLIENT), *server = test_context_of(1, TEST_SERVER);
    nacre_bytes forged = sealed_request(client, "01", "01");
    ((uint8_t *)(uintptr_t)forged.ptr)[forged.len - 1] ^= 1;
    server->failed = UINT32_MAX - 1;
    refuse_request("last", server, forged, NACRE_ERR_PROTECTION_INVALID);
    assert_true(nacre_context_failed_decryptions(server) == UINT32_MAX);
    refuse_request("above", server, forged, NACRE_ERR_PROTECTION_INVALID);
    assert_true(nacre_context_failed_decryptions(server) == UINT32_MAX);
}

/* ---- Replays ---- */
/* Every sequence of verdicts under every combination of options. */
static void replays_are_refused_under_every_option_combination(void **state)
{
    (void)state;
    static const struct {
        uint64_t seq;
        nacre_err err;
    } rows[] = {
        { 0, NACRE_OK },
        { 0, NACRE_ERR_REPLAY },
        { 10, NACRE_OK },
        { 7, NACRE_OK },
        { 10, NACRE_ERR_REPLAY },
        { 7, NACRE_ERR_REPLAY },
        { 11, NACRE_OK },
        { 255, NACRE_OK },
        { 256, NACRE_OK },
        { 255, NACRE_ERR_REPLAY },
        { 65535, NACRE_OK },
        { 65536, NACRE_OK },
        { 65535, NACRE_ERR_REPLAY },
        { 11, NACRE_ERR_REPLAY },
        { 1 << 24, NACRE_OK },
        { (1 << 24) - 1, NACRE_OK },
        { UINT64_C(1) << 32, NACRE_OK },
        { UINT64_C(1) << 32, NACRE_ERR_REPLAY },
        { 1 << 24, NACRE_ERR_REPLAY },
        { NACRE_SEQ_MAX, NACRE_OK },
        { NACRE_SEQ_MAX - 1, NACRE_OK },
        { NACRE_SEQ_MAX, NACRE_ERR_REPLAY },
        { 0, NACRE_ERR_REPLAY },
    };
    static uint64_t words[NACRE_REPLAY_MAX / 64];
    for (unsigned combination = 0; combination < 64; combination++) {
        nacre_context_params params = test_params(combination & 1 ? 3 : 1, TEST_CLIENT);
        nacre_context *client = test_context(&params);
        params = test_params(combination & 1 ? 3 : 1, TEST_SERVER);
        if (combination & 2) params.echo = test_hex("0102030405060708");
        params.persistent = combination & 4;
        params.never_used = true;
        params.window = combination & 8 ? 1000 : 0;
        params.window_words = words;
        nacre_context *server = test_context(&params);
        nacre_context_confirm_window_lost(server); /* as a store would, before the first request */
        nacre_protect_options options = { .kid_context_choice =
                                              combination & 16 ? NACRE_KID_CONTEXT_NEVER : NACRE_KID_CONTEXT_AUTO };
        nacre_bytes message_options = combination & 32 ? test_options(6, "", 11, "61", 252, "0102030405060708", 0)
                                                       : test_options(3, "68", 11, "61", 0);
        for (size_t i = 0; i < COUNT(rows); i++) {
            if (combination & 8 && rows[i].seq >= 7 && rows[i].seq < 300)
                continue; /* a wide window gives other verdicts */
            nacre_message m = test_request(NACRE_GET, message_options, NACRE_ABSENT);
            client->next = rows[i].seq;
            nacre_request_id id;
            nacre_bytes out;
            assert_ok(nacre_protect_request(client, test_crypto(), &id, &out, test_buf(100), &m, &options));
            if (rows[i].err) refuse_request("row", server, out, rows[i].err);
            else (void)test_unprotect_request(server, &id, out);
        }
        (void)test_release(NULL);
    }
}

/* A store that holds a known window must first mark it unknown (RFC 8613 B.1.2): NOT_YET, then the same bytes again. */
static void requests_wait_until_the_stored_window_is_unknown(void **state)
{
    (void)state;
    nacre_context *client = test_context_of(1, TEST_CLIENT), *server = test_context_of(1, TEST_SERVER);
    nacre_message m = forged_request();
    nacre_request_id id;
    nacre_bytes datagram = test_protect_request(client, &id, &m), out;
    server->window_on_disk = true;
    assert_false(nacre_context_needs(server).window_lost); /* nothing has verified yet */
    nacre_bytes forged = test_copy(datagram);
    ((uint8_t *)(uintptr_t)forged.ptr)[forged.len - 1] ^= 1;
    refuse_request("forged", server, forged, NACRE_ERR_PROTECTION_INVALID);
    assert_false(nacre_context_needs(server).window_lost);

    nacre_message outer = test_parse(datagram), plain;
    for (int i = 0; i < 2; i++) {
        nacre_buf buf = test_buf(datagram.len);
        memset(&id, 0x77, sizeof id);
        assert_err(nacre_unprotect_request(server, test_crypto(), &id, &plain, buf, &outer), NACRE_ERR_NOT_YET);
        assert_true(test_buf_is_clean(buf));
        for (size_t j = 0; j < sizeof id; j++) assert_int_equal(((uint8_t *)&id)[j], 0x77);
        assert_true(nacre_context_needs(server).window_lost);
        assert_ok(nacre_replay_check(nacre_context_replay(server), 0));
    }
    nacre_context_confirm_window_lost(server);
    assert_false(nacre_context_needs(server).window_lost);
    assert_same_message(test_unprotect_request(server, &id, datagram), m);
    refuse_request("replay", server, datagram, NACRE_ERR_REPLAY);
    out = test_protect_request(client, &id, &m);
    (void)test_unprotect_request(server, &id, out);
    server->window_on_disk = true; /* and a replay is refused at once, without the store */
    refuse_request("replay", server, out, NACRE_ERR_REPLAY);
    assert_false(nacre_context_needs(server).window_lost);
}

/* ---- Wrong and missing fields ---- */
static void requests_naming_another_context_are_refused(void **state)
{
    (void)state;
    nacre_context *client = test_context_of(3, TEST_CLIENT);
    nacre_bytes piv = test_hex("05"), kid = test_hex("");
    static const struct {
        const char *name, *kid, *kid_context;
        bool piv;
        nacre_err err;
    } rows[] = {
        { "right, with kid context", "", "37cbf3210017a2d3", true, NACRE_OK },
        { "right, without", "", NULL, true, NACRE_OK },
        { "kid absent", NULL, "37cbf3210017a2d3", true, NACRE_ERR_DECODE },
        { "Partial IV absent", "", "37cbf3210017a2d3", false, NACRE_ERR_DECODE },
        { "nothing", NULL, NULL, false, NACRE_ERR_DECODE },
        { "another kid", "00", NULL, true, NACRE_ERR_NO_CONTEXT },
        { "the receiver's own kid", "01", NULL, true, NACRE_ERR_NO_CONTEXT },
        { "kid of 8 bytes", "0102030405060708", NULL, true, NACRE_ERR_NO_CONTEXT },
        { "kid context empty", "", "", true, NACRE_ERR_NO_CONTEXT },
        { "kid context longer", "", "37cbf3210017a2d300", true, NACRE_ERR_NO_CONTEXT },
        { "kid context shorter", "", "37cbf3210017a2", true, NACRE_ERR_NO_CONTEXT },
        { "kid context wrapped", "", "4837cbf3210017a2d3", true, NACRE_ERR_NO_CONTEXT },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_context *server = test_context_of(3, TEST_SERVER);
        nacre_oscore_option fields = { rows[i].piv ? piv : NACRE_ABSENT, test_hex(rows[i].kid_context),
                                       test_hex(rows[i].kid) };
        nacre_bytes datagram = sealed(client, kid, piv, piv, &fields, test_hex("01"), NACRE_POST);
        nacre_request_id id;
        if (rows[i].err) refuse_request(rows[i].name, server, datagram, rows[i].err);
        else (void)test_unprotect_request(server, &id, datagram);
    }
    nacre_oscore_option fields = { piv, test_hex(""), kid }; /* a kid context for a context without one */
    nacre_context *bare = test_context_of(1, TEST_CLIENT);
    refuse_request("kid context, empty, but no ID Context", test_context_of(1, TEST_SERVER),
                   sealed(bare, kid, piv, piv, &fields, test_hex("01"), NACRE_POST), NACRE_ERR_NO_CONTEXT);
}

/* A kid or kid context of 0 to 255 bytes neither enters the nonce nor overruns a context's memory. */
static void kids_of_every_length_are_refused(void **state)
{
    (void)state;
    test_exchange x = test_exchange_of(1);
    for (size_t len = 0; len <= 255; len++)
        for (int is_kid = 0; is_kid <= 1; is_kid++) {
            uint8_t option[600];
            nacre_bytes value;
            nacre_oscore_option fields = { test_hex("05"), is_kid ? NACRE_ABSENT : test_fill(1, len),
                                           is_kid ? test_fill(2, len) : test_hex("") };
            assert_ok(nacre_oscore_option_write(&fields, &value, NACRE_BUF(option)));
            nacre_options o;
            nacre_message m = test_request(NACRE_POST, NACRE_ABSENT, test_fill(9, 20));
            nacre_options_init(&o, test_buf(600));
            nacre_options_add(&o, NACRE_OPT_OSCORE, value);
            assert_ok(nacre_options_finish(&o, &m.options));
            nacre_bytes datagram = test_datagram(&m);
            bool names_server = is_kid && len == 0;
            refuse_request("request", x.server, datagram,
                           names_server ? NACRE_ERR_PROTECTION_INVALID : NACRE_ERR_NO_CONTEXT);
            refuse_response("response", x.client, &x.at_client, datagram, NACRE_ERR_NO_CONTEXT);
        }
}

static void malformed_messages_are_refused(void **state)
{
    (void)state;
    test_exchange x = test_exchange_of(1);
    static const struct {
        const char *name, *datagram;
        nacre_err err;
    } rows[] = {
        { "no OSCORE option", "40021234b16bff0102030405060708090a", NACRE_ERR_NOT_PROTECTED },
        { "twice", "40021234920905 00 ff0102030405060708090a", NACRE_ERR_DECODE },
        { "no payload", "40021234920905", NACRE_ERR_DECODE },
        { "reserved flag", "40021234924905ff0102030405060708090a", NACRE_ERR_DECODE },
        { "payload of one byte", "40021234920905ff01", NACRE_ERR_PROTECTION_INVALID },
        { "payload of a tag", "40021234920905ff0102030405060708", NACRE_ERR_PROTECTION_INVALID },
        { "payload of a tag and a byte", "40021234920905ff010203040506070809", NACRE_ERR_PROTECTION_INVALID },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        refuse_request(rows[i].name, x.server, test_hex(rows[i].datagram), rows[i].err);
        nacre_err as_response = rows[i].err == NACRE_ERR_PROTECTION_INVALID ? NACRE_ERR_NO_CONTEXT : rows[i].err;
        refuse_response(rows[i].name, x.client, &x.at_client, test_hex(rows[i].datagram), as_response);
    }
}

/* RFC 8613 5.3, 8.2 step 6: a plaintext that is no message is refused like a failed decryption, and uses up nothing. */
static void invalid_plaintexts_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *plaintext;
        bool request_ok, response_ok;
    } rows[] = {
        { "nothing", "", false, false },
        { "GET", "01", true, false },
        { "GET with a payload", "01ff00", true, false },
        { "marker without payload", "01ff", false, false },
        { "2.05", "45", false, true },
        { "2.05, marker without payload", "45ff", false, false },
        { "empty code", "00", false, false },
        { "code 1.00", "20", false, false },
        { "code 7.01", "e1", false, false },
        { "option cut off", "01b37476", false, false },
        { "option whole", "01b3747631", true, false },
        { "delta 15", "01f0", false, false },
        { "OSCORE option inside", "0190", false, false },
        { "option 8 inside", "0180", true, false },
        { "OSCORE option inside a response", "4590", false, false },
        { "option number above 65535", "01e0fef3", false, false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        test_exchange x = test_exchange_of(1);
        nacre_bytes datagram = sealed_request(x.client, "05", rows[i].plaintext);
        nacre_request_id id;
        if (rows[i].request_ok) (void)test_unprotect_request(x.server, &id, datagram);
        else refuse_request(rows[i].name, x.server, datagram, NACRE_ERR_PROTECTION_INVALID);
        assert_err_row(rows[i].name, nacre_replay_check(nacre_context_replay(x.server), 5),
                       rows[i].request_ok ? NACRE_ERR_REPLAY : NACRE_OK);
        nacre_oscore_option fields = { test_hex("05"), NACRE_ABSENT, NACRE_ABSENT };
        datagram = sealed(x.server, test_hex(""), test_hex("00"), fields.partial_iv, &fields,
                          test_hex(rows[i].plaintext), NACRE_CHANGED);
        if (rows[i].response_ok) (void)test_unprotect_response(x.client, &x.at_client, NULL, datagram);
        else refuse_response(rows[i].name, x.client, &x.at_client, datagram, NACRE_ERR_PROTECTION_INVALID);
    }
}

/* ---- The outer message ---- */
/* RFC 8613 8.2 step 1, 8.4 step 1, 4.1.3.1, 4.1.3.6: outer code and outer options of class E are discarded; class U
 * options stay. */
static void outer_class_e_is_ignored(void **state)
{
    (void)state;
    static const uint16_t ignored[] = { 1,  4,  5,  6,  8,   11,  12,  14, 15,    17,   20,
                                        23, 27, 28, 60, 252, 258, 292, 10, 65000, 65001 };
    for (int is_response = 0; is_response <= 1; is_response++) {
        test_exchange x = test_exchange_of(1);
        nacre_message m = is_response ? test_response(NACRE_CONTENT, test_options(12, "2a", 0), test_hex("01"))
                                      : test_request(NACRE_GET, test_options(11, "61", 0), test_hex("01"));
        nacre_message last = m;
        for (size_t i = 0; i <= COUNT(ignored); i++) {
            nacre_request_id at_client;
            nacre_bytes good = is_response ? test_protect_response(x.server, &x.at_server, &m, NULL)
                                           : test_protect_request(x.client, &at_client, &m);
            nacre_message outer = test_parse(good), back;
            nacre_options o;
            nacre_options_init(&o, test_buf(200));
            nacre_options_add(&o, NACRE_OPT_OSCORE, nacre_option_find(outer.options, NACRE_OPT_OSCORE));
            for (size_t j = 0; j < COUNT(ignored); j++)
                if (i == COUNT(ignored) || i == j) nacre_options_add(&o, ignored[j], test_hex("5a"));
            assert_ok(nacre_options_finish(&o, &outer.options));
            outer.code = (uint8_t)(1 + 11 * i); /* any code */
            nacre_bytes datagram = test_datagram(&outer);
            back = is_response ? test_unprotect_response(x.client, &x.at_client, NULL, datagram)
                               : test_unprotect_request(x.server, &x.at_server, datagram);
            assert_same_message(back, last);
        }
    }
}

static void outer_class_u_joins_the_inner_options(void **state)
{
    (void)state;
    static const struct {
        const char *name, *plaintext, *outer; /* hex of option lists */
        const char *merged;
    } rows[] = {
        { "none", "01 b161", "92 0905", "b161" },
        { "Uri-Host", "01 b161", "3168 62 0905", "3168 8161" },
        { "Uri-Host, Uri-Port", "01 b161", "3168 4107 22 0905", "3168 4107 4161" },
        { "Proxy-Scheme after", "01 b161", "92 0905 d111 63", "b161 d10f 63" },
        { "between", "01 4161 b162", "3168 62 0905 d111 63", "3168 1161 b162 d10b 63" },
        { "no inner options", "01", "3168 62 0905", "3168" },
        { "Uri-Host inside too: what is authenticated counts", "01 3178", "3168 62 0905", "3178" },
        { "Hop-Limit", "01 b161", "92 0905 71ff", "b161 51ff" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_context *client = test_context_of(1, TEST_CLIENT), *server = test_context_of(1, TEST_SERVER);
        nacre_bytes bare = sealed_request(client, "05", rows[i].plaintext);
        nacre_message outer = test_parse(bare), back;
        nacre_request_id id;
        outer.options = test_hex(rows[i].outer);
        back = test_unprotect_request(server, &id, test_datagram(&outer));
        assert_bytes_row(rows[i].name, nacre_is_absent(back.options) ? test_hex("") : back.options,
                         test_hex(rows[i].merged));
    }
}

/* RFC 8613 7.1, 8.4 step 3: a response is bound to one request, whatever else it says. */
static void responses_are_bound_to_their_request(void **state)
{
    (void)state;
    test_exchange x = test_exchange_of(1);
    nacre_message get = test_request(NACRE_GET, NACRE_ABSENT, NACRE_ABSENT);
    nacre_message r = test_response(NACRE_CONTENT, NACRE_ABSENT, test_hex("01"));
    enum { NUM = 6 };
    nacre_request_id at_client[NUM], at_server[NUM];
    nacre_bytes responses[NUM][2];
    nacre_protect_options fresh = { .nonce = NACRE_NONCE_NEW };
    for (size_t i = 0; i < NUM; i++)
        (void)test_unprotect_request(x.server, &at_server[i], test_protect_request(x.client, &at_client[i], &get));
    for (size_t i = NUM; i-- > 0;) { /* responses in another order, twice each */
        responses[i][0] = test_protect_response(x.server, &at_server[i], &r, &fresh);
        responses[i][1] = test_protect_response(x.server, &at_server[i], &r, NULL);
    }
    for (size_t i = 0; i < NUM; i++)
        for (size_t j = 0; j < NUM; j++)
            for (size_t k = 0; k < 2; k++) {
                nacre_response_info info;
                if (i != j) {
                    refuse_response("another request's", x.client, &at_client[j], responses[i][k],
                                    NACRE_ERR_PROTECTION_INVALID);
                    continue;
                }
                (void)test_unprotect_response(x.client, &at_client[j], &info, responses[i][k]);
                assert_int_equal(info.has_partial_iv, k == 0);
                assert_int_equal(info.partial_iv, k == 0 ? NUM - 1 - i : 0);
            }
}

static void responses_naming_another_context_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *kid, *kid_context, *piv;
        nacre_err err;
    } rows[] = {
        { "Partial IV alone", NULL, NULL, "07", NACRE_OK },
        { "the server's kid", "01", NULL, "07", NACRE_OK },
        { "the ID Context", NULL, "37cbf3210017a2d3", "07", NACRE_OK },
        { "the client's kid", "", NULL, "07", NACRE_ERR_NO_CONTEXT },
        { "another kid", "02", NULL, "07", NACRE_ERR_NO_CONTEXT },
        { "another kid context", NULL, "37", "07", NACRE_ERR_NO_CONTEXT },
        { "empty kid context", NULL, "", "07", NACRE_ERR_NO_CONTEXT },
        { "Partial IV of 5", NULL, NULL, "ffffffffff", NACRE_OK },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        test_exchange x = test_exchange_of(3);
        nacre_oscore_option fields = { test_hex(rows[i].piv), test_hex(rows[i].kid_context), test_hex(rows[i].kid) };
        nacre_bytes datagram =
            sealed(x.server, test_hex(""), test_hex("00"), fields.partial_iv, &fields, test_hex("45"), NACRE_CHANGED);
        if (rows[i].err) refuse_response(rows[i].name, x.client, &x.at_client, datagram, rows[i].err);
        else (void)test_unprotect_response(x.client, &x.at_client, NULL, datagram);
    }
}

/* ---- Buffers and provider ---- */
static void smaller_buffers_are_refused_unchanged(void **state)
{
    (void)state;
    test_exchange x = test_exchange_of(1);
    nacre_message m = forged_request(), r = test_response(NACRE_CONTENT, m.options, m.payload), plain;
    nacre_request_id at_client, at_server;
    nacre_bytes request = test_protect_request(x.client, &at_client, &m);
    nacre_message outer = test_parse(request);
    for (size_t cap = 0; cap <= request.len; cap++) {
        nacre_context *server = test_context_of(1, TEST_SERVER);
        const nacre_context *before = test_snapshot(server);
        nacre_buf buf = test_buf(cap);
        nacre_err err = nacre_unprotect_request(server, test_crypto(), &at_server, &plain, buf, &outer);
        if (cap == request.len || !err) {
            assert_ok(err);
            assert_same_message(plain, m);
            continue;
        }
        assert_err(err, NACRE_ERR_BUFFER_TOO_SMALL);
        assert_true(test_same(before, server) && test_buf_is_untouched(buf));
    }
    nacre_bytes response = test_protect_response(x.server, &x.at_server, &r, NULL);
    outer = test_parse(response);
    const nacre_context *before = test_snapshot(x.client);
    for (size_t cap = 0; cap <= response.len; cap++) {
        nacre_buf buf = test_buf(cap);
        nacre_err err = nacre_unprotect_response(x.client, test_crypto(), &x.at_client, &plain, NULL, buf, &outer);
        if (cap == response.len || !err) {
            assert_ok(err);
            assert_same_message(plain, r);
            continue;
        }
        assert_err(err, NACRE_ERR_BUFFER_TOO_SMALL);
        assert_true(test_same(before, x.client) && test_buf_is_untouched(buf));
    }
}

static void another_provider_is_refused(void **state)
{
    (void)state;
    test_exchange x = test_exchange_of(1);
    nacre_crypto_ops ops = *test_crypto()->ops;
    nacre_crypto other = { &ops, test_crypto()->instance };
    nacre_message get = forged_request(), r = test_response(NACRE_CONTENT, NACRE_ABSENT, NACRE_ABSENT), plain;
    nacre_request_id id;
    nacre_bytes request = test_protect_request(x.client, &id, &get);
    nacre_bytes response = test_protect_response(x.server, &x.at_server, &r, NULL);
    nacre_message outer = test_parse(request);
    const nacre_context *client = test_snapshot(x.client), *server = test_snapshot(x.server);
    nacre_buf buf = test_buf(request.len);
    assert_err(nacre_unprotect_request(x.server, &other, &id, &plain, buf, &outer), NACRE_ERR_BAD_ARGUMENT);
    outer = test_parse(response);
    assert_err(nacre_unprotect_response(x.client, &other, &x.at_client, &plain, NULL, buf, &outer),
               NACRE_ERR_BAD_ARGUMENT);
    assert_true(test_same(client, x.client) && test_same(server, x.server) && test_buf_is_untouched(buf));
}

/* More ciphertext than the algorithm can produce (RFC 9053 4.2: a length field of two bytes) never reaches the
 * cipher. */
static void ciphertext_above_the_algorithms_limit_is_refused(void **state)
{
    (void)state;
    nacre_context *server = test_context_of(1, TEST_SERVER);
    const size_t most = nacre_context_aead(server)->max_len, tag = nacre_context_aead(server)->tag_len;
    nacre_message outer = test_parse(test_exchange_of(1).request), plain;
    nacre_request_id id;
    for (size_t over = 0; over < 2; over++) {
        outer.payload = test_fill(0, most + over + tag);
        assert_err(nacre_unprotect_request(server, test_crypto(), &id, &plain, test_buf(most + over + tag), &outer),
                   NACRE_ERR_PROTECTION_INVALID);
        assert_int_equal(nacre_context_failed_decryptions(server), 1); /* only the first one was decrypted */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ciphertext_above_the_algorithms_limit_is_refused),
        TEST(random_messages_round_trip),
        TEST(payloads_of_every_length_round_trip),
        TEST(edges_of_deltas_and_lengths_round_trip),
        TEST(every_flipped_bit_is_refused_or_harmless),
        TEST(truncated_messages_are_refused),
        TEST(a_forged_partial_iv_does_not_move_the_window),
        TEST(the_failure_counter_saturates),
        TEST(replays_are_refused_under_every_option_combination),
        TEST(requests_wait_until_the_stored_window_is_unknown),
        TEST(requests_naming_another_context_are_refused),
        TEST(kids_of_every_length_are_refused),
        TEST(malformed_messages_are_refused),
        TEST(invalid_plaintexts_are_refused),
        TEST(outer_class_e_is_ignored),
        TEST(outer_class_u_joins_the_inner_options),
        TEST(responses_are_bound_to_their_request),
        TEST(responses_naming_another_context_are_refused),
        TEST(smaller_buffers_are_refused_unchanged),
        TEST(another_provider_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
