/* SPDX-License-Identifier: MIT */
/* nacre observe: prints a resource's state and each change, one line each. */
#include "observe.h"

#include <stdio.h>

typedef struct printing {
    const observe_args *args;
    uint32_t num;
    bool failed;
} printing;

bool observe_print(const nacre_reply *reply)
{
    size_t len = reply->payload.len;
    bool ok = len == 0 || fwrite(reply->payload.ptr, 1, len, stdout) == len;
    return ok && putchar('\n') != EOF && fflush(stdout) == 0;
}

static bool print(void *user, const nacre_reply *reply)
{
    printing *p = user;
    p->failed = !observe_print(reply);
    p->num++;
    return !p->failed && (p->args->count == 0 || p->num < p->args->count);
}

static void tell_away(void *user, const char *why)
{
    (void)user;
    if (why == NULL) (void)tool_fail("observe", NACRE_OK, "the server is back");
    else (void)tool_fail("observe", NACRE_OK, "the server is away, waiting until it is back: %s", why);
}

static void tell_oversized(void *user, size_t len, size_t max)
{
    (void)user;
    (void)tool_fail(
        "observe", NACRE_OK,
        "a notification of %zu bytes is not shown, this endpoint takes %zu; ask in blocks (--block-size 512)", len,
        max);
}

nacre_err observe_run(const observe_args *args, nacre_client *client, nacre_reply *reply, const char *uri,
                      const nacre_options *options, uint32_t *num, bool *output_failed, nacre_detail *why)
{
    printing p = { .args = args };
    const nacre_observe_options how = { print, &p, args->duration_ms, tell_away, tell_oversized };
    nacre_client_request_config request = nacre_client_request_config_default();
    request.uri = uri;
    request.options = options;
    nacre_err err = nacre_client_observe(client, reply, &request, &how, why);
    *num = p.num;
    *output_failed = p.failed;
    return err;
}
