/* SPDX-License-Identifier: MIT */
/* foreign_request_id_test: the ID of a request of one context is refused with another context whose nonce is too short
 * for its kid (RFC 8613 5.2: at most nonce length - 6 bytes). The code is in request_id.h. */
#include "support.h"

enum { LONG_NONCE = 10, SHORT_NONCE = 12 }; /* AES-CCM-16-64-128: 13 bytes; AES-CCM-64-64-128: 7 */

static nacre_context *context_of(int alg, size_t kid_len, test_end end)
{
    nacre_context_params params = test_params(1, TEST_CLIENT);
    nacre_bytes client = test_fill('c', kid_len), server = test_hex("73");
    params.cose_aead = alg;
    params.sender_id = end == TEST_CLIENT ? client : server;
    params.recipient_id = end == TEST_CLIENT ? server : client;
    return test_context(&params);
}

/* The ID of a request, at its client or its server, in a context whose client's ID has `kid_len` bytes. */
static nacre_request_id identity(size_t kid_len, test_end end)
{
    nacre_context *client = context_of(LONG_NONCE, kid_len, TEST_CLIENT);
    nacre_context *server = context_of(LONG_NONCE, kid_len, TEST_SERVER);
    nacre_message get = test_request(NACRE_GET, NACRE_ABSENT, NACRE_ABSENT);
    nacre_request_id at_client, at_server;
    (void)test_unprotect_request(server, &at_server, test_protect_request(client, &at_client, &get));
    return end == TEST_CLIENT ? at_client : at_server;
}

/* A response without Partial IV and kid: its nonce is that of the request. `option` is the OSCORE option. */
static nacre_message make_response(const char *option)
{
    return test_response(NACRE_CHANGED, test_options(NACRE_OPT_OSCORE, option, 0), test_fill(0x5a, 24));
}

static nacre_err unprotect_one(nacre_context *ctx, const nacre_request_id *id, const nacre_message *outer)
{
    nacre_message plain;
    return nacre_unprotect_response(ctx, test_crypto(), id, &plain, NULL, test_buf(64), outer);
}

static nacre_err unprotect_burst(nacre_context *ctx, nacre_request_id *id, const nacre_message *outer)
{
    nacre_unprotect_item item = { .context = ctx, .id = id, .buf = test_buf(64), .outer = outer, .is_response = true };
    nacre_unprotect_many(test_crypto(), &item, 1);
    return item.err;
}

/* A kid of one byte fits a nonce of seven, one of two does not; with and without the response's own Partial IV. */
static void a_longer_kid_than_the_nonce_holds_is_refused(void **state)
{
    (void)state;
    static const char *const options[] = { "", "0105" };
    for (size_t len = 0; len <= NACRE_MAX_ID; len++)
        for (size_t i = 0; i < COUNT(options); i++) {
            nacre_context *ctx = context_of(SHORT_NONCE, 1, TEST_CLIENT);
            nacre_request_id id = identity(len, TEST_CLIENT);
            nacre_message outer = make_response(options[i]);
            const nacre_context *before = test_snapshot(ctx);
            const nacre_err expected = len <= 1 ? NACRE_ERR_PROTECTION_INVALID : NACRE_ERR_BAD_ARGUMENT;
            assert_err(unprotect_one(ctx, &id, &outer), expected);
            assert_err(unprotect_burst(ctx, &id, &outer), expected);
            assert_true(len <= 1 ? test_same_but_failed(before, ctx, 2) : test_same(before, ctx));
        }
}

