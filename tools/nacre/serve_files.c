/* SPDX-License-Identifier: MIT */
/* serve_files: a directory's files, read-only.
 *
 * A path is walked segment by segment from the directory's descriptor, each step with O_NOFOLLOW, so that no name, and
 * nobody who moves things about meanwhile, leads out of it. A segment is a name or nothing: no '/', no NUL, no leading dot.
 * What is refused looks like what is not there; so does a directory that holds a security context, for whoever may read its
 * secret is everybody in it. */
#include "serve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_NAMES = SERVE_MAX_BODY / 2, FORMAT_TEXT = 0, FORMAT_OCTETS = 42 };

/* ---- Walking ---------------------------------------------------------------------------------------------------------- */

/* A segment as a file name, which may not be empty. */
static bool name_of(char name[256], nacre_bytes segment)
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

/* Opens a regular file or a directory in `at`; looks before it opens, for opening a device may do things. */
static int open_step(int at, const char *name, struct stat *st)
{
    if (fstatat(at, name, st, AT_SYMLINK_NOFOLLOW) != 0) return -1;
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)) {
        errno = ENOENT;
        return -1;
    }
    int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return -1;
    if (fstat(fd, st) == 0 && (S_ISREG(st->st_mode) || (S_ISDIR(st->st_mode) && !serve_holds_context(fd)))) return fd;
    (void)close(fd);
    errno = ENOENT;
    return -1;
}

/* What the Uri-Path options lead to, or -1 with errno. A last empty segment ("/dir/") is left out. `last` becomes the last
 * name, "" for the directory itself. */
static int walk(int root, nacre_bytes options, struct stat *st, char last[256])
{
    nacre_option_iter it = nacre_option_begin(options);
    int at = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ended = false;
    last[0] = '\0';
    if (at < 0 || fstat(at, st) != 0) ended = true;
    for (nacre_option option; at >= 0 && nacre_option_next(&it, &option);) {
        int next = -1;
        if (option.number != NACRE_OPT_URI_PATH) continue;
        errno = ENOENT;
        if (option.value.len == 0 && !ended && S_ISDIR(st->st_mode)) {
            ended = true; /* nothing may follow */
            continue;
        }
        if (!ended && S_ISDIR(st->st_mode) && name_of(last, option.value)) next = open_step(at, last, st);
        int error = errno;
        (void)close(at);
        errno = error;
        at = next;
    }
    return at;
}

/* ---- Answers ---------------------------------------------------------------------------------------------------------- */

static unsigned format_of(const char *name)
{
    static const struct {
        const char *end;
        unsigned format;
    } formats[] = { { ".txt", FORMAT_TEXT }, { ".wlnk", 40 }, { ".xml", 41 }, { ".json", 50 }, { ".cbor", 60 } };
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        size_t end = strlen(formats[i].end);
        if (len > end && strcmp(name + len - end, formats[i].end) == 0) return formats[i].format;
    }
    return FORMAT_OCTETS;
}

/* Reads until the end or `cap`; -1 on an error. */
static ssize_t read_all(int fd, uint8_t *out, size_t cap)
{
    size_t len = 0;
    while (len < cap) {
        ssize_t got = read(fd, out + len, cap - len);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

static void answer_file(int fd, const char *name, const nacre_request *request, nacre_response *response)
{
    uint8_t bytes[SERVE_MAX_BODY + 1]; /* one more, to see that there is more */
    unsigned format = format_of(name);
    if (!serve_accepts(request, response, format)) return;
    ssize_t len = read_all(fd, bytes, sizeof bytes);
    if (len < 0) {
        nacre_response_text(response, NACRE_SERVER_ERROR, "cannot read that file");
        return;
    }
    if (len > SERVE_MAX_BODY || (size_t)len > response->room.cap) {
        nacre_response_text(response, NACRE_NOT_IMPLEMENTED, "files up to 1024 bytes for now");
        return;
    }
    response->code = NACRE_CONTENT;
    nacre_options_add_uint(&response->options, NACRE_OPT_CONTENT_FORMAT, format);
    memcpy(response->room.ptr, bytes, (size_t)len);
    response->payload = nacre_bytes_of(response->room.ptr, (size_t)len);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "name" or "name/" for what open_step would open; false for the rest. */
static bool entry_text(char *text, size_t cap, int dir, const char *name)
{
    struct stat st;
    if (name[0] == '.' || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return false;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return false;
    if (S_ISDIR(st.st_mode)) {
        int fd = open_step(dir, name, &st);
        if (fd < 0) return false;
        (void)close(fd);
    }
    for (const char *c = name; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) return false; /* a list of lines */
    int len = snprintf(text, cap, S_ISDIR(st.st_mode) ? "%s/" : "%s", name);
    return len > 0 && (size_t)len < cap;
}

/* All names, sorted, one a line; false when they do not fit into `room`. */
static bool list_names(DIR *dir, nacre_room room, size_t *len)
{
    char texts[SERVE_MAX_BODY], entry[260];
    const char *names[MAX_NAMES];
    size_t num = 0, used = 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (!entry_text(entry, sizeof entry, dirfd(dir), e->d_name)) continue;
        size_t need = strlen(entry) + 1;
        if (need > sizeof texts - used || num == MAX_NAMES) return false;
        names[num++] = memcpy(texts + used, entry, need);
        used += need;
    }
    if (used > room.cap) return false;
    if (num > 0) qsort(names, num, sizeof names[0], by_name);
    *len = 0;
    for (size_t i = 0; i < num; i++) {
        size_t name_len = strlen(names[i]);
        memcpy(room.ptr + *len, names[i], name_len);
        room.ptr[*len + name_len] = '\n';
        *len += name_len + 1;
    }
    return true;
}

static void answer_directory(int fd, const nacre_request *request, nacre_response *response)
{
    size_t len;
    if (!serve_accepts(request, response, FORMAT_TEXT)) return;
    int own = dup(fd); /* closedir closes it */
    DIR *dir = own >= 0 ? fdopendir(own) : NULL;
    if (dir == NULL) {
        if (own >= 0) (void)close(own);
        nacre_response_text(response, NACRE_SERVER_ERROR, "cannot read that directory");
        return;
    }
    if (list_names(dir, response->room, &len)) {
        response->code = NACRE_CONTENT;
        nacre_options_add_uint(&response->options, NACRE_OPT_CONTENT_FORMAT, FORMAT_TEXT);
        response->payload = nacre_bytes_of(response->room.ptr, len);
    } else {
        nacre_response_text(response, NACRE_NOT_IMPLEMENTED, "directories with up to 1024 bytes of names for now");
    }
    (void)closedir(dir);
}

void serve_files(void *user, const nacre_request *request, nacre_response *response)
{
    const int *root = user;
    struct stat st;
    char last[256];
    if (*root < 0) {
        nacre_response_text(response, NACRE_NOT_FOUND, "no such resource");
        return;
    }
    int fd = walk(*root, request->message->options, &st, last);
    if (fd < 0) {
        bool mine = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EIO;
        nacre_response_text(response, mine ? NACRE_SERVER_ERROR : NACRE_NOT_FOUND,
                            mine ? "cannot open that now" : "no such resource");
        return;
    }
    if (request->message->code != NACRE_GET) nacre_response_text(response, NACRE_METHOD_NOT_ALLOWED, "only GET");
    else if (S_ISDIR(st.st_mode)) answer_directory(fd, request, response);
    else answer_file(fd, last, request, response);
    (void)close(fd);
}
