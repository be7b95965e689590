/* SPDX-License-Identifier: MIT */
/* option_table: properties of each registered option (RFC 7252 5.10, RFC 8613 4.1 Figure 5, and later RFCs). */
#include "coap/option_check.h"

#define E      NACRE_CLASS_E
#define U      NACRE_CLASS_U
#define R      NACRE_REPEATABLE
#define UINT   NACRE_FORMAT_UINT
#define STRING NACRE_FORMAT_STRING
#define OPAQUE NACRE_FORMAT_OPAQUE
#define EMPTY  NACRE_FORMAT_EMPTY

/* Sorted by number: below 64, and above. An option of both classes has separate inner and outer meanings; in a message to be
 * protected it is the inner one, except Observe, which goes into both (RFC 8613 4.1.3.5). */
#define LOW_OPTIONS(X)                                                                                                 \
    X(NACRE_OPT_IF_MATCH, 0, 8, E | R | OPAQUE, "If-Match")                                                            \
    X(NACRE_OPT_URI_HOST, 1, 255, U | STRING, "Uri-Host") /* RFC 8613 4.1.3.2 */                                       \
    X(NACRE_OPT_ETAG, 1, 8, E | R | OPAQUE, "ETag")                                                                    \
    X(NACRE_OPT_IF_NONE_MATCH, 0, 0, E | EMPTY, "If-None-Match")                                                       \
    X(NACRE_OPT_OBSERVE, 0, 3, E | U | UINT, "Observe")                                                                \
    X(NACRE_OPT_URI_PORT, 0, 2, U | UINT, "Uri-Port")                                                                  \
    X(NACRE_OPT_LOCATION_PATH, 0, 255, E | R | STRING, "Location-Path")                                                \
    X(NACRE_OPT_OSCORE, 0, 255, U | OPAQUE, "OSCORE")                                                                  \
    X(NACRE_OPT_URI_PATH, 0, 255, E | R | STRING, "Uri-Path")                                                          \
    X(NACRE_OPT_CONTENT_FORMAT, 0, 2, E | UINT, "Content-Format")                                                      \
    X(NACRE_OPT_URI_PATH_ABBREV, 0, 4, E | UINT, "Uri-Path-Abbrev")                                                    \
    X(NACRE_OPT_MAX_AGE, 0, 4, E | U | UINT, "Max-Age")                                                                \
    X(NACRE_OPT_URI_QUERY, 0, 255, E | R | STRING, "Uri-Query")                                                        \
    X(NACRE_OPT_HOP_LIMIT, 1, 1, U | UINT, "Hop-Limit") /* RFC 8768: proxies decrement it */                           \
    X(NACRE_OPT_ACCEPT, 0, 2, E | UINT, "Accept")                                                                      \
    X(NACRE_OPT_Q_BLOCK1, 0, 3, E | U | UINT, "Q-Block1")                                                              \
    X(NACRE_OPT_LOCATION_QUERY, 0, 255, E | R | STRING, "Location-Query")                                              \
    X(NACRE_OPT_EDHOC, 0, 0, U | EMPTY, "EDHOC") /* RFC 9668 3.1 */                                                    \
    X(NACRE_OPT_BLOCK2, 0, 3, E | U | UINT, "Block2")                                                                  \
    X(NACRE_OPT_BLOCK1, 0, 3, E | U | UINT, "Block1")                                                                  \
    X(NACRE_OPT_SIZE2, 0, 4, E | U | UINT, "Size2")                                                                    \
    X(NACRE_OPT_Q_BLOCK2, 0, 3, E | U | R | UINT, "Q-Block2")                                                          \
    X(NACRE_OPT_PROXY_URI, 1, 1034, U | STRING, "Proxy-Uri")                                                           \
    X(NACRE_OPT_PROXY_SCHEME, 1, 255, U | STRING, "Proxy-Scheme")                                                      \
    X(NACRE_OPT_SIZE1, 0, 4, E | U | UINT, "Size1")
#define HIGH_OPTIONS(X)                                                                                                \
    X(NACRE_OPT_PROXY_CRI, 1, 1023, U | OPAQUE, "Proxy-Cri")                                                           \
    X(NACRE_OPT_PROXY_SCHEME_NUMBER, 0, 3, U | UINT, "Proxy-Scheme-Number")                                            \
    X(NACRE_OPT_ECHO, 1, 40, E | U | OPAQUE, "Echo")                                                                   \
    X(NACRE_OPT_NO_RESPONSE, 0, 1, E | U | UINT, "No-Response")                                                        \
    X(NACRE_OPT_REQUEST_TAG, 0, 8, E | U | R | OPAQUE, "Request-Tag")

#define ROW(number_, min_, max_, flags_, name_) { number_, min_, max_, flags_, name_ },
static const nacre_option_info table[] = { LOW_OPTIONS(ROW) HIGH_OPTIONS(ROW) };
static const nacre_option_info unknown = { 0, 0, 65535, E | R | OPAQUE, NULL }; /* RFC 8613 4.1 */

const nacre_option_info *nacre_option_lookup(uint16_t number)
{
    size_t low = 0, high = sizeof table / sizeof table[0];
    if (number > table[high - 1].number) return &unknown;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table[middle].number == number) return &table[middle];
        if (table[middle].number < number) low = middle + 1;
        else high = middle;
    }
    return &unknown;
}

/* Limits indexed by number, because they are checked in every message. */
#define LIMITS(number_, min_, max_, flags_, name_) [number_] = { min_, (max_) - (min_), ((flags_)&R) == 0, true },
const nacre__option_limits nacre__limits[NACRE__NUM_LIMITS] = { LOW_OPTIONS(LIMITS) };
