/* SPDX-License-Identifier: MIT */
/* lane_peers: the peers that verified most recently, in sets of four by hash; the longest silent one is evicted. */
#ifndef NACRE_IO_LANE_PEERS_H
#define NACRE_IO_LANE_PEERS_H

#include "io/lane_program.h"

enum { NACRE__LANE_WAYS = 4, NACRE__LANE_SETS = NACRE__LANE_PEERS / NACRE__LANE_WAYS };

/* All that each verified message reads and writes: half a cache line. */
typedef struct nacre__lane_set {
    uint32_t hash[NACRE__LANE_WAYS];
    uint32_t when[NACRE__LANE_WAYS]; /* last verified: the low bits of ms; 0: a free entry */
} nacre__lane_set;

/* Datagrams with a forged source, or from a source with the same hash, use the lane too: what does not verify is counted. */
typedef struct nacre__lane_work {
    uint32_t work;         /* since `since`, less what verified messages allow */
    uint64_t since;        /* ms */
    uint64_t barred_until; /* ms; 0: it is not */
} nacre__lane_work;

typedef struct nacre__lane_peers {
    nacre__lane_key key;
    uint32_t num_workers, num_sets;
    uint64_t last_ms; /* when any peer verified last */
    bool has_changed; /* peers were added, evicted or barred since the caller cleared it */
    bool counts_work; /* the lane is in use */
    nacre__lane_set sets[NACRE__LANE_SETS];
    nacre__lane_work work[NACRE__LANE_SETS][NACRE__LANE_WAYS];
} nacre__lane_peers;

/* nacre__lane_peers_init: for one of `num_workers`, each of which keeps its part of NACRE__LANE_PEERS. */
void nacre__lane_peers_init(nacre__lane_peers *peers, const nacre__lane_key *key, unsigned num_workers);

/* nacre__lane_peers_verified: a message from `address` has verified. `now_ms` is not 0. */
void nacre__lane_peers_verified(nacre__lane_peers *peers, const nacre_address *address, uint64_t now_ms);

/* nacre__lane_peers_admit: a datagram of `len` bytes came by the lane. False: its peer is barred; drop it. A peer is barred for ten
 * seconds once its datagrams of one second exceed three for each verified message and 64 more (ACK and RST count an eighth). */
bool nacre__lane_peers_admit(nacre__lane_peers *peers, const nacre_address *address, size_t len, uint64_t now_ms);

/* nacre__lane_peers_list: hashes of all that are not barred; `hashes` has NACRE__LANE_PEERS entries. Returns their number. */
size_t nacre__lane_peers_list(const nacre__lane_peers *peers, uint32_t *hashes);

#endif
