/* SPDX-License-Identifier: MIT */
/* born: which file this is, in a way that copies do not share.
 *
 * A state that was copied away, or put back from a backup, says that numbers are free which may have been used since. So
 * sequence.json of a context in use names the very file that it was written to, and its directory, by inode number and
 * time of birth, which no program can give to another file: a copy is told from the original, and so is an old state put
 * back. What the text has depends on the file system:
 *
 *     INODE-SECONDS-NANOSECONDS        ext4, XFS, F2FS, tmpfs
 *     INODE-SECONDS-NANOSECONDS-FSID   Btrfs: its snapshots share inode numbers and times of birth, but not the f_fsid of
 *                                      their subvolume. On other file systems f_fsid may come from the device's number.
 *     0-SECONDS-NANOSECONDS            overlayfs: the time of birth is the upper file's; inode numbers may change
 *     INODE                            these and NFS, where the system tells no time of birth; freed numbers come again
 *     nothing                          all others, where inode numbers do not last (FAT), or are not known to
 *
 * Images and snapshots of a whole file system keep all of it, and cannot be told. */
#ifndef NACRE_STORE_FILE_IDENTITY_H
#define NACRE_STORE_FILE_IDENTITY_H

#include <stdbool.h>

enum { NACRE__FILE_IDENTITY_TEXT = 48 };

/* nacre__file_identity_of describes the open file; "" where nothing is known. */
void nacre__file_identity_of(char identity[NACRE__FILE_IDENTITY_TEXT], int fd);

/* nacre__file_identity_matches tells whether the file `identity` is the one that is named: all parts of `named` agree. `identity` may have more,
 * which was not known yet when `named` was written. "" names no file, and fits every one. */
bool nacre__file_identity_matches(const char *identity, const char *named);

/* nacre__file_identity_touched tells whether a file was linked, renamed or changed more than some seconds after its birth: its ctime.
 * False where that is not known. */
bool nacre__file_identity_touched(int dir_fd, const char *name);

/* What the text says. */
typedef enum nacre__file_identity_kind {
    NACRE__FILE_IDENTITY_NOTHING,
    NACRE__FILE_IDENTITY_INODE,
    NACRE__FILE_IDENTITY_TIME
} nacre__file_identity_kind;
nacre__file_identity_kind nacre__file_identity_kind_of(const char *identity);

#endif
