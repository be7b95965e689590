/* SPDX-License-Identifier: MIT */
/* write_points: replaces fsync and renameat in the including program; they fail or end the process at the n-th call.
 * They reach the system by syscall(), which works with sanitizers too. */
#ifndef NACRE_TEST_WRITE_POINTS_H
#define NACRE_TEST_WRITE_POINTS_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    unsigned calls;   /* so far */
    unsigned fail_at; /* this call fails with `error`, or EIO; 0: none */
    int error;
    unsigned exit_at; /* the process ends before this call; 0: none */
    bool exit_after;  /* … or after it */
} points;

static bool point(void)
{
    points.calls++;
    if (points.calls == points.exit_at && !points.exit_after) _exit(9);
    if (points.calls != points.fail_at) return true;
    errno = points.error != 0 ? points.error : EIO;
    return false;
}

static long behind(long result)
{
    if (points.calls == points.exit_at && points.exit_after) _exit(9);
    return result;
}

int fsync(int fd)
{
    return point() ? (int)behind(syscall(SYS_fsync, fd)) : -1;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return point() ? (int)behind(syscall(SYS_renameat2, from_fd, from, to_fd, to, 0)) : -1;
}

#endif
