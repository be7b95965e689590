/* SPDX-License-Identifier: MIT */
/* udp_internal: the interface between one UDP socket and the system calls that move its datagrams.
 *
 * udp.c opens and closes. The calls are a table: nacre__udp_plain_ops (recvfrom and sendto, any POSIX) and, on Linux,
 * nacre__udp_linux_ops (recvmmsg and sendmmsg, source addresses of responses, ICMP errors with the peer's address, GSO/GRO
 * batches). The loop uses only nacre__udp_receive, nacre__udp_pending, nacre__udp_send and
 * nacre__udp_next_unreachable. */
#ifndef NACRE_IO_UDP_INTERNAL_H
#define NACRE_IO_UDP_INTERNAL_H

#include "io/lane_program.h"

#include <nacre/udp.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    NACRE__UDP_BURST = 64,       /* maximum per system call */
    NACRE__UDP_UNREACHABLE = 16, /* reports kept until they are fetched; the excess is left to the timers */
};

/* Receive buffers: `num` buffers of `stride` bytes, contiguous. Longer datagrams are truncated, with full_len set. Coalesced
 * datagrams stay in the memory of their batch and are truncated alike. */
typedef struct nacre__udp_buffers {
    uint8_t *memory;
    size_t stride, num;
} nacre__udp_buffers;

typedef struct nacre__udp_ops {
    /* Takes up to buffers->num datagrams without waiting; returns their number, or -1 with errno. Entries of `in` whose peer
     * has length 0 are ignored. */
    int (*receive)(nacre_udp *udp, nacre_datagram *in, const nacre__udp_buffers *buffers);
    /* Sends datagrams from the start of the array; returns the number sent, at least 1, or -1 with errno for the first. */
    int (*send)(nacre_udp *udp, const nacre_outgoing *out, size_t num);
    /* Fetches pending ICMP errors and notes their peers; may be NULL. */
    void (*fetch_errors)(nacre_udp *udp);
    /* Enables GSO/GRO; may be NULL. */
    bool (*use_gso)(nacre_udp *udp);
} nacre__udp_ops;
extern const nacre__udp_ops nacre__udp_plain_ops;
#ifdef __linux__
extern const nacre__udp_ops nacre__udp_linux_ops;
#endif

/* nacre__udp_adopt (udp.c) makes a nacre_udp of a duplicate of a bound socket. NACRE_OK; NACRE_ERR_ADDRESS (`why`: it is none, or of
 * another kind); NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre__udp_adopt(nacre_udp **udp, int fd, nacre_detail *why);

/* The local address each peer last sent to, for sockets bound to a wildcard: 256 sets of 4 ways. For evicted peers the system
 * chooses the source address. */
enum { NACRE__SOURCE_SETS = 256, NACRE__SOURCE_WAYS = 4 };
typedef struct nacre__source {
    nacre_address peer;
    struct in6_addr local; /* IPv4 as IPv4-mapped */
} nacre__source;
typedef struct nacre__sources {
    nacre__source ways[NACRE__SOURCE_SETS][NACRE__SOURCE_WAYS];
    uint8_t next[NACRE__SOURCE_SETS];
    uint8_t hash_key[16]; /* random, so that a peer cannot choose its set */
} nacre__sources;
void nacre__sources_note(nacre__sources *s, const nacre_address *peer, const struct in6_addr *local);
const struct in6_addr *nacre__sources_find(const nacre__sources *s, const nacre_address *peer);

typedef struct nacre__udp_control { /* aligned for control messages */
    _Alignas(struct cmsghdr) uint8_t bytes[96];
} nacre__udp_control;

/* GSO/GRO batches: datagrams of one peer and one length, the last may be shorter, passed to or from the kernel in one buffer
 * (Linux: UDP_GRO, UDP_SEGMENT). Datagrams that do not fit in one burst of the loop stay here for the next. */
enum { NACRE__UDP_BATCHES = 32, NACRE__UDP_BATCH_BYTES = 65536 };
typedef struct nacre__udp_batch {
    nacre_address peer; /* length 0: to be ignored */
    const uint8_t *at;  /* the next datagram */
    size_t left, size;  /* bytes left; bytes of each datagram but the last */
} nacre__udp_batch;
typedef struct nacre__udp_batches {
    uint8_t *memory; /* NACRE__UDP_BATCHES times NACRE__UDP_BATCH_BYTES; pages not written to are not allocated */
    nacre__udp_batch batch[NACRE__UDP_BATCHES];
    size_t next, num; /* batches from `next` on have datagrams left */
    bool no_sending;  /* the interface cannot segment: datagrams are sent one by one */
} nacre__udp_batches;

