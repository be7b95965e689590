/* SPDX-License-Identifier: MIT */
/* process: measured servers, each a separate process on a separate core, and their processor time. They end with this
 * program, however it ends. */
#ifndef NACRE_BENCH_PROCESS_H
#define NACRE_BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct process {
    pid_t pid;
    uint16_t port; /* 0: none */
} process;

/* The cores, if there are at least two: one for the client, the other for the server; or both for a server of several
 * threads. */
enum { PROCESS_SERVER_CORE = 1, PROCESS_CLIENT_CORE = 2, PROCESS_BOTH_CORES = 3 };

/* process_pin restricts the calling process to these cores, if permitted. */
void process_pin(unsigned cores);

/* process_fork runs `serve` in a new process, and waits until it calls process_ready with its `ready` and a port.
 * `serve` does not return. */
process process_fork(void (*serve)(const void *arg, int ready), const void *arg, unsigned cores);
void process_ready(int ready, uint16_t port);

/* process_run starts a program whose server listens at `port` of 127.0.0.1 (or ::1), and waits for ten seconds at most
 * until it responds to a CoAP ping. Its output is discarded. pid 0: no response. */
process process_run(char *const argv[], uint16_t port, bool ipv6);
uint16_t process_free_port(bool ipv6); /* a UDP port that was free just now */

/* process_stop ends it at once. */
void process_stop(process p);

/* process_seconds: processor time of all its threads so far. */
double process_seconds(process p);

#endif
