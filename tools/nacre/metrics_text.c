/* SPDX-License-Identifier: MIT */
/* metrics_text: see metrics_text.h; the text format. */
#include "metrics_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- A text that grows -------------------------------------------------------------------------------------------------- */

static bool grow(metrics_text *text, size_t len)
{
    size_t cap = text->cap != 0 ? text->cap : 16384;
    if (text->failed) return false;
    while (cap - text->len <= len) cap *= 2;
    if (cap == text->cap) return true;
    char *larger = realloc(text->ptr, cap);
    text->failed = larger == NULL;
    if (text->failed) return false;
    text->ptr = larger;
    text->cap = cap;
    return true;
}

void metrics_text_bytes(metrics_text *text, const char *bytes, size_t len)
{
    if (!grow(text, len)) return;
    memcpy(text->ptr + text->len, bytes, len);
    text->len += len;
}

void metrics_text_add(metrics_text *text, const char *format, ...)
{
    char line[512];
    va_list more;
    va_start(more, format);
    const int len = vsnprintf(line, sizeof line, format, more);
    va_end(more);
    if (len < 0 || (size_t)len >= sizeof line) text->failed = true;
    else metrics_text_bytes(text, line, (size_t)len);
}

/* ---- The text format ---------------------------------------------------------------------------------------------------- */

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
