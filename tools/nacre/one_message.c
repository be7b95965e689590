/* SPDX-License-Identifier: MIT */
/* one_message: the common part of protect and unprotect, which take a context directory and one message in hex. */
#include <getopt.h>

#include "signals.h"
#include "options.h"
#include "suggest.h"
#include "tool.h"

static int run_with_crypto(const char *name, const char *context, nacre_role role, const char *hex, tool_on_message run)
{
    static uint8_t buf[TOOL_MAX_MESSAGE];
    nacre_crypto crypto;
    nacre_bytes datagram = NACRE_ABSENT;
    int code = tool_read_hex(name, &datagram, NACRE_BUF(buf), hex);
    if (code != TOOL_OK) return code;
    nacre_err err = nacre_openssl_open(&crypto);
    if (err != NACRE_OK) return tool_fail(name, err, "%s", nacre_err_text(err));
    tool_signals_hold(); /* until the context is closed */
    code = run(context, role, &crypto, datagram);
    tool_signals_let();
    nacre_openssl_close(&crypto);
    nacre_wipe(buf, sizeof buf);
    return code;
}

int tool_one_message(const char *name, int argc, char **argv, int (*help)(void), tool_on_message run)
{
    static const struct option long_options[] = {
        { "context", required_argument, NULL, 'c' },
        { "role", required_argument, NULL, 'r' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    const char *context = NULL;
    nacre_role role = NACRE_ROLE_NONE;
    if (tool_options_once(argc, argv, ":h", long_options, 0) != TOOL_OK) return TOOL_USAGE;
    for (int c; (c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        switch (c) {
        case 'h': return help();
        case 'c': context = optarg; break;
        case 'r':
            if (tool_role(name, &role, optarg) != TOOL_OK) return TOOL_USAGE;
            break;
        case ':': return tool_usage(name, "%s needs a value", argv[optind - 1]);
        default: return tool_bad_option(name, argv[optind - 1], long_options);
        }
    }
    if (context == NULL) return tool_usage(name, "--context DIR is missing");
    if (argc - optind > 1) return tool_usage(name, "one message is expected, found %d", argc - optind);
    return run_with_crypto(name, context, role, argv[optind], run);
}
