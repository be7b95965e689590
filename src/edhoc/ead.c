/* SPDX-License-Identifier: MIT */
/* ead: external authorization data (RFC 9528 3.8): a sequence of labels, each with a byte string or none. */
#include "edhoc/parts.h"

typedef struct ead_item {
    int32_t label;
    nacre_bytes value;
} ead_item;

static bool next(nacre__reader *r, ead_item *item)
{
    if (r->bad || nacre__left(r) == 0) return false;
    item->label = nacre__cbor_read_int(r);
    item->value = NACRE_ABSENT;
    if (nacre__cbor_peek(r) == NACRE__CBOR_BYTES) item->value = nacre__cbor_read_string(r, NACRE__CBOR_BYTES);
    return !r->bad;
}

bool nacre__edhoc_is_ead(nacre_bytes ead)
{
    nacre__reader r = nacre__reader_of(ead);
    ead_item item;
    while (next(&r, &item)) continue;
    return !r.bad;
}

/* RFC 9528 3.8: a critical item that is not understood ends the session. 3.8.1: padding is discarded. */
bool nacre__edhoc_read_ead(const nacre_edhoc_config *config, unsigned message, nacre_bytes ead)
{
    const nacre_edhoc_ead_reader *reader = &config->ead;
    nacre__reader r = nacre__reader_of(ead);
    ead_item item;
    while (next(&r, &item)) {
        bool is_critical = item.label < 0;
        if (item.label == 0) continue;
        if (item.label == INT32_MIN) return false; /* has no absolute value, and no registry */
        int32_t label = is_critical ? -item.label : item.label;
        bool understood = reader->read != NULL && reader->read(reader->self, message, label, is_critical, item.value);
        if (is_critical && !understood) return false;
    }
    return !r.bad;
}

nacre_err nacre_edhoc_ead_add(nacre_bytes *used, nacre_buf buf, int32_t label, bool is_critical, nacre_bytes value)
{
    uint8_t head[2 * NACRE__EDHOC_MAX_HEAD];
    if (label < 1 || label > 65535 || value.len > UINT16_MAX) return NACRE_ERR_BAD_ARGUMENT;
    uint8_t *end = nacre__edhoc_put_int(head, is_critical ? -label : label);
    if (!nacre_is_absent(value)) end = nacre__edhoc_put_head(end, NACRE__CBOR_BYTES, value.len);
    size_t head_len = (size_t)(end - head);
    if (buf.cap < used->len || buf.cap - used->len < head_len || buf.cap - used->len - head_len < value.len)
        return NACRE_ERR_BUFFER_TOO_SMALL;
    uint8_t *at = nacre__edhoc_put(buf.ptr + used->len, nacre_bytes_of(head, head_len));
    at = nacre__edhoc_put(at, value);
    *used = nacre_bytes_of(buf.ptr, (size_t)(at - buf.ptr));
    return NACRE_OK;
}

/* One item cannot have every length: between two lengths of its head, one byte of padding precedes it. */
nacre_err nacre_edhoc_ead_pad(nacre_bytes *used, nacre_buf buf, size_t len, nacre_bytes filler)
{
    if (filler.len < len || len > UINT16_MAX) return NACRE_ERR_BAD_ARGUMENT;
    if (buf.cap < used->len || buf.cap - used->len < len) return NACRE_ERR_BUFFER_TOO_SMALL;
    uint8_t *at = buf.ptr + used->len, *end = at + len;
    while (at < end) {
        *at++ = 0; /* the label */
        size_t left = (size_t)(end - at);
        if (left == 0) break;
        size_t head_len = left <= 24 ? 1 : left <= 257 ? 2 : 3;
        size_t value_len = left - head_len;
        if (nacre__edhoc_head_len(value_len) != head_len) continue;
        at = nacre__edhoc_put_head(at, NACRE__CBOR_BYTES, value_len);
        at = nacre__edhoc_put(at, nacre_bytes_of(filler.ptr, value_len));
    }
    *used = nacre_bytes_of(buf.ptr, (size_t)(end - buf.ptr));
    return NACRE_OK;
}
