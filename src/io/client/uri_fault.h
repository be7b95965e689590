/* SPDX-License-Identifier: MIT */
/* uri_fault: explains which part of a text makes it no CoAP URI (RFC 3986, RFC 7252 6.4). */
#ifndef NACRE_IO_URI_FAULT_H
#define NACRE_IO_URI_FAULT_H

/* nacre__uri_fault takes a text that nacre_uri_parse rejects and returns a static phrase. */
const char *nacre__uri_fault(const char *text);

#endif
