/* SPDX-License-Identifier: MIT */
/* serve_files: a directory's files. serve_walk.c finds them, serve_file.c and serve_directory.c read them, serve_write.c changes
 * them; serve_files.c has the requests. */
#ifndef NACRE_TOOL_SERVE_FILES_H
#define NACRE_TOOL_SERVE_FILES_H

#include "serve.h"

#include <sys/stat.h>

enum { SERVE_ETAG_LEN = 8, SERVE_FORMAT_TEXT = 0, SERVE_FORMAT_LINKS = 40, SERVE_FORMAT_OCTETS = 42 };

/* A name that may be served: no '/', no NUL, no leading dot, not empty. */
bool serve_name(char name[256], nacre_bytes segment);

/* Files that are never served, listed or written because they may hold keys (serve_private.c): by name, as an open file, and as
 * the regular file of that name in a directory. */
bool serve_is_private_name(const serve_root *root, const char *name);
bool serve_is_private(const serve_root *root, int fd, const struct stat *st);
bool serve_is_private_file(const serve_root *root, int dir, const char *name);

/* Temporary file names: this and 16 hex digits. serve_sweep removes those that no process is writing. */
#define SERVE_TEMPORARY ".nacre-"
void serve_sweep(int root);

/* Opens the target of the Uri-Path options; -1 with errno. A last empty segment ("/dir/") is ignored. `last` becomes the last
 * name, "" for the root itself. */
int serve_walk(const serve_root *root, nacre_bytes options, struct stat *st, char last[256]);

/* The same for the first `num` segments. */
int serve_walk_some(const serve_root *root, nacre_bytes options, int num, struct stat *st);

/* Opens a regular file or a directory in `at`, if it may be served; -1 with errno. */
int serve_open_step(const serve_root *root, int at, const char *name, struct stat *st);

/* The number of Uri-Path options. */
int serve_num_segments(nacre_bytes options);

/* Opens the directory of all Uri-Path options but the last, and sets `name` to the last; -1 with errno. */
int serve_walk_to_parent(const serve_root *root, nacre_bytes options, char name[256]);

/* The Content-Format of a file, from the extension of its name. */
unsigned serve_format_of(const char *name);
/* The extension for a Content-Format; "": without extension, NULL: there is none. */
const char *serve_ending_of(uint64_t format);

/* The entity tag of a file, from its identity, size and times. */
void serve_etag(const serve_root *root, uint8_t etag[SERVE_ETAG_LEN], const struct stat *st);
/* Whether an ETag option has that tag (RFC 7252 5.10.6.2). */
bool serve_has_etag(nacre_bytes options, const uint8_t etag[SERVE_ETAG_LEN]);

/* A name escaped as a URI path segment (RFC 3986 3.3), as nacre_path_text writes it. */
void serve_escape(char segment[3 * 256], const char *name);

/* The names in a directory that do not begin with a dot, sorted bytewise; false with errno when it cannot be read.
 * serve_names_free frees them. */
typedef struct serve_names {
    char **name;
    size_t num;
} serve_names;
bool serve_names_read(serve_names *names, int dir);
void serve_names_free(serve_names *names);

/* serve_watch_begin: until serve_watch_end, observers of the request's path are notified of changes of `name` in the
 * directory of the first `num` segments, or of its list (`name` ""). NULL: it cannot be watched. If the path now has another
 * file or directory than before, the watch moves to that. */
typedef struct serve_watch serve_watch;
serve_watch *serve_watch_begin(serve_watches *watches, const serve_root *root, const nacre_request *request, int num,
                               const char *name);
void serve_watch_end(void *watch);
/* Whether the path is observed as a file but is now a directory, or the reverse. */
bool serve_watch_has_other(serve_watches *watches, const char *path, bool is_directory);

/* A directory's list, reference counted. Each function that returns one adds a reference; serve_list_release drops it. */
typedef struct serve_list {
    serve_lists *lists; /* that account for its bytes, or NULL */
    unsigned uses, format;
    char *path, *bytes; /* malloc'd */
    size_t len;
    uint8_t etag[SERVE_ETAG_LEN];
} serve_list;
void serve_list_release(void *user); /* a serve_list */

/* The list that the request's later block belongs to; NULL: none is kept. */
serve_list *serve_lists_find(serve_lists *lists, const nacre_request *request, unsigned format, uint64_t now);
/* Keeps a list that passed serve_lists_fits for the request's later blocks; returns it, or an equal list in its place. */
serve_list *serve_lists_keep(serve_lists *lists, const nacre_request *request, serve_list *list, uint64_t now);
bool serve_lists_fits(size_t len);

/* The response to a GET of an open file, which takes ownership of `fd`, or of an open directory. */
void serve_respond_file(serve_root *root, int fd, const struct stat *st, const char *name, const nacre_request *request,
                        nacre_response *response);
void serve_respond_directory(const serve_root *root, int fd, const nacre_request *request, nacre_response *response);

/* Whether `method` is PUT, POST or DELETE, and enabled. */
bool serve_writes(const serve_root *root, uint8_t method);
void serve_write(serve_root *root, const nacre_request *request, nacre_response *response);
void serve_delete(serve_root *root, const nacre_request *request, nacre_response *response);

/* POST: opens the directory and chooses the `name` of the new file; -1 with the error, or with code 0 and errno.
 * serve_post_location adds its location. */
int serve_post_begin(const serve_root *root, nacre_bytes options, char name[256], nacre_upload_error *why);
void serve_post_location(nacre_options *out, nacre_bytes options, const char *name);

/* Responds 4.04, or 5.00 when errno reports a local failure. */
void serve_not_there(nacre_response *response);

#endif
