/* SPDX-License-Identifier: MIT */
/* serve_metrics: `nacre serve --metrics`: figures, health and the status page of a server over HTTP. */
#ifndef NACRE_TOOL_SERVE_METRICS_H
#define NACRE_TOOL_SERVE_METRICS_H

#include "tool.h"

typedef struct serve_metrics serve_metrics;

/* serve_metrics_open: NACRE_OK, or an error as metrics_http_open. The server must outlive the result. */
NACRE_MUST_USE nacre_err serve_metrics_open(serve_metrics **metrics, const char *address, const nacre_server *server,
                                            nacre_detail *why);
const char *serve_metrics_url(const serve_metrics *metrics);
void serve_metrics_close(serve_metrics *metrics); /* NULL is allowed */

/* serve_metrics_name: the names of contexts to show: directories, and the entries of a credentials file (NULL: none). From any thread;
 * `metrics` may be NULL: no effect, as below. */
void serve_metrics_name(serve_metrics *metrics, char *const *directories, size_t num, const char *credentials);

/* From any thread; `metrics` may be NULL: no effect. */
void serve_metrics_on_store(serve_metrics *metrics, const nacre_store_report *report);
void serve_metrics_on_warning(serve_metrics *metrics, const char *text);

#endif
