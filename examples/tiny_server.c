/* SPDX-License-Identifier: MIT */
#include <nacre/nacre.h>
#include <stdio.h>

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    nacre_response_text(response, NACRE_CONTENT, "Hello World!");
}

int main(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "[::1]:5683";
    nacre_server *server;
    nacre_detail why;
    nacre_resource resource = { .path = "/hello", .handler = hello };
    if (nacre_server_open(&server, address, &why) != NACRE_OK) return fprintf(stderr, "%s\n", why.text), 1;
    nacre_err err = nacre_server_add_context(server, "lamp", &why);
    if (err == NACRE_OK) err = nacre_server_add_resource(server, &resource);
    if (err == NACRE_OK) err = nacre_server_run(server, &why);
    if (err != NACRE_OK) fprintf(stderr, "%s\n", why.text);
    return nacre_server_close(server, &why) != NACRE_OK || err != NACRE_OK;
}
