/* SPDX-License-Identifier: MIT */
/* address: the encoding of a UDP address in a nacre_address.
 *
 *     0      1        3                                       19              23
 *     +------+--------+---------------------------------------+---------------+
 *     |  6   |  port  |  IPv6 address                         |  scope        |     the scope of link-local addresses, else 0
 *     +------+--------+---------------------------------------+---------------+
 *     |  4   |  port  |  IPv4 address  |   7 bytes
 *     +------+--------+----------------+
 *
 * All fields are big-endian. Each address has one form, so that addresses compare byte by byte: IPv4-mapped IPv6 addresses
 * (RFC 4291 2.5.5.2) are written as IPv4, and flow labels are left out. */
#ifndef NACRE_IO_ADDRESS_H
#define NACRE_IO_ADDRESS_H

#include <nacre/endpoint.h>
#include <nacre/store.h>

#include <netinet/in.h>
#include <sys/socket.h>

enum { NACRE__ADDRESS_V4_LEN = 7, NACRE__ADDRESS_V6_LEN = 23 };

/* nacre__address_from converts a socket address; false for a family other than IPv4 and IPv6. */
bool nacre__address_from(nacre_address *address, const struct sockaddr *sa, size_t sa_len);

/* nacre__address_to converts to a socket address for a socket of that kind: with `ipv6`, IPv4 addresses become IPv4-mapped.
 * Returns its length; 0 when the address is not a UDP address, or is IPv6 and the socket is IPv4. */
socklen_t nacre__address_to(struct sockaddr_storage *sa, const nacre_address *address, bool ipv6);

bool nacre__address_is_ipv6(const nacre_address *address);
bool nacre__address_is_wildcard(const nacre_address *address); /* 0.0.0.0, ::, or length 0 */

bool nacre__address_is_multicast(const nacre_address *address);

/* nacre__address_is_one_host: not a wildcard, a multicast group or the broadcast address. */
bool nacre__address_is_one_host(const nacre_address *address);

/* nacre__address_same_host: same IPv4 address, or same IPv6 /64. */
bool nacre__address_same_host(const nacre_address *a, const nacre_address *b);

/* nacre__address_any_v4 turns [::]:port into 0.0.0.0:port and leaves other addresses unchanged. */
void nacre__address_any_v4(nacre_address *address);

/* nacre__resolve_all returns 1 to NACRE__MAX_ADDRESSES addresses of a host, without duplicates, in the resolver's order.
 * nacre__resolve_text does the same for "HOST:PORT", as nacre_address_resolve reads it. */
enum { NACRE__MAX_ADDRESSES = 8 };
NACRE_MUST_USE nacre_err nacre__resolve_text(nacre_address addresses[NACRE__MAX_ADDRESSES], size_t *num,
                                             const char *host_and_port, uint16_t default_port, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__resolve_all(nacre_address addresses[NACRE__MAX_ADDRESSES], size_t *num,
                                            const char *host, uint16_t port, nacre_detail *why);

#endif
