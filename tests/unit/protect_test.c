/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* protect_test: outgoing requests and responses (RFC 8613 4, 8.1, 8.3), and the state after a failure. */
#include "support.h"

#include <stdlib.h>

static nacre_message plain_request(void)
{
    return test_request(NACRE_PUT, test_options(3, "686f7374", 11, "747631", 12, "2a", 7, "1633", 0),
                        test_hex("aabbcc"));
}

static nacre_message plain_response(void)
{
    return test_response(NACRE_CONTENT, test_options(4, "2b", 12, "", 0), test_hex("48656c6c6f"));
}

static nacre_oscore_option option_of(nacre_bytes datagram)
{
    nacre_message m = test_parse(datagram);
    nacre_oscore_option opt;
    assert_ok(nacre_verify_start(&opt, &m));
    return opt;
}

/* RFC 8613 8.1, C.4: the whole datagram. The other official messages are in the vectors. */
static void the_datagram_of_rfc_8613_c_4_matches(void **state)
{
    (void)state;
    nacre_context_params params = test_params(1, TEST_CLIENT);
    params.next_seq = 20;
    nacre_message m = test_message("44015d1f00003974396c6f63616c686f737483747631");
    nacre_request_id id;
    assert_bytes(test_protect_request(test_context(&params), &id, &m),
                 test_hex("44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e"));
}

/* RFC 8613 4.1.3.5, 4.2: outer POST and 2.04, with Observe FETCH and 2.05, whatever the inner code is. */
static void outer_codes_hide_the_inner_code(void **state)
{
    (void)state;
    test_exchange x = test_exchange_of(1);
    static const uint8_t requests[] = {
        NACRE_GET, NACRE_POST, NACRE_PUT, NACRE_DELETE, NACRE_FETCH, NACRE_CODE(0, 31)
    };
    static const uint8_t responses[] = { NACRE_CREATED, NACRE_CONTENT, NACRE_NOT_FOUND, NACRE_SERVER_ERROR,
                                         NACRE_CODE(5, 31) };
    for (int observe = 0; observe <= 1; observe++) {
        nacre_bytes options = observe ? test_options(6, "", 0) : NACRE_ABSENT;
        for (size_t i = 0; i < COUNT(requests); i++) {
            nacre_message m = test_request(requests[i], options, NACRE_ABSENT);
            nacre_request_id id;
            assert_int_equal(test_parse(test_protect_request(x.client, &id, &m)).code,
                             observe ? NACRE_FETCH : NACRE_POST);
        }
        for (size_t i = 0; i < COUNT(responses); i++) {
            nacre_message m = test_response(responses[i], options, NACRE_ABSENT);
            nacre_message outer = test_parse(test_protect_response(x.server, &x.at_server, &m, NULL));
            assert_int_equal(outer.code, observe ? NACRE_CONTENT : NACRE_CHANGED);
        }
    }
}

/* RFC 8613 4.1, 4.1.1, 4.1.2, 4.1.3.2: class U is outer only, class E (with unknown options) inner only, Observe is
 * both. */
static void options_are_inner_or_outer_by_class(void **state)
{
    (void)state;
    test_exchange x = test_exchange_of(1);
    for (uint32_t number = 1; number < 65536; number += number < 300 ? 1 : 541) {
        if (number == NACRE_OPT_OSCORE || number == NACRE_OPT_PROXY_URI) continue;
        nacre_message m = test_request(NACRE_GET, test_options((int)number, "5a", 0), NACRE_ABSENT);
        nacre_request_id id;
        nacre_bytes datagram = test_protect_request(x.client, &id, &m);
        nacre_message outer = test_parse(datagram);
        unsigned class = nacre_option_lookup((uint16_t)number)->flags & (NACRE_CLASS_E | NACRE_CLASS_U);
        bool outside = class == NACRE_CLASS_U || number == NACRE_OPT_OBSERVE;
        assert_int_equal(!nacre_is_absent(nacre_option_find(outer.options, (uint16_t)number)), outside);
        nacre_message back = test_unprotect_request(x.server, &id, datagram);
        assert_bytes(back.options, m.options);
    }
}

