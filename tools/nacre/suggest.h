/* SPDX-License-Identifier: MIT */
/* suggest: the likely meaning of a mistyped word. */
#ifndef NACRE_TOOL_SUGGEST_H
#define NACRE_TOOL_SUGGEST_H

#include <getopt.h>
#include <stddef.h>

/* tool_nearest returns the word of names[0 … num - 1] nearest to `text`: one that starts with it, or differs by at most two
 * letters. NULL: none. */
const char *tool_nearest(const char *text, const char *const *names, size_t num);

/* tool_bad_option prints what is wrong with the option `given`, for which getopt_long returned '?', and returns
 * TOOL_USAGE. `options` is getopt_long's table. */
int tool_bad_option(const char *subcommand, const char *given, const struct option *options);

#endif
