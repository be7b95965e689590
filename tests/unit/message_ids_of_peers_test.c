/* SPDX-License-Identifier: MIT */
/* message_ids_of_peers_test: message IDs count for each peer separately, from a start that cannot be told from another
 * peer's (RFC 7252 4.4, 11.4). */
#include "../scenario/world.h"

static uint16_t mid_for(party *p, const nacre_address *peer)
{
    const nacre_message get = get_request(NACRE_NON);
    nacre_exchange exchange;
    datagram d;
    assert_int_equal(nacre_endpoint_request(p->ep, &exchange, peer, NULL, &get, NULL), NACRE_OK);
    assert_true(party_take(p, &d, 0));
    nacre_endpoint_cancel(p->ep, exchange);
    return datagram_message(&d).mid;
}

/* Messages to other peers do not move a peer's count, except for the few that share its bucket. */
static void message_ids_count_for_each_peer_separately(void **state)
{
    (void)state;
    party p;
    party_open(&p, "us", 5, NULL);
    enum { PEERS = 64 };
    nacre_address peers[PEERS];
    uint16_t first[PEERS];
    for (int i = 0; i < PEERS; i++) {
        char name[8];
        snprintf(name, sizeof name, "peer%d", i);
        peers[i] = address_named(name);
        first[i] = mid_for(&p, &peers[i]);
    }
    unsigned near = 0, shared = 0;
    for (int i = 0; i < PEERS; i++) {
        const uint16_t next = mid_for(&p, &peers[i]);
        shared += next != (uint16_t)(first[i] + 1);
        for (int k = 0; k < i; k++) near += (uint16_t)(first[i] - first[k] + 16) < 32;
    }
    print_message("  %u of %d peers share a count, %u pairs of starts lie near each other\n", shared, PEERS, near);
    assert_true(shared <= 24);
    assert_true(near <= 24); /* of 2016 pairs; with one shared counter it would be all of them */
    party_close(&p);
}

/* RFC 7252 11.4: the message IDs that one peer sees do not reveal those of another, not even where both share a
 * count. */
static void one_peers_numbers_do_not_tell_anothers(void **state)
{
    (void)state;
    enum { PEERS = 1600 };
    party p;
    party_open(&p, "us", 7, NULL);
    unsigned sharing = 0, near = 0;
    nacre_address peers[PEERS];
    uint16_t before[PEERS];
    for (int i = 0; i < PEERS; i++) {
        char name[8];
        snprintf(name, sizeof name, "p%d", i);
        peers[i] = address_named(name);
    }
    for (int i = 0; i < PEERS; i++) { /* peers that share a count with the first one move it */
        const uint16_t first = mid_for(&p, &peers[0]);
        before[i] = mid_for(&p, &peers[i]);
        const uint16_t moved = (uint16_t)(mid_for(&p, &peers[0]) - first);
        if (i == 0 || moved != 2) continue;
        sharing++;
        near += (uint16_t)(before[i] - first + 256) < 512;
    }
    print_message("  %u peers share the first one's count, %u have numbers near its own\n", sharing, near);
    assert_true(sharing > 0);
    assert_int_equal(near, 0);
    party_close(&p);
}

/* RFC 7252 4.4: a message ID is not reused before 65536 others, nor while it is in flight. */
static void message_ids_repeat_only_after_65536(void **state)
{
    (void)state;
    party p;
    party_open(&p, "us", 6, NULL);
    const nacre_address peer = address_named("peer");
    static bool seen[65536];
    memset(seen, 0, sizeof seen);
    const nacre_message get = get_request(NACRE_CON);
    nacre_exchange exchange;
    datagram d;
    assert_int_equal(nacre_endpoint_request(p.ep, &exchange, &peer, NULL, &get, NULL), NACRE_OK);
    assert_true(party_take(&p, &d, 0));
    const uint16_t in_flight = datagram_message(&d).mid;
    for (int i = 0; i < 65535; i++) {
        const uint16_t mid = mid_for(&p, &peer);
        assert_false(seen[mid]);
        assert_int_not_equal(mid, in_flight);
        seen[mid] = true;
    }
    assert_int_not_equal(mid_for(&p, &peer), in_flight);
    party_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_ids_count_for_each_peer_separately),
        cmocka_unit_test(one_peers_numbers_do_not_tell_anothers),
        cmocka_unit_test(message_ids_repeat_only_after_65536),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
