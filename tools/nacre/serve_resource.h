/* SPDX-License-Identifier: MIT */
/* serve_resource: resources whose requests may be logged, and whose data is used by one thread at a time. */
#ifndef NACRE_TOOL_SERVE_RESOURCE_H
#define NACRE_TOOL_SERVE_RESOURCE_H

#include "tool.h"

#include <pthread.h>
#include <stdatomic.h>

/* A resource whose requests are logged while *verbose is true (-v, or log.requests). */
typedef struct serve_resource {
    const char *path;
    unsigned flags;
    nacre_handler handler;
    void *user;
    nacre_upload_handler on_upload;
    const nacre_link *link;
    bool is_shared; /* one thread at a time uses its data: `lock` is held until the response is handed over */
    const atomic_bool *verbose; /* whether requests are logged; it may change */
    pthread_mutex_t lock;
} serve_resource;

/* serve_resource_add adds the resources, which are borrowed, to the server. Errors as nacre_server_add_resource. */
NACRE_MUST_USE nacre_err serve_resource_add(nacre_server *server, serve_resource *resources, size_t num,
                                            const atomic_bool *verbose);
/* serve_resource_log writes the line of one request. */
void serve_resource_log(const nacre_request *request, uint8_t code);

#endif
