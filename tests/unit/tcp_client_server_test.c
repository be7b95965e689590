/* SPDX-License-Identifier: MIT */
/* tcp_client_server_test: nacre_client and nacre_server over connections, with context directories. The server runs in a child
 * process, as client_server_test has it over datagrams. */
#include <nacre/nacre.h>

#include "scratch.h"
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct fixture {
    char *dir;
    char client[256], server[256];
    pid_t pid; /* of the server; 0: none */
    char udp[96], tcp[96];
} fixture;

/* ---- The server ------------------------------------------------------------------------------------------------------- */

static nacre_server *serving; /* in the child only */

static void on_signal(int number)
{
    (void)number;
    nacre_server_stop(serving);
}

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    nacre_response_text(response, NACRE_CONTENT, nacre_address_is_reliable(request->peer) ? "by TCP" : "by UDP");
}

static void serve(const fixture *f, const char *bind, int ready)
{
    struct sigaction action = { .sa_handler = on_signal };
    nacre_detail why = { { 0 } };
    char texts[2][72];
    nacre_resource resource = { .path = "/hello", .handler = hello };
    nacre_err err = nacre_server_open(&serving, "[::1]:0", &why);
    if (err == NACRE_OK) (void)sigaction(SIGTERM, &action, NULL);
    if (err == NACRE_OK) err = nacre_server_listen_tcp(serving, bind, &why);
    if (err == NACRE_OK) err = nacre_server_add_context(serving, f->server, &why);
    if (err == NACRE_OK) err = nacre_server_add_resource(serving, &resource);
    if (err != NACRE_OK) {
        fprintf(stderr, "server: %s\n", why.text);
        exit(2);
    }
    nacre_address udp = nacre_server_local(serving), tcp = nacre_server_local_tcp(serving);
    nacre_address_text(&udp, texts[0]);
    nacre_address_text(&tcp, texts[1]);
    if (write(ready, texts, sizeof texts) != sizeof texts) exit(4);
    (void)close(ready);
    err = nacre_server_run(serving, &why);
    nacre_err closing = nacre_server_close(serving, &why);
    exit(err == NACRE_OK && closing == NACRE_OK ? 0 : 5);
}

static void start(fixture *f, const char *bind)
{
    int ends[2];
    char texts[2][72];
    assert_int_equal(pipe(ends), 0);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0) {
        (void)close(ends[0]);
        serve(f, bind, ends[1]);
    }
    (void)close(ends[1]);
    ssize_t len = read(ends[0], texts, sizeof texts);
    (void)close(ends[0]);
    if (len != sizeof texts) fail_msg("the server did not start");
    (void)snprintf(f->udp, sizeof f->udp, "coap://%s/hello", texts[0]);
    (void)snprintf(f->tcp, sizeof f->tcp, "coap+tcp://%s/hello", texts[1]);
}

static void stop(fixture *f)
{
    int status;
    assert_int_equal(kill(f->pid, SIGTERM), 0);
    assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
    f->pid = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("the server ended with status %#x", (unsigned)status);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    nacre_generate_options options = { 0 };
    nacre_detail why = { { 0 } };
    if (f == NULL) return -1;
    f->dir = scratch_make();
    (void)snprintf(f->client, sizeof f->client, "%s/client", f->dir);
    (void)snprintf(f->server, sizeof f->server, "%s/server", f->dir);
    if (nacre_directory_generate(f->client, f->server, &options, &why) != NACRE_OK) return -1;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    if (f->pid != 0) {
        (void)kill(f->pid, SIGKILL);
        (void)waitpid(f->pid, NULL, 0);
    }
    scratch_remove(f->dir);
    free(f);
    return 0;
}

/* ---- The client --------------------------------------------------------------------------------------------------------- */

static nacre_client *open_client(const fixture *f)
{
    nacre_client *client;
    nacre_detail why = { { 0 } };
    nacre_client_options options = { .context_dir = f != NULL ? f->client : NULL, .timeout_ms = 5000 };
    if (nacre_client_open(&client, &options, &why) != NACRE_OK) fail_msg("%s", why.text);
    return client;
}

static void expect(nacre_client *client, const char *at, const char *text)
{
    nacre_reply reply;
    nacre_detail why = { { 0 } };
    nacre_err err = nacre_client_request(client, &reply, NACRE_GET, at, NULL, NACRE_ABSENT, &why);
    if (err != NACRE_OK) fail_msg("%s: %s: %s", at, nacre_err_name(err), why.text);
    assert_true(reply.is_protected);
    assert_bytes(reply.payload, nacre_bytes_of((const uint8_t *)text, strlen(text)));
}

static void both_ways_by_turns(void **state)
{
    static const char *const binds[] = { "[::1]:0", "127.0.0.1:0", "[::]:0" };
    fixture *f = *state;
    for (size_t i = 0; i < COUNT(binds); i++) {
        start(f, binds[i]);
        char tcp[96];
        const char *port = strrchr(f->tcp, ':'); /* a wildcard is asked at an address of its own */
        (void)snprintf(tcp, sizeof tcp, "coap+tcp://%s%s", i == 0 ? "[::1]" : "127.0.0.1", port);
        nacre_client *client = open_client(f);
        for (int j = 0; j < 3; j++) {
            expect(client, tcp, "by TCP");
            expect(client, f->udp, "by UDP");
        }
        assert_int_equal(nacre_client_close(client, NULL), NACRE_OK);
        stop(f);
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
    assert_int_equal(nacre_client_close(client, NULL), NACRE_OK);
    stop(f);
}

/* The connection of the last request has gone with the server; the next request makes another one. */
static void the_server_goes_and_comes_back(void **state)
{
    fixture *f = *state;
    char bind[72];
    nacre_reply reply;
    nacre_detail why;
    start(f, "[::1]:0");
    (void)snprintf(bind, sizeof bind, "[::1]%.*s", (int)strcspn(strrchr(f->tcp, ':'), "/"), strrchr(f->tcp, ':'));
    nacre_client *client = open_client(f);
    expect(client, f->tcp, "by TCP");
    stop(f);
    nacre_err err = nacre_client_request(client, &reply, NACRE_GET, f->tcp, NULL, NACRE_ABSENT, &why);
    assert_err(err, NACRE_ERR_UNREACHABLE);
    assert_true(strlen(why.text) > 10);
    start(f, bind);
    expect(client, f->tcp, "by TCP");
    assert_int_equal(nacre_client_close(client, NULL), NACRE_OK);
    stop(f);
}

static void what_cannot_be_bound(void **state)
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
        WITH_FIXTURE(both_ways_by_turns),
        WITH_FIXTURE(a_plain_request_is_refused),
        WITH_FIXTURE(the_server_goes_and_comes_back),
        WITH_FIXTURE(what_cannot_be_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
