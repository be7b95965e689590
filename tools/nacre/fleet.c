/* SPDX-License-Identifier: MIT */
/* fleet: many contexts in an SQLite database. This file reads the command line; fleet_*.c have the commands. */
#include "base/hosted/visible.h"
#include "fleet.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/json/decimal.h"
#include "suggest.h"

/* `options`: the letters of the options that a command has in addition to kek and help. */
static const struct {
    const char *name;
    int (*run)(fleet_args *a);
    const char *arguments, *options, *purpose;
    int min_words, max_words;
} commands[] = {
    { "create", fleet_create, "DB", "", "make an empty database", 0, 0 },
    { "keygen", fleet_keygen, "DB --count N --out DIR", "cao", "make N fresh contexts, and client directories in DIR",
      0, 0 },
    { "add", fleet_add, "DB FILE", "", "add contexts of a JSON file (- is standard input)", 1, 1 },
    { "import", fleet_import, "DB DIR...", "Rn", "move contexts of directories into the database", 1, 1 << 20 },
    { "export", fleet_export, "DB ID DIR", "", "move a context into a new directory", 2, 2 },
    { "list", fleet_list, "DB", "jA", "list contexts", 0, 0 },
    { "show", fleet_show, "DB ID", "jr", "show one context", 1, 1 },
    { "stats", fleet_stats, "DB", "j", "count contexts and writes", 0, 0 },
    { "remove", fleet_remove, "DB ID...", "", "end contexts; their keys may come back, above their numbers", 1,
      1 << 20 },
    { "revoke", fleet_revoke, "DB ID...", "", "end contexts for good", 1, 1 << 20 },
    { "check", fleet_check, "DB", "", "report damage and copies; changes nothing", 0, 0 },
    { "adopt", fleet_adopt, "DB", "", "use a database that was moved or put back", 0, 0 },
};
enum { NUM_COMMANDS = sizeof commands / sizeof commands[0] };

static int help(void)
{
    printf("Usage: nacre fleet COMMAND DB [ARGUMENT]... [OPTION]...\n"
           "Keep many contexts in an SQLite database (docs/fleet.md), for 'nacre serve --db DB'.\n\n");
    for (int i = 0; i < NUM_COMMANDS; i++)
        printf("  %-8s %-24s %s\n", commands[i].name, commands[i].arguments, commands[i].purpose);
    printf(
        "\n  --kek FILE    key-encryption key, 32 bytes (head -c 32 /dev/urandom), for create and for a database "
        "created with one\n"
        "  --count N     keygen: how many, up to 1000000\n"
        "  --alg NAME    keygen: the AEAD algorithm (nacre keygen --help lists them)\n"
        "  --out DIR     keygen: the client directories are DIR/ID; DIR exists\n"
        "  --name NAME   import: a name for the context; one directory only\n"
        "  --role ROLE   import: client or server, the side of a directory in the legacy layout\n"
        "  --all         list: removed, revoked and exported ones too\n"
        "  --reveal      show: with the secret and the salt\n"
        "  --json        list, show, stats: as JSON\n"
        "  --help        this text\n\n"
        "list, show, stats and check also work while a server has the database open.\n"
        "Back up with: (umask 077; sqlite3 DB '.backup FILE'). A backup that is put back is refused until 'nacre fleet "
        "adopt'.\n");
    return tool_flush("fleet");
}

/* ---- Options ---- */

