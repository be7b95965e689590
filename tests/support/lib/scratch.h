/* SPDX-License-Identifier: MIT */
/* scratch: a separate directory for each test, with helpers to fill, read and remove it. */
#ifndef NACRE_TEST_SCRATCH_H
#define NACRE_TEST_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

/* scratch_make makes a fresh directory under $TMPDIR (or /tmp) and gives its path, which scratch_remove frees. */
char *scratch_make(void);
/* scratch_remove removes the directory with its content. */
void scratch_remove(char *path);

/* Paths inside: DIR/NAME, in one of a few static buffers that later calls reuse. */
const char *scratch_path(const char *dir, const char *name);

void scratch_mkdir(const char *dir, const char *name);
void scratch_write(const char *dir, const char *name, const char *text);
void scratch_write_bytes(const char *dir, const char *name, const void *bytes, size_t len);
/* scratch_read gives a file's text (at most 64 KiB, the rest is cut off), which the caller frees; NULL if it does not
 * exist. */
char *scratch_read(const char *dir, const char *name);
/* scratch_state gives DIR/sequence.json as scratch_read does, but without the name of the file it was written to (which
 * differs in every run): written back, it does not count as a copy. */
char *scratch_state(const char *dir);
/* scratch_expect compares a file's text; NULL: it does not exist. sequence.json as given by scratch_state. */
void scratch_expect(const char *dir, const char *name, const char *wanted);
bool scratch_exists(const char *dir, const char *name);
void scratch_unlink(const char *dir, const char *name);
/* scratch_count counts the directory's entries whose name begins with `prefix`. */
size_t scratch_count(const char *dir, const char *prefix);

#endif
