/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* site_test: resources by path, error responses that no handler writes, and /.well-known/core. */
#include "../scenario/world.h"
#include <nacre/site.h>

/* ---- Resources of the test --------------------------------------------------------------------------------------- */

static void say(void *user, const nacre_request *request, nacre_response *response)
{
    (void)request;
    nacre_response_text(response, NACRE_CONTENT, user);
}

/* Responds with the peer, the protection and the path. */
static void tell(void *user, const nacre_request *request, nacre_response *response)
{
    char text[200], digits[5];
    (void)user;
    snprintf(text, sizeof text, "%s %s %s %u", request->context != NULL ? "protected" : "plain",
             nacre_code_name(request->message->code, digits), request->path, request->peer->len);
    nacre_response_text(response, NACRE_CONTENT, text);
}

static void echo(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    response->code = NACRE_CHANGED;
    response->payload = request->message->payload;
}

static void nothing(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request, (void)response;
}

static void no_response_code(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    response->code = NACRE_GET;
}

static void large(void *user, const nacre_request *request, nacre_response *response)
{
    static uint8_t bytes[1025];
    (void)request;
    response->code = NACRE_CONTENT;
    response->payload = nacre_bytes_of(bytes, *(const size_t *)user);
}

static void many_options(void *user, const nacre_request *request, nacre_response *response)
{
    static const uint8_t value[200];
    (void)user, (void)request;
    response->code = NACRE_CREATED;
    for (int i = 0; i < 10; i++) nacre_options_add(&response->options, NACRE_OPT_LOCATION_PATH, NACRE_ARRAY(value));
}

static void long_text(void *user, const nacre_request *request, nacre_response *response)
{
    char text[2000];
    (void)user, (void)request;
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 0;
    nacre_response_text(response, NACRE_CONTENT, text);
}

static size_t sizes[2] = { 1024, 1025 };
static char secret[] = "secret", everybody[] = "everybody", root[] = "root", deeper[] = "deeper", exact[] = "exact";
#define R(path_, handler_, user_, flags_)                                                                              \
    {                                                                                                                  \
        .path = (path_), .handler = (handler_), .user = (user_), .flags = (flags_)                                     \
    }
static const nacre_resource resources[] = {
    R("/secret", say, secret, 0),
    R("/everybody", say, everybody, NACRE_RESOURCE_PLAIN),
    R("/tell", tell, NULL, NACRE_RESOURCE_PLAIN | NACRE_RESOURCE_SUBTREE),
    R("/files", say, root, NACRE_RESOURCE_SUBTREE),
    R("/files/deep/er", say, deeper, NACRE_RESOURCE_SUBTREE),
    R("/files/deep/er/exact", say, exact, NACRE_RESOURCE_HIDDEN),
    R("/echo", echo, NULL, 0),
    R("/nothing", nothing, NULL, NACRE_RESOURCE_HIDDEN),
    R("/code", no_response_code, NULL, NACRE_RESOURCE_HIDDEN),
    R("/1024", large, &sizes[0], NACRE_RESOURCE_HIDDEN),
    R("/1025", large, &sizes[1], NACRE_RESOURCE_HIDDEN),
    R("/options", many_options, NULL, NACRE_RESOURCE_HIDDEN),
    R("/long", long_text, NULL, NACRE_RESOURCE_HIDDEN),
};
enum { NUM_RESOURCES = sizeof resources / sizeof *resources };

/* ---- One request at a site --------------------------------------------------------------------------------------- */

typedef struct last_request {
    pair p;
    nacre_err site_err;
    nacre_message response; /* as the client received it */
    bool is_protected;
} last_request;

static nacre_message response_of(last_request *a)
{
    nacre_event event;
    assert_true(nacre_endpoint_next_event(a->p.client.ep, &event));
    a->is_protected = event.context != NULL;
    assert_int_equal(event.kind, NACRE_EVENT_RESPONSE);
    return event.message;
}

