/* SPDX-License-Identifier: MIT */
/* options: see options.h. */
#include "options.h"
#include "tool.h"

enum { MAX_OPTIONS = 64 };

static int find(const struct option *options, int val)
{
    int i = 0;
    while (options[i].name != NULL && options[i].val != val) i++;
    return options[i].name != NULL && i < MAX_OPTIONS ? i : -1;
}

static const char *repeated(int argc, char **argv, const char *shorts, const struct option *options, int repeatable)
{
    bool seen[MAX_OPTIONS] = { false };
    for (int c; (c = getopt_long(argc, argv, shorts, options, NULL)) != -1;) {
        if (c == 'h' || c == '?' || c == ':') break;
        const int i = find(options, c);
        if (i < 0 || options[i].has_arg == no_argument || c == repeatable) continue;
        if (seen[i]) return options[i].name;
        seen[i] = true;
    }
    return NULL;
}

int tool_options_once(int argc, char **argv, const char *shorts, const struct option *options, int repeatable)
{
    opterr = 0;
    optind = 0; /* 0, not 1: getopt forgets where it stopped before */
    const char *name = repeated(argc, argv, shorts, options, repeatable);
    optind = 0;
    return name == NULL ? TOOL_OK : tool_usage(argv[0], "--%s is given twice", name);
}
