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
    if (len == 0) return true;
    const long number = len <= 5 && strspn(port, "0123456789") >= len ? strtol(port, NULL, 10) : 0;
    return number >= 1 && number <= 65535;
}

/* RFC 3986 3.2.2: an IPv6 address, here with a scope (RFC 6874 2: after "%25"). */
static const char *literal_fault(const char *host, size_t len)
{
    const char *scope = memchr(host, '%', len);
    const size_t rest = scope != NULL ? len - (size_t)(scope - host) : 0;
    if (memchr(host, ':', scope != NULL ? (size_t)(scope - host) : len) == NULL)
        return "the brackets hold no IPv6 address";
    if (scope == NULL) return NULL;
    if (rest < 4 || strncmp(scope, "%25", 3) != 0 || memchr(scope + 1, '%', rest - 1) != NULL)
        return "the scope of an address follows %25, as in coap://[fe80::1%25eth0]/";
    return NULL;
}

static const char *authority_fault(const char *text, size_t len)
{
    const char *end = text + len, *host_end = end;
    if (memchr(text, '@', len) != NULL) return "user information before the host ('@') has no place in it";
    if (len == 0 || (*text == ':' && memchr(text + 1, ':', len - 1) == NULL)) return "the host is missing";
    if (*text == '[') {
        host_end = memchr(text, ']', len);
        if (host_end == NULL) return "the address in brackets has no ']'";
        const char *fault = literal_fault(text + 1, (size_t)(host_end - text) - 1);
        if (fault != NULL) return fault;
        host_end++;
        if (host_end != end && *host_end != ':') return "after ']' comes ':' and a port, or the path";
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

static size_t decoded_len(nacre_bytes text)
{
    size_t len = text.len;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '%') len -= 2;
    return len;
}

/* Whether a part between separators has more than 255 bytes. */
static bool has_long_part(nacre_bytes text, char separator)
{
    for (size_t start = 0, i = 0; i <= text.len; i++) {
        if (i < text.len && text.ptr[i] != (uint8_t)separator) continue;
        if (decoded_len(nacre_bytes_of(text.ptr + start, i - start)) > 255) return true;
        start = i + 1;
    }
    return false;
}

const char *nacre__uri_long_part(const nacre_uri *uri)
{
    if (decoded_len(uri->host) > 255) return "the host is longer than 255 bytes";
    if (has_long_part(uri->path, '/')) return "a part of the path is longer than 255 bytes";
    if (has_long_part(uri->query, '&')) return "a part of the query is longer than 255 bytes";
    return "a part of it is too long for an option";
}
