/* SPDX-License-Identifier: MIT */
/* resources: the resources of the interop tests. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server.h"

enum { FORMAT_TEXT = 0, FORMAT_LINKS = 40, PLAIN_BLOCK = 64, MAX_BLOCK = 1024 };

typedef struct received {
    const plugtest_view *view;
    const nacre_message *request;
    const char *path;
    bool is_protected;
} received;

void plugtest_reply_init(plugtest_reply *reply, uint8_t code)
{
    reply->code = code;
    reply->payload = NACRE_ABSENT;
    nacre_options_init(&reply->options, NACRE_BUF(reply->option_buf));
}

void plugtest_reply_text(plugtest_reply *reply, const char *text)
{
    plugtest_reply_init(reply, NACRE_CONTENT);
    nacre_options_add_uint(&reply->options, NACRE_OPT_CONTENT_FORMAT, FORMAT_TEXT);
    reply->payload = nacre_bytes_of((const uint8_t *)text, strlen(text));
}

/* ---- What a test's request must contain ----------------------------------------------------------------------------- */

static void remark(const received *a, const char *what)
{
    char buf[5];
    fprintf(stderr, "nacre plugtest-server: %s %s: %s\n", nacre_code_name(a->request->code, buf), a->path, what);
}

static bool has(const received *a, uint16_t number, nacre_bytes value)
{
    nacre_option option;
    for (nacre_option_iter it = nacre_option_begin(a->request->options); nacre_option_next(&it, &option);)
        if (option.number == number && nacre_bytes_equal(option.value, value)) return true;
    return false;
}

static void expect(const received *a, uint16_t number, nacre_bytes value, const char *what)
{
    if (!has(a, number, value)) remark(a, what);
}

/* Echo and Observe are allowed in any test. */
static void expect_options(const received *a, int num)
{
    nacre_option option;
    for (nacre_option_iter it = nacre_option_begin(a->request->options); nacre_option_next(&it, &option);)
        if (option.number != NACRE_OPT_URI_PATH && option.number != NACRE_OPT_URI_HOST &&
            option.number != NACRE_OPT_URI_PORT && option.number != NACRE_OPT_ECHO &&
            option.number != NACRE_OPT_OBSERVE)
            num--;
    if (num < 0) remark(a, "the test has no such options");
}

/* ---- Resources ------------------------------------------------------------------------------------------------------ */

static void hello(const received *a, plugtest_reply *reply)
{
    expect_options(a, 0);
    plugtest_reply_text(reply, "Hello World!");
}

/* RFC 7252 5.10.8: no request changes a resource, so the response is made first; its ETag is that of the resource. */
static void check_conditions(const received *a, plugtest_reply *reply)
{
    nacre_bytes options = NACRE_ABSENT;
    if (reply->code >> 5 != 2 || nacre_options_finish(&reply->options, &options) != NACRE_OK) return;
    if (nacre_conditions_hold(a->request->options, true, nacre_option_find(options, NACRE_OPT_ETAG))) return;
    plugtest_reply_init(reply, NACRE_PRECONDITION_FAILED);
}

static void hello_2(const received *a, plugtest_reply *reply)
{
    expect(a, NACRE_OPT_URI_QUERY, NACRE_STR("first=1"), "test 3 asks with first=1");
    expect_options(a, 1);
    plugtest_reply_text(reply, "Hello World!");
    nacre_options_add(&reply->options, NACRE_OPT_ETAG, NACRE_STR("\x2b"));
}

static void hello_3(const received *a, plugtest_reply *reply)
{
    expect(a, NACRE_OPT_ACCEPT, NACRE_STR(""), "test 4 asks with Accept 0");
    expect_options(a, 1);
    plugtest_reply_text(reply, "Hello World!");
    nacre_options_add_uint(&reply->options, NACRE_OPT_MAX_AGE, 5);
}

static void hello_6(const received *a, plugtest_reply *reply)
{
    nacre_bytes format = nacre_option_find(a->request->options, NACRE_OPT_CONTENT_FORMAT);
    expect(a, NACRE_OPT_CONTENT_FORMAT, NACRE_STR(""), "test 8 sends Content-Format 0");
    expect_options(a, 1);
    plugtest_reply_init(reply, NACRE_CHANGED);
    if (!nacre_is_absent(format)) nacre_options_add(&reply->options, NACRE_OPT_CONTENT_FORMAT, format);
    reply->payload = a->request->payload;
}

