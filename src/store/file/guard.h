/* SPDX-License-Identifier: MIT */
/* guard: detects that another program has written to a directory this process has locked.
 *
 * A lock excludes only programs that take it, and only while its name leads to the locked file. A program that removes `lock`,
 * or does not lock, may write a newer state; overwriting that would reuse its sequence numbers. So before every write the
 * guard checks:
 *
 *     DIR/lock             is the locked file
 *     DIR/sequence.json    is the file read or written last, with the same bytes, or still absent
 *
 * Between this check and the rename only the two locks protect. */
#ifndef NACRE_STORE_GUARD_H
#define NACRE_STORE_GUARD_H

#include <nacre/store.h>

typedef struct nacre__guard {
    int lock_fd;    /* DIR/lock, locked; -1: none */
    bool is_known;  /* sequence.json was read or written: the fields below are valid */
    int state_fd;   /* sequence.json, held open so that its inode number is not reused; -1: absent */
    uint8_t *bytes; /* its contents */
    size_t len;
} nacre__guard;
#define NACRE__GUARD_NONE ((nacre__guard){ .lock_fd = -1, .state_fd = -1 })

/* nacre__guard_release unlocks and closes both files. */
void nacre__guard_release(nacre__guard *guard);

/* nacre__guard_set sets the state to compare with; it takes ownership of `fd` (-1: no file) and `bytes` (from malloc). */
void nacre__guard_set(nacre__guard *guard, int fd, uint8_t *bytes, size_t len);

/* nacre__guard_check
 * NACRE_OK         unchanged
 * NACRE_ERR_LOCKED changed: write nothing, now or later
 * NACRE_ERR_FILE   cannot be checked: do not write now; retry */
struct nacre__dirfd;
NACRE_MUST_USE nacre_err nacre__guard_check(const struct nacre__dirfd *dirfd, nacre_detail *why);

#endif
