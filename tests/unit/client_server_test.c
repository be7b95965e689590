/* SPDX-License-Identifier: MIT */
/* Labels: cross linux */
/* client_server_test: the client and the server over real sockets on loopback, with context directories: exchanges
 * succeed, and go on after either side ended or crashed. */
#include "greeter.h"
#include "pair.h"
#include "support.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- What works -------------------------------------------------------------------------------------------------- */

static void request_gets_a_response(void **state)
{
    static const char *const binds[] = { "[::1]:0", "127.0.0.1:0", "[::]:0", "0.0.0.0:0" };
    const pair *p = *state;
    for (size_t i = 0; i < sizeof binds / sizeof binds[0]; i++) {
        served s = greeter_start_one(binds[i], p->server);
        /* a server on the wildcard address is reached at a specific one */
        const char *port = strrchr(s.origin, ':');
        char to[96];
        (void)snprintf(to, sizeof to, "coap://%s%s", i == 0 ? "[::1]" : i == 1 ? "127.0.0.1" : "127.0.0.2", port);
        memcpy(s.origin, to, sizeof to);
        nacre_client *client = pair_open_with(p->client);
        pair_expect(client, served_uri(&s, "/hello"), "Hello World!");
        pair_expect(client, served_uri(&s, "/who"), "00 0");
        pair_close(client);
        served_stop(&s);
    }
}

static void a_host_name_is_resolved(void **state)
{
    const pair *p = *state;
    served s = greeter_start_one("[::]:0", p->server);
    char text[160];
    (void)snprintf(text, sizeof text, "coap://LOCALHOST%s/hello", strrchr(s.origin, ':'));
    nacre_client *client = pair_open_with(p->client);
    struct addrinfo *found = NULL;
    if (getaddrinfo("localhost", NULL, NULL, &found) == 0) {
        pair_expect(client, text, "Hello World!");
        freeaddrinfo(found);
    } else { /* on a machine without /etc/hosts the error says so */
        nacre_reply reply;
        pair_expect_error(client, text, NACRE_ERR_ADDRESS, &reply);
    }
    pair_close(client);
    served_stop(&s);
}

static void bodies_of_one_message_and_of_two_arrive(void **state)
{
    const pair *p = *state;
    served s = greeter_start_one("[::1]:0", p->server);
    nacre_client *client = pair_open_with(p->client);
    uint8_t body[1025] = { 7 };
    for (size_t len = 1024; len <= 1025; len++) {
        nacre_reply reply = { 0 };
        nacre_detail why;
        const nacre_bytes payload = { body, len };
        assert_int_equal(nacre_client_request(client, &reply, NACRE_POST, served_uri(&s, "/who"), NULL, payload, &why),
                         NACRE_OK);
        assert_memory_equal(reply.payload.ptr, len == 1024 ? "00 1024" : "00 1025", 7);
    }
    pair_expect(client, served_uri(&s, "/hello"), "Hello World!");
    pair_close(client);
    served_stop(&s);
}

static void options_arrive_and_packet_taps_see_each_datagram(void **state)
{
    const pair *p = *state;
    served s = greeter_start_one("[::1]:0", p->server);
    pair_seen seen = { 0 };
    nacre_client_options options = nacre_client_options_default();
    options.context_dir = p->client;
    options.confirmable = false;
    options.user = &seen;
    options.on_datagram = pair_see_datagram;
    options.on_message = pair_see_message;
    nacre_client *client = pair_open(&options);
    uint8_t buf[16];
    nacre_options more;
    nacre_options_init(&more, NACRE_BUF(buf));
    nacre_options_add_uint(&more, NACRE_OPT_ACCEPT, 0);
    nacre_reply reply;
    nacre_detail why;
    assert_int_equal(
        nacre_client_request(client, &reply, NACRE_GET, served_uri(&s, "/hello"), &more, NACRE_ABSENT, &why), NACRE_OK);
    assert_int_equal(seen.sent, 1);
    assert_int_equal(seen.first_type, NACRE_NON);
    assert_int_equal(seen.received, 1);
    assert_int_equal(seen.messages, 2);
    assert_int_equal(seen.last_code, NACRE_CONTENT);
    assert_true(seen.has_accept);
    assert_true(seen.all_protected);
    nacre_bytes format = nacre_option_find(reply.options, NACRE_OPT_CONTENT_FORMAT);
    assert_false(nacre_is_absent(format));
    pair_close(client);
    served_stop(&s);
}

