/* SPDX-License-Identifier: MIT */
/* nacre: the command line. This file selects the subcommand; each has its own file. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "suggest.h"
#include "tool.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *arguments, *purpose; /* NULL: internal, not in the help; these come last */
} subcommands[] = {
    { "keygen", tool_keygen, "CLIENT_DIR SERVER_DIR", "make a fresh pair of context directories" },
    { "show", tool_show, "DIR", "show the content of a context directory" },
    { "check", tool_check, "DIR...", "check context directories for errors" },
    { "convert", tool_convert, "DIR --to LAYOUT", "rewrite a context directory in another layout" },
    { "adopt", tool_adopt, "DIR", "use a context directory that was moved or put back" },
    { "export", tool_export, "DIR --for PROGRAM", "print a context in the format of another program" },
    { "import", tool_import, "FILE DIR", "make a context directory from libcoap's configuration" },
    { "fleet", tool_fleet, "COMMAND DB ...", "keep many contexts in a database" },
    { "get", tool_request, "URI", "get a resource" },
    { "put", tool_request, "URI", "store a payload under a resource" },
    { "post", tool_request, "URI", "send a payload to a resource" },
    { "delete", tool_request, "URI", "remove a resource" },
    { "fetch", tool_request, "URI", "get a part of a resource" },
    { "observe", tool_request, "URI", "get a resource, and each change of it" },
    { "serve", tool_serve, "", "serve files and demo resources" },
    { "protect", tool_protect, "--context DIR [HEX]", "protect the bytes of one request" },
    { "unprotect", tool_unprotect, "--context DIR [HEX]", "verify and decrypt the bytes of one request" },
    { "bench", tool_bench, "", "measure what protection costs on this machine" },
    { "plugtest-server", tool_plugtest, NULL, NULL },
    { "plugtest-client", tool_plugtest, NULL, NULL },
};
enum { NUM_SUBCOMMANDS = sizeof subcommands / sizeof subcommands[0] };

static int help(void)
{
    printf("Usage: nacre SUBCOMMAND [OPTION]... [ARGUMENT]...\n"
           "OSCORE (RFC 8613): protected CoAP.\n\n");
    for (size_t i = 0; i < NUM_SUBCOMMANDS && subcommands[i].purpose != NULL; i++)
        printf("  nacre %-15s %-23s %s\n", subcommands[i].name, subcommands[i].arguments, subcommands[i].purpose);
    printf("\n  nacre SUBCOMMAND --help   options of a subcommand\n"
           "  nacre --version           version and cryptography library\n\n"
           "Exit codes: 0 done, 1 error response of the peer, 2 usage, 3 no response, 4 security failure, 5 local\n"
           "failure (file, lock, port, permission, bad context directory).\n");
    return tool_flush("help");
}

static int version(void)
{
    nacre_crypto crypto;
    nacre_err err = nacre_provider_open(&crypto);
    if (err != NACRE_OK) return tool_fail("--version", err, "%s", nacre_err_text(err));
    printf("nacre %s (%s)\n", nacre_version(), crypto.ops->name);
    nacre_provider_close(&crypto);
    return tool_flush("--version");
}

static int unknown_option(const char *name)
{
    static const char *const names[] = { "--help", "--version" };
    const char *near = tool_nearest(name, names, sizeof names / sizeof names[0]);
    if (near != NULL) return tool_usage(NULL, "unknown option %.60s: did you mean %s?", name, near);
    return tool_usage(NULL, "unknown option %.60s: here only --help and --version; others follow a subcommand", name);
}

static int unknown(const char *name)
{
    if (name[0] == '-') return unknown_option(name);
    char list[256] = "";
    const char *names[NUM_SUBCOMMANDS];
    for (size_t i = 0; i < NUM_SUBCOMMANDS; i++) names[i] = subcommands[i].name;
    const char *near = tool_nearest(name, names, NUM_SUBCOMMANDS);
    if (near != NULL) return tool_usage(NULL, "unknown subcommand \"%.60s\": did you mean %s?", name, near);
    for (size_t i = 0; i < NUM_SUBCOMMANDS && subcommands[i].purpose != NULL; i++) {
        size_t len = strlen(list);
        snprintf(list + len, sizeof list - len, " %s", subcommands[i].name);
    }
    return tool_usage(NULL, "unknown subcommand \"%.60s\"; it is one of%s", name, list);
}

static int run(const char *name, int argc, char **argv)
{
    for (size_t i = 0; i < NUM_SUBCOMMANDS; i++)
        if (strcmp(name, subcommands[i].name) == 0) return subcommands[i].run(argc, argv);
    return unknown(name);
}

/* "nacre help show" means "nacre show --help". */
static int help_about(const char *name)
{
    char program[32], option[] = "--help";
    snprintf(program, sizeof program, "%s", name);
    char *argv[] = { program, option, NULL };
    return run(name, 2, argv);
}

int main(int argc, char **argv)
{
    /* A closed reader is reported as a failed write, which has an exit code. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* likewise a file above the limit of ulimit -f */
    if (argc < 2) {
        fprintf(stderr, "nacre: a subcommand is missing; try 'nacre --help'\n");
        return TOOL_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) return help();
    if (strcmp(argv[1], "help") == 0) return argc == 2 ? help() : help_about(argv[2]);
    if (strcmp(argv[1], "--version") == 0) return version();
    return run(argv[1], argc - 1, argv + 1);
}
