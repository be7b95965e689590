/* SPDX-License-Identifier: MIT */
/* pointer_hash: for tables keyed by addresses of local objects. Data from peers needs a keyed hash: siphash.h. */
#ifndef NACRE_BASE_POINTER_HASH_H
#define NACRE_BASE_POINTER_HASH_H

#include <nacre/base.h>

/* The address times the golden ratio; use the upper 32 bits. */
static inline uint64_t nacre__pointer_hash(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer * UINT64_C(0x9e3779b97f4a7c15);
}

#endif
