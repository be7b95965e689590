/* SPDX-License-Identifier: MIT */
/* server_test: which contexts and requests a server accepts and refuses, its error texts, and the packet tap. */
#include "greeter.h"
#include "pair.h"
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void a_server_accepts_credentials(void **state)
{
    const pair *p = *state;
    nacre_server *server;
    nacre_detail why = { { 0 } };
    scratch_write(p->dir, "good.json",
                  "{\"coap://a/*\": {\"oscore\": {\"basedir\": \"server\"}}, \"coap://b/*\": {\"oscore\": "
                  "{\"basedir\": \"./server\"}}}");
    scratch_write(p->dir, "bad.json", "{\"coap://a/*\": {\"oscore\": {\"basedir\": \"nowhere\"}}}");
    assert_int_equal(nacre_server_open(&server, "[::1]:0", &why), NACRE_OK);
    if (nacre_server_add_credentials(server, scratch_path(p->dir, "good.json"), &why) != NACRE_OK)
        fail_msg("%s", why.text);
    assert_int_equal(nacre_server_add_credentials(server, scratch_path(p->dir, "bad.json"), &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, "nowhere"));
    assert_int_equal(nacre_server_add_credentials(server, "/nowhere", &why), NACRE_ERR_FILE);
    assert_int_equal(nacre_server_close(server, &why), NACRE_OK);
}

static void invalid_resources_are_refused(void **state)
{
    static const struct {
        const char *path;
        nacre_err err;
    } rows[] = { { "/a", NACRE_OK },
                 { "/a", NACRE_ERR_BAD_ARGUMENT },
                 { "a", NACRE_ERR_BAD_ARGUMENT },
                 { "", NACRE_ERR_BAD_ARGUMENT },
                 { "/a/b", NACRE_OK } };
    nacre_server *server;
    nacre_detail why;
    (void)state;
    assert_int_equal(nacre_server_open(&server, "127.0.0.1:0", &why), NACRE_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_resource resource = { .path = rows[i].path, .handler = greeter_hello };
        assert_int_equal(nacre_server_add_resource(server, &resource), rows[i].err);
    }
    nacre_resource no_handler = { .path = "/c" };
    assert_int_equal(nacre_server_add_resource(server, &no_handler), NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(nacre_server_close(server, &why), NACRE_OK);
    assert_int_equal(nacre_server_close(NULL, NULL), NACRE_OK);
}

/* A stop before the run is not lost, a stop ends one run, and several count as one. */
static void a_stop_before_the_run_is_not_lost(void **state)
{
    nacre_server *server;
    nacre_detail why;
    (void)state;
    assert_int_equal(nacre_server_open(&server, "127.0.0.1:0", &why), NACRE_OK);
    for (int run = 0; run < 3; run++) {
        for (int i = 0; i < (run == 1 ? 100000 : 1); i++) nacre_server_stop(server);
        errno = 0;
        nacre_server_stop(server);
        assert_int_equal(errno, 0);
        assert_int_equal(nacre_server_run(server, &why), NACRE_OK);
    }
    assert_int_equal(nacre_server_close(server, &why), NACRE_OK);
}

static void a_server_reports_why_it_cannot_start(void **state)
{
    static const struct {
        const char *bind, *says;
    } rows[] = { { "127.0.0.1:x", "port" },
                 { "192.0.2.1:5683", "192.0.2.1:5683" },
                 { "[::1", "[IPV6]:PORT" },
                 { "224.0.1.187:0", "224.0.1.187:0 is for a group" },
                 { "255.255.255.255:0", "is for a group" },
                 { "[ff01::1%1]:0", "is for a group" } };
    const pair *p = *state;
    nacre_server *server = NULL, *second = NULL;
    nacre_detail why;
    char text[72];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(nacre_server_open(&server, rows[i].bind, &why), NACRE_ERR_ADDRESS);
        if (strstr(why.text, rows[i].says) == NULL) fail_msg("'%s' does not say '%s'", why.text, rows[i].says);
    }
    assert_null(server);
    assert_int_equal(nacre_server_open(&server, "[::1]:0", &why), NACRE_OK);
    nacre_address local = nacre_server_local(server);
    nacre_address_text(&local, text);
    assert_int_equal(nacre_server_open(&second, text, &why), NACRE_ERR_ADDRESS);
    assert_non_null(strstr(why.text, text));
    assert_int_equal(nacre_server_add_context(server, scratch_path(p->dir, "nowhere"), &why), NACRE_ERR_FILE);
    assert_int_equal(nacre_server_add_context(server, p->server, &why), NACRE_OK);
    assert_int_equal(nacre_server_close(server, &why), NACRE_OK);
}

/* ---- The packet tap ---- */

typedef struct watched {
    const char *dir;
    unsigned received, sent;
} watched;

static void see(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes, size_t full_len)
{
    (void)full_len;
    watched *w = user;
    if (peer->len == 0 || bytes.len < 4) return;
    if (outgoing) w->sent++;
    else w->received++;
}

static void say_counts(void *user, const nacre_request *request, nacre_response *response)
{
    const watched *w = user;
    char text[32];
    (void)request;
    (void)snprintf(text, sizeof text, "%u in, %u out", w->received, w->sent);
    nacre_response_text(response, NACRE_CONTENT, text);
}

static void fill_watched(nacre_server *server, void *user)
{
    watched *w = user;
    const nacre_resource counts = { .path = "/counts", .handler = say_counts, .user = w };
    if (nacre_server_add_context(server, w->dir, NULL) != NACRE_OK) exit(2);
    if (nacre_server_add_resource(server, &counts) != NACRE_OK) exit(3);
    nacre_server_tap(server, see, w);
}

static void the_packet_tap_sees_each_datagram(void **state)
{
    const pair *p = *state;
    watched w = { .dir = p->server };
    const served s = served_start("[::1]:0", fill_watched, &w);
    /* with CoAP's timers: a slow machine makes no retransmission */
    const nacre_client_options options = { .context_dir = p->client };
    nacre_client *client = pair_open(&options);
    pair_expect(client, served_uri(&s, "/counts"), "1 in, 0 out");
    pair_expect(client, served_uri(&s, "/counts"), "2 in, 1 out");
    pair_close(client);
    served_stop(&s);
}

#define IN_A_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, pair_set_up, pair_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_DIRECTORY(a_server_accepts_credentials),      IN_A_DIRECTORY(invalid_resources_are_refused),
        IN_A_DIRECTORY(a_stop_before_the_run_is_not_lost), IN_A_DIRECTORY(a_server_reports_why_it_cannot_start),
        IN_A_DIRECTORY(the_packet_tap_sees_each_datagram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
