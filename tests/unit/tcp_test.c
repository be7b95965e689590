/* SPDX-License-Identifier: MIT */
/* Labels: cross slow */
/* tcp_test: connections over loopback: two loops in one process, and plain sockets that misbehave. */
#include <nacre/nacre.h>

#include "io/address.h"
#include "io/tcp_internal.h"
#include "support.h"

#include <errno.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

static const nacre_timing quick = {
    .ack_timeout_ms = 2000, .ack_random_factor_milli = 1000, .max_retransmit = 1, .response_timeout_ms = 2500
};

/* ---- A loop with connections ------------------------------------------------------------------------------------- */

typedef struct side {
    nacre_udp *udp;
    nacre_tcp *tcp;
    nacre_loop *loop;
    nacre_table table;
    nacre_table_slot slots[4];
    nacre_exchange exchange;
    size_t response_len; /* of its response */
    bool keeps_quiet;    /* it sends no response */
    int requests, events, responses;
    nacre_event_kind kind;
    nacre_err err;
    uint8_t code;
    bool is_protected;
    nacre_address requests_of;
} side;

static void on_event(void *user, nacre_endpoint *ep, const nacre_event *event)
{
    static uint8_t body[1024];
    side *s = user;
    if (event->kind == NACRE_EVENT_REQUEST) {
        nacre_message plain = { .code = NACRE_CONTENT, .payload = { body, s->response_len } };
        s->requests++;
        s->requests_of = event->peer;
        if (s->keeps_quiet) nacre_endpoint_ignore(ep, event->exchange);
        else assert_ok(nacre_endpoint_respond(ep, event->exchange, &plain));
        return;
    }
    s->events++;
    s->responses += event->kind == NACRE_EVENT_RESPONSE;
    s->kind = event->kind;
    s->err = event->err;
    s->code = event->message.code;
    s->is_protected = event->context != NULL;
}

static side *open_side(const nacre_tcp_config *config, nacre_context *served)
{
    side *s = test_alloc(sizeof *s);
    nacre_address local;
    *s = (side){ .response_len = 3 };
    assert_ok(nacre_address_resolve(&local, "[::1]:0", 0, NULL));
    assert_ok(nacre_udp_open(&s->udp, &local, NULL));
    assert_ok(nacre_tcp_open(&s->tcp, config, NULL));
    assert_ok(nacre_table_init(&s->table, s->slots, 4));
    if (served != NULL) assert_ok(nacre_table_add(&s->table, served));
    nacre_endpoint_config c = { .num_client_exchanges = 32, .num_server_exchanges = 64, .burst = 8, .timing = quick };
    c.contexts = &s->table;
    c.crypto = *test_crypto();
    assert_ok(nacre_loop_open(&s->loop, s->udp, &c, on_event, s, NULL));
    assert_ok(nacre_loop_add_tcp(s->loop, s->tcp));
    return s;
}

static side *open_server(const nacre_tcp_config *config, nacre_context *served)
{
    side *s = open_side(config, served);
    nacre_address local;
    assert_ok(nacre_address_resolve(&local, "[::1]:0", 0, NULL));
    assert_ok(nacre_tcp_listen(s->tcp, &local, NULL));
    return s;
}

static void close_side(side *s)
{
    nacre_loop_close(s->loop);
    nacre_tcp_close(s->tcp);
    nacre_udp_close(s->udp);
}

static void send_request(side *s, nacre_address peer, nacre_context *context)
{
    nacre_message plain = { .type = NACRE_NON, .code = NACRE_GET };
    peer.flags = NACRE_ADDRESS_RELIABLE;
    assert_ok(nacre_endpoint_request(nacre_loop_endpoint(s->loop), &s->exchange, &peer, context, &plain, NULL));
}

static void step(side *a, side *b)
{
    assert_ok(nacre_loop_step(a->loop, 1, NULL));
    if (b != NULL) assert_ok(nacre_loop_step(b->loop, 1, NULL));
}

/* Steps until the first has had `events` events. */
static void run(side *a, side *b, int events)
{
    uint64_t end = nacre_clock_ms() + 3000;
    while (a->events < events && nacre_clock_ms() < end) step(a, b);
    assert_int_equal(a->events, events);
}

