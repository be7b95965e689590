/* SPDX-License-Identifier: MIT */
/* serve_metrics: see serve_metrics.h. */
#include "serve_metrics.h"

#include "metrics_health.h"
#include "metrics_http.h"
#include "metrics_formats.h"
#include "nacre_status_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAMES = 100 }; /* of contexts on the status page */

struct serve_metrics {
    metrics_http *http;
    const nacre_server *server;
    uint64_t began_ms;
    pthread_mutex_t lock;        /* of the names */
    char (*names)[METRICS_NAME]; /* MAX_NAMES */
    size_t num_names, num_all_names;
    metrics_notes notes;
    metrics_note copies[METRICS_NOTES]; /* of the HTTP thread */
};

/* ---- Responses ---------------------------------------------------------------------------------------------------------- */

static metrics_snapshot snapshot_of(const serve_metrics *m)
{
    metrics_snapshot s = { .uptime_s = (nacre_clock_ms() - m->began_ms) / 1000 };
    nacre_server_get_stats(m->server, &s.stats, sizeof s.stats);
    s.is_healthy = metrics_health(&s.stats).is_good;
    s.is_ready = metrics_readiness(&s.stats).is_good;
    return s;
}

static void take(metrics_response *response, const char *type, metrics_text *text)
{
    response->status = 200;
    response->type = type;
    if (text->failed) free(text->ptr);
    response->body = text->failed ? NULL : text->ptr;
    response->len = text->failed ? 0 : text->len;
}

static void get_verdict(metrics_response *response, const metrics_verdict *v)
{
    metrics_text text = { .len = 0 };
    metrics_text_add(&text, "%s\n", v->text);
    take(response, response->type, &text);
    response->status = v->is_good ? 200 : 503;
}

static void get_figures(const serve_metrics *m, metrics_response *response)
{
    metrics_text text = { .len = 0 };
    const metrics_snapshot s = snapshot_of(m);
    metrics_prometheus(&text, &s);
    take(response, "text/plain; version=0.0.4; charset=utf-8", &text);
}

static void get_json(serve_metrics *m, metrics_response *response)
{
    metrics_text text = { .len = 0 };
    const metrics_snapshot s = snapshot_of(m);
    const metrics_verdict health = metrics_health(&s.stats), readiness = metrics_readiness(&s.stats);
    const char *names[MAX_NAMES];
    (void)pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->num_names; i++) names[i] = m->names[i];
    const metrics_page page = { .health = health.text,
                                .readiness = readiness.text,
                                .names = names,
                                .num_names = m->num_names,
                                .num_all_names = m->num_all_names,
                                .notes = m->copies,
                                .num_notes = metrics_notes_take(&m->notes, m->copies) };
    metrics_json(&text, &s, &page);
    (void)pthread_mutex_unlock(&m->lock);
    take(response, "application/json", &text);
}

/* The page with its nonce, which is NONCE in nacre_status_page.h. */
static void get_page(metrics_response *response)
{
    static const char mark[] = "NONCENONCENONCENONCENONCENONCENO";
    metrics_text text = { .len = 0 };
    uint8_t bytes[16];
    const nacre_random random = nacre_entropy();
    const char *at = nacre_status_page;
    random.fill(random.self, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) (void)snprintf(response->nonce + 2 * i, 3, "%02x", bytes[i]);
    for (const char *found; (found = strstr(at, mark)) != NULL; at = found + sizeof mark - 1) {
        metrics_text_bytes(&text, at, (size_t)(found - at));
        metrics_text_bytes(&text, response->nonce, strlen(response->nonce));
    }
    metrics_text_bytes(&text, at, strlen(at));
    take(response, "text/html; charset=utf-8", &text);
}

static void get_health(const serve_metrics *m, metrics_response *response, bool ready)
{
    const metrics_snapshot s = snapshot_of(m);
    const metrics_verdict v = ready ? metrics_readiness(&s.stats) : metrics_health(&s.stats);
    get_verdict(response, &v);
}

