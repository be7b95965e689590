/* SPDX-License-Identifier: MIT */
/* address: how this room writes a UDP address into a nacre_address.
 *
 *     0      1        3                                       19              23
 *     +------+--------+---------------------------------------+---------------+
 *     |  6   |  port  |  IPv6 address                         |  scope        |     the scope of link-local addresses, else 0
 *     +------+--------+---------------------------------------+---------------+
 *     |  4   |  port  |  IPv4 address  |   7 bytes
 *     +------+--------+----------------+
 *
 * Everything big-endian. An address has one form only, so that addresses compare byte by byte: IPv4-mapped IPv6 addresses
 * (RFC 4291 2.5.5.2) are written as IPv4, and a flow label is nowhere. */
#ifndef NACRE_IO_ADDRESS_H
#define NACRE_IO_ADDRESS_H

#include <nacre/endpoint.h>
#include <nacre/store.h>

#include <netinet/in.h>
#include <sys/socket.h>

enum { NACRE__ADDRESS_V4_LEN = 7, NACRE__ADDRESS_V6_LEN = 23 };

/* nacre__address_from makes the address of a socket address; false for a family that is neither IPv4 nor IPv6. */
bool nacre__address_from(nacre_address *address, const struct sockaddr *sa, size_t sa_len);

/* nacre__address_to makes the socket address that a socket of that kind takes: with `ipv6`, IPv4 addresses become mapped
 * ones. Returns its length; 0 when the address is none of UDP, or IPv6 for an IPv4 socket. */
socklen_t nacre__address_to(struct sockaddr_storage *sa, const nacre_address *address, bool ipv6);

bool nacre__address_is_ipv6(const nacre_address *address);
bool nacre__address_is_wildcard(const nacre_address *address); /* 0.0.0.0, ::, or length 0 */

bool nacre__address_is_multicast(const nacre_address *address);

/* nacre__address_is_one_host: neither a wildcard, nor a group, nor the broadcast address. */
bool nacre__address_is_one_host(const nacre_address *address);

/* nacre__address_same_host: of one host, as far as that can be told: one IPv4 address, or the first half of an IPv6 address. */
bool nacre__address_same_host(const nacre_address *a, const nacre_address *b);

/* nacre__address_any_v4 makes :: with a port 0.0.0.0 with that port, and leaves others alone. */
void nacre__address_any_v4(nacre_address *address);

/* nacre__resolve_all gives as many addresses as a host has, up to NACRE__MAX_ADDRESSES, each once and in the resolver's order; at
 * least one. nacre__resolve_text is the same for "HOST:PORT", as nacre_address_resolve reads it. */
enum { NACRE__MAX_ADDRESSES = 8 };
NACRE_MUST_USE nacre_err nacre__resolve_text(nacre_address addresses[NACRE__MAX_ADDRESSES], size_t *num,
                                             const char *host_and_port, uint16_t default_port, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__resolve_all(nacre_address addresses[NACRE__MAX_ADDRESSES], size_t *num,
                                            const char *host, uint16_t port, nacre_detail *why);

#endif
