/* SPDX-License-Identifier: MIT */
/* list: doubly linked lists and hash chains of pool entries, by index. The links are in the entries; nacre__links locates
 * them. */
#ifndef NACRE_ENDPOINT_CORE_LIST_H
#define NACRE_ENDPOINT_CORE_LIST_H

#include "endpoint/core/core.h"

typedef struct nacre__links {
    void *first;   /* the link of entry 0 */
    size_t stride; /* the size of an entry */
} nacre__links;

static inline void *nacre__link_at(nacre__links links, uint32_t index)
{
    return (uint8_t *)links.first + links.stride * index;
}

/* ---- Lists --------------------------------------------------------------------------------------------------------- */

typedef struct nacre__list {
    uint32_t first, last;
} nacre__list;

typedef struct nacre__link {
    uint32_t prev, next;
} nacre__link;

#define NACRE__LIST_EMPTY ((nacre__list){ NACRE__NONE, NACRE__NONE })

static inline void nacre__list_append(nacre__links links, nacre__list *list, uint32_t index)
{
    nacre__link *link = nacre__link_at(links, index);
    *link = (nacre__link){ list->last, NACRE__NONE };
    if (list->last == NACRE__NONE) list->first = index;
    else ((nacre__link *)nacre__link_at(links, list->last))->next = index;
    list->last = index;
}

static inline void nacre__list_remove(nacre__links links, nacre__list *list, uint32_t index)
{
    const nacre__link *link = nacre__link_at(links, index);
    if (link->prev == NACRE__NONE) list->first = link->next;
    else ((nacre__link *)nacre__link_at(links, link->prev))->next = link->next;
    if (link->next == NACRE__NONE) list->last = link->prev;
    else ((nacre__link *)nacre__link_at(links, link->next))->prev = link->prev;
}

/* ---- Hash chains --------------------------------------------------------------------------------------------------- */

typedef struct nacre__chains {
    uint32_t *buckets;    /* first entries, or NONE */
    uint32_t num_buckets; /* a power of two */
    nacre__links links;   /* a uint32_t in each entry: the next one in its bucket */
} nacre__chains;

/* Buckets for `num` entries. */
static inline uint32_t nacre__num_buckets_for(uint32_t num)
{
    uint32_t n = 4;
    while (n < 2 * num) n *= 2;
    return n;
}

static inline void nacre__chains_init(nacre__chains *chains)
{
    for (uint32_t i = 0; i < chains->num_buckets; i++) chains->buckets[i] = NACRE__NONE;
}

static inline uint32_t *nacre__chain_of(const nacre__chains *chains, uint64_t hash)
{
    return &chains->buckets[(hash ^ hash >> 32) & (chains->num_buckets - 1)];
}

/* The first and the next entry that may have that hash; NONE at the end. */
static inline uint32_t nacre__chain_first(const nacre__chains *chains, uint64_t hash)
{
    return *nacre__chain_of(chains, hash);
}

static inline uint32_t nacre__chain_next(const nacre__chains *chains, uint32_t index)
{
    return *(const uint32_t *)nacre__link_at(chains->links, index);
}

static inline void nacre__chain_add(const nacre__chains *chains, uint64_t hash, uint32_t index)
{
    uint32_t *bucket = nacre__chain_of(chains, hash);
    *(uint32_t *)nacre__link_at(chains->links, index) = *bucket;
    *bucket = index;
}

/* The entry must be in the chain of `hash`. */
static inline void nacre__chain_remove(const nacre__chains *chains, uint64_t hash, uint32_t index)
{
    uint32_t *link = nacre__chain_of(chains, hash);
    while (*link != index) link = nacre__link_at(chains->links, *link);
    *link = *(const uint32_t *)nacre__link_at(chains->links, index);
}

#endif
