/* SPDX-License-Identifier: MIT */
/* udp_lane_test: the kernel's choice between a socket and its lane, over loopback. Linux only. */
#include "io/address.h"
#include "io/udp_internal.h"
#include "support.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STRIDE = 64, MAX_WORKERS = 4 };

typedef struct world {
    nacre_udp *workers[MAX_WORKERS], *client;
    unsigned num;
} world;

static nacre_udp *open_at(const char *text)
{
    nacre_address local;
    nacre_udp *udp;
    nacre_detail why = { { 0 } };
    assert_ok(nacre_address_resolve(&local, text, 0, &why));
    if (nacre_udp_open(&udp, &local, &why) != NACRE_OK) fail_msg("%s", why.text);
    return udp;
}

static world world_open(const char *at, const char *client_at, unsigned num)
{
    world w = { .num = num };
    for (unsigned i = 0; i < num; i++) {
        if (i == 0) w.workers[i] = open_at(at);
        else assert_ok(nacre_udp_open_beside(&w.workers[i], w.workers[0], NULL));
        assert_true(nacre__udp_open_lane(w.workers[i], i == 0 ? NULL : w.workers[0], num));
    }
    w.client = open_at(client_at);
    return w;
}

static void world_close(const world *w)
{
    nacre_udp_close(w->client);
    for (unsigned i = w->num; i > 0; i--) nacre_udp_close(w->workers[i - 1]);
}

static nacre_address with_port(const char *text, const nacre_udp *udp)
{
    nacre_address address;
    const nacre_address local = nacre_udp_local(udp);
    assert_ok(nacre_address_resolve(&address, text, 0, NULL));
    memcpy(address.bytes + 1, local.bytes + 1, 2);
    return address;
}

static void send_text(nacre_udp *udp, const nacre_address *to, const char *text)
{
    const nacre_outgoing out = { .peer = *to, .bytes = { (const uint8_t *)text, strlen(text) } };
    nacre__udp_send(udp, &out, 1);
}

/* The number of datagrams at `udp`, and the peer of the last. */
static size_t received(nacre_udp *udp, nacre_address *peer)
{
    uint8_t memory[STRIDE * 4];
    nacre_datagram in[4];
    size_t num;
    const nacre__udp_buffers buffers = { memory, STRIDE, 4 };
    assert_ok(nacre__udp_receive(udp, in, &num, &buffers));
    if (num > 0 && peer != NULL) *peer = in[num - 1].peer;
    return num;
}

/* Sends one datagram; returns the index of the socket it arrives at: 2 * w, or 2 * w + 1 for a lane. */
static unsigned choice(const world *w, const nacre_address *to, nacre_address *peer)
{
    send_text(w->client, to, "a datagram");
    unsigned at = 2 * w->num, sum = 0;
    for (int tries = 0; tries < 200 && sum == 0; tries++) {
        for (unsigned i = 0; i < 2 * w->num; i++) {
            nacre_udp *udp = i % 2 == 0 ? w->workers[i / 2] : w->workers[i / 2]->lane;
            const unsigned num = (unsigned)received(udp, peer);
            if (num > 0) at = i;
            sum += num;
        }
        if (sum == 0) (void)poll(NULL, 0, 5);
    }
    assert_int_equal(sum, 1);
    return at;
}

static uint32_t hash_of(const world *w, const nacre_address *peer)
{
    unsigned num_workers;
    const nacre__lane_key *key = nacre__udp_lane_key(w->workers[0], &num_workers);
    assert_int_equal(num_workers, w->num);
    return nacre__lane_hash(key, peer);
}

