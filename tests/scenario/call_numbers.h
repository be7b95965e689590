/* SPDX-License-Identifier: MIT */
/* call_numbers: what syscall() takes for calls that differ where registers have 32 bits (i386). */
#ifndef TEST_CALL_NUMBERS_H
#define TEST_CALL_NUMBERS_H

#include <limits.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>

#ifdef SYS_newfstatat
enum { CALL_FSTATAT = SYS_newfstatat };
#else
enum { CALL_FSTATAT = SYS_fstatat64 };
#endif
#ifdef SYS_ftruncate64
enum { CALL_FTRUNCATE = SYS_ftruncate64 };
#else
enum { CALL_FTRUNCATE = SYS_ftruncate };
#endif

/* A place in a file: two arguments there. */
#if LONG_MAX > INT32_MAX
#define CALL_PLACE(at) (at)
#else
#define CALL_PLACE(at) (uint32_t)(at), (uint32_t)((uint64_t)(at) >> 32)
_Static_assert(sizeof(off_t) == 8, "build with _FILE_OFFSET_BITS=64");
#endif

#endif
