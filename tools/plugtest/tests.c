/* SPDX-License-Identifier: MIT */
/* tests: the public OSCORE interop tests, one function per kind. A test compares code, payload and the exact set
 * of options; its remark says what was received instead. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client.h"

typedef struct expected {
    uint8_t code;
    nacre_bytes options; /* encoded, whole */
    const char *payload;
} expected;

#define TEXT_FORMAT "\xc0" /* Content-Format 0 */

static plugtest_verdict fail(plugtest_client *client, const char *format, ...) NACRE_PRINTF(2, 3);
static plugtest_verdict fail(plugtest_client *client, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(client->remark, sizeof client->remark, format, args);
    va_end(args);
    return PLUGTEST_FAILED;
}

static void remark(plugtest_client *client, const char *text)
{
    (void)snprintf(client->remark, sizeof client->remark, "%s", text);
}

/* ---- Making requests ------------------------------------------------------------------------------------------------ */

typedef struct request {
    nacre_message message;
    nacre_options options;
    uint8_t buf[128];
} request;

static void make(request *r, uint8_t method, const char *path)
{
    *r = (request){ .message = { .type = NACRE_CON, .code = method } };
    nacre_options_init(&r->options, NACRE_BUF(r->buf));
    while (*path == '/') {
        size_t len = strcspn(path + 1, "/");
        nacre_options_add(&r->options, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)path + 1, len));
        path += 1 + len;
    }
}

static bool send_request(plugtest_client *client, nacre_context *context, request *r)
{
    nacre_err err = nacre_options_finish(&r->options, &r->message.options);
    if (err == NACRE_OK) return plugtest_request(client, context, &r->message);
    (void)fail(client, "%s", nacre_err_text(err));
    return false;
}

/* ---- Checking responses --------------------------------------------------------------------------------------------- */

static const char *code_of(const plugtest_client *client, char buf[5])
{
    return nacre_code_name(client->outcome.message.code, buf);
}

static plugtest_verdict unexpected(plugtest_client *client)
{
    const plugtest_outcome *o = &client->outcome;
    char buf[5];
    if (client->remark[0] != '\0') return PLUGTEST_FAILED;
    if (o->kind != NACRE_EVENT_FAILED)
        return fail(client, "responded %s%s", code_of(client, buf), o->is_protected ? ", protected" : "");
    if (o->err == NACRE_ERR_UNAUTHENTICATED || o->err == NACRE_ERR_NOT_PROTECTED)
        return fail(client, "responded %s without protection", code_of(client, buf));
    return fail(client, "%s", nacre_err_text(o->err));
}

static bool is_response(const plugtest_client *client, nacre_event_kind kind, bool is_protected)
{
    return client->outcome.kind == kind && client->outcome.is_protected == is_protected;
}

static plugtest_verdict compare(plugtest_client *client, const expected *e)
{
    const nacre_message *m = &client->outcome.message;
    nacre_bytes payload = nacre_bytes_of((const uint8_t *)e->payload, strlen(e->payload));
    char buf[5], hex[2 * 64 + 1];
    if (m->code != e->code) return fail(client, "the code is %s", code_of(client, buf));
    if (m->options.len > 64) return fail(client, "there are more options than the test has");
    if (!nacre_bytes_equal(m->options, e->options)) {
        nacre_hex_encode(hex, m->options);
        return fail(client, "the options are %s in hex", hex);
    }
    if (!nacre_bytes_equal(m->payload, payload))
        return fail(client, "the payload has %zu bytes, and not those of the test", m->payload.len);
    return PLUGTEST_PASSED;
}

static plugtest_verdict expect_response(plugtest_client *client, nacre_context *context, request *r, const expected *e)
{
    if (!send_request(client, context, r)) return unexpected(client);
    return is_response(client, NACRE_EVENT_RESPONSE, context != NULL) ? compare(client, e) : unexpected(client);
}

/* An unprotected error (RFC 8613 8.2). Sending it is optional for a server, so silence passes if the server
 * responds at all. */