static void assert_lane_takes_listed_peer(const char *at, const char *client_at, const char *to_text)
{
    const world w = world_open(at, client_at, 1);
    const nacre_address to = with_port(to_text, w.workers[0]);
    static uint32_t hashes[NACRE__LANE_PEERS];
    static const size_t sizes[] = { 1, 2, 8, 9, 100, NACRE__LANE_PEERS };
    nacre_address peer = { 0 };
    uint64_t chance = 7;
    assert_int_equal(choice(&w, &to, &peer), 0);
    const uint32_t hash = hash_of(&w, &peer);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (size_t k = 0; k < sizes[i]; k++) hashes[k] = (uint32_t)test_random(&chance);
        nacre__udp_list(w.workers[0], hashes, sizes[i]);
        assert_int_equal(choice(&w, &to, &peer), 0); /* the others do not hit it */
        hashes[sizes[i] / 2] = hash;
        nacre__udp_list(w.workers[0], hashes, sizes[i]);
        assert_int_equal(choice(&w, &to, &peer), 1);
        hashes[sizes[i] / 2] = hash ^ 1;
        nacre__udp_list(w.workers[0], hashes, sizes[i]);
        assert_int_equal(choice(&w, &to, &peer), 0);
    }
    nacre__udp_list(w.workers[0], NULL, 0);
    assert_int_equal(choice(&w, &to, &peer), 0);
    world_close(&w);
}

static void lane_receives_from_a_listed_ipv4_peer(void **state)
{
    (void)state;
    assert_lane_takes_listed_peer("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1");
}

static void lane_receives_from_a_listed_ipv6_peer(void **state)
{
    (void)state;
    assert_lane_takes_listed_peer("[::1]:0", "[::1]:0", "[::1]");
}

static void lane_of_a_dual_stack_socket_receives_from_listed_peers_of_both_families(void **state)
{
    (void)state;
    assert_lane_takes_listed_peer("[::]:0", "127.0.0.1:0", "127.0.0.1");
    assert_lane_takes_listed_peer("[::]:0", "[::1]:0", "[::1]");
}

static void peer_has_the_same_worker_whether_listed_or_not(void **state)
{
    (void)state;
    world w = world_open("127.0.0.1:0", "127.0.0.1:0", MAX_WORKERS);
    const nacre_address to = with_port("127.0.0.1", w.workers[0]);
    unsigned seen[MAX_WORKERS] = { 0 };
    for (int i = 0; i < 64; i++) {
        nacre_address peer = { 0 };
        const unsigned at = choice(&w, &to, &peer);
        const uint32_t hash = hash_of(&w, &peer);
        assert_int_equal(at % 2, 0);
        assert_int_equal(at / 2, hash % MAX_WORKERS);
        nacre__udp_list(w.workers[at / 2], &hash, 1);
        assert_int_equal(choice(&w, &to, &peer), at + 1);
        nacre__udp_list(w.workers[at / 2], NULL, 0);
        seen[at / 2]++;
        nacre_udp_close(w.client);
        w.client = open_at("127.0.0.1:0");
    }
    for (unsigned i = 0; i < MAX_WORKERS; i++) assert_true(seen[i] > 0);
    world_close(&w);
}

static void response_leaves_from_the_address_that_a_lane_received_at(void **state)
{
    (void)state;
    const world w = world_open("[::]:0", "127.0.0.1:0", 1);
    const nacre_address to = with_port("127.0.0.9", w.workers[0]);
    nacre_address peer = { 0 }, from = { 0 };
    (void)choice(&w, &to, &peer);
    const uint32_t hash = hash_of(&w, &peer);
    nacre__udp_list(w.workers[0], &hash, 1);
    const nacre_address other = with_port("127.0.0.8", w.workers[0]);
    assert_int_equal(choice(&w, &other, &peer), 1);
    send_text(w.workers[0], &peer, "a response");
    for (int tries = 0; tries < 200 && received(w.client, &from) == 0; tries++) (void)poll(NULL, 0, 5);
    assert_true(nacre_address_equal(&from, &other));
    world_close(&w);
}

static void a_port_with_a_lane_is_not_shared_with_another_server(void **state)
{
    (void)state;
    const world w = world_open("127.0.0.1:0", "127.0.0.1:0", 1);
    const nacre_address local = nacre_udp_local(w.workers[0]);
    nacre_udp *second;
    assert_err(nacre_udp_open(&second, &local, NULL), NACRE_ERR_ADDRESS);
    world_close(&w);
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
        TEST(lane_receives_from_a_listed_ipv4_peer),
        TEST(lane_receives_from_a_listed_ipv6_peer),
        TEST(lane_of_a_dual_stack_socket_receives_from_listed_peers_of_both_families),
        TEST(peer_has_the_same_worker_whether_listed_or_not),
        TEST(response_leaves_from_the_address_that_a_lane_received_at),
        TEST(a_port_with_a_lane_is_not_shared_with_another_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
