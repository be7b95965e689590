/* SPDX-License-Identifier: MIT */
/* lane_share: the share of processor time of messages that do not verify. Once they take more than an eighth of a core the lanes
 * are apart: datagrams of verified peers are taken first, and after each burst of others these pause for seven times the
 * processor time that its unverified part took. They do not pause while no verified peer sends. */
#ifndef NACRE_IO_LANE_SHARE_H
#define NACRE_IO_LANE_SHARE_H

#include <nacre/base.h>

typedef struct nacre__lane_share {
    bool is_apart;
    unsigned num_loud; /* consecutive windows in which what did not verify took more than its share */
    /* the current window: its start, the thread's processor time then, and what was received since */
    uint64_t began_us, began_cpu_us, num, num_verified;
    uint64_t last_loud_us;    /* end of the last window in which what did not verify took more than half of its share */
    uint64_t last_lane_us;    /* a datagram came by the lane */
    uint64_t paused_until_us; /* others are not received before that */
} nacre__lane_share;

/* nacre__lane_share_due: a window has ended: call nacre__lane_share_decide, which sets is_apart. `may_part`: there are verified
 * peers. Times are of a monotonic clock, and processor time of the thread. */
static inline bool nacre__lane_share_due(const nacre__lane_share *s, uint64_t now_us)
{
    enum { WINDOW_US = 10000 };
    return now_us - s->began_us >= WINDOW_US;
}
void nacre__lane_share_decide(nacre__lane_share *s, bool may_part, uint64_t now_us, uint64_t cpu_us);

/* nacre__lane_share_charge: a burst of others took `took_us` of processor time. */
void nacre__lane_share_charge(nacre__lane_share *s, size_t num, size_t num_verified, uint64_t took_us, uint64_t now_us);

#endif
