/* SPDX-License-Identifier: MIT */
/* Labels: cross native */
/* udp_test: datagrams over loopback, with the burst calls and with the plain ones. */
#include <nacre/loop.h>
#include <nacre/udp.h>

#include "io/address.h"
#include "io/udp_internal.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { STRIDE = 64, NUM = 40 };

typedef struct box { /* received datagrams */
    uint8_t memory[STRIDE * NUM];
    nacre_datagram in[NUM];
    size_t num;
} box;

static nacre_address at(const char *text)
{
    nacre_address address;
    assert_int_equal(nacre_address_resolve(&address, text, 0, NULL), NACRE_OK);
    return address;
}

static nacre_address with_port_of(const char *text, const nacre_udp *udp)
{
    nacre_address address = at(text), local = nacre_udp_local(udp);
    memcpy(address.bytes + 1, local.bytes + 1, 2);
    return address;
}

static nacre_udp *open_at(const char *text)
{
    nacre_udp *udp;
    nacre_detail why = { { 0 } };
    nacre_address local = { 0 };
    if (text != NULL) local = at(text);
    if (nacre_udp_open(&udp, &local, &why) != NACRE_OK) fail_msg("%s", why.text);
    return udp;
}

static void send_text(nacre_udp *udp, const nacre_address *peer, const char *text)
{
    nacre_outgoing out = { .peer = *peer, .bytes = { (const uint8_t *)text, strlen(text) } };
    nacre__udp_send(udp, &out, 1);
}

/* Waits up to `ms` for datagrams. */
static size_t receive(nacre_udp *udp, box *b, int ms)
{
    struct pollfd fd = { .fd = nacre_udp_fd(udp), .events = POLLIN };
    nacre__udp_buffers bufs = { b->memory, STRIDE, NUM };
    (void)poll(&fd, 1, ms);
    assert_int_equal(nacre__udp_receive(udp, b->in, &b->num, &bufs), NACRE_OK);
    return b->num;
}

static void assert_text(const box *b, size_t i, const char *text)
{
    assert_true(i < b->num);
    assert_int_equal(b->in[i].bytes.len, strlen(text));
    assert_memory_equal(b->in[i].bytes.ptr, text, strlen(text));
}

/* Runs the rest of a test once with each table of calls. */
static const nacre__udp_ops *const all_ops[] = {
    &nacre__udp_plain_ops,
#ifdef __linux__
    &nacre__udp_linux_ops,
#endif
};
enum { NUM_OPS = sizeof all_ops / sizeof all_ops[0] };

static void datagrams_arrive_both_ways(void **state)
{
    static const struct {
        const char *server, *client, *as; /* `as`: the address that the client sends to */
    } rows[] = {
        { "127.0.0.1:0", NULL, "127.0.0.1" },
        { "[::1]:0", NULL, "::1" },
        { "[::]:0", NULL, "::1" },
        { "[::]:0", NULL, "127.0.0.1" },
        { "0.0.0.0:0", NULL, "127.0.0.1" },
        { "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1" },
        { "[::]:0", "127.0.0.1:0", "127.0.0.1" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t ops = 0; ops < NUM_OPS; ops++) {
            box b;
            nacre_udp *server = open_at(rows[i].server), *client = open_at(rows[i].client);
            server->ops = client->ops = all_ops[ops];
            nacre_address to = with_port_of(rows[i].as, server);
            send_text(client, &to, "ask");
            assert_int_equal(receive(server, &b, 1000), 1);
            assert_text(&b, 0, "ask");
            nacre_address from = with_port_of(rows[i].as, client);
            assert_true(nacre_address_equal(&b.in[0].peer, &from));
            send_text(server, &b.in[0].peer, "answer");
            assert_int_equal(receive(client, &b, 1000), 1);
            assert_text(&b, 0, "answer");
            assert_true(nacre_address_equal(&b.in[0].peer, &to));
            nacre_udp_close(server);
            nacre_udp_close(client);
        }
}

#ifdef __linux__
/* Loopback has many addresses, and by default the system would respond from 127.0.0.1. */
static void responses_come_from_the_address_that_was_queried(void **state)
{
    static const char *const wildcards[] = { "[::]:0", "0.0.0.0:0" };
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int remembers = 0; remembers < 2; remembers++) {
            box b;
            nacre_udp *server = open_at(wildcards[i]), *client = open_at("127.0.0.1:0");
            if (!remembers) server->ops = &nacre__udp_plain_ops;
            nacre_address queried = with_port_of("127.0.0.2", server), other = with_port_of("127.0.0.1", server);
            send_text(client, &queried, "ask");
            assert_int_equal(receive(server, &b, 1000), 1);
            send_text(server, &b.in[0].peer, "answer");
            assert_int_equal(receive(client, &b, 1000), 1);
            assert_true(nacre_address_equal(&b.in[0].peer, remembers ? &queried : &other));
            nacre_udp_close(server);
            nacre_udp_close(client);
        }
}
#endif

