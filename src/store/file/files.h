/* SPDX-License-Identifier: MIT */
/* files: reads files whole and replaces them atomically and durably, relative to an open directory. Paths are kept for error
 * texts only, so the process may change its working directory. */
#ifndef NACRE_STORE_FILES_H
#define NACRE_STORE_FILES_H

#include <nacre/store.h>

#include "store/file/file_identity.h"
#include "store/file/guard.h"

typedef struct nacre__dirfd {
    int fd;
    const char *path;    /* for error texts */
    nacre__guard *guard; /* borrowed; set while the directory is locked. NULL: not locked */
} nacre__dirfd;

/* nacre__dirfd_open: NACRE_OK, NACRE_ERR_FILE. `path` is borrowed. nacre__dirfd_close ignores fd -1. */
NACRE_MUST_USE nacre_err nacre__dirfd_open(nacre__dirfd *dirfd, const char *path, nacre_detail *why);
void nacre__dirfd_close(nacre__dirfd *dirfd);

/* nacre__dirfd_sync makes the directory's entries durable. */
NACRE_MUST_USE nacre_err nacre__dirfd_sync(const nacre__dirfd *dirfd, nacre_detail *why);

/* nacre__dirfd_sync_parent makes the creation or removal of a directory durable: it syncs the parent. */
NACRE_MUST_USE nacre_err nacre__dirfd_sync_parent(const char *path, nacre_detail *why);

/* A whole file in memory; wiped when freed because it may hold secrets. */
typedef struct nacre__file {
    uint8_t *ptr;
    size_t len, cap;
} nacre__file;

/* nacre__file_read reads a regular file of at most `max` bytes. If it does not exist, `found` is false, `file` is empty and
 * the result is NACRE_OK. Files that nacre replaces (sequence.json, moved.json) must not be symbolic links, whose target would
 * keep the old text. Reading sequence.json updates the directory's guard.
 * NACRE_OK, NACRE_ERR_FILE (too large, no permission, not a regular file, I/O), NACRE_ERR_BAD_CONTEXT (symbolic link),
 * NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre__file_read(nacre__file *file, bool *found, const nacre__dirfd *dirfd, const char *name,
                                          size_t max, nacre_detail *why);
/* The same, and gives the file's identity (file_identity.h). */
NACRE_MUST_USE nacre_err nacre__file_read_identity(nacre__file *file, char identity[NACRE__FILE_IDENTITY_TEXT],
                                                   bool *found, const nacre__dirfd *dirfd, const char *name, size_t max,
                                                   nacre_detail *why);
void nacre__file_free(nacre__file *file);

/* nacre__file_replace replaces the contents of `name` by `text` atomically: temporary file (".NAME-" and six characters,
 * mode 0600), fsync, rename, fsync of the directory.
 * NACRE_OK         the new text is durable
 * NACRE_ERR_LOCKED the guard found a change by another program: nothing was written
 * NACRE_ERR_FILE   not durable. `uncertain`: the rename was done and only its fsync failed, so that after a power loss either
 *                  text may be there. Otherwise the old file is unchanged and the temporary one removed */
NACRE_MUST_USE nacre_err nacre__file_replace(const nacre__dirfd *dirfd, const char *name, const char *text,
                                             bool *uncertain, nacre_detail *why);

/* The same in two steps, for a text that contains the identity of its own file: nacre__file_begin creates the temporary file
 * and sets `identity`; nacre__file_commit or nacre__file_abandon must follow. `dirfd` and `name` are borrowed. */
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

/* nacre__file_sweep removes temporary files of `name` left by a crash. Requires the directory's lock. */
void nacre__file_sweep(const nacre__dirfd *dirfd, const char *name);

#endif
