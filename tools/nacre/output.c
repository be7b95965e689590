/* SPDX-License-Identifier: MIT */
/* output: messages and errors printed by the subcommands. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hosted/visible.h"
#include "formats.h"
#include "tool.h"

enum { MAX_LINE = 1024 };

/* Prints one line; control characters from file names and peers are replaced. */
static void print_line(const char *subcommand, const char *format, va_list args, const char *hint)
{
    char line[MAX_LINE];
    if (vsnprintf(line, sizeof line, format, args) < 0) line[0] = '\0';
    nacre__make_visible(line);
    const char *space = subcommand != NULL ? " " : "";
    fprintf(stderr, "nacre%s%s: %s%s\n", space, subcommand != NULL ? subcommand : "", line, hint);
}

int tool_fail(const char *subcommand, nacre_err err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line(subcommand, format, args, "");
    va_end(args);
    return tool_exit_code(err);
}

int tool_usage(const char *subcommand, const char *format, ...)
{
    char hint[64];
    snprintf(hint, sizeof hint, "; try 'nacre %s%s--help'", subcommand != NULL ? subcommand : "",
             subcommand != NULL ? " " : "");
    va_list args;
    va_start(args, format);
    print_line(subcommand, format, args, hint);
    va_end(args);
    return TOOL_USAGE;
}

int tool_flush(const char *subcommand)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return TOOL_OK;
    return tool_fail(subcommand, NACRE_ERR_FILE, "cannot write to standard output: %s", strerror(errno));
}

void tool_print_hex(void *file, nacre_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) fprintf(file, "%02x", bytes.ptr[i]);
}

static bool is_text(nacre_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.ptr[i];
        if ((c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c >= 0x7f) return false;
    }
    return true;
}

/* Prints text in quotes on one line, other bytes as hex. */
static void print_value(FILE *file, nacre_bytes value)
{
    if (!is_text(value)) {
        tool_print_hex(file, value);
        return;
    }
    fputc('"', file);
    for (size_t i = 0; i < value.len; i++) {
        char c = (char)value.ptr[i];
        if (c == '\n') fputs("\\n", file);
        else if (c == '\r') fputs("\\r", file);
        else if (c == '\t') fputs("\\t", file);
        else if (c == '"' || c == '\\') fprintf(file, "\\%c", c);
        else fputc(c, file);
    }
    fputc('"', file);
}

static void print_number(FILE *file, uint16_t option, uint64_t number)
{
    const bool is_format = option == NACRE_OPT_CONTENT_FORMAT || option == NACRE_OPT_ACCEPT;
    const char *name = is_format ? tool_format_name(number) : NULL;
    fprintf(file, "%" PRIu64, number);
    if (name != NULL) fprintf(file, " (%s)", name);
}

static void print_option(FILE *file, const char *prefix, const nacre_option *option)
{
    const nacre_option_info *info = nacre_option_lookup(option->number);
    uint64_t number = 0;
    if (info->name != NULL) fprintf(file, "%s  %s: ", prefix, info->name);
    else fprintf(file, "%s  option %u: ", prefix, (unsigned)option->number);
    if ((info->flags & NACRE_FORMAT_UINT) != 0 && nacre_option_uint(option->value, &number))
        print_number(file, option->number, number);
    else if ((info->flags & NACRE_FORMAT_STRING) != 0) print_value(file, option->value);
    else if (option->value.len == 0) fprintf(file, "(empty)");
    else tool_print_hex(file, option->value);
    fputc('\n', file);
}

void tool_print_message(void *file, const char *prefix, const nacre_message *message)
{
    static const char *const types[] = { "CON", "NON", "ACK", "RST" };
    char digits[5];
    fprintf(file, "%s%s %s", prefix, types[message->type & 3], nacre_code_name(message->code, digits));
    if (!nacre_is_absent(message->token)) { /* an own request has no message ID and token before it is sent */
        fprintf(file, ", MID %u, token %s", (unsigned)message->mid, message->token.len == 0 ? "(empty)" : "");
        tool_print_hex(file, message->token);
    }
    fputc('\n', file);
    nacre_option option;
    for (nacre_option_iter it = nacre_option_begin(message->options); nacre_option_next(&it, &option);)
        print_option(file, prefix, &option);
    if (message->payload.len == 0) return;
    fprintf(file, "%s  payload, %zu byte%s: ", prefix, message->payload.len, message->payload.len == 1 ? "" : "s");
    print_value(file, message->payload);
    fputc('\n', file);
}
