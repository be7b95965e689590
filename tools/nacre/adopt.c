/* SPDX-License-Identifier: MIT */
/* adopt: takes over a context directory that was moved, restored, or has lost its state. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "store/json/decimal.h"
#include "options.h"
#include "suggest.h"
#include "tool.h"

static int help(void)
{
    printf(
        "Usage: nacre adopt [--next-to-send N] [--role ROLE] DIR\n"
        "Permit the use of a context directory where it is now. One that was used is refused after it\n"
        "was copied or put back from a backup: sequence numbers may have been used since, and a number used\n"
        "twice breaks the encryption. Adopt it only if it was moved and not used in between, or if you know a\n"
        "number that was never reached. When in doubt, make new keys (nacre keygen). The age of a state that\n"
        "was put back is unknown, so at least 2^32 numbers are skipped (Partial IVs have 5 bytes from then on).\n"
        "For a database see nacre fleet adopt.\n\n"
        "  --next-to-send N   continue with exactly N: no number from N on was used; needed if sequence.json is lost\n"
        "  --role ROLE        client or server: the side of a directory in the legacy layout\n"
        "  --help             this text\n");
    return tool_flush("adopt");
}

static int adopt(const char *path, nacre_role role, uint64_t next_to_send)
{
    nacre_detail why;
    nacre_directory_info info;
    nacre_err err = nacre_directory_adopt(path, role, next_to_send, &why);
    if (err == NACRE_OK) err = nacre_directory_read_as(&info, path, role, false, &why);
    if (err != NACRE_OK) return tool_fail("adopt", err, "%s", why.text);
    printf("%s: goes on with sequence number %llu; the next request received gets an Echo challenge\n", path,
           (unsigned long long)info.next_to_send);
    return tool_flush("adopt");
}

int tool_adopt(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "next-to-send", required_argument, NULL, 'n' },
        { "role", required_argument, NULL, 'r' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    nacre_role role = NACRE_ROLE_NONE;
    uint64_t next_to_send = 0;
    if (tool_options_once(argc, argv, ":h", long_options, 0) != TOOL_OK) return TOOL_USAGE;
    for (int c; (c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        switch (c) {
        case 'h': return help();
        case 'n':
            if (nacre__decimal_to_uint(&next_to_send, optarg, strlen(optarg)) != NACRE__DECIMAL_OK ||
                next_to_send == 0 || next_to_send > NACRE_SEQ_MAX)
                return tool_usage("adopt", "--next-to-send %s: not a number from 1 to 2^40-1, the last that is used",
                                  optarg);
            break;
        case 'r':
            if (tool_role("adopt", &role, optarg) != TOOL_OK) return TOOL_USAGE;
            break;
        case ':': return tool_usage("adopt", "%s needs a value", argv[optind - 1]);
        default: return tool_bad_option("adopt", argv[optind - 1], long_options);
        }
    }
    if (argc - optind != 1) return tool_usage("adopt", "one directory is expected, found %d", argc - optind);
    if (tool_is_file(argv[optind]))
        return tool_usage("adopt", "%s is a file; for a database use nacre fleet adopt", argv[optind]);
    return adopt(argv[optind], role, next_to_send);
}
