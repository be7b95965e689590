/* SPDX-License-Identifier: MIT */
/* system: clock and randomness of the operating system (POSIX). */
#ifndef NACRE_SYSTEM_H
#define NACRE_SYSTEM_H

#include <nacre/base.h>
#include <nacre/endpoint.h>

#ifdef __cplusplus
extern "C" {
#endif

uint64_t nacre_clock_ms(void);    /* monotonic */
nacre_random nacre_entropy(void); /* aborts the process when the system has none */

/* The events to wait for on a descriptor. */
typedef struct nacre_fd {
    int fd;
    bool readable, writable;
} nacre_fd;

#ifdef __cplusplus
}
#endif

#endif
