/* SPDX-License-Identifier: MIT */
/* moved: DIR/moved.json, which marks a directory whose context was moved into a database:
 *
 *     {"moved-to": "PATH", "identity": "HEX", "next-to-send": N, "completed": true}
 *
 * Such a directory must not be used. */
#ifndef NACRE_STORE_DIRECTORY_MOVED_H
#define NACRE_STORE_DIRECTORY_MOVED_H

#include "store/file/files.h"

enum { NACRE__MOVED_IDENTITY = 32 /* hex digits of the identity of the database */ };

typedef struct nacre__moved {
    bool found, whole, completed;
    char to[200]; /* its path at that time, for error texts; "?": unknown */
    char identity[NACRE__MOVED_IDENTITY + 1];
    uint64_t next_to_send; /* when the move began */
} nacre__moved;

/* nacre__moved_read reads it; a missing file is no error.
 * NACRE_OK; NACRE_ERR_BAD_CONTEXT (malformed); NACRE_ERR_FILE; NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre__moved_read(nacre__moved *moved, const nacre__dirfd *dirfd, nacre_detail *why);

/* nacre__moved_write replaces it. `to` is for messages only; omitted if it is not valid in JSON.
 * NACRE_OK: durable; NACRE_ERR_FILE; NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre__moved_write(const nacre__dirfd *dirfd, const char *to, const char *identity,
                                            uint64_t next, bool completed, nacre_detail *why);

/* nacre__moved_check refuses a directory that has the file, well-formed or not. Errors as nacre__moved_read. */
NACRE_MUST_USE nacre_err nacre__moved_check(const nacre__dirfd *dirfd, nacre_detail *why);

#endif
