/* SPDX-License-Identifier: MIT */
/* file_identity: see file_identity.h. */
#include "store/file/file_identity.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#ifdef __linux__
#include <linux/magic.h>
#include <sys/vfs.h>

#ifndef STATX_BTIME /* C libraries without statx: musl before 1.2.5 */
#include <linux/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int statx(int at, const char *path, int flags, unsigned mask, struct statx *st)
{
    return (int)syscall(SYS_statx, at, path, flags, mask, st);
}
#endif

enum { MAGIC_XFS = 0x58465342, MAGIC_NFS = 0x6969, MAGIC_OVERLAY = 0x794c7630 };

/* Which attributes are stable for a file's lifetime on a file system type. */
typedef struct lasting {
    uint32_t magic; /* ext2 and ext3 share that of ext4 */
    bool inode, birth, fsid;
} lasting;

static const lasting kinds[] = {
    { EXT4_SUPER_MAGIC, .inode = true, .birth = true },
    { MAGIC_XFS, .inode = true, .birth = true },
    { F2FS_SUPER_MAGIC, .inode = true, .birth = true },
    { TMPFS_MAGIC, .inode = true, .birth = true },
    { BTRFS_SUPER_MAGIC, .inode = true, .birth = true, .fsid = true },
    { MAGIC_OVERLAY, .birth = true },
    { MAGIC_NFS, .inode = true },
};

static const lasting *kind_of(const struct statfs *fs)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if ((uint32_t)fs->f_type == kinds[i].magic) return &kinds[i];
    return NULL;
}

/* Folded to 32 bits; the subvolume number is in one half only. */
static uint32_t fsid_of(const struct statfs *fs)
{
    uint32_t halves[2];
    static_assert(sizeof fs->f_fsid == sizeof halves, "f_fsid is two ints");
    memcpy(halves, &fs->f_fsid, sizeof halves);
    return halves[0] ^ halves[1];
}

void nacre__file_identity_of(char identity[NACRE__FILE_IDENTITY_TEXT], int fd)
{
    struct statfs fs;
    struct statx st;
    identity[0] = '\0';
    const lasting *kind = fstatfs(fd, &fs) == 0 ? kind_of(&fs) : NULL;
    if (kind == NULL || statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) != 0) return;
    bool birth = kind->birth && (st.stx_mask & STATX_BTIME) != 0;
    if (kind->inode ? (st.stx_mask & STATX_INO) == 0 : !birth) return;
    int len = snprintf(identity, NACRE__FILE_IDENTITY_TEXT, "%" PRIx64, kind->inode ? (uint64_t)st.stx_ino : 0);
    if (!birth) return;
    len += snprintf(identity + len, NACRE__FILE_IDENTITY_TEXT - (size_t)len, "-%" PRIx64 "-%" PRIx32,
                    (uint64_t)st.stx_btime.tv_sec, (uint32_t)st.stx_btime.tv_nsec);
    if (kind->fsid && len < NACRE__FILE_IDENTITY_TEXT)
        snprintf(identity + len, NACRE__FILE_IDENTITY_TEXT - (size_t)len, "-%" PRIx32, fsid_of(&fs));
}

/* On a slow disk, seconds may pass between creating a file and renaming it. */
enum { WRITTEN_WITHIN = 10 /* seconds */ };

bool nacre__file_identity_touched(int dir_fd, const char *name)
{
    struct statx st;
    const unsigned both = STATX_CTIME | STATX_BTIME;
    if (statx(dir_fd, name, AT_SYMLINK_NOFOLLOW, both, &st) != 0 || (st.stx_mask & both) != both) return false;
    return st.stx_ctime.tv_sec > st.stx_btime.tv_sec + WRITTEN_WITHIN;
}
#else
void nacre__file_identity_of(char identity[NACRE__FILE_IDENTITY_TEXT], int fd)
{
    (void)fd;
    identity[0] = '\0';
}

bool nacre__file_identity_touched(int dir_fd, const char *name)
{
    (void)dir_fd, (void)name;
    return false;
}
#endif

bool nacre__file_identity_matches(const char *identity, const char *named)
{
    size_t len = strlen(named);
    return len == 0 || (strncmp(identity, named, len) == 0 && (identity[len] == '\0' || identity[len] == '-'));
}

nacre__file_identity_kind nacre__file_identity_kind_of(const char *identity)
{
    if (identity[0] == '\0') return NACRE__FILE_IDENTITY_NOTHING;
    return strchr(identity, '-') != NULL ? NACRE__FILE_IDENTITY_TIME : NACRE__FILE_IDENTITY_INODE;
}
