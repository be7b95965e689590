/* SPDX-License-Identifier: MIT */
/* metrics_text: see metrics_text.h. */
#include "metrics_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