/* RFC 8613 4.1.3.5.2: a notification's inner Observe is empty; the outer one has the caller's value. */
static void inner_observe_of_a_notification_is_empty(void **state)
{
    (void)state;
    test_exchange x = test_exchange_of(1);
    nacre_message m = test_response(NACRE_CONTENT, test_options(6, "012345", 0), NACRE_ABSENT);
    nacre_bytes datagram = test_protect_response(x.server, &x.at_server, &m, NULL);
    nacre_message outer = test_parse(datagram);
    assert_bytes(nacre_option_find(outer.options, 6), test_hex("012345"));
    assert_int_equal(outer.payload.len, 1 + 1 + 8); /* code, an empty Observe, the tag */
    nacre_message back = test_unprotect_response(x.client, &x.at_client, NULL, datagram);
    assert_bytes(nacre_option_find(back.options, 6), test_hex(""));
}

static void kid_context_is_sent_by_choice(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int vector;
        nacre_kid_context_choice choice;
        const char *given, *expected;
    } rows[] = {
        { "no ID Context", 1, NACRE_KID_CONTEXT_AUTO, NULL, NULL },
        { "ID Context", 3, NACRE_KID_CONTEXT_AUTO, NULL, "37cbf3210017a2d3" },
        { "ID Context, not sent", 3, NACRE_KID_CONTEXT_NEVER, NULL, NULL },
        { "another one given", 3, NACRE_KID_CONTEXT_GIVEN, "4801", "4801" },
        { "an empty one given", 1, NACRE_KID_CONTEXT_GIVEN, "", "" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_protect_options options = { .kid_context_choice = rows[i].choice,
                                          .kid_context = test_hex(rows[i].given) };
        test_exchange x = test_exchange_of(rows[i].vector);
        nacre_message m = plain_request();
        nacre_request_id id;
        nacre_bytes out;
        nacre_buf buf = test_buf(nacre_protect_size(x.client, &m, &options));
        assert_ok(nacre_protect_request(x.client, test_crypto(), &id, &out, buf, &m, &options));
        nacre_oscore_option opt = option_of(out);
        assert_bytes_row(rows[i].name, opt.kid_context, test_hex(rows[i].expected));
        assert_bytes_row(rows[i].name, opt.kid, nacre_context_sender_id(x.client));
        m = plain_response();
        for (int send_kid = 0; send_kid <= 1; send_kid++) {
            options.send_kid = send_kid;
            opt = option_of(test_protect_response(x.server, &x.at_server, &m, &options));
            bool given = rows[i].choice == NACRE_KID_CONTEXT_GIVEN; /* RFC 8613 5: by default none in responses */
            assert_bytes_row(rows[i].name, opt.kid_context, given ? test_hex(rows[i].given) : NACRE_ABSENT);
            assert_bytes_row(rows[i].name, opt.kid, send_kid ? nacre_context_sender_id(x.server) : NACRE_ABSENT);
        }
    }
}

