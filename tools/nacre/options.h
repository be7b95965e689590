/* SPDX-License-Identifier: MIT */
/* options: an option with a value is given once, because the value that counts would be a guess. */
#ifndef NACRE_TOOL_OPTIONS_H
#define NACRE_TOOL_OPTIONS_H

#include <getopt.h>

/* tool_options_once reads the options in `argv`, up to `-h` or one that getopt_long refuses, and sets `optind` and `opterr`
 * for the subcommand's own loop. argv[0] is the subcommand, `shorts` and `options` are that loop's; `repeatable` is the `val`
 * of the one option that may be repeated, or 0.
 * TOOL_OK     continue with the loop, which reports other errors
 * TOOL_USAGE  an option with a value is given twice; a line on stderr names it */
int tool_options_once(int argc, char **argv, const char *shorts, const struct option *options, int repeatable);

#endif
