/* SPDX-License-Identifier: MIT */
/* pointer_hash: for tables of our own objects by their address, which no peer chooses. What a peer sends is hashed under a key:
 * siphash.h. */
#ifndef NACRE_BASE_POINTER_HASH_H
#define NACRE_BASE_POINTER_HASH_H

#include <nacre/base.h>

/* The upper 32 bits are good ones: the address times the golden ratio. */
static inline uint64_t nacre__pointer_hash(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer * UINT64_C(0x9e3779b97f4a7c15);
}

#endif
