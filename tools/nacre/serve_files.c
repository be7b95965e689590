/* SPDX-License-Identifier: MIT */
/* serve_files: a directory's files and what is in it.
 *
 * A path is walked segment by segment from the directory's descriptor, each step with O_NOFOLLOW, so that neither a name nor a
 * concurrent rename leads out of the directory. A segment is a name or empty: no '/', no NUL, no leading dot. Directories that
 * hold a security context and private files (serve_private.c) are treated as absent.
 *
 * A file is opened again for each of its blocks. The entity tag says whether two blocks are of the same content: it is a MAC of
 * device, inode, size and both times. Two writes in place that keep the size, within one tick of the file system's clock, have
 * the same tag. A file written by PUT is replaced as a whole and always gets a new tag. */
#include "serve_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FORMAT_TEXT = 0, FORMAT_LINKS = 40 };

/* ---- Walking ---------------------------------------------------------------------------------------------------------- */

bool serve_name(char name[256], nacre_bytes segment)
{
    if (segment.len == 0 || segment.len > 255 || segment.ptr[0] == '.') return false;
    if (memchr(segment.ptr, '/', segment.len) != NULL || memchr(segment.ptr, '\0', segment.len) != NULL) return false;
    memcpy(name, segment.ptr, segment.len);
    name[segment.len] = '\0';
    return true;
}

bool serve_holds_context(int dir)
{
    static const char *const files[] = { "secret.json", "secrets.json", "settings.json", "sequence.json" };
    struct stat st;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (fstatat(dir, files[i], &st, AT_SYMLINK_NOFOLLOW) == 0) return true;
    return false;
}

/* Opens a regular file or a directory in `at`. The type is checked first, because opening a device can have side effects. */
static int open_step(const serve_root *root, int at, const char *name, struct stat *st)
{
    errno = ENOENT;
    if (serve_is_private_name(root, name)) return -1;
    if (fstatat(at, name, st, AT_SYMLINK_NOFOLLOW) != 0) return -1;
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)) {
        errno = ENOENT;
        return -1;
    }
    int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return -1;
    bool looked = fstat(fd, st) == 0;
    if (looked && S_ISREG(st->st_mode) && !serve_is_private(root, fd, st)) return fd;
    if (looked && S_ISDIR(st->st_mode) && !serve_holds_context(fd)) return fd;
    (void)close(fd);
    errno = ENOENT;
    return -1;
}

static int number_of_segments(nacre_bytes options)
{
    int num = 0;
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option);) num += option.number == NACRE_OPT_URI_PATH;
    return num;
}

/* Walks the first `num` segments. */
static int walk(const serve_root *root, nacre_bytes options, int num, struct stat *st, char last[256])
{
    nacre_option_iter it = nacre_option_begin(options);
    int at = openat(root->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ended = false;
    last[0] = '\0';
    if (at < 0 || fstat(at, st) != 0) ended = true;
    for (nacre_option option; at >= 0 && num > 0 && nacre_option_next(&it, &option);) {
        int next = -1;
        if (option.number != NACRE_OPT_URI_PATH) continue;
        num--;
        errno = ENOENT;
        if (option.value.len == 0 && !ended && S_ISDIR(st->st_mode)) {
            ended = true; /* no segment may follow */
            continue;
        }
        if (!ended && S_ISDIR(st->st_mode) && serve_name(last, option.value)) next = open_step(root, at, last, st);
        int error = errno;
        (void)close(at);
        errno = error;
        at = next;
    }
    return at;
}

int serve_walk(const serve_root *root, nacre_bytes options, struct stat *st, char last[256])
{
    return walk(root, options, number_of_segments(options), st, last);
}

int serve_walk_some(const serve_root *root, nacre_bytes options, int num, struct stat *st)
{
    char last[256];
    return walk(root, options, num, st, last);
}

int serve_walk_to_parent(const serve_root *root, nacre_bytes options, char name[256])
{
    struct stat st;
    const int num = number_of_segments(options);
    int i = 0;
    nacre_option_iter it = nacre_option_begin(options);
    errno = ENOENT;
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number == NACRE_OPT_URI_PATH && ++i == num && !serve_name(name, option.value)) return -1;
    if (num == 0) return -1;
    char last[256];
    const int at = walk(root, options, num - 1, &st, last);
    if (at < 0 || S_ISDIR(st.st_mode)) return at;
    (void)close(at);
    errno = ENOENT;
    return -1;
}

