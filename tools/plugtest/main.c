/* SPDX-License-Identifier: MIT */
/* nacre-plugtest: both sides of the public OSCORE interop tests, a separate program. `nacre plugtest-server` and
 * `nacre plugtest-client` run it, so its errors carry those names. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "plugtest.h"

int main(int argc, char **argv)
{
    /* A closed reader, or a file above the size limit, is reported as a failed write, which has an exit code. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    if (argc > 1 && strcmp(argv[1], "plugtest-server") == 0) return plugtest_server_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "plugtest-client") == 0) return plugtest_client_main(argc - 1, argv + 1);
    fputs("nacre-plugtest: the first argument is plugtest-server or plugtest-client\n", stderr);
    return TOOL_USAGE;
}
