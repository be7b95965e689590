/* SPDX-License-Identifier: MIT */
/* uri_host: one spelling for the host and port of a URI.
 *
 * "[::1]", "[0:0:0:0:0:0:0:1]" and "[::1%251]" are one address, as are "127.0.0.1", "127.1" and "[::ffff:7f00:1]": the
 * system's resolver takes them all. "h" and "h." are one name, ":5684" and ":05684" one port. Which name stands for which
 * address only a resolver knows, and nobody asks one here. */
#ifndef NACRE_STORE_URI_HOST_H
#define NACRE_STORE_URI_HOST_H

#include <stddef.h>

enum { NACRE__URI_HOST_MORE = 80 }; /* how much longer it may get, the NUL included */

/* nacre__uri_host_plain writes a URI, or a pattern over URIs, with its host and port in the one spelling: addresses as
 * inet_ntop has them, IPv4 where IPv4 is meant, scopes by number and only where there are any. What has no authority, or a
 * '*' in what would have to be known, is copied there as it is. */
void nacre__uri_host_plain(char *out, const char *uri);

#endif
