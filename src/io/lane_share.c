/* SPDX-License-Identifier: MIT */
/* lane_share: see lane_share.h. */
#include "io/lane_share.h"

enum {
    SHARE = 8, /* one part in eight */
    FLOOD_WINDOWS =
        3, /* in a row part the lanes: not one, because new peers verify only once their windows are stored */
    QUIET_US = 2000000,   /* without a flood, before the lanes join */
    ACTIVE_US = 20000,    /* others pause only if a verified peer has sent within that time */
    OTHERS_BURST = 32,    /* smaller bursts cost more per datagram */
    BURST_US = 4000,      /* the time a verified peer waits for a burst of others */
    MAX_PAUSE_US = 50000, /* however long a burst took, so that newcomers are received */
};

void nacre__lane_share_decide(nacre__lane_share *s, bool may_part, uint64_t now_us, uint64_t cpu_us)
{
    const uint64_t wall_us = now_us - s->began_us, took_us = cpu_us - s->began_cpu_us;
    const uint64_t unverified_us = s->num > 0 ? took_us * (s->num - s->num_verified) / s->num : 0;
    const bool is_over = unverified_us > wall_us / SHARE;
    s->num_over = is_over ? s->num_over + 1 : 0;
    if (s->num_over >= FLOOD_WINDOWS) s->is_apart = may_part;
    if (unverified_us > wall_us / SHARE / 2) s->last_flood_us = now_us;
    if (now_us - s->last_flood_us > QUIET_US) s->is_apart = false;
    s->began_us = now_us;
    s->began_cpu_us = cpu_us;
    s->num = s->num_verified = 0;
}

size_t nacre__lane_share_burst(const nacre__lane_share *s)
{
    if (s->each_us <= BURST_US / OTHERS_BURST) return OTHERS_BURST;
    return s->each_us < BURST_US ? (size_t)(BURST_US / s->each_us) : 1;
}

void nacre__lane_share_charge(nacre__lane_share *s, size_t num, size_t num_verified, uint64_t took_us, uint64_t now_us)
{
    if (num == 0) return;
    s->each_us = took_us / num;
    if (now_us - s->last_lane_us > ACTIVE_US) return;
    const uint64_t pause_us = took_us * (SHARE - 1) * (num - num_verified) / num;
    s->paused_until_us = now_us + (pause_us < MAX_PAUSE_US ? pause_us : MAX_PAUSE_US);
}
