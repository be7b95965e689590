/* SPDX-License-Identifier: MIT */
/* sqlite_serve: what a server that loads contexts on demand needs beside nacre/sqlite.h. */
#ifndef NACRE_STORE_SQLITE_SERVE_H
#define NACRE_STORE_SQLITE_SERVE_H

#include <nacre/sqlite.h>

/* nacre__sqlite_data_version: a number that differs once another connection has changed the database. The common errors. */
NACRE_MUST_USE nacre_err nacre__sqlite_data_version(nacre_sqlite *db, uint64_t *version, nacre_detail *why);

/* nacre__sqlite_unload_these is nacre_sqlite_unload of many, with one sync. Those that are stopped are not written. */
NACRE_MUST_USE nacre_err nacre__sqlite_unload_these(nacre_sqlite *db, nacre_context *const *contexts, size_t num,
                                                    nacre_detail *why);

/* Whether a store is that of a context of a database; and of such a context, its memory in bytes, and its name, NULL-terminated, or
 * NULL. */
bool nacre__sqlite_has(const nacre_store *store);
size_t nacre__sqlite_size(const nacre_context *ctx);
const char *const *nacre__sqlite_claims(const nacre_context *ctx);

#endif
