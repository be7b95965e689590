/* SPDX-License-Identifier: MIT */
/* option: writes the OSCORE option's value; length and buffer are already checked. */
#ifndef NACRE_OSCORE_OPTION_H
#define NACRE_OSCORE_OPTION_H

#include <nacre/oscore.h>
#include "base/copy.h"

enum { NACRE__FLAG_KID_CONTEXT = 0x10, NACRE__FLAG_KID = 0x08 };

#if defined(__OPTIMIZE_SIZE__)
bool nacre__oscore_option_empty(const nacre_oscore_option *opt);
size_t nacre__oscore_option_size(const nacre_oscore_option *opt);
uint8_t *nacre__oscore_option_put(uint8_t *at, const nacre_oscore_option *opt);
#endif

#if !defined(__OPTIMIZE_SIZE__) || defined(NACRE__CODEC_IS_HERE)

NACRE__CODEC bool nacre__oscore_option_empty(const nacre_oscore_option *opt)
{
    return nacre_is_absent(opt->partial_iv) && nacre_is_absent(opt->kid) && nacre_is_absent(opt->kid_context);
}

NACRE__CODEC size_t nacre__oscore_option_size(const nacre_oscore_option *opt)
{
    if (nacre__oscore_option_empty(opt)) return 0;
    return 1 + opt->partial_iv.len + (nacre_is_absent(opt->kid_context) ? 0 : 1) + opt->kid_context.len + opt->kid.len;
}

NACRE__CODEC uint8_t *nacre__oscore_option_put(uint8_t *at, const nacre_oscore_option *opt)
{
    if (nacre__oscore_option_empty(opt)) return at;
    bool has_context = !nacre_is_absent(opt->kid_context);
    *at++ = (uint8_t)(opt->partial_iv.len | (nacre_is_absent(opt->kid) ? 0u : NACRE__FLAG_KID) |
                      (has_context ? NACRE__FLAG_KID_CONTEXT : 0u));
    at = nacre__put(at, opt->partial_iv.ptr, opt->partial_iv.len);
    if (has_context) {
        *at++ = (uint8_t)opt->kid_context.len;
        nacre__move(at, opt->kid_context.ptr, opt->kid_context.len);
        at += opt->kid_context.len;
    }
    return nacre__put(at, opt->kid.ptr, opt->kid.len);
}

#endif

/* The parsed outer options of an OSCORE message. */
typedef struct nacre__outer_options {
    nacre_oscore_option oscore; /* slices of the message */
    bool others_stay;           /* others are present that stay after decryption */
} nacre__outer_options;

/* nacre_verify_start for all of them; `outer` is set on NACRE_OK. */
nacre_err nacre__outer_read(nacre__outer_options *outer, const nacre_message *message);

/* Whether an option is only outer (class U and not E, RFC 8613 4.1). */
bool nacre__only_outer(uint16_t number);

#endif
