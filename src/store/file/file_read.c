/* SPDX-License-Identifier: MIT */
/* file_read: reads a small file whole into memory that is wiped when freed. */
#include "store/file/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hosted/detail.h"

static nacre_err fail(const nacre__dirfd *dirfd, const char *name, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_FILE, "%s/%s: cannot read: %s", dirfd->path, name, strerror(errno));
}

static nacre_err check_kind(int fd, const nacre__dirfd *dirfd, const char *name, size_t max, nacre_detail *why)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return fail(dirfd, name, why);
    if (!S_ISREG(st.st_mode)) return nacre__fail(why, NACRE_ERR_FILE, "%s/%s: not a regular file", dirfd->path, name);
    if (st.st_size < 0 || (uintmax_t)st.st_size > max)
        return nacre__fail(why, NACRE_ERR_FILE, "%s/%s: %jd bytes, at most %zu are allowed", dirfd->path, name,
                           (intmax_t)st.st_size, max);
    return NACRE_OK;
}

/* Reads to the end, but at most `max` + 1 bytes, because the file may have grown since fstat. */
static nacre_err read_all(nacre__file *file, int fd, const nacre__dirfd *dirfd, const char *name, size_t max,
                          nacre_detail *why)
{
    for (;;) {
        ssize_t got = read(fd, file->ptr + file->len, file->cap - file->len);
        if (got == 0) return NACRE_OK;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(dirfd, name, why);
        file->len += (size_t)got;
        if (file->len > max)
            return nacre__fail(why, NACRE_ERR_FILE, "%s/%s: more than the %zu bytes that are allowed", dirfd->path,
                               name, max);
    }
}

static nacre_err read_open(nacre__file *file, int fd, const nacre__dirfd *dirfd, const char *name, size_t max,
                           nacre_detail *why)
{
    nacre_err err = check_kind(fd, dirfd, name, max, why);
    if (err != NACRE_OK) return err;
    file->cap = max + 1;
    file->ptr = malloc(file->cap);
    if (file->ptr == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory");
    err = read_all(file, fd, dirfd, name, max, why);
    if (err != NACRE_OK) nacre__file_free(file);
    return err;
}

/* These must not be links: reading follows a link to its target, but replacing replaces the link. */
static bool is_replaced(const char *name)
{
    return strcmp(name, "sequence.json") == 0 || strcmp(name, "moved.json") == 0;
}

static bool is_link(const nacre__dirfd *dirfd, const char *name)
{
    struct stat st;
    return fstatat(dirfd->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

static nacre_err cannot_open(const nacre__dirfd *dirfd, const char *name, nacre_detail *why)
{
    int reason = errno;
    if (is_replaced(name) && is_link(dirfd, name))
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                           "%s/%s: is a symbolic link; it would be replaced, and its target would keep the old "
                           "numbers: put the file itself there",
                           dirfd->path, name);
    errno = reason;
    return fail(dirfd, name, why);
}

/* Makes this file and its bytes the state that the guard compares with. */
static nacre_err tell_guard(const nacre__dirfd *dirfd, int fd, const nacre__file *file, nacre_detail *why)
{
    uint8_t *bytes = malloc(file->len + 1);
    if (bytes == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory");
    memcpy(bytes, file->ptr, file->len);
    nacre__guard_set(dirfd->guard, fd, bytes, file->len);
    return NACRE_OK;
}

nacre_err nacre__file_read_identity(nacre__file *file, char identity[NACRE__FILE_IDENTITY_TEXT], bool *found,
                                    const nacre__dirfd *dirfd, const char *name, size_t max, nacre_detail *why)
{
    const bool is_guarded = dirfd->guard != NULL && strcmp(name, "sequence.json") == 0;
    *file = (nacre__file){ .ptr = NULL };
    identity[0] = '\0';
    /* Without O_NONBLOCK, opening a FIFO would block before its type is checked. */
    int fd =
        openat(dirfd->fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (is_replaced(name) ? O_NOFOLLOW : 0));
    /* A dangling link is an error, not an absent file: the state exists elsewhere or is lost. */
    *found = fd >= 0 || errno != ENOENT || is_link(dirfd, name);
    if (fd < 0 && *found) return cannot_open(dirfd, name, why);
    if (fd < 0 && is_guarded) nacre__guard_set(dirfd->guard, -1, NULL, 0);
    if (fd < 0) return NACRE_OK;
    nacre_err err = read_open(file, fd, dirfd, name, max, why);
    nacre__file_identity_of(identity, fd);
    if (err == NACRE_OK && is_guarded) {
        err = tell_guard(dirfd, fd, file, why);
        if (err == NACRE_OK) return NACRE_OK;
        nacre__file_free(file);
    }
    close(fd);
    return err;
}

nacre_err nacre__file_read(nacre__file *file, bool *found, const nacre__dirfd *dirfd, const char *name, size_t max,
                           nacre_detail *why)
{
    char identity[NACRE__FILE_IDENTITY_TEXT];
    return nacre__file_read_identity(file, identity, found, dirfd, name, max, why);
}

void nacre__file_free(nacre__file *file)
{
    nacre_wipe(file->ptr, file->len);
    free(file->ptr);
    *file = (nacre__file){ .ptr = NULL };
}
