/* SPDX-License-Identifier: MIT */
/* uri_fault: for people, which part of a URI makes it none (RFC 3986, RFC 7252 6.4). */
#ifndef NACRE_IO_URI_FAULT_H
#define NACRE_IO_URI_FAULT_H

/* nacre__uri_fault is asked about a text that nacre_uri_parse refuses, and gives a static phrase. */
const char *nacre__uri_fault(const char *text);

#endif
