/* SPDX-License-Identifier: MIT */
/* nacre plugtest-server, plugtest-client: the public OSCORE interop tests. They run nacre-plugtest, a separate program, from
 * the directory of this one after a build and from libexec when installed. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

/* The directory of this program; if the system does not report it, that of installed programs. */
static void program_directory(char path[PATH_MAX])
{
    const ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
    path[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(path, '/');
    if (slash != NULL) *slash = '\0';
    else (void)snprintf(path, PATH_MAX, "%s", NACRE_BIN_DIR);
}

/* Returns, with errno, only when there is no such program. */
static void run(const char *directory, const char *program, char **argv)
{
    char path[2 * PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", directory, program);
    (void)execv(path, argv);
}

int tool_plugtest(int argc, char **argv)
{
    char directory[PATH_MAX], program[] = "nacre-plugtest";
    char **arguments = calloc((size_t)argc + 2, sizeof *arguments);
    if (arguments == NULL) return tool_fail(argv[0], NACRE_ERR_NO_MEMORY, "out of memory");
    arguments[0] = program;
    memcpy(arguments + 1, argv, (size_t)argc * sizeof *argv);
    program_directory(directory);
    run(directory, program, arguments);
    if (errno == ENOENT) run(directory, NACRE_LIBEXEC "/nacre-plugtest", arguments);
    free(arguments);
    return tool_fail(argv[0], NACRE_ERR_FILE, "cannot run %.200s/%s: %s; it is built and installed with nacre",
                     directory, program, strerror(errno));
}
