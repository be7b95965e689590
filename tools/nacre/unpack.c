/* SPDX-License-Identifier: MIT */
/* unpack: moves a context from a pack into its own directory. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/json/decimal.h"
#include "suggest.h"
#include "tool.h"

static int help(void)
{
    printf("Usage: nacre unpack PACK PLACE DIR\n"
           "Move a context out of a pack, with its state, into a new context directory DIR. PLACE is its number in\n"
           "'nacre show PACK'. The same pack does not take it back; another pack does. DIR can be moved to the\n"
           "machine that uses it. After an interruption, run the same command again.\n\n"
           "  --help        this text\n");
    return tool_flush("unpack");
}

static int unpack(const char *path, uint64_t index, const char *dir, const nacre_crypto *crypto)
{
    nacre_detail why = { { 0 } }, closing = { { 0 } };
    nacre_pack *pack;
    nacre_err err = nacre_pack_open(&pack, path, crypto, &why);
    if (err != NACRE_OK) return tool_fail("unpack", err, "%s", why.text);
    err = nacre_pack_move_out(pack, index < SIZE_MAX ? (size_t)index : SIZE_MAX, dir, &why);
    const nacre_err closed = nacre_pack_close(pack, &closing);
    if (err != NACRE_OK) return tool_fail("unpack", err, "%s", why.text);
    if (closed != NACRE_OK) return tool_fail("unpack", closed, "%s", closing.text);
    printf("%s: context %" PRIu64 " of %s\n", dir, index, path);
    return tool_flush("unpack");
}

int tool_unpack(int argc, char **argv)
{
    static const struct option long_options[] = { { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
    uint64_t index = 0;
    nacre_crypto crypto;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        if (c == 'h') return help();
        return tool_bad_option("unpack", argv[optind - 1], long_options);
    }
    if (argc - optind != 3)
        return tool_usage("unpack", "PACK, PLACE and DIR are expected, found %d argument%s", argc - optind,
                          argc - optind == 1 ? "" : "s");
    const char *number = argv[optind + 1];
    if (nacre__decimal_to_uint(&index, number, strlen(number)) != NACRE__DECIMAL_OK)
        return tool_usage("unpack", "%s: a place is a number, as listed by 'nacre show PACK'", number);
    const nacre_err err = nacre_openssl_open(&crypto);
    if (err != NACRE_OK) return tool_fail("unpack", err, "%s", nacre_err_text(err));
    const int code = unpack(argv[optind], index, argv[optind + 2], &crypto);
    nacre_openssl_close(&crypto);
    return code;
}
