/* SPDX-License-Identifier: MIT */
/* locks: the stripes of a burst are a bit set, locked in ascending order. */
#include "io/server/locks.h"
#include "base/pointer_hash.h"

nacre_err nacre__locks_init(nacre__locks *locks)
{
    for (size_t i = 0; i < NACRE__STRIPES; i++) {
        if (pthread_mutex_init(&locks->stripes[i], NULL) == 0) continue;
        while (i > 0) (void)pthread_mutex_destroy(&locks->stripes[--i]);
        return NACRE_ERR_NO_MEMORY;
    }
    return NACRE_OK;
}

void nacre__locks_destroy(nacre__locks *locks)
{
    for (size_t i = 0; i < NACRE__STRIPES; i++) (void)pthread_mutex_destroy(&locks->stripes[i]);
}

static size_t stripe_of(const nacre_context *ctx)
{
    return (size_t)(nacre__pointer_hash(ctx) >> 56); /* the high byte: 256 stripes */
}

typedef struct stripes {
    uint64_t bits[NACRE__STRIPES / 64];
} stripes;

static stripes stripes_of(nacre_context *const *contexts, size_t num)
{
    stripes set = { { 0 } };
    for (size_t i = 0; i < num; i++) {
        const size_t stripe = stripe_of(contexts[i]);
        set.bits[stripe / 64] |= UINT64_C(1) << stripe % 64;
    }
    return set;
}

static void walk(nacre__locks *locks, const stripes *set, int (*act)(pthread_mutex_t *))
{
    for (size_t word = 0; word < NACRE__STRIPES / 64; word++)
        for (uint64_t bits = set->bits[word]; bits != 0; bits &= bits - 1)
            (void)act(&locks->stripes[word * 64 + (size_t)__builtin_ctzll(bits)]);
}

void nacre__locks_take(nacre__locks *locks, nacre_context *const *contexts, size_t num)
{
    const stripes set = stripes_of(contexts, num);
    walk(locks, &set, pthread_mutex_lock);
}

void nacre__locks_give(nacre__locks *locks, nacre_context *const *contexts, size_t num)
{
    const stripes set = stripes_of(contexts, num);
    walk(locks, &set, pthread_mutex_unlock);
}
