/* SPDX-License-Identifier: MIT */
/* udp: UDP sockets over IPv4 and IPv6 (POSIX), with batched calls. A socket belongs to one thread. */
#ifndef NACRE_UDP_H
#define NACRE_UDP_H

#include <nacre/address.h>
#include <nacre/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_udp nacre_udp;
/* nacre_udp_open binds to `local` (length 0 or NULL: any port, dual stack; "[::]" is dual stack too). When bound to a wildcard,
 * responses leave from the address that the request was sent to, and multicast is dropped (Linux; elsewhere the system chooses
 * the source). Sending never fails: a datagram is lost, or its peer is reported to the endpoint as unreachable.
 * NACRE_OK: close it with nacre_udp_close; NACRE_ERR_ADDRESS (`why` names address and reason; also a multicast or
 * broadcast address); NACRE_ERR_NO_MEMORY. */
NACRE_MUST_USE nacre_err nacre_udp_open(nacre_udp **udp, const nacre_address *local, nacre_detail *why);
/* nacre_udp_open_beside opens another socket at the address of `first`, for another thread: the system spreads peers over
 * all of them, and keeps each peer on one (SO_REUSEPORT). As nacre_udp_open; NACRE_ERR_UNSUPPORTED where the system
 * cannot do that. */
NACRE_MUST_USE nacre_err nacre_udp_open_beside(nacre_udp **udp, const nacre_udp *first, nacre_detail *why);
void nacre_udp_close(nacre_udp *udp); /* NULL is allowed */
/* nacre_udp_use_gso: datagrams of one peer and one length are received and sent in batches by one call
 * (Linux: UDP_GRO, UDP_SEGMENT). For servers and gateways with much traffic between few addresses;
 * costs up to 2 MiB. False: not supported, or out of memory; the socket still works, one datagram at a time. */
bool nacre_udp_use_gso(nacre_udp *udp);
int nacre_udp_fd(const nacre_udp *udp);              /* for poll */
nacre_address nacre_udp_local(const nacre_udp *udp); /* with the port chosen by the system */

#ifdef __cplusplus
}
#endif

#endif
