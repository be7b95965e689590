/* SPDX-License-Identifier: MIT */
/* lane_share: see lane_share.h. */
#include "io/lane_share.h"

enum {
    SHARE = 8,             /* one part in eight */
    LONGEST_US = 20000,    /* a longer window has idle time before its traffic, and decides nothing */
    LOUD_WINDOWS = 3,      /* in a row: the lanes part. New peers verify late, after their windows were stored */
    QUIET_US = 2000000,    /* the lanes join after that */
    ACTIVE_US = 20000,     /* a verified peer has sent within that */
    MOST_PAUSE_US = 50000, /* after one burst, however long it took: newcomers get in */
};

void nacre__lane_share_decide(nacre__lane_share *s, bool may_part, uint64_t now_us, uint64_t cpu_us)
{
    const uint64_t wall_us = now_us - s->began_us, took_us = cpu_us - s->began_cpu_us;
    const uint64_t unverified_us = s->num > 0 ? took_us * (s->num - s->num_verified) / s->num : 0;
    const bool is_loud = wall_us <= LONGEST_US && unverified_us > wall_us / SHARE;
    s->num_loud = is_loud ? s->num_loud + 1 : 0;
    if (s->num_loud >= LOUD_WINDOWS) s->is_apart = may_part;
    if (wall_us <= LONGEST_US && unverified_us > wall_us / SHARE / 2) s->last_loud_us = now_us;
    if (now_us - s->last_loud_us > QUIET_US) s->is_apart = false;
    s->began_us = now_us;
    s->began_cpu_us = cpu_us;
    s->num = s->num_verified = 0;
}

void nacre__lane_share_charge(nacre__lane_share *s, size_t num, size_t num_verified, uint64_t took_us, uint64_t now_us)
{
    if (num == 0 || now_us - s->last_lane_us > ACTIVE_US) return;
    const uint64_t pause_us = took_us * (SHARE - 1) * (num - num_verified) / num;
    s->paused_until_us = now_us + (pause_us < MOST_PAUSE_US ? pause_us : MOST_PAUSE_US);
}
