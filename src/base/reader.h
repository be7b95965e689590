/* SPDX-License-Identifier: MIT */
/* reader: one cursor over bytes. Errors are sticky and checked once, at the end. */
#ifndef NACRE_BASE_READER_H
#define NACRE_BASE_READER_H

#include <nacre/base.h>

typedef struct nacre__reader {
    const uint8_t *at, *end; /* invariant: at <= end */
    bool bad;
} nacre__reader;

static inline nacre__reader nacre__reader_of(nacre_bytes in)
{
    static const uint8_t nothing[1];
    if (in.ptr == NULL) in.ptr = nothing; /* so that an empty slice has a valid pointer */
    nacre__reader r = { in.ptr, in.ptr + in.len, false };
    return r;
}

static inline size_t nacre__left(const nacre__reader *r)
{
    return (size_t)(r->end - r->at);
}

/* The only function that moves the cursor. Past the end: returns an empty slice and sets `bad`. */
static inline nacre_bytes nacre__read(nacre__reader *r, size_t len)
{
    if (r->bad || len > nacre__left(r)) {
        r->bad = true;
        len = 0;
    }
    nacre_bytes out = { r->at, len };
    r->at += len;
    return out;
}

static inline uint8_t nacre__read_u8(nacre__reader *r)
{
    nacre_bytes b = nacre__read(r, 1);
    return b.len == 1 ? b.ptr[0] : 0;
}

#endif
