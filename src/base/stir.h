/* SPDX-License-Identifier: MIT */
/* stir: one step of the hashes under which what others send is kept. They are no cryptography: they keep those who do not know
 * the factor, which is random, from choosing what falls together. */
#ifndef NACRE_BASE_STIR_H
#define NACRE_BASE_STIR_H

#include <nacre/base.h>

/* `factor` is odd. No two words give one value, for both halves of the step can be undone. The highest bit of a word passes
 * any odd factor unchanged; so what the upper half does to the lower one depends on the factor too, or a change of one word
 * could be undone by a change of the next, whatever the factor is. */
static inline uint64_t nacre__stir(uint64_t h, uint64_t word, uint64_t factor)
{
    h = (h ^ word) * factor;
    return h ^ (h >> 32) * (factor >> 32) >> 32;
}

#endif
