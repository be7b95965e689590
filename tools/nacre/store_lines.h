/* SPDX-License-Identifier: MIT */
/* store_lines: lines on stderr about failing stores: one when a failure begins and one when it ends. */
#ifndef NACRE_TOOL_STORE_LINES_H
#define NACRE_TOOL_STORE_LINES_H

#include "tool.h"

/* Initialize to zero, with the subcommand set. */
typedef struct store_lines {
    const char *subcommand;
    void (*write)(bool works, const char *text); /* instead of a line on stderr; may be NULL */
    uint64_t said_at;                            /* ms: the last line about a failure that begins or lasts; 0: none */
    size_t num_said;                             /* contexts in that line; 0: no failure is printed as open */
    bool keeps;                                  /* nothing is printed, … */
    nacre_detail kept;                           /* … the text of the first failure is kept here */
} store_lines;

/* store_lines_tell is a nacre_on_store with a store_lines as its user. At most one line in five seconds reports failing stores,
 * with the number of contexts; recovery is reported once for each such line. */
void store_lines_tell(void *user, const nacre_store_report *report);

#endif
