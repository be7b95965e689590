/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* client_away_test: an observation of nacre_client outlives its server's absence, over UDP and TCP. */
#include "pair.h"
#include "support.h"

#include "endpoint/endpoint_struct.h"
#include "io/client/client_internal.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST_PAUSE_MS = 200 };

/* The events during one observation. */
typedef struct story {
    const pair *pair;
    bool over_tcp, comes_back, stops;
    served s;
    char udp_at[72], tcp_at[72]; /* the server's addresses */
    nacre_client *client;
    int notifications, aways, backs;
    uint64_t away_ms; /* time of the first notification */
    pid_t slow;       /* the child in which the server returns: */
    int num_ignored;  /* requests that get no response, and … */
    int num_refused;  /* … then those refused in clear, before the server is back at the same port; -1: for ever */
} story;

static void state_now(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    (void)request;
    nacre_response_text(response, NACRE_CONTENT, "state");
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

/* In a child: plays the server's port while the server is away, then runs the server again. */
static void return_slowly(const story *t, nacre_server **server)
{
    nacre_detail why = { { 0 } };
    uint8_t bytes[1280];
    struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
    at.sin6_port = htons((uint16_t)strtoul(strrchr(t->udp_at, ':') + 1, NULL, 10));
    const int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0) _exit(3);
    for (int n = 0; t->num_ignored < 0 || n < t->num_ignored + t->num_refused;) {
        struct sockaddr_storage from;
        socklen_t len = sizeof from;
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        (void)poll(&wait, 1, 1000);
        const ssize_t got = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &len);
        if (got < 12 || bytes[0] != 0x48) continue;
        if (n++ < t->num_ignored || t->num_ignored < 0) continue;
        bytes[0] = 0x68; /* in the ACK */
        bytes[1] = NACRE_UNAUTHORIZED;
        (void)sendto(fd, bytes, 12, 0, (struct sockaddr *)&from, len);
    }
    (void)close(fd);
    if (nacre_server_open(server, t->udp_at, &why) != NACRE_OK) _exit(4);
}

static nacre_server *returned;

static void stop_returned(int number)
{
    (void)number;
    if (returned == NULL) _exit(0);
    nacre_server_stop(returned);
}

static void come_back_slowly(story *t)
{
    t->slow = fork();
    if (t->slow != 0) return;
    nacre_detail why = { { 0 } };
    struct sigaction action = { .sa_handler = stop_returned };
    (void)sigaction(SIGTERM, &action, NULL);
    return_slowly(t, &returned);
    fill(returned, t);
    _exit(nacre_server_run(returned, &why) == NACRE_OK && nacre_server_close(returned, &why) == NACRE_OK ? 0 : 5);
}

static bool on_notification(void *user, const nacre_reply *reply)
{
    story *t = user;
    assert_true(reply->is_protected);
    t->notifications++;
    if (t->notifications == 1) served_crash(&t->s);
    if (t->notifications == 1 && t->num_ignored + t->num_refused != 0) come_back_slowly(t);
    return t->notifications < 2;
}

static void on_away(void *user, const char *why)
{
    story *t = user;
    if (why == NULL) {
        t->backs++;
        return;
    }
    const char *reason = t->num_ignored != 0   ? "no answer from"
                         : t->num_refused != 0 ? "answered 4.01 Unauthorized without protection"
                         : t->over_tcp         ? " the connection" /* closed or reset */
                                               : "cannot be reached";
    if (strstr(why, reason) == NULL) fail_msg("away: '%s', not '%s'", why, reason);
    t->aways++;
    t->away_ms = nacre_clock_ms();
    if (t->comes_back) serve(t);
    if (t->stops) nacre_client_stop(t->client);
}

static nacre_err observe(story *t, uint32_t duration_ms, nacre_reply *reply, nacre_detail *why)
{
    char uri[104];
    const nacre_observe_options how = { on_notification, t, duration_ms, on_away, NULL };
    (void)snprintf(uri, sizeof uri, "%s/state", t->over_tcp ? t->s.tcp : t->s.origin);
    nacre_client_request_config request = nacre_client_request_config_default();
    request.uri = uri;
    return nacre_client_observe(t->client, reply, &request, &how, why);
}

