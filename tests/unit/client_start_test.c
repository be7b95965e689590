/* SPDX-License-Identifier: MIT */
/* client_start_test: many requests of one client in flight, to one server and to others, and a program's own loop that
 * drives the client, the server or both. */
#include "pair.h"
#include "support.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 100, FDS = 80 };

/* ---- Servers ----------------------------------------------------------------------------------------------------- */

/* Responds with the server's name and the request's payload. */
static void echo(void *user, const nacre_request *request, nacre_response *response)
{
    const nacre_bytes sent = request->message->payload;
    if (sent.len == 0) {
        nacre_response_text(response, NACRE_CONTENT, user);
        return;
    }
    response->code = NACRE_CHANGED;
    response->payload = sent;
}

static void fill_from(nacre_server *server, void *user)
{
    const nacre_resource resource = { .path = "/e", .handler = echo, .user = user, .flags = NACRE_RESOURCE_PLAIN };
    if (nacre_server_add_resource(server, &resource) != NACRE_OK ||
        nacre_server_listen_tcp(server, "127.0.0.1:0", NULL) != NACRE_OK)
        _Exit(1);
}

static void fill_protected(nacre_server *server, void *user)
{
    const pair *p = user;
    static const nacre_resource resource = { .path = "/e", .handler = echo, .user = "protected" };
    if (nacre_server_add_resource(server, &resource) != NACRE_OK ||
        nacre_server_add_context(server, p->server, NULL) != NACRE_OK)
        _Exit(1);
}

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

typedef struct outcome {
    unsigned times; /* how often on_done was called */
    nacre_err err;
    uint8_t code;
    size_t len;
    char text[64], why[200];
} outcome;

static void note(void *user, const nacre_client_result *result)
{
    outcome *o = user;
    o->times++;
    o->err = result->err;
    (void)snprintf(o->why, sizeof o->why, "%s", result->why);
    if (result->reply == NULL) return;
    o->code = result->reply->code;
    o->len = result->reply->payload.len;
    (void)snprintf(o->text, sizeof o->text, "%.*s", (int)(o->len < 60 ? o->len : 60),
                   (const char *)result->reply->payload.ptr);
}

static nacre_client *open_client(nacre_client_options options)
{
    nacre_client *client;
    nacre_detail why = { "" };
    options.timing = pair_quick;
    if (options.limits.max_in_flight == 0) options.limits.max_in_flight = MANY;
    if (options.limits.nstart == 0) options.limits.nstart = MANY;
    if (nacre_client_open(&client, &options, &why) != NACRE_OK) fail_msg("%s", why.text);
    return client;
}

static nacre_client_call start(nacre_client *client, const char *uri, outcome *o)
{
    nacre_client_request_config request = nacre_client_request_config_default();
    nacre_client_call call = { 0 };
    nacre_detail why = { "" };
    request.uri = uri;
    request.on_done = note;
    request.user = o;
    if (nacre_client_start(client, &call, &request, &why) != NACRE_OK) fail_msg("%s", why.text);
    assert_int_not_equal(call.number, 0);
    assert_int_equal(o->times, 0);
    return call;
}

static void finish(nacre_client *client)
{
    nacre_detail why;
    const uint64_t end = nacre_clock_ms() + 20000;
    while (nacre_client_num_in_flight(client) > 0) {
        assert_ok(nacre_client_step(client, 1000, &why));
        assert_true(nacre_clock_ms() < end);
    }
}

static void assert_says(const outcome *o, const char *text)
{
    if (o->times != 1 || o->err != NACRE_OK) fail_msg("%u times, %s: %s", o->times, nacre_err_name(o->err), o->why);
    assert_string_equal(o->text, text);
}

static char *uri_of(const char *origin, char uri[128])
{
    (void)snprintf(uri, 128, "%s/e", origin);
    return uri;
}

/* An address that never responds. */
static nacre_udp *silent(char uri[128])
{
    nacre_udp *udp;
    nacre_address local;
    char text[72];
    assert_ok(nacre_address_resolve(&local, "127.0.0.1:0", 0, NULL));
    assert_ok(nacre_udp_open(&udp, &local, NULL));
    local = nacre_udp_local(udp);
    nacre_address_text(&local, text);
    (void)snprintf(uri, 128, "coap://%s/e", text);
    return udp;
}

