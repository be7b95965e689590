/* SPDX-License-Identifier: MIT */
/* legacy_sequence: sequence.json of the legacy layout, which both sides of a context may share:
 *
 *     {"used": {"<sender id>": N}, "seen": {"<recipient id>": [-1, 0, 1]}}
 *
 * IDs are in hex. In spite of its name, "used" is an upper bound: numbers below N may have been used. All numbers in "seen",
 * and all below the first of them, were seen. A member "nacre", ignored by older programs, holds what the form lacks:
 *
 *     "nacre": {"born": "…", "received": {"<recipient id>": "unknown"}, "unused": ["<sender id>"]}
 *
 *     "received"  the replay window is unknown. "seen" is then [1099511627775], the largest number, so that a program that
 *                 reads only "seen" accepts no request. That list alone also means unknown
 *     "unused"    sides without entries because they were never used. Any other missing entry is an error: older programs
 *                 keep only their own side's entries, so the other side's numbers are lost
 *     "born"      see state_file.h */
#ifndef NACRE_STORE_LEGACY_SEQUENCE_H
#define NACRE_STORE_LEGACY_SEQUENCE_H

#include "store/json/json.h"
#include "store/directory/sequence_file.h"
#include "store/json/text.h"

/* The side that the state belongs to, and what else is written with it. */
typedef struct nacre__legacy_form {
    nacre_bytes sender_id, recipient_id;
    bool fresh;                       /* there was no file: neither side was used */
    const nacre__json *rest;          /* the file as read, to preserve the entries of other IDs; NULL: none */
    nacre__generation_writer *writer; /* as in nacre__sequence_write */
} nacre__legacy_form;

/* nacre__legacy_read is nacre__sequence_read for this layout. `rest` is the whole file; the caller frees it. It is all zero if
 * there is no file, and on failure. */
NACRE_MUST_USE nacre_err nacre__legacy_read(nacre__sequence *sequence, nacre__json_doc *rest, bool *found,
                                            const nacre__dirfd *dirfd, nacre_bytes sender_id, nacre_bytes recipient_id,
                                            uint16_t window, nacre_detail *why);

/* nacre__legacy_put appends the members "used", "seen" and, if needed, "nacre". `mark` is that of the nacre__new_state being
 * written; "" omits it. */
void nacre__legacy_put(nacre__text *text, const nacre__sequence *sequence, const nacre__legacy_form *form,
                       const char *mark);

/* nacre__legacy_write returns as nacre__sequence_write. */
NACRE_MUST_USE nacre_err nacre__legacy_write(const nacre__dirfd *dirfd, const nacre__sequence *sequence,
                                             const nacre__legacy_form *form, bool *uncertain, nacre_detail *why);

#endif
