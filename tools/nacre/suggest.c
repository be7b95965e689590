/* SPDX-License-Identifier: MIT */
/* suggest: see suggest.h. */
#include "suggest.h"
#include "tool.h"

#include <stdio.h>
#include <string.h>

enum { MAX_WORD = 32, FAR = 3, MAX_OPTIONS = 32 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters to insert, remove, replace or swap with their neighbor (optimal string alignment). */
static size_t distance(const char *a, const char *b)
{
    size_t rows[MAX_WORD + 1][MAX_WORD + 1];
    const size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > MAX_WORD || b_len > MAX_WORD) return FAR;
    for (size_t j = 0; j <= b_len; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        rows[i][0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            const size_t replaced = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            rows[i][j] = least(replaced, least(rows[i - 1][j], rows[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                rows[i][j] = least(rows[i][j], rows[i - 2][j - 2] + 1);
        }
    }
    return rows[a_len][b_len];
}

const char *tool_nearest(const char *text, const char *const *names, size_t num)
{
    const size_t len = strlen(text);
    const char *best = NULL;
    size_t best_far = least(FAR, len); /* of a two-letter word at most one may differ */
    for (size_t i = 0; i < num; i++) {
        const bool begins = len > 1 && strncmp(text, names[i], len) == 0;
        const size_t far = begins ? 1 : distance(text, names[i]);
        if (far >= best_far) continue;
        best_far = far;
        best = names[i];
    }
    return best;
}

static int unknown_option(const char *subcommand, const char *given, const struct option *options)
{
    const char *names[MAX_OPTIONS];
    char word[MAX_WORD + 1];
    size_t num = 0;
    for (; num < MAX_OPTIONS && options[num].name != NULL; num++) names[num] = options[num].name;
    (void)snprintf(word, sizeof word, "%.*s", (int)least(strcspn(given + 2, "="), MAX_WORD), given + 2);
    const char *near = tool_nearest(word, names, num);
    if (near == NULL) return tool_usage(subcommand, "unknown option %s", given);
    return tool_usage(subcommand, "unknown option %s: did you mean --%s?", given, near);
}

int tool_bad_option(const char *subcommand, const char *given, const struct option *options)
{
    if (optopt > 0 && optopt < 128 && strncmp(given, "--", 2) != 0)
        return tool_usage(subcommand, "unknown option -%c", optopt);
    if (strncmp(given, "--", 2) != 0) return tool_usage(subcommand, "unknown option %s", given);
    if (optopt != 0) return tool_usage(subcommand, "%s: this option takes no value", given);
    return unknown_option(subcommand, given, options);
}
