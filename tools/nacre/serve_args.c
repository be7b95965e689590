/* SPDX-License-Identifier: MIT */
/* serve_args: the command line of nacre serve. Each option sets a key of serve_keys.c. */
#include "options.h"
#include "serve_settings.h"
#include "suggest.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int serve_help(void)
{
    printf("Usage: nacre serve [--config FILE [--check-config]] [--bind ADDRESS] [--tcp]\n"
           "                   (--context DIR ... | --credentials FILE) [--db DB [--kek FILE]]\n"
           "                   [--role ROLE] [--root DIR [--writable] [--demo]]\n"
           "                   [--workers N] [--max-bodies N] [--max-body BYTES]\n"
           "                   [--max-deferred N] [--max-connections N]\n"
           "                   [--metrics ADDRESS] [--log-level LEVEL] [--log-format FORMAT] [-v]\n"
           "\n"
           "Serves protected resources until interrupted: the files of --root, or else the demo\n"
           "resources /hello, /time, /echo and /store.\n"
           "Prints 'listening coap://ADDRESS' on stdout when it is ready.\n"
           "\n"
           "  --config FILE         read FILE (man nacre-serve.conf); these options win over it. SIGHUP reads\n"
           "                        it again\n"
           "  --check-config        check FILE and what it names, without locking or writing, and end\n"
           "  --bind ADDRESS        HOST, HOST:PORT or [IPV6]:PORT; port 0 picks a free one\n"
           "                        (default: port 5683 on every address)\n"
           "  --tcp                 serve over TCP too, at the same address (coap+tcp)\n"
           "  --context DIR         accept requests from the peer of this context;\n"
           "                        may be given several times\n"
           "  --credentials FILE    the same, for every context that FILE names\n"
           "  --db DB               the same, for every context in a database (nacre fleet)\n"
           "  --kek FILE            the database's key-encryption key\n"
           "  --role ROLE           client or server: the side of directories in the legacy layout\n"
           "  --root DIR            serve the files in DIR: no symbolic links, no names that start\n"
           "                        with a dot, no directory that holds a security context\n"
           "  --demo                serve the demo resources with --root too; they hide files of those names\n"
           "  --writable            accept PUT, POST and DELETE below --root\n"
           "  --workers N           serve UDP with N threads (1 to 64; default: 1)\n"
           "  --max-bodies N        bodies in blocks at a time, for each worker (default: 16); one client has\n"
           "                        a quarter, plain clients together half\n"
           "  --max-body BYTES      the largest body taken in blocks (default: 1048576, files of any size)\n"
           "  --max-deferred N      notifications and separate responses in flight at a time, for each worker\n"
           "                        (default: 512); one client has a sixteenth, plain clients together half\n"
           "  --max-connections N   TCP connections at a time (default: 256); one host has a quarter\n"
           "  --metrics ADDRESS     serve figures, health and a status page over HTTP; a port alone is one of\n"
           "                        127.0.0.1 (default: none). Prints 'metrics http://ADDRESS/' on stdout\n"
           "  --log-level LEVEL     error, warning, info or debug: what is written to stderr\n"
           "                        (default: warning, with --config info)\n"
           "  --log-format FORMAT   auto, plain, text, json or journal (default: auto, which is journal\n"
           "                        when stderr is systemd's journal, and plain otherwise)\n"
           "  -v, --verbose         show requests on stderr\n"
           "  -h, --help            this text\n");
    return TOOL_OK;
}

enum { OPT_CONTEXT = 256, OPT_ROLE, OPT_CONFIG, OPT_CHECK_CONFIG, OPT_OF_KEY };

static const struct option long_options[] = { { "bind", required_argument, NULL, OPT_OF_KEY + 0 },
                                              { "context", required_argument, NULL, OPT_CONTEXT },
                                              { "db", required_argument, NULL, OPT_OF_KEY + 1 },
                                              { "kek", required_argument, NULL, OPT_OF_KEY + 2 },
                                              { "role", required_argument, NULL, OPT_ROLE },
                                              { "credentials", required_argument, NULL, OPT_OF_KEY + 3 },
                                              { "demo", no_argument, NULL, OPT_OF_KEY + 4 },
                                              { "max-body", required_argument, NULL, OPT_OF_KEY + 5 },
                                              { "max-connections", required_argument, NULL, OPT_OF_KEY + 6 },
                                              { "max-deferred", required_argument, NULL, OPT_OF_KEY + 7 },
                                              { "max-bodies", required_argument, NULL, OPT_OF_KEY + 8 },
                                              { "root", required_argument, NULL, OPT_OF_KEY + 9 },
                                              { "tcp", no_argument, NULL, OPT_OF_KEY + 10 },
                                              { "writable", no_argument, NULL, OPT_OF_KEY + 11 },
                                              { "workers", required_argument, NULL, OPT_OF_KEY + 12 },
                                              { "log-level", required_argument, NULL, OPT_OF_KEY + 13 },
                                              { "log-format", required_argument, NULL, OPT_OF_KEY + 14 },
                                              { "metrics", required_argument, NULL, OPT_OF_KEY + 15 },
                                              { "config", required_argument, NULL, OPT_CONFIG },
                                              { "check-config", no_argument, NULL, OPT_CHECK_CONFIG },
                                              { "verbose", no_argument, NULL, 'v' },
                                              { "help", no_argument, NULL, 'h' },
                                              { NULL, 0, NULL, 0 } };

