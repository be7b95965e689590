/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* oversized_sockets_test: datagrams of 1300 bytes over real sockets, to a server and to a client. */
#include "greeter.h"
#include "pair.h"
#include "support.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG = 1300, PATIENCE_MS = 3000 };
static const char *const hosts[] = { "[::1]:0", "127.0.0.1:0" };

/* Loopback, IPv6 or IPv4. */
static socklen_t loopback(struct sockaddr_storage *name, bool ipv6, uint16_t port)
{
    memset(name, 0, sizeof *name);
    name->ss_family = ipv6 ? AF_INET6 : AF_INET;
    if (ipv6) {
        ((struct sockaddr_in6 *)name)->sin6_addr = in6addr_loopback;
        ((struct sockaddr_in6 *)name)->sin6_port = htons(port);
        return sizeof(struct sockaddr_in6);
    }
    ((struct sockaddr_in *)name)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ((struct sockaddr_in *)name)->sin_port = htons(port);
    return sizeof(struct sockaddr_in);
}

static nacre_message request(const served *s, bool ipv6, nacre_message m, size_t len, uint8_t *buf)
{
    static uint8_t filler[LONG], out[LONG];
    struct sockaddr_storage name;
    nacre_bytes bytes;
    nacre_message back;
    const uint16_t port = (uint16_t)strtoul(strrchr(s->origin, ':') + 1, NULL, 10);
    const socklen_t name_len = loopback(&name, ipv6, port);
    m.payload = nacre_bytes_of(filler, 1);
    m.payload.len = len - nacre_message_size(&m) + 1;
    assert_int_equal(nacre_message_write(&m, &bytes, NACRE_BUF(out)), NACRE_OK);
    const int fd = socket(name.ss_family, SOCK_DGRAM, 0);
    assert_int_equal(sendto(fd, bytes.ptr, bytes.len, 0, (struct sockaddr *)&name, name_len), (ssize_t)len);
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    const ssize_t got = recv(fd, buf, LONG, 0);
    assert_true(got > 0);
    assert_int_equal(nacre_message_parse(&back, nacre_bytes_of(buf, (size_t)got)), NACRE_OK);
    (void)close(fd);
    return back;
}

/* Plain and with an OSCORE option, CON and NON, IPv6 and IPv4; a datagram of 1280 bytes still gets its normal
 * response. */
static void server_responds_4_13_to_1300_bytes(void **state)
{
    static const uint8_t token[] = { 1, 2, 3, 4 }, oscore[] = { 0x93, 0x09, 0x01, 0x00, 0xff };
    const pair *p = *state;
    for (size_t i = 0; i < 2; i++) {
        served s = greeter_start_one(hosts[i], p->server);
        for (uint8_t type = NACRE_CON; type <= NACRE_NON; type++) {
            for (int is_protected = 0; is_protected < 2; is_protected++) {
                uint8_t buf[LONG];
                nacre_message m = { .type = type, .code = NACRE_POST, .mid = (uint16_t)(2 * type + is_protected) };
                m.token = NACRE_ARRAY(token);
                if (is_protected) m.options = nacre_bytes_of(oscore, 4);
                const nacre_message response = request(&s, i == 0, m, LONG, buf);
                assert_int_equal(response.code, NACRE_TOO_LARGE);
                assert_int_equal(response.type, type == NACRE_CON ? NACRE_ACK : NACRE_NON);
                assert_false(nacre_is_absent(nacre_option_find(response.options, NACRE_OPT_SIZE1)));
            }
        }
        uint8_t buf[LONG];
        const nacre_message m = { .type = NACRE_CON, .code = NACRE_POST, .mid = 77 };
        assert_int_equal(request(&s, i == 0, m, 1280, buf).code, NACRE_NOT_FOUND);
        served_stop(&s);
    }
}

