/* SPDX-License-Identifier: MIT */
/* state_file: the mark in sequence.json of either layout that ties a state to its file, directory and generation.
 *
 * A state in use has a member that other programs ignore, "nacre": {"born": "FILE@DIRECTORY#GENERATION"}: the identities of the
 * file it was written to and of its directory (file_identity.h), and the number of writes (generation.h). Unknown parts are
 * omitted. The directory's identity detects a restored snapshot of hard links, whose files are the original ones. A state
 * without the member was written by another program or is unused. */
#ifndef NACRE_STORE_STATE_FILE_H
#define NACRE_STORE_STATE_FILE_H

#include "store/file/files.h"
#include "store/lock/generation.h"
#include "store/json/json.h"

enum { NACRE__MARK_TEXT = 2 * NACRE__FILE_IDENTITY_TEXT + 24 };

/* ---- Reading ---- */

typedef struct nacre__state_text {
    nacre__file file;
    bool found;
    char identity[NACRE__FILE_IDENTITY_TEXT], dir_identity[NACRE__FILE_IDENTITY_TEXT]; /* the file, and the directory */
    nacre__generation count; /* of DIR/lock; read before sequence.json: without the lock a writer may be active */
    bool touched;            /* linked, renamed or changed since it was written */
} nacre__state_text;

/* nacre__state_text_read: errors as nacre__file_read. Free `file`. */
NACRE_MUST_USE nacre_err nacre__state_text_read(nacre__state_text *text, const nacre__dirfd *dirfd, size_t max,
                                                nacre_detail *why);

/* Whether the state is a copy or outdated. `generation` gets the one it names, or 0. */
bool nacre__state_is_elsewhere(const nacre__state_text *text, const nacre__json *root, uint64_t *generation);

/* ---- Writing ---- */

/* nacre__state_begin creates the temporary file; `mark` is the value of "born" for its text, or "". `writer` is NULL for a
 * state not in use, which may still be copied to where it will be used. nacre__state_commit or nacre__file_abandon must follow.
 * Errors as nacre__file_begin, nacre__generation_next. */
typedef struct nacre__new_state {
    nacre__new_file file;
    nacre__generation_writer *writer;
    uint64_t generation;
    char mark[NACRE__MARK_TEXT];
} nacre__new_state;
NACRE_MUST_USE nacre_err nacre__state_begin(nacre__new_state *state, nacre__generation_writer *writer,
                                            const nacre__dirfd *dirfd, nacre_detail *why);

/* As nacre__file_commit; NACRE_OK: the generation is durable as well. */
NACRE_MUST_USE nacre_err nacre__state_commit(nacre__new_state *state, const char *text, bool *uncertain,
                                             nacre_detail *why);

#endif
