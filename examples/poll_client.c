/* SPDX-License-Identifier: MIT */
/* poll_client CONTEXT_DIR URI…: gets all resources at once, protected, from its own loop over poll(2), and prints each
 * as it arrives. */
#include <nacre/nacre.h>

#include <poll.h>
#include <stdio.h>

enum { MAX_FDS = 128 };

static int failures;

static void print_result(void *user, const nacre_client_result *result)
{
    const char *uri = user;
    if (result->err == NACRE_OK) {
        printf("%s: %.*s\n", uri, (int)result->reply->payload.len, (const char *)result->reply->payload.ptr);
        return;
    }
    fprintf(stderr, "%s: %s\n", uri, result->why);
    failures++;
}

/* A real program adds its other descriptors and timers here. */
static void wait_for(nacre_client *client)
{
    nacre_fd wanted[MAX_FDS];
    struct pollfd fds[MAX_FDS];
    size_t num = nacre_client_fds(client, wanted, MAX_FDS);
    if (num > MAX_FDS) num = MAX_FDS;
    for (size_t i = 0; i < num; i++) {
        int events = (wanted[i].readable ? POLLIN : 0) | (wanted[i].writable ? POLLOUT : 0);
        fds[i] = (struct pollfd){ .fd = wanted[i].fd, .events = (short)events };
    }
    uint64_t now = nacre_clock_ms(), deadline = nacre_client_deadline(client);
    uint64_t left = deadline > now ? deadline - now : 0;
    (void)poll(fds, (nfds_t)num, left < 60000 ? (int)left : 60000);
}

static nacre_err get_all(nacre_client *client, char **uris, int num, nacre_detail *why)
{
    nacre_err err = NACRE_OK;
    for (int i = 0; err == NACRE_OK && i < num; i++) {
        nacre_client_request_config request = nacre_client_request_config_default();
        request.uri = request.user = uris[i];
        request.on_done = print_result;
        err = nacre_client_start(client, NULL, &request, why);
    }
    while (err == NACRE_OK && nacre_client_num_in_flight(client) > 0) {
        wait_for(client);
        err = nacre_client_step(client, 0, why);
    }
    return err;
}

static int fail(const nacre_detail *why)
{
    fprintf(stderr, "poll_client: %s\n", why->text);
    return 1;
}

int main(int argc, char **argv)
{
    nacre_detail why = { { 0 } };
    nacre_client *client;
    if (argc < 3) return fprintf(stderr, "usage: poll_client CONTEXT_DIR URI...\n"), 2;
    nacre_client_options options = { .context_dir = argv[1] };
    if (nacre_client_open(&client, &options, &why) != NACRE_OK) return fail(&why);
    nacre_err err = get_all(client, argv + 2, argc - 2, &why);
    int result = err == NACRE_OK ? failures != 0 : fail(&why);
    return nacre_client_close(client, &why) == NACRE_OK ? result : fail(&why);
}
