/* SPDX-License-Identifier: MIT */
/* steady: a client that keeps a number of requests outstanding for some time. A request without a response after
 * STEADY_PATIENCE_MS is given up, and a new one takes its place: what is measured is how much comes through, not how long
 * CoAP's retransmissions wait. */
#ifndef NACRE_BENCH_STEADY_H
#define NACRE_BENCH_STEADY_H

#include "net/pairs.h"

enum { STEADY_PATIENCE_MS = 100, STEADY_MOST = 64 /* outstanding */ };

typedef struct steady {
    int fd;
    size_t outstanding;
    uint64_t responded, lost; /* in all */
} steady;

steady steady_open(uint16_t port, size_t outstanding);
void steady_close(steady *s);

/* steady_run asks for `seconds` with the requests of `requests`, or until they are used up; returns responses (2.xx) in a
 * second. */
double steady_run(steady *s, const batch *requests, double seconds);

#endif
