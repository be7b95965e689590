/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* client_test: how a client reports failures, which datagrams do not disturb it, and which context it takes. */
#include "greeter.h"
#include "pair.h"
#include "support.h"

#include "io/address.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- What does not work ------------------------------------------------------------------------------------------ */

static void a_crashed_server_is_unreachable(void **state)
{
    const pair *p = *state;
    served s = greeter_start_one("[::1]:0", p->server);
    nacre_client *client = pair_open_with(p->client);
    nacre_reply reply = { .code = 1 };
    pair_expect(client, served_uri(&s, "/hello"), "Hello World!");
    served_crash(&s);
    pair_expect_error(client, served_uri(&s, "/hello"), NACRE_ERR_UNREACHABLE, &reply);
    assert_int_equal(reply.code, 1);
    pair_close(client);
}

/* A socket that receives everything and sends nothing. */
static void a_silent_server_times_out(void **state)
{
    const pair *p = *state;
    nacre_udp *silent;
    nacre_address local;
    char text[72], at[96];
    nacre_reply reply;
    assert_int_equal(nacre_address_resolve(&local, "[::1]:0", 0, NULL), NACRE_OK);
    assert_int_equal(nacre_udp_open(&silent, &local, NULL), NACRE_OK);
    local = nacre_udp_local(silent);
    nacre_address_text(&local, text);
    (void)snprintf(at, sizeof at, "coap://%s/hello", text);
    for (int limited = 0; limited < 2;
         limited++) { /* by CoAP's timers, here 100 + 200 + 400 ms; by a limit of 200 ms */
        pair_seen seen = { 0 };
        nacre_client_options options = { .context_dir = p->client, .timing = pair_quick, .user = &seen };
        options.on_datagram = pair_see_datagram;
        if (limited) {
            options.timing = (nacre_timing){ 0 }; /* which would take 93 seconds */
            options.timeout_ms = 200;
        }
        nacre_client *client = pair_open(&options);
        uint64_t start = nacre_clock_ms();
        pair_expect_error(client, at, NACRE_ERR_TIMEOUT, &reply);
        uint64_t took = nacre_clock_ms() - start;
        assert_true(took >= (limited ? 200 : 700));
        if (!limited) assert_int_equal(seen.sent, 3);
        pair_close(client);
    }
    nacre_udp_close(silent);
}

/* Acknowledges one request, and then refuses it in clear, as a server without the context does. */
static void *acknowledge_and_refuse(void *user)
{
    uint8_t in[1500], ack[4] = { 0x60 }, refusal[13] = { 0x58, NACRE_UNAUTHORIZED, 1, 2 };
    struct sockaddr_storage from;
    socklen_t len = sizeof from;
    const int fd = *(const int *)user;
    if (recvfrom(fd, in, sizeof in, 0, (struct sockaddr *)&from, &len) < 12) return NULL;
    memcpy(ack + 2, in + 2, 2);
    memcpy(refusal + 4, in + 4, 8);
    refusal[12] = 0xff; /* without a payload it is malformed, and dropped */
    (void)sendto(fd, ack, sizeof ack, 0, (const struct sockaddr *)&from, len);
    (void)sendto(fd, refusal, sizeof refusal, 0, (const struct sockaddr *)&from, len);
    (void)sendto(fd, refusal, sizeof refusal - 1, 0, (const struct sockaddr *)&from, len);
    return NULL;
}

