/* SPDX-License-Identifier: MIT */
/* uri_match: whether a credentials pattern covers a URI. */
#ifndef NACRE_STORE_URI_MATCH_H
#define NACRE_STORE_URI_MATCH_H

#include <nacre/base.h>

/* A URI in pieces, so that it can be looked at with and without its default port, and with the '/' that an empty path
 * stands for, without being copied. Letters in `start` compare without regard to case. */
typedef struct nacre__uri_view {
    nacre_bytes start;        /* "coap://host" */
    nacre_bytes port;         /* ":5683", or empty */
    nacre_bytes slash;        /* "/" where the text has none */
    nacre_bytes rest;         /* path and query as in the text */
    nacre_bytes default_port; /* ":5683" of that scheme; empty when the port given is another one, or none is known */
} nacre__uri_view;

nacre__uri_view nacre__uri_view_of(const char *uri);

/* nacre__uri_matches says whether `pattern` ('*' is any run of characters) covers the whole URI, with its default port
 * left out or given. It takes at most as many steps as pattern and URI have characters, multiplied. */
bool nacre__uri_matches(const char *pattern, const nacre__uri_view *uri);

#endif
