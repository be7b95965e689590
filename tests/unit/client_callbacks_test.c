/* SPDX-License-Identifier: MIT */
/* client_callbacks_test: what the callbacks of a client may do to its calls, and what each of these counts for. */
#include "pair.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STEP_MS = 5, LIMIT_MS = 10000, BODY = 5000 };

typedef struct world {
    nacre_server *server;
    nacre_client *client;
    char uri[2][128]; /* UDP, TCP */
    unsigned requests;
    nacre_client_call call;
    unsigned notifications, aways, returns, ends, seen;
    nacre_err err, nested;
    int cancel_in;   /* see `where` */
    bool unobserves; /* instead of a cancellation, and in on_away */
    nacre_err in_handler;
    size_t len;
} world;

typedef enum where { NOWHERE, IN_SINK, IN_SOURCE, IN_PROGRESS, IN_MESSAGE, WHERES } where;

static uint8_t body[BODY];

static void sleep_ms(long ms)
{
    const struct timespec time = { ms / 1000, ms % 1000 * 1000000 };
    (void)nanosleep(&time, NULL);
}

static void respond(void *user, const nacre_request *request, nacre_response *response)
{
    world *w = user;
    w->requests++;
    w->in_handler = nacre_server_step(w->server, 0, NULL);
    if (w->in_handler == NACRE_ERR_BUSY) w->in_handler = nacre_server_run(w->server, NULL);
    if (request->message->code == NACRE_GET) response->payload = nacre_bytes_of(body, w->len);
    response->code = request->message->code == NACRE_GET ? NACRE_CONTENT : NACRE_CHANGED;
}

static void serve(world *w, const char *tcp)
{
    const nacre_resource resource = {
        .path = "/s", .handler = respond, .user = w, .flags = NACRE_RESOURCE_PLAIN | NACRE_RESOURCE_OBSERVABLE
    };
    nacre_address local[2];
    char text[72];
    assert_ok(nacre_server_open(&w->server, "127.0.0.1:0", NULL));
    assert_ok(nacre_server_add_resource(w->server, &resource));
    assert_ok(nacre_server_listen_tcp(w->server, tcp, NULL));
    local[0] = nacre_server_local(w->server);
    local[1] = nacre_server_local_tcp(w->server);
    for (int i = 0; i < 2; i++) {
        nacre_address_text(&local[i], text);
        (void)snprintf(w->uri[i], sizeof w->uri[i], "%s://%s/s", i == 0 ? "coap" : "coap+tcp", text);
    }
}

static void cancel(world *w, where here)
{
    if (w->cancel_in != (int)here) return;
    w->seen++;
    if (w->unobserves) nacre_client_unobserve(w->client, w->call);
    else nacre_client_cancel(w->client, w->call);
    w->nested = nacre_client_step(w->client, 0, NULL);
}

static void on_message(void *user, bool outgoing, bool is_protected, const nacre_message *plain)
{
    (void)is_protected;
    (void)plain;
    if (!outgoing) cancel(user, IN_MESSAGE);
}

static void on_progress(void *user, bool outgoing, uint64_t done, uint64_t total)
{
    (void)outgoing;
    (void)done;
    (void)total;
    cancel(user, IN_PROGRESS);
}

static void open(world *w, uint16_t max_in_flight)
{
    const nacre_client_options options = { .timing = pair_quick,
                                           .limits.nstart = 8,
                                           .limits.max_in_flight = max_in_flight,
                                           .on_message = on_message,
                                           .on_progress = on_progress,
                                           .user = w };
    *w = (world){ .cancel_in = NOWHERE, .len = BODY };
    serve(w, "127.0.0.1:0");
    assert_ok(nacre_client_open(&w->client, &options, NULL));
}

static void close(world *w)
{
    assert_int_equal(nacre_client_num_in_flight(w->client), 0);
    assert_ok(nacre_client_close(w->client, NULL));
    assert_ok(nacre_server_close(w->server, NULL));
}

static bool on_notification(void *user, const nacre_reply *reply)
{
    world *w = user;
    (void)reply;
    w->notifications++;
    return true;
}

static void on_away(void *user, const char *why)
{
    world *w = user;
    if (why != NULL) w->aways++;
    else w->returns++;
    if (w->unobserves) nacre_client_unobserve(w->client, w->call);
}

static void on_done(void *user, const nacre_client_result *result)
{
    world *w = user;
    w->ends++;
    w->err = result->err;
}

static nacre_client_request_config request_for(world *w, const char *uri)
{
    nacre_client_request_config request = nacre_client_request_config_default();
    request.uri = uri;
    request.on_done = on_done;
    request.user = w;
    return request;
}

