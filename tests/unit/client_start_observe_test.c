/* SPDX-License-Identifier: MIT */
/* client_start_observe_test: observations of a client that do not wait; client and server run in one thread. */
#include "pair.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

enum { STEP_MS = 5, LIMIT_MS = 10000 };

typedef struct world {
    nacre_server *server;
    nacre_client *client;
    char uri[2][128]; /* UDP, TCP */
    char state[16];
    uint8_t code;
    bool is_protected, saw_plain; /* each response is protected; one was not */
    pair contexts;
} world;

typedef struct seen {
    nacre_client *client;
    nacre_client_call call;
    unsigned notifications, ends, aways, returns;
    unsigned stop_at, cancel_at, unobserve_at; /* at this notification; 0: never */
    nacre_err err;
    uint8_t code;
    uint64_t last_ms; /* time of the last notification */
    char state[16], why[200];
} seen;

static void give_state(void *user, const nacre_request *request, nacre_response *response)
{
    const world *w = user;
    (void)request;
    nacre_response_text(response, w->code, w->state);
}

static void serve(world *w, const char *tcp)
{
    const unsigned plain = w->is_protected ? 0 : NACRE_RESOURCE_PLAIN;
    const nacre_resource resource = {
        .path = "/s", .handler = give_state, .user = w, .flags = plain | NACRE_RESOURCE_OBSERVABLE
    };
    nacre_address local[2];
    char text[72];
    assert_ok(nacre_server_open(&w->server, "127.0.0.1:0", NULL));
    if (w->is_protected) assert_ok(nacre_server_add_context(w->server, w->contexts.server, NULL));
    assert_ok(nacre_server_add_resource(w->server, &resource));
    assert_ok(nacre_server_listen_tcp(w->server, tcp, NULL));
    local[0] = nacre_server_local(w->server);
    local[1] = nacre_server_local_tcp(w->server);
    for (int i = 0; i < 2; i++) {
        nacre_address_text(&local[i], text);
        (void)snprintf(w->uri[i], sizeof w->uri[i], "%s://%s/s", i == 0 ? "coap" : "coap+tcp", text);
    }
}

static void see_message(void *user, bool outgoing, bool is_protected, const nacre_message *plain)
{
    world *w = user;
    (void)plain;
    w->saw_plain = w->saw_plain || (!outgoing && !is_protected);
}

static void open_as(world *w, bool is_protected)
{
    nacre_client_options options = { .timing = pair_quick, .limits.nstart = 8, .on_message = see_message, .user = w };
    *w = (world){ .code = NACRE_CONTENT, .state = "0", .is_protected = is_protected };
    if (is_protected) {
        pair_make(&w->contexts);
        options.context_dir = w->contexts.client;
    }
    serve(w, "127.0.0.1:0");
    assert_ok(nacre_client_open(&w->client, &options, NULL));
}

static void open(world *w)
{
    open_as(w, false);
}

static void close(world *w)
{
    assert_int_equal(nacre_client_num_in_flight(w->client), 0);
    assert_ok(nacre_client_close(w->client, NULL));
    assert_ok(nacre_server_close(w->server, NULL));
    if (w->is_protected) assert_false(w->saw_plain);
    if (w->is_protected) pair_remove(&w->contexts);
}

static bool on_notification(void *user, const nacre_reply *reply)
{
    seen *s = user;
    s->notifications++;
    s->last_ms = nacre_clock_ms();
    (void)snprintf(s->state, sizeof s->state, "%.*s", (int)reply->payload.len, (const char *)reply->payload.ptr);
    if (s->notifications == s->cancel_at) nacre_client_cancel(s->client, s->call);
    if (s->notifications == s->unobserve_at) nacre_client_unobserve(s->client, s->call);
    return s->notifications != s->stop_at;
}

static void on_away(void *user, const char *why)
{
    seen *s = user;
    if (why != NULL) s->aways++;
    else s->returns++;
}

