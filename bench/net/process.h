/* SPDX-License-Identifier: MIT */
/* process: servers to be measured, each a process of its own on a core of its own, and what their core spends. They end when
 * this program does, however it ends. */
#ifndef NACRE_BENCH_PROCESS_H
#define NACRE_BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct process {
    pid_t pid;
    uint16_t port; /* 0: none */
} process;

/* The cores, as far as there are two: one for the client, the other for the server; or both for a server of several
 * threads. */
enum { PROCESS_SERVER_CORE = 1, PROCESS_CLIENT_CORE = 2, PROCESS_BOTH_CORES = 3 };

/* process_pin keeps the calling process on these cores, where that is allowed. */
void process_pin(unsigned cores);

/* process_fork runs `serve` in a new process, and waits until that calls process_ready with its `ready` and a port. `serve`
 * does not return. */
process process_fork(void (*serve)(const void *arg, int ready), const void *arg, unsigned cores);
void process_ready(int ready, uint16_t port);

/* process_run starts a program whose server will be at `port` of 127.0.0.1 (or ::1), and waits for ten seconds at most until
 * it answers a CoAP ping. Its output goes nowhere. pid 0: it does not answer. */
process process_run(char *const argv[], uint16_t port, bool ipv6);
uint16_t process_free_port(bool ipv6); /* of UDP; nobody had it a moment ago */

/* process_stop ends it, at once. */
void process_stop(process p);

/* process_seconds: what all its threads have spent on processors so far. */
double process_seconds(process p);

#endif
