/* SPDX-License-Identifier: MIT */
/* cbor_read: a strict reader of deterministically encoded CBOR (RFC 8949 4.2.1): heads in their shortest form, definite
 * lengths, keys of maps sorted and different. Floating-point numbers and simple values other than false, true and null are
 * refused. Errors are sticky, as in reader.h. */
#ifndef NACRE_BASE_CBOR_READ_H
#define NACRE_BASE_CBOR_READ_H

#include "base/cbor_write.h"
#include "base/reader.h"

enum { NACRE__CBOR_MAP = 5, NACRE__CBOR_TAG = 6, NACRE__CBOR_SIMPLE = 7 };
enum { NACRE__CBOR_FALSE = 20, NACRE__CBOR_TRUE = 21 };

/* Arrays, maps and tags in each other, at most. */
enum { NACRE__CBOR_MAX_DEPTH = 8 };

typedef struct nacre__cbor_head_read {
    uint8_t major;
    uint64_t value; /* the number itself, or how many bytes, elements or pairs follow */
} nacre__cbor_item;

/* The head of the next item. False, and the reader is bad, if there is none or it is not deterministic. */
bool nacre__cbor_read_head(nacre__reader *r, nacre__cbor_item *item);

/* The major type of the next item without reading it; 8 at the end. */
static inline unsigned nacre__cbor_peek(const nacre__reader *r)
{
    return r->bad || r->at == r->end ? 8 : *r->at >> 5;
}

/* The next item as an integer between -2^31 and 2^31 - 1, or as the content of a byte or text string; another makes the
 * reader bad, and the result 0 or empty. */
int32_t nacre__cbor_read_int(nacre__reader *r);
nacre_bytes nacre__cbor_read_string(nacre__reader *r, unsigned major);

/* The number of elements of an array, or of pairs of a map. The elements follow. */
size_t nacre__cbor_read_size(nacre__reader *r, unsigned major);

/* The encoding of the next item, with all that is in it. */
nacre_bytes nacre__cbor_read_item(nacre__reader *r);

#endif