static void longer_datagrams_are_truncated_with_their_full_length(void **state)
{
    char text[STRIDE + 100];
    (void)state;
    memset(text, 'x', sizeof text);
    static const char *const servers[] = { "[::1]:0", "127.0.0.1:0" };
    static const size_t lengths[] = { STRIDE + 1, STRIDE, STRIDE + 99 };
    for (size_t row = 0; row < 2 * NUM_OPS + 2; row++) {
        box b;
        nacre_udp *server = open_at(servers[row % 2]), *client = open_at(NULL);
        if (row < 2 * NUM_OPS) server->ops = all_ops[row / 2];
        else (void)nacre_udp_use_gso(server);
        nacre_address to = nacre_udp_local(server);
        for (size_t i = 0; i < 3; i++) {
            nacre_outgoing out = { .peer = to, .bytes = { (const uint8_t *)text, lengths[i] } };
            nacre__udp_send(client, &out, 1);
            assert_int_equal(receive(server, &b, 1000), 1);
            assert_int_equal(b.in[0].bytes.len, STRIDE);
            assert_true(b.in[0].peer.len > 0);
            if (lengths[i] == STRIDE) assert_true(b.in[0].full_len <= STRIDE);
#ifdef __linux__
            else assert_int_equal(b.in[0].full_len, lengths[i]);
#else
            else assert_true(b.in[0].full_len > STRIDE);
#endif
        }
        nacre_udp_close(server);
        nacre_udp_close(client);
    }
}

/* More datagrams than one call takes arrive in order. */
static void bursts_keep_their_order(void **state)
{
    enum { MANY = NACRE__UDP_BURST + 20 };
    (void)state;
    for (size_t ops = 0; ops < NUM_OPS; ops++) {
        box b;
        nacre_outgoing out[MANY];
        uint8_t number[MANY];
        nacre_udp *server = open_at("[::1]:0"), *client = open_at(NULL);
        server->ops = client->ops = all_ops[ops];
        for (size_t i = 0; i < MANY; i++) {
            number[i] = (uint8_t)i;
            out[i] = (nacre_outgoing){ .peer = nacre_udp_local(server), .bytes = { &number[i], 1 } };
        }
        nacre__udp_send(client, out, MANY);
        for (size_t next = 0; next < MANY;) {
            assert_true(receive(server, &b, 1000) > 0);
            for (size_t i = 0; i < b.num; i++) assert_int_equal(b.in[i].bytes.ptr[0], next++);
        }
        assert_int_equal(receive(server, &b, 0), 0);
        nacre_udp_close(server);
        nacre_udp_close(client);
    }
}

