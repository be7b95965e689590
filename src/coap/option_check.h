/* SPDX-License-Identifier: MIT */
/* option_check: which options of a received message count (RFC 7252 5.4.3, 5.4.5): one of a length that its number does not
 * have, and one too many of a number that comes once, are as unrecognised as one of an unknown number. So elective ones are
 * dropped, here; critical ones stay, and say that the message is not understood. */
#ifndef NACRE_COAP_OPTION_CHECK_H
#define NACRE_COAP_OPTION_CHECK_H

#include "coap/message.h"

/* Of the numbers below 64, from the table of all. */
enum { NACRE__NUM_LIMITS = 64 };
typedef struct nacre__option_limits {
    uint16_t min_len, span; /* at least min_len, at most min_len + span bytes */
    bool once, known;
} nacre__option_limits;
extern const nacre__option_limits nacre__limits[NACRE__NUM_LIMITS];

/* Among the bits of nacre__options_seen: an option may be there that does not count. No option has the numbers whose bit this
 * is. */
#define NACRE__SEEN_UNCOUNTED NACRE__SEEN(0)

/* nacre__options_seen is what nacre__options_scan says of options that are well-formed, and NACRE__SEEN_UNCOUNTED. */
uint32_t nacre__options_seen(nacre_bytes options);

/* Whether an option counts; `repeated`: the one before it has the same number. Unknown numbers: yes. */
bool nacre__option_counts(const nacre_option *option, bool repeated);

/* Whether an option is a critical one that nobody can understand: unknown, or it does not count. */
bool nacre__option_is_foreign(const nacre_option *option, bool repeated);

/* nacre__options_drop writes what is left of `options` without the elective ones that do not count to `to`, which has room for as
 * many bytes, or is where they are. Gives its length. */
size_t nacre__options_drop(uint8_t *to, nacre_bytes options);

#endif
