/* SPDX-License-Identifier: MIT */
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

static nacre_message ask(const served *s, bool ipv6, nacre_message m, size_t len, uint8_t *room)
{
    static uint8_t filler[LONG], out[LONG];
    struct sockaddr_storage name;
    nacre_bytes bytes;
    nacre_message back;
    const uint16_t port = (uint16_t)strtoul(strrchr(s->origin, ':') + 1, NULL, 10);
    const socklen_t name_len = loopback(&name, ipv6, port);
    m.payload = nacre_bytes_of(filler, 1);
    m.payload.len = len - nacre_message_size(&m) + 1;
    assert_int_equal(nacre_message_write(&m, &bytes, NACRE_ROOM(out)), NACRE_OK);
    const int fd = socket(name.ss_family, SOCK_DGRAM, 0);
    assert_int_equal(sendto(fd, bytes.ptr, bytes.len, 0, (struct sockaddr *)&name, name_len), (ssize_t)len);
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    const ssize_t got = recv(fd, room, LONG, 0);
    assert_true(got > 0);
    assert_int_equal(nacre_message_parse(&back, nacre_bytes_of(room, (size_t)got)), NACRE_OK);
    (void)close(fd);
    return back;
}

/* Plain and with an OSCORE option, CON and NON, IPv6 and IPv4; a datagram of 1280 bytes is answered as ever. */
static void server_answers_4_13_to_1300_bytes(void **state)
{
    static const uint8_t token[] = { 1, 2, 3, 4 }, oscore[] = { 0x93, 0x09, 0x01, 0x00, 0xff };
    const pair *p = *state;
    for (size_t i = 0; i < 2; i++) {
        served s = greeter_start_one(hosts[i], p->server);
        for (uint8_t type = NACRE_CON; type <= NACRE_NON; type++) {
            for (int is_protected = 0; is_protected < 2; is_protected++) {
                uint8_t room[LONG];
                nacre_message m = { .type = type, .code = NACRE_POST, .mid = (uint16_t)(2 * type + is_protected) };
                m.token = NACRE_ARRAY(token);
                if (is_protected) m.options = nacre_bytes_of(oscore, 4);
                const nacre_message answer = ask(&s, i == 0, m, LONG, room);
                assert_int_equal(answer.code, NACRE_TOO_LARGE);
                assert_int_equal(answer.type, type == NACRE_CON ? NACRE_ACK : NACRE_NON);
                assert_false(nacre_is_absent(nacre_option_find(answer.options, NACRE_OPT_SIZE1)));
            }
        }
        uint8_t room[LONG];
        const nacre_message m = { .type = NACRE_CON, .code = NACRE_POST, .mid = 77 };
        assert_int_equal(ask(&s, i == 0, m, 1280, room).code, NACRE_NOT_FOUND);
        served_stop(&s);
    }
}

/* Answers one request with `type`, in 1300 bytes, under its token; ends with 0 when a CON was acknowledged. */
static int answer_at_length(int fd, uint8_t type)
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

/* CON, NON and in the ACK, plain and protected, IPv6 and IPv4: the user hears both lengths. */
static void client_says_both_lengths_and_acknowledges(void **state)
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
        if (pid == 0) _exit(answer_at_length(fd, type));
        char uri[64];
        const unsigned port =
            ntohs(ipv6 ? ((struct sockaddr_in6 *)&name)->sin6_port : ((struct sockaddr_in *)&name)->sin_port);
        (void)snprintf(uri, sizeof uri, "coap://%s:%u/x", ipv6 ? "[::1]" : "127.0.0.1", port);
        nacre_client *client = pair_open(&(nacre_client_options){ .context_dir = is_protected ? p->client : NULL,
                                                                  .timeout_ms = is_protected ? 700 : 5000 });
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

#define IN_A_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, pair_set_up, pair_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_DIRECTORY(server_answers_4_13_to_1300_bytes),
        IN_A_DIRECTORY(client_says_both_lengths_and_acknowledges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
