/* SPDX-License-Identifier: MIT */
/* protect: the bytes of one request in, the protected bytes out. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

enum { MAX_MESSAGE = 65535 };

static int help(void)
{
    printf(
        "Usage: nacre protect --context DIR [--role ROLE] [HEX]\n"
        "Protect one CoAP request (RFC 7252 framing, in hex, from HEX or from standard input) and print the protected\n"
        "message as one line of lower-case hex. Every run spends a sequence number of DIR, durably, before it prints;\n"
        "to send a message again, send the same bytes.\n\n"
        "  --context DIR   the context directory to protect with\n"
        "  --role ROLE     client or server: which side a directory of the older layout is to be\n"
        "  --help          this text\n");
    return tool_flush("protect");
}

static int protect(nacre_bytes *out, nacre_room room, const nacre_crypto *crypto, nacre_directory *dir,
                   const nacre_message *plain)
{
    nacre_detail why;
    nacre_request_id id;
    nacre_context *ctx = nacre_directory_context(dir);
    nacre_store store = nacre_directory_store(dir);
    nacre_err err = nacre_store_serve(&store, ctx, &why);
    if (err != NACRE_OK) return tool_fail("protect", err, "%s", why.text);
    err = nacre_protect_request(ctx, crypto, &id, out, room, plain, NULL);
    if (err == NACRE_OK) return TOOL_OK;
    return tool_fail("protect", err, "%s: cannot protect this message: %s", nacre_directory_path(dir),
                     nacre_err_text(err));
}

static int protect_and_close(nacre_bytes *out, nacre_room room, const nacre_crypto *crypto, nacre_directory *dir,
                             const nacre_message *plain)
{
    nacre_detail why;
    int code = protect(out, room, crypto, dir, plain);
    nacre_err err = nacre_directory_close(dir, &why);
    if (code != TOOL_OK || err == NACRE_OK) return code;
    return tool_fail("protect", err, "%s", why.text);
}

static int run(const char *context, nacre_role role, const nacre_crypto *crypto, nacre_bytes datagram)
{
    static uint8_t room[MAX_MESSAGE + 1024]; /* kid context, Partial IV and tag come on top */
    nacre_message plain;
    nacre_directory *dir = NULL;
    nacre_detail why;
    nacre_bytes out = NACRE_ABSENT;
    nacre_err err = nacre_message_parse(&plain, datagram);
    if (err != NACRE_OK) return tool_usage("protect", "the %zu bytes are no CoAP message", datagram.len);
    if (!nacre_code_is_request(plain.code))
        return tool_fail("protect", NACRE_ERR_BAD_ARGUMENT,
                         "the message is not a request; only requests can be protected "
                         "on their own");
    err = nacre_directory_open_as(&dir, context, role, crypto, &why);
    if (err != NACRE_OK) return tool_fail("protect", err, "%s", why.text);
    int code = protect_and_close(&out, NACRE_ROOM(room), crypto, dir, &plain);
    if (code != TOOL_OK) return code;
    tool_print_hex(stdout, out);
    printf("\n");
    return tool_flush("protect");
}

static int run_with_crypto(const char *context, nacre_role role, const char *hex)
{
    static uint8_t room[MAX_MESSAGE];
    nacre_crypto crypto;
    nacre_bytes datagram = NACRE_ABSENT;
    int code = tool_read_hex("protect", &datagram, NACRE_ROOM(room), hex);
    if (code != TOOL_OK) return code;
    nacre_err err = nacre_openssl_open(&crypto);
    if (err != NACRE_OK) return tool_fail("protect", err, "%s", nacre_err_text(err));
    code = run(context, role, &crypto, datagram);
    nacre_openssl_close(&crypto);
    nacre_wipe(room, sizeof room);
    return code;
}

int tool_protect(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "context", required_argument, NULL, 'c' },
        { "role", required_argument, NULL, 'r' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    const char *context = NULL;
    nacre_role role = NACRE_ROLE_NONE;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        switch (c) {
        case 'h': return help();
        case 'c': context = optarg; break;
        case 'r':
            if (tool_role("protect", &role, optarg) != TOOL_OK) return TOOL_USAGE;
            break;
        case ':': return tool_usage("protect", "%s needs a value", argv[optind - 1]);
        default: return tool_usage("protect", "unknown option %s", argv[optind - 1]);
        }
    }
    if (context == NULL) return tool_usage("protect", "--context DIR is missing");
    if (argc - optind > 1) return tool_usage("protect", "one message is expected, found %d", argc - optind);
    return run_with_crypto(context, role, argv[optind]);
}
