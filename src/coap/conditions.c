/* SPDX-License-Identifier: MIT */
/* conditions: evaluates If-Match and If-None-Match (RFC 7252 5.10.8). */
#include <nacre/coap.h>

bool nacre_conditions_hold(nacre_bytes options, bool exists, nacre_bytes etag)
{
    bool has_if_match = false, matches = false;
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option) && option.number <= NACRE_OPT_IF_NONE_MATCH;) {
        if (option.number == NACRE_OPT_IF_NONE_MATCH && exists) return false;
        if (option.number != NACRE_OPT_IF_MATCH) continue;
        has_if_match = true;
        if (!exists) continue;
        matches = matches || option.value.len == 0 || (etag.len > 0 && nacre_bytes_equal(option.value, etag));
    }
    return !has_if_match || matches;
}