/* Responds to one request with `type` in 1300 bytes under its token; returns 0 when a CON was acknowledged. */
static int respond_at_length(int fd, uint8_t type)
{
    static uint8_t bytes[LONG];
    uint8_t request[LONG], ack[LONG];
    struct sockaddr_storage from;
    socklen_t from_len = sizeof from;
    nacre_message m;
    const ssize_t got = recvfrom(fd, request, sizeof request, 0, (struct sockaddr *)&from, &from_len);
    if (got < 0 || nacre_message_parse(&m, nacre_bytes_of(request, (size_t)got)) != NACRE_OK || m.token.len != 8)
        return 1;
    memset(bytes, 0, sizeof bytes);
    bytes[0] = (uint8_t)(0x48 | type << 4);
    bytes[1] = NACRE_CONTENT;
    bytes[2] = type == NACRE_ACK ? request[2] : 0x77;
    bytes[3] = request[3];
    memcpy(bytes + 4, m.token.ptr, 8);
    bytes[12] = 0xff;
    if (sendto(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, from_len) != LONG) return 2;
    if (type != NACRE_CON) return 0;
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    while (poll(&wait, 1, PATIENCE_MS) == 1) /* the request may be sent again */
        if (recv(fd, ack, sizeof ack, 0) == 4 && ack[0] == 0x60 && ack[2] == 0x77) return 0;
    return 3;
}

/* Ends the request once the long datagram has arrived. */
static void stop_at_length(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes, size_t full_len)
{
    nacre_client **client = user;
    (void)peer, (void)bytes;
    if (!outgoing && full_len == LONG) nacre_client_stop(*client);
}

/* CON, NON and in the ACK, plain and protected, IPv6 and IPv4: the user is told both lengths. A protected exchange goes
 * on until its time is up, as one row shows; the others are stopped. */
static void client_reports_both_lengths_and_acknowledges(void **state)
{
    const pair *p = *state;
    for (int row = 0; row < 12; row++) {
        const bool ipv6 = row & 1, is_protected = row & 2;
        const uint8_t type = (uint8_t)(row / 4);
        struct sockaddr_storage name;
        socklen_t len = loopback(&name, ipv6, 0);
        const int fd = socket(name.ss_family, SOCK_DGRAM, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&name, len), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
        const pid_t pid = fork();
        if (pid == 0) _exit(respond_at_length(fd, type));
        char uri[64];
        const unsigned port =
            ntohs(ipv6 ? ((struct sockaddr_in6 *)&name)->sin6_port : ((struct sockaddr_in *)&name)->sin_port);
        (void)snprintf(uri, sizeof uri, "coap://%s:%u/x", ipv6 ? "[::1]" : "127.0.0.1", port);
        nacre_client *client = NULL;
        client = pair_open(&(nacre_client_options){ .context_dir = is_protected ? p->client : NULL,
                                                    .timeout_ms = PATIENCE_MS,
                                                    .on_datagram = is_protected && row != 2 ? stop_at_length : NULL,
                                                    .user = &client });
        nacre_reply reply = { 0 };
        nacre_detail why = { { 0 } };
        assert_int_equal(pair_get(client, &reply, uri, &why), NACRE_ERR_OVERSIZED);
        assert_non_null(strstr(why.text, "1300"));
        assert_non_null(strstr(why.text, "1280"));
        pair_close(client);
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        (void)close(fd);
    }
}

/* Each thread of a server (SO_REUSEPORT) responds; the client's sockets have different ports. */
static void each_worker_responds_4_13(void **state)
{
    const pair *p = *state;
    for (size_t i = 0; i < 2; i++) {
        char *const argv[] = { (char *)NACRE_TOOL, "serve",     "--workers",       "4", "--bind",
                               (char *)hosts[i],   "--context", (char *)p->server, NULL };
        served s = served_program(argv);
        for (uint16_t n = 0; n < 32; n++) {
            uint8_t buf[LONG];
            const nacre_message m = { .type = n & 1 ? NACRE_NON : NACRE_CON, .code = NACRE_PUT, .mid = n };
            const nacre_message response = request(&s, i == 0, m, LONG, buf);
            assert_int_equal(response.code, NACRE_TOO_LARGE);
            assert_false(nacre_is_absent(nacre_option_find(response.options, NACRE_OPT_SIZE1)));
        }
        served_stop(&s);
    }
}

/* ---- A scripted server ------------------------------------------------------------------------------------------- */

typedef int (*script)(int fd);

