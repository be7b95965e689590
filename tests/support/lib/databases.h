/* SPDX-License-Identifier: MIT */
/* databases: SQLite databases of the contexts of fleet.h, with ids from 1 on. */
#ifndef TEST_DATABASES_H
#define TEST_DATABASES_H

#include <nacre/sqlite.h>

#include "fleet.h"

/* A source for nacre_sqlite_add; `user` points to a size_t, the index of the first one. */
nacre_err db_source(void *user, nacre_sqlite_context *context, size_t index, nacre_detail *why);
/* A source of copies of one context; `user` points to it. */
nacre_err db_given(void *user, nacre_sqlite_context *context, size_t index, nacre_detail *why);

void db_make(const char *path, size_t num); /* with contexts 0 to num - 1, closed */
nacre_sqlite *db_open(const char *path);    /* must succeed */
nacre_sqlite *db_open_with(const char *path, const nacre_sqlite_config *config);
void db_close(nacre_sqlite *db);                                        /* must succeed */
nacre_context *db_load(nacre_sqlite *db, int64_t id);                   /* must be there */
nacre_sqlite_context db_row(nacre_sqlite *db, int64_t id);              /* also an ended one */
nacre_context *db_peer(int64_t id);                                     /* of context `id`, volatile */
void db_expect_open(const char *path, nacre_err err, const char *text); /* fails so, and its text has `text` */

/* The context sends `num` requests, as stored; gives the last number. */
uint64_t db_send(nacre_context *ctx, nacre_context *peer, unsigned num);
void db_sql(const char *path, const char *text); /* runs text by SQLite itself, as another program */

/* db_in_child runs `life` in a process that then is killed; its result must be 0. */
void db_in_child(int (*life)(void *user), void *user);

#endif