/* The refusal does not end the acknowledged request; it is reported when CoAP's time or the user's is up. */
static void refusal_in_clear_is_reported_when_the_time_is_up(void **state)
{
    const pair *p = *state;
    for (int limited = 0; limited < 2; limited++) {
        pthread_t server;
        char at[96];
        struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
        socklen_t len = sizeof address;
        int fd = socket(AF_INET6, SOCK_DGRAM, 0);
        assert_int_equal(bind(fd, (const struct sockaddr *)&address, len), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
        (void)snprintf(at, sizeof at, "coap://[::1]:%u/hello", (unsigned)ntohs(address.sin6_port));
        assert_int_equal(pthread_create(&server, NULL, acknowledge_and_refuse, &fd), 0);
        nacre_client_options options = { .context_dir = p->client };
        if (limited) options.timeout_ms = 400;
        else options.timing = (nacre_timing){ .response_timeout_ms = 400 };
        nacre_client *client = pair_open(&options);
        nacre_reply reply = { 0 };
        const uint64_t start = nacre_clock_ms();
        pair_expect_error(client, at, NACRE_ERR_UNAUTHENTICATED, &reply);
        assert_true(nacre_clock_ms() - start >= 400);
        assert_int_equal(reply.code, NACRE_UNAUTHORIZED);
        pair_close(client);
        assert_int_equal(pthread_join(server, NULL), 0);
        (void)close(fd);
    }
}

static void a_wrong_context_gets_an_unauthenticated_error(void **state)
{
    const pair *p = *state;
    pair_more(p, "other", "same-id");
    char other[300];
    (void)snprintf(other, sizeof other, "%s/other", p->dir);
    served s = greeter_start_one("[::1]:0", p->server);
    static const struct {
        const char *what;
        uint8_t code;
    } rows[] = { { "Decryption failed", NACRE_BAD_REQUEST }, { "Security context not found", NACRE_UNAUTHORIZED } };
    char mirrored[300]; /* its Sender ID is 01, which the server does not know */
    (void)snprintf(mirrored, sizeof mirrored, "%s/same-id", p->dir);
    for (int i = 0; i < 2; i++) {
        nacre_client *client = pair_open_with(i == 0 ? other : mirrored);
        nacre_reply reply = { 0 };
        pair_expect_error(client, served_uri(&s, "/hello"), NACRE_ERR_UNAUTHENTICATED, &reply);
        assert_int_equal(reply.code, rows[i].code);
        assert_false(reply.is_protected);
        assert_int_equal(reply.payload.len, strlen(rows[i].what));
        assert_memory_equal(reply.payload.ptr, rows[i].what, reply.payload.len);
        pair_close(client);
    }
    nacre_client *right = pair_open_with(p->client);
    pair_expect(right, served_uri(&s, "/hello"), "Hello World!");
    pair_close(right);
    served_stop(&s);
}

/* Datagrams that belong to no request of the client change nothing. */
static void garbage_does_not_disturb_a_request(void **state)
{
    const pair *p = *state;
    served s = greeter_start_one("[::1]:0", p->server);
    nacre_client *client = pair_open_with(p->client);
    pair_expect(client, served_uri(&s, "/hello"), "Hello World!");
    nacre_udp *udp;
    assert_int_equal(nacre_udp_open(&udp, NULL, NULL), NACRE_OK);
    int fd = nacre_udp_fd(udp);
    struct sockaddr_storage to;
    nacre_address server;
    assert_int_equal(nacre_address_resolve(&server, s.hostinfo, 0, NULL), NACRE_OK);
    socklen_t to_len = nacre__address_to(&to, &server, true);
    uint64_t seed = 1;
    for (int i = 0; i < 400; i++) {
        uint8_t bytes[1500];
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t len = i < 4 ? (size_t)i : (size_t)(seed >> 33) % (i % 20 == 0 ? sizeof bytes : 60);
        for (size_t k = 0; k < len; k++)
            bytes[k] = (uint8_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 56);
        if (i % 2 == 0 && len > 12) { /* a CON POST with an OSCORE option, followed by junk */
            static const uint8_t head[] = { 0x40, 0x02, 0, 0, 0x93, 0x09, 0x00, 0x00, 0xff };
            memcpy(bytes, head, sizeof head);
            bytes[2] = (uint8_t)i;
        }
        (void)sendto(fd, bytes, len, 0, (const struct sockaddr *)&to, to_len);
        if (i % 50 == 0) pair_expect(client, served_uri(&s, "/hello"), "Hello World!");
    }
    nacre_udp_close(udp);
    pair_expect(client, served_uri(&s, "/hello"), "Hello World!");
    pair_close(client);
    served_stop(&s);
}

static void invalid_arguments_are_errors(void **state)
{
    static const struct {
        const char *uri;
        nacre_err err;
    } rows[] = {
        { "coap://[::1]:1/%zz", NACRE_ERR_BAD_URI },
        { "http://[::1]/", NACRE_ERR_UNSUPPORTED },
        { "coap://0.0.0.0:1/x", NACRE_ERR_BAD_URI },
        { "coap://[::]:1/x", NACRE_ERR_BAD_URI },
        { "coap+tcp://[::]:1/x", NACRE_ERR_BAD_URI },
        { "coap://[::ffff:0.0.0.0]:1/x", NACRE_ERR_BAD_URI },
        { "coap://255.255.255.255:1/x", NACRE_ERR_UNSUPPORTED },
        { "coap://224.0.1.187/x", NACRE_ERR_UNSUPPORTED },
        { "coap://[::ffff:224.0.1.187]/x", NACRE_ERR_UNSUPPORTED },
        { "coap://[ff02::fd]/x", NACRE_ERR_UNSUPPORTED },
        { "coap://[ff02::fd%25lo]/x", NACRE_ERR_UNSUPPORTED },
        { "hello", NACRE_ERR_BAD_URI },
        { "", NACRE_ERR_BAD_URI },
        { "coap://a%00b/", NACRE_ERR_BAD_URI },
    };
    const pair *p = *state;
    nacre_client *client = pair_open_with(p->client);
    nacre_reply reply;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        pair_expect_error(client, rows[i].uri, rows[i].err, &reply);
    nacre_detail why;
    assert_int_equal(nacre_client_request(client, &reply, NACRE_CONTENT, "coap://[::1]/", NULL, NACRE_ABSENT, &why),
                     NACRE_ERR_BAD_ARGUMENT);
    pair_close(client);

    nacre_client_options both = { .context_dir = p->client, .credentials_file = "x" };
    assert_int_equal(nacre_client_open(&client, &both, &why), NACRE_ERR_BAD_ARGUMENT);
    nacre_client_options missing = { .credentials_file = "/nowhere/at/all" };
    assert_int_equal(nacre_client_open(&client, &missing, &why), NACRE_ERR_FILE);
    client = pair_open_with("/nowhere/at/all");
    pair_expect_error(client, "coap://[::1]:1/", NACRE_ERR_FILE, &reply);
    pair_close(client);
    assert_int_equal(nacre_client_close(NULL, NULL), NACRE_OK);
}

static void a_directory_is_open_in_one_process(void **state)
{
    const pair *p = *state;
    served s = greeter_start_one("[::1]:0", p->server);
    nacre_client *first = pair_open_with(p->client), *second = pair_open_with(p->client);
    nacre_reply reply;
    pair_expect(first, served_uri(&s, "/hello"), "Hello World!");
    pair_expect_error(second, served_uri(&s, "/hello"), NACRE_ERR_LOCKED, &reply);
    pair_close(first);
    pair_expect(second, served_uri(&s, "/hello"), "Hello World!"); /* a second attempt succeeds */
    pair_close(second);
    served_stop(&s);
}

/* ---- Credentials ------------------------------------------------------------------------------------------------- */

/* Fails closed: where no entry matches, nothing is sent. Two names of one directory lead to one context. */
static void credentials_choose_the_context(void **state)
{
    const pair *p = *state;
    served s = greeter_start_one("[::1]:0", p->server);
    char text[1024];
    (void)snprintf(
        text, sizeof text,
        "{\"%s/hello\": {\"oscore\": {\"basedir\": \"client\"}}, \"%s/w*\": {\"oscore\": {\"basedir\": \"%s/../%s\"}}}",
        s.origin, s.origin, p->client, strrchr(p->client, '/') + 1);
    scratch_write(p->dir, "credentials.json", text);
    pair_seen seen = { 0 };
    nacre_client_options options = { .credentials_file = scratch_path(p->dir, "credentials.json") };
    options.on_datagram = pair_see_datagram;
    options.user = &seen;
    nacre_client *client = pair_open(&options);
    nacre_reply reply;
    pair_expect(client, served_uri(&s, "/hello"), "Hello World!");
    pair_expect(client, served_uri(&s, "/who"), "00 0");
    assert_int_equal(seen.sent, 2);
    pair_expect_error(client, served_uri(&s, "/open"), NACRE_ERR_NO_CREDENTIALS, &reply);
    pair_expect_error(client, "coap://host.invalid/", NACRE_ERR_NO_CREDENTIALS,
                      &reply); /* before the name is resolved */
    assert_int_equal(seen.sent, 2);
    pair_close(client);
    served_stop(&s);
}

#define IN_A_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, pair_set_up, pair_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_DIRECTORY(a_crashed_server_is_unreachable),
        IN_A_DIRECTORY(a_silent_server_times_out),
        IN_A_DIRECTORY(refusal_in_clear_is_reported_when_the_time_is_up),
        IN_A_DIRECTORY(a_wrong_context_gets_an_unauthenticated_error),
        IN_A_DIRECTORY(garbage_does_not_disturb_a_request),
        IN_A_DIRECTORY(invalid_arguments_are_errors),
        IN_A_DIRECTORY(a_directory_is_open_in_one_process),
        IN_A_DIRECTORY(credentials_choose_the_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