static void observe(world *w, const char *uri)
{
    const nacre_observe_options observing = { .on_notification = on_notification, .user = w, .on_away = on_away };
    const nacre_client_request_config request = request_for(w, uri);
    assert_ok(nacre_client_start_observe(w->client, &w->call, &request, &observing, NULL));
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

static nacre_udp *silent(char uri[128])
{
    nacre_udp *udp;
    nacre_address local;
    char text[72];
    assert_ok(nacre_address_resolve(&local, "127.0.0.1:0", 0, NULL));
    assert_ok(nacre_udp_open(&udp, &local, NULL));
    local = nacre_udp_local(udp);
    nacre_address_text(&local, text);
    (void)snprintf(uri, 128, "coap://%s/s", text);
    return udp;
}

/* An observation over TCP, whose server is then away. */
static void lose_server(world *w, char tcp[72])
{
    observe(w, w->uri[1]);
    until(w, &w->notifications, 1);
    const nacre_address local = nacre_server_local_tcp(w->server);
    nacre_address_text(&local, tcp);
    assert_ok(nacre_server_close(w->server, NULL));
    w->server = NULL;
    until(w, &w->aways, 1);
}

static void observation_counts_as_in_flight_while_its_server_is_away(void **state)
{
    (void)state;
    world w;
    char tcp[72], nowhere[128];
    nacre_reply reply;
    nacre_client_call other;
    open(&w, 2);
    nacre_udp *udp = silent(nowhere);
    lose_server(&w, tcp);
    const nacre_client_request_config request = request_for(&w, nowhere);
    assert_ok(nacre_client_start(w.client, &other, &request, NULL));
    assert_err(nacre_client_start(w.client, NULL, &request, NULL), NACRE_ERR_BUSY);
    assert_err(nacre_client_request(w.client, &reply, NACRE_GET, nowhere, NULL, NACRE_ABSENT, NULL), NACRE_ERR_BUSY);
    assert_int_equal(nacre_client_num_in_flight(w.client), 2);
    serve(&w, tcp);
    until(&w, &w.returns, 1);
    nacre_client_cancel(w.client, other);
    nacre_client_cancel(w.client, w.call);
    nacre_udp_close(udp);
    close(&w);
}

static void observation_deregistered_as_its_server_goes_away_is_not_registered_again(void **state)
{
    (void)state;
    world w;
    char tcp[72];
    open(&w, 8);
    w.unobserves = true;
    lose_server(&w, tcp);
    serve(&w, tcp);
    w.requests = 0;
    const uint64_t end = nacre_clock_ms() + 1500;
    while (nacre_clock_ms() < end) step(&w);
    assert_int_equal(w.requests, 0);
    assert_int_equal(w.ends, 1);
    assert_int_equal(w.err, NACRE_OK);
    close(&w);
}

/* ---- A call is cancelled in a callback of its own ------------------------------------------------------------------------ */

static nacre_err write_piece(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    (void)offset;
    (void)piece;
    (void)total;
    cancel(user, IN_SINK);
    return NACRE_OK;
}

static nacre_err read_piece(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    world *w = user;
    *len = BODY - (size_t)offset < buf.cap ? BODY - (size_t)offset : buf.cap;
    memcpy(buf.ptr, body + offset, *len);
    if (offset > 0) cancel(w, IN_SOURCE);
    return NACRE_OK;
}

static void a_call_cancelled_in_its_callback_ends_without_on_done(void **state)
{
    (void)state;
    for (int tcp = 0; tcp < 2; tcp++)
        for (int i = 0; i < WHERES; i++)
            for (int puts = i == IN_SOURCE; puts < (i == IN_SINK ? 1 : 2); puts++) {
                world w;
                open(&w, 4);
                w.cancel_in = i;
                nacre_client_request_config request = request_for(&w, w.uri[tcp]);
                const nacre_sink sink = { write_piece, &w };
                const nacre_source source = { read_piece, &w, BODY };
                request.sink = &sink;
                if (puts) request.source = &source;
                if (puts) request.method = NACRE_PUT;
                assert_ok(nacre_client_start(w.client, &w.call, &request, NULL));
                if (i == NOWHERE) until(&w, &w.ends, 1);
                else until(&w, &w.seen, 1);
                for (int more = 0; more < 5; more++) step(&w);
                assert_int_equal(w.ends, i == NOWHERE);
                if (i != NOWHERE) assert_err(w.nested, NACRE_ERR_BUSY);
                assert_int_equal(w.seen, i != NOWHERE);
                close(&w);
            }
}

static void end_in_sink(bool unobserves, bool first, size_t len)
{
    const nacre_sink sink = { write_piece, NULL };
    world w;
    open(&w, 1);
    nacre_sink used = sink;
    const nacre_observe_options observing = { .on_notification = on_notification, .user = &w };
    nacre_client_request_config request = request_for(&w, w.uri[0]);
    used.user = &w;
    request.sink = &used;
    w.unobserves = unobserves;
    w.len = len;
    if (first) w.cancel_in = IN_SINK;
    assert_ok(nacre_client_start_observe(w.client, &w.call, &request, &observing, NULL));
    if (!first) until(&w, &w.notifications, 1);
    w.cancel_in = IN_SINK;
    if (!first) nacre_server_changed(w.server, "/s");
    until(&w, &w.seen, 1);
    if (unobserves) until(&w, &w.ends, 1);
    for (int more = 0; more < 5; more++) step(&w);
    if (!unobserves) assert_int_equal(w.seen, 1); /* the response to a deregistration goes to the sink, too */
    assert_int_equal(w.notifications, !first);
    assert_int_equal(w.ends, unobserves);
    assert_ok(w.err);
    w.requests = 0;
    nacre_server_changed(w.server, "/s");
    for (int more = 0; more < 5; more++) step(&w);
    if (unobserves) assert_int_equal(w.requests, 0); /* the server has no observer */
    w.cancel_in = NOWHERE;
    w.ends = 0;
    assert_ok(nacre_client_start(w.client, NULL, &request, NULL)); /* in the same place */
    until(&w, &w.ends, 1);
    assert_ok(w.err);
    close(&w);
}

static void a_notification_whose_sink_ends_the_observation_is_the_last(void **state)
{
    (void)state;
    for (int unobserves = 0; unobserves < 2; unobserves++)
        for (int first = 0; first < 2; first++)
            for (int len = 16; len <= BODY; len += BODY - 16) end_in_sink(unobserves, first, (size_t)len);
}
/* ---- A request starts in a source or sink --------------------------------------------------------------------------------- */

static nacre_err start_in_sink(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    world *w = user;
    const nacre_client_request_config request = request_for(w, w->uri[0]);
    (void)offset;
    (void)piece;
    (void)total;
    w->nested = nacre_client_start(w->client, NULL, &request, NULL);
    return NACRE_OK;
}

static void a_sink_starts_no_request(void **state)
{
    (void)state;
    world w;
    open(&w, 4);
    nacre_client_request_config request = request_for(&w, w.uri[0]);
    const nacre_sink sink = { start_in_sink, &w };
    request.sink = &sink;
    assert_ok(nacre_client_start(w.client, NULL, &request, NULL));
    until(&w, &w.ends, 1);
    assert_ok(w.err);
    assert_err(w.nested, NACRE_ERR_BUSY);
    assert_ok(nacre_client_start(w.client, NULL, &request, NULL));
    until(&w, &w.ends, 2);
    close(&w);
}

/* ---- A callback waits ------------------------------------------------------------------------------------------------------ */

static void respond_late(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    (void)request;
    sleep_ms(150);
    nacre_response_text(response, NACRE_CONTENT, "late");
}

static void fill(nacre_server *server, void *user)
{
    static const nacre_resource resource = { .path = "/s", .handler = respond_late, .flags = NACRE_RESOURCE_PLAIN };
    (void)user;
    if (nacre_server_add_resource(server, &resource) != NACRE_OK) _Exit(1);
}

static void wait_inside(void *user, const nacre_client_result *result)
{
    world *w = user;
    nacre_reply reply;
    (void)result;
    w->ends++;
    w->nested = nacre_client_request(w->client, &reply, NACRE_GET, w->uri[0], NULL, NACRE_ABSENT, NULL);
}

static void take_long(void *user, const nacre_client_result *result)
{
    on_done(user, result);
    sleep_ms(600);
}

/* As a rule the response of the second request arrives while the first one's callback runs, and until then the observation's time is
 * up: it is taken in the step that ends the observation. */
static void a_callback_waits_neither_as_the_time_of_an_observation_ends(void **state)
{
    (void)state;
    const served s = served_start("127.0.0.1:0", fill, NULL);
    const nacre_observe_options observing = { .on_notification = on_notification };
    world w;
    char nowhere[128], late[128];
    nacre_reply reply;
    open(&w, 8);
    nacre_udp *udp = silent(nowhere);
    (void)snprintf(late, sizeof late, "%s/s", s.origin);
    nacre_client_request_config first = request_for(&w, late), second = request_for(&w, late);
    second.on_done = wait_inside;
    first.on_done = take_long;
    assert_ok(nacre_client_start(w.client, NULL, &first, NULL));
    assert_ok(nacre_client_start(w.client, NULL, &second, NULL));
    nacre_client_request_config observed = request_for(&w, nowhere);
    observed.timeout_ms = 300;
    w.nested = NACRE_OK;
    assert_err(nacre_client_observe(w.client, &reply, &observed, &observing, NULL), NACRE_ERR_TIMEOUT);
    until(&w, &w.ends, 2); /* on a slow machine the second response comes later */
    assert_err(w.nested, NACRE_ERR_BUSY);
    nacre_udp_close(udp);
    close(&w);
    served_stop(&s);
}

static void a_handler_steps_no_server(void **state)
{
    (void)state;
    world w;
    open(&w, 1);
    const nacre_client_request_config request = request_for(&w, w.uri[0]);
    assert_ok(nacre_client_start(w.client, NULL, &request, NULL));
    until(&w, &w.ends, 1);
    assert_ok(w.err);
    assert_err(w.in_handler, NACRE_ERR_BUSY);
    close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(observation_counts_as_in_flight_while_its_server_is_away),
        TEST(observation_deregistered_as_its_server_goes_away_is_not_registered_again),
        TEST(a_call_cancelled_in_its_callback_ends_without_on_done),
        TEST(a_notification_whose_sink_ends_the_observation_is_the_last),
        TEST(a_handler_steps_no_server),
        TEST(a_sink_starts_no_request),
        TEST(a_callback_waits_neither_as_the_time_of_an_observation_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
