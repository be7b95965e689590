/* SPDX-License-Identifier: MIT */
/* lane_peers: see lane_peers.h. */
#include "io/lane_peers.h"

enum {
    EMPTY_LEN = 4,                /* bytes of an ACK or RST without a response */
    WORK_OF_EMPTY = 1,            /* an eighth of */
    WORK = 8,                     /* any other datagram */
    WORK_PER_VERIFIED = 3 * WORK, /* itself and two retransmissions */
    MAX_WORK = 64 * WORK,         /* in WORK_MS */
    WORK_MS = 1000,
    BARRED_MS = 10000,
};

void nacre__lane_peers_init(nacre__lane_peers *peers, const nacre__lane_key *key, unsigned num_workers)
{
    *peers = (nacre__lane_peers){ .key = *key, .num_workers = num_workers };
    peers->num_sets = NACRE__LANE_SETS / num_workers;
}

/* Divides first: the hash modulo num_workers is the same for all peers of this worker. */
static size_t set_of(const nacre__lane_peers *peers, uint32_t hash)
{
    return hash / peers->num_workers % peers->num_sets;
}

/* NACRE__LANE_WAYS if there is none. */
static size_t find(const nacre__lane_set *set, uint32_t hash)
{
    size_t way = 0;
    while (way < NACRE__LANE_WAYS && (set->hash[way] != hash || set->when[way] == 0)) way++;
    return way;
}

/* A free entry, or the one that verified longest ago. */
static size_t longest_silent(const nacre__lane_set *set, uint32_t now)
{
    size_t oldest = 0;
    for (size_t i = 0; i < NACRE__LANE_WAYS; i++) {
        if (set->when[i] == 0) return i;
        if (now - set->when[i] > now - set->when[oldest]) oldest = i;
    }
    return oldest;
}

void nacre__lane_peers_verified(nacre__lane_peers *peers, const nacre_address *address, uint64_t now_ms)
{
    const uint32_t hash = nacre__lane_hash(&peers->key, address), now = (uint32_t)now_ms | 1;
    const size_t at = set_of(peers, hash);
    nacre__lane_set *set = &peers->sets[at];
    size_t way = find(set, hash);
    const bool is_new = way == NACRE__LANE_WAYS;
    if (is_new) way = longest_silent(set, now);
    set->hash[way] = hash;
    set->when[way] = now;
    peers->last_ms = now_ms;
    if (!is_new && !peers->counts_work) return;
    nacre__lane_work *work = &peers->work[at][way];
    if (is_new) *work = (nacre__lane_work){ .since = now_ms };
    const bool is_back = work->barred_until > 0 && work->barred_until <= now_ms;
    if (is_back) work->barred_until = 0;
    if (is_new || is_back) peers->has_changed = true;
    work->work -= work->work < WORK_PER_VERIFIED ? work->work : WORK_PER_VERIFIED;
}

bool nacre__lane_peers_admit(nacre__lane_peers *peers, const nacre_address *address, size_t len, uint64_t now_ms)
{
    const uint32_t hash = nacre__lane_hash(&peers->key, address);
    const size_t at = set_of(peers, hash), way = find(&peers->sets[at], hash);
    if (way == NACRE__LANE_WAYS) return true; /* evicted since it was listed */
    nacre__lane_work *work = &peers->work[at][way];
    if (work->barred_until > 0) return false;
    if (now_ms - work->since >= WORK_MS) {
        work->since = now_ms;
        work->work = 0;
    }
    work->work += len <= EMPTY_LEN ? WORK_OF_EMPTY : WORK;
    if (work->work <= MAX_WORK) return true;
    work->barred_until = now_ms + BARRED_MS;
    peers->has_changed = true;
    return false;
}

/* While the lane is not in use, verified messages do not look at `work`: a bar that ended before the last one is lifted here. */
static bool is_barred(nacre__lane_work *work, uint32_t when)
{
    if (work->barred_until > 0 && (int32_t)(when - (uint32_t)work->barred_until) >= 0) work->barred_until = 0;
    return work->barred_until > 0;
}

size_t nacre__lane_peers_list(nacre__lane_peers *peers, uint32_t *hashes)
{
    size_t num = 0;
    for (size_t at = 0; at < peers->num_sets; at++) {
        const nacre__lane_set *set = &peers->sets[at];
        for (size_t way = 0; way < NACRE__LANE_WAYS; way++)
            if (set->when[way] != 0 && !is_barred(&peers->work[at][way], set->when[way]))
                hashes[num++] = set->hash[way];
    }
    return num;
}
