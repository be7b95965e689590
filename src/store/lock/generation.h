/* SPDX-License-Identifier: MIT */
/* generation: counts the writes of sequence.json, in DIR/lock, which is written in place: a snapshot made of hard links
 * (cp -al, rsync --link-dest) shares its inode and sees the count grow, while its sequence.json stays what it was.
 *
 * Order of a write: sequence.json with N + 1 is durable, then DIR/lock with N + 1, then the write is confirmed. DIR/lock may
 * have lost its count for good reasons: the lock library of aiocoap empties the file at each attempt to lock it, and removes
 * it when it unlocks; and a lock that seems left behind is removed by hand. What an opener may find:
 *
 *     sequence.json names | DIR/lock has       | verdict
 *     no generation       | anything           | accepted: another program's state, or not used yet; refused when the
 *                         |                    | next number to send is below that of DIR/lock, or all is as new
 *     N                   | N                  | accepted; refused when the next number to send is below that of DIR/lock
 *     N                   | more than N        | refused: a newer state was written
 *     N                   | less than N, none, | accepted while sequence.json is as it was written: power was cut between
 *                         | or damaged         | the two, and N is written before it is used; refused once it was linked,
 *                         |                    | renamed or changed since (its ctime)
 *
 * and sequence.json names its own file and its directory as well (state_file.h): both must agree in all rows. What remains: a
 * state that another program wrote says nothing; and where DIR/lock is another user's or read-only there is no count.
 *
 * Two records of 64 bytes are written in turn, each with a checksum: a torn write leaves the one before. */
#ifndef NACRE_STORE_GENERATION_H
#define NACRE_STORE_GENERATION_H

#include "store/file/files.h"

/* What a record says; of the older layout, which counts for two sides in one file, `next_to_send` is 0. 0, 0: no record. */
typedef struct nacre__generation {
    uint64_t number, next_to_send;
} nacre__generation;

/* Which number the writer of a directory has come to. `open`: only this writer has written since, so that a number above
 * is another writer's. `fd` is that of the lock, or -1. `next_to_send`: what the state to be written says. */
typedef struct nacre__generation_writer {
    int fd;
    uint64_t number, next_to_send;
    bool open;
} nacre__generation_writer;

/* nacre__generation_read gives what DIR/lock says; 0: none, or it cannot be read. NACRE_OK; NACRE_ERR_FILE: I/O. */
NACRE_MUST_USE nacre_err nacre__generation_read(nacre__generation *count, const nacre__dirfd *dirfd, nacre_detail *why);

/* nacre__generation_open begins: DIR/lock gets what the state names when it has less.
 * NACRE_OK, also where it cannot be written; NACRE_ERR_FILE: I/O */
NACRE_MUST_USE nacre_err nacre__generation_open(nacre__generation_writer *writer, const nacre__dirfd *dirfd,
                                                int lock_fd, nacre__generation state, nacre_detail *why);

/* nacre__generation_next gives the number that the next state names; 0 where DIR/lock cannot be written.
 * NACRE_OK; NACRE_ERR_LOCKED: another writer; NACRE_ERR_FILE: I/O */
NACRE_MUST_USE nacre_err nacre__generation_next(uint64_t *number, nacre__generation_writer *writer,
                                                const nacre__dirfd *dirfd, nacre_detail *why);

/* nacre__generation_put writes that number, durably; none when it is 0. NACRE_OK, NACRE_ERR_FILE */
NACRE_MUST_USE nacre_err nacre__generation_put(const nacre__generation_writer *writer, uint64_t number,
                                               const nacre__dirfd *dirfd, nacre_detail *why);

/* Whether this user can write DIR/lock, or make it. */
bool nacre__generation_is_writable(const nacre__dirfd *dirfd);

#endif
