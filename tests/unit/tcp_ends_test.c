/* SPDX-License-Identifier: MIT */
/* tcp_ends_test: the reason for the end of a connection is reported to the user, for each way that a peer can end it.
 * The peer is a script: the bytes that it sends after the connection is made, and whether it closes then. */
#include <nacre/nacre.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support.h"

typedef struct script {
    const char *name, *bytes;
    size_t len;
    bool closes;
    nacre_err err;
    const char *text;
    int listener;
} script;

static void *play(void *user)
{
    const script *s = user;
    char ignored[512];
    const int fd = accept(s->listener, NULL, NULL);
    if (fd < 0) return NULL;
    if (recv(fd, ignored, sizeof ignored, 0) <= 0) return NULL;
    (void)send(fd, s->bytes, s->len, MSG_NOSIGNAL);
    if (s->closes) (void)shutdown(fd, SHUT_WR);
    while (recv(fd, ignored, sizeof ignored, 0) > 0) continue;
    (void)close(fd);
    return NULL;
}

static uint16_t listen_on(int *listener)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    *listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(*listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(*listener, 1), 0);
    assert_int_equal(getsockname(*listener, (struct sockaddr *)&at, &len), 0);
    return ntohs(at.sin_port);
}

static nacre_err request(uint16_t port, nacre_detail *why)
{
    char uri[64];
    nacre_client *client;
    nacre_reply reply;
    const nacre_client_options options = { .timeout_ms = 20000 };
    assert_ok(nacre_client_open(&client, &options, why));
    (void)snprintf(uri, sizeof uri, "coap+tcp://127.0.0.1:%u/x", (unsigned)port);
    const nacre_err err = nacre_client_request(client, &reply, NACRE_GET, uri, NULL, NACRE_ABSENT, why);
    assert_ok(nacre_client_close(client, NULL));
    return err;
}

#define CSM      "\x00\xe1"
#define BYTES(b) (b), sizeof(b) - 1

static void each_end_is_reported_with_its_reason(void **state)
{
    (void)state;
    script scripts[] = {
        { "Abort with a text",
          BYTES(CSM "\xc0\xe5\xff"
                    "go away\x1b[2J"),
          false, NACRE_ERR_RESET, "aborted the connection: go away?[2J", -1 },
        { "Abort without", BYTES(CSM "\x00\xe5"), false, NACRE_ERR_RESET, "aborted the connection", -1 },
        { "HTTP", BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"), true, NACRE_ERR_MALFORMED, "does not speak CoAP", -1 },
        { "a TLS alert", BYTES("\x15\x03\x03\x00\x02\x02\x16"), true, NACRE_ERR_MALFORMED, "speaks TLS", -1 },
        { "the same, not closed", BYTES("\x15\x03\x01\x00\x02\x02\x46"), false, NACRE_ERR_MALFORMED,
          "is this the port of coap+tcp, without TLS?", -1 },
        { "TLS after a CSM", BYTES(CSM "\x15\x03\x03\x00\x02\x02\x16"), true, NACRE_ERR_UNREACHABLE,
          "closed the connection before", -1 },
        { "closed before its CSM", "", 0, true, NACRE_ERR_UNREACHABLE,
          "first message; is this the port of coap+tcp, without TLS?", -1 },
        { "closed in a message", BYTES(CSM "\x50\x45\xff"), true, NACRE_ERR_UNREACHABLE, "closed the connection before",
          -1 },
        { "too large", BYTES(CSM "\xf0\x00\xff\xff\xff\x45"), false, NACRE_ERR_MALFORMED,
          "longer than this side announced in its CSM: message of 16843026 bytes, Max-Message-Size is 1152", -1 },
    };
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        script *s = &scripts[i];
        pthread_t thread;
        nacre_detail why = { "" };
        const uint16_t port = listen_on(&s->listener);
        assert_int_equal(pthread_create(&thread, NULL, play, s), 0);
        const nacre_err err = request(port, &why);
        (void)pthread_join(thread, NULL);
        (void)close(s->listener);
        if (err != s->err || strstr(why.text, s->text) == NULL)
            fail_msg("%s: %s: %s", s->name, nacre_err_name(err), why.text);
    }
}

/* A refused connection: the error line does not speak of a connection that ended. */
static void a_refused_connection_is_reported_as_such(void **state)
{
    int listener;
    nacre_detail why = { "" };
    (void)state;
    const uint16_t port = listen_on(&listener);
    (void)close(listener);
    assert_err(request(port, &why), NACRE_ERR_UNREACHABLE);
    assert_non_null(strstr(why.text, "cannot be reached"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_end_is_reported_with_its_reason),
        TEST(a_refused_connection_is_reported_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
