/* SPDX-License-Identifier: MIT */
/* trace_server CONTEXT_DIR ADDRESS: counts the function entries of a warm GET between the return of recvmmsg and the
 * call of the handler: calls, distinct functions and files (scripts/trace.sh). */
#include <nacre/nacre.h>

#include <stdio.h>
#include <stdlib.h>

#define SKIP __attribute__((no_instrument_function))
enum { MOST = 4096 };
static void *entered[MOST];
static unsigned num_entered, num_requests;
static bool counting;

SKIP void __cyg_profile_func_enter(void *function, void *caller);
SKIP void __cyg_profile_func_exit(void *function, void *caller);
SKIP int __real_recvmmsg(int fd, void *messages, unsigned num, int flags, void *timeout);
SKIP int __wrap_recvmmsg(int fd, void *messages, unsigned num, int flags, void *timeout);

void __cyg_profile_func_enter(void *function, void *caller)
{
    (void)caller;
    if (counting && num_entered < MOST) entered[num_entered++] = function;
}

void __cyg_profile_func_exit(void *function, void *caller)
{
    (void)function, (void)caller;
}

int __wrap_recvmmsg(int fd, void *messages, unsigned num, int flags, void *timeout)
{
    const int got = __real_recvmmsg(fd, messages, num, flags, timeout);
    if (got > 0) {
        num_entered = 0;
        counting = true;
    }
    return got;
}

SKIP static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    counting = false;
    nacre_response_text(response, NACRE_CONTENT, "Hello World!");
    if (++num_requests < 3) return; /* warm */
    for (unsigned i = 0; i < num_entered; i++) printf("%p\n", entered[i]);
    exit(0);
}

SKIP int main(int argc, char **argv)
{
    static const nacre_resource resource = { .path = "/hello", .handler = hello };
    nacre_detail why;
    nacre_server *server;
    if (argc != 3 || nacre_server_open(&server, argv[2], &why) != NACRE_OK ||
        nacre_server_add_context(server, argv[1], &why) != NACRE_OK ||
        nacre_server_add_resource(server, &resource) != NACRE_OK || nacre_server_run(server, &why) != NACRE_OK)
        fprintf(stderr, "trace_server: %s\n", why.text);
    return 1;
}
