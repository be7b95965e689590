/* SPDX-License-Identifier: MIT */
/* exchange_number: the numbers in the application's handles: generation (32 bits) | index (30) | kind (2). A generation is never
 * 0, so no number is. */
#ifndef NACRE_ENDPOINT_CORE_EXCHANGE_NUMBER_H
#define NACRE_ENDPOINT_CORE_EXCHANGE_NUMBER_H

#include "endpoint/core/core.h"
#include "endpoint/core/queue.h"

/* The next number of the entry `index`; advances its generation. */
static inline uint64_t nacre__number_new(uint32_t *generation, uint8_t kind, uint32_t index)
{
    if (++*generation == 0) *generation = 1;
    return (uint64_t)*generation << 32 | (uint64_t)index << 2 | kind;
}

static inline uint8_t nacre__number_kind(uint64_t number)
{
    return number & 3;
}

/* The index in `number`, NONE for another kind. Not validated: it may lie outside the pool. */
static inline uint32_t nacre__number_index(uint64_t number, uint8_t kind)
{
    return number != 0 && nacre__number_kind(number) == kind ? (uint32_t)number >> 2 : NACRE__NONE;
}

#endif