static void plain_requests_get_unprotected_resources_only(void **state)
{
    const pair *p = *state;
    served s = greeter_start_one("127.0.0.1:0", p->server);
    nacre_client_options options = { .timing = pair_quick };
    nacre_client *client = pair_open(&options);
    nacre_reply reply;
    nacre_detail why;
    assert_int_equal(pair_get(client, &reply, served_uri(&s, "/open"), &why), NACRE_OK);
    assert_int_equal(reply.code, NACRE_CONTENT);
    assert_false(reply.is_protected);
    assert_memory_equal(reply.payload.ptr, "nobody 0", 8);
    assert_int_equal(pair_get(client, &reply, served_uri(&s, "/who"), &why), NACRE_OK);
    assert_int_equal(reply.code, NACRE_UNAUTHORIZED);
    pair_close(client);
    served_stop(&s);
}

/* Both have Sender ID 00: the server tries each context. */
static void two_clients_alternate(void **state)
{
    const pair *p = *state;
    pair_more(p, "client2", "server2");
    char second[300];
    (void)snprintf(second, sizeof second, "%s/client2", p->dir);
    char server2[300];
    (void)snprintf(server2, sizeof server2, "%s/server2", p->dir);
    const char *dirs[] = { p->server, server2, p->server, NULL }; /* naming one directory twice adds it once */
    served s = greeter_start("[::1]:0", dirs);
    nacre_client *one = pair_open_with(p->client), *two = pair_open_with(second);
    for (int i = 0; i < 3; i++) {
        pair_expect(one, served_uri(&s, "/hello"), "Hello World!");
        pair_expect(two, served_uri(&s, "/who"), "00 0");
    }
    pair_close(one);
    pair_expect(two, served_uri(&s, "/hello"), "Hello World!");
    pair_close(two);
    served_stop(&s);
}

/* A pair under numbered names; its ID Context is the number, or absent. */
static void make_numbered(const pair *p, int number, bool has_id_context)
{
    nacre_detail why = { { 0 } };
    uint8_t id = (uint8_t)number;
    char client[300], server[300];
    const nacre_generate_options options = { .id_context = has_id_context ? nacre_bytes_of(&id, 1) : NACRE_ABSENT,
                                             .client_id = NACRE_STR("\x00"),
                                             .server_id = NACRE_STR("\x01") };
    (void)snprintf(client, sizeof client, "%s/c%d", p->dir, number);
    (void)snprintf(server, sizeof server, "%s/s%d", p->dir, number);
    if (nacre_directory_generate(client, server, &options, &why) != NACRE_OK) fail_msg("%s", why.text);
}

/* More contexts than the table's first size. All have the same Sender ID; the ID Context tells them apart. */
static void a_server_grows_its_context_table(void **state)
{
    enum { MANY = 30 };
    const pair *p = *state;
    static char names[MANY][300];
    const char *dirs[MANY + 1] = { NULL };
    for (int i = 0; i < MANY; i++) {
        make_numbered(p, i, true);
        (void)snprintf(names[i], sizeof names[i], "%s/s%d", p->dir, i);
        dirs[i] = names[i];
    }
    served s = greeter_start("[::1]:0", dirs);
    for (int i = 0; i < MANY; i += 7) {
        char dir[300];
        (void)snprintf(dir, sizeof dir, "%s/c%d", p->dir, i);
        nacre_client *client = pair_open_with(dir);
        pair_expect(client, served_uri(&s, "/hello"), "Hello World!");
        pair_close(client);
    }
    served_stop(&s);
}

/* Contexts with the same IDs: eight are tried for a request, and a ninth is refused when it is added. */
static void a_ninth_context_with_the_same_ids_is_refused(void **state)
{
    const pair *p = *state;
    char dir[300];
    nacre_detail why;
    nacre_server *server;
    assert_int_equal(nacre_server_open(&server, "[::1]:0", &why), NACRE_OK);
    for (int i = 0; i < 10; i++) {
        make_numbered(p, i, i == 9);
        (void)snprintf(dir, sizeof dir, "%s/s%d", p->dir, i);
        for (int again = 0; again < 2; again++)
            assert_int_equal(nacre_server_add_context(server, dir, &why),
                             i == NACRE_MAX_CANDIDATES ? NACRE_ERR_UNSUPPORTED : NACRE_OK);
        if (i == NACRE_MAX_CANDIDATES) assert_non_null(strstr(why.text, "ID Context"));
    }
    assert_int_equal(nacre_server_close(server, &why), NACRE_OK);

    static char names[NACRE_MAX_CANDIDATES][300]; /* the eighth is served */
    const char *dirs[NACRE_MAX_CANDIDATES + 1] = { NULL };
    for (int i = 0; i < NACRE_MAX_CANDIDATES; i++) {
        (void)snprintf(names[i], sizeof names[i], "%s/s%d", p->dir, i);
        dirs[i] = names[i];
    }
    served s = greeter_start("[::1]:0", dirs);
    (void)snprintf(dir, sizeof dir, "%s/c7", p->dir);
    nacre_client *client = pair_open_with(dir);
    pair_expect(client, served_uri(&s, "/hello"), "Hello World!");
    pair_close(client);
    served_stop(&s);
}

