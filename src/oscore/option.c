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
#include "coap/message.h"
#define NACRE__CODEC_IS_HERE
#include "oscore/option.h"

enum { FLAG_RESERVED = 0xe0, MASK_PARTIAL_IV = 0x07, MAX_PARTIAL_IV = 5 };

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
    if (flags & NACRE__FLAG_KID_CONTEXT) {
        if (left == 0 || left - 1 < at[0]) return NACRE_ERR_DECODE;
        o.kid_context = nacre_bytes_of(at + 1, at[0]);
        left -= 1u + at[0];
        at += 1u + at[0];
    }
    if (flags & NACRE__FLAG_KID) o.kid = nacre_bytes_of(at, left);
    else if (left > 0) return NACRE_ERR_DECODE;
    *opt = o;
    return NACRE_OK;
}

nacre_err nacre_oscore_option_write(const nacre_oscore_option *opt, nacre_bytes *out, nacre_buf buf)
{
    bool has_piv = !nacre_is_absent(opt->partial_iv);
    if (has_piv && (opt->partial_iv.len == 0 || opt->partial_iv.len > MAX_PARTIAL_IV)) return NACRE_ERR_BAD_ARGUMENT;
    if (opt->kid_context.len > 255) return NACRE_ERR_BAD_ARGUMENT;
    size_t len = nacre__oscore_option_size(opt);
    if (len > buf.cap) return NACRE_ERR_BUFFER_TOO_SMALL;
    nacre__oscore_option_put(buf.ptr, opt);
    *out = nacre_bytes_of(buf.ptr, len);
    return NACRE_OK;
}

/* Whether a short OSCORE option is the only one, the common case: a fast path that reads one byte. */
static bool is_alone(nacre_bytes options)
{
#if defined(__OPTIMIZE_SIZE__)
    return false;
#endif
    return options.ptr[0] >> 4 == NACRE_OPT_OSCORE && options.len <= 13 && (options.ptr[0] & 15u) + 1 == options.len;
}

nacre_err nacre__outer_read(nacre__outer_options *outer, const nacre_message *message)
{
    if (message->options.len == 0) return NACRE_ERR_NOT_PROTECTED; /* its pointer may be NULL */
    if (is_alone(message->options) && message->payload.len > 0) {
        outer->others_stay = false;
        return nacre_oscore_option_read(&outer->oscore,
                                        nacre_bytes_of(message->options.ptr + 1, message->options.len - 1));
    }
    const uint8_t *at = message->options.ptr, *end = at + message->options.len;
    nacre_bytes value = NACRE_ABSENT, found = NACRE_ABSENT;
    uint32_t number = 0;
    bool stay = false;
    while (at != end && *at != NACRE__PAYLOAD_MARKER && (at = nacre__option_read(at, end, &number, &value)) != NULL) {
        if (number != NACRE_OPT_OSCORE) {
            stay = stay || nacre__only_outer((uint16_t)number);
            continue;
        }
        if (!nacre_is_absent(found)) return NACRE_ERR_DECODE; /* not repeatable: RFC 8613 2 */
        found = value;
    }
    if (nacre_is_absent(found)) return NACRE_ERR_NOT_PROTECTED;
    if (message->payload.len == 0) return NACRE_ERR_DECODE; /* RFC 8613 2: malformed without a payload */
    outer->others_stay = stay;
    return nacre_oscore_option_read(&outer->oscore, found);
}

nacre_err nacre_verify_start(nacre_oscore_option *opt, const nacre_message *message)
{
    nacre__outer_options outer;
    const nacre_err err = nacre__outer_read(&outer, message);
    if (err == NACRE_OK) *opt = outer.oscore;
    return err;
}
