/* SPDX-License-Identifier: MIT */
/* keygen: a fresh pair of context directories. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

static int help(void)
{
    printf("Usage: nacre keygen [--alg NAME] [--id-context HEX] CLIENT_DIR SERVER_DIR\n"
           "Make a fresh pair of context directories, one for each side, with a new random secret. Give one to the "
           "client\n"
           "and one to the server; never copy a directory once it was used.\n\n"
           "  --alg NAME         the AEAD algorithm, AES-CCM-16-64-128 without this; one of\n");
    const nacre_aead *aead;
    for (size_t i = 0; (aead = nacre_aead_at(i)) != NULL; i++) printf("                       %s\n", aead->name);
    printf("  --id-context HEX   an ID Context, up to 255 bytes\n"
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

static int read_id_context(nacre_generate_options *options, nacre_room room, const char *hex)
{
    nacre_err err = nacre_hex_decode(&options->id_context, room, hex, strlen(hex));
    if (err == NACRE_ERR_NO_ROOM) return tool_usage("keygen", "--id-context: at most %zu bytes are allowed", room.cap);
    if (err != NACRE_OK) return tool_usage("keygen", "--id-context: pairs of hex digits are expected");
    return TOOL_OK;
}

static int generate(const char *client, const char *server, const nacre_generate_options *options)
{
    nacre_detail why;
    nacre_err err = nacre_directory_generate(client, server, options, &why);
    if (err != NACRE_OK) return tool_fail("keygen", err, "%s", why.text);
    const char *name = options->aead != NULL ? options->aead->name : "AES-CCM-16-64-128";
    printf("%s: for the client, Sender ID 00, Recipient ID 01, %s\n", client, name);
    printf("%s: for the server, Sender ID 01, Recipient ID 00, %s\n", server, name);
    return tool_flush("keygen");
}

int tool_keygen(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "alg", required_argument, NULL, 'a' },
        { "id-context", required_argument, NULL, 'i' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    nacre_generate_options options = { NULL, NACRE_ABSENT };
    uint8_t id_context[255];
    int code = TOOL_OK;
    opterr = 0;
    for (int c; code == TOOL_OK && (c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        switch (c) {
        case 'h': return help();
        case 'a':
            options.aead = nacre_aead_by_name(optarg);
            if (options.aead == NULL) code = usage_algorithm(optarg);
            break;
        case 'i': code = read_id_context(&options, NACRE_ROOM(id_context), optarg); break;
        case ':': code = tool_usage("keygen", "%s needs a value", argv[optind - 1]); break;
        default: code = tool_usage("keygen", "unknown option %s", argv[optind - 1]); break;
        }
    }
    if (code != TOOL_OK) return code;
    if (argc - optind != 2) return tool_usage("keygen", "two directories are expected, found %d", argc - optind);
    return generate(argv[optind], argv[optind + 1], &options);
}