/* RFC 8613 8.3, 8.3.1: the request's nonce serves one response; every other has its own Partial IV. */
static void the_requests_nonce_serves_one_response(void **state)
{
    (void)state;
    test_exchange x = test_exchange_of(1);
    nacre_message m = plain_response();
    nacre_protect_options fresh = { .nonce = NACRE_NONCE_NEW }, reuse = { .nonce = NACRE_NONCE_REQUEST };
    nacre_request_id copy = nacre_request_id_dup(&x.at_server);

    nacre_bytes a = test_protect_response(x.server, &x.at_server, &m, &fresh); /* the right stays */
    nacre_bytes b = test_protect_response(x.server, &copy, &m, NULL);          /* a copy has no right to the nonce */
    nacre_bytes c = test_protect_response(x.server, &x.at_server, &m, NULL);   /* used now */
    nacre_bytes d = test_protect_response(x.server, &x.at_server, &m, NULL);
    assert_bytes(option_of(a).partial_iv, test_hex("00"));
    assert_bytes(option_of(b).partial_iv, test_hex("01"));
    assert_bytes(option_of(c).partial_iv, NACRE_ABSENT);
    assert_bytes(option_of(d).partial_iv, test_hex("02"));
    nacre_bytes all[] = { a, b, c, d };
    for (size_t i = 0; i < COUNT(all); i++) {
        nacre_message back = test_unprotect_response(x.client, &x.at_client, NULL, all[i]);
        assert_bytes(back.payload, m.payload);
        for (size_t j = 0; j < i; j++) /* different nonces: different ciphertexts of the same plaintext */
            assert_false(nacre_bytes_equal(test_parse(all[i]).payload, test_parse(all[j]).payload));
    }

    static const char *const names[] = { "used", "a copy", "the client's own identity" };
    nacre_request_id *ids[] = { &x.at_server, &copy, &x.at_client };
    for (size_t i = 0; i < COUNT(ids); i++) {
        nacre_context *ctx = i == 2 ? x.client : x.server;
        const nacre_context *before = test_snapshot(ctx);
        nacre_bytes out = NACRE_STR("unchanged");
        nacre_buf buf = test_buf(200);
        assert_err_row(names[i], nacre_protect_response(ctx, test_crypto(), ids[i], &out, buf, &m, &reuse),
                       NACRE_ERR_NONCE_USED);
        assert_true(test_same(before, ctx) && test_buf_is_untouched(buf));
        assert_bytes(out, NACRE_STR("unchanged"));
    }
}

/* The nonce of a request belongs to the context that verified it; another context uses its own (RFC 8613 8.3). */
static void another_context_may_not_use_the_requests_nonce(void **state)
{
    (void)state;
    test_exchange x = test_exchange_of(1);
    nacre_context *other = test_context_of(3, TEST_SERVER);
    nacre_message m = plain_response();
    nacre_request_id id = x.at_server; /* moved */
    assert_bytes(option_of(test_protect_response(other, &id, &m, NULL)).partial_iv, test_hex("00"));
}

/* RFC 8613 4.2: empty messages are never protected; nor are responses as requests, or the reverse. */
static void empty_messages_and_wrong_codes_are_refused(void **state)
{
    (void)state;
    test_exchange x = test_exchange_of(1);
    for (int code = 0; code < 256; code++) {
        nacre_message m = { .type = NACRE_ACK, .code = (uint8_t)code, .mid = 1 };
        nacre_bytes out = NACRE_ABSENT;
        nacre_request_id id = nacre_request_id_dup(&x.at_server);
        const nacre_context *client = test_snapshot(x.client), *server = test_snapshot(x.server);
        nacre_err request = nacre_protect_request(x.client, test_crypto(), &id, &out, test_buf(60), &m, NULL);
        assert_err(request, nacre_code_is_request((uint8_t)code) ? NACRE_OK : NACRE_ERR_BAD_ARGUMENT);
        nacre_err response =
            nacre_protect_response(x.server, test_crypto(), &x.at_server, &out, test_buf(60), &m, NULL);
        assert_err(response, nacre_code_is_response((uint8_t)code) ? NACRE_OK : NACRE_ERR_BAD_ARGUMENT);
        if (request) assert_true(test_same(client, x.client));
        if (response) assert_true(test_same(server, x.server));
    }
}

