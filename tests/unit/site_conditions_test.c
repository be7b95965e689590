/* SPDX-License-Identifier: MIT */
/* site_conditions_test: If-Match and If-None-Match, for every method (RFC 7252 5.10.8): a request whose condition is
 * false is not carried out. */
#include "../scenario/world.h"
#include <nacre/site.h>

static unsigned called, changed;

/* A resource with ETag "now", which every method but GET and FETCH changes. */
static void something(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    called++;
    response->code = NACRE_CONTENT;
    nacre_options_add(&response->options, NACRE_OPT_ETAG, NACRE_STR("now"));
    if (nacre_code_is_safe(request->message->code)) return;
    response->code = NACRE_CHANGED;
    changed++;
}

static void careful(void *user, const nacre_request *request, nacre_response *response)
{
    if (nacre_conditions_hold(request->message->options, true, NACRE_STR("now"))) something(user, request, response);
    else response->code = NACRE_PRECONDITION_FAILED;
}

static void without_etag(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    called++;
    response->code = NACRE_CONTENT;
}

static void missing(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    response->code = NACRE_NOT_FOUND;
}

static void not_now(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    response->deferred = true;
}

static const nacre_resource resources[] = {
    { .path = "/x", .handler = something },
    { .path = "/c", .handler = careful, .flags = NACRE_RESOURCE_CONDITIONAL },
    { .path = "/n", .handler = without_etag },
    { .path = "/m", .handler = missing },
    { .path = "/l", .handler = not_now },
};

typedef struct condition {
    uint16_t number; /* 0: none */
    const char *value;
} condition;

static nacre_bytes encode(nacre_buf buf, const char *path, const condition *conditions, size_t num)
{
    nacre_options o;
    nacre_bytes out;
    nacre_options_init(&o, buf);
    for (size_t len; *path != '\0'; path += len) {
        len = strcspn(++path, "/");
        nacre_options_add(&o, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)path, len));
    }
    for (size_t i = 0; i < num; i++)
        if (conditions[i].number != 0)
            nacre_options_add(&o, conditions[i].number,
                              nacre_bytes_of((const uint8_t *)conditions[i].value, strlen(conditions[i].value)));
    assert_int_equal(nacre_options_finish(&o, &out), NACRE_OK);
    return out;
}

/* The code that a request gets; 0 for none. */
static uint8_t request(uint8_t method, const char *path, const condition *conditions, size_t num)
{
    pair p;
    datagram d;
    nacre_exchange exchange;
    nacre_event event;
    nacre_site *site;
    uint8_t buf[128], code = 0;
    pair_open(&p, &(nacre_endpoint_config){ .observe.num_observers = 2 }, &(pairing){ 0 });
    party_add_transfer(&p.server, NULL);
    const nacre_site_config config = { .transfer = p.server.transfer };
    void *memory = malloc(nacre_site_size(&config));
    assert_int_equal(nacre_site_init(&site, memory, nacre_site_size(&config), &config), NACRE_OK);
    nacre_site_set_resources(site, resources, sizeof resources / sizeof *resources);
    const nacre_message request = { .type = NACRE_CON,
                                    .code = method,
                                    .options = encode(NACRE_BUF(buf), path, conditions, num) };
    assert_int_equal(nacre_endpoint_request(p.client.ep, &exchange, &p.server.address, p.ours, &request, NULL),
                     NACRE_OK);
    assert_true(party_take(&p.client, &d, 0));
    party_give(&p.server, &p.client, &d, 0);
    if (party_next_event(&p.server, &event)) assert_int_equal(nacre_site_respond(site, &event), NACRE_OK);
    if (party_take(&p.server, &d, 0)) {
        party_give(&p.client, &p.server, &d, 0);
        if (nacre_endpoint_next_event(p.client.ep, &event)) code = event.message.code;
    }
    pair_close(&p);
    free(memory);
    return code;
}

static void conditions_count_for_every_method(void **state)
{
    (void)state;
    static const uint8_t methods[] = { NACRE_GET,   NACRE_FETCH,  NACRE_POST,  NACRE_PUT,
                                       NACRE_PATCH, NACRE_IPATCH, NACRE_DELETE };
    static const struct {
        condition conditions[2];
        bool holds; /* for a resource with ETag "now" */
    } rows[] = {
        { { { 0, "" }, { 0, "" } }, true },
        { { { NACRE_OPT_IF_MATCH, "" }, { 0, "" } }, true },
        { { { NACRE_OPT_IF_MATCH, "now" }, { 0, "" } }, true },
        { { { NACRE_OPT_IF_MATCH, "then" }, { 0, "" } }, false },
        { { { NACRE_OPT_IF_MATCH, "then" }, { NACRE_OPT_IF_MATCH, "now" } }, true },
        { { { NACRE_OPT_IF_NONE_MATCH, "" }, { 0, "" } }, false },
        { { { NACRE_OPT_IF_MATCH, "now" }, { NACRE_OPT_IF_NONE_MATCH, "" } }, false },
    };
    for (size_t m = 0; m < sizeof methods; m++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            const bool is_safe = nacre_code_is_safe(methods[m]), has_any = rows[i].conditions[0].number != 0;
            const uint8_t done = is_safe ? NACRE_CONTENT : NACRE_CHANGED;
            changed = called = 0;
            assert_int_equal(request(methods[m], "/c", rows[i].conditions, 2),
                             rows[i].holds ? done : NACRE_PRECONDITION_FAILED);
            assert_int_equal(called, rows[i].holds);
            changed = called = 0;
            /* a handler that ignores conditions is not called to change anything under one */
            const bool is_done = is_safe ? rows[i].holds : !has_any;
            assert_int_equal(request(methods[m], "/x", rows[i].conditions, 2),
                             is_done ? done : NACRE_PRECONDITION_FAILED);
            assert_int_equal(changed, !is_safe && is_done);
        }
}

static void responses_without_an_etag_and_errors_pass(void **state)
{
    (void)state;
    static const condition any = { NACRE_OPT_IF_MATCH, "" }, one = { NACRE_OPT_IF_MATCH, "now" },
                           none = { NACRE_OPT_IF_NONE_MATCH, "" };
    assert_int_equal(request(NACRE_GET, "/n", &any, 1), NACRE_CONTENT);
    assert_int_equal(request(NACRE_GET, "/n", &one, 1), NACRE_PRECONDITION_FAILED);
    assert_int_equal(request(NACRE_GET, "/n", &none, 1), NACRE_PRECONDITION_FAILED);
    assert_int_equal(request(NACRE_GET, "/m", &none, 1), NACRE_NOT_FOUND);
    assert_int_equal(request(NACRE_GET, "/m", &one, 1), NACRE_NOT_FOUND);
    assert_int_equal(request(NACRE_GET, "/l", NULL, 0), 0); /* it is deferred */
    assert_int_equal(request(NACRE_GET, "/l", &any, 1), NACRE_PRECONDITION_FAILED);
    assert_int_equal(request(NACRE_GET, "/.well-known/core", &any, 1), NACRE_CONTENT);
    assert_int_equal(request(NACRE_GET, "/.well-known/core", &one, 1), NACRE_PRECONDITION_FAILED);
    assert_int_equal(request(NACRE_GET, "/.well-known/core", &none, 1), NACRE_PRECONDITION_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_count_for_every_method),
        cmocka_unit_test(responses_without_an_etag_and_errors_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
