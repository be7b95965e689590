/* SPDX-License-Identifier: MIT */
/* metrics_formats: the figures in Prometheus' text format 0.0.4 (metrics_prometheus.c), and as JSON (metrics_json.c). */
#ifndef NACRE_TOOL_METRICS_FORMATS_H
#define NACRE_TOOL_METRICS_FORMATS_H

#include "metrics_list.h"
#include "metrics_notes.h"
#include "metrics_text.h"

/* metrics_prometheus appends the text format. */
void metrics_prometheus(metrics_text *text, const metrics_snapshot *snapshot);

/* What the status page shows beside the figures. */
typedef struct metrics_page {
    const char *health, *readiness; /* "ok", or why not */
    const char *const *names;       /* of contexts, the first of … */
    size_t num_names, num_all_names;
    const metrics_note *notes; /* newest first */
    size_t num_notes;
} metrics_page;

/* metrics_json appends an object. Every string is made visible: no control characters, no changes of direction, valid UTF-8. */
void metrics_json(metrics_text *text, const metrics_snapshot *snapshot, const metrics_page *page);

#endif