/* An output buffer of exactly the needed size suffices; every smaller one is NO_BUF, and nothing changes. */
static void smaller_buffers_are_refused_unchanged(void **state)
{
    (void)state;
    for (int vector = 1; vector <= 3; vector++) {
        test_exchange x = test_exchange_of(vector);
        nacre_message m = plain_request();
        size_t needed = 0, most = nacre_protect_size(x.client, &m, NULL);
        for (size_t cap = 0; !needed; cap++) {
            assert_true(cap <= most);
            const nacre_context *before = test_snapshot(x.client);
            nacre_buf buf = test_buf(cap);
            nacre_bytes out = NACRE_STR("unchanged");
            nacre_request_id id;
            memset(&id, 0x77, sizeof id);
            nacre_err err = nacre_protect_request(x.client, test_crypto(), &id, &out, buf, &m, NULL);
            if (!err) {
                needed = cap;
                assert_int_equal(out.len, cap);
                continue;
            }
            assert_err(err, NACRE_ERR_BUFFER_TOO_SMALL);
            assert_true(test_same(before, x.client) && test_buf_is_clean(buf));
            assert_bytes(out, NACRE_STR("unchanged"));
            for (size_t i = 0; i < sizeof id; i++) assert_int_equal(((uint8_t *)&id)[i], 0x77);
        }
        for (int fresh = 1; fresh >= 0; fresh--) {
            nacre_protect_options options = { .nonce = fresh ? NACRE_NONCE_NEW : NACRE_NONCE_REQUEST };
            m = plain_response();
            needed = 0, most = nacre_protect_size(x.server, &m, &options);
            for (size_t cap = 0; !needed; cap++) {
                assert_true(cap <= most);
                const nacre_context *before = test_snapshot(x.server);
                nacre_request_id id_before = x.at_server;
                nacre_buf buf = test_buf(cap);
                nacre_bytes out = NACRE_STR("unchanged");
                nacre_err err = nacre_protect_response(x.server, test_crypto(), &x.at_server, &out, buf, &m, &options);
                if (!err) {
                    needed = cap;
                    continue;
                }
                assert_err(err, NACRE_ERR_BUFFER_TOO_SMALL);
                assert_true(test_same(before, x.server) && test_buf_is_clean(buf));
                assert_memory_equal(&id_before, &x.at_server, sizeof id_before);
                assert_bytes(out, NACRE_STR("unchanged"));
            }
        }
    }
}

/* nacre_protect_size is always enough. */
static void protect_size_is_enough(void **state)
{
    (void)state;
    for (size_t len = 0; len < 600; len += 1 + len / 20) {
        nacre_context_params params = test_params(3, TEST_CLIENT);
        params.next_seq = len % 2 ? NACRE_SEQ_MAX : 0;
        nacre_context *ctx = test_context(&params);
        nacre_message m = test_request(NACRE_POST, plain_request().options, test_fill(1, len));
        nacre_protect_options options = { NACRE_KID_CONTEXT_GIVEN, test_fill(2, len % 256), NACRE_NONCE_AUTO, false };
        nacre_buf buf = test_buf(nacre_protect_size(ctx, &m, &options));
        nacre_request_id id;
        nacre_bytes out;
        assert_ok(nacre_protect_request(ctx, test_crypto(), &id, &out, buf, &m, &options));
        (void)test_release(NULL);
    }
}

static void refused(const char *name, nacre_message m, const nacre_protect_options *options, const nacre_crypto *crypto,
                    nacre_err expected)
{
    nacre_context *ctx = test_context_of(1, TEST_CLIENT);
    const nacre_context *before = test_snapshot(ctx);
    const size_t sizes[] = { nacre_protect_size(ctx, &m, options),
                             70000 }; /* of the valid range, 0 gets the error's own code */
    for (size_t i = 0; i < COUNT(sizes); i++) {
        nacre_buf buf = test_buf(sizes[i]);
        nacre_bytes out = NACRE_STR("unchanged");
        nacre_request_id id;
        assert_err_row(name, nacre_protect_request(ctx, crypto, &id, &out, buf, &m, options), expected);
        if (!expected) continue;
        assert_true(test_same(before, ctx) && test_buf_is_clean(buf));
        assert_bytes(out, NACRE_STR("unchanged"));
    }
}

