/* SPDX-License-Identifier: MIT */
/* scratch: a directory of its own for each test, with helpers to fill it, look at it and take it away. */
#ifndef NACRE_TEST_SCRATCH_H
#define NACRE_TEST_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

/* scratch_make makes a fresh directory under $TMPDIR (or /tmp) and gives its path, which scratch_remove frees. */
char *scratch_make(void);
/* scratch_remove takes the directory away, with all that is in it. */
void scratch_remove(char *path);

/* Paths inside: DIR/NAME, in one of a few static buffers that later calls use again. */
const char *scratch_path(const char *dir, const char *name);

void scratch_mkdir(const char *dir, const char *name);
void scratch_write(const char *dir, const char *name, const char *text);
void scratch_write_bytes(const char *dir, const char *name, const void *bytes, size_t len);
/* scratch_read gives a file's text (at most 64 KiB, the rest cut off), which the caller frees; NULL when it is not there. */
char *scratch_read(const char *dir, const char *name);
bool scratch_exists(const char *dir, const char *name);
void scratch_unlink(const char *dir, const char *name);
/* scratch_count counts the directory's entries whose name begins with `prefix`. */
size_t scratch_count(const char *dir, const char *prefix);

#endif