/* The resource exists, with ETag 7b (RFC 7252 5.10.8). */
static void hello_7(const received *a, plugtest_reply *reply)
{
    nacre_bytes options = a->request->options;
    bool none_match = !nacre_is_absent(nacre_option_find(options, NACRE_OPT_IF_NONE_MATCH));
    bool match = !nacre_is_absent(nacre_option_find(options, NACRE_OPT_IF_MATCH));
    bool fits = has(a, NACRE_OPT_IF_MATCH, NACRE_STR("\x7b")) || has(a, NACRE_OPT_IF_MATCH, NACRE_STR(""));
    expect(a, NACRE_OPT_CONTENT_FORMAT, NACRE_STR(""), "tests 9 and 10 send Content-Format 0");
    if (!none_match && !fits) remark(a, "tests 9 and 10 send If-Match 7b or If-None-Match");
    expect_options(a, 2);
    plugtest_reply_init(reply, none_match || (match && !fits) ? NACRE_PRECONDITION_FAILED : NACRE_CHANGED);
}

static void removed(const received *a, plugtest_reply *reply)
{
    expect_options(a, 0);
    plugtest_reply_init(reply, NACRE_DELETED);
}

static const plugtest_series series[] = { { "/oscore/observe1", { "one", "two", NULL }, true },
                                          { "/oscore/observe2", { "one", "two", NULL }, false } };

const plugtest_series *plugtest_observed(const nacre_message *request)
{
    char path[64];
    if (request->code != NACRE_GET || nacre_path_text(request->options, path, sizeof path) != NACRE_OK) return NULL;
    for (size_t i = 0; i < sizeof series / sizeof series[0]; i++)
        if (strcmp(path, series[i].path) == 0) return &series[i];
    return NULL;
}

/* A deregistration gets the last state (test 7), a request without Observe the first. */
static void observed(const received *a, plugtest_reply *reply)
{
    plugtest_reply_text(reply, has(a, NACRE_OPT_OBSERVE, NACRE_STR("\x01")) ? "two" : "one");
}

static int print_context(char *to, size_t buf, char letter, const nacre_context *ctx)
{
    uint64_t index;
    uint8_t bits[NACRE_REPLAY_MAX / 8] = { 0 };
    const nacre_replay *window = nacre_context_replay(ctx);
    bool known = nacre_replay_export(window, &index, bits);
    int len =
        snprintf(to, buf, "context %c: the next sequence number is %" PRIu64 "\n", letter, nacre_context_next_seq(ctx));
    if (!known) return len + snprintf(to + len, buf - (size_t)len, "the replay window is not known\n");
    len += snprintf(to + len, buf - (size_t)len, "seen: all below %" PRIu64, index);
    for (unsigned i = 0; i < 32; i++)
        if (bits[i / 8] >> i % 8 & 1) len += snprintf(to + len, buf - (size_t)len, ", %" PRIu64, index + i);
    return len + snprintf(to + len, buf - (size_t)len, "\n");
}

static void sequence_numbers(const received *a, plugtest_reply *reply)
{
    int len = 0;
    reply->buf[0] = '\0';
    if (a->view->b != NULL) len = print_context(reply->buf, sizeof reply->buf / 2, 'B', a->view->b);
    if (a->view->d != NULL) (void)print_context(reply->buf + len, sizeof reply->buf / 2, 'D', a->view->d);
    plugtest_reply_text(reply, reply->buf);
}

/* ---- Bodies longer than a block (RFC 7959 2.4) ---------------------------------------------------------------------- */

static void put_block(const received *a, plugtest_reply *reply, nacre_bytes body)
{
    nacre_bytes has_option = nacre_option_find(a->request->options, NACRE_OPT_BLOCK2);
    uint64_t block = a->is_protected ? 6 : 2; /* NUM 0 */
    if (!nacre_is_absent(has_option) && (!nacre_option_uint(has_option, &block) || (block & 7) == 7)) {
        plugtest_reply_init(reply, NACRE_BAD_REQUEST);
        return;
    }
    size_t size = (size_t)16 << (block & 7), at = (size_t)(block >> 4) * size;
    if (at != 0 && at >= body.len) {
        plugtest_reply_init(reply, NACRE_BAD_REQUEST);
        return;
    }
    bool more = body.len - at > size;
    if (body.len > size || !nacre_is_absent(has_option))
        nacre_options_add_uint(&reply->options, NACRE_OPT_BLOCK2, (block & ~UINT64_C(8)) | (more ? 8 : 0));
    reply->payload = nacre_bytes_of(body.ptr + at, more ? size : body.len - at);
}

