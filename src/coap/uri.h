/* SPDX-License-Identifier: MIT */
/* uri: URI functions shared with the Proxy-Uri split. */
#ifndef NACRE_COAP_URI_H
#define NACRE_COAP_URI_H

#include <nacre/coap.h>

/* nacre_uri_parse for any scheme with an authority. */
nacre_err nacre__uri_parse_any(nacre_uri *uri, nacre_bytes text);

/* The default port, or 0. */
uint16_t nacre__uri_default_port(nacre_bytes scheme);

/* Adds Uri-Path and Uri-Query options. */
nacre_err nacre__uri_path_and_query(nacre_options *o, const nacre_uri *uri);

#endif
