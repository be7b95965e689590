/* SPDX-License-Identifier: MIT */
/* metrics_http: a small HTTP server in one thread, for GET and HEAD, over libmicrohttpd. What it can cost is bounded:
 *
 *     connections           16, of one address 8; the others are closed at once
 *     memory                16 KiB for each connection: longer request lines and headers are 4xx
 *     time                  a connection without progress for 5 seconds is closed
 *     processor             one eighth of a core: after each piece of work the thread rests for seven times as long. Its priority is
 *                           below that of the workers
 *
 * Requests with a Host that is neither an IP address, localhost nor the name that the server was given are refused, so that
 * a web page cannot read the figures by a name of its own that resolves to this host (DNS rebinding). */
#ifndef NACRE_TOOL_METRICS_HTTP_H
#define NACRE_TOOL_METRICS_HTTP_H

#include "tool.h"

typedef struct metrics_http metrics_http;

/* The response to a GET. `body` is freed; NULL: 500. `nonce`: of a page with a script and a style, else "". */
typedef struct metrics_response {
    unsigned status;
    const char *type;
    char *body;
    size_t len;
    char nonce[33];
} metrics_response;

/* Called by the server's thread. `response` has status 404 and no body: nothing is there. */
typedef void (*metrics_on_get)(void *self, const char *path, metrics_response *response);

/* metrics_http_open listens on `address` ("9464", "127.0.0.1:9464", "[::1]:0", "name:9464"; a number alone is a port of
 * 127.0.0.1). NACRE_OK; NACRE_ERR_ADDRESS, NACRE_ERR_NO_MEMORY, NACRE_ERR_UNSUPPORTED (not built in): `why` says it. */
NACRE_MUST_USE nacre_err metrics_http_open(metrics_http **http, const char *address, metrics_on_get on_get, void *self,
                                           nacre_detail *why);
const char *metrics_http_url(const metrics_http *http); /* "http://127.0.0.1:9464/" */
void metrics_http_close(metrics_http *http);            /* waits for the thread, up to 200 ms; NULL is allowed */

/* metrics_http_host.c: whether a request with this Host (NULL: none) is served. `name` is what the server was given. */
bool metrics_host_is_ours(const char *host, const char *name);

#endif
