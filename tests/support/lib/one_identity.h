/* SPDX-License-Identifier: MIT */
/* one_identity: in the including program all files have one file identity (store/file/file_identity.h), so that the
 * bytes of a file, put into another one, represent what a crash left of it. Replaces the C library's calls. */
#ifndef TEST_ONE_BIRTH_H
#define TEST_ONE_BIRTH_H

#ifdef __linux__
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#ifdef STATX_BTIME
enum { ONE_FS = TMPFS_MAGIC };

int statx(int at, const char *restrict path, int flags, unsigned mask, struct statx *restrict st)
{
    (void)at, (void)path, (void)flags;
    memset(st, 0, sizeof *st);
    st->stx_mask = mask;
    st->stx_ino = 7;
    st->stx_btime.tv_sec = 1700000000;
    return 0;
}
#else
enum { ONE_FS = 0 }; /* a C library without statx: files have no birth time, which has the same effect */
#endif

int fstatfs(int fd, struct statfs *fs)
{
    (void)fd;
    memset(fs, 0, sizeof *fs);
    fs->f_type = ONE_FS;
    return 0;
}
#else
enum { ONE_FS = 0 };
#endif

#endif
