/* SPDX-License-Identifier: MIT */
/* serve_walk: from the path of a request to the file or directory.
 *
 * A path is walked segment by segment from the directory's descriptor, each step with O_NOFOLLOW, so that neither a name nor a
 * concurrent rename leads out of the directory. A segment is a name or empty: no '/', no NUL, no leading dot. Directories that
 * hold a security context and private files (serve_private.c) are treated as absent. */
#include "serve_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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
int serve_open_step(const serve_root *root, int at, const char *name, struct stat *st)
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

int serve_num_segments(nacre_bytes options)
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
        if (!ended && S_ISDIR(st->st_mode) && serve_name(last, option.value))
            next = serve_open_step(root, at, last, st);
        int error = errno;
        (void)close(at);
        errno = error;
        at = next;
    }
    return at;
}

int serve_walk(const serve_root *root, nacre_bytes options, struct stat *st, char last[256])
{
    return walk(root, options, serve_num_segments(options), st, last);
}

int serve_walk_some(const serve_root *root, nacre_bytes options, int num, struct stat *st)
{
    char last[256];
    return walk(root, options, num, st, last);
}

int serve_walk_to_parent(const serve_root *root, nacre_bytes options, char name[256])
{
    struct stat st;
    const int num = serve_num_segments(options);
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
