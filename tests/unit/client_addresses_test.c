/* SPDX-License-Identifier: MIT */
/* client_addresses_test: hosts with several addresses, the first of which does not respond. The program brings its own
 * resolver. */
#include "served.h"
#include "support.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const *addresses; /* the host's addresses, up to NULL */
static char contacted[64];           /* the host that was resolved */

int getaddrinfo(const char *restrict host, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict found)
{
    static struct sockaddr_storage names[8];
    static struct addrinfo list[8];
    size_t num = 0;
    const char *one[2] = { host, NULL };
    (void)hints;
    (void)snprintf(contacted, sizeof contacted, "%s", host);
    memset(list, 0, sizeof list);
    for (const char *const *at = strcmp(host, "many.test") == 0 ? addresses : one; at != NULL && *at != NULL; at++) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(service, NULL, 10)) };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = in.sin_port };
        if (inet_pton(AF_INET, *at, &in.sin_addr) == 1) memcpy(&names[num], &in, sizeof in);
        else if (inet_pton(AF_INET6, *at, &in6.sin6_addr) == 1) memcpy(&names[num], &in6, sizeof in6);
        else return EAI_NONAME;
        list[num].ai_addr = (struct sockaddr *)&names[num];
        list[num].ai_addrlen = names[num].ss_family == AF_INET ? sizeof in : sizeof in6;
        if (num > 0) list[num - 1].ai_next = &list[num];
        num++;
    }
    *found = list;
    return num > 0 ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *found)
{
    (void)found;
}

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    nacre_response_text(response, NACRE_CONTENT, request->message->payload.len > 0 ? "taken" : "hello");
}

static void fill(nacre_server *server, void *user)
{
    static const nacre_resource resource = { .path = "/hello", .handler = hello, .flags = NACRE_RESOURCE_PLAIN };
    (void)user;
    if (nacre_server_add_resource(server, &resource) != NACRE_OK ||
        nacre_server_listen_tcp(server, "127.0.0.1:0", NULL) != NACRE_OK)
        _Exit(1);
}

typedef struct row {
    const char *addresses[4];
    uint8_t method;
    nacre_err udp, tcp;
} row;

/* `proxy`: NULL, or where requests are sent in place of `uri`; the server is no proxy and refuses. */
static void expect_client(const row *r, const char *uri, const char *proxy, nacre_err wanted)
{
    nacre_client *client;
    nacre_reply reply = { 0 };
    nacre_detail why = { { 0 } };
    const nacre_client_options options = { .timeout_ms = 5000, .proxy = proxy };
    const nacre_bytes body = r->method != NACRE_GET ? NACRE_STR("some") : NACRE_ABSENT;
    const char *list[COUNT(r->addresses) + 1] = { NULL };
    memcpy(list, r->addresses, sizeof r->addresses);
    addresses = list;
    assert_ok(nacre_client_open(&client, &options, &why));
    const nacre_err err = nacre_client_request(client, &reply, r->method, uri, NULL, body, &why);
    if (err != wanted)
        fail_msg("%u %s, first %s: %s: %s", (unsigned)r->method, proxy != NULL ? proxy : uri, list[0],
                 nacre_err_name(err), why.text);
    if (err == NACRE_OK && proxy != NULL) assert_int_equal(reply.code, NACRE_PROXYING_NOT_SUPPORTED);
    else if (err == NACRE_OK) assert_bytes(reply.payload, body.len > 0 ? NACRE_STR("taken") : NACRE_STR("hello"));
    assert_ok(nacre_client_close(client, &why));
}

