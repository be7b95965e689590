/* SPDX-License-Identifier: MIT */
/* sequence_file: sequence.json, the state of a context:
 *
 *     {"next-to-send": N, "received": {"index": I, "bitfield": B}}     or     "received": "unknown"
 *
 * Numbers below N may have been used; bit i of B: number I + i was seen. The state of a context in use also names its file and
 * generation (state_file.h). */
#ifndef NACRE_STORE_SEQUENCE_FILE_H
#define NACRE_STORE_SEQUENCE_FILE_H

#include "store/directory/state_file.h"

typedef struct nacre__sequence {
    uint64_t next_to_send; /* at most NACRE_SEQ_MAX + 1: no number is left */
    bool window_known;
    uint64_t window_index;
    uint8_t window_bits[NACRE_REPLAY_MAX / 8];
    bool elsewhere;      /* read: the state is a copy or a restored old one */
    uint64_t generation; /* read: the generation it names; 0: none */
} nacre__sequence;

/* Whether next_to_send and window are equal. */
bool nacre__sequence_equal(const nacre__sequence *a, const nacre__sequence *b);

/* Whether nothing was sent and nothing seen: new keys. */
bool nacre__sequence_is_new(const nacre__sequence *sequence);

/* The state in `info`. */
nacre__sequence nacre__sequence_of(const nacre_directory_info *info);

/* nacre__sequence_read reads the state for a replay window of that size. If there is no file, `found` is false and the state is
 * that of new keys.
 * NACRE_OK, NACRE_ERR_BAD_CONTEXT, NACRE_ERR_FILE, NACRE_ERR_NO_MEMORY; `sequence` is unchanged on failure */
NACRE_MUST_USE nacre_err nacre__sequence_read(nacre__sequence *sequence, bool *found, const nacre__dirfd *dirfd,
                                              uint16_t window, nacre_detail *why);

/* nacre__sequence_members writes the state as members of a JSON object, without its braces. */
enum { NACRE__SEQUENCE_MAX_TEXT = 512 };
void nacre__sequence_members(char text[NACRE__SEQUENCE_MAX_TEXT], const nacre__sequence *sequence);

/* nacre__sequence_write_next returns as nacre__file_replace and nacre__generation_next. With a `writer` the state names its
 * file and generation, so a copy of it will be refused. Without, as in a new directory, it may still be copied to where it will
 * be used. */
NACRE_MUST_USE nacre_err nacre__sequence_write_next(const nacre__dirfd *dirfd, const nacre__sequence *sequence,
                                                    nacre__generation_writer *writer, bool *uncertain,
                                                    nacre_detail *why);

/* The same without a generation; `in_use`: the state names its file. */
NACRE_MUST_USE nacre_err nacre__sequence_write(const nacre__dirfd *dirfd, const nacre__sequence *sequence, bool in_use,
                                               bool *uncertain, nacre_detail *why);

#endif
