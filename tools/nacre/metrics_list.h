/* SPDX-License-Identifier: MIT */
/* metrics_list: the figures of nacre serve under the names of docs/metrics.md, in one order, for whatever prints them. */
#ifndef NACRE_TOOL_METRICS_LIST_H
#define NACRE_TOOL_METRICS_LIST_H

#include "tool.h"

typedef enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM } metric_type;

/* What is printed. `uptime_s`, `is_healthy` and `is_ready` are the tool's, the rest the server's. */
typedef struct metrics_snapshot {
    nacre_server_stats stats;
    uint64_t uptime_s;
    bool is_healthy, is_ready;
} metrics_snapshot;

/* One value: without a label (label NULL), or with label="value". */
typedef struct metric_sample {
    const char *label, *value;
    uint64_t number;                /* counters and gauges; … */
    const nacre_store_times *times; /* … histograms */
    bool in_milli;                  /* `number` is in thousandths of the unit */
} metric_sample;

/* `family` begins a metric, and each of its values goes to `sample`. */
typedef struct metrics_sink {
    void (*family)(void *self, const char *name, metric_type type, const char *help);
    void (*sample)(void *self, const metric_sample *sample);
    void *self;
} metrics_sink;

void metrics_list(const metrics_snapshot *snapshot, const metrics_sink *sink);

#endif
