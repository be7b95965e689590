/* SPDX-License-Identifier: MIT */
/* serve_contexts: the contexts that nacre serve accepts, from its settings. */
#ifndef NACRE_TOOL_SERVE_CONTEXTS_H
#define NACRE_TOOL_SERVE_CONTEXTS_H

#include "serve_settings.h"

/* serve_contexts_add adds all contexts of the settings. Errors as nacre_server_add_context and so on. */
NACRE_MUST_USE nacre_err serve_contexts_add(nacre_server *server, const serve_settings *a, nacre_detail *why);

/* serve_contexts_change goes over to the directories or credentials of `then`, while the server runs: others are added first, then those
 * that are not named any more are removed, and their states written. Directories are known by device and inode. On failure
 * nothing has changed, and `why` says what is wrong. Errors as nacre_server_replace_credentials. */
NACRE_MUST_USE nacre_err serve_contexts_change(nacre_server *server, const serve_settings *then, nacre_detail *why);

/* serve_contexts_tell_marks writes a warning for each place where copies would not be detected. */
void serve_contexts_tell_marks(const serve_settings *a);

#endif
