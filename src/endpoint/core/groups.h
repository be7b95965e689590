/* SPDX-License-Identifier: MIT */
/* groups: the entries of a pool that belong to one peer, or to one context, so that its end costs in proportion to them. A group
 * is a list by the key's hash; keys whose hashes collide share one, and the caller compares. */
#ifndef NACRE_ENDPOINT_CORE_GROUPS_H
#define NACRE_ENDPOINT_CORE_GROUPS_H

#include "base/pointer_hash.h"
#include "base/pool_layout.h"
#include "endpoint/core/hash.h"
#include "endpoint/core/list.h"

typedef struct nacre__groups {
    nacre__list *lists;
    uint32_t num;       /* a power of two */
    nacre__links links; /* a nacre__link in each entry */
} nacre__groups;

/* Groups for `num` entries. */
static inline void nacre__groups_lay_out(nacre__groups *groups, nacre__pool_layout *layout, uint32_t num)
{
    groups->num = num > 0 ? nacre__num_buckets_for(num) / 2 : 0;
    groups->lists = nacre__lay_out(layout, groups->num, sizeof *groups->lists);
}

/* `first_link`: that of entry 0; `stride`: the size of an entry. */
static inline void nacre__groups_init(nacre__groups *groups, void *first_link, size_t stride)
{
    groups->links = (nacre__links){ first_link, stride };
    for (uint32_t i = 0; i < groups->num; i++) groups->lists[i] = NACRE__LIST_EMPTY;
}

static inline uint64_t nacre__group_of_peer(const nacre__core *core, const nacre_address *peer)
{
    return nacre__peer_hash(core, peer, NACRE_ABSENT);
}

static inline uint64_t nacre__group_of_context(const nacre_context *context)
{
    return nacre__pointer_hash(context);
}

static inline nacre__list *nacre__group(const nacre__groups *groups, uint64_t hash)
{
    return &groups->lists[(hash ^ hash >> 32) & (groups->num - 1)];
}

static inline void nacre__group_add(const nacre__groups *groups, uint64_t hash, uint32_t index)
{
    nacre__list_append(groups->links, nacre__group(groups, hash), index);
}

static inline void nacre__group_remove(const nacre__groups *groups, uint64_t hash, uint32_t index)
{
    nacre__list_remove(groups->links, nacre__group(groups, hash), index);
}

/* NONE at the end, and for an empty pool. */
static inline uint32_t nacre__group_first(const nacre__groups *groups, uint64_t hash)
{
    return groups->num > 0 ? nacre__group(groups, hash)->first : NACRE__NONE;
}

static inline uint32_t nacre__group_next(const nacre__groups *groups, uint32_t index)
{
    return ((const nacre__link *)nacre__link_at(groups->links, index))->next;
}

#endif