static void invalid_messages_are_refused(void **state)
{
    (void)state;
    nacre_crypto_ops other_ops = *test_crypto()->ops;
    nacre_crypto other = { &other_ops, test_crypto()->instance };
    nacre_message good = plain_request(), m = good;
    refused("good", good, NULL, test_crypto(), NACRE_OK);
    refused("another provider", good, NULL, &other, NACRE_ERR_BAD_ARGUMENT);
    m.type = 4;
    refused("type 4", m, NULL, test_crypto(), NACRE_ERR_BAD_ARGUMENT);

    static const struct {
        const char *name, *options;
        nacre_err err;
    } rows[] = {
        { "OSCORE option", "90", NACRE_ERR_NESTED }, /* RFC 8613 4.1.3.7 */
        { "OSCORE option after others", "3161 60", NACRE_ERR_NESTED },
        { "OSCORE option between others", "3161 620914 23747631", NACRE_ERR_NESTED },
        { "OSCORE option before Proxy-Uri", "90 d80d636f61703a2f2f68", NACRE_ERR_NESTED },
        { "option 8 before Proxy-Uri", "80 d80e636f61703a2f2f68", NACRE_OK },
        { "option 8", "80", NACRE_OK },
        { "option 10", "a0", NACRE_OK },
        { "Proxy-Uri that is none", "d21663 3a", NACRE_ERR_BAD_URI },
        { "Proxy-Uri", "d816636f61703a2f2f68", NACRE_OK },
        { "Uri-Path beside Proxy-Uri", "b161 d80b636f61703a2f2f68", NACRE_ERR_BAD_ARGUMENT },
        { "Proxy-Scheme", "d41a636f6170", NACRE_OK },
        { "value cut off", "b37476", NACRE_ERR_BAD_ARGUMENT },
        { "value whole", "b3747631", NACRE_OK },
        { "payload marker among options", "b0ff00", NACRE_ERR_BAD_ARGUMENT },
        { "delta 15", "f0", NACRE_ERR_BAD_ARGUMENT },
        { "number above 65535", "e0fef3", NACRE_ERR_BAD_ARGUMENT },
        { "number 65535", "e0fef2", NACRE_OK },
        { "malformed after a class U option", "3161 b3", NACRE_ERR_BAD_ARGUMENT },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        m = good;
        m.options = test_hex(rows[i].options);
        refused(rows[i].name, m, NULL, test_crypto(), rows[i].err);
    }
    nacre_protect_options given = { .kid_context_choice = NACRE_KID_CONTEXT_GIVEN, .kid_context = test_fill(1, 255) };
    refused("kid context of 255", good, &given, test_crypto(), NACRE_OK);
    given.kid_context = test_fill(1, 256);
    refused("kid context of 256", good, &given, test_crypto(), NACRE_ERR_TOO_LONG);
}

