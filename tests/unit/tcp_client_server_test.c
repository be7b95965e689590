/* SPDX-License-Identifier: MIT */
/* tcp_client_server_test: nacre_client and nacre_server over TCP, with context directories, as client_server_test over
 * datagrams. */
#include "pair.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    nacre_response_text(response, NACRE_CONTENT, nacre_address_is_reliable(request->peer) ? "by TCP" : "by UDP");
}

typedef struct fixture {
    pair pair;
    const char *bind; /* of the connections */
    served s;
    char udp[104], tcp[104]; /* URIs of /hello */
} fixture;

static void fill(nacre_server *server, void *user)
{
    const fixture *f = user;
    const nacre_resource resource = { .path = "/hello", .handler = hello };
    nacre_detail why = { { 0 } };
    nacre_err err = nacre_server_listen_tcp(server, f->bind, &why);
    if (err == NACRE_OK) err = nacre_server_add_context(server, f->pair.server, &why);
    if (err == NACRE_OK) err = nacre_server_add_resource(server, &resource);
    if (err == NACRE_OK) return;
    fprintf(stderr, "server: %s\n", why.text);
    exit(2);
}

static void start(fixture *f, const char *bind)
{
    f->bind = bind;
    f->s = served_start("[::1]:0", fill, f);
    (void)snprintf(f->udp, sizeof f->udp, "%s/hello", f->s.origin);
    (void)snprintf(f->tcp, sizeof f->tcp, "%s/hello", f->s.tcp);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (f == NULL) return -1;
    pair_make(&f->pair);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    pair_remove(&f->pair);
    free(f);
    return 0;
}

static nacre_client *open_client(const fixture *f)
{
    const nacre_client_options options = { .context_dir = f != NULL ? f->pair.client : NULL, .timeout_ms = 5000 };
    return pair_open(&options);
}

static void both_directions_alternate(void **state)
{
    static const char *const binds[] = { "[::1]:0", "127.0.0.1:0", "[::]:0" };
    fixture *f = *state;
    for (size_t i = 0; i < COUNT(binds); i++) {
        start(f, binds[i]);
        char tcp[96];
        const char *port = strrchr(f->tcp, ':'); /* a server on the wildcard address is reached at a specific one */
        (void)snprintf(tcp, sizeof tcp, "coap+tcp://%s%s", i == 0 ? "[::1]" : "127.0.0.1", port);
        nacre_client *client = open_client(f);
        for (int j = 0; j < 3; j++) {
            pair_expect(client, tcp, "by TCP");
            pair_expect(client, f->udp, "by UDP");
        }
        pair_close(client);
        served_stop(&f->s);
    }
}

static void a_plain_request_is_refused(void **state)
{
    fixture *f = *state;
    start(f, "[::1]:0");
    nacre_client *client = open_client(NULL);
    nacre_reply reply;
    nacre_detail why;
    assert_ok(nacre_client_request(client, &reply, NACRE_GET, f->tcp, NULL, NACRE_ABSENT, &why));
    assert_int_equal(reply.code, NACRE_UNAUTHORIZED);
    pair_close(client);
    served_stop(&f->s);
}

/* The server restarts, which ends the connection of the last request; the next request opens another. */
static void a_request_after_a_restart_opens_a_connection(void **state)
{
    fixture *f = *state;
    char bind[72];
    nacre_reply reply;
    nacre_detail why;
    start(f, "[::1]:0");
    (void)snprintf(bind, sizeof bind, "[::1]%.*s", (int)strcspn(strrchr(f->tcp, ':'), "/"), strrchr(f->tcp, ':'));
    nacre_client *client = open_client(f);
    pair_expect(client, f->tcp, "by TCP");
    served_stop(&f->s);
    nacre_err err = nacre_client_request(client, &reply, NACRE_GET, f->tcp, NULL, NACRE_ABSENT, &why);
    assert_err(err, NACRE_ERR_UNREACHABLE);
    assert_true(strlen(why.text) > 10);
    start(f, bind);
    pair_expect(client, f->tcp, "by TCP");
    pair_close(client);
    served_stop(&f->s);
}

static void an_address_in_use_is_refused(void **state)
{
    (void)state;
    nacre_server *server;
    nacre_detail why = { { 0 } };
    char taken[72];
    assert_ok(nacre_server_open(&server, "[::1]:0", &why));
    assert_int_equal(nacre_server_local_tcp(server).len, 0);
    assert_err(nacre_server_listen_tcp(server, "[::1", &why), NACRE_ERR_ADDRESS);
    assert_ok(nacre_server_listen_tcp(server, "[::1]:0", &why));
    assert_err(nacre_server_listen_tcp(server, "[::1]:0", &why), NACRE_ERR_BAD_ARGUMENT);
    nacre_address local = nacre_server_local_tcp(server);
    assert_true(nacre_address_is_reliable(&local));
    nacre_address_text(&local, taken);
    nacre_server *other;
    assert_ok(nacre_server_open(&other, "[::1]:0", &why));
    assert_err(nacre_server_listen_tcp(other, taken, &why), NACRE_ERR_ADDRESS);
    assert_ok(nacre_server_listen_tcp(other, "[::1]:0", &why)); /* a second try is allowed */
    assert_ok(nacre_server_close(other, &why));
    assert_ok(nacre_server_close(server, &why));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(both_directions_alternate),
        WITH_FIXTURE(a_plain_request_is_refused),
        WITH_FIXTURE(a_request_after_a_restart_opens_a_connection),
        WITH_FIXTURE(an_address_in_use_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