/* Over UDP an unreachable address may have carried out the request; over TCP nothing was sent to it. */
static void the_next_address_is_tried_unless_a_post_may_have_arrived(void **state)
{
    static const row rows[] = {
        { { "127.0.0.1" }, NACRE_GET, NACRE_OK, NACRE_OK },
        { { "::1", "127.0.0.1" }, NACRE_GET, NACRE_OK, NACRE_OK },
        { { "::1", "::1", "127.0.0.2", "127.0.0.1" }, NACRE_GET, NACRE_OK, NACRE_OK },
        { { "::1", "127.0.0.1" }, NACRE_PUT, NACRE_OK, NACRE_OK },
        { { "127.0.0.2", "127.0.0.1" }, NACRE_FETCH, NACRE_OK, NACRE_OK },
        { { "127.0.0.1", "::1" }, NACRE_POST, NACRE_OK, NACRE_OK },
        { { "::1", "127.0.0.1" }, NACRE_POST, NACRE_ERR_UNREACHABLE, NACRE_OK },
        { { "::1", "127.0.0.1" }, NACRE_PATCH, NACRE_ERR_UNREACHABLE, NACRE_OK },
        { { "::1", "127.0.0.2", "127.0.0.1" }, NACRE_POST, NACRE_ERR_UNREACHABLE, NACRE_OK },
        { { "::1", "127.0.0.2" }, NACRE_GET, NACRE_ERR_UNREACHABLE, NACRE_ERR_UNREACHABLE },
        { { "::1", "127.0.0.2" }, NACRE_POST, NACRE_ERR_UNREACHABLE, NACRE_ERR_UNREACHABLE },
    };
    (void)state;
    const served server = served_start("127.0.0.1:0", fill, NULL);
    char udp[96], tcp[96], path[128];
    (void)snprintf(udp, sizeof udp, "coap://many.test%s", strrchr(server.hostinfo, ':'));
    (void)snprintf(tcp, sizeof tcp, "coap+tcp://many.test%s", strrchr(server.tcp, ':'));
    for (size_t i = 0; i < COUNT(rows); i++) {
        (void)snprintf(path, sizeof path, "%s/hello", udp);
        expect_client(&rows[i], path, NULL, rows[i].udp);
        (void)snprintf(path, sizeof path, "%s/hello", tcp);
        expect_client(&rows[i], path, NULL, rows[i].tcp);
        expect_client(&rows[i], "coap://elsewhere.test/hello", udp, rows[i].udp);
        expect_client(&rows[i], "coap://elsewhere.test/hello", tcp, rows[i].tcp);
    }
    served_stop(&server);
}

/* Accepts connections at `at`, and closes each once it has received something. */
static void *close_each(void *at)
{
    const int listener = *(const int *)at;
    char ignored[512];
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; (void)close(fd))
        if (recv(fd, ignored, sizeof ignored, 0) > 0) (void)shutdown(fd, SHUT_WR);
    return NULL;
}

/* A request sent on an established connection may have been carried out. */
static void a_post_stays_where_a_connection_was_open(void **state)
{
    static const row get = { { "127.0.0.2", "127.0.0.1" }, NACRE_GET, NACRE_OK, NACRE_OK };
    static const row post = { { "127.0.0.2", "127.0.0.1" }, NACRE_POST, NACRE_OK, NACRE_ERR_UNREACHABLE };
    char uri[96];
    pthread_t thread;
    (void)state;
    const served server = served_start("127.0.0.1:0", fill, NULL);
    const char *port = strrchr(server.tcp, ':');
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10)) };
    assert_int_equal(inet_pton(AF_INET, "127.0.0.2", &in.sin_addr), 1);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(pthread_create(&thread, NULL, close_each, &listener), 0);
    (void)snprintf(uri, sizeof uri, "coap+tcp://many.test%s/hello", port);
    expect_client(&get, uri, NULL, get.tcp);
    expect_client(&post, uri, NULL, post.tcp);
    (void)shutdown(listener, SHUT_RDWR);
    (void)pthread_join(thread, NULL);
    (void)close(listener);
    served_stop(&server);
}

static int tear_down(void **state)
{
    served_end();
    return test_release(state);
}

/* RFC 6874 2: the '%' of a scope is "%25". Here it resolves to nothing. */
static void a_scope_follows_percent_25(void **state)
{
    static const struct {
        const char *uri, *contacted; /* "": the resolver is not called */
        nacre_err err;
    } rows[] = {
        { "coap://[fe80::1%25lo]/x", "fe80::1%lo", NACRE_ERR_ADDRESS },
        { "coap://[fe80::1%251]/x", "fe80::1%1", NACRE_ERR_ADDRESS },
        { "coap://[fe80::1%2525]/x", "fe80::1%25", NACRE_ERR_ADDRESS },
        { "coap://[fe80::1%25]/x", "", NACRE_ERR_BAD_URI },
        { "coap://[fe80::1%11]/x", "", NACRE_ERR_BAD_URI },
        { "coap://[fe80::1%25l%6f]/x", "", NACRE_ERR_BAD_URI },
        { "coap://[fe80%3a:1]/x", "", NACRE_ERR_BAD_URI },
    };
    (void)state;
    nacre_client *client;
    nacre_detail why = { { 0 } };
    assert_ok(nacre_client_open(&client, NULL, &why));
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_reply reply;
        contacted[0] = '\0';
        const nacre_err err = nacre_client_request(client, &reply, NACRE_GET, rows[i].uri, NULL, NACRE_ABSENT, &why);
        assert_err_row(rows[i].uri, err, rows[i].err);
        assert_string_equal(contacted, rows[i].contacted);
    }
    assert_ok(nacre_client_close(client, &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_teardown(
                                            the_next_address_is_tried_unless_a_post_may_have_arrived, tear_down),
                                        cmocka_unit_test_teardown(a_post_stays_where_a_connection_was_open, tear_down),

                                        cmocka_unit_test_teardown(a_scope_follows_percent_25, tear_down) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
