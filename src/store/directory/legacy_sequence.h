/* SPDX-License-Identifier: MIT */
/* legacy_sequence: sequence.json of the older layout, which both sides of a context may share:
 *
 *     {"used": {"<sender id>": N}, "seen": {"<recipient id>": [-1, 0, 1]}}
 *
 * IDs are in hex. Numbers below N may have been used, in spite of the name; all that "seen" lists was seen, and all below
 * the first of them. What the form cannot say stands in a member "nacre", which programs of its time pass over:
 *
 *     "nacre": {"born": "…", "received": {"<recipient id>": "unknown"}, "unused": ["<sender id>"]}
 *
 * A window that is unknown is also listed as [1099511627775], the last number there is: who only reads "seen" accepts
 * nothing at all. Read back, that list alone means unknown, too. "unused" names sides that have no entries because they
 * were never used; without it a missing entry is an error, for a program of that time keeps its own side's entries only,
 * and the numbers of the other side are lost with them. "born": see state_file.h. */
#ifndef NACRE_STORE_LEGACY_SEQUENCE_H
#define NACRE_STORE_LEGACY_SEQUENCE_H

#include "store/json/json.h"
#include "store/directory/sequence_file.h"
#include "store/json/text.h"

/* Whose state it is, and what stands beside it. */
typedef struct nacre__legacy_form {
    nacre_bytes sender_id, recipient_id;
    bool fresh;                       /* there was no file: neither side was ever used */
    const nacre__json *rest;          /* the file as it was read, for the entries of others; NULL: none */
    nacre__generation_writer *writer; /* as in nacre__sequence_write */
} nacre__legacy_form;

/* nacre__legacy_read is nacre__sequence_read for this layout. `rest` is the whole file, to be freed by the caller; all zero
 * when there is none, and on failure. */
NACRE_MUST_USE nacre_err nacre__legacy_read(nacre__sequence *sequence, nacre__json_doc *rest, bool *found,
                                            const nacre__dirfd *dirfd, nacre_bytes sender_id, nacre_bytes recipient_id,
                                            uint16_t window, nacre_detail *why);

/* nacre__legacy_put appends the members "used", "seen" and, where there is a need, "nacre". `mark` is that of the
 * nacre__new_state that they are for; "" leaves it out. */
void nacre__legacy_put(nacre__text *text, const nacre__sequence *sequence, const nacre__legacy_form *form,
                       const char *mark);

/* nacre__legacy_write returns as nacre__sequence_write. */
NACRE_MUST_USE nacre_err nacre__legacy_write(const nacre__dirfd *dirfd, const nacre__sequence *sequence,
                                             const nacre__legacy_form *form, bool *uncertain, nacre_detail *why);

#endif
