/* SPDX-License-Identifier: MIT */
/* core: shared by all layers of an endpoint: configuration, current time, statistics, randomness, and the lock of contexts
 * shared between threads. */
#ifndef NACRE_ENDPOINT_CORE_CORE_H
#define NACRE_ENDPOINT_CORE_CORE_H

#include <nacre/endpoint.h>

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

enum {
    NACRE__HEADER_LEN = 4,
    NACRE__NUM_COUNTERS = sizeof(nacre_endpoint_stats) / sizeof(uint64_t),
};
#define NACRE__NONE  UINT32_MAX /* no index */
#define NACRE__NEVER UINT64_MAX /* no time */

typedef struct nacre__core {
    nacre_endpoint_config config;                   /* with the defaults filled in */
    _Atomic uint64_t counters[NACRE__NUM_COUNTERS]; /* the words of nacre_endpoint_stats: nacre__count */
    uint64_t now_ms;                                /* of the last call */
    uint8_t hash_key[16];                           /* random, so that peers cannot choose buckets */
    uint8_t *scratch;                               /* max_message bytes, during one call … */
    uint8_t *options;                               /* … and as many for options with one added */
} nacre__core;

/* One thread writes a counter, any thread may read it: whole stores, which cost what plain ones do. */
static inline void nacre__counter_add(_Atomic uint64_t *counter, uint64_t num)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + num, memory_order_relaxed);
}

/* The counter of a field of nacre_endpoint_stats; `_AT`: element `i` of one that is an array. */
#define NACRE__COUNTER(core, field)     (&(core)->counters[offsetof(nacre_endpoint_stats, field) / sizeof(uint64_t)])
#define NACRE__COUNT(core, field)       nacre__counter_add(NACRE__COUNTER(core, field), 1)
#define NACRE__COUNT_AT(core, field, i) nacre__counter_add(NACRE__COUNTER(core, field) + (i), 1)

void nacre__count_dropped(nacre__core *core, nacre_dropped why);
void nacre__count_refused(nacre__core *core, nacre_err err);
void nacre__count_responded(nacre__core *core, uint8_t code);

static inline uint64_t nacre__core_random(const nacre__core *core)
{
    uint8_t bytes[8];
    uint64_t value;
    core->config.random.fill(core->config.random.self, bytes, sizeof bytes);
    memcpy(&value, bytes, sizeof value);
    return value;
}

/* The sum, clamped below NEVER. */
static inline uint64_t nacre__after(uint64_t now, uint64_t ms)
{
    return now > NACRE__NEVER - 1 - ms ? NACRE__NEVER - 1 : now + ms;
}

/* A shared context belongs to this thread from lock to unlock. */
static inline void nacre__context_lock(const nacre__core *core, nacre_context *context)
{
    if (core->config.lock.lock != NULL) core->config.lock.lock(core->config.lock.self, &context, 1);
}

static inline void nacre__context_unlock(const nacre__core *core, nacre_context *context)
{
    if (core->config.lock.lock != NULL) core->config.lock.unlock(core->config.lock.self, &context, 1);
}

/* The largest message to `peer` in bytes, at most max_message. */
size_t nacre__max_message_to(const nacre__core *core, const nacre_address *peer);

static inline bool nacre__has_option(nacre_bytes options, uint16_t number)
{
    return !nacre_is_absent(nacre_option_find(options, number));
}

static inline bool nacre__is_response_class(uint8_t code)
{
    return code >> 5 == 2 || code >> 5 == 4 || code >> 5 == 5; /* RFC 7252 3: the other classes are reserved */
}

#endif
