/* SPDX-License-Identifier: MIT */
/* site_access_test: the function that decides on access sees each request first, and its refusal is the response. */
#include "../scenario/world.h"
#include <nacre/site.h>

#include "support.h"

static unsigned num_handled;

static void handle(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    num_handled++;
    nacre_response_text(response, NACRE_CONTENT, "handled");
}

static const nacre_resource resources[] = {
    { .path = "/a", .handler = handle },
    { .path = "/b", .handler = handle, .flags = NACRE_RESOURCE_PLAIN },
    { .path = "/hidden", .handler = handle, .flags = NACRE_RESOURCE_HIDDEN },
};

/* Decides as a row of the test says, for one path. */
typedef struct rule {
    const char *path;
    uint8_t code;
    unsigned num_calls;
} rule;

static uint8_t on_access(void *user, const nacre_request *request)
{
    rule *r = user;
    r->num_calls++;
    return strcmp(request->path, r->path) == 0 ? r->code : 0;
}

/* One request to a fresh site; false: the response is not the one expected. */
static void request_site(bool is_protected, uint8_t method, const char *path, rule *r, uint8_t code, const char *text)
{
    pair p;
    datagram d, back;
    nacre_exchange exchange;
    nacre_event event;
    nacre_site *site;
    uint8_t buf[64];
    nacre_options o;
    nacre_message request = { .type = NACRE_CON, .code = method };
    const nacre_endpoint_config config = config_unlimited((nacre_endpoint_config){ 0 });
    pair_open(&p, &config, &(pairing){ 0 });
    party_add_transfer(&p.server, NULL);
    const nacre_site_config of_site = { .transfer = p.server.transfer };
    const size_t size = nacre_site_size(&of_site);
    void *memory = malloc(size);
    assert_ok(nacre_site_init(&site, memory, size, &of_site));
    nacre_site_set_resources(site, resources, sizeof resources / sizeof *resources);
    nacre_site_on_access(site, on_access, r);
    nacre_options_init(&o, NACRE_BUF(buf));
    for (const char *at = path; *at == '/';) {
        const size_t len = strcspn(++at, "/");
        nacre_options_add(&o, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)at, len));
        at += len;
    }
    assert_ok(nacre_options_finish(&o, &request.options));
    assert_ok(nacre_endpoint_request(p.client.ep, &exchange, &p.server.address, is_protected ? p.ours : NULL, &request,
                                     NULL));
    (void)sent_request(&p, &d, 0);
    party_give(&p.server, &p.client, &d, 0);
    assert_true(party_next_event(&p.server, &event));
    assert_ok(nacre_site_respond(site, &event));
    assert_true(party_take(&p.server, &back, 0));
    party_give(&p.client, &p.server, &back, 0);
    assert_true(nacre_endpoint_next_event(p.client.ep, &event));
    assert_int_equal(event.message.code, code);
    assert_true((event.context != NULL) == is_protected);
    if (text != NULL) assert_bytes(event.message.payload, nacre_bytes_of((const uint8_t *)text, strlen(text)));
    free(memory);
    pair_close(&p);
}

static void a_refusal_is_the_response_and_no_handler_is_called(void **state)
{
    static const struct {
        bool is_protected;
        const char *path;
        uint8_t refused_with, code;
    } rows[] = {
        { true, "/a", 0, NACRE_CONTENT },
        { true, "/a", NACRE_FORBIDDEN, NACRE_FORBIDDEN },
        { false, "/a", 0, NACRE_UNAUTHORIZED }, /* the resource's own */
        { false, "/b", 0, NACRE_CONTENT },
        { false, "/b", NACRE_UNAUTHORIZED, NACRE_UNAUTHORIZED },
        { true, "/b", NACRE_NOT_FOUND, NACRE_NOT_FOUND },
        { true, "/b", NACRE_CONTENT, NACRE_FORBIDDEN }, /* no error code */
        { true, "/b", NACRE_GET, NACRE_FORBIDDEN },
        { true, "/nowhere", NACRE_FORBIDDEN, NACRE_FORBIDDEN }, /* before it is looked for */
        { true, "/nowhere", 0, NACRE_NOT_FOUND },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rule r = { rows[i].path, rows[i].refused_with, 0 };
        num_handled = 0;
        request_site(rows[i].is_protected, NACRE_GET, rows[i].path, &r, rows[i].code, NULL);
        assert_int_equal(num_handled, rows[i].code == NACRE_CONTENT);
        assert_int_equal(r.num_calls, 1);
    }
}

static void the_list_has_what_the_peer_may_read(void **state)
{
    rule none = { "", 0, 0 }, a = { "/a", NACRE_FORBIDDEN, 0 }, list = { "/.well-known/core", NACRE_FORBIDDEN, 0 };
    (void)state;
    request_site(true, NACRE_GET, "/.well-known/core", &none, NACRE_CONTENT, "</a>;osc,</b>");
    request_site(true, NACRE_GET, "/.well-known/core", &a, NACRE_CONTENT, "</b>");
    request_site(false, NACRE_GET, "/.well-known/core", &a, NACRE_CONTENT, "</b>");
    request_site(true, NACRE_GET, "/.well-known/core", &list, NACRE_CONTENT, "</a>;osc,</b>"); /* always allowed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_is_the_response_and_no_handler_is_called),
        cmocka_unit_test(the_list_has_what_the_peer_may_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
