/* SPDX-License-Identifier: MIT */
/* lock: one process at a time on a context directory, for two would use the same nonces.
 *
 * aiocoap locks the same file in the same way (flock), but removes it when it ends. So the file that we wait for may not
 * be the one under that name any more when we get it: then its lock excludes nobody, and we start again. */
#include "store/files.h"

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

#include "store/fail.h"

enum { WAIT_MS = 1000, STEP_MS = 20 };

typedef enum attempt { TAKEN, HELD, REPLACED, FAILED } attempt;

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

static bool is_still_there(const nacre__folder *folder, int fd)
{
    struct stat locked, named;
    if (fstat(fd, &locked) != 0 || fstatat(folder->fd, "lock", &named, AT_SYMLINK_NOFOLLOW) != 0) return false;
    return locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
}

static attempt attempt_once(int *fd, const nacre__folder *folder)
{
    int opened = openat(folder->fd, "lock", O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    /* Another user's file: to lock it, reading it is enough. */
    if (opened < 0 && errno == EACCES) {
        opened = openat(folder->fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (opened < 0) errno = EACCES; /* also when there is none: it could not be made */
    }
    if (opened < 0) return FAILED;
    attempt result = TAKEN;
    if (flock(opened, LOCK_EX | LOCK_NB) != 0) result = errno == EWOULDBLOCK || errno == EINTR ? HELD : FAILED;
    else if (!is_still_there(folder, opened)) result = REPLACED;
    if (result == TAKEN) {
        *fd = opened;
        return TAKEN;
    }
    int reason = errno;
    close(opened);
    errno = reason;
    return result;
}

/* The process that holds a flock on folder/lock, or 0 where /proc/locks does not tell it (another PID namespace, a file
 * system that shows other device numbers there). */
static long holder(const nacre__folder *folder)
{
    struct stat st;
    char line[256];
    long found = 0;
    FILE *locks = fstatat(folder->fd, "lock", &st, 0) == 0 ? fopen("/proc/locks", "re") : NULL;
    if (locks == NULL) return 0;
    while (found == 0 && fgets(line, sizeof line, locks) != NULL) {
        long pid = 0;
        unsigned dev_major = 0, dev_minor = 0;
        uintmax_t inode = 0;
        /* "1: FLOCK  ADVISORY  WRITE 4711 fe:01:131 0 EOF"; a waiter has "->" behind the colon. */
        if (sscanf(line, "%*d: FLOCK ADVISORY WRITE %ld %x:%x:%ju", &pid, &dev_major, &dev_minor, &inode) == 4 &&
            inode == st.st_ino && dev_major == major(st.st_dev) && dev_minor == minor(st.st_dev))
            found = pid;
    }
    fclose(locks);
    return found > 0 ? found : 0;
}

static nacre_err held(const nacre__folder *folder, nacre_detail *why)
{
    long pid = holder(folder);
    if (pid == (long)getpid())
        return nacre__store_fail(why, NACRE_ERR_LOCKED, "%s/lock: this process has the directory open already",
                                 folder->path);
    if (pid > 0)
        return nacre__store_fail(why, NACRE_ERR_LOCKED,
                                 "%s/lock: process %ld uses this directory; end it, or use another", folder->path, pid);
    return nacre__store_fail(why, NACRE_ERR_LOCKED,
                             "%s/lock: another process uses this directory; end it, or use another", folder->path);
}

nacre_err nacre__lock_take(int *fd, const nacre__folder *folder, nacre_detail *why)
{
    int64_t end = now_ms() + WAIT_MS;
    for (;;) {
        attempt result = attempt_once(fd, folder);
        if (result == TAKEN) return NACRE_OK;
        if (result == FAILED)
            return nacre__store_fail(why, NACRE_ERR_FILE, "%s/lock: cannot lock: %s%s", folder->path, strerror(errno),
                                     nacre__store_advice(errno));
        if (now_ms() >= end) return held(folder, why);
        if (result == HELD) pause_ms(STEP_MS);
    }
}

nacre_err nacre__lock_probe(const nacre__folder *folder, nacre_detail *why)
{
    int fd = openat(folder->fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) return NACRE_OK;
    if (fd < 0)
        return nacre__store_fail(why, NACRE_ERR_FILE, "%s/lock: cannot open: %s", folder->path, strerror(errno));
    bool is_free = flock(fd, LOCK_SH | LOCK_NB) == 0;
    close(fd);
    return is_free ? NACRE_OK : held(folder, why);
}