/* Registers again after 300 ms, which takes 5 to 15 seconds after Max-Age by default; pauses start at 0.2 s, not 1
 * s. */
static nacre_client *open_impatient(const char *context_dir)
{
    nacre_client *client = pair_open_with(context_dir);
    nacre_loop_endpoint(client->loop)->core.config.observe.reregister_ms = 300;
    client->first_pause_ms = FIRST_PAUSE_MS;
    return client;
}

static void tell(story *t, uint32_t duration_ms)
{
    nacre_reply reply = { 0 };
    nacre_detail why = { { 0 } };
    (void)snprintf(t->udp_at, sizeof t->udp_at, "[::1]:0");
    (void)snprintf(t->tcp_at, sizeof t->tcp_at, "[::1]:0");
    serve(t);
    t->client = open_impatient(t->pair->client);
    const nacre_err err = observe(t, duration_ms, &reply, &why);
    if (err != NACRE_OK) fail_msg("%s", why.text);
    assert_int_equal(reply.code, 0); /* ended by the client */
    assert_int_equal(t->aways, 1);
}

static void finish(story *t)
{
    pair_close(t->client);
    if (t->comes_back) served_stop(&t->s);
}

/* The registration is refused, or the connection is lost; the server is restarted, and its next state is reported. */
static void observation_goes_on_when_the_server_is_back(void **state)
{
    for (int over_tcp = 0; over_tcp < 2; over_tcp++) {
        story t = { .pair = *state, .over_tcp = over_tcp, .comes_back = true };
        tell(&t, 60000);
        assert_int_equal(t.notifications, 2);
        assert_int_equal(t.backs, 1);
        assert_true(nacre_clock_ms() - t.away_ms >= FIRST_PAUSE_MS / 2); /* attempts are paused */
        finish(&t);
    }
}

/* The server does not return: the observation ends in order, by its duration or by nacre_client_stop. */
static void observation_of_an_absent_server_ends_by_the_users_limit(void **state)
{
    for (int stops = 0; stops < 2; stops++) {
        story t = { .pair = *state, .over_tcp = true, .stops = stops };
        const uint64_t start = nacre_clock_ms();
        tell(&t, stops ? 60000 : 1500);
        const uint64_t took = nacre_clock_ms() - start;
        assert_true(stops ? took < 20000 : took >= 1500);
        assert_int_equal(t.notifications, 1);
        assert_int_equal(t.backs, 0);
        finish(&t);
    }
}

static void end_slowly(story *t)
{
    int status = 0;
    assert_int_equal(kill(t->slow, SIGTERM), 0);
    assert_int_equal(waitpid(t->slow, &status, 0), t->slow);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    pair_close(t->client);
}

/* A protected observation goes on when a registration gets no response in any transmission or attempt, or is refused in
 * clear, because no response verifies. */
static void observation_outlives_silence_and_refusals_in_clear(void **state)
{
    static const struct {
        int num_ignored, num_refused;
    } rows[] = { { 7, 0 }, { 0, 2 }, { 4, 1 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        story t = { .pair = *state, .num_ignored = rows[i].num_ignored, .num_refused = rows[i].num_refused };
        tell(&t, 120000);
        assert_int_equal(t.notifications, 2);
        assert_int_equal(t.backs, 1);
        end_slowly(&t);
    }
}

/* The server stays silent: the user's own limit ends the observation in order. */
static void silent_server_ends_the_observation_at_the_users_limit(void **state)
{
    story t = { .pair = *state, .num_ignored = -1 };
    const uint64_t start = nacre_clock_ms();
    tell(&t, 2000);
    assert_in_range(nacre_clock_ms() - start, 2000, 20000);
    assert_int_equal(t.notifications, 1);
    assert_int_equal(t.backs, 0);
    end_slowly(&t);
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
        cmocka_unit_test_setup_teardown(observation_outlives_silence_and_refusals_in_clear, pair_set_up,
                                        pair_tear_down),
        cmocka_unit_test_setup_teardown(silent_server_ends_the_observation_at_the_users_limit, pair_set_up,
                                        pair_tear_down),
        cmocka_unit_test_setup_teardown(first_registration_that_is_refused_fails_at_once, pair_set_up, pair_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
