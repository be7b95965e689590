/* SPDX-License-Identifier: MIT */
/* metrics_prometheus: the figures in Prometheus' text format 0.0.4. */
#include "metrics_formats.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct writer {
    metrics_text *text;
    const char *name;
} writer;

static void family(void *self, const char *name, metric_type type, const char *help)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };
    writer *w = self;
    w->name = name;
    metrics_text_add(w->text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, types[type]);
}

/* No label has a character that must be escaped. */
static void histogram(const writer *w, const metric_sample *s)
{
    uint64_t count = 0;
    for (size_t i = 0; i < NACRE_STORE_TIME_BUCKETS; i++) {
        const uint64_t limit_us = nacre_store_time_limit_us(i);
        char le[32] = "+Inf";
        if (limit_us != UINT64_MAX) (void)snprintf(le, sizeof le, "%g", (double)limit_us / 1e6);
        count += s->times->buckets[i];
        metrics_text_add(w->text, "%s_bucket{%s=\"%s\",le=\"%s\"} %" PRIu64 "\n", w->name, s->label, s->value, le,
                         count);
    }
    metrics_text_add(w->text, "%s_sum{%s=\"%s\"} %" PRIu64 ".%06" PRIu64 "\n", w->name, s->label, s->value,
                     s->times->sum_us / 1000000, s->times->sum_us % 1000000);
    metrics_text_add(w->text, "%s_count{%s=\"%s\"} %" PRIu64 "\n", w->name, s->label, s->value, count);
}

static void sample(void *self, const metric_sample *s)
{
    const writer *w = self;
    if (s->times != NULL) {
        histogram(w, s);
        return;
    }
    metrics_text_add(w->text, "%s", w->name);
    if (s->label != NULL) metrics_text_add(w->text, "{%s=\"%s\"}", s->label, s->value);
    if (s->in_milli) metrics_text_add(w->text, " %" PRIu64 ".%03u\n", s->number / 1000, (unsigned)(s->number % 1000));
    else metrics_text_add(w->text, " %" PRIu64 "\n", s->number);
}

void metrics_prometheus(metrics_text *text, const metrics_snapshot *snapshot)
{
    writer w = { text, "" };
    const metrics_sink sink = { family, sample, &w };
    metrics_list(snapshot, &sink);
}