static plugtest_verdict expect_refusal(plugtest_client *client, nacre_context *context, request *r, uint8_t code)
{
    const plugtest_outcome *o = &client->outcome;
    const expected alive = { NACRE_CONTENT, NACRE_STR(TEXT_FORMAT), "Hello World!" };
    if (!send_request(client, context, r)) return unexpected(client);
    if (o->kind == NACRE_EVENT_FAILED && o->err == NACRE_ERR_UNAUTHENTICATED && o->message.code == code)
        return PLUGTEST_PASSED;
    if (o->kind != NACRE_EVENT_FAILED || o->err != NACRE_ERR_TIMEOUT) return unexpected(client);
    make(r, NACRE_GET, "/oscore/hello/coap");
    if (expect_response(client, NULL, r, &alive) != PLUGTEST_PASSED) return fail(client, "the server does not respond");
    remark(client, "the server chose to be silent");
    return PLUGTEST_PASSED;
}

/* ---- The tests ------------------------------------------------------------------------------------------------------ */

static const expected hello_world = { NACRE_CONTENT, { (const uint8_t *)TEXT_FORMAT, 1 }, "Hello World!" };

static plugtest_verdict plain_hello(plugtest_client *client)
{
    request r;
    make(&r, NACRE_GET, "/oscore/hello/coap");
    return expect_response(client, NULL, &r, &hello_world);
}

static plugtest_verdict hello_a(plugtest_client *client)
{
    request r;
    make(&r, NACRE_GET, "/oscore/hello/1");
    return expect_response(client, client->a.context, &r, &hello_world);
}

static plugtest_verdict hello_c(plugtest_client *client)
{
    request r;
    make(&r, NACRE_GET, "/oscore/hello/1");
    return expect_response(client, client->c.context, &r, &hello_world);
}

static plugtest_verdict query(plugtest_client *client)
{
    request r;
    const expected e = { NACRE_CONTENT, NACRE_STR("\x41\x2b\x80"), "Hello World!" }; /* ETag, Content-Format */
    make(&r, NACRE_GET, "/oscore/hello/2");
    nacre_options_add(&r.options, NACRE_OPT_URI_QUERY, NACRE_STR("first=1"));
    return expect_response(client, client->a.context, &r, &e);
}

static plugtest_verdict accept(plugtest_client *client)
{
    request r;
    const expected e = { NACRE_CONTENT, NACRE_STR("\xc0\x21\x05"), "Hello World!" }; /* Content-Format, Max-Age */
    make(&r, NACRE_GET, "/oscore/hello/3");
    nacre_options_add_uint(&r.options, NACRE_OPT_ACCEPT, 0);
    return expect_response(client, client->a.context, &r, &e);
}

static plugtest_verdict not_observable(plugtest_client *client)
{
    request r;
    make(&r, NACRE_GET, "/oscore/hello/1");
    nacre_options_add_uint(&r.options, NACRE_OPT_OBSERVE, 0);
    return expect_response(client, client->a.context, &r, &hello_world);
}

static plugtest_verdict post(plugtest_client *client)
{
    request r;
    const expected e = { NACRE_CHANGED, NACRE_STR(TEXT_FORMAT), "\x4a" };
    make(&r, NACRE_POST, "/oscore/hello/6");
    nacre_options_add_uint(&r.options, NACRE_OPT_CONTENT_FORMAT, 0);
    r.message.payload = NACRE_STR("\x4a");
    return expect_response(client, client->a.context, &r, &e);
}

/* PUT with a precondition. */
static plugtest_verdict put(plugtest_client *client, uint16_t condition, nacre_bytes value, nacre_bytes text,
                            uint8_t code)
{
    request r;
    const expected e = { code, NACRE_STR(""), "" };
    make(&r, NACRE_PUT, "/oscore/hello/7");
    nacre_options_add_uint(&r.options, NACRE_OPT_CONTENT_FORMAT, 0);
    nacre_options_add(&r.options, condition, value);
    r.message.payload = text;
    return expect_response(client, client->a.context, &r, &e);
}

static plugtest_verdict put_match(plugtest_client *client)
{
    return put(client, NACRE_OPT_IF_MATCH, NACRE_STR("\x7b"), NACRE_STR("\x7a"), NACRE_CHANGED);
}

static plugtest_verdict put_none_match(plugtest_client *client)
{
    return put(client, NACRE_OPT_IF_NONE_MATCH, NACRE_STR(""), NACRE_STR("\x8a"), NACRE_PRECONDITION_FAILED);
}

