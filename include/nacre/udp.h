/* SPDX-License-Identifier: MIT */
/* udp: bursts of datagrams over IPv4 and IPv6 (POSIX sockets). A socket belongs to one thread. */
#ifndef NACRE_UDP_H
#define NACRE_UDP_H

#include <nacre/address.h>
#include <nacre/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_udp nacre_udp;
/* nacre_udp_open binds to `local` (length 0 or NULL: any port, dual stack; "[::]" is dual stack too). Bound to a wildcard,
 * answers leave from the address that was asked, and what came by multicast is dropped (Linux; elsewhere the system
 * chooses). Sending never fails: what cannot go is lost, or reported to the endpoint as unreachable.
 * NACRE_OK: close it with nacre_udp_close; NACRE_ERR_ADDRESS (`why` names address and reason); NACRE_ERR_NO_MEMORY. */
NACRE_MUST_USE nacre_err nacre_udp_open(nacre_udp **udp, const nacre_address *local, nacre_detail *why);
/* nacre_udp_open_beside opens one more socket at the address of `first`, for another thread: the system spreads peers over
 * all of them, and keeps a peer with one (SO_REUSEPORT). As nacre_udp_open; NACRE_ERR_UNSUPPORTED where the system does not
 * do that. */
NACRE_MUST_USE nacre_err nacre_udp_open_beside(nacre_udp **udp, const nacre_udp *first, nacre_detail *why);
void nacre_udp_close(nacre_udp *udp); /* NULL is allowed */
/* nacre_udp_use_gso: datagrams of one peer and one length are taken from the system, and given to it, many in one piece
 * where they come so (Linux: UDP_GRO, UDP_SEGMENT). For servers and gateways with much traffic between few addresses;
 * costs up to 2 MiB. False where the system has no such thing, or no memory: all works on, one by one. */
bool nacre_udp_use_gso(nacre_udp *udp);
int nacre_udp_fd(const nacre_udp *udp);              /* for poll */
nacre_address nacre_udp_local(const nacre_udp *udp); /* with the port that the system chose */

#ifdef __cplusplus
}
#endif

#endif
