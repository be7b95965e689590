/* SPDX-License-Identifier: MIT */
/* address: conversion between socket addresses and text (POSIX). */
#ifndef NACRE_ADDRESS_H
#define NACRE_ADDRESS_H

#include <nacre/base.h>
#include <nacre/endpoint.h>
#include <nacre/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* nacre_address_resolve turns "::1", "127.0.0.1", "[::1]:5683", "host:port" or "host" into the first address that the
 * system's resolver returns. NACRE_OK, NACRE_ERR_ADDRESS with `why`. */
NACRE_MUST_USE nacre_err nacre_address_resolve(nacre_address *address, const char *host_and_port, uint16_t default_port,
                                               nacre_detail *why);
/* nacre_address_text writes "[::1]:5683" or "127.0.0.1:5683". */
void nacre_address_text(const nacre_address *address, char text[72]);

/* nacre_address_part, for nacre_origin: the host of an IPv4 or IPv6 address is the address without its port, its network the /24 or
 * the /48. Other addresses are returned whole. The result points into `address`; `self` is not used. */
nacre_bytes nacre_address_part(void *self, const nacre_address *address, bool network);

#ifdef __cplusplus
}
#endif

#endif