/* ---- Restarts ---------------------------------------------------------------------------------------------------- */

static nacre_directory_info info_of(const char *dir)
{
    nacre_directory_info info;
    nacre_detail why = { { 0 } };
    if (nacre_directory_read(&info, dir, false, &why) != NACRE_OK) fail_msg("%s", why.text);
    return info;
}

/* A clean end on both sides writes exact numbers and a known window. */
static void exchanges_go_on_after_both_sides_restart(void **state)
{
    const pair *p = *state;
    for (uint64_t run = 1; run <= 3; run++) {
        served s = greeter_start_one("[::1]:0", p->server);
        nacre_client *client = pair_open_with(p->client);
        pair_expect(client, served_uri(&s, "/hello"), "Hello World!");
        pair_expect(client, served_uri(&s, "/hello"), "Hello World!");
        pair_close(client);
        served_stop(&s);
        assert_int_equal(info_of(p->client).next_to_send, 2 * run);
        assert_true(info_of(p->server).window_known);
    }
}

/* RFC 8613 B.1.2: after a crash the server does not know its window, sends an Echo challenge, and goes on. */
static void exchanges_go_on_after_the_server_crashes(void **state)
{
    const pair *p = *state;
    pair_seen seen = { 0 };
    nacre_client_options options = { .context_dir = p->client, .user = &seen };
    options.on_datagram = pair_see_datagram;
    nacre_client *client = pair_open(&options);
    served s = greeter_start_one("[::1]:0", p->server);
    pair_expect(client, served_uri(&s, "/hello"), "Hello World!");
    assert_int_equal(seen.sent, 1);
    served_crash(&s);
    assert_false(info_of(p->server).window_known);
    s = greeter_start_one("[::1]:0", p->server);
    pair_expect(client, served_uri(&s, "/hello"), "Hello World!");
    assert_int_equal(seen.sent, 3); /* the request, and once more with the Echo value */
    pair_expect(client, served_uri(&s, "/hello"), "Hello World!");
    assert_int_equal(seen.sent, 4);
    served_stop(&s);
    pair_close(client);
    assert_true(info_of(p->server).window_known);
}

/* RFC 8613 B.1.1: a client that crashes uses no number twice; the number on disk is above all used ones. */
static void exchanges_go_on_after_the_client_crashes(void **state)
{
    const pair *p = *state;
    served s = greeter_start_one("[::1]:0", p->server);
    uint64_t before = 0;
    for (int run = 0; run < 3; run++) {
        int status;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            nacre_client *client = pair_open_with(p->client);
            nacre_reply reply;
            nacre_detail why;
            bool ok =
                pair_get(client, &reply, served_uri(&s, "/hello"), &why) == NACRE_OK && reply.code == NACRE_CONTENT;
            _exit(ok ? 0 : 1); /* without closing the directory */
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        uint64_t after = info_of(p->client).next_to_send;
        assert_true(after > before);
        before = after;
    }
    nacre_client *client = pair_open_with(p->client);
    pair_expect(client, served_uri(&s, "/hello"), "Hello World!");
    pair_close(client);
    assert_int_equal(info_of(p->client).next_to_send, before + 1);
    served_stop(&s);
}

#define IN_A_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, pair_set_up, pair_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_DIRECTORY(request_gets_a_response),
        IN_A_DIRECTORY(a_host_name_is_resolved),
        IN_A_DIRECTORY(bodies_of_one_message_and_of_two_arrive),
        IN_A_DIRECTORY(options_arrive_and_packet_taps_see_each_datagram),
        IN_A_DIRECTORY(plain_requests_get_unprotected_resources_only),
        IN_A_DIRECTORY(two_clients_alternate),
        IN_A_DIRECTORY(a_server_grows_its_context_table),
        IN_A_DIRECTORY(a_ninth_context_with_the_same_ids_is_refused),
        IN_A_DIRECTORY(exchanges_go_on_after_both_sides_restart),
        IN_A_DIRECTORY(exchanges_go_on_after_the_server_crashes),
        IN_A_DIRECTORY(exchanges_go_on_after_the_client_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