/* ---- In flight --------------------------------------------------------------------------------------------------- */

static void a_hundred_requests_in_flight_get_a_response_each(void **state)
{
    (void)state;
    const served s = served_start("127.0.0.1:0", fill_from, "one");
    static const uint16_t nstarts[] = { MANY, 1 };
    char uri[128];
    for (int over_tcp = 0; over_tcp < 2; over_tcp++)
        for (size_t n = 0; n < COUNT(nstarts); n++) {
            static outcome outcomes[MANY + 1];
            nacre_client *client = open_client((nacre_client_options){ .limits.nstart = nstarts[n] });
            memset(outcomes, 0, sizeof outcomes);
            uri_of(over_tcp ? s.tcp : s.origin, uri);
            for (int i = 0; i < MANY; i++) start(client, uri, &outcomes[i]);
            assert_int_equal(nacre_client_num_in_flight(client), MANY);
            nacre_client_request_config more = nacre_client_request_config_default();
            nacre_detail why = { "" };
            more.uri = uri;
            more.on_done = note;
            more.user = &outcomes[MANY];
            assert_err(nacre_client_start(client, NULL, &more, &why), NACRE_ERR_BUSY);
            assert_true(why.text[0] != '\0');
            finish(client);
            for (int i = 0; i < MANY; i++) assert_says(&outcomes[i], "one");
            assert_int_equal(outcomes[MANY].times, 0);
            assert_ok(nacre_client_close(client, NULL));
        }
    served_stop(&s);
}

/* A server assembles four bodies of one peer at a time. */
static void bodies_of_several_blocks_are_in_flight_at_once(void **state)
{
    (void)state;
    const served s = served_start("127.0.0.1:0", fill_from, "one");
    nacre_client *client = open_client((nacre_client_options){ .limits.max_in_flight = 20 });
    outcome outcomes[3] = { { .times = 0 } };
    char uri[128];
    for (size_t i = 0; i < 3; i++) {
        uint8_t body[4000]; /* freed once the request is sent */
        memset(body, (int)('a' + i), sizeof body);
        nacre_client_request_config request = nacre_client_request_config_default();
        request.method = NACRE_POST;
        request.uri = uri_of(s.origin, uri);
        request.payload = nacre_bytes_of(body, 2000 + 200 * i);
        request.on_done = note;
        request.user = &outcomes[i];
        assert_ok(nacre_client_start(client, NULL, &request, NULL));
        memset(body, 0, sizeof body);
    }
    memset(uri, 0, sizeof uri);
    finish(client);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(outcomes[i].times, 1);
        assert_int_equal(outcomes[i].code, NACRE_CHANGED);
        assert_int_equal(outcomes[i].len, 2000 + 200 * i);
        for (size_t c = 0; c < 60; c++) assert_int_equal(outcomes[i].text[c], 'a' + i);
    }
    assert_ok(nacre_client_close(client, NULL));
    served_stop(&s);
}

static void cancelled_requests_are_not_reported_and_the_others_are(void **state)
{
    (void)state;
    const served s = served_start("127.0.0.1:0", fill_from, "one");
    nacre_client *client = open_client((nacre_client_options){ .timeout_ms = 0 });
    outcome outcomes[5] = { { .times = 0 } };
    nacre_client_call calls[5];
    char uri[128];
    for (int i = 0; i < 5; i++) calls[i] = start(client, uri_of(s.origin, uri), &outcomes[i]);
    nacre_client_cancel(client, calls[2]);
    nacre_client_cancel(client, calls[2]); /* it has ended: nothing changes */
    nacre_client_cancel(client, (nacre_client_call){ 0 });
    assert_int_equal(nacre_client_num_in_flight(client), 4);
    finish(client);
    for (int i = 0; i < 5; i++) {
        if (i == 2) assert_int_equal(outcomes[i].times, 0);
        else assert_says(&outcomes[i], "one");
    }
    nacre_client_cancel(client, calls[0]);
    assert_ok(nacre_client_close(client, NULL));
    served_stop(&s);
}

