/* SPDX-License-Identifier: MIT */
/* proxy_target: addressing of a request to a forward proxy (RFC 7252 5.7, 5.10.2). */
#ifndef NACRE_IO_PROXY_TARGET_H
#define NACRE_IO_PROXY_TARGET_H

#include "io/address.h"

#include <nacre/coap.h>

/* nacre__proxy_resolve resolves "coap://HOST[:PORT]", "coap+tcp://HOST[:PORT]" or "HOST[:PORT]" to all addresses, as
 * nacre__resolve_all. NACRE_OK; NACRE_ERR_BAD_URI (a path, or another scheme); NACRE_ERR_ADDRESS. */
NACRE_MUST_USE nacre_err nacre__proxy_resolve(nacre_address addresses[NACRE__MAX_ADDRESSES], size_t *num,
                                              const char *proxy, nacre_detail *why);

/* nacre__proxy_target_options adds the final destination `text`, parsed in `uri`: as one Proxy-Uri option, or else as
 * Proxy-Scheme, Uri-Host, Uri-Port, path and query. Returns as nacre_uri_options. */
NACRE_MUST_USE nacre_err nacre__proxy_target_options(nacre_options *o, const nacre_uri *uri, const char *text,
                                                     bool as_proxy_uri);

#endif