/* By OPT_OF_KEY + i. */
static const char *const key_names[] = { "bind",
                                         "database",
                                         "kek",
                                         "credentials",
                                         "demo",
                                         "limits.max_body",
                                         "limits.connections",
                                         "limits.deferred",
                                         "limits.bodies",
                                         "root",
                                         "tcp",
                                         "writable",
                                         "workers",
                                         "log.level",
                                         "log.format",
                                         "metrics" };
enum { NUM_KEY_NAMES = sizeof key_names / sizeof key_names[0] };

static int set_key(serve_settings *s, const char *name, const char *given)
{
    nacre_detail why = { "" };
    const nacre_err err =
        serve_settings_set(s, serve_key_find(name), optarg != NULL ? optarg : "yes", SERVE_FROM_OPTION, &why);
    if (err == NACRE_OK) return TOOL_OK;
    return optarg != NULL ? tool_usage("serve", "%s %s: %s", given, optarg, why.text)
                          : tool_fail("serve", err, "%s", why.text);
}

/* The option's name, also where `--option=value` or an abbreviation was given. */
static const char *name_of(char name[32], int option, const char *given)
{
    for (const struct option *o = long_options; o->name != NULL; o++) {
        if (o->val != option) continue;
        (void)snprintf(name, 32, "--%s", o->name);
        return name;
    }
    return given;
}

static int take_option(serve_settings *s, int option, const char *given)
{
    char name[32];
    nacre_role role = NACRE_ROLE_NONE;
    if (option >= OPT_OF_KEY && option < OPT_OF_KEY + NUM_KEY_NAMES)
        return set_key(s, key_names[option - OPT_OF_KEY], name_of(name, option, given));
    switch (option) {
    case OPT_CONTEXT: return set_key(s, "contexts", "--context");
    case OPT_ROLE:
        if (tool_role("serve", &role, optarg) != TOOL_OK) return TOOL_USAGE;
        return set_key(s, "role", "--role");
    case OPT_CONFIG:
        free(s->config);
        s->config = strdup(optarg);
        return s->config != NULL ? TOOL_OK : tool_fail("serve", NACRE_ERR_NO_MEMORY, "out of memory");
    case OPT_CHECK_CONFIG: s->check_only = true; return TOOL_OK;
    case 'h': s->help = true; return TOOL_OK;
    case 'v': return set_key(s, "log.requests", "-v");
    case ':': return tool_usage("serve", "%s needs a value", given);
    default: return tool_bad_option("serve", given, long_options);
    }
}

static int parse(serve_settings *s, int argc, char **argv)
{
    if (tool_options_once(argc, argv, ":hv", long_options, OPT_CONTEXT) != TOOL_OK) return TOOL_USAGE;
    for (;;) {
        const int option = getopt_long(argc, argv, ":hv", long_options, NULL);
        if (option == -1) break;
        const int result = take_option(s, option, argv[optind - 1]);
        if (result != TOOL_OK || s->help) return result;
    }
    if (optind < argc) return tool_usage("serve", "%s: serve takes options only", argv[optind]);
    if (s->check_only && s->config == NULL) return tool_usage("serve", "--check-config needs --config FILE");
    return TOOL_OK;
}

int serve_settings_load(serve_settings *s, int argc, char **argv)
{
    nacre_detail why = { "" };
    const int result = parse(s, argc, argv);
    if (result != TOOL_OK || s->help) return result;
    nacre_err err = s->config != NULL ? serve_config_read(s, &why) : NACRE_OK;
    if (err != NACRE_OK) {
        (void)tool_fail("serve", err, "%s", why.text);
        return s->check_only || err == NACRE_ERR_BAD_ARGUMENT ? TOOL_USAGE : tool_exit_code(err);
    }
    err = serve_settings_finish(s, &why);
    if (err == NACRE_OK) return TOOL_OK;
    if (s->config == NULL) return tool_usage("serve", "%s", why.text);
    (void)tool_fail("serve", err, "%s: %s", s->config, why.text);
    return TOOL_USAGE;
}

nacre_err serve_settings_load_again(serve_settings *s, int argc, char **argv, nacre_detail *why)
{
    if (parse(s, argc, argv) != TOOL_OK) return NACRE_ERR_BAD_ARGUMENT;
    nacre_err err = s->config != NULL ? serve_config_read(s, why) : NACRE_OK;
    if (err == NACRE_OK) err = serve_settings_finish(s, why);
    return err;
}
