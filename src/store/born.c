/* SPDX-License-Identifier: MIT */
/* born: see born.h. */
#include "store/born.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#ifdef __linux__
#include <linux/magic.h>
#include <sys/vfs.h>

#ifndef STATX_BTIME /* a C library without statx, as musl before 1.2.5 */
#include <linux/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int statx(int at, const char *path, int flags, unsigned mask, struct statx *st)
{
    return (int)syscall(SYS_statx, at, path, flags, mask, st);
}
#endif

enum { MAGIC_XFS = 0x58465342 };

static bool keeps_births(int fd)
{
    static const unsigned long kinds[] = { EXT4_SUPER_MAGIC, MAGIC_XFS, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,
                                           TMPFS_MAGIC };
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0) return false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if ((unsigned long)fs.f_type == kinds[i]) return true;
    return false;
}

void nacre__born_of(char born[NACRE__BORN_TEXT], int fd)
{
    struct statx st;
    born[0] = '\0';
    if (!keeps_births(fd) || statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) != 0) return;
    if ((st.stx_mask & (STATX_INO | STATX_BTIME)) != (STATX_INO | STATX_BTIME)) return;
    snprintf(born, NACRE__BORN_TEXT, "%" PRIx64 "-%" PRIx64 "-%" PRIx32, (uint64_t)st.stx_ino,
             (uint64_t)st.stx_btime.tv_sec, (uint32_t)st.stx_btime.tv_nsec);
}
#else
void nacre__born_of(char born[NACRE__BORN_TEXT], int fd)
{
    (void)fd;
    born[0] = '\0';
}
#endif

bool nacre__born_elsewhere(const nacre__json *root, const char *born)
{
    const nacre__json *ours = nacre__json_member(root, "nacre");
    const nacre__json *said = ours != NULL ? nacre__json_member(ours, "born") : NULL;
    if (said == NULL) return false; /* not used yet, written by another program, or by hand */
    return said->type != NACRE__JSON_STRING || strcmp(said->text, born) != 0;
}
