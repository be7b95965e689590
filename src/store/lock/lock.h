/* SPDX-License-Identifier: MIT */
/* lock: one process at a time on a context directory; see lock.c. */
#ifndef NACRE_STORE_LOCK_LOCK_H
#define NACRE_STORE_LOCK_LOCK_H

#include "store/file/files.h"

/* nacre__lock_take locks folder/lock and, where the file system can, the folder itself, waiting for one second, and sets
 * `guard` over the folder. The locks end when the guard is released and the folder is closed; the file stays. It is open
 * for writing too (guard->lock_fd), unless it is another user's.
 * NACRE_OK, NACRE_ERR_LOCKED (names the holder where the system tells it), NACRE_ERR_FILE */
NACRE_MUST_USE nacre_err nacre__lock_take(nacre__dirfd *dirfd, nacre__guard *guard, nacre_detail *why);

/* nacre__lock_probe looks whether it is free, without waiting, and without making the file. Returns as nacre__lock_take. */
NACRE_MUST_USE nacre_err nacre__lock_probe(const nacre__dirfd *dirfd, nacre_detail *why);

#endif
