/* SPDX-License-Identifier: MIT */
/* metrics_notes: the latest events for the status page, from any thread. */
#ifndef NACRE_TOOL_METRICS_NOTES_H
#define NACRE_TOOL_METRICS_NOTES_H

#include "tool.h"

#include <pthread.h>

enum { METRICS_NOTES = 20, METRICS_NAME = 128, METRICS_NOTE_TEXT = 256 }; /* the sizes: bytes, with the NUL */

typedef struct metrics_note {
    uint64_t at_ms;   /* nacre_clock_ms */
    const char *kind; /* "error", "warning" or "ok" */
    char name[METRICS_NAME], text[METRICS_NOTE_TEXT];
} metrics_note;

typedef struct metrics_notes {
    pthread_mutex_t lock;
    metrics_note all[METRICS_NOTES];
    size_t num; /* added since the start */
} metrics_notes;

/* metrics_copy copies at most cap - 1 bytes of `text`, without a half character at the end, and makes them visible. */
void metrics_copy(char *to, size_t cap, const char *text);

/* metrics_notes_add forgets the oldest when there are METRICS_NOTES. `name` may be NULL. */
void metrics_notes_add(metrics_notes *notes, const char *kind, const char *name, const char *text);
size_t metrics_notes_take(metrics_notes *notes, metrics_note copy[METRICS_NOTES]); /* newest first */

#endif