static const struct option long_options[] = {
    { "kek", required_argument, NULL, 'k' },
    { "count", required_argument, NULL, 'c' },
    { "alg", required_argument, NULL, 'a' },
    { "out", required_argument, NULL, 'o' },
    { "name", required_argument, NULL, 'n' },
    { "role", required_argument, NULL, 'R' },
    { "all", no_argument, NULL, 'A' },
    { "reveal", no_argument, NULL, 'r' },
    { "json", no_argument, NULL, 'j' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

static int take_option(fleet_args *a, int option)
{
    nacre_detail why;
    switch (option) {
    case 'k':
        if (tool_kek(&a->config.kek, a->kek, optarg, &why) != NACRE_OK)
            return tool_fail("fleet", NACRE_ERR_FILE, "%s", why.text);
        break;
    case 'c':
        if (nacre__decimal_to_uint(&a->count, optarg, strlen(optarg)) != NACRE__DECIMAL_OK || a->count == 0 ||
            a->count > 1000000)
            return tool_usage("fleet", "--count %s: not a number from 1 to 1000000", optarg);
        break;
    case 'a':
        a->aead = nacre_aead_by_name(optarg);
        if (a->aead == NULL) return tool_usage("fleet", "--alg: unknown algorithm \"%.40s\"", optarg);
        break;
    case 'o': a->out = optarg; break;
    case 'n': a->name = optarg; break;
    case 'R': return tool_role("fleet", &a->role, optarg);
    case 'A': a->all = true; break;
    case 'r': a->reveal = true; break;
    default: a->json = true; break;
    }
    return TOOL_OK;
}

/* Options that only other commands have are refused. */
static int parse(fleet_args *a, int which, int argc, char **argv)
{
    opterr = 0;
    optind = 1;
    for (int c; (c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        const char *given = argv[optind - 1];
        if (c == ':') return tool_usage("fleet", "%s needs a value", given);
        if (c == '?') return tool_bad_option("fleet", given, long_options);
        if (c != 'k' && strchr(commands[which].options, c) == NULL)
            return tool_usage("fleet", "%s takes no %s", commands[which].name, given);
        const int code = take_option(a, c);
        if (code != TOOL_OK) return code;
    }
    const int num = argc - optind - 1;
    if (num < commands[which].min_words || num > commands[which].max_words)
        return tool_usage("fleet", "%s expects %s", commands[which].name, commands[which].arguments);
    a->path = argv[optind];
    a->words = argv + optind + 1;
    a->num_words = num;
    return TOOL_OK;
}

static int run(int which, int argc, char **argv)
{
    nacre_crypto crypto;
    fleet_args a = { .command = commands[which].name, .config = nacre_sqlite_config_default() };
    int code = parse(&a, which, argc, argv);
    if (code != TOOL_OK) return code;
    const nacre_err err = nacre_openssl_open(&crypto);
    if (err != NACRE_OK) return tool_fail("fleet", err, "%s", nacre_err_text(err));
    a.crypto = &crypto;
    code = commands[which].run(&a);
    nacre_openssl_close(&crypto);
    nacre_wipe(a.kek, sizeof a.kek);
    return code;
}

int tool_fleet(int argc, char **argv)
{
    const char *names[NUM_COMMANDS];
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return help();
    if (argc < 2) return tool_usage("fleet", "a command is missing");
    for (int i = 0; i < NUM_COMMANDS; i++) {
        names[i] = commands[i].name;
        if (strcmp(argv[1], commands[i].name) == 0) return run(i, argc - 1, argv + 1);
    }
    const char *near = tool_nearest(argv[1], names, NUM_COMMANDS);
    if (near != NULL) return tool_usage("fleet", "unknown command \"%.40s\": did you mean %s?", argv[1], near);
    return tool_usage("fleet", "unknown command \"%.40s\"", argv[1]);
}

/* ---- For the commands ---- */

void fleet_say(const char *format, ...)
{
    char line[9000]; /* two paths */
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    nacre__make_visible(line);
    (void)puts(line);
}

int fleet_open(nacre_sqlite **db, fleet_args *a, bool read_only)
{
    nacre_detail why;
    a->config.read_only = read_only;
    const nacre_err err = nacre_sqlite_open(db, a->path, &a->config, a->crypto, &why);
    return err == NACRE_OK ? TOOL_OK : tool_fail("fleet", err, "%s", why.text);
}

int fleet_close(nacre_sqlite *db, int code)
{
    nacre_detail why;
    const nacre_err err = nacre_sqlite_close(db, &why);
    if (code != TOOL_OK) return code;
    return err == NACRE_OK ? tool_flush("fleet") : tool_fail("fleet", err, "%s", why.text);
}

int fleet_id(int64_t *id, const char *text)
{
    uint64_t number;
    if (nacre__decimal_to_uint(&number, text, strlen(text)) != NACRE__DECIMAL_OK || number == 0 || number > INT64_MAX)
        return tool_usage("fleet", "\"%.40s\" is not the ID of a context (nacre fleet list)", text);
    *id = (int64_t)number;
    return TOOL_OK;
}
