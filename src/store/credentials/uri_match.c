/* SPDX-License-Identifier: MIT */
/* uri_match: canonical forms of URIs and patterns, and wildcard matching. */
#include "store/credentials/uri_match.h"
#include "base/dot_segments.h"

#include <string.h>

static const struct {
    const char *scheme, *port;
} schemes[] = {
    { "coap", ":5683" },      { "coap+tcp", ":5683" }, { "coaps", ":5684" },
    { "coaps+tcp", ":5684" }, { "coap+ws", ":80" },    { "coaps+ws", ":443" },
};

static nacre_bytes string(const char *text)
{
    return nacre_bytes_of((const uint8_t *)text, strlen(text));
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_scheme(const char *name, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (name[i] == '\0' || name[i] != lower(text[i])) return false;
    return name[len] == '\0';
}

static nacre_bytes default_port(const char *scheme, size_t len)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (is_scheme(schemes[i].scheme, scheme, len)) return string(schemes[i].port);
    return string("");
}

/* ":", ":5683" and ":05683" are the same port (RFC 3986 3.2.3, 6.2.3). */
static bool is_port(const char *port, size_t len, nacre_bytes wanted)
{
    if (len <= 1) return true;
    const char *digits = port + 1;
    for (len--; len > 1 && *digits == '0'; len--) digits++;
    return nacre_bytes_equal(nacre_bytes_of((const uint8_t *)digits, len),
                             nacre_bytes_of(wanted.ptr + 1, wanted.len - 1));
}

/* The length of the port with its colon at the end of an authority; 0: none. Colons inside [] belong to an address. */
static size_t port_len(const char *authority, size_t len)
{
    for (size_t i = len; i-- > 0;) {
        if (authority[i] == ':') return len - i;
        if (authority[i] < '0' || authority[i] > '9') return 0;
    }
    return 0;
}

/* ---- The canonical form -------------------------------------------------------------------------------------------- */

typedef enum part { AUTHORITY, PATH, QUERY } part;

/* RFC 7252 6.5 steps 6 and 8, RFC 3986 3.2.2, 3.3: true if `c` needs no percent-encoding in that part. '&' separates in a
 * query. */
