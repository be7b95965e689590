/* SPDX-License-Identifier: MIT */
/* json_text: the checks that libyajl lacks. It accepts overlong UTF-8, replaces half a surrogate pair by '?', and has no clear
 * error for empty texts and byte order marks. */
#include "store/json/json.h"

#include <string.h>

/* The length of the well-formed UTF-8 character at `p` (Unicode 15, table 3-7), or 0. */
static size_t utf8_len(const uint8_t *p, size_t left)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (len > left) return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if (p[0] == 0xe0 && p[1] < 0xa0) return 0; /* longer than needed */
    if (p[0] == 0xed && p[1] > 0x9f) return 0; /* a surrogate */
    if (p[0] == 0xf0 && p[1] < 0x90) return 0; /* longer than needed */
    if (p[0] == 0xf4 && p[1] > 0x8f) return 0; /* above U+10FFFF */
    return len;
}

bool nacre__utf8_valid(nacre_bytes text)
{
    for (size_t at = 0, step; at < text.len; at += step) {
        step = utf8_len(text.ptr + at, text.len - at);
        if (step == 0) return false;
    }
    return true;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The value of "\uXXXX" at `p`, or -1. */
static int escape_value(const uint8_t *p, size_t left)
{
    static const char digits[] = "00112233445566778899aAbBcCdDeEfF";
    int value = 0;
    if (left < 6 || p[0] != '\\' || p[1] != 'u') return -1;
    for (size_t i = 2; i < 6; i++) {
        const char *digit = p[i] != 0 ? strchr(digits, p[i]) : NULL;
        if (digit == NULL) return -1;
        value = value << 4 | (int)((digit - digits) / 2);
    }
    return value;
}

/* The length of the escape at `p`, a backslash in a string; 0: half a surrogate pair. The parser refuses other bad escapes. */
static size_t escape_len(const uint8_t *p, size_t left)
{
    int value = escape_value(p, left);
    if (value < 0) return left < 2 ? left : 2;
    if (value < 0xd800 || value > 0xdfff) return 6;
    int low = escape_value(p + 6, left - 6);
    return value < 0xdc00 && low >= 0xdc00 && low <= 0xdfff ? 12 : 0;
}

static bool refuse(size_t at, const char *text, size_t *offset, const char **reason)
{
    *offset = at;
    *reason = text;
    return false;
}

bool nacre__json_check_text(nacre_bytes text, size_t *offset, const char **reason)
{
    bool in_string = false, blank = true;
    if (text.len >= 3 && memcmp(text.ptr, "\xef\xbb\xbf", 3) == 0)
        return refuse(0, "starts with a byte order mark; save it as UTF-8 without one", offset, reason);
    for (size_t at = 0, step; at < text.len; at += step) {
        step = utf8_len(text.ptr + at, text.len - at);
        if (step == 0) return refuse(at, "not UTF-8", offset, reason);
        if (text.ptr[at] == 0) return refuse(at, "a NUL byte", offset, reason);
        if (!is_space(text.ptr[at])) blank = false;
        if (text.ptr[at] == '"') in_string = !in_string;
        if (in_string && text.ptr[at] == '\\') step = escape_len(text.ptr + at, text.len - at);
        if (step == 0) return refuse(at, "half a surrogate pair in a string", offset, reason);
    }
    return !blank || refuse(text.len, "empty, a JSON value is expected", offset, reason);
}