#ifdef __linux__
/* Datagrams of several lengths to two peers: all arrive, complete and in order, in fewer messages than datagrams. */
static void batches_are_split(void **state)
{
    enum { MANY = 60 };
    (void)state;
    for (int uses_gso = 0; uses_gso < 2; uses_gso++) {
        static uint8_t text[MANY][STRIDE + 1];
        nacre_outgoing out[MANY];
        box b;
        nacre_udp *servers[2] = { open_at("[::]:0"), open_at("[::1]:0") }, *client = open_at(NULL);
        nacre_address to[2] = { with_port_of("::1", servers[0]), with_port_of("::1", servers[1]) };
        for (int i = 0; i < 2; i++) assert_true(nacre_udp_use_gso(servers[i]));
        assert_true(nacre_udp_use_gso(client));
        client->batches->no_sending = !uses_gso;
        for (size_t i = 0; i < MANY; i++) {
            /* forty of one length with a shorter and an empty one among them, then growing ones; the last is too
             * long */
            size_t len = i == 11 ? 3 : i == 20 ? 0 : i < 40 ? 16 : i == MANY - 1 ? STRIDE + 1 : i - 20;
            memset(text[i], (int)i, sizeof text[i]);
            out[i] = (nacre_outgoing){ .peer = to[i >= 30 && i < 34], .bytes = { text[i], len } };
        }
        nacre__udp_send(client, out, MANY);
        for (int server = 0; server < 2; server++) {
            size_t messages = 0, datagrams = 0;
            for (size_t i = 0; i < MANY; i++) {
                if ((i >= 30 && i < 34) != server) continue;
                if (datagrams == 0) {
                    bool fresh = !nacre__udp_pending(servers[server]);
                    datagrams = receive(servers[server], &b, 1000);
                    assert_true(datagrams > 0);
                    if (fresh) messages += servers[server]->batches->num;
                }
                const nacre_datagram *got = &b.in[b.num - datagrams--];
                assert_int_equal(got->bytes.len, i == MANY - 1 ? STRIDE : out[i].bytes.len);
                assert_memory_equal(got->bytes.ptr, text[i], got->bytes.len);
                if (i == MANY - 1) assert_int_equal(got->full_len, STRIDE + 1);
            }
            assert_int_equal(receive(servers[server], &b, 0), 0);
            if (server == 1) assert_int_equal(messages, uses_gso ? 1 : 4);
            else assert_true(uses_gso ? messages < 32 : messages >= 54);
        }
        assert_int_equal(client->batches->no_sending, !uses_gso);
        nacre_udp_close(servers[0]);
        nacre_udp_close(servers[1]);
        nacre_udp_close(client);
    }
}

/* A route without GSO (here: a socket that sends no checksums) is detected once, and no datagram is lost by that. */
static void batches_that_cannot_be_sent_go_one_by_one(void **state)
{
    (void)state;
    for (int checksums = 0; checksums < 2; checksums++) {
        box b;
        int none = !checksums;
        nacre_udp *server = open_at("127.0.0.1:0"), *client = open_at("127.0.0.1:0");
        assert_true(nacre_udp_use_gso(client));
        assert_int_equal(setsockopt(client->fd, SOL_SOCKET, SO_NO_CHECK, &none, sizeof none), 0);
        nacre_outgoing out[4];
        for (size_t i = 0; i < 4; i++)
            out[i] = (nacre_outgoing){ .peer = nacre_udp_local(server), .bytes = NACRE_STR("same") };
        nacre__udp_send(client, out, 4);
        for (size_t got = 0; got < 4;) {
            const size_t more = receive(server, &b, 1000);
            assert_true(more > 0);
            got += more;
        }
        assert_int_equal(receive(server, &b, 0), 0);
        assert_int_equal(client->batches->no_sending, !checksums);
        nacre_udp_close(server);
        nacre_udp_close(client);
    }
}
#endif

static int receive_buffer(int fd)
{
    int bytes = 0;
    socklen_t len = sizeof bytes;
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &len), 0);
    return bytes;
}

