/* SPDX-License-Identifier: MIT */
/* proxy_example_test: the forward proxy of examples/ between a client and a server: which requests it forwards, which
 * it refuses, and which of its responses the client trusts. */
#include "pair.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

enum { HOP_LIMIT_REACHED = NACRE_CODE(5, 8) };

typedef struct fixture {
    pair pair;
    served s, proxy, cutting; /* cutting: another proxy, with --block-size */
} fixture;

/* Responds with the received options and the request's protection. */
static void what_came(void *user, const nacre_request *request, nacre_response *response)
{
    char text[200];
    uint64_t hops = 0;
    nacre_option option;
    (void)user;
    (void)nacre_option_uint(nacre_option_find(request->message->options, NACRE_OPT_HOP_LIMIT), &hops);
    (void)snprintf(text, sizeof text, "%s %u:", request->context != NULL ? "protected" : "plain", (unsigned)hops);
    for (nacre_option_iter it = nacre_option_begin(request->message->options); nacre_option_next(&it, &option);)
        if (option.number != NACRE_OPT_HOP_LIMIT)
            (void)snprintf(text + strlen(text), sizeof text - strlen(text), " %u", (unsigned)option.number);
    nacre_response_text(response, NACRE_CONTENT, text);
}

/* Responds with the request's payload. */
static void echo(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    response->code = NACRE_CHANGED;
    response->payload = request->message->payload;
}

static void fill(nacre_server *server, void *user)
{
    fixture *f = user;
    const nacre_resource resource = { .path = "/x", .handler = what_came, .flags = NACRE_RESOURCE_PLAIN };
    const nacre_resource echoing = { .path = "/echo", .handler = echo, .flags = NACRE_RESOURCE_PLAIN };
    if (nacre_server_add_context(server, f->pair.server, NULL) != NACRE_OK ||
        nacre_server_add_resource(server, &resource) != NACRE_OK ||
        nacre_server_add_resource(server, &echoing) != NACRE_OK)
        exit(3);
}

static int set_up(void **state)
{
    char program[sizeof NACRE_TOOL + 20], address[] = "[::1]:0";
    char option[] = "--block-size", size[] = "64";
    char *argv[] = { program, address, NULL }, *cutting[] = { program, option, size, address, NULL };
    fixture *f = test_alloc(sizeof *f);
    (void)snprintf(program, sizeof program, "%.*sexamples/proxy", (int)(strrchr(NACRE_TOOL, '/') + 1 - NACRE_TOOL),
                   NACRE_TOOL);
    memset(f, 0, sizeof *f);
    pair_make(&f->pair);
    f->s = served_start("[::1]:0", fill, f);
    f->proxy = served_program(argv);
    f->cutting = served_program(cutting);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    pair_remove(&f->pair);
    return test_release(state);
}

/* "CODE PAYLOAD", or an error's name and the code received with it. */
static const char *request(const fixture *f, bool is_protected, bool proxy_uri, const char *uri, uint16_t option,
                           nacre_bytes value)
{
    static char text[300];
    char buf[5];
    uint8_t option_buf[64];
    nacre_client *client;
    nacre_reply reply = { 0 };
    nacre_options o;
    nacre_detail why = { "" };
    const nacre_client_options options = { .context_dir = is_protected ? f->pair.client : NULL,
                                           .proxy = f->proxy.origin,
                                           .proxy_uri = proxy_uri };
    nacre_options_init(&o, NACRE_BUF(option_buf));
    if (option != 0) nacre_options_add(&o, option, value);
    assert_int_equal(nacre_client_open(&client, &options, &why), NACRE_OK);
    nacre_err err = nacre_client_request(client, &reply, NACRE_GET, uri, &o, NACRE_ABSENT, &why);
    if (err == NACRE_OK) {
        assert_int_equal(reply.is_protected, is_protected);
        (void)snprintf(text, sizeof text, "%s %.*s", nacre_code_name(reply.code, buf), (int)reply.payload.len,
                       (const char *)reply.payload.ptr);
    } else {
        (void)snprintf(text, sizeof text, "%s %s", nacre_err_name(err), nacre_code_name(reply.code, buf));
    }
    assert_int_equal(nacre_client_close(client, &why), NACRE_OK);
    return text;
}

static const char *request_plainly(const fixture *f, const char *path, uint16_t option, nacre_bytes value)
{
    return request(f, false, false, served_uri(&f->s, path), option, value);
}

/* RFC 7252 5.7, 5.10.2: the proxy's own options do not reach the server, nor does a Uri-Host that is an address. RFC
 * 8768 3: Hop-Limit is added. */
static void proxy_uri_and_proxy_scheme_are_forwarded(void **state)
{
    const fixture *f = *state;
    for (int form = 0; form < 2; form++) {
        const char *uri = served_uri(&f->s, "/x?q");
        assert_string_equal(request(f, true, form, uri, 0, NACRE_ABSENT), "2.05 Content protected 16: 11 15");
        assert_string_equal(request(f, false, form, uri, 0, NACRE_ABSENT), "2.05 Content plain 16: 11 15");
    }
    assert_string_equal(request_plainly(f, "/nowhere", 0, NACRE_ABSENT), "4.04 Not Found no such resource");
}

