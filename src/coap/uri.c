/* SPDX-License-Identifier: MIT */
/* uri: parses coap URIs, and converts between URIs and options (RFC 7252 6.1, 6.4, 6.5; RFC 3986). */
#include "coap/uri.h"
#include "base/dot_segments.h"
#include "coap/option_codec.h"
#include <string.h>

enum { OPTION_TEXT_MAX = 255 };

static bool is_alpha(uint8_t c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(uint8_t c)
{
    if (is_digit(c)) return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_one_of(uint8_t c, const char *set)
{
    for (; *set != '\0'; set++)
        if (c == (uint8_t)*set) return true;
    return false;
}

/* RFC 3986: unreserved and sub-delims, never percent-encoded. */
static bool is_plain(uint8_t c)
{
    return is_alpha(c) || is_digit(c) || is_one_of(c, "-._~!$&'()*+,;=");
}

/* Every character is plain, in `extra`, or part of a percent-encoded byte. */
static bool well_formed(nacre_bytes text, const char *extra)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '%') {
            if (text.len - i < 3 || hex_value(text.ptr[i + 1]) < 0 || hex_value(text.ptr[i + 2]) < 0) return false;
            i += 2;
        } else if (!is_plain(c) && !is_one_of(c, extra)) {
            return false;
        }
    }
    return true;
}

/* Removes from `rest` and returns the bytes before the first of `stops`. */
static nacre_bytes take_until(nacre_bytes *rest, const char *stops)
{
    size_t n = 0;
    while (n < rest->len && !is_one_of(rest->ptr[n], stops)) n++;
    nacre_bytes head = { rest->ptr, n };
    rest->ptr += n;
    rest->len -= n;
    return head;
}

static void skip(nacre_bytes *rest, size_t n)
{
    rest->ptr += n;
    rest->len -= n;
}

static bool equals_ignoring_case(nacre_bytes text, const char *lower)
{
    size_t i = 0;
    for (; i < text.len && lower[i] != '\0'; i++) {
        uint8_t c = is_alpha(text.ptr[i]) ? (uint8_t)(text.ptr[i] | 0x20) : text.ptr[i];
        if (c != (uint8_t)lower[i]) return false;
    }
    return i == text.len && lower[i] == '\0';
}

static bool is_ipv4(nacre_bytes host)
{
    unsigned parts = 0, value = 0, digits = 0;
    for (size_t i = 0; i <= host.len; i++) {
        if (i == host.len || host.ptr[i] == '.') {
            if (digits == 0 || value > 255) return false;
            parts++;
            value = digits = 0;
        } else {
            if (!is_digit(host.ptr[i]) || ++digits > 3) return false;
            value = value * 10 + (unsigned)(host.ptr[i] - '0');
        }
    }
    return parts == 4;
}

static bool parse_host(nacre_uri *u, nacre_bytes *authority)
{
    if (authority->len > 0 && authority->ptr[0] == '[') {
        skip(authority, 1);
        u->host = take_until(authority, "]");
        u->host_is_ip = true;
        if (authority->len == 0 || u->host.len == 0) return false;
        skip(authority, 1);
        nacre_bytes rest = u->host;
        take_until(&rest, ":");
        return well_formed(u->host, ":") && rest.len > 0;
    }
    u->host = take_until(authority, ":");
    u->host_is_ip = is_ipv4(u->host);
    return u->host.len > 0 && well_formed(u->host, "");
}

static bool parse_port(nacre_uri *u, nacre_bytes authority)
{
    u->port = nacre__uri_default_port(u->scheme);
    u->has_port = false;
    if (authority.len == 0) return true;
    if (authority.ptr[0] != ':') return false;
    skip(&authority, 1);
    uint32_t port = 0;
    for (size_t i = 0; i < authority.len; i++) {
        if (!is_digit(authority.ptr[i]) || port > 6553) return false;
        port = port * 10 + (uint32_t)(authority.ptr[i] - '0');
    }
    if (port > 65535 || (authority.len > 0 && port == 0)) return false;
    u->has_port = authority.len > 0; /* "host:" means the default, RFC 7252 6.1 */
    if (u->has_port) u->port = (uint16_t)port;
    return true;
}

static bool scheme_ok(nacre_bytes scheme)
{
    if (scheme.len == 0 || !is_alpha(scheme.ptr[0])) return false;
    for (size_t i = 1; i < scheme.len; i++)
        if (!is_alpha(scheme.ptr[i]) && !is_digit(scheme.ptr[i]) && !is_one_of(scheme.ptr[i], "+-.")) return false;
    return true;
}

uint16_t nacre__uri_default_port(nacre_bytes scheme)
{
    static const struct {
        const char *scheme;
        uint16_t port;
    } ports[] = { { "coap", 5683 },  { "coaps", 5684 },   { "coap+tcp", 5683 }, { "coaps+tcp", 5684 },
                  { "coap+ws", 80 }, { "coaps+ws", 443 }, { "http", 80 },       { "https", 443 } };
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++)
        if (equals_ignoring_case(scheme, ports[i].scheme)) return ports[i].port;
    return 0;
}

