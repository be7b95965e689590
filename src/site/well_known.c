/* SPDX-License-Identifier: MIT */
/* well_known: the list of a site's resources at /.well-known/core, in CoRE Link Format (RFC 6690). `osc` marks resources
 * served to OSCORE requests only (RFC 8613 9).
 *
 * The list is not stored. Its length, its ETag and where some of its links begin are computed once; then a block is written
 * from the link that it begins in. A filtered list takes one pass over the resources, for its length. */
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
    nacre__siphash *hash; /* of the whole list, text by text; NULL: none */
} window;

static void put(window *w, const char *text, size_t len)
{
    const nacre_bytes bytes = { (const uint8_t *)text, len };
    if (w->hash != NULL) {
        nacre__siphash_word(w->hash, len);
        nacre__siphash_words(w->hash, bytes);
    }
    const uint64_t end = w->at + len, start = w->at > w->from ? w->at : w->from;
    if (start < end && w->used < w->buf.cap) {
        const uint64_t left = end - start, space = w->buf.cap - w->used;
        const size_t num = (size_t)(left < space ? left : space);
        memcpy(w->buf.ptr + w->used, text + (start - w->at), num);
        w->used += num;
    }
    w->at = end;
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

/* What a request for the list wants. */
typedef struct wanted {
    nacre_bytes filter; /* an empty query is none */
    bool is_one;        /* false: there are several filters, of which RFC 6690 4.1 knows nothing */
    bool takes_links;   /* Accept allows them */
    uint64_t from;      /* the first byte of the requested block */
} wanted;

static void read_options(wanted *w, nacre_bytes options)
{
    nacre_option_iter it = nacre_option_begin(options);
    uint64_t value = 0;
    bool has_accept = false, has_block = false;
    *w = (wanted){ .filter = NACRE_ABSENT, .is_one = true, .takes_links = true };
    for (nacre_option option; nacre_option_next(&it, &option) && option.number <= NACRE_OPT_BLOCK2;) {
        if (option.number == NACRE_OPT_URI_QUERY && option.value.len > 0) {
            w->is_one = w->filter.len == 0;
            if (!w->is_one) return;
            w->filter = option.value;
        } else if (option.number == NACRE_OPT_ACCEPT && !has_accept) {
            has_accept = true;
            w->takes_links = nacre_option_uint(option.value, &value) && value == FORMAT_LINKS;
        } else if (option.number == NACRE_OPT_BLOCK2 && !has_block && nacre_option_uint(option.value, &value)) {
            has_block = true;
            w->from = (value >> 4) << ((value & 7) + 4);
        }
    }
}

/* ---- The list ------------------------------------------------------------------------------------------------------------ */

static bool is_hidden(const nacre_resource *resource)
{
    return (resource->flags & NACRE_RESOURCE_HIDDEN) != 0;
}

static void put_etag(uint8_t etag[NACRE__LIST_ETAG], uint64_t hash)
{
    for (size_t i = 0; i < NACRE__LIST_ETAG; i++) etag[i] = (uint8_t)(hash >> 8 * i);
}

static void index_list(const nacre_site *site, nacre__list_index *list)
{
    nacre__siphash hash = nacre__siphash_start(site->hash_key);
    window w = { .hash = &hash };
    list->stride = site->num_resources / NACRE__LIST_MARKS + 1;
    for (size_t i = 0; i < site->num_resources; i++) {
        if (i % list->stride == 0) list->marks[i / list->stride] = w.at;
        if (!is_hidden(&site->resources[i])) put_link(&w, &site->resources[i]);
    }
    list->len = w.at;
    put_etag(list->etag, nacre__siphash_end(&hash, w.at));
    list->is_current = true;
}

/* The part of the whole list that starts at w->from. */
static void write_part(window *w, const nacre_site *site)
{
    const nacre__list_index *list = &site->list;
    size_t first = 0;
    if (w->from >= list->len) return;
    for (size_t i = list->stride; i < site->num_resources && list->marks[i / list->stride] <= w->from;
         i += list->stride)
        first = i;
    w->at = list->marks[first / list->stride];
    for (size_t i = first; i < site->num_resources && w->used < w->buf.cap; i++)
        if (!is_hidden(&site->resources[i])) put_link(w, &site->resources[i]);
}

static bool may_read(nacre_site *site, const nacre_event *event, const char *path)
{
    const nacre_message get = { .type = event->message.type, .code = NACRE_GET };
    return nacre__site_refusal(site, event, &get, path) == 0;
}

/* The same of the filtered list, or of what the peer may read; gives its length. */
static uint64_t write_filtered(window *w, nacre_site *site, const nacre_event *event, nacre_bytes filter)
{
    for (size_t i = 0; i < site->num_resources; i++) {
        const nacre_resource *resource = &site->resources[i];
        if (is_hidden(resource) || (filter.len > 0 && !passes(resource, filter))) continue;
        if (site->on_access == NULL || may_read(site, event, resource->path)) put_link(w, resource);
    }
    return w->at;
}

/* Of a filtered list: the whole list and the filter determine it. */
static uint64_t filtered_hash(const nacre_site *site, nacre_bytes filter)
{
    nacre__siphash hash = nacre__siphash_start(site->hash_key);
    nacre__siphash_words(&hash, NACRE_ARRAY(site->list.etag));
    return nacre__siphash_end_bytes(&hash, NACRE__LIST_ETAG, filter);
}

/* The transfer reads the block that was requested, or a shorter one from the same offset on. */
static nacre_err read_list(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    const nacre__listing *listing = user;
    if (offset < listing->from || offset > listing->from + listing->window.len) return NACRE_ERR_BAD_ARGUMENT;
    const size_t skipped = (size_t)(offset - listing->from), left = listing->window.len - skipped;
    *len = left < buf.cap ? left : buf.cap;
    if (*len > 0) memcpy(buf.ptr, listing->window.ptr + skipped, *len);
    return NACRE_OK;
}

/* RFC 9175 2.6: unprotected requests get small blocks, to limit amplification. */
void nacre__well_known(nacre_site *site, nacre__listing *listing, const nacre_event *event, nacre_response *response)
{
    wanted how;
    read_options(&how, event->message.options);
    if (!how.is_one) {
        nacre_response_text(response, NACRE_BAD_REQUEST, "one filter, not several");
        return;
    }
    if (!how.takes_links) {
        nacre_response_text(response, NACRE_NOT_ACCEPTABLE, "only in link format");
        return;
    }
    if (!site->list.is_current) index_list(site, &site->list);
    window w = { .buf = response->buf, .from = how.from };
    if (event->context == NULL) w.buf.cap = response->block_size = PLAIN_BLOCK;
    uint8_t etag[NACRE__LIST_ETAG];
    uint64_t len = site->list.len;
    memcpy(etag, site->list.etag, sizeof etag);
    if (how.filter.len == 0 && site->on_access == NULL) {
        write_part(&w, site);
    } else {
        nacre__siphash hash = nacre__siphash_start(site->hash_key);
        if (site->on_access != NULL) w.hash = &hash; /* what the peer may read determines the list */
        len = write_filtered(&w, site, event, how.filter);
        put_etag(etag, w.hash != NULL ? nacre__siphash_end(&hash, len) : filtered_hash(site, how.filter));
    }
    *listing = (nacre__listing){ w.from, nacre_bytes_of(w.buf.ptr, w.used) };
    response->code = NACRE_CONTENT;
    nacre_options_add(&response->options, NACRE_OPT_ETAG,
                      NACRE_ARRAY(etag)); /* a list of any length may be requested in blocks */
    nacre_options_add_uint(&response->options, NACRE_OPT_CONTENT_FORMAT, FORMAT_LINKS);
    response->source = (nacre_source){ read_list, listing, len };
}
