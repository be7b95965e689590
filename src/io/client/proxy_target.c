/* SPDX-License-Identifier: MIT */
/* proxy_target: requests through a forward proxy. Of a protected request the proxy reads only the destination: Proxy-Scheme,
 * Uri-Host and Uri-Port are not encrypted, nor are scheme, host and port of a Proxy-Uri (RFC
 * 8613 4.1.3.2, 4.1.3.3). */
#include "io/client/proxy_target.h"

#include <string.h>

#include "coap/uri.h"
#include "base/hosted/detail.h"

enum { COAP_PORT = 5683, MAX_HOST = 255, MAX_SCHEME = 255, MAX_PROXY_URI = 1034 };

/* RFC 6874 2: in a URI the '%' of a scope is "%25"; a bare one is taken too. */
static void decode_scope(char *host_and_port)
{
    char *scope = host_and_port[0] == '[' ? strchr(host_and_port, '%') : NULL;
    if (scope != NULL && strncmp(scope, "%25", 3) == 0 && scope[3] != ']' && scope[3] != '\0')
        memmove(scope + 1, scope + 3, strlen(scope + 3) + 1);
}

nacre_err nacre__proxy_resolve(nacre_address addresses[NACRE__MAX_ADDRESSES], size_t *num, const char *proxy,
                               nacre_detail *why)
{
    static const char udp[] = "coap://", tcp[] = "coap+tcp://";
    char host_and_port[MAX_HOST + 8];
    bool is_udp = strncmp(proxy, udp, sizeof udp - 1) == 0, is_tcp = strncmp(proxy, tcp, sizeof tcp - 1) == 0;
    const char *start = is_udp ? proxy + sizeof udp - 1 : is_tcp ? proxy + sizeof tcp - 1 : proxy;
    if (start == proxy && strstr(proxy, "://") != NULL)
        return nacre__fail(why, NACRE_ERR_BAD_URI,
                           "'%s' has a scheme that no proxy is reached by: write "
                           "coap:// or coap+tcp://HOST[:PORT]",
                           proxy);
    size_t len = strcspn(start, "/?#");
    if (start[len] != '\0' && strcmp(start + len, "/") != 0)
        return nacre__fail(why, NACRE_ERR_BAD_URI, "'%s' has a path: a proxy is coap://HOST[:PORT]", proxy);
    if (len == 0 || len >= sizeof host_and_port)
        return nacre__fail(why, NACRE_ERR_BAD_URI, "'%s' names no proxy: write coap://HOST[:PORT]", proxy);
    memcpy(host_and_port, start, len);
    host_and_port[len] = '\0';
    if (start != proxy) decode_scope(host_and_port);
    nacre_err err = nacre__resolve_text(addresses, num, host_and_port, COAP_PORT, why);
    for (size_t i = 0; err == NACRE_OK && is_tcp && i < *num; i++) addresses[i].flags = NACRE_ADDRESS_RELIABLE;
    return err;
}

/* RFC 7252 6.5 steps 3 and 4: an IP address in Uri-Host is written as in a URI, with brackets for IPv6. */
static nacre_err add_ip_host(nacre_options *o, nacre_bytes host)
{
    uint8_t text[MAX_HOST];
    bool is_v6 = memchr(host.ptr, ':', host.len) != NULL;
    if (host.len + 2 > sizeof text) return NACRE_ERR_BAD_URI;
    if (!is_v6) {
        nacre_options_add(o, NACRE_OPT_URI_HOST, host);
        return NACRE_OK;
    }
    text[0] = '[';
    memcpy(text + 1, host.ptr, host.len);
    text[host.len + 1] = ']';
    nacre_options_add(o, NACRE_OPT_URI_HOST, nacre_bytes_of(text, host.len + 2));
    return NACRE_OK;
}

static nacre_err add_scheme(nacre_options *o, nacre_bytes scheme)
{
    uint8_t lower[MAX_SCHEME];
    if (scheme.len > sizeof lower) return NACRE_ERR_BAD_URI;
    for (size_t i = 0; i < scheme.len; i++) {
        uint8_t c = scheme.ptr[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
    }
    nacre_options_add(o, NACRE_OPT_PROXY_SCHEME, nacre_bytes_of(lower, scheme.len));
    return NACRE_OK;
}

nacre_err nacre__proxy_target_options(nacre_options *o, const nacre_uri *uri, const char *text, bool as_proxy_uri)
{
    nacre_bytes whole = nacre_bytes_of((const uint8_t *)text, strlen(text));
    if (as_proxy_uri && whole.len > MAX_PROXY_URI) return NACRE_ERR_BAD_URI;
    if (as_proxy_uri) {
        nacre_options_add(o, NACRE_OPT_PROXY_URI,
                          whole); /* RFC 7252 5.10.2: it takes precedence over all Uri- options */
        return NACRE_OK;
    }
    nacre_uri with_port = *uri;
    with_port.port = nacre__uri_default_port(uri->scheme);
    nacre_err err = nacre_uri_options(o, &with_port); /* without Uri-Port, which is added below */
    /* Without Uri-Port, RFC 7252 6.5 step 6 takes the port the request was received on; other implementations take the scheme's
     * default. */
    if (err == NACRE_OK && uri->port != 0) nacre_options_add_uint(o, NACRE_OPT_URI_PORT, uri->port);
    if (err == NACRE_OK && uri->host_is_ip) err = add_ip_host(o, uri->host);
    return err == NACRE_OK ? add_scheme(o, uri->scheme) : err;
}