/* ---- Entity tags ------------------------------------------------------------------------------------------------------ */

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

static bool has_etag(nacre_bytes options, const uint8_t etag[SERVE_ETAG_LEN])
{
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number == NACRE_OPT_ETAG && nacre_bytes_equal(option.value, nacre_bytes_of(etag, SERVE_ETAG_LEN)))
            return true;
    return false;
}

/* ---- Responses -------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *end;
    unsigned format;
} formats[] = { { ".txt", FORMAT_TEXT }, { ".wlnk", FORMAT_LINKS }, { ".xml", 41 }, { ".json", 50 }, { ".cbor", 60 } };

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
 * matched by the entity tag. */
static void read_first(open_file *file)
{
    const nacre_buf buf = NACRE_BUF(file->first);
    for (int i = 0; i < TRIES; i++) {
        const ssize_t n = pread(file->fd, buf.ptr, buf.cap, 0);
        const bool unchanged = is_unchanged(file);
        if (n >= 0 && unchanged) {
            file->num_first = (size_t)n;
            return;
        }
        if (fstat(file->fd, &file->st) != 0) return;
    }
}

static void close_file(void *user)
{
    open_file *file = user;
    (void)close(file->fd);
    free(file);
}

/* Takes ownership of `fd`. */
static void respond_file(serve_root *root, int fd, const struct stat *st, const char *name,
                         const nacre_request *request, nacre_response *response)
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
    if (has_etag(request->message->options, etag)) { /* RFC 7252 5.10.6.2 */
        response->code = NACRE_VALID;
        return;
    }
    response->code = NACRE_CONTENT;
    nacre_options_add_uint(&response->options, NACRE_OPT_CONTENT_FORMAT, format);
    response->source.read = read_file;
    response->source.size = (uint64_t)file->st.st_size;
}

/* ---- Directories ------------------------------------------------------------------------------------------------------ */

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

/* Whether open_step would open it. */
static bool is_served(const serve_root *root, int dir, const char *name, struct stat *st)
{
    if (name[0] == '.') return false;
    const int fd = open_step(root, dir, name, st);
    if (fd >= 0) (void)close(fd);
    return fd >= 0;
}

