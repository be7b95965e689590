/* SPDX-License-Identifier: MIT */
/* file_identity: identifies a file so that its copies differ from it.
 *
 * A state that was copied, or restored from a backup, lists sequence numbers as free that may have been used since. So
 * sequence.json of a context in use names the file it was written to and its directory by inode number and birth time, which
 * no program can set: copies and restored states are detected. The text depends on the file system:
 *
 *     INODE-SECONDS-NANOSECONDS        ext4, XFS, F2FS, tmpfs
 *     INODE-SECONDS-NANOSECONDS-FSID   Btrfs: snapshots share inode numbers and birth times, but not the f_fsid of their
 *                                      subvolume. On other file systems f_fsid may depend on the device number.
 *     0-SECONDS-NANOSECONDS            overlayfs: the birth time is the upper file's; inode numbers may change
 *     INODE                            these and NFS if the birth time is not available; freed numbers are reused
 *     nothing                          all others: inode numbers are not stable (FAT), or not known to be
 *
 * Images and snapshots of a whole file system keep all of it and are not detected. */
#ifndef NACRE_STORE_FILE_IDENTITY_H
#define NACRE_STORE_FILE_IDENTITY_H

#include <stdbool.h>

enum { NACRE__FILE_IDENTITY_TEXT = 48 };

/* nacre__file_identity_of describes the open file; "" if nothing is known. */
void nacre__file_identity_of(char identity[NACRE__FILE_IDENTITY_TEXT], int fd);

/* nacre__file_identity_matches: true if all parts of `named` agree with `identity`, which may have more parts, not available
 * when `named` was written. "" matches every file. */
bool nacre__file_identity_matches(const char *identity, const char *named);

/* nacre__file_identity_touched: true if the ctime shows that the file was linked, renamed or changed more than 10 seconds
 * after its birth. False if not known. */
bool nacre__file_identity_touched(int dir_fd, const char *name);

/* What the text contains. */
typedef enum nacre__file_identity_kind {
    NACRE__FILE_IDENTITY_NOTHING,
    NACRE__FILE_IDENTITY_INODE,
    NACRE__FILE_IDENTITY_TIME
} nacre__file_identity_kind;
nacre__file_identity_kind nacre__file_identity_kind_of(const char *identity);

#endif
