/* SPDX-License-Identifier: MIT */
/* server CONTEXT_DIR ADDRESS: serves /hello to peers that hold the other side of the context. */
#include <nacre/nacre.h>

#include <signal.h>
#include <stdio.h>

static nacre_server *server;

static void on_signal(int number)
{
    (void)number;
    nacre_server_stop(server);
}

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    if (request->message->code == NACRE_GET) nacre_response_text(response, NACRE_CONTENT, "Hello World!");
    else nacre_response_text(response, NACRE_METHOD_NOT_ALLOWED, "only GET");
}

static int fail(nacre_err err, const nacre_detail *why)
{
    if (err != NACRE_OK) fprintf(stderr, "server: %s: %s\n", nacre_err_text(err), why->text);
    return err != NACRE_OK;
}

int main(int argc, char **argv)
{
    static const nacre_resource resource = { .path = "/hello", .handler = hello };
    nacre_detail why = { { 0 } };

    if (argc != 3) return fprintf(stderr, "usage: server CONTEXT_DIR ADDRESS\n"), 2;
    nacre_err err = nacre_server_open(&server, argv[2], &why);
    if (err != NACRE_OK) return fail(err, &why);
    signal(SIGINT, on_signal); /* a clean end: the state is written back */
    signal(SIGTERM, on_signal);
    err = nacre_server_add_context(server, argv[1], &why);
    if (err == NACRE_OK) err = nacre_server_add_resource(server, &resource);
    if (err == NACRE_OK) err = nacre_server_run(server, &why);
    int result = fail(err, &why);
    return fail(nacre_server_close(server, &why), &why) | result;
}
