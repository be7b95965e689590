/* SPDX-License-Identifier: MIT */
/* metrics_json: the status page's figures:
 *
 *     {"health": "ok", "readiness": "ok", "now_ms": N,
 *      "metrics": {NAME: {"help": TEXT, "type": TYPE, "value": N | "values": {LABEL: N} | "times": {LABEL: {…}}}, …},
 *      "contexts": {"names": […], "num": N}, "notes": [{"age_s": N, "kind": …, "name": …, "text": …}]} */
#include "metrics_formats.h"

#include <string.h>
#include <yajl/yajl_gen.h>

typedef struct writer {
    yajl_gen gen;
    bool in_family, in_values;
} writer;

static void string(yajl_gen gen, const char *text)
{
    (void)yajl_gen_string(gen, (const unsigned char *)text, strlen(text));
}

static void number(yajl_gen gen, uint64_t value)
{
    (void)yajl_gen_integer(gen, value < INT64_MAX ? (long long)value : INT64_MAX);
}

static void named(yajl_gen gen, const char *name, const char *text)
{
    string(gen, name);
    string(gen, text);
}

static void named_number(yajl_gen gen, const char *name, uint64_t value)
{
    string(gen, name);
    number(gen, value);
}

static void end_family(writer *w)
{
    if (w->in_values) (void)yajl_gen_map_close(w->gen);
    if (w->in_family) (void)yajl_gen_map_close(w->gen);
    w->in_values = w->in_family = false;
}

static void family(void *self, const char *name, metric_type type, const char *help)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };
    writer *w = self;
    end_family(w);
    string(w->gen, name);
    (void)yajl_gen_map_open(w->gen);
    w->in_family = true;
    named(w->gen, "help", help);
    named(w->gen, "type", types[type]);
}

static void times(yajl_gen gen, const nacre_store_times *t)
{
    (void)yajl_gen_map_open(gen);
    named_number(gen, "sum_us", t->sum_us);
    string(gen, "buckets");
    (void)yajl_gen_array_open(gen);
    for (size_t i = 0; i < NACRE_STORE_TIME_BUCKETS; i++) number(gen, t->buckets[i]);
    (void)yajl_gen_array_close(gen);
    (void)yajl_gen_map_close(gen);
}

static void sample(void *self, const metric_sample *s)
{
    writer *w = self;
    if (s->label != NULL && !w->in_values) {
        string(w->gen, s->times != NULL ? "times" : "values");
        (void)yajl_gen_map_open(w->gen);
        w->in_values = true;
    }
    string(w->gen, s->label != NULL ? s->value : "value");
    if (s->times != NULL) times(w->gen, s->times);
    else if (s->in_milli) (void)yajl_gen_double(w->gen, (double)s->number / 1000);
    else number(w->gen, s->number);
}

static void print_limits(yajl_gen gen)
{
    string(gen, "time_limits_us");
    (void)yajl_gen_array_open(gen);
    for (size_t i = 0; i < NACRE_STORE_TIME_BUCKETS - 1; i++) number(gen, nacre_store_time_limit_us(i));
    (void)yajl_gen_array_close(gen);
}

static void print_contexts(yajl_gen gen, const metrics_page *page)
{
    string(gen, "contexts");
    (void)yajl_gen_map_open(gen);
    named_number(gen, "num", page->num_all_names);
    string(gen, "names");
    (void)yajl_gen_array_open(gen);
    for (size_t i = 0; i < page->num_names; i++) string(gen, page->names[i]);
    (void)yajl_gen_array_close(gen);
    (void)yajl_gen_map_close(gen);
}

static void print_notes(yajl_gen gen, const metrics_page *page)
{
    const uint64_t now_ms = nacre_clock_ms();
    string(gen, "notes");
    (void)yajl_gen_array_open(gen);
    for (size_t i = 0; i < page->num_notes; i++) {
        const metrics_note *note = &page->notes[i];
        (void)yajl_gen_map_open(gen);
        named_number(gen, "age_s", now_ms > note->at_ms ? (now_ms - note->at_ms) / 1000 : 0);
        named(gen, "kind", note->kind);
        named(gen, "name", note->name);
        named(gen, "text", note->text);
        (void)yajl_gen_map_close(gen);
    }
    (void)yajl_gen_array_close(gen);
}

static void print(void *ctx, const char *bytes, size_t len)
{
    metrics_text_bytes(ctx, bytes, len);
}

void metrics_json(metrics_text *text, const metrics_snapshot *snapshot, const metrics_page *page)
{
    writer w = { .gen = yajl_gen_alloc(NULL) };
    const metrics_sink sink = { family, sample, &w };
    if (w.gen == NULL) {
        text->failed = true;
        return;
    }
    (void)yajl_gen_config(w.gen, yajl_gen_print_callback, print, text);
    (void)yajl_gen_config(w.gen, yajl_gen_validate_utf8, 1);
    (void)yajl_gen_map_open(w.gen);
    named(w.gen, "health", page->health);
    named(w.gen, "readiness", page->readiness);
    named_number(w.gen, "now_ms", nacre_clock_ms());
    string(w.gen, "metrics");
    (void)yajl_gen_map_open(w.gen);
    metrics_list(snapshot, &sink);
    end_family(&w);
    (void)yajl_gen_map_close(w.gen);
    print_limits(w.gen);
    print_contexts(w.gen, page);
    print_notes(w.gen, page);
    if (yajl_gen_map_close(w.gen) != yajl_gen_status_ok) text->failed = true;
    yajl_gen_free(w.gen);
}
