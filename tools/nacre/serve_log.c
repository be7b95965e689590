/* SPDX-License-Identifier: MIT */
/* serve_log: see serve_log.h. A line is one write(2), so that lines of several threads do not mix. */
#include "serve_log.h"
#include "base/hosted/visible.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <yajl/yajl_gen.h>

enum { MAX_TEXT = 1024, MAX_LINE = 4096, MAX_EVENTS = 32, LOG_BURST = 5, PERIOD_MS = 10000 };

typedef struct event_rate {
    const char *event;
    uint64_t since; /* ms: begin of the period */
    unsigned num_written;
    uint64_t num_left_out;
} event_rate;

static struct {
    pthread_mutex_t lock;
    serve_level level;
    serve_format format; /* not SERVE_AUTO */
    event_rate rates[MAX_EVENTS];
} log_state = { PTHREAD_MUTEX_INITIALIZER, SERVE_WARNING, SERVE_PLAIN, { { NULL, 0, 0, 0 } } };

static const char *const level_names[] = { "error", "warning", "info", "debug" };

/* systemd.exec(5): JOURNAL_STREAM is "DEVICE:INODE" of the journal's stream. */
static bool is_journal(void)
{
    struct stat st;
    char found[64];
    const char *stream = getenv("JOURNAL_STREAM");
    if (stream == NULL || fstat(STDERR_FILENO, &st) != 0) return false;
    (void)snprintf(found, sizeof found, "%" PRIuMAX ":%" PRIuMAX, (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(stream, found) == 0;
}

void serve_log_set(serve_level level, serve_format format)
{
    const serve_format chosen = format != SERVE_AUTO ? format : is_journal() ? SERVE_JOURNAL : SERVE_PLAIN;
    (void)pthread_mutex_lock(&log_state.lock);
    log_state.level = level;
    log_state.format = chosen;
    (void)pthread_mutex_unlock(&log_state.lock);
}

bool serve_log_has(serve_level level)
{
    (void)pthread_mutex_lock(&log_state.lock);
    const bool has = level <= log_state.level;
    (void)pthread_mutex_unlock(&log_state.lock);
    return has;
}

/* ---- Lines -------------------------------------------------------------------------------------------------------------- */

static void write_line(const char *line, size_t len)
{
    for (ssize_t n = 1; len > 0 && n > 0; line += n, len -= (size_t)n) {
        n = write(STDERR_FILENO, line, len);
        if (n < 0) return; /* nothing can be reported */
    }
}

static void now_text(char text[32])
{
    struct timespec now;
    struct tm utc;
    char seconds[24];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text, 32, "%s.%03uZ", seconds, (unsigned)(now.tv_nsec / 1000000) % 1000);
}

static void put_json(yajl_gen json, const char *name, const char *value)
{
    char text[MAX_TEXT];
    (void)snprintf(text, sizeof text, "%s", value);
    nacre__make_visible(text);
    (void)yajl_gen_string(json, (const unsigned char *)name, strlen(name));
    (void)yajl_gen_string(json, (const unsigned char *)text, strlen(text));
}

static void write_json(serve_level level, const char *event, const serve_field *fields, const char *text)
{
    char now[32];
    const unsigned char *line;
    size_t len = 0;
    yajl_gen json = yajl_gen_alloc(NULL);
    if (json == NULL) return;
    now_text(now);
    (void)yajl_gen_map_open(json);
    put_json(json, "time", now);
    put_json(json, "level", level_names[level]);
    put_json(json, "event", event);
    put_json(json, "text", text);
    for (; fields != NULL && fields->name != NULL; fields++) put_json(json, fields->name, fields->value);
    (void)yajl_gen_map_close(json);
    if (yajl_gen_get_buf(json, &line, &len) == yajl_gen_status_ok) {
        char *whole = malloc(len + 1);
        if (whole != NULL) {
            memcpy(whole, line, len);
            whole[len] = '\n';
            write_line(whole, len + 1);
        }
        free(whole);
    }
    yajl_gen_free(json);
}

static size_t put_fields(char line[MAX_LINE], size_t used, const serve_field *fields)
{
    for (; fields != NULL && fields->name != NULL && used < MAX_LINE - 1; fields++) {
        const int n = snprintf(line + used, MAX_LINE - used, " %s='%s'", fields->name, fields->value);
        used = n < 0 ? used : used + (size_t)n;
    }
    return used < MAX_LINE - 1 ? used : MAX_LINE - 2;
}

static void write_event(serve_level level, const char *event, const serve_field *fields, const char *text)
{
    static const int priorities[] = { 3, 4, 6, 7 };
    char line[MAX_LINE], now[32];
    int used;
    const serve_format format = log_state.format;
    if (format == SERVE_JSON) {
        write_json(level, event, fields, text);
        return;
    }
    now_text(now);
    if (format == SERVE_JOURNAL) used = snprintf(line, sizeof line - 1, "<%d>%s", priorities[level], text);
    else if (format == SERVE_LINES)
        used = snprintf(line, sizeof line - 1, "%s %s %s: %s", now, level_names[level], event, text);
    else used = snprintf(line, sizeof line - 1, "nacre serve: %s", text);
    if (used < 0) return;
    size_t len = (size_t)used < sizeof line - 2 ? (size_t)used : sizeof line - 2;
    if (format == SERVE_LINES) len = put_fields(line, len, fields);
    line[len] = '\0';
    nacre__make_visible(line);
    line[len] = '\n';
    write_line(line, len + 1);
}

/* ---- Rates ----------------------------------------------------------------------------------------------------------------- */

static event_rate *rate_of(const char *event)
{
    size_t i = 0;
    while (i < MAX_EVENTS - 1 && log_state.rates[i].event != NULL && strcmp(log_state.rates[i].event, event) != 0) i++;
    log_state.rates[i].event = event;
    return &log_state.rates[i];
}

/* Events of the operator: peers cannot cause them, and each is a response to something that was done. */
static bool is_limited(const char *event)
{
    static const char *const free_of_limits[] = { "start", "ready", "reload", "stop" };
    for (size_t i = 0; i < sizeof free_of_limits / sizeof free_of_limits[0]; i++)
        if (strcmp(event, free_of_limits[i]) == 0) return false;
    return true;
}

/* Whether the event is written now; `left_out` becomes the number of those that were not since the last one. */
static bool is_due(const char *event, uint64_t *left_out)
{
    if (!is_limited(event)) return true;
    event_rate *rate = rate_of(event);
    const uint64_t now = nacre_clock_ms();
    if (rate->num_written == 0 || now - rate->since >= PERIOD_MS) {
        rate->since = now;
        rate->num_written = 0;
    }
    if (rate->num_written >= LOG_BURST) {
        rate->num_left_out++;
        return false;
    }
    rate->num_written++;
    *left_out = rate->num_left_out;
    rate->num_left_out = 0;
    return true;
}

static void log_text(serve_level level, const char *event, const serve_field *fields, char text[MAX_TEXT])
{
    uint64_t left_out = 0;
    (void)pthread_mutex_lock(&log_state.lock);
    if (level <= log_state.level && is_due(event, &left_out)) {
        const size_t used = strlen(text);
        if (left_out > 0)
            (void)snprintf(text + used, MAX_TEXT - used, " (%" PRIu64 " more events '%s' before this one)", left_out,
                           event);
        write_event(level, event, fields, text);
    }
    (void)pthread_mutex_unlock(&log_state.lock);
}

void serve_log(serve_level level, const char *event, const serve_field *fields, const char *format, ...)
{
    char text[MAX_TEXT];
    va_list args;
    if (!serve_log_has(level)) return;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0) text[0] = '\0';
    va_end(args);
    log_text(level, event, fields, text);
}

