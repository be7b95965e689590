/* SPDX-License-Identifier: MIT */
/* echo: minimal UDP servers, as the baseline for real ones; each serves for ever. */
#ifndef NACRE_BENCH_ECHO_H
#define NACRE_BENCH_ECHO_H

void echo_one(int fd);     /* recvfrom, sendto */
void echo_burst(int fd);   /* recvmmsg, sendmmsg */
void echo_batches(int fd); /* UDP_GRO, UDP_SEGMENT */

#endif
