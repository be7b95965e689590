/* SPDX-License-Identifier: MIT */
/* udp_internal: the seam between one UDP socket and the calls that move its datagrams.
 *
 * udp.c opens and closes. The calls are a table: nacre__udp_plain_ops (recvfrom and sendto, any POSIX) and, on Linux,
 * nacre__udp_linux_ops (recvmmsg and sendmmsg, the source address of answers, ICMP errors with their address, and runs of
 * datagrams in one piece). The loop talks to nacre__udp_receive, nacre__udp_pending, nacre__udp_send and
 * nacre__udp_next_unreachable only. */
#ifndef NACRE_IO_UDP_INTERNAL_H
#define NACRE_IO_UDP_INTERNAL_H

#include <nacre/udp.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    NACRE__UDP_BURST = 64,       /* datagrams in one system call, at most */
    NACRE__UDP_UNREACHABLE = 16, /* reports kept until they are fetched; what is above falls to the timers */
};

/* Where received datagrams go: `num` rooms of `stride` bytes, one after the other. Longer datagrams are cut, and say so
 * (full_len). (Those of a run stay in the run's own memory, and are cut alike.) */
typedef struct nacre__udp_rooms {
    uint8_t *memory;
    size_t stride, num;
} nacre__udp_rooms;

typedef struct nacre__udp_ops {
    /* Take up to rooms->num datagrams without waiting; how many, or -1 with errno. Entries of `in` whose peer has length
     * 0 are to be ignored. */
    int (*receive)(nacre_udp *udp, nacre_datagram *in, const nacre__udp_rooms *rooms);
    /* Send the datagrams at the start of the array; how many went, at least 1, or -1 with errno for the first one. */
    int (*send)(nacre_udp *udp, const nacre_outgoing *out, size_t num);
    /* Fetch ICMP errors that have come, and note the peers; may be NULL. */
    void (*fetch_errors)(nacre_udp *udp);
    /* Ask the system for runs; may be NULL. */
    bool (*use_runs)(nacre_udp *udp);
} nacre__udp_ops;
extern const nacre__udp_ops nacre__udp_plain_ops;
#ifdef __linux__
extern const nacre__udp_ops nacre__udp_linux_ops;
#endif

/* Which of our addresses a peer talked to last, for sockets that are bound to all of them: four ways of 256 sets. What fell
 * out is sent from the address that the system chooses. */
enum { NACRE__SOURCE_SETS = 256, NACRE__SOURCE_WAYS = 4 };
typedef struct nacre__source {
    nacre_address peer;
    struct in6_addr local; /* IPv4 as mapped */
} nacre__source;
typedef struct nacre__sources {
    nacre__source ways[NACRE__SOURCE_SETS][NACRE__SOURCE_WAYS];
    uint8_t next[NACRE__SOURCE_SETS];
    uint8_t hash_key[16]; /* random: a peer cannot choose its set */
} nacre__sources;
void nacre__sources_note(nacre__sources *s, const nacre_address *peer, const struct in6_addr *local);
const struct in6_addr *nacre__sources_find(const nacre__sources *s, const nacre_address *peer);

typedef struct nacre__udp_control { /* aligned for control messages */
    _Alignas(struct cmsghdr) uint8_t bytes[96];
} nacre__udp_control;

/* Runs: datagrams of one peer and one length, the last perhaps shorter, that the system hands over and takes in one piece
 * (Linux: UDP_GRO, UDP_SEGMENT). What a burst of the loop leaves of them waits here for the next one. */
enum { NACRE__UDP_RUNS = 32, NACRE__UDP_RUN_BYTES = 65536 };
typedef struct nacre__udp_run {
    nacre_address peer; /* length 0: not for us */
    const uint8_t *at;  /* the next datagram */
    size_t left, size;  /* bytes that are left; bytes of each datagram but the last */
} nacre__udp_run;
typedef struct nacre__udp_runs {
    uint8_t *memory; /* NACRE__UDP_RUNS times NACRE__UDP_RUN_BYTES; pages that no run has reached are not there */
    nacre__udp_run run[NACRE__UDP_RUNS];
    size_t next, num; /* runs from `next` on have datagrams left */
    bool no_sending;  /* the way out cannot cut runs: datagrams go one by one */
} nacre__udp_runs;

struct nacre_udp {
    int fd;
    bool ipv6; /* an IPv6 socket: IPv4 goes as mapped addresses */
    const nacre__udp_ops *ops;
    nacre__sources *sources; /* NULL when not needed */
    nacre__udp_runs *runs;   /* NULL when not asked for */
    nacre_address local;
    nacre_address unreachable[NACRE__UDP_UNREACHABLE];
    size_t num_unreachable;
    struct sockaddr_storage names[NACRE__UDP_BURST];
    struct iovec slices[NACRE__UDP_BURST];
    nacre__udp_control controls[NACRE__UDP_BURST];
#ifdef __linux__
    struct mmsghdr messages[NACRE__UDP_BURST];
#endif
};

/* nacre__udp_receive takes what is there, up to `rooms`, without waiting; bytes point into the rooms, or into a run that
 * lives until the next call.
 * NACRE_OK with *num set, 0 included; NACRE_ERR_ADDRESS when the socket is broken for good. */
NACRE_MUST_USE nacre_err nacre__udp_receive(nacre_udp *udp, nacre_datagram *in, size_t *num,
                                            const nacre__udp_rooms *rooms);

/* nacre__udp_datagram: what came into a slice, the peer still to be set. Of a datagram that is cut, `len` may be its full length
 * or, where the system does not tell, the slice's; full_len is then one more, which means "longer". */
nacre_datagram nacre__udp_datagram(const struct iovec *slice, size_t len, bool is_cut);

/* nacre__udp_pending: datagrams have come that poll does not tell of. */
bool nacre__udp_pending(const nacre_udp *udp);

/* nacre__udp_send sends what the system takes; what it does not take now is lost, as datagrams may be. */
void nacre__udp_send(nacre_udp *udp, const nacre_outgoing *out, size_t num);

/* nacre__udp_next_unreachable gives a peer to which nothing arrives; false when there is none. */
bool nacre__udp_next_unreachable(nacre_udp *udp, nacre_address *peer);
void nacre__udp_note_unreachable(nacre_udp *udp, const nacre_address *peer);
void nacre__udp_fetch_errors(nacre_udp *udp);

/* The errno values of a datagram that cannot get to its peer, as ICMP and the routing table say it. */
bool nacre__udp_means_unreachable(int error);

#endif