typedef struct nacre__lane_group nacre__lane_group;

struct nacre_udp {
    int fd;
    bool ipv6; /* an IPv6 socket: IPv4 addresses are IPv4-mapped */
    const nacre__udp_ops *ops;
    nacre__sources *sources;     /* NULL: not needed */
    nacre__udp_batches *batches; /* NULL: not enabled */
    nacre_address local;
    nacre_address unreachable[NACRE__UDP_UNREACHABLE];
    size_t num_unreachable;
    nacre_udp *lane;          /* the socket for listed peers; NULL: none */
    nacre__lane_group *group; /* NULL: no lane */
    unsigned worker;
    struct sockaddr_storage names[NACRE__UDP_BURST];
    struct iovec slices[NACRE__UDP_BURST];
    nacre__udp_control controls[NACRE__UDP_BURST];
#ifdef __linux__
    struct mmsghdr messages[NACRE__UDP_BURST];
#endif
};

/* nacre__udp_receive takes pending datagrams, up to `buffers`, without waiting; bytes point into the buffers or a batch that is
 * valid until the next call.
 * NACRE_OK with *num set, 0 included; NACRE_ERR_ADDRESS when the socket failed for good. */
NACRE_MUST_USE nacre_err nacre__udp_receive(nacre_udp *udp, nacre_datagram *in, size_t *num,
                                            const nacre__udp_buffers *buffers);

/* nacre__udp_datagram: a datagram received into a slice, without its peer. `len` of a truncated one may be its full length or,
 * where the system does not report that, the slice's; full_len is then one more, which means "longer". */
nacre_datagram nacre__udp_datagram(const struct iovec *slice, size_t len, bool is_cut);

/* nacre__udp_pending: received datagrams are left that poll does not report. */
bool nacre__udp_pending(const nacre_udp *udp);

/* nacre__udp_send sends what the socket takes; the rest is lost, as datagrams may be. */
void nacre__udp_send(nacre_udp *udp, const nacre_outgoing *out, size_t num);

/* nacre__udp_next_unreachable returns a peer that was reported unreachable; false: none. */
bool nacre__udp_next_unreachable(nacre_udp *udp, nacre_address *peer);
void nacre__udp_note_unreachable(nacre_udp *udp, const nacre_address *peer);
void nacre__udp_fetch_errors(nacre_udp *udp);

/* nacre__udp_open_lane opens `udp->lane` at the port of `udp`. Each of `num_workers` workers opens its socket and then its lane,
 * before the next worker does, because the program counts sockets in the order of binding; `first` is the first worker's socket,
 * or NULL if `udp` is that. False: not supported, or out of descriptors or memory; `udp` receives everything.
 * nacre__udp_close_lane also accepts a socket without a lane; nacre_udp_close calls it. */
NACRE_MUST_USE bool nacre__udp_open_lane(nacre_udp *udp, const nacre_udp *first, unsigned num_workers);
void nacre__udp_close_lane(nacre_udp *udp);

/* nacre__udp_list: from now on datagrams from sources with these hashes (nacre__lane_hash under nacre__udp_lane_key) arrive at the
 * lane, all others at `udp`. Hashes beyond this worker's part of NACRE__LANE_PEERS are ignored. Takes up to half a millisecond.
 * Both functions need a socket with a lane. */
void nacre__udp_list(nacre_udp *udp, const uint32_t *hashes, size_t num);
const nacre__lane_key *nacre__udp_lane_key(const nacre_udp *udp, unsigned *num_workers);

/* The errno values of an unreachable peer, from ICMP or the routing table. */
bool nacre__udp_means_unreachable(int error);

/* udp_drops.c: datagrams that the system dropped because the queue of the socket, or of its lane, was full; modulo 2^32 for each.
 * Any thread. 0 where the system does not tell. */
uint64_t nacre__udp_queue_drops(const nacre_udp *udp);

#endif