static void a_request_fails_at_its_timeout_and_the_others_go_on(void **state)
{
    (void)state;
    const served s = served_start("127.0.0.1:0", fill_from, "one");
    nacre_client *client = open_client((nacre_client_options){ .timeout_ms = 0 });
    outcome late = { .times = 0 }, in_time = { .times = 0 }, longer = { .times = 0 };
    char nowhere[128], uri[128];
    nacre_udp *udp = silent(nowhere);
    nacre_client_request_config request = nacre_client_request_config_default();
    request.uri = nowhere;
    request.timeout_ms = 200;
    request.on_done = note;
    request.user = &late;
    const uint64_t begin = nacre_clock_ms();
    assert_ok(nacre_client_start(client, NULL, &request, NULL));
    request.timeout_ms = 400;
    request.user = &longer;
    assert_ok(nacre_client_start(client, NULL, &request, NULL));
    start(client, uri_of(s.origin, uri), &in_time);
    while (late.times == 0) assert_ok(nacre_client_step(client, UINT32_MAX, NULL));
    const uint64_t passed = nacre_clock_ms() - begin;
    assert_in_range(passed, 200, 399);
    assert_int_equal(late.err, NACRE_ERR_TIMEOUT);
    assert_true(late.why[0] != '\0');
    assert_int_equal(longer.times, 0);
    finish(client);
    assert_int_equal(longer.err, NACRE_ERR_TIMEOUT);
    assert_int_equal(late.times, 1);
    assert_says(&in_time, "one");
    assert_ok(nacre_client_close(client, NULL));
    nacre_udp_close(udp);
    served_stop(&s);
}

static void an_absent_peer_does_not_hold_up_two_others(void **state)
{
    (void)state;
    const served one = served_start("127.0.0.1:0", fill_from, "one"), two = served_start("[::1]:0", fill_from, "two");
    nacre_client *client = open_client((nacre_client_options){ .timeout_ms = 0 });
    outcome outcomes[30] = { { .times = 0 } };
    char uri[128], away[128];
    nacre_udp_close(silent(away));
    for (int i = 0; i < 30; i++)
        start(client, i % 3 == 2 ? away : uri_of(i % 3 == 0 ? one.origin : two.tcp, uri), &outcomes[i]);
    finish(client);
    for (int i = 0; i < 30; i++) {
        if (i % 3 < 2) assert_says(&outcomes[i], i % 3 == 0 ? "one" : "two");
        else assert_int_equal(outcomes[i].err, NACRE_ERR_UNREACHABLE);
        assert_int_equal(outcomes[i].times, 1);
    }
    assert_ok(nacre_client_close(client, NULL));
    served_stop(&one);
    served_stop(&two);
}

static void a_client_closes_with_requests_in_flight(void **state)
{
    (void)state;
    nacre_client *client = open_client((nacre_client_options){ .timeout_ms = 0 });
    outcome outcomes[10] = { { .times = 0 } };
    char uri[128];
    nacre_udp *udp = silent(uri);
    for (int i = 0; i < 10; i++) start(client, uri, &outcomes[i]);
    assert_ok(nacre_client_step(client, 0, NULL));
    assert_ok(nacre_client_close(client, NULL));
    for (int i = 0; i < 10; i++) assert_int_equal(outcomes[i].times, 0);
    nacre_udp_close(udp);
}

static void an_address_replaces_a_name_that_does_not_resolve(void **state)
{
    (void)state;
    const served s = served_start("127.0.0.1:0", fill_from, "one");
    nacre_client *client = open_client((nacre_client_options){ .timeout_ms = 0 });
    outcome o = { .times = 0 };
    nacre_address address;
    nacre_client_request_config request = nacre_client_request_config_default();
    assert_ok(nacre_address_resolve(&address, s.hostinfo, 0, NULL));
    request.uri = "coap://lamp.invalid/e";
    request.address = &address;
    request.on_done = note;
    request.user = &o;
    assert_ok(nacre_client_start(client, NULL, &request, NULL));
    finish(client);
    assert_says(&o, "one");
    assert_ok(nacre_client_close(client, NULL));
    served_stop(&s);
}