static plugtest_verdict remove_it(plugtest_client *client)
{
    request r;
    const expected e = { NACRE_DELETED, NACRE_STR(""), "" };
    make(&r, NACRE_DELETE, "/oscore/test");
    return expect_response(client, client->a.context, &r, &e);
}

/* ---- Observing ------------------------------------------------------------------------------------------------------ */

enum { CHANGE_MS = 10000 }; /* the server changes the state every two seconds */

static plugtest_verdict check_notification(plugtest_client *client, const char *payload)
{
    const nacre_message *m = &client->outcome.message;
    const nacre_bytes text = nacre_bytes_of((const uint8_t *)payload, strlen(payload));
    if (!is_response(client, NACRE_EVENT_NOTIFICATION, true)) return unexpected(client);
    if (m->code != NACRE_CONTENT || nacre_is_absent(nacre_option_find(m->options, NACRE_OPT_OBSERVE)))
        return unexpected(client);
    if (!nacre_bytes_equal(m->payload, text)) return fail(client, "a notification is not \"%s\"", payload);
    return PLUGTEST_PASSED;
}

static plugtest_verdict expect_series(plugtest_client *client, const char *path)
{
    request r;
    make(&r, NACRE_GET, path);
    nacre_options_add_uint(&r.options, NACRE_OPT_OBSERVE, 0);
    if (!send_request(client, client->a.context, &r)) return unexpected(client);
    plugtest_verdict verdict = check_notification(client, "one");
    if (verdict != PLUGTEST_PASSED) return verdict;
    if (!plugtest_wait(client, CHANGE_MS)) return fail(client, "the second notification did not come");
    return check_notification(client, "two");
}

/* The last response has no Observe; the rest of it is not a matter of OSCORE. */
static plugtest_verdict expect_end(plugtest_client *client, uint8_t code)
{
    const nacre_message *m = &client->outcome.message;
    if (!plugtest_wait(client, CHANGE_MS)) return fail(client, "the observation did not end");
    if (!is_response(client, NACRE_EVENT_RESPONSE, true) || m->code != code) return unexpected(client);
    bool observes = !nacre_is_absent(nacre_option_find(m->options, NACRE_OPT_OBSERVE));
    return observes ? fail(client, "the last response has Observe") : PLUGTEST_PASSED;
}

static plugtest_verdict observe_to_the_end(plugtest_client *client)
{
    plugtest_verdict verdict = expect_series(client, "/oscore/observe1");
    return verdict == PLUGTEST_PASSED ? expect_end(client, NACRE_SERVER_ERROR) : verdict;
}

static plugtest_verdict observe_and_cancel(plugtest_client *client)
{
    plugtest_verdict verdict = expect_series(client, "/oscore/observe2");
    if (verdict != PLUGTEST_PASSED) return verdict;
    nacre_err err = nacre_endpoint_unobserve(nacre_loop_endpoint(client->loop), client->exchange);
    return err == NACRE_OK ? expect_end(client, NACRE_CONTENT) : fail(client, "%s", nacre_err_text(err));
}

/* ---- Contexts with one wrong property ------------------------------------------------------------------------------- */

/* Context A with a number reserved in A itself: when only the recipient key is wrong, the sender nonce must not be reused. */
static nacre_err make_wrong(plugtest_client *client, plugtest_context *wrong, int inverted, nacre_bytes sender_id)
{
    uint64_t number;
    nacre_err err = plugtest_spend(client, &client->a, &number);
    if (err != NACRE_OK) return err;
    client->crypto.inverted = inverted;
    err = plugtest_derive(wrong, 'a', &client->crypto.crypto, sender_id, number);
    client->crypto.inverted = -1;
    return err;
}

/* Sends a request with the context `other` and closes it; `made` is the result of making it. The server refuses with `code`; 0:
 * its response does not verify here. */
static plugtest_verdict request_with(plugtest_client *client, plugtest_context *other, nacre_err made, uint8_t code)
{
    request r;
    plugtest_verdict verdict;
    if (made != NACRE_OK) return fail(client, "%s", nacre_err_text(made));
    make(&r, NACRE_GET, "/oscore/hello/1");
    if (code != 0) {
        verdict = expect_refusal(client, other->context, &r, code);
    } else {
        const bool right = send_request(client, other->context, &r) && client->outcome.kind == NACRE_EVENT_FAILED &&
                           client->outcome.err == NACRE_ERR_PROTECTION_INVALID;
        verdict = right ? PLUGTEST_PASSED : unexpected(client);
    }
    plugtest_end(client);
    (void)plugtest_close(other, NULL);
    return verdict;
}

