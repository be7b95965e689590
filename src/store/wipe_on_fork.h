/* SPDX-License-Identifier: MIT */
/* wipe_on_fork: memory that is all zero in a child of fork. Two processes counting from the same number would reuse nonces; a
 * context in such memory refuses to protect and unprotect in the child. */
#ifndef NACRE_STORE_WIPE_ON_FORK_H
#define NACRE_STORE_WIPE_ON_FORK_H

#include <stddef.h>

/* nacre__wipe_on_fork_map gives zeroed pages. NULL: no memory, or neither of two methods is available:
 * MADV_WIPEONFORK   Linux 4.14 and later; covers every way to make a child
 * pthread_atfork    otherwise; not called by _Fork, clone or fork by syscall(): the child has a copy that only the stores
 *                   refuse */
void *nacre__wipe_on_fork_map(size_t size);

/* nacre__wipe_on_fork_unmap frees the pages; NULL is allowed. */
void nacre__wipe_on_fork_unmap(void *memory, size_t size);

#endif
