/* SPDX-License-Identifier: MIT */
/* parts: the small encodings that messages of EDHOC share. */
#include "edhoc/parts.h"

size_t nacre__edhoc_head_len(size_t len)
{
    return len < 24 ? 1 : len < 256 ? 2 : 3;
}

uint8_t *nacre__edhoc_put_head(uint8_t *to, unsigned major, size_t value)
{
    return nacre__cbor_head(to, major, (unsigned)value);
}

uint8_t *nacre__edhoc_put_int(uint8_t *to, int value)
{
    return nacre__cbor_int(to, value);
}

nacre_bytes nacre__edhoc_head(uint8_t buf[NACRE__EDHOC_MAX_HEAD], size_t len)
{
    return nacre_bytes_of(buf, (size_t)(nacre__edhoc_put_head(buf, NACRE__CBOR_BYTES, len) - buf));
}

uint8_t *nacre__edhoc_put(uint8_t *to, nacre_bytes bytes)
{
    if (bytes.len > 0) memcpy(to, bytes.ptr, bytes.len);
    return to + bytes.len;
}

bool nacre__edhoc_is_short(nacre_bytes id)
{
    return id.len == 1 && (id.ptr[0] & 0xdfu) < 24;
}

size_t nacre__edhoc_id_len(nacre_bytes id)
{
    return nacre__edhoc_is_short(id) ? 1 : nacre__edhoc_head_len(id.len) + id.len;
}

uint8_t *nacre__edhoc_put_id(uint8_t *to, nacre_bytes id)
{
    if (!nacre__edhoc_is_short(id)) to = nacre__edhoc_put_head(to, NACRE__CBOR_BYTES, id.len);
    return nacre__edhoc_put(to, id);
}

/* RFC 9528 3.3.2 */
nacre_edhoc_fault nacre__edhoc_read_id(nacre__reader *r, nacre_bytes *id, nacre_edhoc_fault long_form)
{
    unsigned major = nacre__cbor_peek(r);
    if (major == 8) return NACRE_EDHOC_FAULT_ELEMENTS;
    if (major > NACRE__CBOR_BYTES) return NACRE_EDHOC_FAULT_TYPE;
    if (major == NACRE__CBOR_BYTES) {
        *id = nacre__cbor_read_string(r, NACRE__CBOR_BYTES);
        if (r->bad) return NACRE_EDHOC_FAULT_CBOR;
        return nacre__edhoc_is_short(*id) ? long_form : NACRE_EDHOC_FAULT_NONE;
    }
    *id = nacre__read(r, 1); /* an integer of one byte is the identifier */
    return nacre__edhoc_is_short(*id) ? NACRE_EDHOC_FAULT_NONE : NACRE_EDHOC_FAULT_TYPE;
}

nacre_edhoc_fault nacre__edhoc_read_only_string(nacre_bytes in, nacre_bytes *content)
{
    nacre__reader r = nacre__reader_of(in);
    unsigned major = nacre__cbor_peek(&r);
    if (major != NACRE__CBOR_BYTES) return major == 8 ? NACRE_EDHOC_FAULT_ELEMENTS : NACRE_EDHOC_FAULT_TYPE;
    *content = nacre__cbor_read_string(&r, NACRE__CBOR_BYTES);
    if (r.bad) return NACRE_EDHOC_FAULT_CBOR;
    return nacre__left(&r) == 0 ? NACRE_EDHOC_FAULT_NONE : NACRE_EDHOC_FAULT_ELEMENTS;
}
