/* SPDX-License-Identifier: MIT */
/* option_table: what the registry says of each option (RFC 7252 5.10, RFC 8613 4.1 Figure 5, and later RFCs). */
#include <nacre/coap.h>

#define E      NACRE_CLASS_E
#define U      NACRE_CLASS_U
#define R      NACRE_REPEATABLE
#define UINT   NACRE_FORMAT_UINT
#define STRING NACRE_FORMAT_STRING
#define OPAQUE NACRE_FORMAT_OPAQUE
#define EMPTY  NACRE_FORMAT_EMPTY

/* Sorted by number. An option of both classes has an inner and an outer meaning of its own; a message that is to be
 * protected means the inner one, but for Observe, which goes into both (RFC 8613 4.1.3.5). */
static const nacre_option_info table[] = {
    { NACRE_OPT_IF_MATCH, 0, 8, E | R | OPAQUE, "If-Match" },
    { NACRE_OPT_URI_HOST, 1, 255, U | STRING, "Uri-Host" }, /* RFC 8613 4.1.3.2 */
    { NACRE_OPT_ETAG, 1, 8, E | R | OPAQUE, "ETag" },
    { NACRE_OPT_IF_NONE_MATCH, 0, 0, E | EMPTY, "If-None-Match" },
    { NACRE_OPT_OBSERVE, 0, 3, E | U | UINT, "Observe" },
    { NACRE_OPT_URI_PORT, 0, 2, U | UINT, "Uri-Port" },
    { NACRE_OPT_LOCATION_PATH, 0, 255, E | R | STRING, "Location-Path" },
    { NACRE_OPT_OSCORE, 0, 255, U | OPAQUE, "OSCORE" },
    { NACRE_OPT_URI_PATH, 0, 255, E | R | STRING, "Uri-Path" },
    { NACRE_OPT_CONTENT_FORMAT, 0, 2, E | UINT, "Content-Format" },
    { NACRE_OPT_URI_PATH_ABBREV, 0, 4, E | UINT, "Uri-Path-Abbrev" },
    { NACRE_OPT_MAX_AGE, 0, 4, E | U | UINT, "Max-Age" },
    { NACRE_OPT_URI_QUERY, 0, 255, E | R | STRING, "Uri-Query" },
    { NACRE_OPT_HOP_LIMIT, 1, 1, U | UINT, "Hop-Limit" }, /* RFC 8768: proxies count it down, so they must see it */
    { NACRE_OPT_ACCEPT, 0, 2, E | UINT, "Accept" },
    { NACRE_OPT_Q_BLOCK1, 0, 3, E | U | UINT, "Q-Block1" },
    { NACRE_OPT_LOCATION_QUERY, 0, 255, E | R | STRING, "Location-Query" },
    { NACRE_OPT_EDHOC, 0, 0, U | EMPTY, "EDHOC" }, /* RFC 9668 3.1 */
    { NACRE_OPT_BLOCK2, 0, 3, E | U | UINT, "Block2" },
    { NACRE_OPT_BLOCK1, 0, 3, E | U | UINT, "Block1" },
    { NACRE_OPT_SIZE2, 0, 4, E | U | UINT, "Size2" },
    { NACRE_OPT_Q_BLOCK2, 0, 3, E | U | R | UINT, "Q-Block2" },
    { NACRE_OPT_PROXY_URI, 1, 1034, U | STRING, "Proxy-Uri" },
    { NACRE_OPT_PROXY_SCHEME, 1, 255, U | STRING, "Proxy-Scheme" },
    { NACRE_OPT_SIZE1, 0, 4, E | U | UINT, "Size1" },
    { NACRE_OPT_PROXY_CRI, 1, 1023, U | OPAQUE, "Proxy-Cri" },
    { NACRE_OPT_PROXY_SCHEME_NUMBER, 0, 3, U | UINT, "Proxy-Scheme-Number" },
    { NACRE_OPT_ECHO, 1, 40, E | U | OPAQUE, "Echo" },
    { NACRE_OPT_NO_RESPONSE, 0, 1, E | U | UINT, "No-Response" },
    { NACRE_OPT_REQUEST_TAG, 0, 8, E | U | R | OPAQUE, "Request-Tag" },
};
static const nacre_option_info unknown = { 0, 0, 65535, E | R | OPAQUE, NULL }; /* RFC 8613 4.1 */

const nacre_option_info *nacre_option_lookup(uint16_t number)
{
    size_t low = 0, high = sizeof table / sizeof table[0];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table[middle].number == number) return &table[middle];
        if (table[middle].number < number) low = middle + 1;
        else high = middle;
    }
    return &unknown;
}
