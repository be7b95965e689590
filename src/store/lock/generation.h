/* SPDX-License-Identifier: MIT */
/* generation: counts the writes of sequence.json in DIR/lock. DIR/lock is written in place, so a snapshot of hard links
 * (cp -al, rsync --link-dest) shares its inode and the growing count, while its sequence.json keeps the old generation.
 *
 * Order of a write: sequence.json with N + 1 is durable, then DIR/lock with N + 1, then the write is confirmed. DIR/lock may
 * legitimately lose its count: aiocoap's lock library truncates the file at each attempt to lock it and removes it on unlock,
 * and users remove a lock that looks stale. Verdicts on opening:
 *
 *     sequence.json names | DIR/lock has       | verdict
 *     no generation       | anything           | accepted: another program's state, or unused; refused if the next number
 *                         |                    | to send is below that of DIR/lock, or the state is that of new keys
 *     N                   | N                  | accepted; refused if the next number to send is below that of DIR/lock
 *     N                   | more than N        | refused: a newer state was written
 *     N                   | less than N, none, | accepted if sequence.json is unchanged since it was written: power failed
 *                         | or damaged         | between the two writes, and N is written before it is used; refused if
 *                         |                    | linked, renamed or changed since (its ctime)
 *
 * In all rows the file and directory identity in sequence.json must match too (state_file.h). Not detected: a state written by
 * another program, which names nothing; and there is no count if DIR/lock is another user's or read-only.
 *
 * Two records of 64 bytes, each with a checksum, are written alternately: a torn write leaves the previous one. */
#ifndef NACRE_STORE_GENERATION_H
#define NACRE_STORE_GENERATION_H

#include "store/file/files.h"

/* A record; 0, 0: none. In the legacy layout, where one file serves two sides, `next_to_send` is 0. */
typedef struct nacre__generation {
    uint64_t number, next_to_send;
} nacre__generation;

/* The writer of a directory and its last generation.
 * fd            DIR/lock, or -1
 * next_to_send  of the state about to be written
 * open          the directory is open: a higher number in DIR/lock is from another writer */
typedef struct nacre__generation_writer {
    int fd;
    uint64_t number, next_to_send;
    bool open;
} nacre__generation_writer;

/* nacre__generation_read gives the count in DIR/lock; 0: none, or not readable. NACRE_OK; NACRE_ERR_FILE: I/O. */
NACRE_MUST_USE nacre_err nacre__generation_read(nacre__generation *count, const nacre__dirfd *dirfd, nacre_detail *why);

/* nacre__generation_open initialises `writer` and raises the count in DIR/lock to that of `state` if it is lower.
 * NACRE_OK, also if DIR/lock is not writable; NACRE_ERR_FILE: I/O */
NACRE_MUST_USE nacre_err nacre__generation_open(nacre__generation_writer *writer, const nacre__dirfd *dirfd,
                                                int lock_fd, nacre__generation state, nacre_detail *why);

/* nacre__generation_next gives the generation of the next state; 0 if DIR/lock is not writable.
 * NACRE_OK; NACRE_ERR_LOCKED: another writer; NACRE_ERR_FILE: I/O */
NACRE_MUST_USE nacre_err nacre__generation_next(uint64_t *number, nacre__generation_writer *writer,
                                                const nacre__dirfd *dirfd, nacre_detail *why);

/* nacre__generation_put writes that number durably; 0: no effect. NACRE_OK, NACRE_ERR_FILE */
NACRE_MUST_USE nacre_err nacre__generation_put(const nacre__generation_writer *writer, uint64_t number,
                                               const nacre__dirfd *dirfd, nacre_detail *why);

/* Whether this user can read and write DIR/lock, or it does not exist. */
bool nacre__generation_is_writable(const nacre__dirfd *dirfd);

#endif
