/* SPDX-License-Identifier: MIT */
/* files: what the store does with files, relative to a directory that is open: read one whole, replace one atomically and
 * durably. Paths are kept for error texts only, so that a process may change its working directory. */
#ifndef NACRE_STORE_FILES_H
#define NACRE_STORE_FILES_H

#include <nacre/store.h>

#include "store/file/file_identity.h"
#include "store/file/guard.h"

typedef struct nacre__dirfd {
    int fd;
    const char *path;    /* for error texts */
    nacre__guard *guard; /* borrowed; what is held while the folder is locked. NULL: it is not */
} nacre__dirfd;

/* nacre__dirfd_open: NACRE_OK, NACRE_ERR_FILE. `path` is borrowed. nacre__dirfd_close takes a closed one (fd -1). */
NACRE_MUST_USE nacre_err nacre__dirfd_open(nacre__dirfd *dirfd, const char *path, nacre_detail *why);
void nacre__dirfd_close(nacre__dirfd *dirfd);

/* nacre__dirfd_sync makes the folder's entries durable. */
NACRE_MUST_USE nacre_err nacre__dirfd_sync(const nacre__dirfd *dirfd, nacre_detail *why);

/* nacre__dirfd_sync_parent makes the entry of a folder durable, made or removed, which lies in its parent. */
NACRE_MUST_USE nacre_err nacre__dirfd_sync_parent(const char *path, nacre_detail *why);

/* A whole file in memory; wiped when freed, for it may hold secrets. */
typedef struct nacre__file {
    uint8_t *ptr;
    size_t len, cap;
} nacre__file;

/* nacre__file_read reads a regular file of at most `max` bytes. `found` says whether it exists: when not, that is no
 * error and `file` is empty. A file that nacre replaces by its name, as sequence.json, must not be a symbolic link: the
 * target would keep what it said. What the folder's guard needs to know of sequence.json is told to it.
 * NACRE_OK, NACRE_ERR_FILE (too large, no permission, not a regular file, I/O), NACRE_ERR_BAD_CONTEXT (a link that must be
 * none), NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre__file_read(nacre__file *file, bool *found, const nacre__dirfd *dirfd, const char *name,
                                          size_t max, nacre_detail *why);
/* The same, and which file it is (file_identity.h). */
NACRE_MUST_USE nacre_err nacre__file_read_identity(nacre__file *file, char identity[NACRE__FILE_IDENTITY_TEXT],
                                                   bool *found, const nacre__dirfd *dirfd, const char *name, size_t max,
                                                   nacre_detail *why);
void nacre__file_free(nacre__file *file);

/* nacre__file_replace makes `name` hold `text`, durably, or leaves it as it was: a temporary file (".NAME-" and six
 * characters, mode 0600), fsync, rename, fsync of the folder.
 * NACRE_OK         it is durable
 * NACRE_ERR_LOCKED the folder's guard says that it is not ours to write any more: nothing has changed
 * NACRE_ERR_FILE   it is not durable. `uncertain` says that the rename was done and only its durability failed: after a power
 *                  loss either text may be there. Otherwise the old file stands, and the temporary one is removed */
NACRE_MUST_USE nacre_err nacre__file_replace(const nacre__dirfd *dirfd, const char *name, const char *text,
                                             bool *uncertain, nacre_detail *why);

/* The same in two steps, for a text that names the file that it is in: nacre__file_begin makes the temporary file, which
 * will be the one; then either nacre__file_commit or nacre__file_abandon ends it. `dirfd` and `name` are borrowed. */
enum { NACRE__TEMPORARY_NAME = 64 };
typedef struct nacre__new_file {
    const nacre__dirfd *dirfd;
    const char *name;
    int fd;
    char temporary[NACRE__TEMPORARY_NAME];
    char identity[NACRE__FILE_IDENTITY_TEXT];
} nacre__new_file;
NACRE_MUST_USE nacre_err nacre__file_begin(nacre__new_file *file, const nacre__dirfd *dirfd, const char *name,
                                           nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__file_commit(nacre__new_file *file, const char *text, bool *uncertain,
                                            nacre_detail *why);
void nacre__file_abandon(nacre__new_file *file);

/* nacre__file_sweep removes temporary files of `name` that a crash left behind. Only under the folder's lock. */
void nacre__file_sweep(const nacre__dirfd *dirfd, const char *name);

#endif
