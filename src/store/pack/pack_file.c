/* SPDX-License-Identifier: MIT */
/* pack_file: opens, locks, reads, writes and syncs the file of a pack.
 *
 * The lock is on the file itself, which nacre never replaces or removes. If another program replaced it during the wait for the
 * lock, the locked file is not the one under the path, and opening starts again. */
#include "store/pack/pack_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hosted/detail.h"

enum { WAIT_MS = 1000, STEP_MS = 20 };

static nacre_err fail(const nacre__pack_file *file, const char *what, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot %s: %s", file->path, what, strerror(errno));
}

static nacre_err open_once(nacre__pack_file *file, bool lock, nacre_detail *why)
{
    struct stat st;
    /* Without O_NONBLOCK, opening a FIFO would block. */
    file->fd = open(file->path, (lock ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file->fd < 0) return fail(file, "open the pack", why);
    if (fstat(file->fd, &st) != 0) return fail(file, "look at the pack", why);
    if (S_ISREG(st.st_mode)) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_FILE, "%s: is no pack: it is not a regular file", file->path);
}

static bool is_still_there(const nacre__pack_file *file)
{
    struct stat locked, named;
    if (fstat(file->fd, &locked) != 0 || stat(file->path, &named) != 0) return false;
    return locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static nacre_err open_locked(nacre__pack_file *file, nacre_detail *why)
{
    static const struct timespec step = { 0, STEP_MS * 1000000 };
    for (int64_t end = now_ms() + WAIT_MS;;) {
        nacre_err err = open_once(file, true, why);
        if (err != NACRE_OK) return err;
        bool locked = flock(file->fd, LOCK_EX | LOCK_NB) == 0;
        if (locked && is_still_there(file)) return NACRE_OK;
        if (!locked && errno != EWOULDBLOCK && errno != EINTR) return fail(file, "lock the pack", why);
        if (now_ms() >= end)
            return nacre__fail(why, NACRE_ERR_LOCKED,
                               "%s: is open already, by this or another process; end that, or use another pack",
                               file->path);
        close(file->fd);
        file->fd = -1;
        if (!locked) nanosleep(&step, NULL);
    }
}

/* Opened only for fstatat, so it need not be readable. */
static nacre_err open_directory(nacre__pack_file *file, nacre_detail *why)
{
    char *copy = strdup(file->path);
    if (copy == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory");
    file->dir_fd = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
    int reason = errno;
    free(copy);
    errno = reason;
    return file->dir_fd >= 0 ? NACRE_OK : fail(file, "open the pack", why);
}

nacre_err nacre__pack_file_open(nacre__pack_file *file, const char *path, bool lock, nacre_detail *why)
{
    *file = (nacre__pack_file){ -1, path, -1 };
    nacre_err err = lock ? open_directory(file, why) : NACRE_OK;
    if (err == NACRE_OK) err = lock ? open_locked(file, why) : open_once(file, false, why);
    if (err != NACRE_OK) nacre__pack_file_close(file);
    return err;
}

void nacre__pack_file_close(nacre__pack_file *file)
{
    if (file->fd >= 0) close(file->fd);
    if (file->dir_fd >= 0) close(file->dir_fd);
    file->fd = file->dir_fd = -1;
}

_Static_assert(sizeof(off_t) >= 8, "offsets of a pack need _FILE_OFFSET_BITS=64");

nacre_err nacre__pack_file_size(uint64_t *size, const nacre__pack_file *file, nacre_detail *why)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0) return fail(file, "look at the pack", why);
    *size = (uint64_t)st.st_size;
    return NACRE_OK;
}

nacre_err nacre__pack_get(const nacre__pack_file *file, uint8_t *to, uint64_t at, size_t len, nacre_detail *why)
{
    while (len > 0) {
        ssize_t got = pread(file->fd, to, len, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(file, "read", why);
        if (got == 0)
            return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: ends before byte %llu: it was cut short", file->path,
                               (unsigned long long)(at + len));
        to += got;
        at += (uint64_t)got;
        len -= (size_t)got;
    }
    return NACRE_OK;
}

nacre_err nacre__pack_put(const nacre__pack_file *file, const uint8_t *from, uint64_t at, size_t len, nacre_detail *why)
{
    while (len > 0) {
        ssize_t put = pwrite(file->fd, from, len, (off_t)at);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail(file, "write", why);
        from += put;
        at += (uint64_t)put;
        len -= (size_t)put;
    }
    return NACRE_OK;
}

nacre_err nacre__pack_sync(const nacre__pack_file *file, nacre_detail *why)
{
    return fdatasync(file->fd) == 0 ? NACRE_OK : fail(file, "make durable (fdatasync)", why);
}