static nacre_site *site_on(party *p, void **memory, const nacre_resource *of, size_t num)
{
    nacre_site *site;
    const nacre_site_config config = { .transfer = p->transfer };
    const size_t size = nacre_site_size(&config);
    *memory = malloc(size);
    assert_int_equal(nacre_site_init(&site, *memory, size, &config), NACRE_OK);
    nacre_site_set_resources(site, of, num);
    return site;
}

/* Sends one request to a fresh site and leaves the response in `a`; end with pair_close(&a->p). */
static void request_site(last_request *a, bool is_protected, uint8_t method, nacre_bytes options, nacre_bytes payload,
                         const nacre_resource *of, size_t num)
{
    datagram d, back;
    nacre_exchange exchange;
    const nacre_endpoint_config config = config_unlimited((nacre_endpoint_config){ 0 });
    pair_open(&a->p, &config, &(pairing){ 0 });
    party_add_transfer(&a->p.server, NULL);
    void *memory;
    nacre_site *site = site_on(&a->p.server, &memory, of, num);
    const nacre_message request = { .type = NACRE_CON, .code = method, .options = options, .payload = payload };
    assert_int_equal(nacre_endpoint_request(a->p.client.ep, &exchange, &a->p.server.address,
                                            is_protected ? a->p.ours : NULL, &request, NULL),
                     NACRE_OK);
    (void)sent_request(&a->p, &d, 0);
    party_give(&a->p.server, &a->p.client, &d, 0);
    nacre_event event;
    a->site_err = NACRE_OK;
    if (party_next_event(&a->p.server, &event)) a->site_err = nacre_site_respond(site, &event);
    nacre_site_set_resources(site, NULL, 0);
    free(memory);
    assert_true(party_take(&a->p.server, &back, 0)); /* always responded to */
    party_give(&a->p.client, &a->p.server, &back, 0);
    a->response = response_of(a);
    assert_int_equal(a->is_protected, is_protected); /* errors are protected as the request was */
}

static nacre_bytes path_options(uint8_t *buf, size_t cap, const char *path)
{
    nacre_options o;
    nacre_bytes out;
    nacre_options_init(&o, (nacre_buf){ buf, cap });
    while (*path == '/') {
        const size_t len = strcspn(++path, "/");
        nacre_options_add(&o, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)path, len));
        path += len;
    }
    assert_int_equal(nacre_options_finish(&o, &out), NACRE_OK);
    return out;
}