static void on_get(void *self, const char *path, metrics_response *response)
{
    serve_metrics *m = self;
    if (strcmp(path, "/metrics") == 0) get_figures(m, response);
    else if (strcmp(path, "/healthz") == 0) get_health(m, response, false);
    else if (strcmp(path, "/readyz") == 0) get_health(m, response, true);
    else if (strcmp(path, "/status.json") == 0) get_json(m, response);
    else if (strcmp(path, "/") == 0) get_page(response);
}

/* ---- Events ------------------------------------------------------------------------------------------------------------- */

void serve_metrics_on_store(serve_metrics *metrics, const nacre_store_report *report)
{
    if (metrics == NULL) return;
    const char *name = report->claims != NULL ? report->claims[0] : NULL;
    const bool works = report->state == NACRE_STORE_WORKS;
    metrics_notes_add(&metrics->notes, works ? "ok" : "error", name, works ? "the store works again" : report->text);
}

void serve_metrics_on_warning(serve_metrics *metrics, const char *text)
{
    if (metrics != NULL) metrics_notes_add(&metrics->notes, "warning", NULL, text);
}

/* ---- Life --------------------------------------------------------------------------------------------------------------- */

static void add_name(serve_metrics *m, const char *name)
{
    m->num_all_names++;
    if (m->num_names < MAX_NAMES) metrics_copy(m->names[m->num_names++], METRICS_NAME, name);
}

static void add_entries(serve_metrics *m, const char *path)
{
    nacre_credentials *credentials = NULL;
    nacre_credential entry;
    size_t cursor = 0;
    if (path == NULL || nacre_credentials_load(&credentials, path, NULL) != NACRE_OK) return;
    while (nacre_credentials_next(credentials, &entry, &cursor))
        if (entry.kind == NACRE_CREDENTIAL_DIRECTORY) add_name(m, entry.name);
    nacre_credentials_free(credentials);
}

void serve_metrics_name(serve_metrics *metrics, char *const *directories, size_t num, const char *credentials)
{
    if (metrics == NULL) return;
    (void)pthread_mutex_lock(&metrics->lock);
    metrics->num_names = metrics->num_all_names = 0;
    for (size_t i = 0; i < num; i++) add_name(metrics, directories[i]);
    add_entries(metrics, credentials);
    (void)pthread_mutex_unlock(&metrics->lock);
}

static void free_all(serve_metrics *m)
{
    (void)pthread_mutex_destroy(&m->lock);
    (void)pthread_mutex_destroy(&m->notes.lock);
    free(m->names);
    free(m);
}

static serve_metrics *make(const nacre_server *server)
{
    serve_metrics *m = calloc(1, sizeof *m);
    if (m == NULL) return NULL;
    (void)pthread_mutex_init(&m->lock, NULL); /* on the systems in use this does not fail */
    (void)pthread_mutex_init(&m->notes.lock, NULL);
    m->server = server;
    m->began_ms = nacre_clock_ms();
    m->names = calloc(MAX_NAMES, sizeof *m->names);
    if (m->names != NULL) return m;
    free_all(m);
    return NULL;
}

nacre_err serve_metrics_open(serve_metrics **metrics, const char *address, const nacre_server *server,
                             nacre_detail *why)
{
    serve_metrics *m = make(server);
    if (m == NULL) {
        (void)snprintf(why->text, sizeof why->text, "out of memory for --metrics");
        return NACRE_ERR_NO_MEMORY;
    }
    const nacre_err err = metrics_http_open(&m->http, address, on_get, m, why);
    if (err == NACRE_OK) *metrics = m;
    else free_all(m);
    return err;
}

const char *serve_metrics_url(const serve_metrics *metrics)
{
    return metrics_http_url(metrics->http);
}

void serve_metrics_close(serve_metrics *metrics)
{
    if (metrics == NULL) return;
    metrics_http_close(metrics->http);
    free_all(metrics);
}
