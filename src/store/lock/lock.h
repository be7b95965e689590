/* SPDX-License-Identifier: MIT */
/* lock: one process at a time on a context directory; see lock.c. */
#ifndef NACRE_STORE_LOCK_LOCK_H
#define NACRE_STORE_LOCK_LOCK_H

#include "store/file/files.h"

/* nacre__lock_take locks DIR/lock and, if the file system supports it, the directory itself, waiting up to one second, and
 * installs `guard` in `dirfd`. Releasing the guard and closing `dirfd` ends the locks; the file stays. guard->lock_fd is open
 * for reading and writing, or for reading only if the file is another user's.
 * NACRE_OK, NACRE_ERR_LOCKED (names the holder if known), NACRE_ERR_FILE */
NACRE_MUST_USE nacre_err nacre__lock_take(nacre__dirfd *dirfd, nacre__guard *guard, nacre_detail *why);

/* nacre__lock_probe tells whether it is free, without waiting and without creating the file. Returns as nacre__lock_take. */
NACRE_MUST_USE nacre_err nacre__lock_probe(const nacre__dirfd *dirfd, nacre_detail *why);

#endif
