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

/* Datagrams with a forged source, or from another source with the same hash, arrive by the lane too. Work is counted so that they
 * do not keep it busy: in eighths of a datagram, less what verified messages allow. */
typedef struct nacre__lane_work {
    uint32_t work;         /* since `since` */
    uint64_t since;        /* ms */
    uint64_t barred_until; /* ms; 0: not barred */
} nacre__lane_work;

typedef struct nacre__lane_peers {
    nacre__lane_key key;
    uint32_t num_workers, num_sets;
    uint64_t last_ms; /* when a message of any peer verified last */
    bool has_changed; /* peers were added, evicted or barred since the caller cleared it */
    bool counts_work; /* set by the caller while the lane is in use */
    nacre__lane_set sets[NACRE__LANE_SETS];
    nacre__lane_work work[NACRE__LANE_SETS][NACRE__LANE_WAYS];
} nacre__lane_peers;

/* nacre__lane_peers_init: for one of `num_workers` workers (1 to 64), each of which keeps its part of NACRE__LANE_PEERS. */
void nacre__lane_peers_init(nacre__lane_peers *peers, const nacre__lane_key *key, unsigned num_workers);

/* nacre__lane_peers_verified: a message from `address` has verified. `now_ms` is not 0. */
void nacre__lane_peers_verified(nacre__lane_peers *peers, const nacre_address *address, uint64_t now_ms);

/* nacre__lane_peers_admit: a datagram of `len` bytes arrived by the lane. False: its peer is barred; drop it. A peer is barred for
 * ten seconds when in one second it sends more than 64 datagrams beyond three for each verified message (an ACK or RST counts an
 * eighth); it is listed again with its next verified message after that. */
bool nacre__lane_peers_admit(nacre__lane_peers *peers, const nacre_address *address, size_t len, uint64_t now_ms);

/* nacre__lane_peers_list writes the hashes of all peers that are not barred to `hashes`, which has NACRE__LANE_PEERS entries, and
 * returns their number. */
size_t nacre__lane_peers_list(nacre__lane_peers *peers, uint32_t *hashes);

#endif