/* The socket buffers as much as the system allows: a server that is busy for a while loses nothing. */
static void the_socket_buffers_many_datagrams(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    const int wanted = 2 * 1024 * 1024, bare = socket(AF_INET, SOCK_DGRAM, 0);
    const int by_default = receive_buffer(bare);
    assert_int_equal(setsockopt(bare, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted), 0);
    nacre_udp *a = open_at("127.0.0.1:0"), *b = open_at("127.0.0.1:0");
    const nacre_address to = nacre_udp_local(b);
    static box in;
    size_t got = 0;
    const int expected = by_default < wanted ? receive_buffer(bare) : by_default;
    assert_int_equal(receive_buffer(nacre_udp_fd(b)), expected);
    for (int i = 0; i < MANY; i++) send_text(a, &to, "a small one");
    while (receive(b, &in, 100) > 0) got += in.num;
    if (expected >= wanted) assert_int_equal(got, MANY);
    else print_message("  %zu of %d: this system gives %d bytes to a socket\n", got, (int)MANY, expected);
    nacre_udp_close(a);
    nacre_udp_close(b);
    (void)close(bare);
}

static void empty_datagrams_are_delivered(void **state)
{
    (void)state;
    for (size_t ops = 0; ops < NUM_OPS; ops++) {
        box b;
        nacre_udp *server = open_at("127.0.0.1:0"), *client = open_at(NULL);
        server->ops = client->ops = all_ops[ops];
        nacre_address to = nacre_udp_local(server);
        send_text(client, &to, "");
        assert_int_equal(receive(server, &b, 1000), 1);
        assert_int_equal(b.in[0].bytes.len, 0);
        nacre_udp_close(server);
        nacre_udp_close(client);
    }
}

/* ---- Errors ------------------------------------------------------------------------------------------------------ */

/* A port on which nothing listens, for a while. */
static nacre_address dead_port(const char *host)
{
    char text[72];
    (void)snprintf(text, sizeof text, "%s:0", host);
    nacre_udp *udp = open_at(text);
    nacre_address address = nacre_udp_local(udp);
    nacre_udp_close(udp);
    return address;
}

#ifdef __linux__
static bool wait_unreachable(nacre_udp *udp, nacre_address *peer)
{
    struct pollfd fd = { .fd = nacre_udp_fd(udp), .events = POLLIN };
    for (int i = 0; i < 20; i++) {
        if (nacre__udp_next_unreachable(udp, peer)) return true;
        (void)poll(&fd, 1, 50);
        nacre__udp_fetch_errors(udp);
    }
    return false;
}

/* The error names the dead peer, and the other one receives everything. */
static void icmp_errors_name_the_dead_peer(void **state)
{
    static const char *const hosts[] = { "127.0.0.1", "[::1]" };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        box b;
        char bind[32];
        (void)snprintf(bind, sizeof bind, "%s:0", hosts[i]);
        nacre_udp *client = open_at(NULL), *alive = open_at(bind);
        nacre_address dead = dead_port(hosts[i]), living = nacre_udp_local(alive), named;
        nacre_outgoing out[4];
        for (size_t k = 0; k < 4; k++)
            out[k] = (nacre_outgoing){ .peer = k % 2 == 0 ? dead : living, .bytes = NACRE_STR("x") };
        nacre__udp_send(client, out, 4);
        assert_int_equal(receive(alive, &b, 1000), 2);
        assert_true(wait_unreachable(client, &named));
        assert_true(nacre_address_equal(&named, &dead));
        while (nacre__udp_next_unreachable(client, &named)) assert_true(nacre_address_equal(&named, &dead));
        nacre_udp_close(client);
        nacre_udp_close(alive);
    }
}
#endif

/* A pending error does not hide received datagrams. */
static void errors_do_not_hide_datagrams(void **state)
{
    (void)state;
    for (size_t ops = 0; ops < NUM_OPS; ops++) {
        box b;
        nacre_udp *client = open_at(NULL), *alive = open_at("127.0.0.1:0");
        client->ops = all_ops[ops];
        nacre_address dead = dead_port("127.0.0.1"), back = with_port_of("127.0.0.1", client);
        send_text(client, &dead, "x");
        send_text(alive, &back, "hello");
        assert_int_equal(receive(client, &b, 1000), 1);
        assert_text(&b, 0, "hello");
        nacre_udp_close(client);
        nacre_udp_close(alive);
    }
}