static void on_done(void *user, const nacre_client_result *result)
{
    seen *s = user;
    s->ends++;
    s->err = result->err;
    s->code = result->reply != NULL ? result->reply->code : 0xff;
    (void)snprintf(s->why, sizeof s->why, "%s", result->why);
}

static nacre_err begin(world *w, seen *s, const char *uri, uint8_t method, uint32_t duration_ms)
{
    const nacre_observe_options observing = {
        .on_notification = on_notification, .user = s, .duration_ms = duration_ms, .on_away = on_away
    };
    nacre_client_request_config request = nacre_client_request_config_default();
    request.uri = uri;
    request.method = method;
    request.timeout_ms = 2000;
    request.on_done = on_done;
    request.user = s;
    s->client = w->client;
    return nacre_client_start_observe(w->client, &s->call, &request, &observing, NULL);
}

static void step(world *w)
{
    assert_ok(nacre_client_step(w->client, STEP_MS, NULL));
    if (w->server != NULL) assert_ok(nacre_server_step(w->server, STEP_MS, NULL));
}

static void until(world *w, const unsigned *count, unsigned wanted)
{
    const uint64_t end = nacre_clock_ms() + LIMIT_MS;
    while (*count < wanted) {
        assert_true(nacre_clock_ms() < end);
        step(w);
    }
}

static void change(world *w, const char *state)
{
    (void)snprintf(w->state, sizeof w->state, "%s", state);
    nacre_server_changed(w->server, "/s");
}

static void notifications_come_until_the_observation_is_deregistered(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        world w;
        seen s = { .ends = 0 };
        open_as(&w, way >= 2);
        assert_ok(begin(&w, &s, w.uri[way % 2], NACRE_GET, 0));
        assert_int_equal(s.notifications, 0);
        until(&w, &s.notifications, 1);
        change(&w, "1");
        until(&w, &s.notifications, 2);
        assert_string_equal(s.state, "1");
        assert_int_equal(nacre_client_num_in_flight(w.client), 1);
        nacre_client_unobserve(w.client, s.call);
        nacre_client_unobserve(w.client, s.call);
        assert_int_equal(s.ends, 0);
        until(&w, &s.ends, 1);
        assert_int_equal(s.err, NACRE_OK);
        assert_int_equal(s.code, 0);
        change(&w, "2");
        for (int i = 0; i < 5; i++) step(&w);
        assert_int_equal(s.notifications, 2);
        assert_int_equal(s.ends, 1);
        close(&w);
    }
}

static void callback_ends_the_observation(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++)
        for (int how = 0; how < 3; how++) {
            world w;
            seen s = { .stop_at = how == 0 ? 2 : 0, .cancel_at = how == 1 ? 2 : 0, .unobserve_at = how == 2 ? 2 : 0 };
            open_as(&w, way >= 2);
            assert_ok(begin(&w, &s, w.uri[way % 2], NACRE_GET, 0));
            until(&w, &s.notifications, 1);
            change(&w, "1");
            until(&w, &s.notifications, 2);
            if (how != 1) until(&w, &s.ends, 1);
            change(&w, "2");
            for (int i = 0; i < 5; i++) step(&w);
            assert_int_equal(s.notifications, 2);
            assert_int_equal(s.ends, how != 1);
            close(&w);
        }
}

static void observations_and_requests_are_in_flight_together(void **state)
{
    (void)state;
    world w;
    seen s[4] = { { .ends = 0 } };
    open(&w);
    for (int i = 0; i < 4; i++) assert_ok(begin(&w, &s[i], w.uri[i % 2], NACRE_GET, 0));
    for (int i = 0; i < 4; i++) until(&w, &s[i].notifications, 1);
    seen single = { .ends = 0 };
    nacre_client_request_config request = nacre_client_request_config_default();
    request.uri = w.uri[0];
    request.on_done = on_done;
    request.user = &single;
    assert_ok(nacre_client_start(w.client, NULL, &request, NULL));
    change(&w, "1");
    until(&w, &single.ends, 1);
    assert_int_equal(single.code, NACRE_CONTENT);
    for (int i = 0; i < 4; i++) until(&w, &s[i].notifications, 2);
    for (int i = 0; i < 4; i++) nacre_client_cancel(w.client, s[i].call);
    for (int i = 0; i < 4; i++) assert_int_equal(s[i].ends, 0);
    close(&w);
}