static void requests_are_routed_by_path(void **state)
{
    (void)state;
    const struct {
        bool is_protected;
        const char *path;
        uint8_t code;
        const char *text; /* NULL: any */
    } rows[] = {
        { true, "/secret", NACRE_CONTENT, "secret" },
        { false, "/secret", NACRE_UNAUTHORIZED, NULL }, /* plugtest 17 */
        { true, "/everybody", NACRE_CONTENT, "everybody" },
        { false, "/everybody", NACRE_CONTENT, "everybody" },
        { true, "/tell", NACRE_CONTENT, "protected GET /tell 6" },
        { false, "/tell/a/b", NACRE_CONTENT, "plain GET /tell/a/b 6" },
        { false, "/tellx", NACRE_NOT_FOUND, NULL },
        { true, "/secret/x", NACRE_NOT_FOUND, NULL },
        { true, "/secre", NACRE_NOT_FOUND, NULL },
        { true, "", NACRE_NOT_FOUND, NULL },
        { true, "/files", NACRE_CONTENT, "root" },
        { true, "/files/", NACRE_CONTENT, "root" },
        { true, "/files/deep", NACRE_CONTENT, "root" },
        { true, "/files/deep/er", NACRE_CONTENT, "deeper" },
        { true, "/files/deep/er/x/y", NACRE_CONTENT, "deeper" },
        { true, "/files/deep/erx", NACRE_CONTENT, "root" },
        { true, "/files/deep/er/exact", NACRE_CONTENT, "exact" },
        { false, "/files/deep/er/exact", NACRE_UNAUTHORIZED, NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        last_request a;
        uint8_t buf[128];
        request_site(&a, rows[i].is_protected, NACRE_GET, path_options(buf, sizeof buf, rows[i].path), NACRE_ABSENT,
                     resources, NUM_RESOURCES);
        if (a.response.code != rows[i].code) fail_msg("%s: code %02x", rows[i].path, a.response.code);
        if (rows[i].text != NULL) {
            assert_payload(a.response, rows[i].text);
            const nacre_bytes format = nacre_option_find(a.response.options, NACRE_OPT_CONTENT_FORMAT);
            assert_true(!nacre_is_absent(format) && format.len == 0);
        }
        assert_int_equal(a.site_err, NACRE_OK);
        pair_close(&a.p);
    }
}

/* A subtree at the root handles every path, unless a longer one matches. */
static void a_root_subtree_handles_unmatched_paths(void **state)
{
    (void)state;
    const nacre_resource all[] = { R("/", say, root, NACRE_RESOURCE_SUBTREE), R("/secret", say, secret, 0) };
    const char *const rows[][2] = { { "", "root" },     { "/", "root" },         { "/x", "root" },
                                    { "/x/y", "root" }, { "/secret", "secret" }, { "/secret/x", "root" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        last_request a;
        uint8_t buf[128];
        request_site(&a, true, NACRE_GET, path_options(buf, sizeof buf, rows[i][0]), NACRE_ABSENT, all, 2);
        assert_payload(a.response, rows[i][1]);
        pair_close(&a.p);
    }
}

/* The message size is the only limit of a path: a segment has up to 255 bytes, and three characters for each when
 * percent-encoded. */
static void the_message_size_limits_a_path(void **state)
{
    static const uint8_t letters[] = { 'x', 0xe6 };
    (void)state;
    for (size_t l = 0; l < sizeof letters; l++) {
        last_request a;
        uint8_t buf[1200], segment[255];
        nacre_options o;
        nacre_bytes out;
        nacre_options_init(&o, NACRE_BUF(buf));
        nacre_options_add(&o, NACRE_OPT_URI_PATH, NACRE_STR("tell"));
        memset(segment, letters[l], sizeof segment);
        for (int i = 0; i < 4; i++) nacre_options_add(&o, NACRE_OPT_URI_PATH, NACRE_ARRAY(segment));
        assert_int_equal(nacre_options_finish(&o, &out), NACRE_OK);
        request_site(&a, true, NACRE_GET, out, NACRE_ABSENT, resources, NUM_RESOURCES);
        assert_int_equal(a.response.code, NACRE_CONTENT);
        pair_close(&a.p);
    }
}

/* ---- Options ----------------------------------------------------------------------------------------------------- */

static void critical_options_are_refused_unless_known(void **state)
{
    (void)state;
    const struct {
        const char *name;
        uint16_t number;
        size_t len;
        bool twice;
        uint8_t code;
    } rows[] = {
        { "unknown critical", 2001, 0, false, NACRE_BAD_OPTION },
        { "unknown elective", 2000, 0, false, NACRE_CONTENT },
        { "If-Match", NACRE_OPT_IF_MATCH, 4, false, NACRE_PRECONDITION_FAILED },
        { "If-Match too long", NACRE_OPT_IF_MATCH, 9, false, NACRE_BAD_OPTION },
        { "If-Match of anything", NACRE_OPT_IF_MATCH, 0, false, NACRE_CONTENT },
        { "If-Match twice", NACRE_OPT_IF_MATCH, 4, true, NACRE_PRECONDITION_FAILED },
        { "If-None-Match", NACRE_OPT_IF_NONE_MATCH, 0, false, NACRE_PRECONDITION_FAILED },
        { "If-None-Match with a value", NACRE_OPT_IF_NONE_MATCH, 1, false, NACRE_BAD_OPTION },
        { "Accept", NACRE_OPT_ACCEPT, 1, false, NACRE_CONTENT },
        { "Accept twice", NACRE_OPT_ACCEPT, 1, true, NACRE_BAD_OPTION },
        { "Uri-Host", NACRE_OPT_URI_HOST, 3, false, NACRE_CONTENT },
        { "Uri-Host twice", NACRE_OPT_URI_HOST, 3, true, NACRE_BAD_OPTION },
        { "ETag too long, elective", NACRE_OPT_ETAG, 9, false, NACRE_CONTENT },
        { "Uri-Query", NACRE_OPT_URI_QUERY, 3, true, NACRE_CONTENT },
        { "Uri-Path-Abbrev", NACRE_OPT_URI_PATH_ABBREV, 1, false, NACRE_BAD_OPTION },
        { "Q-Block1", NACRE_OPT_Q_BLOCK1, 1, false, NACRE_BAD_OPTION },
        { "Q-Block2", NACRE_OPT_Q_BLOCK2, 1, false, NACRE_BAD_OPTION },
        { "Proxy-Scheme", NACRE_OPT_PROXY_SCHEME, 4, false, NACRE_PROXYING_NOT_SUPPORTED },
        { "Proxy-Scheme-Number", NACRE_OPT_PROXY_SCHEME_NUMBER, 1, false, NACRE_PROXYING_NOT_SUPPORTED },
        { "Hop-Limit", NACRE_OPT_HOP_LIMIT, 1, false, NACRE_CONTENT },
        { "Max-Age", NACRE_OPT_MAX_AGE, 1, false, NACRE_CONTENT },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int is_protected = 0; is_protected < 2; is_protected++) {
            last_request a;
            uint8_t buf[64], value[16] = { 0 };
            nacre_options o;
            nacre_bytes encoded;
            nacre_options_init(&o, NACRE_BUF(buf));
            nacre_options_add(&o, NACRE_OPT_URI_PATH, NACRE_STR("everybody"));
            for (int n = 0; n <= rows[i].twice; n++)
                nacre_options_add(&o, rows[i].number, nacre_bytes_of(value, rows[i].len));
            assert_int_equal(nacre_options_finish(&o, &encoded), NACRE_OK);
            request_site(&a, is_protected, NACRE_GET, encoded, NACRE_ABSENT, resources, NUM_RESOURCES);
            if (a.response.code != rows[i].code) fail_msg("%s: code %02x", rows[i].name, a.response.code);
            pair_close(&a.p);
        }
    }
}

static void proxy_requests_are_refused(void **state)
{
    (void)state;
    last_request a;
    uint8_t buf[64];
    nacre_options o;
    nacre_bytes encoded;
    nacre_options_init(&o, NACRE_BUF(buf));
    nacre_options_add(&o, NACRE_OPT_PROXY_URI, NACRE_STR("coap://h/everybody"));
    assert_int_equal(nacre_options_finish(&o, &encoded), NACRE_OK);
    request_site(&a, false, NACRE_GET, encoded, NACRE_ABSENT, resources, NUM_RESOURCES);
    assert_int_equal(a.response.code, NACRE_PROXYING_NOT_SUPPORTED);
    pair_close(&a.p);
}

/* Blocks that can neither begin nor continue a transfer (RFC 7959 2.2, 2.9.2); the transfer's tests have the rest. */
static void invalid_blocks_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *name;
        uint16_t number;
        uint64_t value; /* NUM << 4 | M << 3 | SZX */
        uint8_t code;
    } rows[] = {
        { "Block1 0, last", NACRE_OPT_BLOCK1, 0x06, NACRE_CHANGED },
        { "Block1 0, more, but short", NACRE_OPT_BLOCK1, 0x0e, NACRE_BAD_REQUEST },
        { "Block1 1, last", NACRE_OPT_BLOCK1, 0x16, NACRE_INCOMPLETE },
        { "Block1, reserved size", NACRE_OPT_BLOCK1, 0x07, NACRE_BAD_REQUEST },
        { "Block2 0", NACRE_OPT_BLOCK2, 0x06, NACRE_CHANGED },
        { "Block2 1", NACRE_OPT_BLOCK2, 0x16, NACRE_INCOMPLETE },
        { "Block2, reserved size", NACRE_OPT_BLOCK2, 0x07, NACRE_BAD_REQUEST },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        last_request a;
        uint8_t buf[64];
        nacre_options o;
        nacre_bytes encoded;
        nacre_options_init(&o, NACRE_BUF(buf));
        nacre_options_add(&o, NACRE_OPT_URI_PATH, NACRE_STR("echo"));
        nacre_options_add_uint(&o, rows[i].number, rows[i].value);
        assert_int_equal(nacre_options_finish(&o, &encoded), NACRE_OK);
        request_site(&a, true, NACRE_PUT, encoded, NACRE_STR("body"), resources, NUM_RESOURCES);
        if (a.response.code != rows[i].code) fail_msg("%s: code %02x", rows[i].name, a.response.code);
        pair_close(&a.p);
    }
}

