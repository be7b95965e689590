/* SPDX-License-Identifier: MIT */
/* address: UDP addresses: conversion between sockaddr, nacre_address and text. */
#include "io/address.h"
#include "base/hosted/detail.h"

#include <nacre/address.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

enum { AT_PORT = 1, AT_HOST = 3, AT_SCOPE = 19 };

static void put_v4(nacre_address *address, const void *host, in_port_t port)
{
    nacre_address made = { .len = NACRE__ADDRESS_V4_LEN, .bytes = { 4 } };
    memcpy(made.bytes + AT_PORT, &port, 2);
    memcpy(made.bytes + AT_HOST, host, 4);
    *address = made;
}

static void put_v6(nacre_address *address, const struct sockaddr_in6 *in6)
{
    nacre_address made = { .len = NACRE__ADDRESS_V6_LEN, .bytes = { 6 } };
    uint32_t scope = IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr) ? htonl(in6->sin6_scope_id) : 0;
    memcpy(made.bytes + AT_PORT, &in6->sin6_port, 2);
    memcpy(made.bytes + AT_HOST, &in6->sin6_addr, 16);
    memcpy(made.bytes + AT_SCOPE, &scope, 4);
    *address = made;
}

bool nacre__address_from(nacre_address *address, const struct sockaddr *sa, size_t sa_len)
{
    if (sa_len >= sizeof(struct sockaddr_in) && sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        put_v4(address, &in.sin_addr, in.sin_port);
        return true;
    }
    if (sa_len >= sizeof(struct sockaddr_in6) && sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) put_v4(address, in6.sin6_addr.s6_addr + 12, in6.sin6_port);
        else put_v6(address, &in6);
        return true;
    }
    return false;
}

static bool is_v4(const nacre_address *address)
{
    return address->len == NACRE__ADDRESS_V4_LEN && address->bytes[0] == 4;
}

bool nacre__address_is_ipv6(const nacre_address *address)
{
    return address->len == NACRE__ADDRESS_V6_LEN && address->bytes[0] == 6;
}

bool nacre__address_is_wildcard(const nacre_address *address)
{
    static const uint8_t zeros[16];
    size_t len = nacre__address_is_ipv6(address) ? 16 : is_v4(address) ? 4 : 0;
    return memcmp(address->bytes + AT_HOST, zeros, len) == 0;
}

bool nacre__address_is_multicast(const nacre_address *address)
{
    if (nacre__address_is_ipv6(address)) return address->bytes[AT_HOST] == 0xff; /* RFC 4291 2.7 */
    return is_v4(address) && address->bytes[AT_HOST] >> 4 == 14;                 /* 224.0.0.0/4 */
}

bool nacre__address_is_one_host(const nacre_address *address)
{
    static const uint8_t broadcast[] = { 255, 255, 255, 255 };
    if (nacre__address_is_wildcard(address) || nacre__address_is_multicast(address)) return false;
    return !is_v4(address) || memcmp(address->bytes + AT_HOST, broadcast, sizeof broadcast) != 0;
}

bool nacre__address_same_host(const nacre_address *a, const nacre_address *b)
{
    if (a->len != b->len || a->bytes[0] != b->bytes[0]) return false;
    return memcmp(a->bytes + AT_HOST, b->bytes + AT_HOST, is_v4(a) ? 4 : 8) == 0;
}

void nacre__address_any_v4(nacre_address *address)
{
    if (!nacre__address_is_ipv6(address) || !nacre__address_is_wildcard(address)) return;
    nacre_address any = { .len = NACRE__ADDRESS_V4_LEN, .bytes = { 4 } };
    memcpy(any.bytes + AT_PORT, address->bytes + AT_PORT, 2);
    *address = any;
}

static socklen_t to_v4(struct sockaddr_storage *sa, const nacre_address *address)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    memcpy(&in.sin_port, address->bytes + AT_PORT, 2);
    memcpy(&in.sin_addr, address->bytes + AT_HOST, 4);
    memcpy(sa, &in, sizeof in);
    return sizeof in;
}

static socklen_t to_v6(struct sockaddr_storage *sa, const nacre_address *address)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    memcpy(&in6.sin6_port, address->bytes + AT_PORT, 2);
    if (is_v4(address)) {
        in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
        memcpy(in6.sin6_addr.s6_addr + 12, address->bytes + AT_HOST, 4);
    } else {
        uint32_t scope;
        memcpy(&in6.sin6_addr, address->bytes + AT_HOST, 16);
        memcpy(&scope, address->bytes + AT_SCOPE, 4);
        in6.sin6_scope_id = ntohl(scope);
    }
    memcpy(sa, &in6, sizeof in6);
    return sizeof in6;
}

socklen_t nacre__address_to(struct sockaddr_storage *sa, const nacre_address *address, bool ipv6)
{
    if (is_v4(address)) return ipv6 ? to_v6(sa, address) : to_v4(sa, address);
    if (nacre__address_is_ipv6(address) && ipv6) return to_v6(sa, address);
    return 0;
}

