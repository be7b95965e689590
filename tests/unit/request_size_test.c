/* SPDX-License-Identifier: MIT */
/* request_size_test: a request longer than our datagrams, or than the peer's Max-Message-Size (RFC 8323 5.3.1), is
 * refused with one error that names both lengths, and nothing is sent. */
#include "pair.h"
#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void count(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes, size_t full_len)
{
    (void)peer;
    (void)bytes;
    (void)full_len;
    *(int *)user += outgoing;
}

/* `origin` with queries of `len` bytes in all. */
static const char *uri_of(const char *origin, size_t len)
{
    static char uri[2000];
    size_t at = (size_t)snprintf(uri, sizeof uri, "%s/x?", origin);
    for (size_t i = 0; i < len; i++) uri[at++] = i % 200 == 199 ? '&' : 'q';
    uri[at] = '\0';
    return uri;
}

static nacre_err request(nacre_client *client, const char *uri, nacre_bytes payload, nacre_detail *why)
{
    nacre_reply reply = { 0 };
    *why = (nacre_detail){ { 0 } };
    return nacre_client_request(client, &reply, NACRE_PUT, uri, NULL, payload, why);
}

/* Both lengths in `why`: the request's, and the limit. */
static size_t expect_lengths(const nacre_detail *why, const char *format, size_t max)
{
    size_t size = 0, taken = 0;
    if (sscanf(why->text, format, &size, &taken) != 2 || taken != max) fail_msg("%s", why->text);
    assert_true(size > max);
    return size;
}

/* Plain and protected, alone and with a body in blocks. One byte above the limit is refused. */
static void request_above_a_datagram_is_refused_with_both_lengths(void **state)
{
    const pair *p = *state;
    static uint8_t body[5000];
    for (int row = 0; row < 4; row++) {
        const bool is_protected = row & 1, has_body = row & 2;
        int sent = 0;
        nacre_detail why;
        nacre_err err = NACRE_OK;
        size_t len = 1000;
        nacre_client *client = pair_open(&(nacre_client_options){ .context_dir = is_protected ? p->client : NULL,
                                                                  .timing = pair_quick,
                                                                  .on_datagram = count,
                                                                  .user = &sent });
        for (bool is_last = false; !is_last; len += len < 1150 ? 50 : 1) { /* nothing listens at port 1 */
            sent = 0;
            err = request(client, uri_of("coap://127.0.0.1:1", len), has_body ? NACRE_ARRAY(body) : NACRE_ABSENT, &why);
            is_last = err == NACRE_ERR_TOO_LONG || len > 1300;
            assert_int_equal(sent > 0, !is_last);
        }
        assert_err(err, NACRE_ERR_TOO_LONG);
        const char *format =
            has_body
                ? (is_protected ? "the request has at least %zu bytes when protected, a datagram may have %zu: nothing"
                                : "the request has at least %zu bytes, a datagram may have %zu: nothing")
                : (is_protected ? "the request has %zu bytes when protected, a datagram may have %zu: nothing was"
                                : "the request has %zu bytes, a datagram may have %zu: nothing was sent");
        if (has_body) {
            (void)request(client, uri_of("coap://127.0.0.1:1", len + 100), NACRE_ARRAY(body), &why);
            (void)expect_lengths(&why, format, 1280);
        } else {
            assert_int_equal(expect_lengths(&why, format, 1280), 1281);
        }
        pair_close(client);
    }
}

/* ---- A peer that accepts 200 bytes ------------------------------------------------------------------------------- */

static size_t extra; /* bytes received after the first request */

static void *take_200(void *user)
{
    const int fd = accept(*(const int *)user, NULL, NULL);
    static const uint8_t csm[] = { 0x20, 0xe1, 0x21, 200 };
    uint8_t bytes[2048];
    size_t at = 0;
    (void)send(fd, csm, sizeof csm, MSG_NOSIGNAL);
    while (at < 6 || bytes[at - 1] != 'x') { /* our CSM, and PUT with its token and Uri-Path */
        const ssize_t got = recv(fd, bytes + at, sizeof bytes - at, 0);
        if (got <= 0) return NULL;
        at += (size_t)got;
    }
    uint8_t response[2 + 8] = { 0x08, NACRE_CHANGED };
    memcpy(response + 2, bytes + at - 10, 8);
    (void)send(fd, response, sizeof response, MSG_NOSIGNAL);
    for (ssize_t got; (got = recv(fd, bytes, sizeof bytes, 0)) > 0;) extra += (size_t)got;
    (void)close(fd);
    return NULL;
}

static void request_above_the_peers_maximum_is_refused_with_both_lengths(void **state)
{
    (void)state;
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    pthread_t thread;
    char origin[64], format[160];
    nacre_detail why = { { 0 } };
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(pthread_create(&thread, NULL, take_200, &listener), 0);
    (void)snprintf(origin, sizeof origin, "coap+tcp://127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
    nacre_client *client = pair_open(&(nacre_client_options){ .timeout_ms = 5000 });
    char first[80];
    (void)snprintf(first, sizeof first, "%s/x", origin);
    if (request(client, first, NACRE_ABSENT, &why) != NACRE_OK) fail_msg("%s", why.text); /* its CSM is known now */
    assert_err(request(client, uri_of(origin, 400), NACRE_ABSENT, &why), NACRE_ERR_TOO_LONG);
    (void)snprintf(format, sizeof format,
                   "the request has %%zu bytes, 127.0.0.1:%u takes (Max-Message-Size) %%zu: nothing",
                   (unsigned)ntohs(at.sin_port));
    (void)expect_lengths(&why, format, 200);
    pair_close(client);
    (void)pthread_join(thread, NULL);
    (void)close(listener);
    assert_int_equal(extra, 2); /* the Release */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(request_above_a_datagram_is_refused_with_both_lengths, pair_set_up,
                                        pair_tear_down),
        cmocka_unit_test(request_above_the_peers_maximum_is_refused_with_both_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