/* Appends a line with the name, or a link (RFC 6690). */
static void append_entry(text *t, const char *path, const char *name, const struct stat *st, unsigned format)
{
    char attributes[64] = "", segment[3 * 256];
    const bool is_dir = S_ISDIR(st->st_mode);
    if (format == FORMAT_TEXT) {
        for (const char *c = name; *c != '\0'; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f) return; /* would break the list's lines */
        append(t, name, strlen(name));
        append(t, is_dir ? "/\n" : "\n", is_dir ? 2 : 1);
        return;
    }
    if (is_dir) (void)snprintf(attributes, sizeof attributes, "/>;ct=%d;osc", FORMAT_LINKS);
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

static void respond_directory(const serve_root *root, int fd, const nacre_request *request, nacre_response *response)
{
    uint64_t wanted = FORMAT_LINKS;
    const nacre_bytes accept = nacre_option_find(request->message->options, NACRE_OPT_ACCEPT);
    if (!nacre_is_absent(accept)) (void)nacre_option_uint(accept, &wanted);
    const unsigned format = wanted == FORMAT_TEXT ? FORMAT_TEXT : FORMAT_LINKS;
    if (!serve_accepts(request, response, format)) return;
    serve_list *list = list_for(root, fd, request, format);
    if (list == NULL) {
        nacre_response_text(response, NACRE_SERVER_ERROR, "cannot read that directory, or its list is too long");
        return;
    }
    response->source.user = list;
    response->done = serve_list_release;
    nacre_options_add(&response->options, NACRE_OPT_ETAG, NACRE_ARRAY(list->etag));
    response->code = has_etag(request->message->options, list->etag) ? NACRE_VALID : NACRE_CONTENT;
    if (response->code == NACRE_VALID) return; /* RFC 7252 5.10.6.2 */
    nacre_options_add_uint(&response->options, NACRE_OPT_CONTENT_FORMAT, format);
    response->source.read = read_list;
    response->source.size = list->len;
}

/* ---- Requests --------------------------------------------------------------------------------------------------------- */

void serve_not_there(nacre_response *response)
{
    const bool mine = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EIO;
    nacre_response_text(response, mine ? NACRE_SERVER_ERROR : NACRE_NOT_FOUND,
                        mine ? "cannot open that now" : "no such resource");
}

static bool wants_to_observe(const nacre_request *request)
{
    uint64_t value;
    const nacre_bytes observe = nacre_option_find(request->message->options, NACRE_OPT_OBSERVE);
    return !nacre_is_absent(observe) && nacre_option_uint(observe, &value) && value == 0;
}

/* Starts the watch before the file is read, so that no change between the two is missed. False: a notification whose watch
 * cannot be renewed. A file with several hard links is not watched: it can be written by a name in another directory. */
static bool watch(serve_root *root, const nacre_request *request, nacre_response *response)
{
    struct stat st;
    char last[256];
    if (!request->is_notification && !wants_to_observe(request)) return true;
    const int fd = serve_walk(root, request->message->options, &st, last);
    if (fd < 0) return true; /* the response is an error */
    (void)close(fd);
    const bool is_dir = S_ISDIR(st.st_mode), has_slash = is_dir && request->path[strlen(request->path) - 1] == '/';
    const int num = number_of_segments(request->message->options);
    serve_watch *w = NULL;
    if (is_dir || st.st_nlink == 1)
        w = serve_watch_begin(root->watches, root, request, num > 0 && (has_slash || !is_dir) ? num - 1 : num,
                              is_dir ? "" : last);
    response->not_observable = w == NULL;
    if (w != NULL && request->is_notification) serve_watch_end(w); /* the observation already has one */
    else if (w != NULL) {
        response->unobserved = serve_watch_end;
        response->observation = w;
    }
    return w != NULL || !request->is_notification;
}

static void get(serve_root *root, const nacre_request *request, nacre_response *response)
{
    struct stat st;
    char last[256];
    if (!watch(root, request, response)) {
        nacre_response_text(response, NACRE_UNAVAILABLE, "changes can no longer be notified");
        return;
    }
    const int fd = serve_walk(root, request->message->options, &st, last);
    if (fd < 0) {
        serve_not_there(response);
    } else if (request->is_notification && serve_watch_has_other(root->watches, request->path, S_ISDIR(st.st_mode))) {
        (void)close(fd); /* RFC 7641 4.2: notifications keep the Content-Format, or the observation ends */
        nacre_response_text(response, NACRE_NOT_ACCEPTABLE, "a file became a directory, or a directory a file");
    } else if (S_ISDIR(st.st_mode)) {
        respond_directory(root, fd, request, response);
        (void)close(fd);
    } else {
        respond_file(root, fd, &st, last, request, response);
    }
}

void serve_files(void *user, const nacre_request *request, nacre_response *response)
{
    serve_root *root = user;
    const uint8_t method = request->message->code;
    if (root->fd < 0) nacre_response_text(response, NACRE_NOT_FOUND, "no such resource");
    else if (serve_writes(root, method) && method == NACRE_DELETE) serve_delete(root, request, response);
    else if (serve_writes(root, method)) serve_write(root, request, response);
    else if (method == NACRE_GET) get(root, request, response);
    else
        nacre_response_text(response, NACRE_METHOD_NOT_ALLOWED,
                            root->is_writable ? "only GET, PUT, POST and DELETE" : "only GET");
}
