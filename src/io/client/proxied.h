/* SPDX-License-Identifier: MIT */
/* proxied: what a request for a forward proxy has in place of the server's own address (RFC 7252 5.7, 5.10.2). */
#ifndef NACRE_IO_PROXIED_H
#define NACRE_IO_PROXIED_H

#include "io/address.h"

#include <nacre/coap.h>

/* nacre__proxy_resolve finds the proxy: "coap://HOST[:PORT]", "coap+tcp://HOST[:PORT]" or "HOST[:PORT]". NACRE_OK;
 * NACRE_ERR_BAD_URI (a path, or another scheme); NACRE_ERR_ADDRESS. All its addresses, as nacre__resolve_all. */
NACRE_MUST_USE nacre_err nacre__proxy_resolve(nacre_address addresses[NACRE__MAX_ADDRESSES], size_t *num,
                                              const char *proxy, nacre_detail *why);

/* nacre__proxied_options adds what says where the request is to go in the end: `text`, taken apart in `uri`, as one Proxy-Uri
 * option, or else Proxy-Scheme, Uri-Host, Uri-Port and path and query. Returns as nacre_uri_options. */
NACRE_MUST_USE nacre_err nacre__proxied_options(nacre_options *o, const nacre_uri *uri, const char *text,
                                                bool as_proxy_uri);

#endif
