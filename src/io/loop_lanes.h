/* SPDX-License-Identifier: MIT */
/* loop_lanes: while messages that do not verify take more than their share of processor time (lane_share.h), a loop receives the
 * datagrams of verified peers before all others. `lanes` may be NULL in all functions: there is no lane. */
#ifndef NACRE_IO_LOOP_LANES_H
#define NACRE_IO_LOOP_LANES_H

#include "io/lane_peers.h"
#include "io/lane_share.h"
#include "io/udp_internal.h"

#include <poll.h>

typedef struct nacre__lanes {
    nacre_udp *udp; /* the first socket, which has the lane */
    nacre__lane_share share;
    nacre__lane_peers peers;
    uint32_t hashes[NACRE__LANE_PEERS];
    uint64_t listed_ms;
    bool is_listed;
    uint64_t num_verified; /* not yet counted in `share` */
    /* of the current burst */
    bool by_lane;
    uint64_t now_ms, began_cpu_us;
} nacre__lanes;

/* nacre__lanes_open returns NULL if the socket has no lane, or out of memory. `udp` must outlive the result. */
nacre__lanes *nacre__lanes_open(nacre_udp *udp);
void nacre__lanes_close(nacre__lanes *lanes);

/* nacre__lanes_verified: a message from `peer` has verified, so it is among the peers to be listed. */
void nacre__lanes_verified(nacre__lanes *lanes, const nacre_address *peer);

/* Around each burst, in this order:
 * nacre__lanes_begin returns how many datagrams to receive from `udp`, the first socket or the lane: at most `burst`.
 * nacre__lanes_admit removes the datagrams of barred peers from `in` and returns how many are left.
 * nacre__lanes_end: these were processed. */
size_t nacre__lanes_begin(nacre__lanes *lanes, const nacre_udp *udp, size_t burst);
size_t nacre__lanes_admit(nacre__lanes *lanes, nacre_datagram *in, size_t num);
void nacre__lanes_end(nacre__lanes *lanes, size_t num);

bool nacre__lanes_are_apart(const nacre__lanes *lanes);

/* nacre__lanes_pause_us: for how many us from now the first socket is not to be read; 0: it may be read. */
uint64_t nacre__lanes_pause_us(const nacre__lanes *lanes);

/* nacre__lanes_poll: as poll(2), but waits no longer than `pause_us` if that is not 0. */
int nacre__lanes_poll(struct pollfd *fds, nfds_t num, int wait_ms, uint64_t pause_us);

#endif
