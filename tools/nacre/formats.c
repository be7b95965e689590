/* SPDX-License-Identifier: MIT */
/* formats: see formats.h. */
#include "formats.h"

#include <stdlib.h>
#include <string.h>

/* The part of the registry that devices use: RFC 7252 12.3, RFC 8132, RFC 8428, RFC 8949, RFC 9052. */
static const struct {
    uint16_t number;
    const char *name;
} formats[] = {
    { 0, "text/plain" },
    { 40, "application/link-format" },
    { 41, "application/xml" },
    { 42, "application/octet-stream" },
    { 47, "application/exi" },
    { 50, "application/json" },
    { 51, "application/json-patch+json" },
    { 52, "application/merge-patch+json" },
    { 60, "application/cbor" },
    { 61, "application/cwt" },
    { 63, "application/cbor-seq" },
    { 110, "application/senml+json" },
    { 112, "application/senml+cbor" },
};
enum { NUM_FORMATS = sizeof formats / sizeof formats[0] };

const char *tool_format_name(uint64_t number)
{
    for (size_t i = 0; i < NUM_FORMATS; i++)
        if (formats[i].number == number) return formats[i].name;
    return NULL;
}

static bool is_number(int *number, const char *text)
{
    const size_t len = strlen(text);
    if (len < 1 || len > 5 || strspn(text, "0123456789") != len) return false;
    const long value = strtol(text, NULL, 10);
    if (value > 65535) return false;
    *number = (int)value;
    return true;
}

bool tool_format_read(int *number, const char *text)
{
    if (is_number(number, text)) return true;
    if (strcmp(text, "text") == 0) text = "plain";
    for (size_t i = 0; i < NUM_FORMATS; i++) {
        if (strcmp(text, formats[i].name) != 0 && strcmp(text, strchr(formats[i].name, '/') + 1) != 0) continue;
        *number = formats[i].number;
        return true;
    }
    return false;
}
