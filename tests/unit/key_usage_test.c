/* SPDX-License-Identifier: MIT */
/* key_usage_test: the counts grow with the use of the keys, report when new keys are due, and stop nothing. */
#include "support.h"

static void messages_and_forgeries_are_counted(void **unused)
{
    (void)unused;
    test_exchange e = test_exchange_of(1);
    nacre_usage client = nacre_context_usage(e.client), server = nacre_context_usage(e.server);
    assert_int_equal(server.protected_messages, 0);
    nacre_message response = test_response(NACRE_CONTENT, NACRE_ABSENT, NACRE_ABSENT);
    test_protect_response(e.server, &e.at_server, &response, NULL); /* the request's nonce: no number, yet one use */
    assert_int_equal(nacre_context_usage(e.server).protected_messages, 1);
    assert_int_equal(client.max_protected_messages, 1 << 20);
    assert_int_equal(client.max_failed_decryptions, 1 << 14);
    assert_int_equal(client.max_message, 4096);
    assert_false(client.due);
}

static void forgeries_are_reported_and_do_not_stop_the_context(void **unused)
{
    (void)unused;
    nacre_context *client = test_context_of(1, TEST_CLIENT), *server = test_context_of(1, TEST_SERVER);
    nacre_message plain = test_request(NACRE_GET, NACRE_ABSENT, NACRE_ABSENT), got;
    nacre_request_id id;
    nacre_bytes forged = test_copy(test_protect_request(client, &id, &plain));
    ((uint8_t *)(uintptr_t)forged.ptr)[forged.len - 1] ^= 1;
    nacre_message outer = test_parse(forged);
    nacre_buf buf = test_buf(64);
    for (int i = 0; i < 1 << 14; i++) {
        assert_false(nacre_context_usage(server).due);
        assert_err(nacre_unprotect_request(server, test_crypto(), &id, &got, buf, &outer),
                   NACRE_ERR_PROTECTION_INVALID);
    }
    assert_true(nacre_context_usage(server).due);
    test_unprotect_request(server, &id, test_protect_request(client, &id, &plain));
}

static void numbers_used_by_earlier_processes_count(void **unused)
{
    (void)unused;
    nacre_context_params params = test_params(1, TEST_CLIENT);
    params.next_seq = (1 << 20) - 1;
    nacre_context *ctx = test_context(&params);
    assert_false(nacre_context_usage(ctx).due);
    nacre_message plain = test_request(NACRE_GET, NACRE_ABSENT, NACRE_ABSENT);
    nacre_request_id id;
    test_protect_request(ctx, &id, &plain);
    assert_true(nacre_context_usage(ctx).due);
    test_protect_request(ctx, &id, &plain); /* the context goes on */
}

static void longer_tags_allow_more_forgeries(void **unused)
{
    (void)unused;
    nacre_context_params params = test_params(1, TEST_CLIENT);
    params.cose_aead = 30; /* AES-CCM-16-128-128 */
    nacre_usage usage = nacre_context_usage(test_context(&params));
    assert_int_equal(usage.max_failed_decryptions, 1 << 20);
    assert_int_equal(usage.max_message, 16384);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_and_forgeries_are_counted),
        TEST(forgeries_are_reported_and_do_not_stop_the_context),
        TEST(numbers_used_by_earlier_processes_count),
        TEST(longer_tags_allow_more_forgeries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
