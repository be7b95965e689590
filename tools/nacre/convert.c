/* SPDX-License-Identifier: MIT */
/* convert: converts a context directory from one layout to the other. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "suggest.h"
#include "tool.h"

static int help(void)
{
    printf("Usage: nacre convert DIR --to newest|legacy --role client|server\n"
           "Rewrite a context directory in the other layout, with its state. The newest layout has sender-id and\n"
           "recipient-id, and holds one side; the legacy one has client-sender-id and server-sender-id.\n"
           "From a legacy directory only the state of the role's side is converted.\n\n"
           "  --to LAYOUT   newest, or legacy (needs a known replay window, and SHA-256)\n"
           "  --role ROLE   which side this directory is\n"
           "  --help        this text\n");
    return tool_flush("convert");
}

static int convert(const char *path, nacre_layout to, nacre_role role)
{
    nacre_detail why;
    nacre_err err = nacre_directory_convert(path, to, role, &why);
    if (err != NACRE_OK) return tool_fail("convert", err, "%s", why.text);
    printf("%s: is of the %s layout\n", path, to == NACRE_LAYOUT_LEGACY ? "legacy" : "newest");
    return tool_flush("convert");
}

/* "seed" is the name of the legacy layout in 0.1. */
static bool read_layout(nacre_layout *to, const char *text)
{
    const bool is_legacy = strcmp(text, "legacy") == 0 || strcmp(text, "seed") == 0;
    *to = is_legacy ? NACRE_LAYOUT_LEGACY : NACRE_LAYOUT_NEWEST;
    return is_legacy || strcmp(text, "newest") == 0;
}

int tool_convert(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "to", required_argument, NULL, 't' },
        { "role", required_argument, NULL, 'r' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    bool has_to = false;
    nacre_layout to = NACRE_LAYOUT_NEWEST;
    nacre_role role = NACRE_ROLE_NONE;
    if (tool_options_once(argc, argv, ":h", long_options, 0) != TOOL_OK) return TOOL_USAGE;
    for (int c; (c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        switch (c) {
        case 'h': return help();
        case 't':
            has_to = read_layout(&to, optarg);
            if (!has_to) return tool_usage("convert", "--to %s: it is newest or legacy", optarg);
            break;
        case 'r':
            if (tool_role("convert", &role, optarg) != TOOL_OK) return TOOL_USAGE;
            break;
        case ':': return tool_usage("convert", "%s needs a value", argv[optind - 1]);
        default: return tool_bad_option("convert", argv[optind - 1], long_options);
        }
    }
    if (argc - optind != 1) return tool_usage("convert", "one directory is expected, found %d", argc - optind);
    if (!has_to) return tool_usage("convert", "--to newest or --to legacy is missing");
    return convert(argv[optind], to, role);
}
