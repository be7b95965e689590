/* SPDX-License-Identifier: MIT */
/* nacre bench: the cost of protection on this machine, beside the bare cipher. The cases are those of bench/protect.c. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protect.h"
#include "options.h"
#include "suggest.h"
#include "tool.h"

enum { DEFAULT_SECONDS = 10, MAX_SECONDS = 3600 };

static int help(void)
{
    printf("Usage: nacre bench [--provider NAME] [--seconds N] [--json]\n"
           "Measure protecting and unprotecting, with AES-CCM-16-64-128, on this machine: one message at a time by\n"
           "the length of its payload, and bursts of messages of different contexts. Each pair is nanoseconds per\n"
           "message, and the ratio to the bare cipher over the same bytes. The ratio is the more reliable number:\n"
           "a machine's speed drifts.\n\n"
           "  --provider NAME  the cryptography to use: openssl or ipsec_mb (default: the one that nacre --version "
           "names)\n"
           "  --seconds N      run for about N seconds (1 to 3600; default: 10)\n"
           "  --json           all results as JSON: medians and quartiles, of the bare cipher too\n"
           "  --help           this text\n");
    return tool_flush("bench");
}

/* ---- The table ---- */

typedef struct table {
    size_t column; /* of the current row */
    bool in_bursts;
} table;

static void start_row(table *t, const char *row)
{
    static const char *const titles[PROTECT_NUM_OPERATIONS] = { "protect request", "unprotect request",
                                                                "protect response", "unprotect response" };
    const bool burst = strncmp(row, "burst", 5) == 0;
    if (burst && !t->in_bursts) printf("\nbursts of messages with 16 B of payload\n");
    else if (!burst && strcmp(row, "0 B") == 0) {
        printf("%-12s", "payload");
        for (size_t i = 0; i < PROTECT_NUM_OPERATIONS; i++) printf("  %20s", titles[i]);
        putchar('\n');
    }
    t->in_bursts = burst;
    printf("%-12s", row);
}

/* Results of one comparison: the bare cipher, nacre, and other implementations. Four comparisons make a row (protect.h). */
static void show(void *user, const bench_result *results, size_t num)
{
    table *t = user;
    const char *row = strrchr(results[0].label, ',');
    if (t->column == 0) start_row(t, row != NULL ? row + 2 : results[0].label);
    if (num > 1) printf("  %8.0f ns %6.2f x", results[1].value, results[1].ratio);
    t->column = (t->column + 1) % PROTECT_NUM_OPERATIONS;
    if (t->column == 0) putchar('\n');
    (void)fflush(stdout); /* the table takes ten seconds: show each row at once */
}

static void show_nothing(void *user, const bench_result *results, size_t num)
{
    (void)user, (void)results, (void)num;
}

/* ---- Running ---- */

typedef struct args {
    const char *provider;
    unsigned seconds;
    bool json;
} args;

static nacre_err measure(const args *a)
{
    char processor[128];
    table t = { 0 };
    const double each = (double)a->seconds / PROTECT_NUM_COMPARISONS;
    const bench_config config = {
        .name = "protect",
        .title = PROTECT_TITLE,
        .seconds = each,
        .slice_ns = each < 0.1 ? 2.5e6 * each : 0, /* many short rounds are more precise than a few long ones */
        .show = a->json ? show_nothing : show,
        .user = &t,
    };
    bench_processor(processor, sizeof processor);
    if (!a->json) printf("nacre %s (%s) on %s: AES-CCM-16-64-128\n", nacre_version(), a->provider, processor);
    bench *b = bench_open(&config);
    nacre_err err = protect_compare(b, a->provider);
    if (err == NACRE_OK && a->json) bench_write_json(b, stdout);
    (void)bench_finish(b);
    return err;
}

/* The provider that the library chooses by default. */
static int find_default(args *a)
{
    nacre_crypto crypto;
    if (a->provider != NULL) return TOOL_OK;
    nacre_err err = nacre_provider_open(&crypto);
    if (err != NACRE_OK) return tool_fail("bench", err, "no cryptography: %s", nacre_err_text(err));
    const char *name;
    for (size_t i = 0; (name = protect_provider(i)) != NULL; i++)
        if (strcmp(name, crypto.ops->name) == 0) a->provider = name;
    nacre_provider_close(&crypto);
    return TOOL_OK;
}

static int take_provider(args *a, const char *text)
{
    const char *name;
    for (size_t i = 0; (name = protect_provider(i)) != NULL; i++)
        if (strcmp(name, text) == 0) a->provider = name;
    if (a->provider == NULL || strcmp(a->provider, text) != 0)
        return tool_usage("bench", "--provider %.60s: give openssl or ipsec_mb", text);
    return TOOL_OK;
}

static int take_seconds(args *a, const char *text)
{
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < 1 || value > MAX_SECONDS)
        return tool_usage("bench", "--seconds %.60s: give a number from 1 to %d", text, (int)MAX_SECONDS);
    a->seconds = (unsigned)value;
    return TOOL_OK;
}

int tool_bench(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "provider", required_argument, NULL, 'p' },
        { "seconds", required_argument, NULL, 's' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    args a = { .seconds = DEFAULT_SECONDS };
    int code = TOOL_OK;
    if (tool_options_once(argc, argv, ":h", long_options, 0) != TOOL_OK) return TOOL_USAGE;
    for (int c; code == TOOL_OK && (c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        switch (c) {
        case 'h': return help();
        case 'p': code = take_provider(&a, optarg); break;
        case 's': code = take_seconds(&a, optarg); break;
        case 'j': a.json = true; break;
        case ':': return tool_usage("bench", "%s needs a value", argv[optind - 1]);
        default: return tool_bad_option("bench", argv[optind - 1], long_options);
        }
    }
    if (code == TOOL_OK && optind < argc) code = tool_usage("bench", "%s: bench takes options only", argv[optind]);
    if (code == TOOL_OK) code = find_default(&a);
    if (code != TOOL_OK) return code;
    nacre_err err = measure(&a);
    if (err != NACRE_OK) return tool_fail("bench", err, "cannot use %s: %s", a.provider, nacre_err_text(err));
    return tool_flush("bench");
}
