/* SPDX-License-Identifier: MIT */
/* contexts: the security contexts of RFC 8613 C.1 to C.3, and one exchange between two of them. */
#include "blocks.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

static nacre_crypto crypto;

static void close_crypto(void)
{
    test_release(NULL);
    nacre_provider_close(&crypto);
}

/* OpenSSL, or the provider named by NACRE_TEST_PROVIDER, so that each test of the core can run over each provider. */
static nacre_err open_crypto(void)
{
    const char *name = getenv("NACRE_TEST_PROVIDER");
    return name != NULL && strcmp(name, "ipsec_mb") == 0 ? nacre_ipsec_mb_open(&crypto) : nacre_openssl_open(&crypto);
}

const nacre_crypto *test_crypto(void)
{
    if (!crypto.ops) {
        assert_ok(open_crypto());
        assert_int_equal(atexit(close_crypto), 0);
    }
    return &crypto;
}

nacre_context_params test_params(int vector, test_end end)
{
    nacre_context_params params = { .cose_aead = NACRE_AES_CCM_16_64_128,
                                    .master_secret.bytes = test_hex("0102030405060708090a0b0c0d0e0f10") };
    if (vector != 2) params.master_salt = test_hex("9e7ca92223786340");
    if (vector == 3) params.id_context = test_hex("37cbf3210017a2d3");
    nacre_bytes client = test_hex(vector == 2 ? "00" : ""), server = test_hex("01");
    params.sender_id = end == TEST_CLIENT ? client : server;
    params.recipient_id = end == TEST_CLIENT ? server : client;
    return params;
}

static void wipe_context(void *ctx)
{
    nacre_context_wipe(ctx);
    free(ctx);
}

nacre_context *test_context(const nacre_context_params *params)
{
    size_t size, align;
    assert_ok(nacre_context_key_layout(test_crypto(), params->cose_aead, &size, &align));
    nacre_buf keys = { aligned_alloc(align, size), size };
    nacre_context *ctx = calloc(1, sizeof *ctx);
    assert_non_null(ctx);
    test_keep(keys.ptr, free);
    test_keep(ctx, wipe_context);
    assert_ok(nacre_context_init(ctx, test_crypto(), params, keys));
    return ctx;
}

nacre_context *test_context_of(int vector, test_end end)
{
    nacre_context_params params = test_params(vector, end);
    return test_context(&params);
}

const nacre_context *test_snapshot(const nacre_context *ctx)
{
    nacre_context *copy = test_alloc(sizeof *copy);
    memcpy(copy, ctx, sizeof *copy);
    return copy;
}

bool test_same(const nacre_context *before, const nacre_context *ctx)
{
    return memcmp(before, ctx, sizeof *ctx) == 0;
}

bool test_same_but_failed(const nacre_context *before, const nacre_context *ctx, uint32_t failures)
{
    nacre_context same;
    memcpy(&same, before, sizeof same);
    same.failed += failures;
    return test_same(&same, ctx);
}

nacre_bytes test_protect_request(nacre_context *ctx, nacre_request_id *id, const nacre_message *plain)
{
    nacre_buf buf = test_buf(nacre_protect_size(ctx, plain, NULL));
    nacre_bytes out;
    assert_ok(nacre_protect_request(ctx, test_crypto(), id, &out, buf, plain, NULL));
    assert_ptr_equal(out.ptr, buf.ptr);
    return test_copy(out);
}

nacre_bytes test_protect_response(nacre_context *ctx, nacre_request_id *id, const nacre_message *plain,
                                  const nacre_protect_options *options)
{
    nacre_buf buf = test_buf(nacre_protect_size(ctx, plain, options));
    nacre_bytes out;
    assert_ok(nacre_protect_response(ctx, test_crypto(), id, &out, buf, plain, options));
    assert_ptr_equal(out.ptr, buf.ptr);
    return test_copy(out);
}

nacre_message test_unprotect_request(nacre_context *ctx, nacre_request_id *id, nacre_bytes datagram)
{
    nacre_message outer = test_parse(datagram), plain;
    assert_ok(nacre_unprotect_request(ctx, test_crypto(), id, &plain, test_buf(datagram.len), &outer));
    return plain;
}

nacre_message test_unprotect_response(nacre_context *ctx, const nacre_request_id *id, nacre_response_info *info,
                                      nacre_bytes datagram)
{
    nacre_message outer = test_parse(datagram), plain;
    assert_ok(nacre_unprotect_response(ctx, test_crypto(), id, &plain, info, test_buf(datagram.len), &outer));
    return plain;
}

test_exchange test_exchange_of(int vector)
{
    test_exchange x = { .client = test_context_of(vector, TEST_CLIENT),
                        .server = test_context_of(vector, TEST_SERVER) };
    nacre_message get = test_request(NACRE_GET, test_options(NACRE_OPT_URI_PATH, "747631", 0), NACRE_ABSENT);
    x.request = test_protect_request(x.client, &x.at_client, &get);
    (void)test_unprotect_request(x.server, &x.at_server, x.request);
    return x;
}
