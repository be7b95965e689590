/* SPDX-License-Identifier: MIT */
/* client CONTEXT_DIR URI: gets a resource, protected, and prints it. */
#include <nacre/nacre.h>

#include <stdio.h>

static void print_reply(const nacre_reply *reply)
{
    char buf[5];
    printf("%s: %.*s\n", nacre_code_name(reply->code, buf), (int)reply->payload.len, (const char *)reply->payload.ptr);
}

static int fail(const nacre_detail *why)
{
    fprintf(stderr, "client: %s\n", why->text);
    return 1;
}

int main(int argc, char **argv)
{
    nacre_detail why = { { 0 } };
    nacre_client *client;
    nacre_reply reply;

    if (argc != 3) return fprintf(stderr, "usage: client CONTEXT_DIR URI\n"), 2;
    nacre_client_options options = { .context_dir = argv[1] };
    if (nacre_client_open(&client, &options, &why) != NACRE_OK) return fail(&why);
    nacre_err err = nacre_client_request(client, &reply, NACRE_GET, argv[2], NULL, NACRE_ABSENT, &why);
    if (err == NACRE_OK) print_reply(&reply);
    int result = err == NACRE_OK ? 0 : fail(&why);
    return nacre_client_close(client, &why) == NACRE_OK ? result : fail(&why);
}