static void observation_ends_after_its_duration(void **state)
{
    (void)state;
    world w;
    seen s = { .ends = 0 };
    open(&w);
    assert_ok(begin(&w, &s, w.uri[0], NACRE_GET, 200));
    until(&w, &s.notifications, 1);
    assert_true(nacre_client_deadline(w.client) <= s.last_ms + 200);
    until(&w, &s.ends, 1);
    assert_true(nacre_clock_ms() - s.last_ms >= 150);
    assert_int_equal(s.err, NACRE_OK);
    assert_int_equal(s.code, 0);
    close(&w);
}

static void an_error_response_ends_the_observation(void **state)
{
    (void)state;
    for (int changes = 0; changes < 2; changes++) {
        world w;
        seen s = { .ends = 0 };
        open(&w);
        if (!changes) w.code = NACRE_NOT_FOUND;
        assert_ok(begin(&w, &s, w.uri[0], NACRE_GET, 0));
        if (changes) {
            until(&w, &s.notifications, 1);
            w.code = NACRE_NOT_FOUND;
            change(&w, "x");
        }
        until(&w, &s.ends, 1);
        assert_int_equal(s.err, NACRE_OK);
        assert_int_equal(s.code, NACRE_NOT_FOUND);
        close(&w);
    }
}

static void first_registration_without_a_response_fails(void **state)
{
    (void)state;
    world w;
    seen s = { .ends = 0 };
    nacre_udp *silent;
    nacre_address local;
    char text[72], uri[128];
    open(&w);
    assert_ok(nacre_address_resolve(&local, "127.0.0.1:0", 0, NULL));
    assert_ok(nacre_udp_open(&silent, &local, NULL));
    local = nacre_udp_local(silent);
    nacre_address_text(&local, text);
    (void)snprintf(uri, sizeof uri, "coap://%s/s", text);
    assert_ok(begin(&w, &s, uri, NACRE_GET, 0));
    until(&w, &s.ends, 1);
    assert_int_equal(s.err, NACRE_ERR_TIMEOUT);
    assert_int_equal(s.notifications, 0);
    nacre_udp_close(silent);
    close(&w);
}

static void survive_a_restart(bool is_protected)
{
    world w;
    seen s = { .ends = 0 };
    char tcp[72];
    open_as(&w, is_protected);
    assert_ok(begin(&w, &s, w.uri[1], NACRE_GET, 0));
    until(&w, &s.notifications, 1);
    const nacre_address local = nacre_server_local_tcp(w.server);
    nacre_address_text(&local, tcp);
    assert_ok(nacre_server_close(w.server, NULL));
    w.server = NULL;
    until(&w, &s.aways, 1);
    (void)snprintf(w.state, sizeof w.state, "again");
    serve(&w, tcp);
    until(&w, &s.returns, 1);
    until(&w, &s.notifications, 2);
    assert_string_equal(s.state, "again");
    nacre_client_unobserve(w.client, s.call);
    until(&w, &s.ends, 1);
    close(&w);
}

static void observation_survives_a_restart_of_the_server(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) survive_a_restart(is_protected != 0);
}

static void only_get_and_fetch_observe(void **state)
{
    (void)state;
    world w;
    seen s = { .ends = 0 };
    open(&w);
    assert_err(begin(&w, &s, w.uri[0], NACRE_PUT, 0), NACRE_ERR_BAD_ARGUMENT);
    nacre_client_unobserve(w.client, s.call); /* none */
    close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(notifications_come_until_the_observation_is_deregistered),
        TEST(callback_ends_the_observation),
        TEST(observations_and_requests_are_in_flight_together),
        TEST(observation_ends_after_its_duration),
        TEST(an_error_response_ends_the_observation),
        TEST(first_registration_without_a_response_fails),
        TEST(observation_survives_a_restart_of_the_server),
        TEST(only_get_and_fetch_observe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
