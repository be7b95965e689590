/* SPDX-License-Identifier: MIT */
/* state_file: sequence.json of either layout as a file: which one it is, where, and which generation.
 *
 * A state in use says so in one member that other programs pass over, "nacre": {"born": "FILE@DIRECTORY#GENERATION"}: the
 * file that it was written to and the directory that this is in (file_identity.h), and how often a state was written (generation.h).
 * Each part may be missing where it is not known. The directory tells a snapshot of hard links that is put back in its
 * place, whose files are the old ones. A state without the member is another program's, or was not used yet. */
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
    nacre__generation count; /* of DIR/lock, before sequence.json was read: without the lock a writer may be at work */
    bool touched;            /* linked, renamed or changed after it was written */
} nacre__state_text;

/* nacre__state_text_read: errors as nacre__file_read. Free `file`. */
NACRE_MUST_USE nacre_err nacre__state_text_read(nacre__state_text *text, const nacre__dirfd *dirfd, size_t max,
                                                nacre_detail *why);

/* Whether the state is a copy, or an old one. `generation` gets what it names, or 0. */
bool nacre__state_is_elsewhere(const nacre__state_text *text, const nacre__json *root, uint64_t *generation);

/* ---- Writing ---- */

/* nacre__state_begin makes the temporary file; `mark` is what its text says as "born", or "". `writer` is NULL for a state
 * that is not in use: it may still be carried to where it will be. Then either nacre__state_commit or nacre__file_abandon.
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