void nacre_address_text(const nacre_address *address, char text[72])
{
    char host[INET6_ADDRSTRLEN], scope[12] = "";
    bool v6 = nacre__address_is_ipv6(address);
    if ((!v6 && !is_v4(address)) ||
        inet_ntop(v6 ? AF_INET6 : AF_INET, address->bytes + AT_HOST, host, sizeof host) == NULL) {
        (void)snprintf(text, 72, "(no address)");
        return;
    }
    unsigned port = (unsigned)address->bytes[AT_PORT] << 8 | address->bytes[AT_PORT + 1];
    uint32_t index = 0;
    if (v6) memcpy(&index, address->bytes + AT_SCOPE, 4);
    if (index != 0) (void)snprintf(scope, sizeof scope, "%%%u", (unsigned)ntohl(index));
    (void)snprintf(text, 72, v6 ? "[%s%s]:%u" : "%s%s:%u", host, scope, port);
}

/* ---- From text ----------------------------------------------------------------------------------------------------- */

static void add_new(nacre_address addresses[NACRE__MAX_ADDRESSES], size_t *num, const struct addrinfo *at)
{
    nacre_address found;
    if (*num == NACRE__MAX_ADDRESSES || !nacre__address_from(&found, at->ai_addr, at->ai_addrlen)) return;
    for (size_t i = 0; i < *num; i++)
        if (nacre_address_equal(&addresses[i], &found)) return;
    addresses[(*num)++] = found;
}

nacre_err nacre__resolve_all(nacre_address addresses[NACRE__MAX_ADDRESSES], size_t *num, const char *host,
                             uint16_t port, nacre_detail *why)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    char service[6];
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    int err = getaddrinfo(host, service, &hints, &found);
    if (err != 0)
        return nacre__fail(why, NACRE_ERR_ADDRESS, "cannot find the host '%s': %s; check the name%s", host,
                           gai_strerror(err), strchr(host, '%') != NULL ? " of the interface" : "");
    *num = 0;
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) add_new(addresses, num, at);
    freeaddrinfo(found);
    if (*num == 0)
        return nacre__fail(why, NACRE_ERR_ADDRESS, "the host '%s' has neither an IPv4 nor an IPv6 address", host);
    return NACRE_OK;
}

/* A port in decimal: 1 to 5 digits, at most 65535. */
static bool port_of(const char *text, uint16_t *port)
{
    unsigned value = 0;
    size_t len = strlen(text);
    if (len < 1 || len > 5 || strspn(text, "0123456789") != len) return false;
    for (size_t i = 0; i < len; i++) value = value * 10 + (unsigned)(text[i] - '0');
    if (value > 65535) return false;
    *port = (uint16_t)value;
    return true;
}

/* Splits "[::1]:5683", "::1", "host:port" or "host"; `*port` is NULL without a port. */
static bool take_apart(const char *text, const char **host, size_t *host_len, const char **port)
{
    const char *first = strchr(text, ':'), *last = strrchr(text, ':');
    *port = NULL;
    *host = text;
    *host_len = strlen(text);
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':')) return false;
        *host = text + 1;
        *host_len = (size_t)(end - *host);
        if (end[1] == ':') *port = end + 2;
        /* Brackets are for IPv6 only: "[localhost]" is rejected. */
        return memchr(*host, ':', *host_len) != NULL;
    }
    if (first != NULL &&
        first == last) { /* more than one colon: an IPv6 address without brackets, and without a port */
        *host_len = (size_t)(first - text);
        *port = first + 1;
    }
    return *host_len > 0;
}

nacre_err nacre__resolve_text(nacre_address addresses[NACRE__MAX_ADDRESSES], size_t *num, const char *host_and_port,
                              uint16_t default_port, nacre_detail *why)
{
    const char *host, *port_text;
    size_t host_len;
    char name[256];
    uint16_t port = default_port;
    if (!take_apart(host_and_port, &host, &host_len, &port_text) || host_len >= sizeof name)
        return nacre__fail(why, NACRE_ERR_ADDRESS, "'%s' is no address: write HOST, HOST:PORT or [IPV6]:PORT",
                           host_and_port);
    if (port_text != NULL && !port_of(port_text, &port))
        return nacre__fail(why, NACRE_ERR_ADDRESS, "'%s' has no usable port: it is a number from 0 to 65535",
                           host_and_port);
    memcpy(name, host, host_len);
    name[host_len] = '\0';
    return nacre__resolve_all(addresses, num, name, port, why);
}

nacre_err nacre_address_resolve(nacre_address *address, const char *host_and_port, uint16_t default_port,
                                nacre_detail *why)
{
    nacre_address all[NACRE__MAX_ADDRESSES];
    size_t num = 0;
    nacre_err err = nacre__resolve_text(all, &num, host_and_port, default_port, why);
    if (err == NACRE_OK) *address = all[0];
    return err;
}

nacre_bytes nacre_address_part(void *self, const nacre_address *address, bool network)
{
    (void)self;
    if (is_v4(address)) return nacre_bytes_of(address->bytes + AT_HOST, network ? 3 : 4);
    if (nacre__address_is_ipv6(address)) return nacre_bytes_of(address->bytes + AT_HOST, network ? 6 : 16);
    return nacre_bytes_of(address->bytes, address->len <= sizeof address->bytes ? address->len : 0);
}
