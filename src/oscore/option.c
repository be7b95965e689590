/* SPDX-License-Identifier: MIT */
/* option: the value of the OSCORE option (RFC 8613 6.1).
 *
 *     0 1 2 3 4 5 6 7  <---- n bytes ---->
 *    +-+-+-+-+-+-+-+-+--------------------
 *    |0 0 0|h|k|  n  |  Partial IV (if any)
 *    +-+-+-+-+-+-+-+-+--------------------
 *     <- 1 byte -> <------ s bytes ------>
 *    +------------+----------------------+------------------+
 *    | s (if any) | kid context (if any) | kid (if any) ... |
 *    +------------+----------------------+------------------+
 */
#include "oscore/option.h"
#include "base/copy.h"
#include "coap/option_codec.h"

enum { FLAG_RESERVED = 0xe0, FLAG_KID_CONTEXT = 0x10, FLAG_KID = 0x08, MASK_PARTIAL_IV = 0x07, MAX_PARTIAL_IV = 5 };

nacre_err nacre_oscore_option_read(nacre_oscore_option *opt, nacre_bytes value)
{
    nacre_oscore_option o = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
    if (value.len == 0) { /* RFC 8613 2: all flags zero is the empty value */
        *opt = o;
        return NACRE_OK;
    }
    const uint8_t *at = value.ptr + 1;
    size_t left = value.len - 1;
    uint8_t flags = value.ptr[0], n = flags & MASK_PARTIAL_IV;
    if (flags == 0 || (flags & FLAG_RESERVED) != 0 || n > MAX_PARTIAL_IV || n > left) return NACRE_ERR_DECODE;
    if (n > 1 && at[0] == 0) return NACRE_ERR_DECODE; /* RFC 8613 5: no leading zeros */
    if (n > 0) o.partial_iv = nacre_bytes_of(at, n);
    at += n;
    left -= n;
    if (flags & FLAG_KID_CONTEXT) {
        if (left == 0 || left - 1 < at[0]) return NACRE_ERR_DECODE;
        o.kid_context = nacre_bytes_of(at + 1, at[0]);
        left -= 1u + at[0];
        at += 1u + at[0];
    }
    if (flags & FLAG_KID) o.kid = nacre_bytes_of(at, left);
    else if (left > 0) return NACRE_ERR_DECODE;
    *opt = o;
    return NACRE_OK;
}

static bool is_empty(const nacre_oscore_option *opt)
{
    return nacre_is_absent(opt->partial_iv) && nacre_is_absent(opt->kid) && nacre_is_absent(opt->kid_context);
}

size_t nacre__oscore_option_size(const nacre_oscore_option *opt)
{
    if (is_empty(opt)) return 0;
    return 1 + opt->partial_iv.len + (nacre_is_absent(opt->kid_context) ? 0 : 1) + opt->kid_context.len + opt->kid.len;
}

uint8_t *nacre__oscore_option_put(uint8_t *at, const nacre_oscore_option *opt)
{
    if (is_empty(opt)) return at;
    bool has_context = !nacre_is_absent(opt->kid_context);
    *at++ = (uint8_t)(opt->partial_iv.len | (nacre_is_absent(opt->kid) ? 0u : FLAG_KID) |
                      (has_context ? FLAG_KID_CONTEXT : 0u));
    at = nacre__put(at, opt->partial_iv.ptr, opt->partial_iv.len);
    if (has_context) {
        *at++ = (uint8_t)opt->kid_context.len;
        at = nacre__put(at, opt->kid_context.ptr, opt->kid_context.len);
    }
    return nacre__put(at, opt->kid.ptr, opt->kid.len);
}

nacre_err nacre_oscore_option_write(const nacre_oscore_option *opt, nacre_bytes *out, nacre_room room)
{
    bool has_piv = !nacre_is_absent(opt->partial_iv);
    if (has_piv && (opt->partial_iv.len == 0 || opt->partial_iv.len > MAX_PARTIAL_IV)) return NACRE_ERR_BAD_ARGUMENT;
    if (opt->kid_context.len > 255) return NACRE_ERR_BAD_ARGUMENT;
    size_t len = nacre__oscore_option_size(opt);
    if (len > room.cap) return NACRE_ERR_NO_ROOM;
    nacre__oscore_option_put(room.ptr, opt);
    *out = nacre_bytes_of(room.ptr, len);
    return NACRE_OK;
}

nacre_err nacre__outer_read(nacre_oscore_option *opt, bool *others_stay, const nacre_message *message)
{
    if (message->options.len == 0) return NACRE_ERR_NOT_PROTECTED; /* and its pointer may be NULL */
    const uint8_t *at = message->options.ptr, *end = at + message->options.len;
    nacre_bytes value = NACRE_ABSENT, found = NACRE_ABSENT;
    uint32_t number = 0;
    bool stay = false;
    while (at != end && *at != NACRE__PAYLOAD_MARKER && (at = nacre__option_read(at, end, &number, &value)) != NULL) {
        if (number != NACRE_OPT_OSCORE) {
            stay = stay || nacre__only_outer((uint16_t)number);
            continue;
        }
        if (!nacre_is_absent(found)) return NACRE_ERR_DECODE; /* it is not repeatable: RFC 8613 2 */
        found = value;
    }
    if (nacre_is_absent(found)) return NACRE_ERR_NOT_PROTECTED;
    nacre_oscore_option read;
    nacre_err err = nacre_oscore_option_read(&read, found);
    if (err != NACRE_OK) return err;
    if (message->payload.len == 0) return NACRE_ERR_DECODE; /* RFC 8613 2: malformed without a payload */
    *opt = read;
    *others_stay = stay;
    return NACRE_OK;
}

nacre_err nacre_verify_start(nacre_oscore_option *opt, const nacre_message *message)
{
    bool others_stay;
    return nacre__outer_read(opt, &others_stay, message);
}
