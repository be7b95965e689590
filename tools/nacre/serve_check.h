/* SPDX-License-Identifier: MIT */
/* serve_check: nacre serve --check-config. */
#ifndef NACRE_TOOL_SERVE_CHECK_H
#define NACRE_TOOL_SERVE_CHECK_H

#include "serve_settings.h"

/* serve_check reads what the settings name, and locks and writes nothing: contexts, credentials, databases with their key, the
 * directory of files, addresses, equal keys, names in rights. One line on stderr for each problem. TOOL_OK: there is none, and
 * a line on stdout says so; TOOL_USAGE */
int serve_check(const serve_settings *s);

/* serve_check_file: the configuration file decides about access. False: other users can write it, SERVE_CHECK_OPEN. */
bool serve_check_file(const char *path);
#define SERVE_CHECK_OPEN "other users can write it: chmod go-w"

#endif
