/* SPDX-License-Identifier: MIT */
/* serve_args: the command line of nacre serve. */
#ifndef NACRE_TOOL_SERVE_ARGS_H
#define NACRE_TOOL_SERVE_ARGS_H

#include "tool.h"

typedef struct serve_args {
    const char *bind, *credentials, *root;
    const char **contexts; /* argc entries */
    size_t num_contexts;
    const char *pack;
    const char *database, *kek; /* of --db; the path of its key-encryption key */
    nacre_role role;
    nacre_server_config limits; /* 0: the default */
    bool help, verbose, tcp, writable, demo;
} serve_args;

/* serve_args_parse: TOOL_OK; TOOL_USAGE with a line on stderr. */
int serve_args_parse(serve_args *a, int argc, char **argv);
int serve_args_help(void);

#endif