/* RFC 8613 4.1.3.3: path and query of a Proxy-Uri become inner options; scheme, host and port stay outside. */
static void proxy_uri_is_split(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *outside, *path[3], *query;
    } rows[] = {
        { "coap://example.com/resource?q=1", "coap://example.com", { "resource" }, "q=1" },
        { "coap://example.com", "coap://example.com", { NULL }, NULL },
        { "coap://example.com/", "coap://example.com", { NULL }, NULL },
        { "coap://example.com:5683/a", "coap://example.com", { "a" }, NULL },
        { "coap://example.com:61616/a/b", "coap://example.com:61616", { "a", "b" }, NULL },
        { "coap://[2001:db8::1]/a", "coap://[2001:db8::1]", { "a" }, NULL },
        { "coap://[2001:db8::1]:7?x", "coap://[2001:db8::1]:7", { NULL }, "x" },
        { "coap://[::1]", "coap://[::1]", { NULL }, NULL },
        { "coap://192.0.2.1/a/", "coap://192.0.2.1", { "a", "" }, NULL },
        { "coap://h?q", "coap://h", { NULL }, "q" },
        { "coap://h/%41", "coap://h", { "A" }, NULL },
        { "coaps://h:5684/a", "coaps://h", { "a" }, NULL },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        test_exchange x = test_exchange_of(1);
        nacre_options o;
        nacre_message m = test_request(NACRE_GET, NACRE_ABSENT, test_hex("aa"));
        nacre_request_id id;
        nacre_options_init(&o, test_buf(200));
        nacre_options_add(&o, NACRE_OPT_PROXY_URI, nacre_bytes_of((const uint8_t *)rows[i].uri, strlen(rows[i].uri)));
        assert_ok(nacre_options_finish(&o, &m.options));
        nacre_bytes datagram = test_protect_request(x.client, &id, &m);
        nacre_message outer = test_parse(datagram), back = test_unprotect_request(x.server, &id, datagram);
        nacre_bytes outside = nacre_bytes_of((const uint8_t *)rows[i].outside, strlen(rows[i].outside));
        assert_bytes_row(rows[i].uri, nacre_option_find(outer.options, NACRE_OPT_PROXY_URI), outside);
        assert_bytes_row(rows[i].uri, nacre_option_find(back.options, NACRE_OPT_PROXY_URI), outside);
        size_t segments = 0;
        nacre_option opt;
        for (nacre_option_iter it = nacre_option_begin(back.options); nacre_option_next(&it, &opt);) {
            if (opt.number != NACRE_OPT_URI_PATH) continue;
            const char *segment = rows[i].path[segments++];
            if (segment == NULL) fail_msg("%s: more segments than it has", rows[i].uri);
            else assert_bytes_row(rows[i].uri, opt.value, nacre_bytes_of((const uint8_t *)segment, strlen(segment)));
        }
        assert_true(segments == 3 || !rows[i].path[segments]);
        nacre_bytes query = nacre_option_find(back.options, NACRE_OPT_URI_QUERY);
        assert_int_equal(nacre_is_absent(query), rows[i].query == NULL);
        if (rows[i].query) assert_int_equal(memcmp(query.ptr, rows[i].query, query.len), 0);
        assert_true(nacre_is_absent(nacre_option_find(outer.options, NACRE_OPT_URI_PATH)));
    }
}

/* Splitting a Proxy-Uri uses the buffer as working memory; it is wiped when the call fails. */
static void proxy_uri_leaves_nothing_in_the_buffer(void **state)
{
    (void)state;
    nacre_context_params params = test_params(1, TEST_CLIENT);
    nacre_message m = test_request(NACRE_GET, NACRE_ABSENT, NACRE_ABSENT);
    nacre_options o;
    nacre_options_init(&o, test_buf(100));
    nacre_options_add(&o, NACRE_OPT_PROXY_URI, NACRE_STR("coap://h/secret"));
    assert_ok(nacre_options_finish(&o, &m.options));
    params.persistent = true; /* with no number confirmed */
    nacre_context *ctx = test_context(&params);
    nacre_request_id id;
    nacre_bytes out;
    nacre_buf buf = test_buf(nacre_protect_size(ctx, &m, NULL));
    assert_err(nacre_protect_request(ctx, test_crypto(), &id, &out, buf, &m, NULL), NACRE_ERR_NOT_YET);
    assert_true(test_buf_is_clean(buf));
    nacre_context_confirm_reserved(ctx, 10);
    assert_ok(nacre_protect_request(ctx, test_crypto(), &id, &out, buf, &m, NULL));
    for (size_t i = 0; i + 6 <= buf.cap; i++) assert_int_not_equal(memcmp(buf.ptr + i, "secret", 6), 0);
}

/* The algorithm's limit: AES-CCM with nonces of 13 bytes takes plaintexts of 65535 bytes. */
static void plaintexts_are_up_to_the_algorithms_limit(void **state)
{
    (void)state;
    for (size_t len = 65532; len <= 65535; len++) {
        nacre_message m = test_request(NACRE_POST, NACRE_ABSENT, test_fill(3, len)); /* plus code and marker */
        refused("longest plaintext", m, NULL, test_crypto(), len + 2 <= 65535 ? NACRE_OK : NACRE_ERR_TOO_LONG);
    }
}

