/* SPDX-License-Identifier: MIT */
/* option_check: which options of a received message are recognised (RFC 7252 5.4.3, 5.4.5): an option of an invalid length,
 * or a surplus one of a non-repeatable number, is treated as unknown. Elective ones are dropped here; critical ones stay, so
 * that the message is rejected. */
#ifndef NACRE_COAP_OPTION_CHECK_H
#define NACRE_COAP_OPTION_CHECK_H

#include "coap/message.h"

/* Limits of the numbers below 64, from the option table. */
enum { NACRE__NUM_LIMITS = 64 };
typedef struct nacre__option_limits {
    uint16_t min_len, span; /* at least min_len, at most min_len + span bytes */
    bool once, known;
} nacre__option_limits;
extern const nacre__option_limits nacre__limits[NACRE__NUM_LIMITS];

/* A bit of nacre__options_seen: an unrecognised option may be present. No option has a number with this bit. */
#define NACRE__SEEN_UNRECOGNISED NACRE__SEEN(0)

/* nacre__options_seen returns the bits of nacre__options_scan for well-formed options, and NACRE__SEEN_UNRECOGNISED. */
uint32_t nacre__options_seen(nacre_bytes options);

/* Whether length and repetition are valid; `repeated`: the previous option has the same number. True for unknown numbers. */
bool nacre__option_is_valid(const nacre_option *option, bool repeated);

/* Whether the option is critical, and unknown or invalid: its message is rejected. */
bool nacre__option_must_reject(const nacre_option *option, bool repeated);

/* nacre__options_drop copies `options` without invalid elective ones to `to`, which has at least as many bytes, or is
 * options.ptr. Returns the length. */
size_t nacre__options_drop(uint8_t *to, nacre_bytes options);

#endif
