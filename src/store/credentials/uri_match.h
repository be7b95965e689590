/* SPDX-License-Identifier: MIT */
/* uri_match: whether a credentials pattern covers a URI. */
#ifndef NACRE_STORE_URI_MATCH_H
#define NACRE_STORE_URI_MATCH_H

#include <nacre/base.h>

/* nacre__uri_canonical writes a URI as RFC 7252 6.5 composes it: scheme and host in lower case, no percent-encoding where
 * none is needed and upper-case digits where it is, a '/' for an empty path, dot segments resolved (RFC 3986 5.2.4). The port stays as it is. `out` has room for
 * strlen(uri) + 2 characters. What has no authority is only copied. */
void nacre__uri_canonical(char *out, const char *uri);

/* What is wrong with a pattern, for people; NULL: nothing. Its percent-encoding must be one, and not of '*', which would be taken for
 * a wildcard; and it has no dot segment after a '*'. */
const char *nacre__uri_pattern_fault(const char *pattern);

/* nacre__uri_pattern_canonical writes a pattern without a fault with the percent-encoding of a canonical URI, its dot segments
 * resolved. After a '*' the part that a
 * character is in is not known, and one whose encoding depends on it stays as it is. `out` has room for strlen(pattern) + 1. */
void nacre__uri_pattern_canonical(char *out, const char *pattern);

/* A URI in pieces, so that it can be looked at with and without its default port, and with the '/' that an empty path
 * stands for, without being copied. Letters in `start` compare without regard to case, unless exactness is asked for. */
typedef struct nacre__uri_view {
    nacre_bytes start;        /* "coap://host" */
    nacre_bytes port;         /* ":5683", or empty */
    nacre_bytes slash;        /* "/" where the text has none */
    nacre_bytes rest;         /* path and query as in the text */
    nacre_bytes default_port; /* ":5683" of that scheme; empty when the port given is another one, or none is known */
} nacre__uri_view;

nacre__uri_view nacre__uri_view_of(const char *uri);

/* nacre__uri_covers says whether `pattern` ('*' is any run of characters, but for newlines) covers the whole URI, character
 * by character. It takes at most as many steps as pattern and URI have characters, multiplied. */
bool nacre__uri_covers(const char *pattern, const char *uri);

/* nacre__uri_matches: the same, but with the default port left out or given, and without regard to case in scheme and
 * host. */
bool nacre__uri_matches(const char *pattern, const nacre__uri_view *uri);

#endif
