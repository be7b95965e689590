/* SPDX-License-Identifier: MIT */
/* lock: one process at a time on a context directory, because two would use the same nonces.
 *
 * Two locks are taken by flock: the file `lock`, which aiocoap locks too, and the directory itself. If the file is removed,
 * later openers lock a new one, but the directory lock still holds. aiocoap removes the file when it unlocks, so after a wait
 * the locked file may no longer have the name `lock`: it then excludes no other process, and the attempt is repeated. */
#include "store/lock/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/advice.h"

enum { WAIT_MS = 1000, STEP_MS = 20 };

typedef enum attempt { TAKEN, HELD, DIRECTORY_HELD, REPLACED, FAILED } attempt;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
    struct timespec duration = { 0, ms * 1000000 };
    nanosleep(&duration, NULL);
}

static bool is_still_there(int fd, const nacre__dirfd *dirfd)
{
    struct stat locked, named;
    if (fstat(fd, &locked) != 0 || fstatat(dirfd->fd, "lock", &named, AT_SYMLINK_NOFOLLOW) != 0) return false;
    return locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
}

/* NFS and some FUSE file systems cannot lock directories, or not ones open for reading only. There only the file protects. */
static bool locks_no_directories(int reason)
{
    return reason == EBADF || reason == EINVAL || reason == EISDIR || reason == ENOLCK || reason == ENOSYS ||
           reason == EOPNOTSUPP;
}

static attempt lock_file(const nacre__dirfd *dirfd, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return FAILED;
    if (!S_ISREG(st.st_mode)) {
        errno = EISDIR;
        return FAILED;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) return errno == EWOULDBLOCK || errno == EINTR ? HELD : FAILED;
    return is_still_there(fd, dirfd) ? TAKEN : REPLACED;
}

static attempt lock_directory(const nacre__dirfd *dirfd, int operation)
{
    if (flock(dirfd->fd, operation | LOCK_NB) == 0 || locks_no_directories(errno)) return TAKEN;
    return errno == EWOULDBLOCK || errno == EINTR ? DIRECTORY_HELD : FAILED;
}

static attempt attempt_once(int *fd, const nacre__dirfd *dirfd)
{
    int opened = openat(dirfd->fd, "lock", O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    /* Another user's file: read access is enough to lock it. */
    if (opened < 0 && errno == EACCES) {
        opened = openat(dirfd->fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (opened < 0) errno = EACCES; /* also if it does not exist: it could not be created */
    }
    if (opened < 0) return FAILED;
    attempt result = lock_file(dirfd, opened);
    if (result == TAKEN) result = lock_directory(dirfd, LOCK_EX);
    if (result == TAKEN) {
        *fd = opened;
        return TAKEN;
    }
    int reason = errno;
    close(opened);
    errno = reason;
    return result;
}

/* The process that holds a flock on that file; 0 if /proc/locks does not show it (another PID namespace, or a file system with
 * other device numbers there). */
static long holder(const struct stat *st)
{
    char line[256];
    long found = 0;
    FILE *locks = fopen("/proc/locks", "re");
    if (locks == NULL) return 0;
    while (found == 0 && fgets(line, sizeof line, locks) != NULL) {
        long pid = 0;
        unsigned dev_major = 0, dev_minor = 0;
        uintmax_t inode = 0;
        /* "1: FLOCK  ADVISORY  WRITE 4711 fe:01:131 0 EOF"; a waiter has "->" after the colon. */
        if (sscanf(line, "%*d: FLOCK ADVISORY WRITE %ld %x:%x:%ju", &pid, &dev_major, &dev_minor, &inode) == 4 &&
            inode == st->st_ino && dev_major == major(st->st_dev) && dev_minor == minor(st->st_dev))
            found = pid;
    }
    fclose(locks);
    return found > 0 ? found : 0;
}

/* `which` is locked by another process: "/lock", or "" for the directory itself. */
static nacre_err held(const nacre__dirfd *dirfd, const char *which, nacre_detail *why)
{
    struct stat st;
    bool known = which[0] != '\0' ? fstatat(dirfd->fd, which + 1, &st, 0) == 0 : fstat(dirfd->fd, &st) == 0;
    long pid = known ? holder(&st) : 0;
    if (pid == (long)getpid())
        return nacre__fail(why, NACRE_ERR_LOCKED, "%s%s: this process has the directory open already", dirfd->path,
                           which);
    if (pid > 0)
        return nacre__fail(why, NACRE_ERR_LOCKED, "%s%s: process %ld uses this directory; end it, or use another",
                           dirfd->path, which, pid);
    return nacre__fail(why, NACRE_ERR_LOCKED, "%s%s: another process uses this directory; end it, or use another",
                       dirfd->path, which);
}

static nacre_err cannot_lock(const nacre__dirfd *dirfd, nacre_detail *why)
{
    if (errno == EISDIR || errno == ELOOP || errno == ENXIO) /* also a link, a FIFO, a socket */
        return nacre__fail(why, NACRE_ERR_FILE,
                           "%s/lock: is not a regular file; remove it while no program uses the directory",
                           dirfd->path);
    return nacre__fail(why, NACRE_ERR_FILE, "%s/lock: cannot lock: %s%s", dirfd->path, strerror(errno),
                       nacre__store_advice(errno));
}

nacre_err nacre__lock_take(nacre__dirfd *dirfd, nacre__guard *guard, nacre_detail *why)
{
    int64_t end = now_ms() + WAIT_MS;
    for (;;) {
        attempt result = attempt_once(&guard->lock_fd, dirfd);
        if (result == TAKEN) dirfd->guard = guard;
        if (result == TAKEN) return NACRE_OK;
        if (result == FAILED) return cannot_lock(dirfd, why);
        if (now_ms() >= end) return held(dirfd, result == DIRECTORY_HELD ? "" : "/lock", why);
        if (result != REPLACED) pause_ms(STEP_MS);
    }
}

static nacre_err probe_file(const nacre__dirfd *dirfd, nacre_detail *why)
{
    int fd = openat(dirfd->fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) return NACRE_OK;
    if (fd < 0 && (errno == ELOOP || errno == ENXIO)) return cannot_lock(dirfd, why);
    if (fd < 0) return nacre__fail(why, NACRE_ERR_FILE, "%s/lock: cannot open: %s", dirfd->path, strerror(errno));
    struct stat st;
    const bool is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    const bool is_free = is_file && flock(fd, LOCK_SH | LOCK_NB) == 0;
    close(fd);
    if (!is_file) errno = EISDIR;
    if (!is_file) return cannot_lock(dirfd, why);
    return is_free ? NACRE_OK : held(dirfd, "/lock", why);
}

nacre_err nacre__lock_probe(const nacre__dirfd *dirfd, nacre_detail *why)
{
    nacre_err err = probe_file(dirfd, why);
    if (err != NACRE_OK) return err;
    switch (lock_directory(dirfd, LOCK_SH)) {
    case TAKEN: (void)flock(dirfd->fd, LOCK_UN); return NACRE_OK;
    case FAILED: return cannot_lock(dirfd, why);
    default: return held(dirfd, "", why);
    }
}