static void bodies_are_returned_around_1024_bytes(void **state)
{
    (void)state;
    static uint8_t body[1025];
    for (size_t i = 0; i < sizeof body; i++) body[i] = (uint8_t)(i * 7);
    for (size_t len = 1023; len <= 1025; len++) {
        last_request a;
        uint8_t buf[64];
        request_site(&a, true, NACRE_PUT, path_options(buf, sizeof buf, "/echo"), nacre_bytes_of(body, len), resources,
                     NUM_RESOURCES);
        assert_int_equal(a.response.code, NACRE_CHANGED);
        assert_true(nacre_bytes_equal(a.response.payload, nacre_bytes_of(body, len <= 1024 ? len : 1024)));
        assert_int_equal(nacre_is_absent(nacre_option_find(a.response.options, NACRE_OPT_BLOCK2)), len <= 1024);
        pair_close(&a.p);
    }
}

/* ---- Handler errors ---------------------------------------------------------------------------------------------- */

static void errors_of_handlers_become_5_00(void **state)
{
    (void)state;
    const struct {
        const char *path;
        uint8_t code;
        nacre_err err;
    } rows[] = {
        { "/nothing", NACRE_SERVER_ERROR, NACRE_OK }, /* the initial state of a response */
        { "/code", NACRE_SERVER_ERROR, NACRE_ERR_BAD_ARGUMENT },
        { "/1024", NACRE_CONTENT, NACRE_OK },
        { "/1025", NACRE_CONTENT, NACRE_OK },
        { "/options", NACRE_SERVER_ERROR, NACRE_ERR_BUFFER_TOO_SMALL },
        { "/long", NACRE_CONTENT, NACRE_OK },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        last_request a;
        uint8_t buf[64];
        request_site(&a, true, NACRE_GET, path_options(buf, sizeof buf, rows[i].path), NACRE_ABSENT, resources,
                     NUM_RESOURCES);
        if (a.response.code != rows[i].code || a.site_err != rows[i].err)
            fail_msg("%s: code %02x, %s", rows[i].path, a.response.code, nacre_err_name(a.site_err));
        if (rows[i].code == NACRE_SERVER_ERROR) assert_int_equal(a.response.payload.len, 0);
        if (strcmp(rows[i].path, "/long") == 0) assert_int_equal(a.response.payload.len, 1024);
        pair_close(&a.p);
    }
}

