/* SPDX-License-Identifier: MIT */
/* uri_fault: see uri_fault.h. */
#include "io/client/uri_fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* After `colon` comes nothing, or 1 to 65535, up to the end of the authority. */
static bool is_port(const char *port, size_t len)
{
    return len <= 5 && strspn(port, "0123456789") >= len && (len == 0 || strtol(port, NULL, 10) <= 65535);
}

static const char *authority_fault(const char *text, size_t len)
{
    const char *end = text + len, *host_end = end;
    if (memchr(text, '@', len) != NULL) return "user information before the host ('@') has no place in it";
    if (len == 0 || (*text == ':' && memchr(text + 1, ':', len - 1) == NULL)) return "the host is missing";
    if (*text == '[') {
        host_end = memchr(text, ']', len);
        if (host_end == NULL) return "the address in brackets has no ']'";
        host_end++;
    } else {
        const char *colon = memchr(text, ':', len);
        if (colon != NULL) host_end = colon;
        if (colon != NULL && memchr(colon + 1, ':', (size_t)(end - colon) - 1) != NULL)
            return "an IPv6 address needs brackets, as in coap://[::1]/";
    }
    if (host_end == end) return NULL;
    if (*host_end == ':' && is_port(host_end + 1, (size_t)(end - host_end) - 1)) return NULL;
    return "the port is not a number from 1 to 65535";
}

static bool has_bad_percent(const char *text)
{
    for (const char *at = text; (at = strchr(at, '%')) != NULL; at++)
        if (at[1] == '\0' || strspn(at + 1, "0123456789abcdefABCDEF") < 2) return true;
    return false;
}

const char *nacre__uri_fault(const char *text)
{
    const char *rest = strstr(text, "://");
    if (rest == NULL || rest == text) return "the scheme is missing";
    rest += 3;
    const size_t authority = strcspn(rest, "/?#");
    const char *fault = authority_fault(rest, authority);
    if (fault != NULL) return fault;
    if (strchr(rest, '#') != NULL) return "a fragment ('#') has no place in it";
    if (has_bad_percent(rest)) return "a '%' is not followed by two hex digits";
    const size_t path = authority + strcspn(rest + authority, "?");
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/?%";
    const size_t bad = authority + strspn(rest + authority, allowed);
    if (rest[bad] == '\0') return "the host has a character that a host cannot have";
    return bad < path ? "the path has a character that must be written as %XX"
                      : "the query has a character that must be written as %XX";
}
