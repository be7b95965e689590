/* SPDX-License-Identifier: MIT */
/* uri_match: whether a credentials pattern covers a URI. */
#ifndef NACRE_STORE_URI_MATCH_H
#define NACRE_STORE_URI_MATCH_H

#include <nacre/base.h>

/* nacre__uri_canonical writes a URI as RFC 7252 6.5 composes it: scheme and host in lower case, percent-encoding only if needed
 * and with upper-case digits, '/' for an empty path, dot segments resolved (RFC 3986 5.2.4). The port is unchanged. Without an
 * authority the URI is copied. `out` has room for strlen(uri) + 2 characters. */
void nacre__uri_canonical(char *out, const char *uri);

/* An error text for a pattern; NULL: valid. Refused: malformed percent-encoding; %2A, which would become a wildcard; a dot
 * segment after a '*'. */
const char *nacre__uri_pattern_fault(const char *pattern);

/* nacre__uri_pattern_canonical writes a valid pattern with the percent-encoding of a canonical URI and its dot segments
 * resolved. After a '*' the URI part of a character is unknown, so encodings that depend on it stay unchanged. `out` has room
 * for strlen(pattern) + 1. */
void nacre__uri_pattern_canonical(char *out, const char *pattern);

/* A URI in pieces, so that it can be compared with and without its default port, and with the '/' of an empty path, without a
 * copy. `start` compares case-insensitively. */
typedef struct nacre__uri_view {
    nacre_bytes start;        /* "coap://host" */
    nacre_bytes port;         /* ":5683", or empty */
    nacre_bytes slash;        /* "/" if the text has none */
    nacre_bytes rest;         /* path and query, unchanged */
    nacre_bytes default_port; /* ":5683" of that scheme; empty if another port is given or none is known */
} nacre__uri_view;

nacre__uri_view nacre__uri_view_of(const char *uri);

/* nacre__uri_covers tells whether `pattern` ('*' is any run of characters except newlines) matches the whole URI exactly. It
 * takes at most strlen(pattern) * strlen(uri) steps. */
bool nacre__uri_covers(const char *pattern, const char *uri);

/* nacre__uri_matches: the same, but with or without the default port, and case-insensitive in scheme and host. */
bool nacre__uri_matches(const char *pattern, const nacre__uri_view *uri);

#endif
