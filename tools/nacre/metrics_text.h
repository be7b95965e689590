/* SPDX-License-Identifier: MIT */
/* metrics_text: a text that grows as it is written. */
#ifndef NACRE_TOOL_METRICS_TEXT_H
#define NACRE_TOOL_METRICS_TEXT_H

#include "tool.h"

/* All zero is empty. Free `ptr`. */
typedef struct metrics_text {
    char *ptr; /* not NUL-terminated */
    size_t len, cap;
    bool failed; /* the text is not complete: out of memory, or a piece was too long. Later pieces are left out */
} metrics_text;

/* metrics_text_add appends at most 511 bytes of formatted text, metrics_text_bytes any number of bytes. */
void metrics_text_add(metrics_text *text, const char *format, ...) NACRE_PRINTF(2, 3);
void metrics_text_bytes(metrics_text *text, const char *bytes, size_t len);

#endif
