/* SPDX-License-Identifier: MIT */
/* sqlite_label: the name of a loaded context in messages. */
#ifndef NACRE_STORE_SQLITE_LABEL_H
#define NACRE_STORE_SQLITE_LABEL_H

#include <nacre/sqlite.h>

/* nacre__sqlite_label writes "PATH, context ID" for a context that nacre_sqlite_load has made. */
void nacre__sqlite_label(char *label, size_t size, const nacre_context *ctx);

#endif