/* The system reports a pending error to the next send: that datagram is sent nevertheless, in one burst and in two. */
static void errors_do_not_drop_the_next_datagram(void **state)
{
    (void)state;
    for (size_t ops = 0; ops < NUM_OPS; ops++) {
        box b;
        nacre_udp *client = open_at(NULL), *alive = open_at("127.0.0.1:0");
        client->ops = all_ops[ops];
        nacre_address dead = dead_port("127.0.0.1"), living = nacre_udp_local(alive);
        nacre_outgoing out[2] = { { .peer = dead, .bytes = NACRE_STR("x") },
                                  { .peer = living, .bytes = NACRE_STR("one") } };
        nacre__udp_send(client, out, 2);
        assert_int_equal(receive(alive, &b, 1000), 1);
        assert_text(&b, 0, "one");
        send_text(client, &dead, "x");
        send_text(client, &living, "two");
        assert_int_equal(receive(alive, &b, 1000), 1);
        assert_text(&b, 0, "two");
        nacre_udp_close(client);
        nacre_udp_close(alive);
    }
}

static void a_send_error_names_its_peer(void **state)
{
    (void)state;
    for (size_t ops = 0; ops < NUM_OPS; ops++) {
        box b;
        nacre_udp *v4 = open_at("127.0.0.1:0"), *alive = open_at("127.0.0.1:0");
        v4->ops = all_ops[ops];
        nacre_address v6 = at("[::1]:5683"), named;
        nacre_outgoing out[3] = { { .peer = v6, .bytes = NACRE_STR("x") },
                                  { .peer = nacre_udp_local(alive), .bytes = NACRE_STR("y") },
                                  { .peer = at("127.0.0.1:0"), .bytes = NACRE_STR("z") } };
        nacre__udp_send(v4, out, 3);
        assert_int_equal(receive(alive, &b, 1000), 1);
        assert_text(&b, 0, "y");
        assert_true(nacre__udp_next_unreachable(v4, &named));
        assert_true(nacre_address_equal(&named, &out[2].peer));
        assert_true(nacre__udp_next_unreachable(v4, &named));
        assert_true(nacre_address_equal(&named, &v6));
        assert_false(nacre__udp_next_unreachable(v4, &named));
        nacre_udp_close(v4);
        nacre_udp_close(alive);
    }
}

/* EMSGSIZE is a loss, not an unreachable peer; the next datagram is sent. */
static void a_datagram_too_large_to_send_is_lost(void **state)
{
    (void)state;
    uint8_t *large = calloc(1, 70000);
    assert_non_null(large);
    for (size_t ops = 0; ops < NUM_OPS; ops++) {
        box b;
        nacre_udp *client = open_at(NULL), *alive = open_at("127.0.0.1:0");
        client->ops = all_ops[ops];
        nacre_address named;
        nacre_outgoing out[2] = { { .peer = nacre_udp_local(alive), .bytes = { large, 70000 } },
                                  { .peer = nacre_udp_local(alive), .bytes = NACRE_STR("y") } };
        nacre__udp_send(client, out, 2);
        assert_int_equal(receive(alive, &b, 1000), 1);
        assert_text(&b, 0, "y");
        assert_false(nacre__udp_next_unreachable(client, &named));
        nacre_udp_close(client);
        nacre_udp_close(alive);
    }
    free(large);
}

static void a_broken_socket_is_reported(void **state)
{
    box b;
    nacre__udp_buffers bufs = { b.memory, STRIDE, NUM };
    (void)state;
    for (size_t ops = 0; ops < NUM_OPS; ops++) {
        nacre_udp *udp = open_at("127.0.0.1:0");
        udp->ops = all_ops[ops];
        assert_int_equal(nacre__udp_receive(udp, b.in, &b.num, &bufs), NACRE_OK);
        assert_int_equal(b.num, 0);
        assert_int_equal(close(udp->fd), 0);
        assert_int_equal(nacre__udp_receive(udp, b.in, &b.num, &bufs), NACRE_ERR_ADDRESS);
        udp->fd = -1;
        nacre_udp_close(udp);
    }
}

