/* SPDX-License-Identifier: MIT */
/* serve_files: a directory's files. serve_files.c finds and reads them, serve_write.c changes them. */
#ifndef NACRE_TOOL_SERVE_FILES_H
#define NACRE_TOOL_SERVE_FILES_H

#include "serve.h"

#include <sys/stat.h>

enum { SERVE_ETAG_LEN = 8, SERVE_MAX_PATH = 1024 };

/* A name that may be served: no '/', no NUL, no leading dot, not empty. */
bool serve_name(char name[256], nacre_bytes segment);

/* Whether a file is a pack, whose secrets are not served, and which nobody writes over. */
bool serve_is_pack(int dir, const char *name);

/* What the Uri-Path options lead to, or -1 with errno. A last empty segment ("/dir/") is left out. `last` becomes the last
 * name, "" for the root itself. */
int serve_walk(int root, nacre_bytes options, struct stat *st, char last[256]);

/* The directory that the Uri-Path options but the last lead to, and the last one as `name`; -1 with errno. */
int serve_walk_to_parent(int root, nacre_bytes options, char name[256]);

/* The entity tag of a file: of its identity, size and times. */
void serve_etag(const serve_root *root, uint8_t etag[SERVE_ETAG_LEN], const struct stat *st);

/* A name as part of a URI's path (RFC 3986 3.3), as nacre_path_text writes it. */
void serve_escape(char segment[3 * 256], const char *name);

/* The names in a directory that do not begin with a dot, sorted by their bytes; false with errno when it cannot be read.
 * serve_names_free takes them back. */
typedef struct serve_names {
    char **name;
    size_t num;
} serve_names;
bool serve_names_read(serve_names *names, int dir);
void serve_names_free(serve_names *names);

/* serve_watches_add: from now on observers hear of changes in `dir`, which is served under `path` ("" for the root). */
void serve_watches_add(serve_watches *watches, int dir, const char *path);

/* PUT and DELETE. */
void serve_put(serve_root *root, const nacre_request *request, nacre_response *response);
void serve_delete(serve_root *root, const nacre_request *request, nacre_response *response);

/* Answers 4.04, or 5.00 when errno says that it is this machine's fault. */
void serve_not_there(nacre_response *response);

#endif
