/* SPDX-License-Identifier: MIT */
/* check_twins: contexts with equal keys among the paths given to nacre check (RFC 8613 3.3): for each path, the paths and
 * contexts that it shares a key with. */
#ifndef NACRE_TOOL_CHECK_TWINS_H
#define NACRE_TOOL_CHECK_TWINS_H

#include "store/directory/twins.h"
#include "tool.h"

typedef struct tool_twins {
    char *const *paths; /* borrowed */
    nacre__twin *found; /* in path order */
    size_t num_found;
} tool_twins;

/* tool_twins_collect reads directories and databases, without locks, and compares all contexts. Unreadable ones are left out,
 * since their own check reports them; so are contexts of databases whose secret is encrypted or unknown. NACRE_OK: free it with tool_twins_free; NACRE_ERR_NO_MEMORY, NACRE_ERR_CRYPTO. */
NACRE_MUST_USE nacre_err tool_twins_collect(tool_twins *twins, int num, char *const *paths, nacre_role role);
void tool_twins_free(tool_twins *twins);

/* tool_twins_next returns the findings of a path: start with *cursor = 0, until false. `is_certain` is false when the finding
 * depends on the roles that directories of the legacy layout are opened in. */
bool tool_twins_next(const tool_twins *twins, int path, size_t *cursor, bool *is_certain, nacre_detail *text);

/* tool_twins_is_mirror: an earlier path had the same finding from its side. `cursor` as after tool_twins_next. */
bool tool_twins_is_mirror(const tool_twins *twins, size_t cursor);

#endif
