/* SPDX-License-Identifier: MIT */
/* exchange_number: the application's exchange numbers: generation | index | kind. A generation is never 0, so no number
 * is. */
#ifndef NACRE_ENDPOINT_CORE_EXCHANGE_NUMBER_H
#define NACRE_ENDPOINT_CORE_EXCHANGE_NUMBER_H

#include "endpoint/core/core.h"
#include "endpoint/core/queue.h"

/* Bits of the indices of a pool of `num`. */
static inline uint8_t nacre__index_bits_for(uint32_t num)
{
    uint8_t bits = 1;
    while (num > UINT32_C(1) << bits) bits++;
    return bits;
}

static inline uint8_t nacre__exchange_kind(nacre_exchange number)
{
    return number & 3;
}

/* The next number of the exchange `index`; advances its generation. */
static inline nacre_exchange nacre__exchange_new(uint8_t index_bits, uint32_t *generation, uint8_t kind, uint32_t index)
{
    const uint32_t shift = index_bits + 2U;
    *generation = (*generation + 1) & (UINT32_MAX >> shift);
    if (*generation == 0) *generation = 1;
    return *generation << shift | index << 2 | kind;
}

/* The index in `exchange`, NONE for another kind. Not validated: it may lie outside the pool. */
static inline uint32_t nacre__exchange_index(uint8_t index_bits, uint8_t kind, nacre_exchange number)
{
    if (number == 0 || nacre__exchange_kind(number) != kind) return NACRE__NONE;
    return number >> 2 & ((UINT32_C(1) << index_bits) - 1);
}

#endif
