/* SPDX-License-Identifier: MIT */
/* wipe_on_fork: memory that a child of fork finds all zero. Two processes that count from the same number would use nonces
 * twice; a context in such memory protects and unprotects nothing in the child. */
#ifndef NACRE_STORE_WIPE_ON_FORK_H
#define NACRE_STORE_WIPE_ON_FORK_H

#include <stddef.h>

/* nacre__wipe_on_fork_map gives zeroed pages; NULL: no memory, or neither of the two ways to wipe is there. The kernel
 * wipes where it can (Linux from 4.14 on: MADV_WIPEONFORK), whatever made the child. Elsewhere a pthread_atfork handler
 * does: fork calls it; _Fork, clone and a fork by syscall() do not, and leave a copy that only the stores refuse. */
void *nacre__wipe_on_fork_map(size_t size);

/* nacre__wipe_on_fork_unmap gives the pages back; NULL is allowed. */
void nacre__wipe_on_fork_unmap(void *memory, size_t size);

#endif