static void invalid_requests_are_refused_and_change_nothing(void **state)
{
    (void)state;
    nacre_client *client = open_client((nacre_client_options){ .timeout_ms = 0 });
    outcome o = { .times = 0 };
    for (int row = 0; row < 4; row++) {
        nacre_client_request_config request = nacre_client_request_config_default();
        nacre_detail why = { "" };
        request.uri = row == 0 ? NULL : row == 1 ? "http://[::1]/" : "coap://[::1]/e";
        request.on_done = row == 2 ? NULL : note;
        request.user = &o;
        if (row == 3) request.size--; /* of a program with an older header */
        const nacre_err err = nacre_client_start(client, NULL, &request, &why);
        assert_err(err, row == 1 ? NACRE_ERR_UNSUPPORTED : NACRE_ERR_BAD_ARGUMENT);
        assert_true(why.text[0] != '\0');
        assert_int_equal(nacre_client_num_in_flight(client), 0);
    }
    assert_int_equal(o.times, 0);
    assert_ok(nacre_client_close(client, NULL));
}

/* ---- From callbacks ---------------------------------------------------------------------------------------------- */

typedef struct chain {
    nacre_client *client;
    const char *uri;
    int left;
    nacre_client_call other;
    outcome last;
    nacre_err waiting; /* result of a blocking call */
} chain;

static void start_next(void *user, const nacre_client_result *result)
{
    chain *c = user;
    nacre_reply reply;
    nacre_client_request_config request = nacre_client_request_config_default();
    note(&c->last, result);
    c->waiting = nacre_client_request(c->client, &reply, NACRE_GET, c->uri, NULL, NACRE_ABSENT, NULL);
    nacre_client_cancel(c->client, result->call); /* it has ended */
    nacre_client_cancel(c->client, c->other);
    if (c->left-- == 0) return;
    request.uri = c->uri;
    request.on_done = start_next;
    request.user = c;
    assert_ok(nacre_client_start(c->client, NULL, &request, NULL));
}

static void a_callback_may_start_and_cancel_and_must_not_block(void **state)
{
    (void)state;
    const served s = served_start("127.0.0.1:0", fill_from, "one");
    chain c = { .client = open_client((nacre_client_options){ .limits.max_in_flight = 2 }), .left = 9 };
    outcome never = { .times = 0 };
    char uri[128], nowhere[128];
    nacre_udp *udp = silent(nowhere);
    nacre_client_request_config request = nacre_client_request_config_default();
    c.uri = request.uri = uri_of(s.origin, uri);
    c.other = start(c.client, nowhere, &never);
    request.on_done = start_next;
    request.user = &c;
    assert_ok(nacre_client_start(c.client, NULL, &request, NULL));
    finish(c.client);
    assert_int_equal(c.last.times, 10);
    assert_int_equal(c.last.err, NACRE_OK);
    assert_int_equal(c.waiting, NACRE_ERR_BUSY);
    assert_int_equal(never.times, 0);
    assert_ok(nacre_client_close(c.client, NULL));
    nacre_udp_close(udp);
    served_stop(&s);
}

static void a_blocking_call_lets_other_requests_go_on(void **state)
{
    (void)state;
    const served s = served_start("127.0.0.1:0", fill_from, "one");
    nacre_client *client = open_client((nacre_client_options){ .timeout_ms = 5000 });
    outcome o = { .times = 0 };
    nacre_reply reply;
    char uri[128];
    start(client, uri_of(s.origin, uri), &o);
    assert_ok(nacre_client_request(client, &reply, NACRE_GET, uri, NULL, NACRE_ABSENT, NULL));
    finish(client);
    assert_bytes(reply.payload, NACRE_STR("one")); /* valid until the next blocking call */
    assert_says(&o, "one");
    assert_ok(nacre_client_close(client, NULL));
    served_stop(&s);
}

/* ---- Contexts ---------------------------------------------------------------------------------------------------- */

/* A directory's store that confirms late. */
typedef struct slow {
    nacre_store real;
    nacre_context *context;
    uint64_t wanted;
    unsigned calls;
} slow;

