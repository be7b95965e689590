/* SPDX-License-Identifier: MIT */
/* serve_service: what a service manager passes in the environment: sockets (sd_listen_fds(3)), the socket for notifications and the
 * watchdog (sd_notify(3)). Without one nothing happens. */
#ifndef NACRE_TOOL_SERVE_SERVICE_H
#define NACRE_TOOL_SERVE_SERVICE_H

#include "tool.h"

/* serve_service_sockets finds a UDP and a listening TCP socket among those that were passed; 0: none. NACRE_OK;
 * NACRE_ERR_ADDRESS: `why` says which descriptor is of no use, or that there are two of a kind. */
NACRE_MUST_USE nacre_err serve_service_sockets(int *udp, int *tcp, nacre_detail *why);

/* serve_service_tell sends one or more lines such as "READY=1". Any thread. */
void serve_service_tell(const char *lines);

/* serve_service_tell_reload begins a reload; serve_service_tell("READY=1") ends it. */
void serve_service_tell_reload(void);

/* serve_service_watchdog_ms: a sign of life is due this often; 0: none is. */
uint32_t serve_service_watchdog_ms(void);

#endif
