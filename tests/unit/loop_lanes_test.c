/* SPDX-License-Identifier: MIT */
/* loop_lanes_test: a verified peer is served while the queue of all others is full. Linux only. */
#include "io/loop_struct.h"
#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 64, QUEUE = 8000 /* more datagrams than a receive buffer holds */ };

typedef struct world {
    nacre_udp *udp;
    nacre_loop *loop;
    nacre_table table;
    nacre_table_slot slots[4];
    nacre_context *client;
    int attacker, peer, newcomer; /* connected sockets */
    int requests, plain;
    uint64_t plain_us; /* of processor time, for each plain request */
} world;

static uint64_t thread_us(void)
{
    struct timespec t = { 0 };
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void on_event(void *user, nacre_endpoint *ep, const nacre_event *event)
{
    world *w = user;
    const nacre_message plain = { .code = NACRE_CONTENT, .payload = NACRE_STR("yes") };
    if (event->kind != NACRE_EVENT_REQUEST) return;
    if (event->context != NULL) w->requests++;
    else w->plain++;
    const uint64_t end = thread_us() + (event->context == NULL ? w->plain_us : 0);
    while (thread_us() < end) {}
    assert_ok(nacre_endpoint_respond(ep, event->exchange, &plain));
}

static int socket_to(const nacre_udp *udp)
{
    const nacre_address local = nacre_udp_local(udp);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    memcpy(&to.sin_port, local.bytes + 1, 2);
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static world *world_open(void)
{
    world *w = test_alloc(sizeof *w);
    nacre_address local;
    *w = (world){ .client = test_context_of(1, TEST_CLIENT) };
    assert_ok(nacre_address_resolve(&local, "127.0.0.1:0", 0, NULL));
    assert_ok(nacre_udp_open(&w->udp, &local, NULL));
    assert_true(nacre__udp_open_lane(w->udp, NULL, 1));
    assert_ok(nacre_table_init(&w->table, w->slots, 4));
    assert_ok(nacre_table_add(&w->table, test_context_of(1, TEST_SERVER)));
    nacre_endpoint_config config = { .num_server_exchanges = 256, .burst = BURST, .contexts = &w->table };
    config.crypto = *test_crypto();
    assert_ok(nacre_loop_open(&w->loop, w->udp, &config, on_event, w, NULL));
    w->attacker = socket_to(w->udp);
    w->peer = socket_to(w->udp);
    w->newcomer = socket_to(w->udp);
    return w;
}

static void world_close(const world *w)
{
    nacre_loop_close(w->loop);
    nacre_udp_close(w->udp);
    (void)close(w->attacker);
    (void)close(w->peer);
    (void)close(w->newcomer);
}

/* Protected requests under a kid that no context has. */
static void flood_from(int fd, size_t num)
{
    static const uint8_t forged[] = { 0x54, 0x02, 0x12, 0x34, 1, 2, 3, 4, 0x97, 0x09, 0x05, 0x80, 0x99, 0x99, 0x99,
                                      0x99, 0xff, 1,    2,    3, 4, 5, 6, 7,    8,    9,    10,   11,   12 };
    for (size_t i = 0; i < num; i++) (void)send(fd, forged, sizeof forged, 0);
}

static void flood(const world *w, size_t num)
{
    flood_from(w->attacker, num);
}

static void flood_plain(const world *w, size_t num)
{
    static uint16_t mid;
    for (size_t i = 0; i < num; i++, mid++) {
        const uint8_t get[] = { 0x50, NACRE_GET, (uint8_t)(mid >> 8), (uint8_t)mid };
        (void)send(w->attacker, get, sizeof get, 0);
    }
}

static void send_request(world *w, int fd)
{
    nacre_request_id id;
    static uint16_t mid = 1;
    nacre_message get = test_request(NACRE_GET, NACRE_ABSENT, NACRE_ABSENT);
    get.mid = mid++;
    const nacre_bytes bytes = test_protect_request(w->client, &id, &get);
    assert_int_equal(send(fd, bytes.ptr, bytes.len, 0), bytes.len);
}

/* Steps until the socket has a response, at most `steps` times; the number of steps, or -1. */
static int steps_to_response(world *w, int fd, int steps)
{
    uint8_t bytes[256];
    for (int i = 1; i <= steps; i++) {
        assert_ok(nacre_loop_step(w->loop, 0, NULL));
        if (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) return i;
    }
    return -1;
}

/* A request of the peer is served. */
static void verify_peer(world *w)
{
    send_request(w, w->peer);
    assert_true(steps_to_response(w, w->peer, 100) > 0);
}

static bool all_are_listed(const world *w)
{
    return nacre__lanes_are_apart(w->loop->lanes) && !w->loop->lanes->peers.has_changed;
}

/* A flood that takes all of the loop's time, until the lanes are apart and every verified peer is listed. On a busy machine they
 * may join at the end of the next step. */
static void part(world *w)
{
    const uint64_t end = nacre_clock_ms() + 20000;
    while (!all_are_listed(w) && nacre_clock_ms() < end) {
        flood(w, 4 * BURST);
        assert_ok(nacre_loop_step(w->loop, 0, NULL));
    }
    assert_true(all_are_listed(w));
}

static void verified_peer_is_served_while_the_queue_of_others_is_full(void **state)
{
    (void)state;
    world *w = world_open();
    verify_peer(w);
    for (int i = 0; i < 5; i++) {
        part(w);
        flood(w, QUEUE);
        send_request(w, w->peer);
        assert_in_range(steps_to_response(w, w->peer, 2), 1, 2);
    }
    world_close(w);
}

static void newcomer_waits_with_the_others_and_is_listed_once_it_verifies(void **state)
{
    (void)state;
    world *w = world_open();
    verify_peer(w);
    part(w);
    flood(w, QUEUE);
    send_request(w, w->newcomer); /* lost: the queue is full */
    assert_int_equal(steps_to_response(w, w->newcomer, 2), -1);
    const uint64_t end = nacre_clock_ms() + 20000;
    while (w->requests < 2 && nacre_clock_ms() < end) { /* it tries again, while the flood goes on */
        flood(w, BURST / 8);
        send_request(w, w->newcomer);
        assert_ok(nacre_loop_step(w->loop, 1, NULL));
    }
    assert_true(w->requests >= 2);
    part(w);
    uint8_t bytes[256];
    while (recv(w->newcomer, bytes, sizeof bytes, MSG_DONTWAIT) > 0) {}
    flood(w, QUEUE);
    send_request(w, w->newcomer);
    assert_in_range(steps_to_response(w, w->newcomer, 2), 1, 2);
    world_close(w);
}

static void others_are_received_between_datagrams_of_verified_peers(void **state)
{
    (void)state;
    world *w = world_open();
    verify_peer(w);
    uint64_t others = 0;
    for (int i = 0; i < 1000 && others < 10 * BURST; i++) {
        part(w);
        const uint64_t before = nacre_endpoint_get_stats(nacre_loop_endpoint(w->loop)).received;
        flood(w, BURST);
        send_request(w, w->peer);
        assert_ok(nacre_loop_step(w->loop, 0, NULL));
        others += nacre_endpoint_get_stats(nacre_loop_endpoint(w->loop)).received - before - 1;
        (void)poll(NULL, 0, 1);
    }
    assert_true(others >= 10 * BURST);
    world_close(w);
}

static uint64_t num_received(const world *w)
{
    return nacre_endpoint_get_stats(nacre_loop_endpoint(w->loop)).received;
}

static void others_pause_after_a_burst_while_verified_peers_send(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__lane_share *share = &w->loop->lanes->share;
    verify_peer(w);
    part(w);
    for (int tries = 0; share->paused_until_us == 0 && tries < 100; tries++) {
        flood(w, BURST);
        send_request(w, w->peer);
        assert_ok(nacre_loop_step(w->loop, 0, NULL));
    }
    assert_true(share->paused_until_us > 0);

    part(w);
    while (steps_to_response(w, w->peer, 1) > 0) {}
    share->paused_until_us = UINT64_MAX; /* the pause of a long burst */
    flood(w, BURST);
    const uint64_t before = num_received(w);
    assert_ok(nacre_loop_step(w->loop, 0, NULL));
    assert_int_equal(num_received(w), before);
    send_request(w, w->peer);
    assert_in_range(steps_to_response(w, w->peer, 2), 1, 2);
    assert_int_equal(num_received(w), before + 1);
    share->paused_until_us = 0;
    assert_ok(nacre_loop_step(w->loop, 0, NULL));
    assert_true(num_received(w) > before + 1);
    world_close(w);
}

static void others_do_not_pause_for_datagrams_of_a_listed_peer_that_do_not_verify(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__lane_share *share = &w->loop->lanes->share;
    verify_peer(w);
    part(w);
    while (steps_to_response(w, w->peer, 1) > 0) {}
    share->last_lane_us = share->paused_until_us = 0; /* the peer has been silent for a while */
    for (int i = 0; i < 20; i++) {
        flood_from(w->peer, 1); /* a forger of its address */
        flood(w, BURST);
        assert_ok(nacre_loop_step(w->loop, 0, NULL));
        assert_int_equal(share->paused_until_us, 0);
    }
    world_close(w);
}

static void source_that_sends_nothing_else_is_unlisted_once_it_is_barred(void **state)
{
    (void)state;
    world *w = world_open();
    verify_peer(w);
    part(w);
    while (steps_to_response(w, w->peer, 1) > 0) {}
    const nacre__lane_peers *peers = &w->loop->lanes->peers;
    for (int i = 0; i < 10 && !peers->has_changed; i++) {
        flood_from(w->peer, BURST / 2);
        assert_ok(nacre_loop_step(w->loop, 0, NULL));
    }
    assert_true(peers->has_changed); /* barred */
    const uint64_t end = nacre_clock_ms() + 5000;
    while (peers->has_changed && nacre_clock_ms() < end) {
        flood_from(w->peer, 1);
        assert_ok(nacre_loop_step(w->loop, 10, NULL));
    }
    assert_false(peers->has_changed);
    world_close(w);
}

static void peer_that_verifies_once_an_hour_is_served_too(void **state)
{
    (void)state;
    world *w = world_open();
    enum { HOUR_MS = 3600000 };
    verify_peer(w);
    uint64_t *last_ms = &w->loop->lanes->peers.last_ms;
    *last_ms = *last_ms > HOUR_MS ? *last_ms - HOUR_MS : 1;
    part(w);
    flood(w, QUEUE);
    send_request(w, w->peer);
    assert_in_range(steps_to_response(w, w->peer, 2), 1, 2);
    world_close(w);
}

static void few_expensive_messages_are_received_at_a_time(void **state)
{
    (void)state;
    world *w = world_open();
    w->plain_us = 1000;
    verify_peer(w);
    const uint64_t end = nacre_clock_ms() + 20000;
    while (!all_are_listed(w) && nacre_clock_ms() < end) {
        flood_plain(w, BURST);
        assert_ok(nacre_loop_step(w->loop, 0, NULL));
    }
    assert_true(all_are_listed(w));
    flood_plain(w, 2 * BURST);
    assert_ok(nacre_loop_step(w->loop, 0, NULL)); /* their cost is measured, if it was not before */
    for (int i = 0; i < 5; i++) {
        const int before = w->plain;
        send_request(w, w->peer);
        assert_in_range(steps_to_response(w, w->peer, 2), 1, 2);
        assert_in_range(w->plain - before, 0, 2 * BURST / 8);
    }
    assert_true(w->loop->lanes->share.paused_until_us > 0);
    world_close(w);
}

static void without_a_flood_one_socket_receives_everything(void **state)
{
    (void)state;
    world *w = world_open();
    for (int i = 0; i < 500; i++) {
        struct pollfd lane = { .fd = nacre_udp_fd(w->udp->lane), .events = POLLIN };
        send_request(w, w->peer);
        assert_int_equal(poll(&lane, 1, 0), 0);
        assert_true(steps_to_response(w, w->peer, 100) > 0);
    }
    assert_false(nacre__lanes_are_apart(w->loop->lanes));
    world_close(w);
}

/* SO_ATTACH_REUSEPORT_CBPF, which Linux has, and processor emulators lack. */
static bool is_supported(void)
{
    nacre_address local;
    nacre_udp *udp = NULL;
    if (nacre_address_resolve(&local, "127.0.0.1:0", 0, NULL) != NACRE_OK ||
        nacre_udp_open(&udp, &local, NULL) != NACRE_OK)
        return false;
    const bool has_lane = nacre__udp_open_lane(udp, NULL, 1);
    nacre_udp_close(udp);
    return has_lane;
}

int main(void)
{
    if (!is_supported()) {
        (void)printf("SKIPPED: the system has no BPF program for the sockets of a port\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        TEST(verified_peer_is_served_while_the_queue_of_others_is_full),
        TEST(newcomer_waits_with_the_others_and_is_listed_once_it_verifies),
        TEST(others_are_received_between_datagrams_of_verified_peers),
        TEST(others_pause_after_a_burst_while_verified_peers_send),
        TEST(others_do_not_pause_for_datagrams_of_a_listed_peer_that_do_not_verify),
        TEST(source_that_sends_nothing_else_is_unlisted_once_it_is_barred),
        TEST(peer_that_verifies_once_an_hour_is_served_too),
        TEST(few_expensive_messages_are_received_at_a_time),
        TEST(without_a_flood_one_socket_receives_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
