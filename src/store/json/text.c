/* SPDX-License-Identifier: MIT */
/* text: growing strings, and JSON values appended to them. */
#include "store/json/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void grow(nacre__text *text, size_t needed)
{
    size_t cap = text->cap != 0 ? text->cap : 256;
    while (cap < needed) cap *= 2;
    char *grown = malloc(cap);
    if (grown == NULL) {
        text->failed = true;
        return;
    }
    if (text->ptr != NULL) {
        memcpy(grown, text->ptr, text->len + 1);
        nacre_wipe(text->ptr, text->cap);
        free(text->ptr);
    }
    text->ptr = grown;
    text->cap = cap;
}

static void put(nacre__text *text, const char *bytes, size_t len)
{
    if (!text->failed && text->len + len + 1 > text->cap) grow(text, text->len + len + 1);
    if (text->failed) return;
    memcpy(text->ptr + text->len, bytes, len);
    text->len += len;
    text->ptr[text->len] = '\0';
}

void nacre__text_put(nacre__text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len < 0) text->failed = true;
    if (!text->failed && text->len + (size_t)len + 1 > text->cap) grow(text, text->len + (size_t)len + 1);
    if (!text->failed) {
        vsnprintf(text->ptr + text->len, (size_t)len + 1, format, again);
        text->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
}

void nacre__text_free(nacre__text *text)
{
    if (text->ptr != NULL) nacre_wipe(text->ptr, text->cap);
    free(text->ptr);
    *text = (nacre__text){ NULL, 0, 0, false };
}

void nacre__text_put_string(nacre__text *text, const char *string)
{
    put(text, "\"", 1);
    for (; *string != '\0'; string++) {
        if ((unsigned char)*string < 0x20) nacre__text_put(text, "\\u%04x", (unsigned char)*string);
        else if (*string == '"' || *string == '\\') nacre__text_put(text, "\\%c", *string);
        else put(text, string, 1);
    }
    put(text, "\"", 1);
}

/* The recursion is bounded: the parser allows 16 levels. */
static void put_children(nacre__text *text, const nacre__json *value)
{
    bool is_object = value->type == NACRE__JSON_OBJECT;
    put(text, is_object ? "{" : "[", 1);
    for (const nacre__json *child = value->first; child != NULL; child = child->next) {
        if (child != value->first) put(text, ", ", 2);
        if (is_object) {
            nacre__text_put_string(text, child->name);
            put(text, ": ", 2);
        }
        nacre__text_put_json(text, child);
    }
    put(text, is_object ? "}" : "]", 1);
}

void nacre__text_put_json(nacre__text *text, const nacre__json *value)
{
    switch (value->type) {
    case NACRE__JSON_NULL: put(text, "null", 4); break;
    case NACRE__JSON_BOOLEAN: nacre__text_put(text, "%s", value->truth ? "true" : "false"); break;
    case NACRE__JSON_NUMBER: put(text, value->text, value->len); break;
    case NACRE__JSON_STRING: nacre__text_put_string(text, value->text); break;
    default: put_children(text, value); break;
    }
}
