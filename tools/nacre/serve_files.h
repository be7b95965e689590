/* SPDX-License-Identifier: MIT */
/* serve_files: a directory's files. serve_files.c finds and reads them, serve_write.c changes them. */
#ifndef NACRE_TOOL_SERVE_FILES_H
#define NACRE_TOOL_SERVE_FILES_H

#include "serve.h"

#include <sys/stat.h>

enum { SERVE_ETAG_LEN = 8, SERVE_FORMAT_OCTETS = 42 };

/* A name that may be served: no '/', no NUL, no leading dot, not empty. */
bool serve_name(char name[256], nacre_bytes segment);

/* What is never served, listed or written, for the keys in it (serve_private.c): by its name, as an open file, and as the
 * regular file of that name in a directory. */
bool serve_is_private_name(const serve_root *root, const char *name);
bool serve_is_private(const serve_root *root, int fd, const struct stat *st);
bool serve_is_private_file(const serve_root *root, int dir, const char *name);

/* Temporary files have this and 16 hex digits as their name. serve_sweep removes those that no process writes any more. */
#define SERVE_TEMPORARY ".nacre-"
void serve_sweep(int root);

/* What the Uri-Path options lead to, or -1 with errno. A last empty segment ("/dir/") is left out. `last` becomes the last
 * name, "" for the root itself. */
int serve_walk(const serve_root *root, nacre_bytes options, struct stat *st, char last[256]);

/* The same for the first `num` segments. */
int serve_walk_some(const serve_root *root, nacre_bytes options, int num, struct stat *st);

/* The directory that the Uri-Path options but the last lead to, and the last one as `name`; -1 with errno. */
int serve_walk_to_parent(const serve_root *root, nacre_bytes options, char name[256]);

/* The Content-Format of a file: what the ending of its name says. */
unsigned serve_format_of(const char *name);
/* The ending of names that says it; "": no ending, NULL: none says it. */
const char *serve_ending_of(uint64_t format);

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

/* serve_watch_begin: from now on, until serve_watch_end, the observers of the request's path are told of changes of `name` in the
 * directory that the first `num` segments lead to, or of its list ("" as name). NULL: it cannot be watched. It also watches
 * what has that path now in place of what had it before. */
typedef struct serve_watch serve_watch;
serve_watch *serve_watch_begin(serve_watches *watches, const serve_root *root, const nacre_request *request, int num,
                               const char *name);
void serve_watch_end(void *watch);
/* Whether the path is observed as a file where it is a directory now, or the other way round. */
bool serve_watch_has_other(serve_watches *watches, const char *path, bool is_directory);

/* A directory's list. Each call that gives one gives it once more: serve_list_release takes it back. */
typedef struct serve_list {
    serve_lists *lists; /* that count its bytes, or NULL */
    unsigned uses, format;
    char *path, *bytes; /* malloc'd */
    size_t len;
    uint8_t etag[SERVE_ETAG_LEN];
} serve_list;
void serve_list_release(void *user); /* a serve_list */

/* The list that the request asks for a later block of; NULL: none is kept. */
serve_list *serve_lists_find(serve_lists *lists, const nacre_request *request, unsigned format, uint64_t now);
/* Keeps a list, which serve_lists_fits, for the request's later blocks; gives it, or an equal one in its place. */
serve_list *serve_lists_keep(serve_lists *lists, const nacre_request *request, serve_list *list, uint64_t now);
bool serve_lists_fits(size_t len);

/* PUT and POST, and DELETE; whether it is one of them, and may be. */
bool serve_writes(const serve_root *root, uint8_t method);
void serve_write(serve_root *root, const nacre_request *request, nacre_response *response);
void serve_delete(serve_root *root, const nacre_request *request, nacre_response *response);

/* POST: the directory, and the `name` of a new file in it; -1 with the refusal, or with code 0 and errno. serve_post_location says where it is. */
int serve_post_begin(const serve_root *root, nacre_bytes options, char name[256], nacre_upload_error *why);
void serve_post_location(nacre_options *out, nacre_bytes options, const char *name);

/* Answers 4.04, or 5.00 when errno says that it is this machine's fault. */
void serve_not_there(nacre_response *response);

#endif
