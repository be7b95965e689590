/* SPDX-License-Identifier: MIT */
/* clock: milliseconds that never go back. */
#include <nacre/system.h>

#include <time.h>

uint64_t nacre_clock_ms(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* POSIX: cannot fail for a clock that is there */
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}
