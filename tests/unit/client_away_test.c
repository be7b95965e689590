/* SPDX-License-Identifier: MIT */
/* client_away_test: an observation of nacre_client outlives its server's absence, over UDP and over a connection. */
#include "pair.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What happens while one observation lasts. */
typedef struct story {
    const pair *pair;
    bool over_tcp, comes_back, stops;
    served s;
    char udp_at[72], tcp_at[72]; /* where it serves */
    nacre_client *client;
    int notifications, aways, backs;
    uint64_t away_ms; /* when it was told first */
} story;

static void state_now(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    (void)request;
    nacre_response_text(response, NACRE_CONTENT, "state");
    nacre_options_add_uint(&response->options, NACRE_OPT_MAX_AGE,
                           0); /* a client registers again after 5 to 15 seconds */
}

static void fill(nacre_server *server, void *user)
{
    const story *t = user;
    const nacre_resource resource = { .path = "/state", .handler = state_now, .flags = NACRE_RESOURCE_OBSERVABLE };
    nacre_detail why = { { 0 } };
    nacre_err err = nacre_server_listen_tcp(server, t->tcp_at, &why);
    if (err == NACRE_OK) err = nacre_server_add_context(server, t->pair->server, &why);
    if (err == NACRE_OK) err = nacre_server_add_resource(server, &resource);
    if (err == NACRE_OK) return;
    fprintf(stderr, "server: %s\n", why.text);
    exit(2);
}

static void serve(story *t)
{
    t->s = served_start(t->udp_at, fill, t);
    (void)snprintf(t->udp_at, sizeof t->udp_at, "%.71s", t->s.hostinfo);
    (void)snprintf(t->tcp_at, sizeof t->tcp_at, "%.71s", t->s.tcp + strlen("coap+tcp://"));
}

static bool on_notification(void *user, const nacre_reply *reply)
{
    story *t = user;
    assert_true(reply->is_protected);
    t->notifications++;
    if (t->notifications == 1) served_crash(&t->s);
    return t->notifications < 2;
}

static void on_away(void *user, bool is_away)
{
    story *t = user;
    if (!is_away) {
        t->backs++;
        return;
    }
    t->aways++;
    t->away_ms = nacre_clock_ms();
    if (t->comes_back) serve(t);
    if (t->stops) nacre_client_stop(t->client);
}

static nacre_err observe(story *t, uint32_t duration_ms, nacre_reply *reply, nacre_detail *why)
{
    char uri[104];
    const nacre_observing how = { on_notification, t, duration_ms, on_away };
    (void)snprintf(uri, sizeof uri, "%s/state", t->over_tcp ? t->s.tcp : t->s.origin);
    return nacre_client_observe(t->client, reply, NACRE_GET, uri, NULL, NACRE_ABSENT, &how, why);
}

static void tell(story *t, uint32_t duration_ms)
{
    nacre_reply reply = { 0 };
    nacre_detail why = { { 0 } };
    (void)snprintf(t->udp_at, sizeof t->udp_at, "[::1]:0");
    (void)snprintf(t->tcp_at, sizeof t->tcp_at, "[::1]:0");
    serve(t);
    t->client = pair_open_with(t->pair->client);
    const nacre_err err = observe(t, duration_ms, &reply, &why);
    if (err != NACRE_OK) fail_msg("%s", why.text);
    assert_int_equal(reply.code, 0); /* we ended it */
    assert_int_equal(t->aways, 1);
}

static void finish(story *t)
{
    pair_close(t->client);
    if (t->comes_back) served_stop(&t->s);
}

/* The registration is refused, or the connection is lost; the server is restarted, and the next state is told. */
static void observation_goes_on_when_the_server_is_back(void **state)
{
    for (int over_tcp = 0; over_tcp < 2; over_tcp++) {
        story t = { .pair = *state, .over_tcp = over_tcp, .comes_back = true };
        tell(&t, 60000);
        assert_int_equal(t.notifications, 2);
        assert_int_equal(t.backs, 1);
        assert_true(nacre_clock_ms() - t.away_ms >= 500); /* a pause, and not a storm */
        finish(&t);
    }
}

/* It does not come back: the observation ends in order, by its duration or by nacre_client_stop. */
static void observation_of_an_absent_server_ends_by_the_users_limit(void **state)
{
    for (int stops = 0; stops < 2; stops++) {
        story t = { .pair = *state, .over_tcp = true, .stops = stops };
        const uint64_t start = nacre_clock_ms();
        tell(&t, stops ? 60000 : 2500);
        const uint64_t took = nacre_clock_ms() - start;
        assert_true(stops ? took < 20000 : took >= 2500);
        assert_int_equal(t.notifications, 1);
        assert_int_equal(t.backs, 0);
        finish(&t);
    }
}

/* A first registration that cannot be delivered is an error at once. */
static void first_registration_that_is_refused_fails_at_once(void **state)
{
    for (int over_tcp = 0; over_tcp < 2; over_tcp++) {
        story t = { .pair = *state, .over_tcp = over_tcp };
        nacre_reply reply = { 0 };
        nacre_detail why = { { 0 } };
        (void)snprintf(t.udp_at, sizeof t.udp_at, "[::1]:0");
        (void)snprintf(t.tcp_at, sizeof t.tcp_at, "[::1]:0");
        serve(&t);
        served_crash(&t.s);
        t.client = pair_open_with(t.pair->client);
        assert_int_equal(observe(&t, 0, &reply, &why), NACRE_ERR_UNREACHABLE);
        assert_int_equal(t.aways, 0);
        finish(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(observation_goes_on_when_the_server_is_back, pair_set_up, pair_tear_down),
        cmocka_unit_test_setup_teardown(observation_of_an_absent_server_ends_by_the_users_limit, pair_set_up,
                                        pair_tear_down),
        cmocka_unit_test_setup_teardown(first_registration_that_is_refused_fails_at_once, pair_set_up, pair_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
