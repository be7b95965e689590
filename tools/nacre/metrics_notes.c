/* SPDX-License-Identifier: MIT */
/* metrics_notes: see metrics_notes.h. */
#include "metrics_notes.h"

#include "base/hosted/visible.h"

#include <string.h>

void metrics_copy(char *to, size_t cap, const char *text)
{
    size_t len = strnlen(text, cap);
    if (len == cap) { /* cut off, before a character that does not fit */
        len = cap - 1;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) len--;
    }
    memcpy(to, text, len);
    to[len] = '\0';
    nacre__make_visible(to);
}

void metrics_notes_add(metrics_notes *notes, const char *kind, const char *name, const char *text)
{
    (void)pthread_mutex_lock(&notes->lock);
    metrics_note *note = &notes->all[notes->num++ % METRICS_NOTES];
    note->at_ms = nacre_clock_ms();
    note->kind = kind;
    metrics_copy(note->name, sizeof note->name, name != NULL ? name : "");
    metrics_copy(note->text, sizeof note->text, text);
    (void)pthread_mutex_unlock(&notes->lock);
}

size_t metrics_notes_take(metrics_notes *notes, metrics_note copy[METRICS_NOTES])
{
    (void)pthread_mutex_lock(&notes->lock);
    const size_t num = notes->num < METRICS_NOTES ? notes->num : METRICS_NOTES;
    for (size_t i = 0; i < num; i++) copy[i] = notes->all[(notes->num - 1 - i) % METRICS_NOTES];
    (void)pthread_mutex_unlock(&notes->lock);
    return num;
}
