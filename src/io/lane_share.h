/* SPDX-License-Identifier: MIT */
/* lane_share: limits the processor time of messages that do not verify. Once they take more than an eighth of a core, the lanes
 * are apart: datagrams of verified peers are received first, and after each burst of other datagrams the first socket is not read
 * for seven times the processor time that the unverified part of that burst took. While no verified peer sends there is no
 * pause. Times are in us: of a monotonic clock (`now_us`), and processor time of the thread (`cpu_us`). */
#ifndef NACRE_IO_LANE_SHARE_H
#define NACRE_IO_LANE_SHARE_H

#include <nacre/base.h>

typedef struct nacre__lane_share {
    bool is_apart;
    unsigned num_over; /* consecutive windows in which unverified messages took more than their share */
    /* the current window: its start, the thread's processor time then, and what was received since */
    uint64_t began_us, began_cpu_us, num, num_verified;
    uint64_t last_flood_us; /* end of the last window in which unverified messages took more than half of their share */
    uint64_t last_lane_us;  /* when the last message that verified arrived by the lane */
    uint64_t paused_until_us; /* until then the first socket is not read */
    uint64_t each_us;         /* processor time per datagram of the last burst from the first socket */
} nacre__lane_share;

enum { NACRE__LANE_WINDOW_US = 10000 };

/* nacre__lane_share_due: true when the window has ended; then call nacre__lane_share_decide, which sets is_apart and begins the
 * next one. `may_part`: there are verified peers; without them the lanes stay together. */
static inline bool nacre__lane_share_due(const nacre__lane_share *s, uint64_t now_us)
{
    return now_us - s->began_us >= NACRE__LANE_WINDOW_US;
}
void nacre__lane_share_decide(nacre__lane_share *s, bool may_part, uint64_t now_us, uint64_t cpu_us);

/* nacre__lane_share_burst: how many datagrams are received from the first socket at a time while the lanes are apart: as many as
 * take a few milliseconds. */
size_t nacre__lane_share_burst(const nacre__lane_share *s);

/* nacre__lane_share_charge: a burst of `num` datagrams from the first socket, of which `num_verified` verified, took `took_us` of
 * processor time. Sets paused_until_us. */
void nacre__lane_share_charge(nacre__lane_share *s, size_t num, size_t num_verified, uint64_t took_us, uint64_t now_us);

#endif
