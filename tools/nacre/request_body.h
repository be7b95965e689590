/* SPDX-License-Identifier: MIT */
/* request_body: where the payload of a request comes from, where that of its answer goes, and how far they are. */
#ifndef NACRE_TOOL_REQUEST_BODY_H
#define NACRE_TOOL_REQUEST_BODY_H

#include "tool.h"

enum { REQUEST_MAX_BODY = 256 * 1024 * 1024 }; /* bytes held in memory: from a pipe, or for stdout */

/* The payload: in memory, or a regular file that is read where it is wanted. */
typedef struct request_payload {
    nacre_bytes bytes;
    nacre_source source; /* its user is this struct */
    const char *path;
    uint8_t *memory;
    size_t cap;
    int fd;
} request_payload;

/* `text` is the value of --payload, `file` that of --payload-file; both may be NULL. TOOL_OK, or the exit code, with a line
 * on stderr; to be closed when it is TOOL_OK. */
int request_payload_open(request_payload *payload, const char *command, const char *text, const char *file);
void request_payload_close(request_payload *payload);
nacre_source request_payload_source(request_payload *payload); /* of bytes in memory too */

/* The file that --output names: written beside it, and put in its place when all is there, unless it is no regular file. */
typedef struct request_output {
    const char *command, *path; /* path NULL: no file */
    char temporary[4096];       /* "": written in place */
    char target[4096];          /* what it is to replace: behind all links, which stay */
    int fd;
} request_output;
int request_output_open(request_output *output, const char *command, const char *path);
nacre_err request_output_write(void *user, uint64_t offset, nacre_bytes piece, uint64_t total);
int request_output_keep(request_output *output);
void request_output_close(request_output *output);

/* A line on the terminal for bodies that take long: nacre_client_options.on_progress. request_progress_end takes it away. */
void request_progress(void *user, bool outgoing, uint64_t done, uint64_t total);
void request_progress_end(void);

#endif
