/* SPDX-License-Identifier: MIT */
/* clock: monotonic milliseconds. */
#include <nacre/system.h>

#include <time.h>

uint64_t nacre_clock_ms(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* POSIX: cannot fail for a supported clock */
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}
