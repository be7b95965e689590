/* SPDX-License-Identifier: MIT */
/* metrics_http_host: which Host headers are ours (metrics_http.h). */
#include "metrics_http.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

enum { MAX_HOST = 256 };

/* The host without brackets and port. False: not of the form HOST[:PORT]. */
static bool split(char name[MAX_HOST], bool *in_brackets, const char *host)
{
    *in_brackets = host[0] == '[';
    const char *start = host + *in_brackets, *end = *in_brackets ? strchr(start, ']') : start + strcspn(start, ":");
    if (end == NULL || end == start || (size_t)(end - start) >= MAX_HOST) return false;
    const char *port = end + *in_brackets;
    if (*port == ':') port += 1 + strspn(port + 1, "0123456789");
    if (*port != '\0') return false;
    memcpy(name, start, (size_t)(end - start));
    name[end - start] = '\0';
    return true;
}

bool metrics_host_is_ours(const char *host, const char *name)
{
    char requested[MAX_HOST], given[MAX_HOST];
    bool in_brackets, is_literal;
    struct in6_addr address;
    if (host == NULL || !split(requested, &in_brackets, host)) return false;
    if (inet_pton(in_brackets ? AF_INET6 : AF_INET, requested, &address) == 1) return true;
    if (in_brackets) return false;
    if (strcasecmp(requested, "localhost") == 0) return true;
    return split(given, &is_literal, name) && strcasecmp(requested, given) == 0;
}
