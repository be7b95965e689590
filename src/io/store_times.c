/* SPDX-License-Identifier: MIT */
/* store_times: see store_times.h. */
#include "io/store_times.h"

#include <time.h>

static const uint64_t limits_us[NACRE_STORE_TIME_BUCKETS - 1] = { 500,     1000,    2500,    5000,    10000,
                                                                  25000,   50000,   100000,  250000,  500000,
                                                                  1000000, 2500000, 5000000, 10000000 };

uint64_t nacre_store_time_limit_us(size_t bucket)
{
    return bucket < NACRE_STORE_TIME_BUCKETS - 1 ? limits_us[bucket] : UINT64_MAX;
}

uint64_t nacre__store_clock_us(void)
{
    struct timespec t = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

void nacre__store_times_add(nacre__store_times *times, nacre_store_write what, uint64_t took_us)
{
    size_t bucket = 0;
    while (took_us > nacre_store_time_limit_us(bucket)) bucket++;
    atomic_fetch_add_explicit(&times->buckets[what][bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&times->sum_us[what], took_us, memory_order_relaxed);
}

nacre_store_times nacre__store_times_get(const nacre__store_times *times, nacre_store_write what)
{
    nacre_store_times got;
    for (size_t i = 0; i < NACRE_STORE_TIME_BUCKETS; i++)
        got.buckets[i] = atomic_load_explicit(&times->buckets[what][i], memory_order_relaxed);
    got.sum_us = atomic_load_explicit(&times->sum_us[what], memory_order_relaxed);
    return got;
}