static void hops_are_counted(void **state)
{
    const fixture *f = *state;
    char expected[40], buf[5];
    assert_string_equal(request_plainly(f, "/x", NACRE_OPT_HOP_LIMIT, NACRE_STR("\x02")), "2.05 Content plain 1: 11");
    assert_string_equal(request_plainly(f, "/x", NACRE_OPT_HOP_LIMIT, NACRE_STR("\xff")), "2.05 Content plain 254: 11");
    (void)snprintf(expected, sizeof expected, "%s ", nacre_code_name(HOP_LIMIT_REACHED, buf));
    assert_string_equal(request_plainly(f, "/x", NACRE_OPT_HOP_LIMIT, NACRE_STR("\x01")), expected);
    assert_string_equal(request_plainly(f, "/x", NACRE_OPT_HOP_LIMIT, NACRE_STR("")), "4.00 Bad Request ");
    assert_string_equal(request_plainly(f, "/x", NACRE_OPT_HOP_LIMIT, NACRE_STR("\x01\x01")), "4.00 Bad Request ");
}

/* RFC 7252 5.7.1: the proxy rejects unsafe options that it does not know; others pass, critical ones too. */
static void unsafe_unknown_options_stop_at_the_proxy(void **state)
{
    const fixture *f = *state;
    enum { UNSAFE = 65002, SAFE = 65000, SAFE_CRITICAL = 65001 };
    assert_string_equal(request_plainly(f, "/x", UNSAFE, NACRE_STR("u")), "4.02 Bad Option ");
    assert_string_equal(request_plainly(f, "/x", SAFE, NACRE_STR("s")), "2.05 Content plain 16: 11 65000");
    assert_string_equal(request_plainly(f, "/x", SAFE_CRITICAL, NACRE_STR("c")),
                        "4.02 Bad Option critical option not understood"); /* the server's response */
    /* The proxy sees no inner options. */
    assert_string_equal(request(f, true, false, served_uri(&f->s, "/x"), 65000, NACRE_STR("s")),
                        "2.05 Content protected 16: 11 65000");
}

/* The proxy responds to what it cannot do in clear; for a protected request that is a hint and no response. */
static void errors_of_the_proxy_are_in_clear(void **state)
{
    const fixture *f = *state;
    static const struct {
        const char *uri, *plain, *protected;
    } rows[] = {
        { "coap://[::1]:9/x", "5.04 Gateway Timeout ", "NACRE_ERR_UNAUTHENTICATED 5.04 Gateway Timeout" },
        { "http://[::1]:9/x", "5.05 Proxying Not Supported ", "NACRE_ERR_UNAUTHENTICATED 5.05 Proxying Not Supported" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(request(f, false, i & 1, rows[i].uri, 0, NACRE_ABSENT), rows[i].plain);
        assert_string_equal(request(f, true, i & 1, rows[i].uri, 0, NACRE_ABSENT), rows[i].protected);
    }
    char itself[120];
    (void)snprintf(itself, sizeof itself, "%s/x", f->proxy.origin);
    assert_string_equal(request(f, false, false, itself, 0, NACRE_ABSENT), "4.04 Not Found "); /* it has no resources */
}

/* RFC 8613 4.1.3.4.2: bodies pass a proxy that transfers everything in blocks of 64 bytes; OSCORE payloads are opaque
 * to it, and those above 1024 bytes have inner blocks at the same time. */
static void bodies_pass_in_blocks(void **state)
{
    const fixture *f = *state;
    static const size_t lens[] = { 0, 40, 64, 65, 500, 1024, 5000 };
    static uint8_t body[5000];
    nacre_detail why = { "" };
    for (size_t i = 0; i < sizeof body; i++) body[i] = (uint8_t)(i * 7 + i / 251);
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        nacre_client *client;
        const nacre_client_options options = { .context_dir = is_protected ? f->pair.client : NULL,
                                               .proxy = f->cutting.origin };
        assert_int_equal(nacre_client_open(&client, &options, &why), NACRE_OK);
        for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
            nacre_reply reply = { 0 };
            const nacre_err err = nacre_client_request(client, &reply, NACRE_POST, served_uri(&f->s, "/echo"), NULL,
                                                       nacre_bytes_of(body, lens[i]), &why);
            if (err != NACRE_OK) fail_msg("%zu bytes: %s", lens[i], why.text);
            assert_int_equal(reply.is_protected, is_protected);
            assert_int_equal(reply.code, NACRE_CHANGED);
            assert_int_equal(reply.payload.len, lens[i]);
            if (lens[i] > 0) assert_memory_equal(reply.payload.ptr, body, lens[i]);
        }
        assert_int_equal(nacre_client_close(client, &why), NACRE_OK);
    }
}

int main(void)
{
#define FORWARDED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        FORWARDED(proxy_uri_and_proxy_scheme_are_forwarded),
        FORWARDED(hops_are_counted),
        FORWARDED(unsafe_unknown_options_stop_at_the_proxy),
        FORWARDED(errors_of_the_proxy_are_in_clear),
        FORWARDED(bodies_pass_in_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
