/* SPDX-License-Identifier: MIT */
/* loop_struct: a loop, for loop.c and loop_step.c only. */
#ifndef NACRE_IO_LOOP_STRUCT_H
#define NACRE_IO_LOOP_STRUCT_H

#include "io/loop_gauges.h"
#include "io/loop_lanes.h"
#include "io/persist.h"
#include "io/tcp_internal.h"

#include <poll.h>

/* Indices in `fds`; the connections' descriptors follow. */
enum {
    NACRE__LOOP_AT_UDP = 0,
    NACRE__LOOP_AT_WAKE = 1,
    NACRE__LOOP_AT_EXTRA = 2,
    NACRE__LOOP_AT_STORE = 3,
    NACRE__LOOP_AT_LANE = 4,
    NACRE__LOOP_NUM_FDS = 5,
};

struct nacre_loop {
    nacre_udp *udp;
    nacre_endpoint *ep;
    void *ep_memory;
    size_t ep_size;
    nacre_transfer *transfer; /* NULL: events come from the endpoint */
    void *transfer_memory;
    size_t transfer_size;
    size_t max_message, burst;
    uint8_t *in_memory, *out_memory; /* burst * max_message bytes each */
    nacre_datagram *in;
    nacre_outgoing *out;
    nacre_on_event on_event;
    nacre_on_transfer_event on_transfer_event;
    void *user;
    nacre_on_datagram on_datagram;
    void *datagram_user;
    nacre_tcp *tcp;      /* NULL: none */
    nacre__lanes *lanes; /* NULL: the socket has no lane */
    struct pollfd *fds;  /* the socket, wake_fd, extra_fd, the store threads', the lane's and the connections' */
    bool tcp_has_more;   /* received messages of connections are left */
    nacre__persist persist;
    nacre__store_health local_health;
    nacre__store_threads local_threads;
    void (*on_lookup)(void *self, nacre_endpoint *ep, const nacre_event *event); /* or NULL */
    void *lookup_self;
    int wake_fd, extra_fd;
    void (*on_extra)(void *user);
    void *extra_user;
    nacre__loop_gauges gauges;
    int busy_steps; /* consecutive full bursts */
    bool unsettled; /* MAX_ROUNDS was reached: work is left */
    bool touched;   /* the endpoint was used since the last step */
    bool stepping;  /* callbacks may run */
    bool woken;     /* the last step saw wake_fd readable */
};

#endif
