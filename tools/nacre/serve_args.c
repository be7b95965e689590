/* SPDX-License-Identifier: MIT */
/* serve_args: see serve_args.h. */
#include "serve_args.h"
#include "options.h"
#include "suggest.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

int serve_args_help(void)
{
    printf("Usage: nacre serve [--bind ADDRESS] [--tcp] (--context DIR ... | --credentials FILE)\n"
           "                   [--db DB [--kek FILE]] [--pack FILE] [--role ROLE] [--root DIR [--writable] [--demo]]\n"
           "                   [--workers N] [--max-bodies N] [--max-body BYTES]\n"
           "                   [--max-deferred N] [--max-connections N] [-v]\n"
           "\n"
           "Serves protected resources until interrupted: the files of --root, or else the demo\n"
           "resources /hello, /time, /echo and /store.\n"
           "Prints 'listening coap://ADDRESS' on stdout when it is ready.\n"
           "\n"
           "  --bind ADDRESS        HOST, HOST:PORT or [IPV6]:PORT; port 0 picks a free one\n"
           "                        (default: port 5683 on every address)\n"
           "  --tcp                 serve over TCP too, at the same address (coap+tcp)\n"
           "  --context DIR         accept requests from the peer of this context;\n"
           "                        may be given several times\n"
           "  --credentials FILE    the same, for every context that FILE names\n"
           "  --db DB               the same, for every context in a database (nacre fleet)\n"
           "  --kek FILE            the database's key-encryption key\n"
           "  --pack FILE           the same, for every context in a pack (nacre pack)\n"
           "  --role ROLE           client or server: the side of directories in the legacy layout\n"
           "  --root DIR            serve the files in DIR: no symbolic links, no names that start\n"
           "                        with a dot, no directory that holds a security context\n"
           "  --demo                serve the demo resources with --root too; they hide files of those names\n"
           "  --writable            accept PUT, POST and DELETE below --root\n"
           "  --workers N           serve UDP with N threads (1 to 64; default: 1)\n"
           "  --max-bodies N       bodies in blocks at a time, for each worker (default: 16); one client has\n"
           "                        a quarter, plain clients together half\n"
           "  --max-body BYTES      the largest body taken in blocks (default: 1048576, files of any size)\n"
           "  --max-deferred N      notifications and separate responses in flight at a time, for each worker\n"
           "                        (default: 512); one client has a sixteenth, plain clients together half\n"
           "  --max-connections N   TCP connections at a time (default: 256); one host has a quarter\n"
           "  -v, --verbose         show requests on stderr\n"
           "  -h, --help            this text\n");
    return TOOL_OK;
}

enum {
    OPT_BIND = 256,
    OPT_PACK,
    OPT_DB,
    OPT_KEK,
    OPT_ROLE,
    OPT_CONTEXT,
    OPT_CREDENTIALS,
    OPT_DEMO,
    OPT_MAX_BODY,
    OPT_MAX_CONNECTIONS,
    OPT_MAX_DEFERRED,
    OPT_MAX_BODIES,
    OPT_ROOT,
    OPT_TCP,
    OPT_WRITABLE,
    OPT_WORKERS
};

