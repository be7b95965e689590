/* SPDX-License-Identifier: MIT */
/* serve_file: the content of one file, its format and its entity tag.
 *
 * A file is opened again for each of its blocks. The entity tag says whether two blocks are of the same content: it is a MAC of
 * device, inode, size and both times. Two writes in place that keep the size, within one tick of the file system's clock, have
 * the same tag. A file written by PUT is replaced as a whole and always gets a new tag. */
#include "serve_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Entity tags ---- */

void serve_etag(const serve_root *root, uint8_t etag[SERVE_ETAG_LEN], const struct stat *st)
{
    uint8_t mac[NACRE_MAX_HASH] = { 0 };
    const int64_t facts[] = { (int64_t)st->st_dev,         (int64_t)st->st_ino, (int64_t)st->st_size,
                              (int64_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (int64_t)st->st_ctim.tv_sec,
                              st->st_ctim.tv_nsec };
    const nacre_bytes part = { (const uint8_t *)facts, sizeof facts };
    if (root->crypto.ops->hmac(&root->crypto, NACRE_SHA256, NACRE_STR("nacre serve"), &part, 1, mac) != NACRE_OK)
        memset(mac, 0, sizeof mac); /* contexts do not work without it either */
    memcpy(etag, mac, SERVE_ETAG_LEN);
}

bool serve_has_etag(nacre_bytes options, const uint8_t etag[SERVE_ETAG_LEN])
{
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number == NACRE_OPT_ETAG && nacre_bytes_equal(option.value, nacre_bytes_of(etag, SERVE_ETAG_LEN)))
            return true;
    return false;
}

/* ---- Formats ---- */

static const struct {
    const char *end;
    unsigned format;
} formats[] = {
    { ".txt", SERVE_FORMAT_TEXT }, { ".wlnk", SERVE_FORMAT_LINKS }, { ".xml", 41 }, { ".json", 50 }, { ".cbor", 60 }
};

unsigned serve_format_of(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        size_t end = strlen(formats[i].end);
        if (len > end && strcmp(name + len - end, formats[i].end) == 0) return formats[i].format;
    }
    return SERVE_FORMAT_OCTETS;
}

const char *serve_ending_of(uint64_t format)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (formats[i].format == format) return formats[i].end;
    return format == SERVE_FORMAT_OCTETS ? "" : NULL;
}

/* ---- The response ---- */

/* A file while its response is made. */
typedef struct open_file {
    int fd;
    struct stat st;
    size_t num_first;
    uint8_t first[NACRE_MAX_BLOCK]; /* first block, read while the file did not change */
} open_file;

enum { TRIES = 16 }; /* to read a file that is written concurrently */

static bool is_unchanged(const open_file *file)
{
    struct stat now;
    return fstat(file->fd, &now) == 0 && now.st_size == file->st.st_size &&
           now.st_mtim.tv_sec == file->st.st_mtim.tv_sec && now.st_mtim.tv_nsec == file->st.st_mtim.tv_nsec;
}

static nacre_err read_file(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    const open_file *file = user;
    size_t got = 0;
    if (offset == 0 && buf.cap <= file->num_first) {
        memcpy(buf.ptr, file->first, buf.cap);
        *len = buf.cap;
        return NACRE_OK;
    }
    while (got < buf.cap) {
        const ssize_t n = pread(file->fd, buf.ptr + got, buf.cap - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return NACRE_ERR_FILE;
        if (n == 0) break;
        got += (size_t)n;
    }
    if (!is_unchanged(file)) return NACRE_ERR_FILE; /* the entity tag does not belong to these bytes */
    *len = got;
    return NACRE_OK;
}

/* Reads the first block with the size and times of the same moment: a notification carries that block. Later blocks are
 * matched by the entity tag. If the file changes during each of the tries, the last one's bytes are served, with the times of
 * before: no later block has that entity tag, and observers are notified of the change. */
static void read_first(open_file *file)
{
    const nacre_buf buf = NACRE_BUF(file->first);
    for (int i = 0; i < TRIES; i++) {
        const ssize_t n = pread(file->fd, buf.ptr, buf.cap, 0);
        if (n < 0) return;
        file->num_first = (size_t)n;
        if (is_unchanged(file)) return;
        if (i == TRIES - 1 || fstat(file->fd, &file->st) != 0) break;
    }
    if (file->num_first < buf.cap) file->st.st_size = (off_t)file->num_first; /* it was cut meanwhile, or has grown */
}

static void close_file(void *user)
{
    open_file *file = user;
    (void)close(file->fd);
    free(file);
}

/* Takes ownership of `fd`. */
void serve_respond_file(serve_root *root, int fd, const struct stat *st, const char *name, const nacre_request *request,
                        nacre_response *response)
{
    uint8_t etag[SERVE_ETAG_LEN];
    const unsigned format = serve_format_of(name);
    open_file *file = malloc(sizeof *file);
    if (file == NULL || !serve_accepts(request, response, format)) {
        free(file);
        (void)close(fd);
        return;
    }
    *file = (open_file){ .fd = fd, .st = *st };
    read_first(file);
    serve_etag(root, etag, &file->st);
    nacre_options_add(&response->options, NACRE_OPT_ETAG, NACRE_ARRAY(etag));
    response->source.user = file;
    response->done = close_file;
    if (serve_has_etag(request->message->options, etag)) { /* RFC 7252 5.10.6.2 */
        response->code = NACRE_VALID;
        return;
    }
    response->code = NACRE_CONTENT;
    nacre_options_add_uint(&response->options, NACRE_OPT_CONTENT_FORMAT, format);
    response->source.read = read_file;
    response->source.size = (uint64_t)file->st.st_size;
}
