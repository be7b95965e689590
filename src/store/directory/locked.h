/* SPDX-License-Identifier: MIT */
/* locked: a context directory that is open and locked, whose context was not moved into a database. */
#ifndef NACRE_STORE_LOCKED_H
#define NACRE_STORE_LOCKED_H

#include "store/file/files.h"

/* nacre__locked_open opens and locks the directory before reading it, so that no other process writes meanwhile. `path` is
 * borrowed. On failure nothing is open. Errors of nacre__dirfd_open, nacre__lock_take and nacre__moved_check. */
NACRE_MUST_USE nacre_err nacre__locked_open(nacre__dirfd *dirfd, nacre__guard *guard, const char *path,
                                            nacre_detail *why);
void nacre__locked_close(nacre__dirfd *dirfd, nacre__guard *guard);

#endif
