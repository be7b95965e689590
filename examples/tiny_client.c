/* SPDX-License-Identifier: MIT */
#include <nacre/nacre.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char *uri = argc > 1 ? argv[1] : "coap://[::1]/hello";
    nacre_client *client;
    nacre_reply reply;
    nacre_detail why;
    nacre_client_options options = { .context_dir = "phone" };
    if (nacre_client_open(&client, &options, &why) != NACRE_OK) return fprintf(stderr, "%s\n", why.text), 1;
    nacre_err err = nacre_client_request(client, &reply, NACRE_GET, uri, NULL, NACRE_ABSENT, &why);
    if (err == NACRE_OK) printf("%.*s\n", (int)reply.payload.len, (const char *)reply.payload.ptr);
    if (err != NACRE_OK) fprintf(stderr, "%s\n", why.text);
    return nacre_client_close(client, &why) != NACRE_OK || err != NACRE_OK;
}
