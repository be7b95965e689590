/* SPDX-License-Identifier: MIT */
/* serve: the resources of nacre serve, and declarations they share. */
#ifndef NACRE_TOOL_SERVE_H
#define NACRE_TOOL_SERVE_H

#include "tool.h"

enum { SERVE_MAX_BODY = 1024 * 1024 };

/* The value of the demo's /store. */
typedef struct serve_value {
    nacre_server *server; /* notified of changes */
    bool is_set;
    nacre_bytes format; /* value of Content-Format, in format_bytes; absent: none */
    uint8_t format_bytes[2];
    uint8_t *bytes; /* malloc'd */
    size_t len;
} serve_value;

void serve_hello(void *user, const nacre_request *request, nacre_response *response);
void serve_time(void *user, const nacre_request *request, nacre_response *response);
void serve_echo(void *user, const nacre_request *request, nacre_response *response);
void serve_store(void *user, const nacre_request *request, nacre_response *response); /* user: a serve_value */
void serve_value_forget(serve_value *value);
bool serve_is_demo(const char *name); /* whether a demo resource has this name */

/* Regular files below a directory: never above it, never through a symbolic link, never a name that starts with a dot. */
typedef struct serve_watches serve_watches;
typedef struct serve_lists serve_lists; /* directory lists in transfer, in blocks */
serve_lists *serve_lists_open(void);    /* NULL: no memory */
void serve_lists_close(serve_lists *lists);
serve_watches *serve_watches_open(nacre_server *server); /* NULL: not available */
void serve_watches_close(serve_watches *watches);

typedef struct serve_root {
    serve_lists *lists;
    serve_watches *watches; /* NULL: changes are not observed */
    int fd;                 /* of the directory; -1 serves nothing */
    bool is_writable;
    uint64_t max_body;                        /* of an uploaded file; 0: no limit */
    const char *credentials, *database, *kek; /* files in use, which are not served; NULL: none */
    const char *config;                       /* likewise */
    bool has_demo;                            /* the demo resources are served too, and hide files of their names */
    nacre_crypto crypto;                      /* for entity tags */
} serve_root;

/* Whether a directory holds a security context: it has a file with one of the names of a context directory. */
bool serve_holds_context(int dir);
void serve_files(void *user, const nacre_request *request, nacre_response *response); /* user: a serve_root */
void serve_files_upload(void *user, const nacre_request *request, nacre_upload *upload);

/* serve_accepts responds 4.06 and returns false when the request asks for another Content-Format (RFC 7252 5.10.4). */
bool serve_accepts(const nacre_request *request, nacre_response *response, unsigned format);

#endif
