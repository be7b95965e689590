/* SPDX-License-Identifier: MIT */
/* fleet: shared by the commands of nacre fleet. */
#ifndef NACRE_TOOL_FLEET_H
#define NACRE_TOOL_FLEET_H

#include <nacre/sqlite.h>

#include "tool.h"

typedef struct fleet_args {
    const char *command, *path; /* the database */
    char *const *words;         /* the arguments after it */
    int num_words;
    uint8_t kek[NACRE_SQLITE_KEK]; /* wiped at the end */
    nacre_sqlite_config config;    /* with `kek`, if it is given */
    bool json, reveal, all;
    nacre_role role;
    const char *out, *name;
    const nacre_aead *aead;
    uint64_t count;
    const nacre_crypto *crypto;
} fleet_args;

/* The commands. Each is called with a permitted number of arguments, and returns the exit code. */
int fleet_create(fleet_args *a);
int fleet_add(fleet_args *a);
int fleet_keygen(fleet_args *a);
int fleet_list(fleet_args *a);
int fleet_show(fleet_args *a);
int fleet_stats(fleet_args *a);
int fleet_remove(fleet_args *a);
int fleet_revoke(fleet_args *a);
int fleet_import(fleet_args *a);
int fleet_export(fleet_args *a);
int fleet_check(fleet_args *a);
int fleet_adopt(fleet_args *a);

/* Prints a line on stdout. Names of files may have bytes that control a terminal: they become '?'. */
void fleet_say(const char *format, ...) NACRE_PRINTF(1, 2);

/* Opens the database, for reading only or not. TOOL_OK, or the exit code with a line on stderr. */
int fleet_open(nacre_sqlite **db, fleet_args *a, bool read_only);
/* Closes it; `code` is that of the command so far. */
int fleet_close(nacre_sqlite *db, int code);
/* Reads the id of a context in the database. TOOL_OK; TOOL_USAGE with a line on stderr */
int fleet_id(int64_t *id, const char *text);

#endif
