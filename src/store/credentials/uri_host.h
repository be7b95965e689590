/* SPDX-License-Identifier: MIT */
/* uri_host: normalises the host and port of a URI.
 *
 * "[::1]", "[0:0:0:0:0:0:0:1]" and "[::1%251]" are one address, as are "127.0.0.1", "127.1" and "[::ffff:7f00:1]": the
 * system's resolver accepts them all. "h" and "h." are one name, ":5684" and ":05684" one port. Names are not resolved. */
#ifndef NACRE_STORE_URI_HOST_H
#define NACRE_STORE_URI_HOST_H

#include <stddef.h>

enum { NACRE__URI_HOST_MORE = 80 }; /* maximum growth, including the NUL */

/* nacre__uri_host_plain writes a URI or pattern with normalised host and port: addresses as inet_ntop writes them, IPv4-mapped
 * ones as IPv4, scopes as numbers and only for link-local addresses. Without an authority it is copied unchanged, as is a host
 * or port with a '*'. `out` has room for strlen(uri) + NACRE__URI_HOST_MORE characters. */
void nacre__uri_host_plain(char *out, const char *uri);

#endif