static void large(const received *a, plugtest_reply *reply)
{
    static const char head[] = "This is a large resource\n", line[] = "0123456789";
    size_t len = sizeof head - 1;
    memcpy(reply->buf, head, len);
    for (; len < PLUGTEST_LARGE; len += sizeof line - 1) memcpy(reply->buf + len, line, sizeof line - 1);
    plugtest_reply_text(reply, "");
    put_block(a, reply, nacre_bytes_of((const uint8_t *)reply->buf, len));
}

static void links(const received *a, plugtest_reply *reply);

/* ---- By path -------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *path;
    uint8_t method;
    bool plain; /* also served unprotected */
    void (*response)(const received *a, plugtest_reply *reply);
} resources[] = {
    { "/.well-known/core", NACRE_GET, true, links },
    { "/oscore/hello/coap", NACRE_GET, true, hello },
    { "/oscore/hello/1", NACRE_GET, false, hello },
    { "/oscore/hello/2", NACRE_GET, false, hello_2 },
    { "/oscore/hello/3", NACRE_GET, false, hello_3 },
    { "/oscore/hello/6", NACRE_POST, false, hello_6 },
    { "/oscore/hello/7", NACRE_PUT, false, hello_7 },
    { "/oscore/observe1", NACRE_GET, false, observed },
    { "/oscore/observe2", NACRE_GET, false, observed },
    { "/oscore/test", NACRE_DELETE, false, removed },
    { "/oscore/block/outer", NACRE_GET, false, large },
    { "/oscore/block/inner", NACRE_GET, false, large },
    { "/sequence-numbers", NACRE_GET, true, sequence_numbers },
};
enum { NUM_RESOURCES = sizeof resources / sizeof resources[0] };

/* RFC 6690, RFC 8613 9. */
static void links(const received *a, plugtest_reply *reply)
{
    size_t len = 0;
    for (size_t i = 1; i < NUM_RESOURCES; i++)
        len += (size_t)snprintf(reply->buf + len, sizeof reply->buf - len, "%s<%s>%s", i > 1 ? "," : "",
                                resources[i].path, resources[i].plain ? "" : ";osc");
    plugtest_reply_init(reply, NACRE_CONTENT);
    nacre_options_add_uint(&reply->options, NACRE_OPT_CONTENT_FORMAT, FORMAT_LINKS);
    put_block(a, reply, nacre_bytes_of((const uint8_t *)reply->buf, len));
}

/* RFC 7252 5.4.1: unknown critical options; OSCORE is one when it was not processed (test 16). */
static bool is_not_understood(const nacre_message *request)
{
    nacre_option option;
    for (nacre_option_iter it = nacre_option_begin(request->options); nacre_option_next(&it, &option);) {
        uint16_t n = option.number;
        bool known = n == NACRE_OPT_IF_MATCH || n == NACRE_OPT_URI_HOST || n == NACRE_OPT_IF_NONE_MATCH ||
                     n == NACRE_OPT_URI_PORT || n == NACRE_OPT_URI_PATH || n == NACRE_OPT_URI_QUERY ||
                     n == NACRE_OPT_ACCEPT || n == NACRE_OPT_BLOCK2;
        if (nacre_option_is_critical(n) && !known) return true;
    }
    return false;
}

void plugtest_respond(const plugtest_view *view, const nacre_message *request, bool is_protected, plugtest_reply *reply)
{
    char path[256];
    plugtest_reply_init(reply, NACRE_NOT_FOUND);
    if (is_not_understood(request)) {
        reply->code = NACRE_BAD_OPTION;
        return;
    }
    if (nacre_path_text(request->options, path, sizeof path) != NACRE_OK) return;
    const received a = { view, request, path, is_protected };
    for (size_t i = 0; i < NUM_RESOURCES; i++) {
        if (strcmp(resources[i].path, path) != 0) continue;
        if (!is_protected && !resources[i].plain) reply->code = NACRE_UNAUTHORIZED; /* test 17 */
        else if (request->code != resources[i].method) reply->code = NACRE_METHOD_NOT_ALLOWED;
        else resources[i].response(&a, reply);
        if (resources[i].response != hello_7) check_conditions(&a, reply);
        return;
    }
}
