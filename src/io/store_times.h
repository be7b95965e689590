/* SPDX-License-Identifier: MIT */
/* store_times: how long the stores' writes took: a histogram that any thread adds to and reads. */
#ifndef NACRE_IO_STORE_TIMES_H
#define NACRE_IO_STORE_TIMES_H

#include <nacre/server_stats.h>

#include <stdatomic.h>

typedef struct nacre__store_times { /* all zero is empty */
    _Atomic uint64_t buckets[NACRE_NUM_STORE_WRITES][NACRE_STORE_TIME_BUCKETS];
    _Atomic uint64_t sum_us[NACRE_NUM_STORE_WRITES];
} nacre__store_times;

/* nacre__store_clock_us is a monotonic clock. nacre__store_times_add: a write took `took_us`. */
uint64_t nacre__store_clock_us(void);
void nacre__store_times_add(nacre__store_times *times, nacre_store_write what, uint64_t took_us);
nacre_store_times nacre__store_times_get(const nacre__store_times *times, nacre_store_write what);

#endif