static plugtest_verdict refused(plugtest_client *client, int inverted, nacre_bytes sender_id, uint8_t code)
{
    plugtest_context wrong;
    return request_with(client, &wrong, make_wrong(client, &wrong, inverted, sender_id), code);
}

static plugtest_verdict wrong_sender_id(plugtest_client *client)
{
    return refused(client, -1, NACRE_STR("spam"), NACRE_UNAUTHORIZED);
}

static plugtest_verdict wrong_sender_key(plugtest_client *client)
{
    return refused(client, NACRE_SEAL, NACRE_ABSENT, NACRE_BAD_REQUEST);
}

static plugtest_verdict wrong_recipient_key(plugtest_client *client)
{
    return refused(client, NACRE_OPEN, NACRE_ABSENT, 0);
}

/* The same request twice, identical but for message ID and token. One request precedes it, so that a server that lost its
 * window has verified an Echo already. */
static plugtest_verdict replay(plugtest_client *client)
{
    plugtest_context again;
    for (int i = 0; i < 2; i++)
        if (hello_a(client) != PLUGTEST_PASSED) return PLUGTEST_FAILED;
    const nacre_err made = plugtest_derive(&again, 'a', &client->crypto.crypto, NACRE_ABSENT,
                                           nacre_context_next_seq(client->a.context) - 1);
    return request_with(client, &again, made, NACRE_UNAUTHORIZED);
}

/* RFC 8613 8.4, RFC 7252 5.4.1: OSCORE is a critical option. */
static plugtest_verdict unaware(plugtest_client *client)
{
    request r;
    const plugtest_outcome *o = &client->outcome;
    make(&r, NACRE_GET, "/oscore/hello/coap");
    if (!send_request(client, client->a.context, &r)) return unexpected(client);
    if (o->kind != NACRE_EVENT_FAILED || o->err != NACRE_ERR_UNAUTHENTICATED) return unexpected(client);
    if (o->message.code == NACRE_METHOD_NOT_ALLOWED) remark(client, "4.05 is tolerated, 4.02 would be right");
    if (o->message.code == NACRE_METHOD_NOT_ALLOWED || o->message.code == NACRE_BAD_OPTION) return PLUGTEST_PASSED;
    return unexpected(client);
}

static plugtest_verdict plain_refused(plugtest_client *client)
{
    request r;
    make(&r, NACRE_GET, "/oscore/hello/1");
    if (!send_request(client, NULL, &r)) return unexpected(client);
    bool right = is_response(client, NACRE_EVENT_RESPONSE, false) && client->outcome.message.code == NACRE_UNAUTHORIZED;
    return right ? PLUGTEST_PASSED : unexpected(client);
}

/* ---- By number ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *title;
    plugtest_verdict (*run)(plugtest_client *client);
} tests[PLUGTEST_LAST + 1] = {
    [0] = { "plain GET", plain_hello },
    [1] = { "GET, contexts A and B", hello_a },
    [2] = { "GET with ID Context, contexts C and D", hello_c },
    [3] = { "GET with Uri-Query, ETag in the response", query },
    [4] = { "GET with Accept, Max-Age in the response", accept },
    [5] = { "GET with Observe of what cannot be observed", not_observable },
    [6] = { "observation that the server ends by an error", observe_to_the_end },
    [7] = { "observation that the client ends", observe_and_cancel },
    [8] = { "POST with payload", post },
    [9] = { "PUT with If-Match", put_match },
    [10] = { "PUT with If-None-Match, refused", put_none_match },
    [11] = { "DELETE", remove_it },
    [12] = { "wrong Sender ID, refused", wrong_sender_id },
    [13] = { "wrong sender key, refused", wrong_sender_key },
    [14] = { "wrong recipient key, the response is refused", wrong_recipient_key },
    [15] = { "the same request again, refused as a replay", replay },
    [16] = { "GET to a server that does not know OSCORE", unaware },
    [17] = { "plain GET of a protected resource, refused", plain_refused },
};

plugtest_verdict plugtest_run(plugtest_client *client, int number)
{
    return tests[number].run(client);
}

const char *plugtest_title(int number)
{
    return tests[number].title;
}