static nacre_err slow_reserve(void *self, uint64_t ceiling, nacre_detail *why)
{
    slow *s = self;
    (void)why;
    s->wanted = ceiling;
    s->calls++;
    return NACRE_ERR_NOT_YET;
}

static nacre_err slow_lost(void *self, nacre_detail *why)
{
    slow *s = self;
    return s->real.ops->window_lost(s->real.self, why);
}

static nacre_err slow_save(void *self, const nacre_context *context, nacre_detail *why)
{
    slow *s = self;
    return s->real.ops->save(s->real.self, context, why);
}

static void requests_wait_for_the_store_of_their_context(void **state)
{
    static const nacre_store_ops ops = { .size = sizeof ops,
                                         .version = NACRE_STORE_OPS_VERSION,
                                         .reserve = slow_reserve,
                                         .window_lost = slow_lost,
                                         .save = slow_save };
    pair *p = *state;
    const served s = served_start("127.0.0.1:0", fill_protected, p);
    nacre_crypto crypto;
    nacre_directory *dir;
    nacre_credentials *credentials;
    outcome outcomes[20] = { { .times = 0 } };
    char uri[128];
    assert_ok(nacre_provider_open(&crypto));
    assert_ok(nacre_directory_open(&dir, p->client, &crypto, NULL));
    slow store = { .real = nacre_directory_store(dir), .context = nacre_directory_context(dir) };
    assert_ok(nacre_credentials_new(&credentials));
    assert_ok(nacre_credentials_set_context(credentials, "coap://127.0.0.1*", store.context,
                                            (nacre_store){ &ops, &store }, NULL));
    nacre_client *client = open_client((nacre_client_options){ .credentials = credentials });
    for (int i = 0; i < 20; i++) start(client, uri_of(s.origin, uri), &outcomes[i]);
    for (int i = 0; i < 5; i++) assert_ok(nacre_client_step(client, 10, NULL));
    assert_true(store.calls > 0);
    for (int i = 0; i < 20; i++) assert_int_equal(outcomes[i].times, 0);
    const uint64_t end = nacre_clock_ms() + 20000;
    while (nacre_client_num_in_flight(client) > 0 && nacre_clock_ms() < end) {
        assert_ok(nacre_client_step(client, 10, NULL));
        if (store.wanted == 0) continue;
        assert_ok(store.real.ops->reserve(store.real.self, store.wanted, NULL));
        nacre_context_confirm_reserved(store.context, store.wanted);
        store.wanted = 0;
    }
    for (int i = 0; i < 20; i++) assert_says(&outcomes[i], "protected");
    assert_ok(nacre_client_close(client, NULL));
    nacre_credentials_free(credentials);
    assert_ok(nacre_directory_close(dir, NULL));
    nacre_provider_close(&crypto);
    served_stop(&s);
}

/* ---- The loop of the program ------------------------------------------------------------------------------------- */

/* Waits for all descriptors of both, and steps both. */
static void poll_both(nacre_client *client, nacre_server *server)
{
    nacre_fd fds[2 * FDS];
    struct pollfd wanted[2 * FDS];
    size_t num = nacre_client_fds(client, fds, FDS);
    uint64_t deadline = nacre_client_deadline(client), now = nacre_clock_ms();
    if (server != NULL && nacre_server_deadline(server) < deadline) deadline = nacre_server_deadline(server);
    if (server != NULL) num += nacre_server_fds(server, fds + num, FDS);
    assert_true(num > 0 && num <= 2 * FDS);
    for (size_t i = 0; i < num; i++)
        wanted[i] =
            (struct pollfd){ .fd = fds[i].fd,
                             .events = (short)((fds[i].readable ? POLLIN : 0) | (fds[i].writable ? POLLOUT : 0)) };
    const uint64_t left = deadline > now ? deadline - now : 0;
    assert_true(poll(wanted, num, left < 5000 ? (int)left : 5000) >= 0);
    assert_ok(nacre_client_step(client, 0, NULL));
    if (server != NULL) assert_ok(nacre_server_step(server, 0, NULL));
}

