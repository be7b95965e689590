/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* lane_peers_test: which peers are listed for the lane, and which of them are barred. */
#include "io/lane_peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const nacre__lane_key key = { 0x12345678, 0x9e3779b1, 0x85ebca6b };

static nacre_address peer_at(uint32_t i)
{
    nacre_address peer = { .len = 7, .bytes = { 4, 0x16, 0x33, 10 } };
    peer.bytes[4] = (uint8_t)(i >> 16);
    peer.bytes[5] = (uint8_t)(i >> 8);
    peer.bytes[6] = (uint8_t)i;
    return peer;
}

static nacre__lane_peers *peers_of(unsigned num_workers)
{
    nacre__lane_peers *peers = malloc(sizeof *peers);
    assert_non_null(peers);
    nacre__lane_peers_init(peers, &key, num_workers);
    peers->counts_work = true;
    return peers;
}

static bool is_listed(nacre__lane_peers *peers, const nacre_address *peer)
{
    static uint32_t hashes[NACRE__LANE_PEERS];
    const size_t num = nacre__lane_peers_list(peers, hashes);
    for (size_t i = 0; i < num; i++)
        if (hashes[i] == nacre__lane_hash(&key, peer)) return true;
    return false;
}

static void verified_peer_is_listed(void **state)
{
    (void)state;
    nacre__lane_peers *peers = peers_of(1);
    const nacre_address one = peer_at(1), other = peer_at(2);
    nacre__lane_peers_verified(peers, &one, 1000);
    assert_true(peers->has_changed);
    assert_true(is_listed(peers, &one));
    assert_false(is_listed(peers, &other));
    peers->has_changed = false;
    nacre__lane_peers_verified(peers, &one, 2000); /* again: the list stays */
    assert_false(peers->has_changed);
    free(peers);
}

static void longest_silent_peer_is_evicted(void **state)
{
    (void)state;
    static uint32_t hashes[NACRE__LANE_PEERS];
    nacre__lane_peers *peers = peers_of(4);
    const nacre_address first = peer_at(0);
    nacre__lane_peers_verified(peers, &first, 1);
    for (uint32_t i = 1; i < 100000; i++) {
        const nacre_address next = peer_at(i);
        nacre__lane_peers_verified(peers, &next, 1 + i);
        assert_true(is_listed(peers, &next) || i % 1000 != 0);
    }
    assert_false(is_listed(peers, &first));
    assert_int_equal(nacre__lane_peers_list(peers, hashes),
                     NACRE__LANE_PEERS / 4); /* the part of one of four workers */
    free(peers);
}

/* Datagrams of `len` bytes that are admitted at `now_ms`, of `num`. */
static unsigned admitted(nacre__lane_peers *peers, const nacre_address *peer, size_t len, unsigned num, uint64_t now_ms)
{
    unsigned n = 0;
    for (unsigned i = 0; i < num; i++) n += nacre__lane_peers_admit(peers, peer, len, now_ms);
    return n;
}

static void forged_source_is_barred_and_no_other_peer(void **state)
{
    (void)state;
    nacre__lane_peers *peers = peers_of(1);
    const nacre_address victim = peer_at(1), other = peer_at(2);
    nacre__lane_peers_verified(peers, &victim, 1000);
    nacre__lane_peers_verified(peers, &other, 1000);
    peers->has_changed = false;
    assert_int_equal(admitted(peers, &victim, 40, 64, 1000), 64);
    assert_false(peers->has_changed);
    assert_int_equal(admitted(peers, &victim, 40, 1000, 1001), 0);
    assert_true(peers->has_changed);
    assert_false(is_listed(peers, &victim));
    assert_true(is_listed(peers, &other));
    assert_int_equal(admitted(peers, &other, 40, 64, 1001), 64);
    free(peers);
}

static void barred_peer_returns_with_a_verified_message_after_ten_seconds(void **state)
{
    (void)state;
    nacre__lane_peers *peers = peers_of(1);
    const nacre_address victim = peer_at(1);
    nacre__lane_peers_verified(peers, &victim, 1000);
    assert_int_equal(admitted(peers, &victim, 40, 100, 1000), 64);
    nacre__lane_peers_verified(peers, &victim, 10999);
    assert_false(is_listed(peers, &victim));
    peers->has_changed = false;
    nacre__lane_peers_verified(peers, &victim, 11000);
    assert_true(is_listed(peers, &victim));
    assert_true(peers->has_changed);
    free(peers);
}

static void barred_peer_is_listed_in_the_next_flood_if_it_verified_before(void **state)
{
    (void)state;
    nacre__lane_peers *peers = peers_of(1);
    const nacre_address active = peer_at(1), silent = peer_at(2);
    nacre__lane_peers_verified(peers, &active, 1000);
    nacre__lane_peers_verified(peers, &silent, 1000);
    assert_int_equal(admitted(peers, &active, 40, 100, 1000), 64);
    assert_int_equal(admitted(peers, &silent, 40, 100, 1000), 64);
    peers->counts_work = false; /* the flood ends */
    nacre__lane_peers_verified(peers, &active, 9000);
    assert_false(is_listed(peers, &active));
    nacre__lane_peers_verified(peers, &active, 20000);
    nacre__lane_peers_verified(peers, &silent, 9000);
    assert_true(is_listed(peers, &active));
    assert_false(is_listed(peers, &silent));
    peers->counts_work = true; /* the next one */
    assert_int_equal(admitted(peers, &active, 40, 64, 20001), 64);
    assert_int_equal(admitted(peers, &silent, 40, 64, 20001), 0);
    free(peers);
}

static void verified_messages_allow_their_retransmissions(void **state)
{
    (void)state;
    nacre__lane_peers *peers = peers_of(1);
    const nacre_address peer = peer_at(1);
    nacre__lane_peers_verified(peers, &peer, 1000);
    for (int i = 0; i < 10000; i++) { /* within one second: each three times */
        assert_int_equal(admitted(peers, &peer, 40, 3, 1000), 3);
        nacre__lane_peers_verified(peers, &peer, 1000);
    }
    for (int i = 0; i < 60; i++) { /* each five times */
        if (admitted(peers, &peer, 40, 5, 1000) < 5) break;
        nacre__lane_peers_verified(peers, &peer, 1000);
    }
    assert_false(is_listed(peers, &peer));
    free(peers);
}

static void acknowledgements_of_an_observer_are_not_a_flood(void **state)
{
    (void)state;
    nacre__lane_peers *peers = peers_of(1);
    const nacre_address observer = peer_at(1);
    nacre__lane_peers_verified(peers, &observer, 1000);
    for (uint64_t second = 1; second <= 60; second++)
        assert_int_equal(admitted(peers, &observer, 4, 500, 1000 * second), 500);
    assert_int_equal(admitted(peers, &observer, 4, 1000, 61000), 512);
    free(peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verified_peer_is_listed),
        cmocka_unit_test(longest_silent_peer_is_evicted),
        cmocka_unit_test(forged_source_is_barred_and_no_other_peer),
        cmocka_unit_test(barred_peer_returns_with_a_verified_message_after_ten_seconds),
        cmocka_unit_test(barred_peer_is_listed_in_the_next_flood_if_it_verified_before),
        cmocka_unit_test(verified_messages_allow_their_retransmissions),
        cmocka_unit_test(acknowledgements_of_an_observer_are_not_a_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
