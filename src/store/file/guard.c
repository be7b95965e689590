/* SPDX-License-Identifier: MIT */
/* guard: see guard.h. */
#include "store/file/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/file/files.h"

void nacre__guard_set(nacre__guard *guard, int fd, uint8_t *bytes, size_t len)
{
    if (guard->state_fd >= 0) close(guard->state_fd);
    free(guard->bytes);
    guard->is_known = true;
    guard->state_fd = fd;
    guard->bytes = bytes;
    guard->len = len;
}

void nacre__guard_release(nacre__guard *guard)
{
    nacre__guard_set(guard, -1, NULL, 0);
    if (guard->lock_fd >= 0) close(guard->lock_fd);
    *guard = NACRE__GUARD_NONE;
}

static nacre_err lost(const nacre__dirfd *dirfd, const char *name, const char *what, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_LOCKED,
                       "%s%s: was %s while this directory was open, so that other programs may use its numbers: "
                       "nothing is written any more and this context is stopped; find the program that did it, "
                       "and open the directory again",
                       dirfd->path, name, what);
}

static nacre_err cannot_look(const nacre__dirfd *dirfd, const char *name, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_FILE, "%s%s: cannot look at it before writing: %s", dirfd->path, name,
                       strerror(errno));
}

typedef enum found { SAME, ABSENT, OTHER, UNSEEN } found;

/* Whether `name` leads to the open file `fd`. */
static found look_at_name(const nacre__dirfd *dirfd, const char *name, int fd)
{
    struct stat held, named;
    if (fstatat(dirfd->fd, name, &named, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT ? ABSENT : UNSEEN;
    if (fd < 0) return OTHER;
    if (fstat(fd, &held) != 0) return UNSEEN;
    return held.st_dev == named.st_dev && held.st_ino == named.st_ino ? SAME : OTHER;
}

/* If the directory itself was removed, no process can create files in it: a file error, not a lost state. */
static nacre_err lock_is_missing(const nacre__dirfd *dirfd, nacre_detail *why)
{
    struct stat st;
    if (fstat(dirfd->fd, &st) != 0 || st.st_nlink != 0) return lost(dirfd, "/lock", "removed", why);
    return nacre__fail(why, NACRE_ERR_FILE, "%s: was removed: cannot make a temporary file in it", dirfd->path);
}

static nacre_err check_lock(const nacre__dirfd *dirfd, nacre_detail *why)
{
    switch (look_at_name(dirfd, "lock", dirfd->guard->lock_fd)) {
    case SAME: return NACRE_OK;
    case ABSENT: return lock_is_missing(dirfd, why);
    case OTHER: return lost(dirfd, "/lock", "replaced", why);
    default: return cannot_look(dirfd, "/lock", why);
    }
}

static nacre_err check_bytes(const nacre__dirfd *dirfd, nacre_detail *why)
{
    const nacre__guard *guard = dirfd->guard;
    uint8_t part[1024];
    for (size_t at = 0;;) {
        ssize_t got = pread(guard->state_fd, part, sizeof part, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return cannot_look(dirfd, "/sequence.json", why);
        if (got == 0 && at == guard->len) return NACRE_OK;
        if (got == 0 || (size_t)got > guard->len - at || memcmp(part, guard->bytes + at, (size_t)got) != 0)
            return lost(dirfd, "/sequence.json", "edited", why);
        at += (size_t)got;
    }
}

static nacre_err check_state(const nacre__dirfd *dirfd, nacre_detail *why)
{
    const bool had_one = dirfd->guard->state_fd >= 0;
    switch (look_at_name(dirfd, "sequence.json", dirfd->guard->state_fd)) {
    case SAME: return check_bytes(dirfd, why);
    case ABSENT: return had_one ? lost(dirfd, "/sequence.json", "removed", why) : NACRE_OK;
    case OTHER: return lost(dirfd, "/sequence.json", had_one ? "replaced" : "made", why);
    default: return cannot_look(dirfd, "/sequence.json", why);
    }
}

nacre_err nacre__guard_check(const nacre__dirfd *dirfd, nacre_detail *why)
{
    if (dirfd->guard == NULL || dirfd->guard->lock_fd < 0) return NACRE_OK;
    nacre_err err = check_lock(dirfd, why);
    return err == NACRE_OK && dirfd->guard->is_known ? check_state(dirfd, why) : err;
}
