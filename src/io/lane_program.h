/* SPDX-License-Identifier: MIT */
/* lane_program: the classic BPF program that chooses among the sockets of a port, by a keyed hash of a datagram's source address
 * and port (Linux: SO_ATTACH_REUSEPORT_CBPF). A server of W workers has 2 * W sockets, in the order in which they were bound:
 *
 *     socket 2 * w        worker w, unlisted peers
 *     socket 2 * w + 1    worker w, listed peers
 *
 * The hash modulo W is the worker, so a peer has the same worker whether it is listed or not. */
#ifndef NACRE_IO_LANE_PROGRAM_H
#define NACRE_IO_LANE_PROGRAM_H

#include <nacre/endpoint.h>

enum {
    NACRE__LANE_PEERS = 1024,   /* maximum number of listed peers */
    NACRE__LANE_PROGRAM = 2048, /* maximum length, in instructions; the kernel's limit is 4096 */
};

/* Random, so that a sender does not know which sources share a peer's hash. */
typedef struct nacre__lane_key {
    uint32_t start, factor, last_factor; /* the factors are odd */
} nacre__lane_key;

/* nacre__lane_hash: of an IPv4 or IPv6 address and its port, without its scope. */
uint32_t nacre__lane_hash(const nacre__lane_key *key, const nacre_address *peer);

#ifdef __linux__
struct sock_filter;
/* nacre__lane_program writes the program for a list of `num` hashes, at most NACRE__LANE_PEERS, to `out`, which has
 * NACRE__LANE_PROGRAM entries, and returns its length in instructions. `hashes` is sorted and shortened to 31 bits, because the
 * kernel translates a comparison with a larger constant into one more instruction. */
size_t nacre__lane_program(struct sock_filter *out, const nacre__lane_key *key, unsigned num_workers, uint32_t *hashes,
                           size_t num);
#endif

#endif
