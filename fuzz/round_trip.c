/* SPDX-License-Identifier: MIT */
/* round_trip: unprotect restores a protected message, and only the options that belong outside are outside (RFC 8613
 * 4.1, 4.2). First byte: 1 with ID Context, 2 a response with its own Partial IV, 4 with kid. */
#include "fuzz.h"

#include "coap/uri.h"

enum { ID_CONTEXT = 1, NEW_PIV = 2, SEND_KID = 4 };

static bool has(nacre_bytes options, uint16_t number)
{
    return !nacre_is_absent(nacre_option_find(options, number));
}

/* The outer options: OSCORE, Observe, and class U. */
static void check_outer(const nacre_message *outer, const nacre_message *plain)
{
    nacre_option opt;
    for (nacre_option_iter it = nacre_option_begin(outer->options); nacre_option_next(&it, &opt);) {
        CHECK(fuzz_outer_only(opt.number) || opt.number == NACRE_OPT_OBSERVE);
        if (opt.number == NACRE_OPT_PROXY_URI && nacre_code_is_request(plain->code)) { /* RFC 8613 4.1.3.3 */
            nacre_uri uri;
            CHECK(nacre__uri_parse_any(&uri, opt.value) == NACRE_OK);
            CHECK(uri.path.len == 0 && nacre_is_absent(uri.query));
        } else if (opt.number != NACRE_OPT_OSCORE) {
            CHECK(fuzz_same_values(outer->options, plain->options, opt.number));
        }
    }
    bool observe = has(plain->options, NACRE_OPT_OBSERVE);
    uint8_t code = nacre_code_is_request(plain->code) ? (observe ? NACRE_FETCH : NACRE_POST)
                                                      : (observe ? NACRE_CONTENT : NACRE_CHANGED);
    CHECK(outer->code == code && outer->mid == plain->mid && outer->type == plain->type);
    CHECK(fuzz_same(outer->token, plain->token));
}

static void check_back(const nacre_message *back, const nacre_message *plain)
{
    CHECK(back->code == plain->code && back->mid == plain->mid && back->type == plain->type);
    CHECK(fuzz_same(back->token, plain->token) && fuzz_same(back->payload, plain->payload));
    if (nacre_code_is_request(plain->code) && has(plain->options, NACRE_OPT_PROXY_URI))
        return; /* it was split: check_outer has checked it */
    nacre_option a, b;
    nacre_option_iter in_a = nacre_option_begin(plain->options), in_b = nacre_option_begin(back->options);
    while (nacre_option_next(&in_a, &a)) {
        CHECK(nacre_option_next(&in_b, &b) && a.number == b.number);
        bool notification = a.number == NACRE_OPT_OBSERVE && nacre_code_is_response(plain->code);
        CHECK(notification ? b.value.len == 0 : fuzz_same(a.value, b.value)); /* RFC 8613 4.1.3.5 */
    }
    CHECK(!nacre_option_next(&in_b, &b));
}

static bool may_fail(nacre_err err, const nacre_message *plain)
{
    if (has(plain->options, NACRE_OPT_OSCORE) && err == NACRE_ERR_NESTED) return true;
    return nacre_code_is_request(plain->code) && has(plain->options, NACRE_OPT_PROXY_URI) &&
           (err == NACRE_ERR_BAD_URI || err == NACRE_ERR_BAD_ARGUMENT);
}

static nacre_message outer_of(nacre_bytes datagram)
{
    nacre_message outer;
    CHECK(nacre_message_parse(&outer, datagram) == NACRE_OK);
    return outer;
}

static void request(fuzz_pair *pair, const nacre_message *plain)
{
    nacre_request_id at_client, at_server;
    nacre_bytes out;
    nacre_message back;
    const nacre_context before = pair->client;
    size_t size = nacre_protect_size(&pair->client, plain, NULL);
    nacre_buf buf = fuzz_buf(size);
    nacre_err err = nacre_protect_request(&pair->client, fuzz_crypto(), &at_client, &out, buf, plain, NULL);
    if (err != NACRE_OK) {
        CHECK(may_fail(err, plain) && fuzz_unchanged(&before, &pair->client) && fuzz_is_clean(buf));
        return;
    }
    CHECK(pair->client.next == before.next + 1 && out.len <= size);
    nacre_message outer = outer_of(out);
    check_outer(&outer, plain);
    CHECK(nacre_unprotect_request(&pair->server, fuzz_crypto(), &at_server, &back, fuzz_buf(out.len), &outer) ==
          NACRE_OK);
    check_back(&back, plain);
}

static void response(fuzz_pair *pair, const nacre_message *plain, uint8_t flags)
{
    nacre_request_id at_client, at_server;
    nacre_bytes out;
    nacre_message back, outer, get = { .code = NACRE_GET };
    CHECK(nacre_protect_request(&pair->client, fuzz_crypto(), &at_client, &out, fuzz_buf(64), &get, NULL) == NACRE_OK);
    outer = outer_of(out);
    CHECK(nacre_unprotect_request(&pair->server, fuzz_crypto(), &at_server, &back, fuzz_buf(out.len), &outer) ==
          NACRE_OK);

    nacre_protect_options how = { .nonce = flags & NEW_PIV ? NACRE_NONCE_NEW : NACRE_NONCE_AUTO,
                                  .send_kid = flags & SEND_KID };
    nacre_response_info info;
    size_t size = nacre_protect_size(&pair->server, plain, &how);
    nacre_buf buf = fuzz_buf(size);
    nacre_err err = nacre_protect_response(&pair->server, fuzz_crypto(), &at_server, &out, buf, plain, &how);
    if (err != NACRE_OK) {
        CHECK(may_fail(err, plain) && fuzz_is_clean(buf));
        return;
    }
    CHECK(out.len <= size);
    outer = outer_of(out);
    check_outer(&outer, plain);
    CHECK(nacre_unprotect_response(&pair->client, fuzz_crypto(), &at_client, &back, &info, fuzz_buf(out.len), &outer) ==
          NACRE_OK);
    CHECK(info.has_partial_iv == ((flags & NEW_PIV) != 0));
    check_back(&back, plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = { data, data + size };
    uint8_t flags = fuzz_u8(&in);
    fuzz_pair pair = fuzz_contexts(flags & ID_CONTEXT ? 3 : 1);
    nacre_message plain;
    if (nacre_message_parse(&plain, fuzz_rest(&in)) == NACRE_OK) {
        nacre_request_id id;
        nacre_bytes out;
        if (nacre_code_is_request(plain.code)) request(&pair, &plain);
        else if (nacre_code_is_response(plain.code)) response(&pair, &plain, flags);
        else /* RFC 8613 4.2: empty messages are never protected */
            CHECK(nacre_protect_request(&pair.client, fuzz_crypto(), &id, &out, fuzz_buf(2048), &plain, NULL) ==
                  NACRE_ERR_BAD_ARGUMENT);
    }
    fuzz_release();
    return 0;
}
