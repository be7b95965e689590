/* SPDX-License-Identifier: MIT */
/* well_known: the list of a site's resources at /.well-known/core, in CoRE Link Format (RFC 6690). `osc` marks resources
 * served to OSCORE requests only (RFC 8613 9).
 *
 * The list is not stored: it is generated anew for each block, and only the requested window is written to the buffer. */
#include "site_internal.h"
#include "base/siphash.h"

#include <string.h>

enum { FORMAT_LINKS = 40, PLAIN_BLOCK = 64 };

/* ---- Writing through a window ----------------------------------------------------------------------------------------- */

typedef struct window {
    nacre_buf buf;
    uint64_t from; /* offset of the list that buf.ptr[0] receives */
    uint64_t at;   /* current offset of the list */
    size_t used;
    nacre__siphash hash; /* of the whole list, in words of 8 bytes */
    uint64_t word;       /* an incomplete word */
} window;

static void add_to_hash(window *w, uint8_t byte)
{
    w->word |= (uint64_t)byte << w->at % 8 * 8;
    if (w->at % 8 != 7) return;
    nacre__siphash_word(&w->hash, w->word);
    w->word = 0;
}

static void put(window *w, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++, w->at++) {
        add_to_hash(w, (uint8_t)text[i]);
        if (w->at >= w->from && w->used < w->buf.cap) w->buf.ptr[w->used++] = (uint8_t)text[i];
    }
}

static void put_text(window *w, const char *text)
{
    put(w, text, strlen(text));
}

/* RFC 6690 2: `"` and `\` would need escaping; nacre_link forbids them, and an attribute that has one is omitted. */
static void put_quoted(window *w, const char *name, const char *value)
{
    if (value == NULL || strpbrk(value, "\"\\") != NULL) return;
    put_text(w, name);
    put_text(w, "\"");
    put_text(w, value);
    put_text(w, "\"");
}

static const char *decimal(char text[21], uint64_t value)
{
    char *at = text + 20;
    *at = '\0';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return at;
}

/* RFC 7252 7.2.1: a single format is unquoted, a list is quoted. */
static void put_formats(window *w, const char *ct)
{
    if (ct == NULL) return;
    if (strchr(ct, ' ') != NULL) {
        put_quoted(w, ";ct=", ct);
        return;
    }
    put_text(w, ";ct=");
    put_text(w, ct);
}

static bool is_osc(const nacre_resource *resource)
{
    return (resource->flags & NACRE_RESOURCE_PLAIN) == 0;
}

static bool is_obs(const nacre_resource *resource)
{
    return (resource->flags & NACRE_RESOURCE_OBSERVABLE) != 0;
}

static void put_link(window *w, const nacre_resource *resource)
{
    static const nacre_link none;
    const nacre_link *link = resource->link != NULL ? resource->link : &none;
    char text[21];
    if (w->at > 0) put_text(w, ",");
    put_text(w, "<");
    put_text(w, resource->path);
    put_text(w, ">");
    put_quoted(w, ";rt=", link->rt);
    put_quoted(w, ";if=", link->iface);
    put_quoted(w, ";title=", link->title);
    put_formats(w, link->ct);
    if (link->sz != 0) {
        put_text(w, ";sz=");
        put_text(w, decimal(text, link->sz));
    }
    if (is_obs(resource)) put_text(w, ";obs"); /* RFC 7641 6 */
    if (is_osc(resource)) put_text(w, ";osc"); /* RFC 8613 9 */
}

/* ---- Filters -------------------------------------------------------------------------------------------------------------
 * RFC 6690 4.1: NAME=VALUE, where a `*` at the end of VALUE matches any suffix. An empty query filters nothing. */

static bool fits(const char *text, size_t len, nacre_bytes pattern)
{
    const bool open_end = pattern.len > 0 && pattern.ptr[pattern.len - 1] == '*';
    const size_t fixed = open_end ? pattern.len - 1 : pattern.len;
    if (open_end ? len < fixed : len != fixed) return false;
    return fixed == 0 || memcmp(text, pattern.ptr, fixed) == 0;
}

