/* SPDX-License-Identifier: MIT */
/* protect: protects one request, hex in and hex out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static int help(void)
{
    printf(
        "Usage: nacre protect --context DIR [--role ROLE] [HEX]\n"
        "Protect one CoAP request (RFC 7252 framing, in hex, from HEX or from standard input) and print the protected\n"
        "message as one line of lower-case hex. Every run spends a sequence number of DIR, durably, before it prints;\n"
        "to send a message again, send the same bytes.\n\n"
        "  --context DIR   the context directory to protect with\n"
        "  --role ROLE     client or server: the side of a directory in the legacy layout\n"
        "  --help          this text\n");
    return tool_flush("protect");
}

static int protect(nacre_bytes *out, nacre_buf buf, const nacre_crypto *crypto, nacre_directory *dir,
                   const nacre_message *plain)
{
    nacre_detail why;
    nacre_request_id id;
    nacre_context *ctx = nacre_directory_context(dir);
    nacre_store store = nacre_directory_store(dir);
    nacre_err err = nacre_store_serve(&store, ctx, &why);
    if (err != NACRE_OK) return tool_fail("protect", err, "%s", why.text);
    err = nacre_protect_request(ctx, crypto, &id, out, buf, plain, NULL);
    if (err == NACRE_OK) return TOOL_OK;
    return tool_fail("protect", err, "%s: cannot protect this message: %s", nacre_directory_path(dir),
                     nacre_err_text(err));
}

static int protect_and_close(nacre_bytes *out, nacre_buf buf, const nacre_crypto *crypto, nacre_directory *dir,
                             const nacre_message *plain)
{
    nacre_detail why;
    int code = protect(out, buf, crypto, dir, plain);
    nacre_err err = nacre_directory_close(dir, &why);
    if (code != TOOL_OK || err == NACRE_OK) return code;
    return tool_fail("protect", err, "%s", why.text);
}

static int run(const char *context, nacre_role role, const nacre_crypto *crypto, nacre_bytes datagram)
{
    static uint8_t buf[TOOL_MAX_MESSAGE + 1024]; /* kid context, Partial IV and tag are added */
    nacre_message plain;
    nacre_directory *dir = NULL;
    nacre_detail why;
    nacre_bytes out = NACRE_ABSENT;
    nacre_err err = nacre_message_parse(&plain, datagram);
    if (err != NACRE_OK)
        return tool_usage("protect", "the input is not a CoAP message (%zu byte%s)", datagram.len,
                          datagram.len == 1 ? "" : "s");
    if (!nacre_code_is_request(plain.code))
        return tool_fail("protect", NACRE_ERR_BAD_ARGUMENT,
                         "the message is not a request; only requests can be protected "
                         "on their own");
    err = nacre_directory_open_as(&dir, context, role, crypto, &why);
    if (err != NACRE_OK) return tool_fail("protect", err, "%s", why.text);
    int code = protect_and_close(&out, NACRE_BUF(buf), crypto, dir, &plain);
    if (code != TOOL_OK) return code;
    tool_print_hex(stdout, out);
    printf("\n");
    return tool_flush("protect");
}

int tool_protect(int argc, char **argv)
{
    return tool_one_message("protect", argc, argv, help, run);
}