static const struct option long_options[] = { { "bind", required_argument, NULL, OPT_BIND },
                                              { "context", required_argument, NULL, OPT_CONTEXT },
                                              { "pack", required_argument, NULL, OPT_PACK },
                                              { "db", required_argument, NULL, OPT_DB },
                                              { "kek", required_argument, NULL, OPT_KEK },
                                              { "role", required_argument, NULL, OPT_ROLE },
                                              { "credentials", required_argument, NULL, OPT_CREDENTIALS },
                                              { "demo", no_argument, NULL, OPT_DEMO },
                                              { "max-body", required_argument, NULL, OPT_MAX_BODY },
                                              { "max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS },
                                              { "max-deferred", required_argument, NULL, OPT_MAX_DEFERRED },
                                              { "max-bodies", required_argument, NULL, OPT_MAX_BODIES },
                                              { "root", required_argument, NULL, OPT_ROOT },
                                              { "tcp", no_argument, NULL, OPT_TCP },
                                              { "writable", no_argument, NULL, OPT_WRITABLE },
                                              { "workers", required_argument, NULL, OPT_WORKERS },
                                              { "verbose", no_argument, NULL, 'v' },
                                              { "help", no_argument, NULL, 'h' },
                                              { NULL, 0, NULL, 0 } };

static int take_number(unsigned long *number, const char *option, unsigned long least, unsigned long most)
{
    char *end;
    errno = 0;
    const unsigned long value = strtoul(optarg, &end, 10);
    if (errno != 0 || *optarg < '0' || *optarg > '9' || *end != '\0' || value < least || value > most)
        return tool_usage("serve", "%s %s: give a number from %lu to %lu", option, optarg, least, most);
    *number = value;
    return TOOL_OK;
}

static int take_limit(nacre_server_config *limits, int option)
{
    unsigned long number = 0;
    int result = TOOL_OK;
    if (option == OPT_WORKERS) {
        result = take_number(&number, "--workers", 1, 64);
        limits->num_workers = (unsigned)number;
    } else if (option == OPT_MAX_BODIES) {
        result = take_number(&number, "--max-bodies", 1, 1024);
        limits->bodies.num_bodies = (uint16_t)number;
    } else if (option == OPT_MAX_CONNECTIONS) {
        result = take_number(&number, "--max-connections", 1, 65535);
        limits->num_connections = (uint16_t)number;
    } else if (option == OPT_MAX_DEFERRED) {
        result = take_number(&number, "--max-deferred", 1, 65535);
        limits->num_transmissions = (uint16_t)number;
    } else {
        result = take_number(&number, "--max-body", 1024, 1073741824);
        limits->bodies.max_body = number;
    }
    return result;
}

static int take_option(serve_args *a, int option, const char *given)
{
    switch (option) {
    case OPT_BIND: a->bind = optarg; break;
    case OPT_CONTEXT: a->contexts[a->num_contexts++] = optarg; break;
    case OPT_PACK: a->pack = optarg; break;
    case OPT_DB: a->database = optarg; break;
    case OPT_KEK: a->kek = optarg; break;
    case OPT_CREDENTIALS: a->credentials = optarg; break;
    case OPT_ROLE: return tool_role("serve", &a->role, optarg);
    case OPT_DEMO: a->demo = true; break;
    case OPT_ROOT: a->root = optarg; break;
    case OPT_TCP: a->tcp = true; break;
    case OPT_WRITABLE: a->writable = true; break;
    case OPT_WORKERS:
    case OPT_MAX_BODIES:
    case OPT_MAX_CONNECTIONS:
    case OPT_MAX_DEFERRED:
    case OPT_MAX_BODY: return take_limit(&a->limits, option);
    case 'h': a->help = true; break;
    case 'v': a->verbose = true; break;
    case ':': return tool_usage("serve", "%s needs a value", given);
    default: return tool_bad_option("serve", given, long_options);
    }
    return TOOL_OK;
}

int serve_args_parse(serve_args *a, int argc, char **argv)
{
    if (tool_options_once(argc, argv, ":hv", long_options, OPT_CONTEXT) != TOOL_OK) return TOOL_USAGE;
    for (;;) {
        int option = getopt_long(argc, argv, ":hv", long_options, NULL);
        if (option == -1) break;
        int result = take_option(a, option, argv[optind - 1]);
        if (result != TOOL_OK || a->help) return result;
    }
    if (optind < argc) return tool_usage("serve", "%s: serve takes options only", argv[optind]);
    if (a->credentials != NULL && a->num_contexts > 0)
        return tool_usage("serve", "--context and --credentials: give one of them");
    if (a->kek != NULL && a->database == NULL) return tool_usage("serve", "--kek needs --db DB");
    if (a->writable && a->root == NULL) return tool_usage("serve", "--writable needs --root DIR");
    if (a->credentials == NULL && a->num_contexts == 0 && a->pack == NULL && a->database == NULL)
        return tool_usage("serve",
                          "give --context DIR, --credentials FILE or --db DB: without one no client could be served");
    return TOOL_OK;
}