/* When the cipher fails, the number and the right to the nonce are used up: it may have processed them. */
static void failing_seal(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num_jobs)
{
    (void)crypto;
    for (size_t i = 0; i < num_jobs; i++) jobs[i]->ok = false;
}

static void a_failing_cipher_uses_up_number_and_nonce(void **state)
{
    (void)state;
    nacre_crypto_ops ops = *test_crypto()->ops;
    nacre_crypto failing = { &ops, test_crypto()->instance };
    test_exchange x = test_exchange_of(1);
    ops.seal_many = failing_seal;
    nacre_message request = plain_request(), response = plain_response();
    nacre_protect_options reuse = { .nonce = NACRE_NONCE_REQUEST };
    x.client->ops = x.server->ops = &ops; /* as if this provider had prepared the keys */
    nacre_buf buf = test_buf(200);
    nacre_bytes out = NACRE_STR("unchanged");
    nacre_request_id id;
    uint64_t seq = nacre_context_next_seq(x.client);
    assert_err(nacre_protect_request(x.client, &failing, &id, &out, buf, &request, NULL), NACRE_ERR_CRYPTO);
    assert_int_equal(nacre_context_next_seq(x.client), seq + 1);
    assert_true(test_buf_is_clean(buf));
    assert_err(nacre_protect_response(x.server, &failing, &x.at_server, &out, buf, &response, &reuse),
               NACRE_ERR_CRYPTO);
    assert_err(nacre_protect_response(x.server, &failing, &x.at_server, &out, buf, &response, &reuse),
               NACRE_ERR_NONCE_USED);
    assert_true(test_buf_is_clean(buf));
    assert_bytes(out, NACRE_STR("unchanged"));
    x.client->ops = x.server->ops = test_crypto()->ops;
}

/* A message with more AAD than the provider takes is refused before any number is used. */
static void aad_above_the_providers_limit_is_refused(void **state)
{
    (void)state;
    nacre_crypto_ops ops = *test_crypto()->ops;
    nacre_crypto limited = { &ops, test_crypto()->instance };
    nacre_context *ctx = test_context_of(1, TEST_CLIENT);
    nacre_message m = plain_request();
    nacre_request_id id;
    nacre_bytes out;
    ctx->ops = &ops;
    size_t aad = sizeof "Encrypt0" - 1 + 4 + 8; /* RFC 8613 5.4, kid empty, Partial IV of one byte */
    const nacre_context *before = test_snapshot(ctx);
    ops.max_aad = aad - 1;
    nacre_buf buf = test_buf(200);
    assert_err(nacre_protect_request(ctx, &limited, &id, &out, buf, &m, NULL), NACRE_ERR_UNSUPPORTED);
    assert_true(test_same(before, ctx) && test_buf_is_clean(buf));
    ops.max_aad = aad;
    assert_ok(nacre_protect_request(ctx, &limited, &id, &out, buf, &m, NULL));
    ctx->ops = test_crypto()->ops;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_datagram_of_rfc_8613_c_4_matches),
        TEST(outer_codes_hide_the_inner_code),
        TEST(options_are_inner_or_outer_by_class),
        TEST(inner_observe_of_a_notification_is_empty),
        TEST(kid_context_is_sent_by_choice),
        TEST(the_requests_nonce_serves_one_response),
        TEST(another_context_may_not_use_the_requests_nonce),
        TEST(empty_messages_and_wrong_codes_are_refused),
        TEST(smaller_buffers_are_refused_unchanged),
        TEST(protect_size_is_enough),
        TEST(invalid_messages_are_refused),
        TEST(proxy_uri_is_split),
        TEST(proxy_uri_leaves_nothing_in_the_buffer),
        TEST(plaintexts_are_up_to_the_algorithms_limit),
        TEST(a_failing_cipher_uses_up_number_and_nonce),
        TEST(aad_above_the_providers_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
