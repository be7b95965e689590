/* SPDX-License-Identifier: MIT */
/* store_lines: what a subcommand says on stderr of stores that fail: one line when it begins and one when it ends. */
#ifndef NACRE_TOOL_STORE_LINES_H
#define NACRE_TOOL_STORE_LINES_H

#include "tool.h"

/* All zero but the subcommand is ready. */
typedef struct store_lines {
    const char *subcommand;
    uint64_t said_at;  /* ms: the last line that said it begins, or for how many contexts it goes on; 0: none */
    size_t num_said;   /* contexts in that line; 0: none is open */
    bool keeps;        /* nothing is printed: */
    nacre_detail kept; /* the text of the first failure is here */
} store_lines;

/* store_lines_tell is a nacre_on_store with a store_lines as its user. At most one line in five seconds says that stores fail,
 * and of how many contexts; that they work again is said once for each such line that was printed. */
void store_lines_tell(void *user, const nacre_store_report *report);

#endif