static void run_for(side *a, side *b, uint64_t ms)
{
    uint64_t end = nacre_clock_ms() + ms;
    while (nacre_clock_ms() < end) step(a, b);
}

/* ---- A plain socket ---------------------------------------------------------------------------------------------- */

static int raw_socket(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    return fd;
}

static int raw_connect(const side *s)
{
    struct sockaddr_storage name;
    nacre_address local = nacre_tcp_local(s->tcp);
    int fd = raw_socket();
    socklen_t len = nacre__address_to(&name, &local, true);
    assert_int_equal(connect(fd, (const struct sockaddr *)&name, len), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static int raw_listen(nacre_address *address)
{
    struct sockaddr_in6 name = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
    socklen_t len = sizeof name;
    int fd = raw_socket();
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    assert_true(nacre__address_from(address, (const struct sockaddr *)&name, len));
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static int raw_accept(int listener, side *s)
{
    uint64_t end = nacre_clock_ms() + 3000;
    int fd;
    while ((fd = accept(listener, NULL, NULL)) < 0 && nacre_clock_ms() < end) step(s, NULL);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void raw_send(int fd, const char *hex)
{
    nacre_bytes bytes = test_hex(hex);
    assert_int_equal(send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL), (ssize_t)bytes.len);
}

/* Reads `len` bytes; fewer when the connection ends, or nothing arrives. */
static nacre_bytes raw_read(int fd, size_t len, side *s)
{
    uint8_t *buf = test_alloc(len);
    size_t got = 0;
    uint64_t end = nacre_clock_ms() + 3000 + len / 1000;
    while (got < len && nacre_clock_ms() < end) {
        ssize_t n = recv(fd, buf + got, len - got, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) break;
        if (n > 0) got += (size_t)n;
        step(s, NULL);
    }
    return nacre_bytes_of(buf, got);
}

static void raw_expect(int fd, const char *hex, side *s)
{
    nacre_bytes expected = test_hex(hex);
    assert_bytes(raw_read(fd, expected.len, s), expected);
}

static void raw_expect_end(int fd, side *s)
{
    uint8_t byte;
    uint64_t end = nacre_clock_ms() + 3000;
    ssize_t n = -1;
    while ((n = recv(fd, &byte, 1, 0)) < 0 && errno == EAGAIN && nacre_clock_ms() < end) step(s, NULL);
    assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
}

#define CSM "30e12204fe" /* of a side */

/* ---- Two loops --------------------------------------------------------------------------------------------------- */

static void requests_share_a_connection(void **state)
{
    (void)state;
    side *client = open_side(NULL, NULL), *server = open_server(NULL, test_context_of(1, TEST_SERVER));
    nacre_context *mine = test_context_of(1, TEST_CLIENT);
    for (int i = 1; i <= 20; i++) {
        send_request(client, nacre_tcp_local(server->tcp), mine);
        run(client, server, i);
        assert_int_equal(client->kind, NACRE_EVENT_RESPONSE);
        assert_int_equal(client->code, NACRE_CONTENT);
        assert_true(client->is_protected);
    }
    assert_int_equal(server->requests, 20);
    assert_true(nacre_address_is_reliable(&server->requests_of));
    assert_int_equal(nacre_tcp_num_connections(server->tcp), 1);
    assert_int_equal(nacre_tcp_num_connections(client->tcp), 1);
    close_side(client); /* RFC 8323 5.5: with a Release */
    run_for(server, NULL, 20);
    assert_int_equal(nacre_tcp_num_connections(server->tcp), 0);
    close_side(server);
}

static void two_clients_send_many_requests_at_once(void **state)
{
    (void)state;
    side *one = open_side(NULL, NULL), *two = open_side(NULL, NULL), *server = open_server(NULL, NULL);
    server->response_len = 1024;
    for (int i = 0; i < 32; i++) {
        send_request(one, nacre_tcp_local(server->tcp), NULL);
        send_request(two, nacre_tcp_local(server->tcp), NULL);
    }
    uint64_t end = nacre_clock_ms() + 3000;
    while ((one->responses < 32 || two->responses < 32) && nacre_clock_ms() < end) {
        step(one, two);
        step(server, NULL);
    }
    assert_int_equal(one->responses, 32);
    assert_int_equal(two->responses, 32);
    assert_int_equal(server->requests, 64);
    assert_int_equal(nacre_tcp_num_connections(server->tcp), 2);
    close_side(one);
    close_side(two);
    close_side(server);
}

/* RFC 8323 3.3: either side may send requests, whichever opened the connection. */
static void the_accepting_side_may_send_requests(void **state)
{
    (void)state;
    side *client = open_side(NULL, NULL), *server = open_server(NULL, NULL);
    send_request(client, nacre_tcp_local(server->tcp), NULL);
    run(client, server, 1);
    send_request(server, server->requests_of, NULL);
    run(server, client, 1);
    assert_int_equal(server->code, NACRE_CONTENT);
    assert_int_equal(client->requests, 1);
    assert_int_equal(nacre_tcp_num_connections(client->tcp), 1);
    close_side(client);
    close_side(server);
}

/* ---- Peers that die ---------------------------------------------------------------------------------------------- */

static void a_refused_connection_is_unreachable(void **state)
{
    (void)state;
    side *client = open_side(NULL, NULL);
    nacre_address nowhere;
    int listener = raw_listen(&nowhere);
    (void)close(listener);
    send_request(client, nowhere, NULL);
    run(client, NULL, 1);
    assert_int_equal(client->kind, NACRE_EVENT_FAILED);
    assert_err(client->err, NACRE_ERR_UNREACHABLE);
    close_side(client);
}

static void without_connections_no_peer_is_reachable(void **state)
{
    (void)state;
    side *client = open_side(NULL, NULL), *server = open_server(NULL, NULL);
    nacre_loop *loop;
    nacre_endpoint_config config = { .timing = quick, .crypto = *test_crypto() };
    assert_ok(nacre_loop_open(&loop, client->udp, &config, on_event, client, NULL));
    nacre_loop_close(client->loop);
    client->loop = loop;
    send_request(client, nacre_tcp_local(server->tcp), NULL);
    run(client, NULL, 1);
    assert_err(client->err, NACRE_ERR_UNREACHABLE);
    close_side(client);
    close_side(server);
}

/* The peer closes or resets before its response. Writing to it raises no signal. */
static void requests_fail_when_the_peer_closes(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        side *client = open_side(NULL, NULL);
        nacre_address address;
        int listener = raw_listen(&address);
        send_request(client, address, NULL);
        int fd = raw_accept(listener, client);
        raw_send(fd, "00e1");
        raw_expect(fd, CSM "0801", client);
        const struct linger now = { 1, 0 };
        if (reset) assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
        (void)close(fd);
        send_request(client, address, NULL);
        run(client, NULL, 2);
        assert_int_equal(client->kind, NACRE_EVENT_FAILED);
        assert_err(client->err, NACRE_ERR_UNREACHABLE);
        run_for(client, NULL, 1100); /* its entry is free again, and the next request connects */
        send_request(client, address, NULL);
        fd = raw_accept(listener, client);
        raw_expect(fd, CSM "0801", client);
        (void)close(fd);
        (void)close(listener);
        close_side(client);
    }
}

/* Requests received before the peer's end get their responses. */
static void a_half_closed_peer_gets_its_responses(void **state)
{
    (void)state;
    side *server = open_server(NULL, NULL);
    int fd = raw_connect(server);
    raw_send(fd, "00e1 010155 010156");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    raw_expect(fd, CSM "414555ff000000 414556ff000000", server);
    raw_expect_end(fd, server);
    (void)close(fd);
    close_side(server);
}

/* ---- Peers that violate the protocol ----------------------------------------------------------------------------- */

static void other_protocols_are_aborted(void **state)
{
    (void)state;
    side *server = open_server(NULL, NULL);
    int fd = raw_connect(server);
    static const char http[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(send(fd, http, sizeof http - 1, MSG_NOSIGNAL), sizeof http - 1);
    nacre_bytes said = raw_read(fd, 1000, server);
    assert_true(said.len > 9);
    assert_memory_equal(said.ptr, test_hex(CSM).ptr, 5);
    assert_int_equal(said.ptr[7], NACRE_SIGNAL_ABORT);
    raw_expect_end(fd, server);
    (void)close(fd);
    run_for(server, NULL, 20);
    assert_int_equal(nacre_tcp_num_connections(server->tcp), 0);
    close_side(server);
}

/* RFC 8323 5.3.1: a request larger than the peer takes is not sent; our side reports the error that the peer would have
 * sent. */
static void requests_above_the_peers_maximum_are_refused(void **state)
{
    (void)state;
    side *client = open_side(NULL, NULL);
    nacre_address address;
    int listener = raw_listen(&address);
    send_request(client, address, NULL);
    int fd = raw_accept(listener, client);
    raw_send(fd, "20e12109"); /* 9 bytes; the smallest request has 10 */
    nacre_bytes first = raw_read(fd, 5 + 10, client);
    assert_int_equal(first.len, 15);
    run_for(client, NULL, 20);
    nacre_message plain = { .type = NACRE_NON, .code = NACRE_GET };
    nacre_endpoint *ep = nacre_loop_endpoint(client->loop);
    address.flags = NACRE_ADDRESS_RELIABLE;
    assert_err(nacre_endpoint_request(ep, &client->exchange, &address, NULL, &plain, NULL), NACRE_ERR_TOO_LONG);
    /* Or the peer announces it after the request was made and before it is sent. */
    raw_send(fd, "20e1210c");
    run_for(client, NULL, 20);
    send_request(client, address, NULL);
    raw_send(fd, "20e12109");
    nacre_outgoing out = { .buf = test_buf(1280) };
    assert_int_equal(nacre_endpoint_transmit_many(ep, &out, 1, nacre_clock_ms()), 1);
    run_for(client, NULL, 20);
    nacre__tcp_send(client->tcp, &out, nacre_clock_ms());
    run(client, NULL, 1);
    assert_int_equal(client->kind, NACRE_EVENT_RESPONSE);
    assert_int_equal(client->code, NACRE_TOO_LARGE);
    (void)close(fd);
    (void)close(listener);
    close_side(client);
}

/* RFC 8323 5.5 */
static void hold_off_refuses_the_next_connection(void **state)
{
    (void)state;
    for (int hold_off = 0; hold_off < 2; hold_off++) {
        side *client = open_side(NULL, NULL);
        nacre_address address;
        int listener = raw_listen(&address);
        send_request(client, address, NULL);
        int fd = raw_accept(listener, client);
        nacre_bytes first = raw_read(fd, 5 + 10, client);
        nacre_bytes response = test_join(test_hex("0845"), nacre_bytes_of(first.ptr + 7, 8));
        raw_send(fd, "00e1");
        raw_send(fd, hold_off ? "20e4413c" : "00e4");
        assert_int_equal(send(fd, response.ptr, response.len, MSG_NOSIGNAL), 10);
        run(client, NULL, 1);
        assert_int_equal(client->kind, NACRE_EVENT_RESPONSE);
        raw_expect_end(fd, client);
        (void)close(fd);
        run_for(client, NULL, 20);
        send_request(client, address, NULL);
        if (hold_off) {
            run(client, NULL, 2);
            assert_err(client->err, NACRE_ERR_UNREACHABLE);
        } else {
            (void)close(raw_accept(listener, client));
        }
        (void)close(listener);
        close_side(client);
    }
}

/* ---- Limits ------------------------------------------------------------------------------------------------------ */

enum { BURST = 3000 };

/* Far more requests than all buffers hold are sent before anything is read; all get responses, in order. */
static void a_burst_gets_its_responses(void **state)
{
    (void)state;
    side *server = open_server(NULL, NULL);
    int fd = raw_connect(server), num_requests = 0;
    server->response_len = 1000;
    raw_send(fd, "00e1");
    uint64_t end = nacre_clock_ms() + 20000;
    while (num_requests < BURST && nacre_clock_ms() < end) {
        uint8_t request[4] = { 0x02, 0x01, (uint8_t)(num_requests >> 8), (uint8_t)num_requests };
        if (send(fd, request, 4, MSG_NOSIGNAL) == 4) num_requests++;
        else break;
        if (num_requests % 64 == 0) step(server, NULL);
    }
    raw_expect(fd, CSM, server);
    const size_t each = 4 + 2 + 1 + 1000; /* head, token, marker, payload */
    nacre_bytes responses = raw_read(fd, (size_t)num_requests * each, server);
    assert_int_equal(responses.len, (size_t)num_requests * each);
    for (int i = 0; i < num_requests; i++)
        assert_int_equal(responses.ptr[(size_t)i * each + 4] << 8 | responses.ptr[(size_t)i * each + 5], i);
    assert_int_equal(server->requests, num_requests);
    (void)close(fd);
    close_side(server);
}

/* A peer that sends requests and does not read is not served beyond what fits, and loses its connection in the end. */
static void slow_readers_are_dropped(void **state)
{
    (void)state;
    nacre_tcp_config config = { .stream = { .stall_timeout_ms = 300 } };
    side *server = open_server(&config, NULL);
    int fd = raw_connect(server);
    server->response_len = 1024;
    raw_send(fd, "00e1");
    uint8_t requests[2000];
    for (size_t i = 0; i < sizeof requests; i += 2) memcpy(requests + i, "\x00\x01", 2);
    uint64_t end = nacre_clock_ms() + 20000;
    while (nacre_clock_ms() < end) {
        ssize_t sent = send(fd, requests, sizeof requests, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) break;
        step(server, NULL);
        if (server->requests > 0 && nacre_tcp_num_connections(server->tcp) == 0) break;
    }
    assert_int_equal(nacre_tcp_num_connections(server->tcp), 0);
    (void)close(fd);
    close_side(server);
}

static void raw_greet(int fd, side *s)
{
    raw_send(fd, "00e1");
    raw_expect(fd, CSM, s);
}

/* A plain request is answered: it is open. */
static bool raw_is_open(int fd, side *s)
{
    raw_send(fd, "0001");
    raw_expect(fd, "4045ff000000", s);
    return true;
}

static void raw_expect_abort(int fd, side *s)
{
    const nacre_bytes last = raw_read(fd, 100, s); /* less, because it ends */
    assert_true(last.len > 3 && last.len < 100 && last.ptr[0] == 0xd0 && last.ptr[2] == 0xe5);
}

/* The longest idle goes; plain requests renew its idle time, and half a message or a Ping does not. */
static void connections_without_a_verified_request_give_way_to_newcomers(void **state)
{
    (void)state;
    nacre_tcp_config config = { .num_connections = 3 };
    side *server = open_server(&config, NULL);
    int fds[6];
    for (size_t i = 0; i < 3; i++) {
        fds[i] = raw_connect(server);
        raw_greet(fds[i], server);
        run_for(server, NULL, 5);
    }
    run_for(server, NULL, 1100); /* all trials are over */
    raw_send(fds[1], "0040");
    raw_send(fds[0], "00e2");
    raw_expect(fds[0], "00e3", server);
    run_for(server, NULL, 5);
    assert_true(raw_is_open(fds[2], server));
    for (size_t i = 3; i < 5; i++) {
        fds[i] = raw_connect(server);
        raw_greet(fds[i], server);
        raw_expect_abort(fds[i - 3], server);
        assert_int_equal(nacre_tcp_num_connections(server->tcp), 3);
    }
    for (size_t i = 2; i < 5; i++) assert_true(raw_is_open(fds[i], server));
    for (size_t i = 0; i < 5; i++) (void)close(fds[i]);
    close_side(server);
}

/* Newcomers evict each other only when no other is left. */
static void a_flood_of_connections_leaves_each_newcomer_its_trial(void **state)
{
    (void)state;
    enum { NUM = 8 };
    nacre_tcp_config config = { .num_connections = NUM };
    side *server = open_server(&config, NULL);
    int fds[NUM], flood[NUM];
    for (size_t i = 0; i < NUM; i++) fds[i] = raw_connect(server);
    run_for(server, NULL, 1100);
    const int newcomer = raw_connect(server);
    run_for(server, NULL, 5);
    for (size_t i = 1; i < NUM; i++) { /* the old ones are active; the first gave way */
        raw_send(fds[i], "00e1");
        raw_send(fds[i], "0001");
    }
    run_for(server, NULL, 5);
    for (size_t i = 0; i + 2 < NUM; i++) flood[i] = raw_connect(server);
    run_for(server, NULL, 5);
    raw_greet(newcomer, server);
    assert_true(raw_is_open(newcomer, server));
    for (size_t i = 0; i + 2 < NUM; i++) (void)close(flood[i]);
    for (size_t i = 0; i < NUM; i++) (void)close(fds[i]);
    (void)close(newcomer);
    close_side(server);
}

static int raw_connect_from(const side *s, const char *from)
{
    struct sockaddr_in here = { .sin_family = AF_INET };
    struct sockaddr_storage name;
    nacre_address local = nacre_tcp_local(s->tcp);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(inet_pton(AF_INET, from, &here.sin_addr), 1);
    assert_int_equal(bind(fd, (const struct sockaddr *)&here, sizeof here), 0);
    socklen_t len = nacre__address_to(&name, &local, false);
    assert_int_equal(connect(fd, (const struct sockaddr *)&name, len), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static side *open_v4(const nacre_tcp_config *config, nacre_context *served)
{
    nacre_address any;
    side *server = open_side(config, served);
    assert_ok(nacre_address_resolve(&any, "127.0.0.1:0", 0, NULL));
    assert_ok(nacre_tcp_listen(server->tcp, &any, NULL));
    return server;
}

/* Beyond its share a host takes from itself. */
static void one_host_never_holds_more_than_its_share(void **state)
{
    (void)state;
    enum { GREEDY = 10 };
    nacre_tcp_config config = { .num_connections = 6, .connections_per_host = 2 };
    side *server = open_v4(&config, NULL);
    const int first = raw_connect_from(server, "127.0.0.2"), second = raw_connect_from(server, "127.0.0.3");
    raw_greet(first, server);
    raw_greet(second, server);
    int greedy[GREEDY];
    for (size_t i = 0; i < GREEDY; i++) {
        greedy[i] = raw_connect_from(server, "127.0.0.1");
        run_for(server, NULL, 3);
        assert_true(nacre_tcp_num_connections(server->tcp) <= 4);
    }
    assert_true(raw_is_open(first, server) && raw_is_open(second, server));
    for (size_t i = 0; i < GREEDY; i++) (void)close(greedy[i]);
    (void)close(first);
    (void)close(second);
    close_side(server);
}

static void verified_connections_do_not_give_way_to_strangers(void **state)
{
    (void)state;
    enum { STRANGERS = 12 };
    nacre_tcp_config config = { .num_connections = 4 };
    nacre_context *ours = test_context_of(1, TEST_CLIENT);
    side *server = open_server(&config, test_context_of(1, TEST_SERVER)), *client = open_side(NULL, NULL);
    send_request(client, nacre_tcp_local(server->tcp), ours);
    run(client, server, 1);
    assert_true(client->is_protected);
    run_for(server, client, 1200); /* it is idle for longer than strangers */
    int fds[STRANGERS];
    for (size_t i = 0; i < STRANGERS; i++) {
        fds[i] = raw_connect(server);
        raw_send(fds[i], "00e1");
        run_for(server, client, 3);
    }
    assert_int_equal(nacre_tcp_num_connections(server->tcp), 4);
    assert_int_equal(nacre_tcp_num_connections(client->tcp), 1);
    send_request(client, nacre_tcp_local(server->tcp), ours);
    run(client, server, 2);
    assert_int_equal(client->kind, NACRE_EVENT_RESPONSE);
    for (size_t i = 0; i < STRANGERS; i++) (void)close(fds[i]);
    close_side(client);
    close_side(server);
}

static unsigned num_told;

static void on_shortage(void *user, const char *text)
{
    (void)user;
    num_told += strstr(text, "file descriptors") != NULL;
}

/* Connections leave descriptors for others, and the loop goes on with UDP. */
static void the_last_descriptors_are_not_for_connections(void **state)
{
    (void)state;
    enum { NUM = 12 };
    nacre_tcp_config config = { .num_connections = 64, .connections_per_host = 64 };
    side *server = open_v4(&config, NULL);
    num_told = 0;
    nacre__tcp_keep_descriptors(server->tcp, 0, on_shortage, NULL);
    const int next = dup(0);
    (void)close(next);
    server->tcp->max_fd = next + NUM + 4; /* the other ends are here too */
    int fds[NUM];
    for (size_t i = 0; i < NUM; i++) {
        fds[i] = raw_connect_from(server, "127.0.0.1");
        run_for(server, NULL, 3);
    }
    assert_int_equal(num_told, 1);
    assert_true(nacre_tcp_num_connections(server->tcp) < NUM);
    raw_greet(fds[NUM - 1], server);
    for (size_t i = 0; i < NUM; i++) (void)close(fds[i]);
    close_side(server);
}

static void silent_connection_is_closed_after_its_timeouts(void **state)
{
    (void)state;
    nacre_tcp_config config = { .stream = { .csm_timeout_ms = 100, .ping_after_ms = 200, .stall_timeout_ms = 100 } };
    side *server = open_server(&config, NULL);
    int mute = raw_connect(server), silent = raw_connect(server);
    raw_send(silent, "00e1");
    raw_expect(mute, CSM "d0", server); /* and an Abort */
    raw_expect(silent, CSM "00e2", server);
    raw_send(silent, "00e3");
    raw_expect(silent, "00e2 d0", server);
    run_for(server, NULL, 20);
    assert_int_equal(nacre_tcp_num_connections(server->tcp), 0);
    (void)close(mute);
    (void)close(silent);
    close_side(server);
}

/* ---- Arguments --------------------------------------------------------------------------------------------------- */

static void invalid_arguments_are_refused(void **state)
{
    (void)state;
    nacre_tcp *tcp;
    nacre_detail why = { { 0 } };
    nacre_address local;
    nacre_tcp_config small = { .stream = { .max_message = 63 } }, large = { .stream = { .max_message = 1281 } };
    assert_err(nacre_tcp_open(&tcp, &small, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_true(why.text[0] != '\0');
    side *server = open_server(NULL, NULL);
    local = nacre_tcp_local(server->tcp);
    assert_err(nacre_tcp_listen(server->tcp, &local, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_ok(nacre_tcp_open(&tcp, &large, &why));
    assert_int_equal(nacre_tcp_local(tcp).len, 0);
    assert_err(nacre_tcp_listen(tcp, &local, &why), NACRE_ERR_ADDRESS); /* taken */
    assert_non_null(strstr(why.text, "TCP"));
    assert_int_equal(nacre_tcp_local(tcp).len, 0);
    assert_err(nacre_loop_add_tcp(server->loop, tcp), NACRE_ERR_BAD_ARGUMENT); /* the loop already has one */
    nacre_loop *loop;
    nacre_endpoint_config config = { .crypto = *test_crypto() };
    assert_ok(nacre_loop_open(&loop, server->udp, &config, on_event, server, NULL));
    assert_err(nacre_loop_add_tcp(loop, tcp), NACRE_ERR_BAD_ARGUMENT); /* its messages are larger */
    config.max_message = 1281;
    nacre_loop_close(loop);
    assert_ok(nacre_loop_open(&loop, server->udp, &config, on_event, server, NULL));
    assert_ok(nacre_loop_add_tcp(loop, tcp));
    nacre_loop_close(loop);
    nacre_tcp_close(tcp);
    nacre_tcp_close(NULL);
    close_side(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_share_a_connection),
        TEST(two_clients_send_many_requests_at_once),
        TEST(the_accepting_side_may_send_requests),
        TEST(a_refused_connection_is_unreachable),
        TEST(without_connections_no_peer_is_reachable),
        TEST(requests_fail_when_the_peer_closes),
        TEST(a_half_closed_peer_gets_its_responses),
        TEST(other_protocols_are_aborted),
        TEST(requests_above_the_peers_maximum_are_refused),
        TEST(hold_off_refuses_the_next_connection),
        TEST(a_burst_gets_its_responses),
        TEST(slow_readers_are_dropped),
        TEST(connections_without_a_verified_request_give_way_to_newcomers),
        TEST(a_flood_of_connections_leaves_each_newcomer_its_trial),
        TEST(one_host_never_holds_more_than_its_share),
        TEST(verified_connections_do_not_give_way_to_strangers),
        TEST(the_last_descriptors_are_not_for_connections),
        TEST(silent_connection_is_closed_after_its_timeouts),
        TEST(invalid_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
