/* SPDX-License-Identifier: MIT */
/* uri_fault: explains which part of a text makes it no CoAP URI (RFC 3986, RFC 7252 6.4). */
#ifndef NACRE_IO_URI_FAULT_H
#define NACRE_IO_URI_FAULT_H

#include <nacre/coap.h>

/* nacre__uri_fault takes a text that nacre_uri_parse rejects and returns a static phrase. */
const char *nacre__uri_fault(const char *text);

/* nacre__uri_long_part takes a URI that nacre_uri_options rejects, because an option has at most 255 bytes (RFC 7252 5.10),
 * and returns a static phrase. */
const char *nacre__uri_long_part(const nacre_uri *uri);

#endif
