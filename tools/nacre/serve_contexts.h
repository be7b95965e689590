/* SPDX-License-Identifier: MIT */
/* serve_contexts: the contexts that nacre serve accepts, from its settings. */
#ifndef NACRE_TOOL_SERVE_CONTEXTS_H
#define NACRE_TOOL_SERVE_CONTEXTS_H

#include "serve_settings.h"

/* serve_contexts_add adds all contexts of the settings. Errors as nacre_server_add_context and so on. */
NACRE_MUST_USE nacre_err serve_contexts_add(nacre_server *server, const serve_settings *a, nacre_detail *why);

/* serve_contexts_tell_marks writes a warning for each place where copies would not be detected. */
void serve_contexts_tell_marks(const serve_settings *a);

#endif
