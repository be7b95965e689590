/* SPDX-License-Identifier: MIT */
/* udp_lane: a second socket at the port of the first, for datagrams of listed peers, so that these do not share a queue with a
 * flood. A program in the kernel (lane_program) chooses the socket; a port has one program, so all workers share it. */
#include "io/udp_internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#ifdef __linux__
#include <linux/filter.h>

#include <nacre/system.h>

enum { MAX_WORKERS = 64 };

/* What the workers share. The listed hashes of worker w begin at w * (NACRE__LANE_PEERS / num_workers). */
struct nacre__lane_group {
    pthread_mutex_t lock;
    unsigned num_refs, num_workers;
    nacre__lane_key key;
    size_t num[MAX_WORKERS];
    uint32_t hashes[NACRE__LANE_PEERS], sorted[NACRE__LANE_PEERS];
    struct sock_filter program[NACRE__LANE_PROGRAM];
};

static nacre__lane_group *make_group(unsigned num_workers)
{
    nacre__lane_group *group = calloc(1, sizeof *group);
    if (group == NULL || num_workers < 1 || num_workers > MAX_WORKERS || pthread_mutex_init(&group->lock, NULL) != 0) {
        free(group);
        return NULL;
    }
    const nacre_random random = nacre_entropy();
    random.fill(random.self, (uint8_t *)&group->key, sizeof group->key);
    group->key.factor |= 1;
    group->key.last_factor |= 1;
    group->num_workers = num_workers;
    return group;
}

static void leave(nacre__lane_group *group)
{
    if (group == NULL) return;
    (void)pthread_mutex_lock(&group->lock);
    const bool is_last = --group->num_refs == 0;
    (void)pthread_mutex_unlock(&group->lock);
    if (!is_last) return;
    (void)pthread_mutex_destroy(&group->lock);
    free(group);
}

static bool attach(int fd, nacre__lane_group *group)
{
    const size_t part = NACRE__LANE_PEERS / group->num_workers;
    size_t num = 0;
    for (size_t w = 0; w < group->num_workers; w++) {
        memcpy(group->sorted + num, group->hashes + w * part, group->num[w] * sizeof *group->hashes);
        num += group->num[w];
    }
    const size_t len = nacre__lane_program(group->program, &group->key, group->num_workers, group->sorted, num);
    const struct sock_fprog program = { (unsigned short)len, group->program };
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0;
}

static bool open_second(nacre_udp *udp)
{
    nacre_detail why; /* not reported: without a lane the first socket receives everything */
    if (nacre_udp_open_beside(&udp->lane, udp, &why) != NACRE_OK) return false;
    free(udp->lane->sources);
    udp->lane->sources = udp->sources;
    if (udp->batches != NULL) (void)nacre_udp_use_gso(udp->lane);
    return true;
}

bool nacre__udp_open_lane(nacre_udp *udp, const nacre_udp *first, unsigned num_workers)
{
    if (first != NULL && first->group == NULL) return false;
    nacre__lane_group *group = first != NULL ? first->group : make_group(num_workers);
    if (group == NULL) return false;
    (void)pthread_mutex_lock(&group->lock);
    udp->worker = group->num_refs++;
    udp->group = group;
    const bool is_open = udp->worker < group->num_workers && open_second(udp) && attach(udp->fd, group);
    (void)pthread_mutex_unlock(&group->lock);
    if (!is_open) nacre__udp_close_lane(udp);
    return is_open;
}

void nacre__udp_close_lane(nacre_udp *udp)
{
    if (udp->lane != NULL) udp->lane->sources = NULL; /* the first socket's */
    nacre_udp_close(udp->lane);
    udp->lane = NULL;
    leave(udp->group);
    udp->group = NULL;
}

const nacre__lane_key *nacre__udp_lane_key(const nacre_udp *udp, unsigned *num_workers)
{
    *num_workers = udp->group->num_workers;
    return &udp->group->key;
}

void nacre__udp_list(nacre_udp *udp, const uint32_t *hashes, size_t num)
{
    nacre__lane_group *group = udp->group;
    const size_t part = NACRE__LANE_PEERS / group->num_workers;
    (void)pthread_mutex_lock(&group->lock);
    group->num[udp->worker] = num < part ? num : part;
    if (num > 0) memcpy(group->hashes + udp->worker * part, hashes, group->num[udp->worker] * sizeof *hashes);
    (void)attach(udp->fd, group); /* on failure, out of kernel memory, the previous list stays in force */
    (void)pthread_mutex_unlock(&group->lock);
}
#else
bool nacre__udp_open_lane(nacre_udp *udp, const nacre_udp *first, unsigned num_workers)
{
    (void)udp, (void)first, (void)num_workers;
    return false;
}

void nacre__udp_close_lane(nacre_udp *udp)
{
    (void)udp;
}

const nacre__lane_key *nacre__udp_lane_key(const nacre_udp *udp, unsigned *num_workers)
{
    (void)udp, (void)num_workers;
    return NULL;
}

void nacre__udp_list(nacre_udp *udp, const uint32_t *hashes, size_t num)
{
    (void)udp, (void)hashes, (void)num;
}
#endif