int serve_log_fail(const char *event, nacre_err err, const char *format, ...)
{
    char text[MAX_TEXT];
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0) text[0] = '\0';
    va_end(args);
    log_text(SERVE_ERROR, event, NULL, text);
    return tool_exit_code(err);
}

void serve_log_request(const char *plain, const serve_field *fields)
{
    (void)pthread_mutex_lock(&log_state.lock);
    if (log_state.format == SERVE_PLAIN) {
        char line[MAX_LINE];
        const int used = snprintf(line, sizeof line - 1, "%s", plain);
        const size_t len = used < 0 ? 0 : (size_t)used < sizeof line - 2 ? (size_t)used : sizeof line - 2;
        nacre__make_visible(line);
        line[len] = '\n';
        write_line(line, len + 1);
    } else {
        write_event(SERVE_INFO, "request", log_state.format == SERVE_LINES ? NULL : fields, plain);
    }
    (void)pthread_mutex_unlock(&log_state.lock);
}

void serve_log_end(void)
{
    (void)pthread_mutex_lock(&log_state.lock);
    for (size_t i = 0; i < MAX_EVENTS; i++) {
        char text[MAX_TEXT];
        event_rate *rate = &log_state.rates[i];
        if (rate->num_left_out == 0) continue;
        (void)snprintf(text, sizeof text, "%" PRIu64 " more events '%s' were left out", rate->num_left_out,
                       rate->event);
        rate->num_left_out = 0;
        write_event(SERVE_WARNING, rate->event, NULL, text);
    }
    (void)pthread_mutex_unlock(&log_state.lock);
}
