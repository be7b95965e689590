/* SPDX-License-Identifier: MIT */
/* loop_lanes: see loop_lanes.h. */
#include "io/loop_lanes.h"

#include <nacre/system.h>

#include <stdlib.h>
#include <time.h>

enum {
    LIST_MS = 250,       /* minimum time between two changes of the list, which take up to half a millisecond */
    PEERS_MS = 86400000, /* without a verified message for a day there are no verified peers; many send once an hour */
    WINDOW_MS = NACRE__LANE_WINDOW_US / 1000,
    FEW = 64, /* a window with fewer datagrams goes on */
};

static uint64_t us_of(clockid_t clock)
{
    struct timespec t = { 0 };
    (void)clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

nacre__lanes *nacre__lanes_open(nacre_udp *udp)
{
    nacre__lanes *lanes = udp->lane != NULL ? calloc(1, sizeof *lanes) : NULL;
    if (lanes == NULL) return NULL;
    unsigned num_workers = 1;
    const nacre__lane_key *key = nacre__udp_lane_key(udp, &num_workers);
    lanes->udp = udp;
    nacre__lane_peers_init(&lanes->peers, key, num_workers);
    return lanes;
}

void nacre__lanes_close(nacre__lanes *lanes)
{
    free(lanes);
}

void nacre__lanes_verified(nacre__lanes *lanes, const nacre_address *peer)
{
    if (lanes == NULL) return;
    if (lanes->now_ms == 0) lanes->now_ms = nacre_clock_ms();
    lanes->num_verified++;
    nacre__lane_peers_verified(&lanes->peers, peer, lanes->now_ms);
}

bool nacre__lanes_are_apart(const nacre__lanes *lanes)
{
    return lanes != NULL && lanes->share.is_apart;
}

uint64_t nacre__lanes_pause_us(const nacre__lanes *lanes)
{
    if (!nacre__lanes_are_apart(lanes)) return 0;
    const uint64_t now_us = us_of(CLOCK_MONOTONIC), until_us = lanes->share.paused_until_us;
    return until_us > now_us ? until_us - now_us : 0;
}

/* ---- One burst -------------------------------------------------------------------------------------------------------- */

size_t nacre__lanes_begin(nacre__lanes *lanes, const nacre_udp *udp, size_t burst)
{
    if (lanes == NULL) return burst;
    lanes->by_lane = udp != lanes->udp;
    lanes->now_ms = 0;
    if (!lanes->share.is_apart || lanes->by_lane) return burst;
    lanes->began_cpu_us = us_of(CLOCK_THREAD_CPUTIME_ID);
    const size_t most = nacre__lane_share_burst(&lanes->share);
    return burst < most ? burst : most;
}

size_t nacre__lanes_admit(nacre__lanes *lanes, nacre_datagram *in, size_t num)
{
    if (lanes == NULL || !lanes->by_lane || num == 0) return num;
    size_t kept = 0;
    lanes->now_ms = nacre_clock_ms();
    for (size_t i = 0; i < num; i++)
        if (nacre__lane_peers_admit(&lanes->peers, &in[i].peer, in[i].bytes.len, lanes->now_ms)) in[kept++] = in[i];
    return kept;
}

/* The list is empty while the lanes are together: all datagrams arrive at the first socket, and one call receives them. */
static void list(nacre__lanes *lanes)
{
    const bool is_apart = lanes->share.is_apart;
    if (is_apart == lanes->is_listed && (!is_apart || !lanes->peers.has_changed)) return;
    const uint64_t now_ms = nacre_clock_ms();
    if (is_apart == lanes->is_listed && now_ms - lanes->listed_ms < LIST_MS) return;
    lanes->is_listed = lanes->peers.counts_work = is_apart;
    lanes->listed_ms = now_ms;
    lanes->peers.has_changed = false;
    nacre__udp_list(lanes->udp, lanes->hashes, is_apart ? nacre__lane_peers_list(&lanes->peers, lanes->hashes) : 0);
}

static void decide(nacre__lanes *lanes)
{
    nacre__lane_share *share = &lanes->share;
    if (share->num < FEW) return;
    if (lanes->now_ms > 0 && lanes->now_ms < share->began_us / 1000 + WINDOW_MS)
        return; /* saves a clock call per burst */
    const uint64_t now_us = us_of(CLOCK_MONOTONIC);
    if (!nacre__lane_share_due(share, now_us)) return;
    const bool has_peers = lanes->peers.last_ms > 0 && now_us / 1000 - lanes->peers.last_ms < PEERS_MS;
    nacre__lane_share_decide(share, has_peers, now_us, us_of(CLOCK_THREAD_CPUTIME_ID));
}

static void count(nacre__lanes *lanes, size_t num)
{
    const size_t num_verified = lanes->num_verified < num ? (size_t)lanes->num_verified : num;
    lanes->num_verified -= num_verified; /* a message may verify after its burst, once its window is stored */
    if (lanes->by_lane && num_verified > 0) lanes->share.last_lane_us = us_of(CLOCK_MONOTONIC);
    if (lanes->share.is_apart && !lanes->by_lane)
        nacre__lane_share_charge(&lanes->share, num, num_verified, us_of(CLOCK_THREAD_CPUTIME_ID) - lanes->began_cpu_us,
                                 us_of(CLOCK_MONOTONIC));
    lanes->share.num += num;
    lanes->share.num_verified += num_verified;
    decide(lanes);
}

void nacre__lanes_end(nacre__lanes *lanes, size_t num)
{
    if (lanes == NULL) return;
    if (num > 0) count(lanes, num);
    list(lanes); /* also if all were dropped: their peer is to leave the list */
}

/* ---- Waiting ---------------------------------------------------------------------------------------------------------- */

int nacre__lanes_poll(struct pollfd *fds, nfds_t num, int wait_ms, uint64_t pause_us)
{
    if (pause_us == 0 || (uint64_t)wait_ms * 1000 <= pause_us) return poll(fds, num, wait_ms);
#ifdef __linux__
    const struct timespec wait = { .tv_sec = (time_t)(pause_us / 1000000),
                                   .tv_nsec = (long)(pause_us % 1000000 * 1000) };
    return ppoll(fds, num, &wait, NULL);
#else
    return poll(fds, num, (int)(pause_us / 1000) + 1);
#endif
}
