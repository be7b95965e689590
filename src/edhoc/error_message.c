/* SPDX-License-Identifier: MIT */
/* error_message: ERR_CODE, ERR_INFO (RFC 9528 6). */
#include "edhoc/error_message.h"

enum { UNSPECIFIED = 1, WRONG_SUITE = 2, UNKNOWN_CREDENTIAL = 3 };

bool nacre__edhoc_read_error(nacre_bytes in, int32_t *code, nacre_bytes *info)
{
    nacre__reader r = nacre__reader_of(in);
    *code = nacre__cbor_read_int(&r);
    unsigned major = nacre__cbor_peek(&r);
    *info = nacre__cbor_read_item(&r);
    if (r.bad || nacre__left(&r) > 0 || *code == 0) return false; /* RFC 9528 6.1: 0 is never sent */
    if (*code == UNSPECIFIED) return major == NACRE__CBOR_TEXT;
    if (*code == WRONG_SUITE) return major <= NACRE__CBOR_NEGATIVE || major == NACRE__CBOR_ARRAY;
    return *code != UNKNOWN_CREDENTIAL || (info->len == 1 && info->ptr[0] == 0xf5);
}

/* RFC 9528 6.2 to 6.4 */
nacre_bytes nacre__edhoc_write_error(const nacre_edhoc_config *config, nacre_buf buf, nacre_edhoc_fault fault)
{
    uint8_t start[4 + 2 * NACRE_EDHOC_MAX_SUITES];
    nacre_bytes text = NACRE_ABSENT;
    uint8_t *at;
    if (fault == NACRE_EDHOC_FAULT_SUITE) {
        at = nacre__edhoc_put_int(start, WRONG_SUITE);
        at = nacre__edhoc_put_suites(at, config, config->num_suites);
    } else if (fault == NACRE_EDHOC_FAULT_CREDENTIAL) {
        at = nacre__edhoc_put_int(start, UNKNOWN_CREDENTIAL);
        *at++ = 0xf5; /* true */
    } else {
        const char *chars = nacre_edhoc_fault_text(fault);
        text.ptr = (const uint8_t *)chars;
        while (chars[text.len] != '\0') text.len++;
        at = nacre__edhoc_put_int(start, UNSPECIFIED);
        at = nacre__edhoc_put_head(at, NACRE__CBOR_TEXT, text.len);
    }
    size_t len = (size_t)(at - start);
    if (buf.cap < len + text.len) return NACRE_ABSENT;
    at = nacre__edhoc_put(buf.ptr, nacre_bytes_of(start, len));
    (void)nacre__edhoc_put(at, text);
    return nacre_bytes_of(buf.ptr, len + text.len);
}
