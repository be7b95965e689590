/* SPDX-License-Identifier: MIT */
/* proxy_uri: a Proxy-Uri option would reveal path and query to the proxy, so it is split (RFC 8613 4.1.3.3): path and query
 * become inner options; scheme, host and port stay in Proxy-Uri. */
#ifndef NACRE_OSCORE_PROXY_URI_H
#define NACRE_OSCORE_PROXY_URI_H

#include <nacre/coap.h>

/* If `plain` has a Proxy-Uri option, its options are rewritten at the end of `buf`, which shrinks accordingly; plain->options
 * then points there. Otherwise no effect.
 * NACRE_OK; NACRE_ERR_BAD_URI; NACRE_ERR_BAD_ARGUMENT (Uri-Path or Uri-Query beside it: RFC 7252 5.10.2); NACRE_ERR_NESTED (an
 * OSCORE option beside it); NACRE_ERR_BUFFER_TOO_SMALL */
nacre_err nacre__proxy_uri_split(nacre_message *plain, nacre_buf *buf);

/* Bytes needed in addition to the message; 0 without a Proxy-Uri option. */
size_t nacre__proxy_uri_extra(const nacre_message *plain);

#endif
