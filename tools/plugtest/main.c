/* SPDX-License-Identifier: MIT */
/* nacre-plugtest: the two sides of the public OSCORE interop tests, a program of its own. `nacre plugtest-server` and
 * `nacre plugtest-client` run it; so its errors name those. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "plugtest.h"

int main(int argc, char **argv)
{
    /* A reader that went away shows as a failed write, and a file above the limit too: both have an exit code. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    if (argc > 1 && strcmp(argv[1], "plugtest-server") == 0) return plugtest_server_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "plugtest-client") == 0) return plugtest_client_main(argc - 1, argv + 1);
    fputs("nacre-plugtest: the first argument is plugtest-server or plugtest-client\n", stderr);
    return TOOL_USAGE;
}