static void the_site_takes_open_requests_only(void **state)
{
    (void)state;
    party p;
    void *memory;
    party_open(&p, "p", 1, NULL);
    party_add_transfer(&p, NULL);
    nacre_site *site = site_on(&p, &memory, resources, NUM_RESOURCES);
    nacre_event event = { .kind = NACRE_EVENT_RESPONSE };
    assert_int_equal(nacre_site_respond(site, &event), NACRE_ERR_BAD_ARGUMENT);
    event = (nacre_event){ .kind = NACRE_EVENT_REQUEST, .exchange = { 3 }, .message = { .code = NACRE_GET } };
    assert_int_equal(nacre_site_respond(site, &event), NACRE_ERR_STALE);
    party_close(&p);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_routed_by_path),
        cmocka_unit_test(a_root_subtree_handles_unmatched_paths),
        cmocka_unit_test(the_message_size_limits_a_path),
        cmocka_unit_test(critical_options_are_refused_unless_known),
        cmocka_unit_test(proxy_requests_are_refused),
        cmocka_unit_test(invalid_blocks_are_refused),
        cmocka_unit_test(bodies_are_returned_around_1024_bytes),
        cmocka_unit_test(errors_of_handlers_become_5_00),
        cmocka_unit_test(the_site_takes_open_requests_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
