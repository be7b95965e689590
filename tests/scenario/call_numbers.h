/* SPDX-License-Identifier: MIT */
/* call_numbers: system calls whose number or arguments differ on 32-bit machines (i386). */
#ifndef TEST_CALL_NUMBERS_H
#define TEST_CALL_NUMBERS_H

#include <limits.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <unistd.h>

/* The C library's struct stat matches no kernel struct when time_t has 64 bits on a 32-bit machine. */
static inline long call_stat(int at, const char *path, struct stat *st, int flags)
{
#ifdef SYS_newfstatat
    return syscall(SYS_newfstatat, at, path, st, flags);
#else
    struct statx x;
    const long result = syscall(SYS_statx, at, path, flags, STATX_BASIC_STATS, &x);
    if (result != 0) return result;
    *st = (struct stat){ .st_dev = makedev(x.stx_dev_major, x.stx_dev_minor), .st_ino = x.stx_ino };
    st->st_mode = x.stx_mode;
    st->st_nlink = x.stx_nlink;
    st->st_uid = x.stx_uid;
    st->st_gid = x.stx_gid;
    st->st_size = (off_t)x.stx_size;
    st->st_mtim.tv_sec = x.stx_mtime.tv_sec;
    st->st_mtim.tv_nsec = (long)x.stx_mtime.tv_nsec;
    st->st_ctim.tv_sec = x.stx_ctime.tv_sec;
    st->st_ctim.tv_nsec = (long)x.stx_ctime.tv_nsec;
    return 0;
#endif
}

#ifdef SYS_ftruncate64
enum { CALL_FTRUNCATE = SYS_ftruncate64 };
#else
enum { CALL_FTRUNCATE = SYS_ftruncate };
#endif

/* A file offset is two arguments on 32-bit machines. */
#if LONG_MAX > INT32_MAX
#define CALL_OFFSET(at) (at)
#else
#define CALL_OFFSET(at) (uint32_t)(at), (uint32_t)((uint64_t)(at) >> 32)
_Static_assert(sizeof(off_t) == 8, "build with _FILE_OFFSET_BITS=64");
#endif

#endif
