/* SPDX-License-Identifier: MIT */
/* metrics_health: see metrics_health.h. */
#include "metrics_health.h"

#include <inttypes.h>
#include <stdio.h>

metrics_verdict metrics_health(const nacre_server_stats *stats)
{
    metrics_verdict v = { .is_good = stats->busy_ms < METRICS_HANGS_MS, .text = "ok" };
    if (!v.is_good)
        (void)snprintf(v.text, sizeof v.text, "a worker has been at work for %" PRIu64 " s without waiting",
                       stats->busy_ms / 1000);
    return v;
}

metrics_verdict metrics_readiness(const nacre_server_stats *stats)
{
    metrics_verdict v = metrics_health(stats);
    if (!v.is_good) return v;
    const bool has_contexts = stats->contexts > 0 || stats->databases > 0; /* those of databases are loaded on demand */
    v.is_good = has_contexts && stats->store_health.num_failing == 0;
    if (!has_contexts)
        (void)snprintf(v.text, sizeof v.text, "there is no security context: add one to the configuration, and reload");
    else if (stats->store_health.num_failing > 0)
        (void)snprintf(v.text, sizeof v.text, "the store of %zu context%s fails", stats->store_health.num_failing,
                       stats->store_health.num_failing == 1 ? "" : "s");
    return v;
}
