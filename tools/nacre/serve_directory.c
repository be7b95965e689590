/* SPDX-License-Identifier: MIT */
/* serve_directory: what is in a directory, as text or as links (RFC 6690). */
#include "serve_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A growing text. */
typedef struct text {
    char *bytes;
    size_t len, cap;
    bool failed;
} text;

static void append(text *t, const char *bytes, size_t len)
{
    if (!t->failed && t->cap - t->len < len) {
        const size_t cap = 2 * (t->cap + len);
        char *larger = realloc(t->bytes, cap);
        t->failed = larger == NULL;
        if (larger != NULL) t->bytes = larger;
        if (larger != NULL) t->cap = cap;
    }
    if (t->failed || len == 0) return;
    memcpy(t->bytes + t->len, bytes, len);
    t->len += len;
}

void serve_escape(char segment[3 * 256], const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@";
    static const char hex[] = "0123456789ABCDEF";
    size_t at = 0;
    for (const char *c = name; *c != '\0' && at + 4 < 3 * 256; c++) {
        if (strchr(plain, *c) != NULL) {
            segment[at++] = *c;
            continue;
        }
        segment[at++] = '%';
        segment[at++] = hex[(uint8_t)*c >> 4];
        segment[at++] = hex[(uint8_t)*c & 15];
    }
    segment[at] = '\0';
}

/* Whether serve_open_step would open it. */
static bool is_served(const serve_root *root, int dir, const char *name, struct stat *st)
{
    if (name[0] == '.') return false;
    const int fd = serve_open_step(root, dir, name, st);
    if (fd >= 0) (void)close(fd);
    return fd >= 0;
}

/* Appends a line with the name, or a link (RFC 6690). */
static void append_entry(text *t, const char *path, const char *name, const struct stat *st, unsigned format)
{
    char attributes[64] = "", segment[3 * 256];
    const bool is_dir = S_ISDIR(st->st_mode);
    if (format == SERVE_FORMAT_TEXT) {
        for (const char *c = name; *c != '\0'; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f) return; /* would break the list's lines */
        append(t, name, strlen(name));
        append(t, is_dir ? "/\n" : "\n", is_dir ? 2 : 1);
        return;
    }
    if (is_dir) (void)snprintf(attributes, sizeof attributes, "/>;ct=%d;osc", SERVE_FORMAT_LINKS);
    else
        (void)snprintf(attributes, sizeof attributes, ">;ct=%u;sz=%" PRIu64 ";osc", serve_format_of(name),
                       (uint64_t)st->st_size);
    append(t, t->len > 0 ? ",<" : "<", t->len > 0 ? 2 : 1);
    append(t, path, strlen(path));
    if (path[strlen(path) - 1] != '/') append(t, "/", 1);
    serve_escape(segment, name);
    append(t, segment, strlen(segment));
    append(t, attributes, strlen(attributes));
}

/* A demo resource hides the file of the same name: the file is not listed. */
static bool is_hidden(const serve_root *root, const char *path, const char *name)
{
    return root->has_demo && strcmp(path, "/") == 0 && serve_is_demo(name);
}

static bool list_directory(text *list, const serve_root *root, int fd, const char *path, unsigned format)
{
    serve_names names;
    struct stat st;
    if (!serve_names_read(&names, fd)) return false;
    for (size_t i = 0; i < names.num; i++)
        if (!is_hidden(root, path, names.name[i]) && is_served(root, fd, names.name[i], &st))
            append_entry(list, path, names.name[i], &st, format);
    serve_names_free(&names);
    return !list->failed;
}

/* RFC 9175 3.8: different content has a different tag. */
static void tag_list(const serve_root *root, serve_list *list)
{
    uint8_t mac[NACRE_MAX_HASH] = { 0 };
    const uint8_t format = (uint8_t)list->format;
    const nacre_bytes parts[] = { { &format, 1 }, { (const uint8_t *)list->bytes, list->len } };
    if (root->crypto.ops->hmac(&root->crypto, NACRE_SHA256, NACRE_STR("nacre serve list"), parts, 2, mac) != NACRE_OK)
        memset(mac, 0, sizeof mac); /* contexts do not work without it either */
    memcpy(list->etag, mac, SERVE_ETAG_LEN);
}

/* Lists the present content. NULL: the directory cannot be read, or its list is too long. */
static serve_list *make_list(const serve_root *root, int fd, const char *path, unsigned format)
{
    text t = { 0 };
    serve_list *list = calloc(1, sizeof *list);
    char *copy = strdup(path);
    if (list != NULL && copy != NULL && list_directory(&t, root, fd, path, format) && serve_lists_fits(t.len)) {
        *list = (serve_list){ .uses = 1, .format = format, .path = copy, .bytes = t.bytes, .len = t.len };
        tag_list(root, list);
        return list;
    }
    free(t.bytes);
    free(copy);
    free(list);
    return NULL;
}

static nacre_err read_list(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    const serve_list *list = user;
    const size_t left = offset < list->len ? list->len - (size_t)offset : 0;
    *len = left < buf.cap ? left : buf.cap;
    if (*len > 0) memcpy(buf.ptr, list->bytes + offset, *len);
    return NACRE_OK;
}

/* The kept list for a later block, or a new list, which is kept when it has further blocks. */
static serve_list *list_for(const serve_root *root, int fd, const nacre_request *request, unsigned format)
{
    uint64_t block = 0;
    const nacre_bytes option = nacre_option_find(request->message->options, NACRE_OPT_BLOCK2);
    const bool in_blocks = !nacre_is_absent(option) && nacre_option_uint(option, &block);
    const uint64_t now = nacre_clock_ms();
    serve_list *list = NULL;
    if (in_blocks && block >> 4 != 0) list = serve_lists_find(root->lists, request, format, now);
    if (list != NULL) return list;
    list = make_list(root, fd, request->path, format);
    const size_t size = in_blocks && (block & 7) < 6 ? (size_t)16 << (block & 7) : NACRE_MAX_BLOCK;
    if (list == NULL || list->len <= size) return list;
    return serve_lists_keep(root->lists, request, list, now);
}

void serve_respond_directory(const serve_root *root, int fd, const nacre_request *request, nacre_response *response)
{
    uint64_t wanted = SERVE_FORMAT_LINKS;
    const nacre_bytes accept = nacre_option_find(request->message->options, NACRE_OPT_ACCEPT);
    if (!nacre_is_absent(accept)) (void)nacre_option_uint(accept, &wanted);
    const unsigned format = wanted == SERVE_FORMAT_TEXT ? SERVE_FORMAT_TEXT : SERVE_FORMAT_LINKS;
    if (!serve_accepts(request, response, format)) return;
    serve_list *list = list_for(root, fd, request, format);
    if (list == NULL) {
        nacre_response_text(response, NACRE_SERVER_ERROR, "cannot read that directory, or its list is too long");
        return;
    }
    response->source.user = list;
    response->done = serve_list_release;
    nacre_options_add(&response->options, NACRE_OPT_ETAG, NACRE_ARRAY(list->etag));
    response->code = serve_has_etag(request->message->options, list->etag) ? NACRE_VALID : NACRE_CONTENT;
    if (response->code == NACRE_VALID) return; /* RFC 7252 5.10.6.2 */
    nacre_options_add_uint(&response->options, NACRE_OPT_CONTENT_FORMAT, format);
    response->source.read = read_list;
    response->source.size = list->len;
}
