/* SPDX-License-Identifier: MIT */
/* store_lines: a failure that begins too soon after the previous line is not printed, nor its end; one that lasts is printed
 * with the next STILL_FAILS report. A flapping store gives two lines in five seconds; every printed failure has its end. */
#include "store_lines.h"

#include <inttypes.h>
#include <stdio.h>

enum { LINE_MS = 5000 };

static void write_line(const store_lines *lines, const nacre_store_report *report, const char *text)
{
    if (lines->write != NULL) lines->write(report->err == NACRE_OK, text);
    else (void)tool_fail(lines->subcommand, report->err, "%s", text);
}

static void say_that_it_fails(store_lines *lines, const nacre_store_report *report)
{
    char text[1024];
    const uint64_t now = nacre_clock_ms();
    if (report->num_failing == lines->num_said) return;
    if (lines->said_at != 0 && now - lines->said_at < LINE_MS) return;
    lines->said_at = now;
    lines->num_said = report->num_failing;
    (void)snprintf(text, sizeof text, "the store of %zu context%s fails: %s", report->num_failing,
                   report->num_failing == 1 ? "" : "s", report->text);
    write_line(lines, report, text);
}

void store_lines_tell(void *user, const nacre_store_report *report)
{
    store_lines *lines = user;
    if (lines->keeps) {
        if (lines->kept.text[0] == '\0') (void)snprintf(lines->kept.text, sizeof lines->kept.text, "%s", report->text);
        return;
    }
    if (report->state != NACRE_STORE_WORKS) {
        say_that_it_fails(lines, report);
    } else if (report->num_failing == 0 && lines->num_said > 0) {
        char text[128];
        lines->num_said = 0;
        (void)snprintf(text, sizeof text, "the stores of all contexts work again, after %" PRIu64 " failures",
                       report->num_failures);
        write_line(lines, report, text);
    }
}
