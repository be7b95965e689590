/* SPDX-License-Identifier: MIT */
/* serve_resource: see serve_resource.h. */
#include "serve_resource.h"
#include "serve_log.h"

#include <stdio.h>

void serve_resource_log(const nacre_request *request, uint8_t code)
{
    char peer[72], ours[2 * NACRE_MAX_ID + 1] = "", theirs[2 * NACRE_MAX_ID + 1] = "", method[5], response[5];
    char line[1024];
    nacre_address_text(request->peer, peer);
    if (request->context != NULL) {
        nacre_hex_encode(ours, nacre_context_sender_id(request->context));
        nacre_hex_encode(theirs, nacre_context_recipient_id(request->context));
    }
    const serve_field fields[] = { { "peer", peer },
                                   { "recipient_id", theirs },
                                   { "sender_id", ours },
                                   { "method", nacre_code_name(request->message->code, method) },
                                   { "path", request->path },
                                   { "response", nacre_code_name(code, response) },
                                   { NULL, NULL } };
    (void)snprintf(line, sizeof line, "%s recipient-id '%s' sender-id '%s': %s %s -> %s", peer, theirs, ours,
                   fields[3].value, request->path, fields[5].value);
    serve_log_request(line, fields);
}

/* Held by this thread from the handler of a shared resource until its response is handed over, because the response may point
 * into the handler's data. */
static _Thread_local struct {
    pthread_mutex_t *lock;
    void (*done)(void *user); /* the handler's callback */
} holding;

static void unlock_after(void *user)
{
    if (holding.done != NULL) holding.done(user);
    (void)pthread_mutex_unlock(holding.lock);
}

static void handle(void *user, const nacre_request *request, nacre_response *response)
{
    serve_resource *resource = user;
    if (resource->is_shared) (void)pthread_mutex_lock(&resource->lock);
    resource->handler(resource->user, request, response);
    if (resource->is_shared) {
        holding.lock = &resource->lock;
        holding.done = response->done;
        response->done = unlock_after;
    }
    if (atomic_load_explicit(resource->verbose, memory_order_relaxed)) serve_resource_log(request, response->code);
}

static void handle_upload(void *user, const nacre_request *request, nacre_upload *upload)
{
    serve_resource *resource = user;
    (void)pthread_mutex_lock(&resource->lock);
    resource->on_upload(resource->user, request, upload);
    (void)pthread_mutex_unlock(&resource->lock);
    if (upload->code != 0 && atomic_load_explicit(resource->verbose, memory_order_relaxed))
        serve_resource_log(request, upload->code);
}

nacre_err serve_resource_add(nacre_server *server, serve_resource *resources, size_t num, const atomic_bool *verbose)
{
    for (size_t i = 0; i < num; i++) {
        resources[i].verbose = verbose;
        (void)pthread_mutex_init(&resources[i].lock, NULL);
        nacre_resource resource = { .path = resources[i].path,
                                    .handler = handle,
                                    .user = &resources[i],
                                    .flags = resources[i].flags,
                                    .link = resources[i].link,
                                    .on_upload = resources[i].on_upload != NULL ? handle_upload : NULL };
        nacre_err err = nacre_server_add_resource(server, &resource);
        if (err != NACRE_OK) return err;
    }
    return NACRE_OK;
}
