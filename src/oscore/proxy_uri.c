/* SPDX-License-Identifier: MIT */
/* proxy_uri: see proxy_uri.h. */
#include "oscore/proxy_uri.h"
#include "coap/message.h"
#include "coap/option_codec.h"
#include "coap/uri.h"

#ifdef NACRE_NO_PROXY_URI

size_t nacre__proxy_uri_extra(const nacre_message *plain)
{
    (void)plain;
    return 0;
}

nacre_err nacre__proxy_uri_split(nacre_message *plain, nacre_buf *buf)
{
    (void)buf; /* refused, because the path would be sent unprotected */
    return nacre_is_absent(nacre_option_find(plain->options, NACRE_OPT_PROXY_URI)) ? NACRE_OK : NACRE_ERR_UNSUPPORTED;
}

#else

/* A Proxy-Uri splits into a shorter one and at most one option per two characters, each with a header of at most 3 bytes and
 * its decoded text. */
static size_t split_bound(nacre_bytes uri)
{
    return 3 * uri.len + 8;
}

size_t nacre__proxy_uri_extra(const nacre_message *plain)
{
    nacre_bytes uri = nacre_option_find(plain->options, NACRE_OPT_PROXY_URI);
    return nacre_is_absent(uri) ? 0 : 2 * (plain->options.len + split_bound(uri));
}

/* scheme://host[:port] is the URI's text up to its path: RFC 7252 6.5 gives the same characters, without the scheme's default
 * port. */
static nacre_bytes origin_of(const nacre_uri *uri, nacre_bytes text)
{
    const uint8_t *end = uri->host.ptr + uri->host.len;
    if (end < text.ptr + text.len && *end == ']') end++;
    if (uri->has_port && uri->port != nacre__uri_default_port(uri->scheme))
        while (end < text.ptr + text.len && *end != '/' && *end != '?') end++;
    return nacre_bytes_of(text.ptr, (size_t)(end - text.ptr));
}

nacre_err nacre__proxy_uri_split(nacre_message *plain, nacre_buf *buf)
{
    nacre_bytes text = nacre_option_find(plain->options, NACRE_OPT_PROXY_URI);
    if (nacre_is_absent(text)) return NACRE_OK;
    if (nacre__overlaps(plain->token, *buf) || nacre__overlaps(plain->options, *buf) ||
        nacre__overlaps(plain->payload, *buf))
        return NACRE_ERR_BAD_ARGUMENT;
    if (!nacre_is_absent(nacre_option_find(plain->options, NACRE_OPT_OSCORE)))
        return NACRE_ERR_NESTED; /* RFC 8613 4.1.3.7; no buffer would be enough */
    nacre_uri uri;
    nacre_err err = nacre__uri_parse_any(&uri, text);
    if (err != NACRE_OK) return err;
    size_t need = plain->options.len + split_bound(text);
    if (need > buf->cap / 2) return NACRE_ERR_BUFFER_TOO_SMALL;

    nacre_options out;
    nacre_options_init(&out, (nacre_buf){ buf->ptr + buf->cap - need, need });
    nacre_option opt;
    bool is_split = false;
    nacre_option_iter it = nacre_option_begin(plain->options);
    while (err == NACRE_OK && nacre_option_next(&it, &opt)) {
        bool is_uri = opt.number == NACRE_OPT_PROXY_URI;
        if (opt.number == NACRE_OPT_URI_PATH || opt.number == NACRE_OPT_URI_QUERY || (is_uri && is_split))
            err = NACRE_ERR_BAD_ARGUMENT; /* the URI excludes these options */
        else nacre_options_add(&out, opt.number, is_uri ? origin_of(&uri, text) : opt.value);
        is_split = is_split || is_uri;
    }
    if (nacre_option_bad(&it)) err = NACRE_ERR_BAD_ARGUMENT;
    if (err == NACRE_OK) err = nacre__uri_path_and_query(&out, &uri);
    nacre_bytes options;
    if (err == NACRE_OK) err = nacre_options_finish(&out, &options);
    if (err != NACRE_OK) {
        nacre_wipe(buf->ptr + buf->cap - need, need);
        return err;
    }
    plain->options = options;
    buf->cap -= need;
    return NACRE_OK;
}

#endif
