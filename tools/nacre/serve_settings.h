/* SPDX-License-Identifier: MIT */
/* serve_settings: what the command line and the configuration file of nacre serve set. Both set the same keys; the command
 * line wins. */
#ifndef NACRE_TOOL_SERVE_SETTINGS_H
#define NACRE_TOOL_SERVE_SETTINGS_H

#include "serve_log.h"
#include "serve_rights.h"
#include "tool.h"

enum { SERVE_MAX_KEYS = 64 };

typedef struct serve_settings {
    char *config; /* the configuration file, NULL: none */
    char *bind, *credentials, *root, *metrics;
    char **contexts;
    size_t num_contexts;
    char *database, *kek; /* of --db; the path of its key-encryption key */
    nacre_role role;
    bool help, check_only, verbose, tcp, writable, demo;
    unsigned log_level, log_format; /* serve_level, serve_format */
    uint32_t stop_timeout_ms, log_period_ms;
    serve_rights *rights;          /* NULL: none are configured */
    nacre_server_config limits;    /* 0: the default, until serve_settings_finish */
    unsigned from[SERVE_MAX_KEYS]; /* by key: line of the file; 0: not set, SERVE_FROM_OPTION: by the command line */
} serve_settings;

enum { SERVE_FROM_OPTION = UINT32_MAX };

typedef enum serve_kind {
    SERVE_TEXT,
    SERVE_LIST,   /* of texts */
    SERVE_SWITCH, /* yes or no */
    SERVE_CHOICE, /* one of `words`, by its position */
    SERVE_NUMBER, /* in a field of `size` bytes */
    SERVE_RIGHTS, /* rows of the file only */
} serve_kind;

/* One key. `name` has its group in front: "limits.observers". */
typedef struct serve_key {
    const char *name;
    serve_kind kind;
    size_t offset, size;  /* of the field in serve_settings */
    uint64_t least, most; /* of a number */
    const char *words;    /* of a choice, separated by spaces */
    bool can_change;      /* while the server runs */
} serve_key;

/* serve_keys: all of them; the last has no name. serve_key_find: NULL when there is none of this name. */
extern const serve_key serve_keys[];
const serve_key *serve_key_find(const char *name);

/* serve_settings_init sets everything to its default; serve_settings_free. */
void serve_settings_init(serve_settings *s);
void serve_settings_free(serve_settings *s);

/* serve_settings_set reads `text` as the value of `key`, from this line of the file or SERVE_FROM_OPTION. A list gets one more
 * entry. What the command line has set stays, and the text is only checked.
 * NACRE_OK; NACRE_ERR_BAD_ARGUMENT (`why` says what the value must be); NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err serve_settings_set(serve_settings *s, const serve_key *key, const char *text, unsigned from,
                                            nacre_detail *why);

/* serve_settings_finish checks what holds between keys, and fills in the defaults of limits. NACRE_OK; NACRE_ERR_BAD_ARGUMENT. */
NACRE_MUST_USE nacre_err serve_settings_finish(serve_settings *s, nacre_detail *why);

/* serve_settings_is_set: by the command line or the file. serve_settings_equal compares the values of a key. */
bool serve_settings_is_set(const serve_settings *s, const char *name);
bool serve_settings_equal(const serve_settings *a, const serve_settings *b, const serve_key *key);

/* serve_config_read reads s->config into `s` (serve_config.c, YAML). NACRE_OK; NACRE_ERR_FILE; NACRE_ERR_BAD_ARGUMENT: `why` has
 * file and line; NACRE_ERR_UNSUPPORTED: built without libyaml. */
NACRE_MUST_USE nacre_err serve_config_read(serve_settings *s, nacre_detail *why);

/* serve_settings_load reads the command line, then the file that it names. TOOL_OK; else the exit code, with a line on stderr.
 * serve_settings_load_again does so while the server runs, with the same command line: errors are returned. */
int serve_settings_load(serve_settings *s, int argc, char **argv);
NACRE_MUST_USE nacre_err serve_settings_load_again(serve_settings *s, int argc, char **argv, nacre_detail *why);
int serve_help(void);

#endif
