/* SPDX-License-Identifier: MIT */
/* suggest: what a mistyped word was perhaps meant to be. */
#ifndef NACRE_TOOL_SUGGEST_H
#define NACRE_TOOL_SUGGEST_H

#include <getopt.h>
#include <stddef.h>

/* tool_nearest gives the word of names[0 … num - 1] that `text` is closest to: one that it begins, or at most two changes of
 * a letter away. NULL: none. */
const char *tool_nearest(const char *text, const char *const *names, size_t num);

/* tool_bad_option says what is wrong with the option `given` that getopt_long has just answered with '?', and gives
 * TOOL_USAGE. `options` is getopt_long's table. */
int tool_bad_option(const char *subcommand, const char *given, const struct option *options);

#endif
