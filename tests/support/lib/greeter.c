/* SPDX-License-Identifier: MIT */
/* greeter: three resources that describe the request's sender. */
#include "greeter.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

void greeter_hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    (void)request;
    nacre_response_text(response, NACRE_CONTENT, "Hello World!");
}

static void name_peer(void *user, const nacre_request *request, nacre_response *response)
{
    char text[64], id[2 * NACRE_MAX_ID + 1] = "nobody";
    (void)user;
    if (request->context != NULL) nacre_hex_encode(id, nacre_context_recipient_id(request->context));
    (void)snprintf(text, sizeof text, "%s %zu", id, request->message->payload.len);
    nacre_response_text(response, NACRE_CONTENT, text);
}

typedef struct wanted {
    const char *const *dirs;
} wanted;

static void fill(nacre_server *server, void *user)
{
    static const nacre_resource resources[] = {
        { .path = "/hello", .handler = greeter_hello },
        { .path = "/who", .handler = name_peer },
        { .path = "/open", .handler = name_peer, .flags = NACRE_RESOURCE_PLAIN }
    };
    const char *const *dirs = ((const wanted *)user)->dirs;
    nacre_detail why = { { 0 } };
    for (size_t i = 0; dirs[i] != NULL; i++) {
        if (nacre_server_add_context(server, dirs[i], &why) == NACRE_OK) continue;
        fprintf(stderr, "server: %s\n", why.text);
        exit(2);
    }
    for (size_t i = 0; i < COUNT(resources); i++)
        if (nacre_server_add_resource(server, &resources[i]) != NACRE_OK) exit(3);
}

served greeter_start(const char *bind, const char *const *dirs)
{
    wanted w = { dirs };
    return served_start(bind, fill, &w);
}

served greeter_start_one(const char *bind, const char *dir)
{
    const char *const dirs[] = { dir, NULL };
    return greeter_start(bind, dirs);
}
