/* SPDX-License-Identifier: MIT */
/* metrics_text: the figures in Prometheus' text format 0.0.4, and as JSON. */
#ifndef NACRE_TOOL_METRICS_TEXT_H
#define NACRE_TOOL_METRICS_TEXT_H

#include "metrics_list.h"
#include "metrics_notes.h"

/* A text that grows; all zero is empty. Free `ptr`. */
typedef struct metrics_text {
    char *ptr;
    size_t len, cap;
    bool failed; /* out of memory: the text is not complete */
} metrics_text;

void metrics_text_add(metrics_text *text, const char *format, ...) NACRE_PRINTF(2, 3);
void metrics_text_bytes(metrics_text *text, const char *bytes, size_t len);

void metrics_prometheus(metrics_text *text, const metrics_snapshot *snapshot);

/* What the status page shows beside the figures. */
typedef struct metrics_page {
    const char *health, *readiness; /* "ok", or why not */
    const char *const *names;       /* of contexts, the first of … */
    size_t num_names, num_all_names;
    const metrics_note *notes; /* newest first */
    size_t num_notes;
} metrics_page;

/* Every string is made visible: no control characters, no changes of direction, valid UTF-8. */
void metrics_json(metrics_text *text, const metrics_snapshot *snapshot, const metrics_page *page);

#endif