static bool is_literal(char c, part in)
{
    if ((lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9')) return true;
    if (c == '\0') return false;
    if (c == '&') return in != QUERY;
    if (strchr(":@", c) != NULL) return in != AUTHORITY;
    if (strchr("/?", c) != NULL) return in == QUERY;
    return strchr("-._~!$'()*+,;=", c) != NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
}

/* The character encoded by "%XX" at `text`; -1: none. */
static int encoded_at(const char *text)
{
    if (text[0] != '%' || hex_digit(text[1]) < 0 || hex_digit(text[2]) < 0) return -1;
    return hex_digit(text[1]) * 16 + hex_digit(text[2]);
}

/* Writes one plain or encoded character in canonical form; returns its length in `text`. */
static size_t put_canonical(char **out, const char *text, part in)
{
    static const char digits[] = "0123456789ABCDEF";
    int c = encoded_at(text);
    if (c < 0 || is_literal((char)c, in)) {
        char plain = c < 0 ? *text : (char)c;
        *(*out)++ = in == AUTHORITY ? lower(plain) : plain;
        return c < 0 ? 1 : 3;
    }
    *(*out)++ = '%';
    *(*out)++ = digits[c / 16];
    *(*out)++ = digits[c % 16];
    return 3;
}

/* The start of the authority in "scheme://authority…"; NULL: none. */
static const char *authority_of(const char *uri)
{
    const char *separator = strstr(uri, "://");
    return separator != NULL && separator == uri + strcspn(uri, ":/?#") ? separator + 3 : NULL;
}

/* RFC 3986 5.2.4, in place: the result is never longer. Returns its end. */
static char *resolve_dots(char *path, char *end)
{
    char *out = path + 1;
    nacre_bytes rest = nacre_bytes_of((const uint8_t *)out, (size_t)(end - out)), segment;
    for (bool is_first = true; nacre__segment_next(&rest, &segment); is_first = false) {
        if (!is_first) *out++ = '/';
        memmove(out, segment.ptr, segment.len);
        out += segment.len;
    }
    return out;
}

void nacre__uri_canonical(char *out, const char *uri)
{
    const char *authority = authority_of(uri);
    if (authority == NULL) {
        memcpy(out, uri, strlen(uri) + 1);
        return;
    }
    const char *end = authority + strcspn(authority, "/?#");
    while (uri < end) uri += put_canonical(&out, uri, AUTHORITY);
    char *path = out;
    if (*uri != '/') *out++ = '/';
    end = uri + strcspn(uri, "?#");
    while (uri < end) uri += put_canonical(&out, uri, PATH);
    out = resolve_dots(path, out);
    while (*uri != '\0') uri += put_canonical(&out, uri, QUERY);
    *out = '\0';
}

/* After a '*' it is unknown which segment a dot segment removes, and canonical URIs have no dot segments. */
static bool has_dots_after_star(const char *pattern)
{
    const char *at = pattern + strcspn(pattern, "*?#");
    const size_t len = strcspn(at, "?#");
    nacre_bytes rest = nacre_bytes_of((const uint8_t *)at, len);
    (void)nacre__segment_split(&rest); /* skip the one with the '*', if any */
    while (!nacre_is_absent(rest))
        if (nacre__segment_dots(nacre__segment_split(&rest)) != 0) return true;
    return false;
}

const char *nacre__uri_pattern_fault(const char *pattern)
{
    if (has_dots_after_star(pattern))
        return "has a dot segment after a *, which no URI has when it is looked up; write the path without it";
    for (; *pattern != '\0'; pattern++)
        if (*pattern == '%' && (encoded_at(pattern) < 0 || encoded_at(pattern) == '*'))
            return "has a percent sign without two hex digits, or %2A, which no pattern can say; write a * for any "
                   "characters";
    return NULL;
}

/* As put_canonical for an unknown part: decodes what is literal in every part; otherwise only changes the digits' case. */
static size_t put_in_any_part(char **out, const char *text)
{
    const int c = encoded_at(text);
    bool literal = true;
    for (int in = AUTHORITY; in <= QUERY; in++) literal = literal && is_literal((char)c, (part)in);
    if (c < 0 || literal) {
        *(*out)++ = c < 0 ? *text : (char)c;
        return c < 0 ? 1 : 3;
    }
    for (size_t i = 0; i < 3; i++) *(*out)++ = text[i] >= 'a' && text[i] <= 'f' ? (char)(text[i] - 'a' + 'A') : text[i];
    return 3;
}

/* Resolves dot segments of the path before the first '*'; the segment with the '*' is not a dot segment. */
static void resolve_dots_of_pattern(char *pattern)
{
    const char *authority = authority_of(pattern);
    if (authority == NULL) return;
    char *path = pattern + (authority - pattern) + strcspn(authority, "/?#*");
    if (*path != '/') return;
    char *end = path + strcspn(path, "?#*");
    if (*end == '*')
        while (end[-1] != '/') end--;
    char *resolved = resolve_dots(path, end);
    memmove(resolved, end, strlen(end) + 1);
}

/* Rewrites percent-encoding and resolves dot segments; all else is unchanged because patterns match it literally. */
void nacre__uri_pattern_canonical(char *out, const char *pattern)
{
    char *start = out;
    const char *authority = authority_of(pattern);
    bool is_known = authority != NULL;
    part in = AUTHORITY;
    while (*pattern != '\0') {
        if (*pattern == '*') is_known = false;
        if (pattern >= authority && strchr("/?", *pattern) != NULL && in != QUERY) in = *pattern == '?' ? QUERY : PATH;
        if (*pattern != '%') *out++ = *pattern++;
        else pattern += is_known ? put_canonical(&out, pattern, in) : put_in_any_part(&out, pattern);
    }
    *out = '\0';
    resolve_dots_of_pattern(start);
}

/* ---- Matching ------------------------------------------------------------------------------------------------------ */

nacre__uri_view nacre__uri_view_of(const char *uri)
{
    const char *authority = authority_of(uri);
    /* No authority: nothing to normalise; it can still match a pattern literally. */
    if (authority == NULL) return (nacre__uri_view){ string(""), string(""), string(""), string(uri), string("") };
    size_t len = strcspn(authority, "/?#");
    size_t colon = port_len(authority, len);
    nacre_bytes standard = default_port(uri, (size_t)(authority - uri) - 3);
    nacre__uri_view view = {
        .start = nacre_bytes_of((const uint8_t *)uri, (size_t)(authority + len - colon - uri)),
        .port = nacre_bytes_of((const uint8_t *)authority + len - colon, colon),
        .slash = string(authority[len] == '/' ? "" : "/"),
        .rest = string(authority + len),
        .default_port = string(""),
    };
    if (standard.len > 0 && is_port(authority + len - colon, colon, standard)) {
        view.port = string("");
        view.default_port = standard;
    }
    return view;
}

static size_t view_len(const nacre__uri_view *v)
{
    return v->start.len + v->port.len + v->slash.len + v->rest.len;
}

static char view_at(const nacre__uri_view *v, size_t at)
{
    if (at < v->start.len) return (char)v->start.ptr[at];
    at -= v->start.len;
    if (at < v->port.len) return (char)v->port.ptr[at];
    at -= v->port.len;
    if (at < v->slash.len) return (char)v->slash.ptr[at];
    return (char)v->rest.ptr[at - v->slash.len];
}

static bool view_fits(const nacre__uri_view *v, size_t at, char wanted)
{
    if (at < v->start.len) return lower(view_at(v, at)) == lower(wanted);
    return view_at(v, at) == wanted;
}

/* Two cursors: on a mismatch, the last '*' takes one more character. Extending an earlier '*' never helps: it would only
 * shorten the rest left for the later one. */
static bool covers(const char *pattern, const nacre__uri_view *v)
{
    size_t len = view_len(v), at = 0, star_at = 0;
    const char *p = pattern, *after_star = NULL;
    while (at < len) {
        if (*p == '*') { /* before comparing, so that it also matches a '*' in the URI */
            after_star = ++p;
            star_at = at;
        } else if (*p != '\0' && view_fits(v, at, *p)) {
            p++;
            at++;
        } else if (after_star != NULL && view_at(v, star_at) != '\n') {
            p = after_star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    return p[strspn(p, "*")] == '\0';
}

bool nacre__uri_covers(const char *pattern, const char *uri)
{
    const nacre__uri_view as_it_is = { string(""), string(""), string(""), string(uri), string("") };
    return covers(pattern, &as_it_is);
}

bool nacre__uri_matches(const char *pattern, const nacre__uri_view *uri)
{
    if (covers(pattern, uri)) return true;
    if (uri->default_port.len == 0) return false;
    nacre__uri_view explicit_port = *uri;
    explicit_port.port = uri->default_port;
    return covers(pattern, &explicit_port);
}
