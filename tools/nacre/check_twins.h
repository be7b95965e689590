/* SPDX-License-Identifier: MIT */
/* check_twins: contexts with one key among all that nacre check was given (RFC 8613 3.3): for each path, what it shares with
 * which other one. */
#ifndef NACRE_TOOL_CHECK_TWINS_H
#define NACRE_TOOL_CHECK_TWINS_H

#include "store/directory/twins.h"
#include "tool.h"

typedef struct tool_twins {
    char *const *paths; /* borrowed */
    nacre__twin *found; /* in the order of the paths */
    size_t num_found;
} tool_twins;

/* tool_twins_collect reads directories and packs, without locks, and compares all contexts. What cannot be read is left out: its
 * own check says so. NACRE_OK: free it with tool_twins_free; NACRE_ERR_NO_MEMORY, NACRE_ERR_CRYPTO. */
NACRE_MUST_USE nacre_err tool_twins_collect(tool_twins *twins, int num, char *const *paths, nacre_role role);
void tool_twins_free(tool_twins *twins);

/* tool_twins_next says what the path of that number shares: start with *cursor = 0, until false. `is_certain` is false when it
 * depends on the roles that directories of the older layout are opened in. */
bool tool_twins_next(const tool_twins *twins, int path, size_t *cursor, bool *is_certain, nacre_detail *text);

/* tool_twins_is_mirror: an earlier path has said the same of the two, seen from there. `cursor` as after tool_twins_next. */
bool tool_twins_is_mirror(const tool_twins *twins, size_t cursor);

#endif
