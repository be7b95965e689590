/* SPDX-License-Identifier: MIT */
/* serve_told: resources whose requests are printed, and whose data is used by one thread at a time. */
#ifndef NACRE_TOOL_SERVE_TOLD_H
#define NACRE_TOOL_SERVE_TOLD_H

#include "tool.h"

#include <pthread.h>
#include <stdatomic.h>

/* A resource whose requests are printed on stderr with -v. */
typedef struct serve_told {
    const char *path;
    unsigned flags;
    nacre_handler handler;
    void *user;
    nacre_upload_handler on_upload;
    const nacre_link *link;
    bool
        is_shared; /* its data must be used by one thread at a time: `lock` is held until the response is handed over */
    const atomic_bool *verbose; /* whether requests are printed; it may change */
    pthread_mutex_t lock;
} serve_told;

/* serve_told_add adds the resources, which are borrowed, to the server. Errors as nacre_server_add_resource. */
NACRE_MUST_USE nacre_err serve_told_add(nacre_server *server, serve_told *resources, size_t num,
                                        const atomic_bool *verbose);
/* serve_told_line prints the line of one request. */
void serve_told_line(const nacre_request *request, uint8_t code);

#endif
