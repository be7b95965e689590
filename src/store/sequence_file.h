/* SPDX-License-Identifier: MIT */
/* sequence_file: sequence.json, the state of a context:
 *
 *     {"next-to-send": N, "received": {"index": I, "bitfield": B}}     or     "received": "unknown"
 *
 * Numbers below N may have been used; bit i of B says that I + i was seen. */
#ifndef NACRE_STORE_SEQUENCE_FILE_H
#define NACRE_STORE_SEQUENCE_FILE_H

#include "store/files.h"

typedef struct nacre__sequence {
    uint64_t next_to_send; /* at most NACRE_SEQ_MAX + 1: all numbers are used */
    bool window_known;
    uint64_t window_index;
    uint8_t window_bits[NACRE_REPLAY_MAX / 8];
} nacre__sequence;

bool nacre__sequence_equal(const nacre__sequence *a, const nacre__sequence *b);

/* nacre__sequence_read reads the state for a replay window of that size. Without the file (`found` false) it is that of
 * new keys: nothing sent, nothing seen.
 * NACRE_OK, NACRE_ERR_BAD_CONTEXT, NACRE_ERR_FILE, NACRE_ERR_NO_MEMORY; `sequence` is unchanged on failure */
NACRE_MUST_USE nacre_err nacre__sequence_read(nacre__sequence *sequence, bool *found, const nacre__folder *folder,
                                              uint16_t window, nacre_detail *why);

/* nacre__sequence_members writes the state as members of a JSON object, without its braces. */
enum { NACRE__SEQUENCE_MAX_TEXT = 512 };
void nacre__sequence_members(char text[NACRE__SEQUENCE_MAX_TEXT], const nacre__sequence *sequence);

/* nacre__sequence_write returns as nacre__file_replace. */
NACRE_MUST_USE nacre_err nacre__sequence_write(const nacre__folder *folder, const nacre__sequence *sequence,
                                               bool *uncertain, nacre_detail *why);

#endif
