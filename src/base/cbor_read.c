/* SPDX-License-Identifier: MIT */
/* cbor_read: a strict reader of deterministically encoded CBOR (RFC 8949 4.2.1). */
#include "base/cbor_read.h"

static bool bad(nacre__reader *r)
{
    r->bad = true;
    return false;
}

/* RFC 8949 3, 4.2.1: an argument of 1, 2, 4 or 8 bytes is larger than what fits the shorter form. */
bool nacre__cbor_read_head(nacre__reader *r, nacre__cbor_item *item)
{
    uint8_t first = nacre__read_u8(r);
    unsigned info = first & 31u;
    item->major = first >> 5;
    item->value = info;
    if (r->bad) return false;
    if (item->major == NACRE__CBOR_SIMPLE) return (info >= NACRE__CBOR_FALSE && info <= 22) || bad(r);
    if (info < 24) return true;
    if (info > 27) return bad(r); /* indefinite lengths, and reserved */
    unsigned len = 1u << (info - 24);
    nacre_bytes argument = nacre__read(r, len);
    uint64_t value = 0;
    for (size_t i = 0; i < argument.len; i++) value = value << 8 | argument.ptr[i];
    item->value = value;
    uint64_t least = len == 1 ? 24 : (uint64_t)1 << (4 * len);
    return !r->bad && (value >= least || bad(r));
}

int32_t nacre__cbor_read_int(nacre__reader *r)
{
    nacre__cbor_item item;
    if (!nacre__cbor_read_head(r, &item)) return 0;
    if (item.major > NACRE__CBOR_NEGATIVE || item.value > INT32_MAX) {
        r->bad = true;
        return 0;
    }
    int32_t value = (int32_t)item.value;
    return item.major == NACRE__CBOR_NEGATIVE ? -1 - value : value;
}

nacre_bytes nacre__cbor_read_string(nacre__reader *r, unsigned major)
{
    nacre__cbor_item item;
    if (nacre__cbor_read_head(r, &item) && (item.major != major || item.value > nacre__left(r))) r->bad = true;
    return nacre__read(r, r->bad ? 0 : (size_t)item.value);
}

size_t nacre__cbor_read_size(nacre__reader *r, unsigned major)
{
    nacre__cbor_item item;
    if (nacre__cbor_read_head(r, &item) && (item.major != major || item.value > nacre__left(r))) r->bad = true;
    return r->bad ? 0 : (size_t)item.value;
}

/* A container that is being read. */
typedef struct level {
    size_t left; /* items */
    bool is_map;
    nacre_bytes key; /* the previous one */
} level;

/* RFC 8949 4.2.1: keys in bytewise order of their encodings, which excludes duplicates. */
static bool follows(nacre_bytes key, nacre_bytes previous)
{
    size_t len = key.len < previous.len ? key.len : previous.len;
    int order = len > 0 ? memcmp(previous.ptr, key.ptr, len) : 0;
    return order < 0 || (order == 0 && previous.len < key.len);
}

/* Keys are numbers and strings. */
static bool read_key(nacre__reader *r, level *in)
{
    const uint8_t *start = r->at;
    nacre__cbor_item item;
    if (!nacre__cbor_read_head(r, &item)) return false;
    if (item.major > NACRE__CBOR_TEXT) return bad(r);
    if (item.major >= NACRE__CBOR_BYTES) {
        if (item.value > nacre__left(r)) return bad(r);
        (void)nacre__read(r, (size_t)item.value);
    }
    nacre_bytes key = nacre_bytes_of(start, (size_t)(r->at - start));
    if (in->key.ptr != NULL && !follows(key, in->key)) return bad(r);
    in->key = key;
    in->left--;
    return true;
}

nacre_bytes nacre__cbor_read_item(nacre__reader *r)
{
    level levels[NACRE__CBOR_MAX_DEPTH + 1] = { { 1, false, NACRE_ABSENT } };
    unsigned depth = 0;
    const uint8_t *start = r->at;
    while (!r->bad) {
        while (levels[depth].left == 0 && depth > 0) depth--;
        level *in = &levels[depth];
        if (in->left == 0) break;
        nacre__cbor_item item;
        if (in->is_map && in->left % 2 == 0 && !read_key(r, in)) break;
        if (!nacre__cbor_read_head(r, &item)) break;
        in->left--;
        if (item.major == NACRE__CBOR_BYTES || item.major == NACRE__CBOR_TEXT) {
            if (item.value > nacre__left(r)) bad(r);
            else (void)nacre__read(r, (size_t)item.value);
        } else if (item.major >= NACRE__CBOR_ARRAY && item.major <= NACRE__CBOR_TAG) {
            bool is_map = item.major == NACRE__CBOR_MAP;
            uint64_t items = item.major == NACRE__CBOR_TAG ? 1 : item.value;
            /* each element has a byte at least, so the count is bounded before it is doubled */
            if (depth == NACRE__CBOR_MAX_DEPTH || items > nacre__left(r)) bad(r);
            else levels[++depth] = (level){ (size_t)items * (is_map ? 2 : 1), is_map, NACRE_ABSENT };
        }
    }
    return nacre_bytes_of(start, r->bad ? 0 : (size_t)(r->at - start));
}
