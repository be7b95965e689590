/* SPDX-License-Identifier: MIT */
/* metrics_http_absent: in place of metrics_http.c where libmicrohttpd is not there. */
#include "metrics_http.h"

#include <stdio.h>

nacre_err metrics_http_open(metrics_http **http, const char *address, metrics_on_get on_get, void *self,
                            nacre_detail *why)
{
    (void)http, (void)address, (void)on_get, (void)self;
    (void)snprintf(
        why->text, sizeof why->text,
        "--metrics is not built in: build nacre with libmicrohttpd 0.9.73 or newer (Debian: libmicrohttpd-dev)");
    return NACRE_ERR_UNSUPPORTED;
}

const char *metrics_http_url(const metrics_http *http)
{
    (void)http;
    return "";
}

void metrics_http_close(metrics_http *http)
{
    (void)http;
}
