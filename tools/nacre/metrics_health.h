/* SPDX-License-Identifier: MIT */
/* metrics_health: what /healthz and /readyz say of a server. */
#ifndef NACRE_TOOL_METRICS_HEALTH_H
#define NACRE_TOOL_METRICS_HEALTH_H

#include "tool.h"

enum { METRICS_HANGS_MS = 10000 }; /* a worker that works so long without waiting hangs */

typedef struct metrics_verdict {
    bool is_good;
    char text[160]; /* "ok", or why not */
} metrics_verdict;

metrics_verdict metrics_health(const nacre_server_stats *stats);
metrics_verdict metrics_readiness(const nacre_server_stats *stats); /* never good without health */

#endif
