/* SPDX-License-Identifier: MIT */
/* input: hex from the command line or from stdin. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

enum { MAX_TEXT = 1024 * 1024 };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

/* Removes white space in place; returns the new length. */
static size_t squeeze(char *text, size_t len)
{
    size_t left = 0;
    for (size_t i = 0; i < len; i++)
        if (!is_space(text[i])) text[left++] = text[i];
    return left;
}

static int decode(const char *subcommand, nacre_bytes *out, nacre_buf buf, char *text, size_t len)
{
    len = squeeze(text, len);
    if (len == 0) return tool_usage(subcommand, "no message: give it in hex, as an argument or on standard input");
    nacre_err err = nacre_hex_decode(out, buf, text, len);
    if (err == NACRE_OK) return TOOL_OK;
    if (err == NACRE_ERR_BUFFER_TOO_SMALL)
        return tool_fail(subcommand, NACRE_ERR_TOO_LONG, "the message has %zu bytes, at most %zu are allowed", len / 2,
                         buf.cap);
    return tool_fail(subcommand, err, "the message must be pairs of hex digits, found %zu character%s%s", len,
                     len == 1 ? "" : "s", len % 2 != 0 ? ", an odd number" : " that are not all hex digits");
}

static int read_stdin(const char *subcommand, char *text, size_t *len)
{
    *len = fread(text, 1, MAX_TEXT, stdin);
    if (ferror(stdin)) return tool_fail(subcommand, NACRE_ERR_FILE, "cannot read standard input: %s", strerror(errno));
    if (*len == MAX_TEXT) return tool_fail(subcommand, NACRE_ERR_TOO_LONG, "more than 1 MiB on standard input");
    return TOOL_OK;
}

int tool_read_hex(const char *subcommand, nacre_bytes *out, nacre_buf buf, const char *argument)
{
    size_t len = argument != NULL ? strlen(argument) : 0;
    char *text = malloc(len > MAX_TEXT ? len : MAX_TEXT);
    if (text == NULL) return tool_fail(subcommand, NACRE_ERR_NO_MEMORY, "out of memory");
    int code = TOOL_OK;
    if (argument != NULL) memcpy(text, argument, len);
    else code = read_stdin(subcommand, text, &len);
    if (code == TOOL_OK) code = decode(subcommand, out, buf, text, len);
    nacre_wipe(text, len); /* the input may be a secret */
    free(text);
    return code;
}
