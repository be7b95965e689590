/* SPDX-License-Identifier: MIT */
/* dot_segments: the segments of a URI path after removing dot segments (RFC 3986 5.2.4). Shared by requests and credentials
 * look-up, so that both use the same path. */
#ifndef NACRE_BASE_DOT_SEGMENTS_H
#define NACRE_BASE_DOT_SEGMENTS_H

#include <nacre/base.h>

/* Splits off the segment up to a '/'; the rest is absent after the last one. */
static inline nacre_bytes nacre__segment_split(nacre_bytes *rest)
{
    size_t n = 0;
    while (n < rest->len && rest->ptr[n] != '/') n++;
    const nacre_bytes segment = { rest->ptr, n };
    *rest = n == rest->len ? NACRE_ABSENT : nacre_bytes_of(rest->ptr + n + 1, rest->len - n - 1);
    return segment;
}

/* 1 for ".", 2 for "..", in either spelling of each dot ("%2e"); 0 for any other segment. */
static inline unsigned nacre__segment_dots(nacre_bytes segment)
{
    unsigned dots = 0;
    size_t at = 0;
    while (at < segment.len && dots < 3) {
        const uint8_t *c = segment.ptr + at;
        if (*c == '.') at++;
        else if (segment.len - at >= 3 && c[0] == '%' && c[1] == '2' && (c[2] | 0x20) == 'e') at += 3;
        else return 0;
        dots++;
    }
    return dots < 3 ? dots : 0;
}

/* Whether a later ".." removes the segment before `rest`. */
static inline bool nacre__segment_is_undone(nacre_bytes rest)
{
    for (size_t depth = 0; !nacre_is_absent(rest);) {
        const unsigned dots = nacre__segment_dots(nacre__segment_split(&rest));
        if (dots == 2 && depth-- == 0) return true;
        if (dots == 0) depth++;
    }
    return false;
}

/* nacre__segment_next returns the next remaining segment; false at the end. `rest` is the path after its first '/'. A dot
 * segment at the end leaves an empty one. */
static inline bool nacre__segment_next(nacre_bytes *rest, nacre_bytes *segment)
{
    while (!nacre_is_absent(*rest)) {
        *segment = nacre__segment_split(rest);
        const unsigned dots = nacre__segment_dots(*segment);
        if (dots == 0 && !nacre__segment_is_undone(*rest)) return true;
        if (dots != 0 && nacre_is_absent(*rest)) {
            *segment = nacre_bytes_of(segment->ptr + segment->len, 0);
            return true;
        }
    }
    return false;
}

#endif
