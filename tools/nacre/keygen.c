/* SPDX-License-Identifier: MIT */
/* keygen: makes a pair of context directories with fresh keys. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "suggest.h"
#include "tool.h"

static int help(void)
{
    printf("Usage: nacre keygen [OPTION ...] CLIENT_DIR SERVER_DIR\n"
           "Make a fresh pair of context directories, one for each side, with a new random secret. Give one to the "
           "client\n"
           "and one to the server; never copy a directory after its first use.\n\n"
           "  --alg NAME         the AEAD algorithm (default: AES-CCM-16-64-128); one of\n");
    const nacre_aead *aead;
    for (size_t i = 0; (aead = nacre_aead_at(i)) != NULL; i++) printf("                       %s\n", aead->name);
    printf("  --id-context HEX   an ID Context, up to 255 bytes\n"
           "  --client-id HEX    the client's Sender ID (default: random); \"\" is the empty one\n"
           "  --server-id HEX    the server's\n"
           "  --help             this text\n");
    return tool_flush("keygen");
}

static int usage_algorithm(const char *name)
{
    char names[400] = "";
    size_t at = 0;
    const nacre_aead *aead;
    for (size_t i = 0; (aead = nacre_aead_at(i)) != NULL && at < sizeof names; i++)
        at += (size_t)snprintf(names + at, sizeof names - at, " %s", aead->name);
    return tool_usage("keygen", "--alg: unknown algorithm \"%.40s\"; it is one of%s", name, names);
}

static int read_hex(const char *option, nacre_bytes *out, nacre_buf buf, const char *hex)
{
    nacre_err err = nacre_hex_decode(out, buf, hex, strlen(hex));
    if (err == NACRE_ERR_BUFFER_TOO_SMALL)
        return tool_usage("keygen", "%s: at most %zu bytes are allowed", option, buf.cap);
    if (err != NACRE_OK) return tool_usage("keygen", "%s: pairs of hex digits are expected", option);
    return TOOL_OK;
}

static void print_id(const char *label, const uint8_t *id, size_t len)
{
    printf(", %s ", label);
    if (len == 0) printf("(empty)");
    tool_print_hex(stdout, nacre_bytes_of(id, len));
}

static nacre_err print_side(const char *path, const char *side, nacre_detail *why)
{
    nacre_directory_info info;
    nacre_err err = nacre_directory_read(&info, path, false, why);
    if (err != NACRE_OK) return err;
    printf("%s: for the %s", path, side);
    print_id("Sender ID", info.sender_id, info.sender_id_len);
    print_id("Recipient ID", info.recipient_id, info.recipient_id_len);
    printf(", %s\n", info.aead->name);
    return NACRE_OK;
}

static int generate(const char *client, const char *server, const nacre_generate_options *options)
{
    nacre_detail why;
    nacre_err err = nacre_directory_generate(client, server, options, &why);
    if (err != NACRE_OK) return tool_fail("keygen", err, "%s", why.text);
    err = print_side(client, "client", &why);
    if (err == NACRE_OK) err = print_side(server, "server", &why);
    if (err != NACRE_OK) return tool_fail("keygen", err, "%s", why.text);
    return tool_flush("keygen");
}

int tool_keygen(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "alg", required_argument, NULL, 'a' },
        { "id-context", required_argument, NULL, 'i' },
        { "client-id", required_argument, NULL, 'c' },
        { "server-id", required_argument, NULL, 's' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    nacre_generate_options options = { .aead = NULL };
    uint8_t id_context[255], client_id[NACRE_MAX_ID], server_id[NACRE_MAX_ID];
    int code = TOOL_OK;
    if (tool_options_once(argc, argv, ":h", long_options, 0) != TOOL_OK) return TOOL_USAGE;
    for (int c; code == TOOL_OK && (c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        switch (c) {
        case 'h': return help();
        case 'a':
            options.aead = nacre_aead_by_name(optarg);
            if (options.aead == NULL) code = usage_algorithm(optarg);
            break;
        case 'i': code = read_hex("--id-context", &options.id_context, NACRE_BUF(id_context), optarg); break;
        case 'c': code = read_hex("--client-id", &options.client_id, NACRE_BUF(client_id), optarg); break;
        case 's': code = read_hex("--server-id", &options.server_id, NACRE_BUF(server_id), optarg); break;
        case ':': code = tool_usage("keygen", "%s needs a value", argv[optind - 1]); break;
        default: code = tool_bad_option("keygen", argv[optind - 1], long_options); break;
        }
    }
    if (code != TOOL_OK) return code;
    if (argc - optind != 2) return tool_usage("keygen", "two directories are expected, found %d", argc - optind);
    return generate(argv[optind], argv[optind + 1], &options);
}
