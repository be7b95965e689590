/* SPDX-License-Identifier: MIT */
/* load: a client that keeps a number of requests outstanding and counts responses.
 *
 * The requests are built before the clock starts, so that the client's core only moves bytes; each has a token of
 * four bytes, its index in network order, which identifies its response. A request without a timely response is sent
 * again. */
#ifndef NACRE_BENCH_LOAD_H
#define NACRE_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct load_request {
    const uint8_t *bytes;
    uint16_t len;
} load_request;

typedef struct load_config {
    uint16_t port;      /* of the server, on 127.0.0.1 … */
    bool ipv6;          /* … or on ::1 */
    size_t flows;       /* sockets; request i uses socket i % flows */
    size_t outstanding; /* requests */
    bool use_gso;       /* UDP_GRO and UDP_SEGMENT, on one flow */
    bool coap;          /* only CoAP responses of class 2 count as responses */
} load_config;

typedef struct load load;
load *load_open(const load_config *config); /* ends the program with a message on a system error */
void load_close(load *l);

typedef struct load_result {
    double seconds;
    uint64_t resent, strange; /* sent again; received, and no response to an open request */
} load_result;

/* load_run sends all requests and waits for all responses; `on_response` (may be NULL) sees the first response to each.
 * Ends the program when nothing arrives any more. */
load_result load_run(load *l, const load_request *requests, size_t num,
                     void (*on_response)(void *user, size_t index, const uint8_t *bytes, size_t len), void *user);

#endif
