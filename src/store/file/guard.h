/* SPDX-License-Identifier: MIT */
/* guard: whether a directory is still this process's to write.
 *
 * A lock excludes only programs that take it, and only as long as the locked file is the one under its name. A program that
 * removes `lock`, or takes no lock at all, may put a newer state in place; written over, its numbers would be used twice. So
 * before every write the guard compares what is there with what was read or written last:
 *
 *     DIR/lock             is the file that is locked
 *     DIR/sequence.json    is that very file and holds the same bytes, or is absent as it was
 *
 * Between the comparison and the rename nothing but the two locks protects. */
#ifndef NACRE_STORE_GUARD_H
#define NACRE_STORE_GUARD_H

#include <nacre/store.h>

typedef struct nacre__guard {
    int lock_fd;    /* DIR/lock, locked; -1: none */
    bool is_known;  /* sequence.json was read or written: what follows holds */
    int state_fd;   /* it, held open so that no other file gets its inode number; -1: there was none */
    uint8_t *bytes; /* what it held */
    size_t len;
} nacre__guard;
#define NACRE__GUARD_NONE ((nacre__guard){ .lock_fd = -1, .state_fd = -1 })

/* nacre__guard_release unlocks, and closes what is held. */
void nacre__guard_release(nacre__guard *guard);

/* nacre__guard_set takes over `fd` (-1: there is no file) and `bytes`, from malloc, as the state that counts. */
void nacre__guard_set(nacre__guard *guard, int fd, uint8_t *bytes, size_t len);

/* nacre__guard_check compares.
 * NACRE_OK         all is as it was
 * NACRE_ERR_LOCKED something is not: write nothing, now or later
 * NACRE_ERR_FILE   it could not be looked at: write nothing, and try again */
struct nacre__dirfd;
NACRE_MUST_USE nacre_err nacre__guard_check(const struct nacre__dirfd *dirfd, nacre_detail *why);

#endif
