/* SPDX-License-Identifier: MIT */
/* uri_host: see uri_host.h. */
#include "store/credentials/uri_host.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HOST = 128, DIGITS = 10 }; /* an address with a scope is shorter than that */

static const char digits[] = "0123456789";

/* The number of a scope given as a number or an interface name. False: neither. */
static bool scope_number(unsigned *number, const char *scope)
{
    size_t len = strlen(scope);
    *number = if_nametoindex(scope);
    if (*number != 0) return true;
    if (len == 0 || len > DIGITS || strspn(scope, digits) != len) return false;
    *number = (unsigned)strtoul(scope, NULL, 10);
    return true;
}

/* The text in brackets. A scope is kept for link-local addresses only; elsewhere it has no meaning. */
static bool plain_v6(char out[MAX_HOST], char *host)
{
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN];
    unsigned number = 0;
    char *scope = strchr(host, '%');
    if (scope != NULL) *scope++ = '\0';
    if (scope != NULL && strncmp(scope, "25", 2) == 0) scope += 2; /* RFC 6874 2 */
    if (inet_pton(AF_INET6, host, &address) != 1) return false;
    if (IN6_IS_ADDR_V4MAPPED(&address))
        return inet_ntop(AF_INET, address.s6_addr + 12, out, MAX_HOST) != NULL; /* sent as IPv4, too */
    if (inet_ntop(AF_INET6, &address, text, sizeof text) == NULL) return false;
    if (scope == NULL || !IN6_IS_ADDR_LINKLOCAL(&address)) (void)snprintf(out, MAX_HOST, "[%s]", text);
    else if (scope_number(&number, scope)) (void)snprintf(out, MAX_HOST, "[%s%%25%u]", text, number);
    else return false;
    return true;
}

/* Also "127.1", "0x7f.1" and "2130706433", which resolvers accept as addresses. */
static bool plain_v4(char out[MAX_HOST], const char *host)
{
    struct in_addr address;
    return strspn(host, "0123456789abcdefABCDEFxX.") == strlen(host) && inet_aton(host, &address) != 0 &&
           inet_ntop(AF_INET, &address, out, MAX_HOST) != NULL;
}

/* Writes the host that begins at `host` and returns its end; returns `host` and writes nothing if it cannot be normalised. */
static const char *put_host(char **out, const char *host)
{
    char text[MAX_HOST], plain[MAX_HOST];
    bool bracketed = host[0] == '[';
    const char *end = host + strcspn(host, bracketed ? "]*/?#" : ":*/?#");
    const char *from = bracketed ? host + 1 : host;
    size_t len = (size_t)(end - from);
    if (len == 0 || *end == '*' || (bracketed && *end != ']')) return host;
    if (!bracketed && end[-1] == '.' && len > 1) len--; /* drop the dot of the DNS root */
    if (len < sizeof text) {
        memcpy(text, from, len);
        text[len] = '\0';
        if (bracketed ? plain_v6(plain, text) : plain_v4(plain, text)) {
            *out = (char *)memcpy(*out, plain, strlen(plain)) + strlen(plain);
            return end + bracketed;
        }
    }
    if (bracketed) return host;
    *out = (char *)memcpy(*out, from, len) + len;
    return end;
}

/* Drops leading zeros of ":05684", and an empty ":". */
static const char *put_port(char **out, const char *port)
{
    size_t len = *port == ':' ? strspn(port + 1, digits) : 0;
    if (*port == ':' && strchr("/?", port[1]) != NULL) return port + 1; /* an empty port is none (RFC 3986 3.2.3) */
    if (len == 0 || port[1 + len] == '*') return port;
    *(*out)++ = ':';
    size_t zeros = strspn(port + 1, "0");
    return port + 1 + (zeros < len ? zeros : len - 1);
}

void nacre__uri_host_plain(char *out, const char *uri)
{
    const char *separator = strstr(uri, "://");
    if (separator != NULL && separator == uri + strcspn(uri, ":/?#")) {
        size_t before = (size_t)(separator - uri) + 3;
        memcpy(out, uri, before);
        out += before;
        uri = put_host(&out, uri + before);
        uri = put_port(&out, uri);
    }
    memcpy(out, uri, strlen(uri) + 1);
}