static void the_error_names_a_port_in_use(void **state)
{
    (void)state;
    nacre_udp *first = open_at("127.0.0.1:0"), *second = NULL;
    nacre_address local = nacre_udp_local(first);
    nacre_detail why = { { 0 } };
    char text[72];
    nacre_address_text(&local, text);
    assert_int_equal(nacre_udp_open(&second, &local, &why), NACRE_ERR_ADDRESS);
    assert_null(second);
    assert_non_null(strstr(why.text, text));
    nacre_udp_close(first);
    assert_int_equal(nacre_udp_open(&second, &local, &why), NACRE_OK);
    nacre_udp_close(second);
    nacre_udp_close(NULL);
}

/* ---- Sources ----------------------------------------------------------------------------------------------------- */

static nacre_address numbered(uint32_t n)
{
    nacre_address address = { .len = NACRE__ADDRESS_V4_LEN, .bytes = { 4 } };
    memcpy(address.bytes + 3, &n, 4);
    return address;
}

static void source_addresses_are_kept_and_replaced(void **state)
{
    (void)state;
    nacre__sources *s = calloc(1, sizeof *s);
    assert_non_null(s);
    struct in6_addr one = { { { 1 } } }, two = { { { 2 } } };
    nacre_address peer = numbered(7);
    assert_null(nacre__sources_find(s, &peer));
    nacre__sources_note(s, &peer, &one);
    assert_memory_equal(nacre__sources_find(s, &peer), &one, sizeof one);
    nacre__sources_note(s, &peer, &two);
    assert_memory_equal(nacre__sources_find(s, &peer), &two, sizeof two);
    /* Many peers: some are evicted, none is taken for another, and the latest is always known. */
    size_t kept = 0;
    for (uint32_t n = 100; n < 5000; n++) {
        struct in6_addr local = { { { (uint8_t)n, (uint8_t)(n >> 8) } } };
        nacre_address at_n = numbered(n);
        nacre__sources_note(s, &at_n, &local);
        assert_memory_equal(nacre__sources_find(s, &at_n), &local, sizeof local);
    }
    for (uint32_t n = 100; n < 5000; n++) {
        struct in6_addr local = { { { (uint8_t)n, (uint8_t)(n >> 8) } } };
        nacre_address at_n = numbered(n);
        const struct in6_addr *found = nacre__sources_find(s, &at_n);
        if (found == NULL) continue;
        kept++;
        assert_memory_equal(found, &local, sizeof local);
    }
    assert_true(kept > NACRE__SOURCE_SETS * NACRE__SOURCE_WAYS / 2);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagrams_arrive_both_ways),
#ifdef __linux__ /* functions of udp_linux.c only; elsewhere they are absent, and not counted */
        cmocka_unit_test(responses_come_from_the_address_that_was_queried),
        cmocka_unit_test(icmp_errors_name_the_dead_peer),
        cmocka_unit_test(batches_are_split),
        cmocka_unit_test(batches_that_cannot_be_sent_go_one_by_one),
#endif
        cmocka_unit_test(longer_datagrams_are_truncated_with_their_full_length),
        cmocka_unit_test(bursts_keep_their_order),
        cmocka_unit_test(the_socket_buffers_many_datagrams),
        cmocka_unit_test(empty_datagrams_are_delivered),
        cmocka_unit_test(errors_do_not_hide_datagrams),
        cmocka_unit_test(errors_do_not_drop_the_next_datagram),
        cmocka_unit_test(a_send_error_names_its_peer),
        cmocka_unit_test(a_datagram_too_large_to_send_is_lost),
        cmocka_unit_test(a_broken_socket_is_reported),
        cmocka_unit_test(the_error_names_a_port_in_use),
        cmocka_unit_test(source_addresses_are_kept_and_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