static void protecting_refuses_it_too(void **state)
{
    (void)state;
    static const nacre_nonce_choice nonces[] = { NACRE_NONCE_AUTO, NACRE_NONCE_NEW, NACRE_NONCE_REQUEST };
    for (size_t len = 1; len <= NACRE_MAX_ID; len++)
        for (size_t i = 0; i < COUNT(nonces); i++) {
            nacre_context *ctx = context_of(SHORT_NONCE, 1, TEST_SERVER);
            nacre_request_id id = identity(len, TEST_SERVER), id_before = id;
            nacre_message plain = test_response(NACRE_CONTENT, NACRE_ABSENT, NACRE_ABSENT);
            nacre_protect_options how = { .nonce = nonces[i] };
            nacre_bytes out;
            const nacre_context *before = test_snapshot(ctx);
            nacre_err err = nacre_protect_response(ctx, test_crypto(), &id, &out, test_buf(100), &plain, &how);
            if (len == 1) { /* it fits: its own Partial IV, as for any request that this context did not verify */
                assert_err(err, nonces[i] == NACRE_NONCE_REQUEST ? NACRE_ERR_NONCE_USED : NACRE_OK);
                continue;
            }
            assert_err(err, NACRE_ERR_BAD_ARGUMENT);
            assert_true(test_same(before, ctx));
            assert_memory_equal(&id, &id_before, sizeof id);
        }
}

/* RFC 8613 B.2: response #1 takes the nonce of request #1 with the Common IV of the context that made it. */
static void rederivation_refuses_it_too(void **state)
{
    (void)state;
    static const uint8_t r[NACRE_REDERIVE_NONCE] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    size_t size, align;
    nacre_context_params material = test_params(1, TEST_CLIENT);
    material.cose_aead = SHORT_NONCE;
    material.sender_id = test_hex("63");
    material.recipient_id = test_hex("73");
    assert_ok(nacre_context_key_layout(test_crypto(), SHORT_NONCE, &size, &align));
    for (size_t len = 1; len <= 2; len++) {
        nacre_rederive_client client;
        nacre_rederived derived = { .key_buf = test_buf(size) }, spare = { .key_buf = test_buf(size) };
        nacre_request_id id = identity(len, TEST_CLIENT);
        nacre_message outer = make_response("10 09 48 0102030405060708");
        assert_ok(nacre_rederive_begin(&client, &derived, test_crypto(), &material, r));
        const nacre_rederive_response_1 response = { test_crypto(), &id, &outer, r };
        assert_err(nacre_rederive_response(&client, &derived, &spare, test_buf(64), &response),
                   len == 1 ? NACRE_ERR_PROTECTION_INVALID : NACRE_ERR_BAD_ARGUMENT);
        nacre_context_wipe(&derived.context);
    }
}

/* RFC 8613 8.3, D.4: the context object that verified the request; another with the same keys does not know what that one has
 * sent. */
static void the_right_to_a_nonce_stays_with_the_context_object_that_verified(void **state)
{
    (void)state;
    for (int other = 0; other <= 1; other++) {
        nacre_context *client = test_context_of(1, TEST_CLIENT);
        nacre_context *server = test_context_of(1, TEST_SERVER), *twin = test_context_of(1, TEST_SERVER);
        nacre_context *responding = other ? twin : server;
        nacre_message get = test_request(NACRE_GET, NACRE_ABSENT, NACRE_ABSENT);
        nacre_message plain = test_response(NACRE_CONTENT, NACRE_ABSENT, NACRE_ABSENT);
        nacre_protect_options how = { .nonce = NACRE_NONCE_REQUEST };
        nacre_request_id at_client, at_server;
        nacre_bytes out;
        (void)test_unprotect_request(server, &at_server, test_protect_request(client, &at_client, &get));
        const nacre_context *before = test_snapshot(responding);
        assert_err(nacre_protect_response(responding, test_crypto(), &at_server, &out, test_buf(100), &plain, &how),
                   other ? NACRE_ERR_NONCE_USED : NACRE_OK);
        if (!other) continue;
        assert_true(test_same(before, twin));
        how.nonce = NACRE_NONCE_AUTO; /* a Partial IV of its own, and the right is still the other's */
        assert_ok(nacre_protect_response(twin, test_crypto(), &at_server, &out, test_buf(100), &plain, &how));
        assert_int_equal(nacre_context_next_seq(twin), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_longer_kid_than_the_nonce_holds_is_refused),
        TEST(protecting_refuses_it_too),
        TEST(rederivation_refuses_it_too),
        TEST(the_right_to_a_nonce_stays_with_the_context_object_that_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
