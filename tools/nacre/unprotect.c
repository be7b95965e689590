/* SPDX-License-Identifier: MIT */
/* unprotect: verifies and decrypts one protected request, hex in and hex out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static int help(void)
{
    printf("Usage: nacre unprotect --context DIR [--role ROLE] [HEX]\n"
           "Verify and decrypt one protected CoAP request (RFC 7252 framing, in hex, from HEX or from standard input) "
           "and\n"
           "print the plain message as one line of lower-case hex. The replay window of DIR moves, durably, before it\n"
           "prints: the same message is refused the second time.\n\n"
           "  --context DIR   the context directory of the side that receives\n"
           "  --role ROLE     client or server: the side of a directory in the legacy layout\n"
           "  --help          this text\n");
    return tool_flush("unprotect");
}

static int explain(nacre_err err, const nacre_directory *dir)
{
    const char *path = nacre_directory_path(dir);
    if (err == NACRE_ERR_REPLAY_ECHO)
        return tool_fail(
            "unprotect", err,
            "%s: the replay window is unknown after an unclean end, so this message may be a replay; serve "
            "the directory to a live peer once, or make new keys",
            path);
    return tool_fail("unprotect", err, "%s: %s", path, nacre_err_text(err));
}

static nacre_err unprotect_once(nacre_message *plain, nacre_buf buf, const nacre_crypto *crypto, nacre_directory *dir,
                                const nacre_message *outer)
{
    nacre_request_id id;
    return nacre_unprotect_request(nacre_directory_context(dir), crypto, &id, plain, buf, outer);
}

static int unprotect(nacre_message *plain, nacre_buf buf, const nacre_crypto *crypto, nacre_directory *dir,
                     const nacre_message *outer)
{
    nacre_err err = unprotect_once(plain, buf, crypto, dir, outer);
    if (err == NACRE_ERR_NOT_YET) {
        /* RFC 8613 B.1.2: the tag verified; the stored window must be given up before this one moves. */
        nacre_detail why;
        nacre_store store = nacre_directory_store(dir);
        nacre_err served = nacre_store_serve(&store, nacre_directory_context(dir), &why);
        if (served != NACRE_OK) return tool_fail("unprotect", served, "%s", why.text);
        err = unprotect_once(plain, buf, crypto, dir, outer);
    }
    return err == NACRE_OK ? TOOL_OK : explain(err, dir);
}

/* Closing writes the window with this request. If that fails, nothing is printed. */
static int unprotect_and_close(nacre_message *plain, nacre_buf buf, const nacre_crypto *crypto, nacre_directory *dir,
                               const nacre_message *outer)
{
    nacre_detail why;
    int code = unprotect(plain, buf, crypto, dir, outer);
    nacre_err err = nacre_directory_close(dir, &why);
    if (code != TOOL_OK || err == NACRE_OK) return code;
    return tool_fail("unprotect", err, "%s", why.text);
}

static int print_plain(const nacre_message *plain)
{
    static uint8_t buf[2 * TOOL_MAX_MESSAGE];
    nacre_bytes bytes = NACRE_ABSENT;
    nacre_err err = nacre_message_write(plain, &bytes, NACRE_BUF(buf));
    if (err != NACRE_OK) return tool_fail("unprotect", err, "%s", nacre_err_text(err));
    tool_print_hex(stdout, bytes);
    printf("\n");
    nacre_wipe(buf, bytes.len);
    return tool_flush("unprotect");
}

static int run(const char *context, nacre_role role, const nacre_crypto *crypto, nacre_bytes datagram)
{
    static uint8_t buf[TOOL_MAX_MESSAGE];
    nacre_message outer, plain;
    nacre_directory *dir = NULL;
    nacre_detail why;
    nacre_err err = nacre_message_parse(&outer, datagram);
    if (err != NACRE_OK)
        return tool_fail("unprotect", err, "the input is not a CoAP message (%zu byte%s)", datagram.len,
                         datagram.len == 1 ? "" : "s");
    if (!nacre_code_is_request(outer.code))
        return tool_fail("unprotect", NACRE_ERR_BAD_ARGUMENT,
                         "the message is not a request; a response cannot be read without its request");
    err = nacre_directory_open_as(&dir, context, role, crypto, &why);
    if (err != NACRE_OK) return tool_fail("unprotect", err, "%s", why.text);
    int code = unprotect_and_close(&plain, NACRE_BUF(buf), crypto, dir, &outer);
    if (code == TOOL_OK) code = print_plain(&plain);
    nacre_wipe(buf, sizeof buf);
    return code;
}

int tool_unprotect(int argc, char **argv)
{
    return tool_one_message("unprotect", argc, argv, help, run);
}