/* RFC 6690 3.1: rt, if and ct are space-separated lists; one matching entry is enough. */
static bool one_fits(const char *list, nacre_bytes pattern)
{
    while (list != NULL && *list != '\0') {
        const size_t len = strcspn(list, " ");
        if (len > 0 && fits(list, len, pattern)) return true;
        list += len + strspn(list + len, " ");
    }
    return false;
}

static bool is_name(nacre_bytes name, const char *text)
{
    return name.len == strlen(text) && memcmp(name.ptr, text, name.len) == 0;
}

static bool passes(const nacre_resource *resource, nacre_bytes query)
{
    static const nacre_link none;
    const nacre_link *link = resource->link != NULL ? resource->link : &none;
    const uint8_t *equals = query.len == 0 ? NULL : memchr(query.ptr, '=', query.len);
    char text[21];
    if (equals == NULL) /* an attribute without a value */
        return (is_name(query, "osc") && is_osc(resource)) || (is_name(query, "obs") && is_obs(resource));
    const nacre_bytes name = { query.ptr, (size_t)(equals - query.ptr) };
    const nacre_bytes pattern = { equals + 1, query.len - name.len - 1 };
    if (is_name(name, "href")) return fits(resource->path, strlen(resource->path), pattern);
    if (is_name(name, "rt")) return one_fits(link->rt, pattern);
    if (is_name(name, "if")) return one_fits(link->iface, pattern);
    if (is_name(name, "ct")) return one_fits(link->ct, pattern);
    if (is_name(name, "title")) return link->title != NULL && fits(link->title, strlen(link->title), pattern);
    if (!is_name(name, "sz") || link->sz == 0) return false;
    const char *size = decimal(text, link->sz);
    return fits(size, strlen(size), pattern);
}

static bool is_listed(const nacre_resource *resource, nacre_bytes options)
{
    if (resource->flags & NACRE_RESOURCE_HIDDEN) return false;
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number == NACRE_OPT_URI_QUERY && option.value.len > 0 && !passes(resource, option.value))
            return false;
    return true;
}

/* ---- The list ------------------------------------------------------------------------------------------------------------ */

static void write_list(window *w, const nacre__listing *listing)
{
    w->hash = nacre__siphash_start(listing->site->hash_key);
    for (size_t i = 0; i < listing->site->num_resources; i++)
        if (is_listed(&listing->site->resources[i], listing->options)) put_link(w, &listing->site->resources[i]);
}

static nacre_err read_list(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    window w = { .buf = buf, .from = offset };
    write_list(&w, user);
    *len = w.used;
    return NACRE_OK;
}

static bool accepts(nacre_bytes options)
{
    uint64_t format;
    const nacre_bytes accept = nacre_option_find(options, NACRE_OPT_ACCEPT);
    return nacre_is_absent(accept) || (nacre_option_uint(accept, &format) && format == FORMAT_LINKS);
}

/* RFC 9175 2.6: unprotected requests get small blocks, to limit amplification. */
void nacre__well_known(const nacre_site *site, nacre__listing *listing, const nacre_event *event,
                       nacre_response *response)
{
    *listing = (nacre__listing){ site, event->message.options };
    if (!accepts(listing->options)) {
        nacre_response_text(response, NACRE_NOT_ACCEPTABLE, "only in link format");
        return;
    }
    window all = { 0 };
    write_list(&all, listing);
    const uint64_t hash = nacre__siphash_end(&all.hash, all.word | all.at << 56);
    uint8_t etag[8];
    for (size_t i = 0; i < sizeof etag; i++) etag[i] = (uint8_t)(hash >> 8 * i);
    response->code = NACRE_CONTENT;
    nacre_options_add_uint(&response->options, NACRE_OPT_CONTENT_FORMAT, FORMAT_LINKS);
    if (event->context == NULL) response->block_size = PLAIN_BLOCK;
    nacre_options_add(&response->options, NACRE_OPT_ETAG,
                      NACRE_ARRAY(etag)); /* a list of any length may be requested in blocks */
    response->source = (nacre_source){ read_list, listing, all.at };
}
