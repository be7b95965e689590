/* SPDX-License-Identifier: MIT */
/* request_body: source of a request's payload, destination of its response's, and their progress. */
#ifndef NACRE_TOOL_REQUEST_BODY_H
#define NACRE_TOOL_REQUEST_BODY_H

#include "tool.h"

enum { REQUEST_MAX_BODY = 256 * 1024 * 1024 }; /* bytes held in memory, from a pipe or for stdout */

/* The payload: in memory, or a regular file that is read as needed. */
typedef struct request_payload {
    nacre_bytes bytes;
    nacre_source source; /* `user` is this struct */
    const char *path;
    uint8_t *memory;
    size_t cap;
    int fd;
} request_payload;

/* `text` is the value of --payload, `file` that of --payload-file; both may be NULL. TOOL_OK: close it afterwards; otherwise
 * the exit code, with a line on stderr. */
int request_payload_open(request_payload *payload, const char *command, const char *text, const char *file);
void request_payload_close(request_payload *payload);
nacre_source request_payload_source(request_payload *payload); /* also for bytes in memory */

/* The file of --output: a regular file is written under a temporary name beside it and renamed when complete. */
typedef struct request_output {
    const char *command, *path; /* path NULL: no file */
    char temporary[4096];       /* "": written in place */
    char target[4096];          /* file to replace: all symbolic links resolved */
    int fd;
} request_output;
int request_output_open(request_output *output, const char *command, const char *path);
nacre_err request_output_write(void *user, uint64_t offset, nacre_bytes piece, uint64_t total);
int request_output_keep(request_output *output);
void request_output_close(request_output *output);

/* Progress line on the terminal for long bodies: nacre_client_options.on_progress. request_progress_end erases it. */
void request_progress(void *user, bool outgoing, uint64_t done, uint64_t total);
void request_progress_end(void);

#endif
