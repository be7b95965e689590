/* SPDX-License-Identifier: MIT */
/* loop_gauges: what a loop has at present, for other threads. The loop's thread sets all of them each time before it waits. */
#ifndef NACRE_IO_LOOP_GAUGES_H
#define NACRE_IO_LOOP_GAUGES_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct nacre__loop_gauges {
    _Atomic uint64_t busy_since; /* ms: since when it works without waiting; 0: it waits, or is not in a step */
    _Atomic uint64_t observers, connections, bodies, deferred, store_requests, lanes_apart;
} nacre__loop_gauges;

static inline void nacre__gauge_set(_Atomic uint64_t *gauge, uint64_t value)
{
    atomic_store_explicit(gauge, value, memory_order_relaxed);
}

static inline uint64_t nacre__gauge(const _Atomic uint64_t *gauge)
{
    return atomic_load_explicit(gauge, memory_order_relaxed);
}

#endif