nacre_err nacre__uri_parse_any(nacre_uri *uri, nacre_bytes text)
{
    nacre_uri u = { 0 };
    nacre_bytes rest = text;
    if (text.len == 0) return NACRE_ERR_BAD_URI;
    u.scheme = take_until(&rest, ":/?#");
    if (!scheme_ok(u.scheme) || rest.len < 3 || memcmp(rest.ptr, "://", 3) != 0) return NACRE_ERR_BAD_URI;
    skip(&rest, 3);

    nacre_bytes authority = take_until(&rest, "/?#");
    u.path = take_until(&rest, "?#");
    u.query = NACRE_ABSENT;
    if (rest.len > 0 && rest.ptr[0] == '?') {
        skip(&rest, 1);
        u.query = take_until(&rest, "#");
    }
    if (rest.len > 0) return NACRE_ERR_BAD_URI; /* RFC 7252 6.4 step 4: no fragment */
    if (!parse_host(&u, &authority) || !parse_port(&u, authority)) return NACRE_ERR_BAD_URI;
    if (!well_formed(u.path, "/:@") || !well_formed(u.query, "/?:@")) return NACRE_ERR_BAD_URI;
    *uri = u;
    return NACRE_OK;
}

nacre_err nacre_uri_parse(nacre_uri *uri, nacre_bytes text)
{
    nacre_uri u;
    nacre_err err = nacre__uri_parse_any(&u, text);
    if (err != NACRE_OK) return err;
    u.is_tcp = equals_ignoring_case(u.scheme, "coap+tcp"); /* RFC 8323 8.1 */
    if (!u.is_tcp && !equals_ignoring_case(u.scheme, "coap")) return NACRE_ERR_UNSUPPORTED;
    *uri = u;
    return NACRE_OK;
}

/* The next byte of a well-formed part, decoded. */
static uint8_t decode_next(const uint8_t **at)
{
    uint8_t c = *(*at)++;
    if (c != '%') return c;
    *at += 2;
    return (uint8_t)(hex_value((*at)[-2]) * 16 + hex_value((*at)[-1]));
}

static nacre_err add_text(nacre_options *o, uint16_t number, nacre_bytes text, bool lower)
{
    const uint8_t *at = text.ptr, *end = text.ptr + text.len;
    size_t len = 0;
    for (; at < end; len++) (void)decode_next(&at);
    if (len > OPTION_TEXT_MAX) return NACRE_ERR_BAD_URI;
    uint8_t *value = nacre__options_reserve(o, number, len);
    if (value == NULL) return NACRE_OK; /* the error is in the list */
    at = text.ptr;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = decode_next(&at);
        value[i] = lower && is_alpha(c) ? c | 0x20 : c;
    }
    return NACRE_OK;
}

/* One option for each part of `text` between `separator`s. */
static nacre_err add_parts(nacre_options *o, uint16_t number, nacre_bytes text, const char *separator)
{
    for (;;) {
        nacre_err err = add_text(o, number, take_until(&text, separator), false);
        if (err != NACRE_OK || text.len == 0) return err;
        skip(&text, 1);
    }
}

/* RFC 7252 6.4 steps 1 and 8: one option for each segment of the resolved path, none for "/". */
static nacre_err add_path(nacre_options *o, nacre_bytes path)
{
    nacre_bytes rest = path.len > 1 ? nacre_bytes_of(path.ptr + 1, path.len - 1) : NACRE_ABSENT, segment, next;
    bool more = nacre__segment_next(&rest, &segment);
    for (bool is_first = true; more; is_first = false, segment = next) {
        more = nacre__segment_next(&rest, &next);
        if (is_first && !more && segment.len == 0) return NACRE_OK;
        const nacre_err err = add_text(o, NACRE_OPT_URI_PATH, segment, false);
        if (err != NACRE_OK) return err;
    }
    return NACRE_OK;
}

nacre_err nacre__uri_path_and_query(nacre_options *o, const nacre_uri *uri)
{
    nacre_err err = add_path(o, uri->path);
    if (err == NACRE_OK && !nacre_is_absent(uri->query)) err = add_parts(o, NACRE_OPT_URI_QUERY, uri->query, "&");
    return err;
}

nacre_err nacre_uri_options(nacre_options *o, const nacre_uri *uri)
{
    nacre_err err = NACRE_OK;
    if (!uri->host_is_ip) err = add_text(o, NACRE_OPT_URI_HOST, uri->host, true); /* RFC 7252 6.4 step 5 */
    if (err != NACRE_OK) return err;
    if (uri->port != nacre__uri_default_port(uri->scheme)) nacre_options_add_uint(o, NACRE_OPT_URI_PORT, uri->port);
    return nacre__uri_path_and_query(o, uri);
}

nacre_err nacre_path_text(nacre_bytes options, char *buf, size_t cap)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = 0;
    nacre_option opt;
    for (nacre_option_iter it = nacre_option_begin(options);
         nacre_option_next(&it, &opt) && opt.number <= NACRE_OPT_URI_PATH;) {
        if (opt.number != NACRE_OPT_URI_PATH) continue;
        if (len + 1 < cap) buf[len] = '/';
        len++;
        for (size_t i = 0; i < opt.value.len; i++) {
            uint8_t c = opt.value.ptr[i];
            if (is_plain(c) || c == ':' || c == '@') {
                if (len + 1 < cap) buf[len] = (char)c;
                len++;
                continue;
            }
            const char text[3] = { '%', digits[c >> 4], digits[c & 15] };
            if (cap > 3 && len < cap - 3) memcpy(buf + len, text, 3);
            len += 3;
        }
    }
    if (len == 0) {
        if (cap > 1) buf[0] = '/';
        len = 1;
    }
    if (len >= cap) {
        buf[0] = '\0';
        return NACRE_ERR_BUFFER_TOO_SMALL;
    }
    buf[len] = '\0';
    return NACRE_OK;
}
