/* SPDX-License-Identifier: MIT */
/* serve_log: what nacre serve writes to stderr: one line for each event, from any thread.
 *
 *   plain    nacre serve: TEXT
 *   text     TIME LEVEL EVENT: TEXT name=value ...
 *   json     {"time":...,"level":...,"event":...,"text":...,name:value ...}
 *   journal  <N>TEXT, N as syslog(3) numbers priorities
 *   auto     journal when stderr is systemd's journal (JOURNAL_STREAM), plain otherwise
 *
 * Control characters and bytes that are no UTF-8 are replaced by '?'. Of an event that is not
 * the operator's, at most five lines in ten seconds are written; the next one says how many were left out. Nothing of a key is ever passed to it. */
#ifndef NACRE_TOOL_SERVE_LOG_H
#define NACRE_TOOL_SERVE_LOG_H

#include "tool.h"

typedef enum serve_level { SERVE_ERROR, SERVE_WARNING, SERVE_INFO, SERVE_DEBUG } serve_level;
typedef enum serve_format { SERVE_AUTO, SERVE_PLAIN, SERVE_LINES, SERVE_JSON, SERVE_JOURNAL } serve_format;

/* serve_log_set: from now on; before, plain lines of warnings. serve_log_has: whether an event of this level is written. */
void serve_log_set(serve_level level, serve_format format);
bool serve_log_has(serve_level level);

/* A further value of an event. */
typedef struct serve_field {
    const char *name, *value;
} serve_field;

/* serve_log writes an event; `fields` ends with a NULL name, or is NULL, and is left out of plain and journal lines. serve_log_fail
 * writes an error and returns its exit code. */
void serve_log(serve_level level, const char *event, const serve_field *fields, const char *format, ...)
    NACRE_PRINTF(4, 5);
int serve_log_fail(const char *event, nacre_err err, const char *format, ...) NACRE_PRINTF(3, 4);

/* serve_log_request writes a request as -v does: `plain` alone in plain lines. It is not rate-limited. */
void serve_log_request(const char *plain, const serve_field *fields);

/* serve_log_end writes how many events were left out since their last lines. */
void serve_log_end(void);

#endif