/* Runs the script in a child with its own socket; returns the port. */
static unsigned play(script what, pid_t *pid)
{
    struct sockaddr_storage name;
    socklen_t len = loopback(&name, false, 0);
    const int fd = socket(name.ss_family, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    *pid = fork();
    if (*pid == 0) _exit(what(fd));
    (void)close(fd);
    return ntohs(((struct sockaddr_in *)&name)->sin_port);
}

static void expect_played(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

typedef struct heard {
    uint8_t bytes[LONG];
    size_t len;
    struct sockaddr_storage from;
    socklen_t from_len;
} heard;

static bool hear(int fd, heard *h)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    h->from_len = sizeof h->from;
    if (poll(&wait, 1, PATIENCE_MS) != 1) return false;
    const ssize_t got = recvfrom(fd, h->bytes, sizeof h->bytes, 0, (struct sockaddr *)&h->from, &h->from_len);
    h->len = got > 0 ? (size_t)got : 0;
    return got >= 12;
}

/* Sends under the token of the received message, which has 8 bytes; padded to `len`. */
static bool say(int fd, const heard *h, uint8_t type, uint8_t code, nacre_bytes options, const char *text, size_t len)
{
    uint8_t bytes[LONG] = { (uint8_t)(0x48 | type << 4), code, type == NACRE_ACK ? h->bytes[2] : 0x77, h->bytes[3] };
    size_t at = 12;
    memcpy(bytes + 4, h->bytes + 4, 8);
    if (options.len > 0) memcpy(bytes + at, options.ptr, options.len);
    at += options.len;
    if (text[0] != '\0') bytes[at++] = 0xff;
    memcpy(bytes + at, text, strlen(text));
    at += strlen(text);
    if (at < len) at = len;
    return sendto(fd, bytes, at, 0, (const struct sockaddr *)&h->from, h->from_len) == (ssize_t)at;
}

/* Accepts a registration, sends a notification of 1300 bytes, which must be acknowledged, a short one, and the last. */
static int notify_at_length(int fd)
{
    heard h, ack;
    static const uint8_t one[] = { 0x61, 1 }, two[] = { 0x61, 2 }, three[] = { 0x61, 3 };
    if (!hear(fd, &h) || !say(fd, &h, NACRE_ACK, NACRE_CONTENT, NACRE_ARRAY(one), "one", 0)) return 1;
    if (!say(fd, &h, NACRE_CON, NACRE_CONTENT, NACRE_ARRAY(two), "long", LONG)) return 2;
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    ack.from_len = sizeof ack.from;
    if (poll(&wait, 1, PATIENCE_MS) != 1) return 3;
    if (recvfrom(fd, ack.bytes, LONG, 0, (struct sockaddr *)&ack.from, &ack.from_len) != 4) return 4;
    if (ack.bytes[0] != 0x60 || ack.bytes[2] != 0x77) return 5;
    if (!say(fd, &h, NACRE_NON, NACRE_CONTENT, NACRE_ARRAY(three), "three", 0)) return 6;
    if (!hear(fd, &h)) return 7; /* Observe 1 */
    return say(fd, &h, NACRE_ACK, NACRE_CONTENT, NACRE_ABSENT, "end", 0) ? 0 : 8;
}

typedef struct told {
    size_t len, max;
    int notifications;
    char text[16];
} told;

static bool on_notification(void *user, const nacre_reply *reply)
{
    told *t = user;
    (void)snprintf(t->text, sizeof t->text, "%.*s", (int)reply->payload.len, (const char *)reply->payload.ptr);
    return ++t->notifications < 2;
}

static void on_oversized(void *user, size_t len, size_t max)
{
    told *t = user;
    assert_int_equal(t->notifications, 1);
    t->len = len;
    t->max = max;
}

/* The user is told both lengths, and then the next state. */
static void client_goes_on_observing_after_1300_bytes(void **state)
{
    (void)state;
    pid_t pid;
    char uri[64];
    told t = { 0 };
    nacre_reply reply = { 0 };
    nacre_detail why = { { 0 } };
    (void)snprintf(uri, sizeof uri, "coap://127.0.0.1:%u/x", play(notify_at_length, &pid));
    nacre_client *client = pair_open(&(nacre_client_options){ .timeout_ms = 5000 });
    const nacre_observe_options how = { on_notification, &t, 5000, NULL, on_oversized };
    nacre_client_request_config request = nacre_client_request_config_default();
    request.uri = uri;
    const nacre_err err = nacre_client_observe(client, &reply, &request, &how, &why);
    if (err != NACRE_OK) fail_msg("%s", why.text);
    pair_close(client);
    expect_played(pid);
    assert_int_equal(t.len, LONG);
    assert_int_equal(t.max, 1280);
    assert_string_equal(t.text, "three");
}

static int refuse_at_length(int fd)
{
    heard h;
    static const uint8_t size1[] = { 0xd2, 60 - 13, 0x04, 0xb0 };
    return hear(fd, &h) && say(fd, &h, NACRE_ACK, NACRE_TOO_LARGE, NACRE_ARRAY(size1), "", 0) ? 0 : 1;
}

/* RFC 7252 5.9.2.9: a hint, because it is not verified; the number is the server's Size1. */
static void unprotected_4_13_is_reported_with_its_size(void **state)
{
    const pair *p = *state;
    pid_t pid;
    char uri[64], expected[200];
    const unsigned port = play(refuse_at_length, &pid);
    (void)snprintf(uri, sizeof uri, "coap://127.0.0.1:%u/x", port);
    (void)snprintf(expected, sizeof expected,
                   "127.0.0.1:%u answered 4.13 Request Entity Too Large without protection, so it is not verified: the "
                   "server takes at most 1200 bytes a message; send smaller blocks",
                   port);
    nacre_client *client = pair_open_with(p->client);
    nacre_reply reply = { 0 };
    nacre_detail why = { { 0 } };
    assert_int_equal(pair_get(client, &reply, uri, &why), NACRE_ERR_UNAUTHENTICATED);
    assert_string_equal(why.text, expected);
    assert_int_equal(reply.code, NACRE_TOO_LARGE);
    assert_false(reply.is_protected);
    pair_close(client);
    expect_played(pid);
}

static int respond_in_the_ack(int fd)
{
    return respond_at_length(fd, NACRE_ACK);
}

typedef struct tapped {
    size_t len, full_len;
} tapped;

static void tap(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes, size_t full_len)
{
    (void)peer;
    if (outgoing) assert_int_equal(full_len, bytes.len);
    else *(tapped *)user = (tapped){ bytes.len, full_len };
}

/* The packet tap gets the start of a truncated datagram, marked as such; `nacre get --verbose` too. */
static void packet_tap_reports_truncation(void **state)
{
    (void)state;
    pid_t pid;
    tapped seen = { 0, 0 };
    char command[600], line[6000] = "";
    nacre_reply reply = { 0 };
    nacre_detail why = { { 0 } };
    (void)snprintf(command, sizeof command, "coap://127.0.0.1:%u/x", play(respond_in_the_ack, &pid));
    nacre_client *client = pair_open(&(nacre_client_options){ .timeout_ms = 5000, .on_datagram = tap, .user = &seen });
    assert_int_equal(pair_get(client, &reply, command, &why), NACRE_ERR_OVERSIZED);
    pair_close(client);
    expect_played(pid);
    assert_int_equal(seen.len, 1280);
    assert_int_equal(seen.full_len, LONG);

    (void)snprintf(command, sizeof command, "%s get -v coap://127.0.0.1:%u/x 2>&1", NACRE_TOOL,
                   play(respond_in_the_ack, &pid));
    FILE *tool = popen(command, "r");
    assert_non_null(tool);
    bool is_said = false;
    while (fgets(line, sizeof line, tool) != NULL)
        is_said = is_said ||
                  (strncmp(line, "< 1300 bytes from", 17) == 0 && strstr(line, "  cut to the first 1280: ") != NULL);
    (void)pclose(tool);
    expect_played(pid);
    assert_true(is_said);
}

#define IN_A_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, pair_set_up, pair_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_DIRECTORY(server_responds_4_13_to_1300_bytes),
        IN_A_DIRECTORY(client_reports_both_lengths_and_acknowledges),
        IN_A_DIRECTORY(each_worker_responds_4_13),
        IN_A_DIRECTORY(client_goes_on_observing_after_1300_bytes),
        IN_A_DIRECTORY(unprotected_4_13_is_reported_with_its_size),
        IN_A_DIRECTORY(packet_tap_reports_truncation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