static void client_and_server_run_in_one_loop(void **state)
{
    (void)state;
    nacre_server *server;
    outcome outcomes[MANY] = { { .times = 0 } };
    char origin[2][96], uri[128], text[72];
    assert_ok(nacre_server_open(&server, "127.0.0.1:0", NULL));
    fill_from(server, "here");
    nacre_address local = nacre_server_local(server);
    nacre_address_text(&local, text);
    (void)snprintf(origin[0], sizeof origin[0], "coap://%s", text);
    local = nacre_server_local_tcp(server);
    nacre_address_text(&local, text);
    (void)snprintf(origin[1], sizeof origin[1], "coap+tcp://%s", text);
    nacre_client *client = open_client((nacre_client_options){ .timeout_ms = 10000 });
    for (int i = 0; i < MANY; i++) start(client, uri_of(origin[i % 2], uri), &outcomes[i]);
    assert_true(nacre_client_deadline(client) <= nacre_clock_ms());
    const uint64_t begin = nacre_clock_ms();
    while (nacre_client_num_in_flight(client) > 0) poll_both(client, server);
    assert_true(nacre_clock_ms() - begin < 5000); /* no descriptor was missed */
    for (int i = 0; i < MANY; i++) assert_says(&outcomes[i], "here");
    assert_ok(nacre_client_close(client, NULL));
    nacre_server_stop(server);
    assert_err(nacre_server_step(server, 1000, NULL), NACRE_ERR_STALE);
    assert_ok(nacre_server_step(server, 0, NULL));
    assert_ok(nacre_server_close(server, NULL));
}

static void deadlines_alone_wake_a_client(void **state)
{
    (void)state;
    nacre_client *client = open_client((nacre_client_options){ .timeout_ms = 150 });
    outcome o = { .times = 0 };
    char uri[128];
    nacre_udp *udp = silent(uri);
    start(client, uri, &o);
    const uint64_t begin = nacre_clock_ms();
    while (o.times == 0) poll_both(client, NULL);
    assert_int_equal(o.err, NACRE_ERR_TIMEOUT);
    assert_true(nacre_clock_ms() - begin < 2000);
    assert_ok(nacre_client_close(client, NULL));
    nacre_udp_close(udp);
}

static void a_server_of_several_threads_has_no_descriptors(void **state)
{
    (void)state;
    nacre_server *server;
    nacre_fd fds[FDS];
    assert_ok(nacre_server_open_workers(&server, "127.0.0.1:0", 2, NULL));
    assert_int_equal(nacre_server_fds(server, fds, FDS), 0);
    assert_err(nacre_server_step(server, 0, NULL), NACRE_ERR_UNSUPPORTED);
    assert_ok(nacre_server_close(server, NULL));
}

static int end_served(void **state)
{
    (void)state;
    served_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_hundred_requests_in_flight_get_a_response_each, end_served),
        cmocka_unit_test_teardown(bodies_of_several_blocks_are_in_flight_at_once, end_served),
        cmocka_unit_test_teardown(cancelled_requests_are_not_reported_and_the_others_are, end_served),
        cmocka_unit_test_teardown(a_request_fails_at_its_timeout_and_the_others_go_on, end_served),
        cmocka_unit_test_teardown(an_absent_peer_does_not_hold_up_two_others, end_served),
        cmocka_unit_test(a_client_closes_with_requests_in_flight),
        cmocka_unit_test_teardown(an_address_replaces_a_name_that_does_not_resolve, end_served),
        cmocka_unit_test(invalid_requests_are_refused_and_change_nothing),
        cmocka_unit_test_teardown(a_callback_may_start_and_cancel_and_must_not_block, end_served),
        cmocka_unit_test_teardown(a_blocking_call_lets_other_requests_go_on, end_served),
        cmocka_unit_test_setup_teardown(requests_wait_for_the_store_of_their_context, pair_set_up, pair_tear_down),
        cmocka_unit_test(client_and_server_run_in_one_loop),
        cmocka_unit_test(deadlines_alone_wake_a_client),
        cmocka_unit_test(a_server_of_several_threads_has_no_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
