/* SPDX-License-Identifier: MIT */
/* born: which file this is, in a way that no copy shares.
 *
 * A state that was copied away, or put back from a backup, says that numbers are free which may have been used since. So
 * sequence.json of a context in use names the very file that it was written to, by inode number and time of birth, which
 * no program can give to another file: a copy is told from the original, and so is an old state put back. Images and
 * snapshots of a whole file system keep both, and cannot be told.
 *
 * Asked only of file systems that keep the time of birth on disk and leave it alone: ext4, XFS, Btrfs, F2FS, tmpfs. */
#ifndef NACRE_STORE_BORN_H
#define NACRE_STORE_BORN_H

#include "store/json.h"

enum { NACRE__BORN_TEXT = 48 };

/* nacre__born_of describes the open file; "" where that is not known. */
void nacre__born_of(char born[NACRE__BORN_TEXT], int fd);

/* nacre__born_elsewhere tells whether a state that was read from the file `born` was written to another one. */
bool nacre__born_elsewhere(const nacre__json *root, const char *born);

#endif
