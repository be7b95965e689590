/* SPDX-License-Identifier: MIT */
/* serve_config: reads the configuration file, YAML with keys, groups of keys and lists, by libyaml's events.
 *
 * Values are taken as text, so that a number is exact and a path is never taken for something else. What nacre has no use for is
 * refused: anchors and aliases, tags, several documents, keys of another type. */
#include "serve_settings.h"
#include "base/hosted/detail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

enum { MAX_FILE = 1024 * 1024, MAX_NAME = 64 };

typedef struct reader {
    serve_settings *s;
    yaml_parser_t parser;
    yaml_event_t event; /* the current one, or all zero */
    nacre_detail *why;
} reader;

/* ---- Events ----------------------------------------------------------------------------------------------------------- */

static unsigned line_of(const reader *r)
{
    return (unsigned)r->event.start_mark.line + 1;
}

static nacre_err fail_at(const reader *r, unsigned line, const char *text)
{
    return nacre__fail(r->why, NACRE_ERR_BAD_ARGUMENT, "%s:%u: %s", r->s->config, line, text);
}

static nacre_err fail_key(const reader *r, unsigned line, const char *key, const char *text)
{
    return nacre__fail(r->why, NACRE_ERR_BAD_ARGUMENT, "%s:%u: %s: %s", r->s->config, line, key, text);
}

static nacre_err check_plain(const reader *r)
{
    const yaml_event_t *e = &r->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (e->type == YAML_ALIAS_EVENT) return fail_at(r, line_of(r), "aliases are not used here: write the value itself");
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
        if (strlen((const char *)e->data.scalar.value) != e->data.scalar.length)
            return fail_at(r, line_of(r), "a value with a NUL byte: remove it");
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    }
    return anchor != NULL || tag != NULL ? fail_at(r, line_of(r), "anchors and tags are not used here: remove it")
                                         : NACRE_OK;
}

static nacre_err next(reader *r)
{
    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->parser, &r->event) == 1) return check_plain(r);
    memset(&r->event, 0, sizeof r->event);
    if (r->parser.error == YAML_MEMORY_ERROR) return nacre__fail(r->why, NACRE_ERR_NO_MEMORY, "out of memory");
    return fail_at(r, (unsigned)r->parser.problem_mark.line + 1,
                   r->parser.problem != NULL ? r->parser.problem : "this is not YAML");
}

static const char *scalar(const reader *r)
{
    return (const char *)r->event.data.scalar.value;
}

/* ---- Rights ------------------------------------------------------------------------------------------------------------ */

typedef struct row {
    char *field[3]; /* peers, methods, paths: entries separated by newlines */
} row;

static const char *const row_names[] = { "peers", "methods", "paths" };

static nacre_err append(const reader *r, char **list, const char *text)
{
    const size_t before = *list != NULL ? strlen(*list) : 0, len = strlen(text);
    char *longer = realloc(*list, before + len + 2);
    if (longer == NULL) return nacre__fail(r->why, NACRE_ERR_NO_MEMORY, "out of memory");
    if (before > 0) longer[before] = '\n';
    memcpy(longer + before + (before > 0), text, len + 1);
    *list = longer;
    return NACRE_OK;
}

/* A text, or a list of texts. */
static nacre_err read_texts(reader *r, char **list, const char *name)
{
    nacre_err err = next(r);
    if (err != NACRE_OK) return err;
    if (r->event.type == YAML_SCALAR_EVENT) return append(r, list, scalar(r));
    if (r->event.type != YAML_SEQUENCE_START_EVENT)
        return fail_key(r, line_of(r), name, "give a text or a list of texts");
    while ((err = next(r)) == NACRE_OK && r->event.type == YAML_SCALAR_EVENT)
        if ((err = append(r, list, scalar(r))) != NACRE_OK) return err;
    if (err == NACRE_OK && r->event.type != YAML_SEQUENCE_END_EVENT)
        err = fail_key(r, line_of(r), name, "give a text or a list of texts");
    return err;
}

static nacre_err read_row(reader *r, row *fields)
{
    nacre_err err;
    while ((err = next(r)) == NACRE_OK && r->event.type == YAML_SCALAR_EVENT) {
        size_t i = 0;
        while (i < 3 && strcmp(scalar(r), row_names[i]) != 0) i++;
        if (i == 3) return fail_key(r, line_of(r), scalar(r), "rights have peers, methods and paths");
        if (fields->field[i] != NULL) return fail_key(r, line_of(r), row_names[i], "it is given twice: remove one");
        if ((err = read_texts(r, &fields->field[i], row_names[i])) != NACRE_OK) return err;
    }
    if (err == NACRE_OK && r->event.type != YAML_MAPPING_END_EVENT)
        err = fail_at(r, line_of(r), "rights have peers, methods and paths");
    return err;
}

static nacre_err add_row(reader *r)
{
    row fields = { { NULL } };
    nacre_detail what = { "" };
    const unsigned line = line_of(r);
    nacre_err err = read_row(r, &fields);
    if (err == NACRE_OK) {
        err = serve_rights_add(r->s->rights, fields.field[0], fields.field[1], fields.field[2], &what);
        if (err != NACRE_OK) err = fail_key(r, line, "rights", what.text);
    }
    for (size_t i = 0; i < 3; i++) free(fields.field[i]);
    return err;
}

static nacre_err read_rights(reader *r, unsigned line)
{
    nacre_err err = NACRE_OK;
    if (r->s->rights == NULL) r->s->rights = serve_rights_new();
    if (r->s->rights == NULL) return nacre__fail(r->why, NACRE_ERR_NO_MEMORY, "out of memory");
    r->s->from[serve_key_find("rights") - serve_keys] = line;
    while ((err = next(r)) == NACRE_OK && r->event.type == YAML_MAPPING_START_EVENT)
        if ((err = add_row(r)) != NACRE_OK) return err;
    if (err == NACRE_OK && r->event.type != YAML_SEQUENCE_END_EVENT)
        err = fail_at(r, line_of(r), "rights are a list of rows with peers, methods and paths");
    return err;
}

/* ---- Keys -------------------------------------------------------------------------------------------------------------- */

/* The current event is the value. A number or a switch in quotation marks is a text. */
static nacre_err set(reader *r, const serve_key *key)
{
    nacre_detail what = { "" };
    const unsigned line = line_of(r);
    const bool is_text = key->kind == SERVE_TEXT || key->kind == SERVE_LIST || key->kind == SERVE_CHOICE;
    if (r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE && !is_text)
        return fail_key(r, line, key->name, "write the value without quotation marks");
    const nacre_err err = serve_settings_set(r->s, key, scalar(r), line, &what);
    return err == NACRE_OK ? err : fail_key(r, line, key->name, what.text);
}

static nacre_err read_list(reader *r, const serve_key *key, unsigned line)
{
    nacre_err err;
    unsigned *const from = &r->s->from[key - serve_keys];
    if (key->kind == SERVE_RIGHTS) return read_rights(r, line);
    if (key->kind != SERVE_LIST) return fail_key(r, line_of(r), key->name, "give one value, not a list");
    if (*from == 0) *from = line;
    while ((err = next(r)) == NACRE_OK && r->event.type == YAML_SCALAR_EVENT)
        if ((err = set(r, key)) != NACRE_OK) return err;
    if (err == NACRE_OK && r->event.type != YAML_SEQUENCE_END_EVENT)
        err = fail_key(r, line_of(r), key->name, "give a list of texts");
    return err;
}

static const char *const groups[] = { "log", "limits" };
enum { NUM_GROUPS = sizeof groups / sizeof groups[0] };

/* NUM_GROUPS: it is none. */
static size_t group_of(const char *name)
{
    size_t i = 0;
    while (i < NUM_GROUPS && strcmp(name, groups[i]) != 0) i++;
    return i;
}

static nacre_err read_value(reader *r, const char *name, unsigned line)
{
    const serve_key *key = serve_key_find(name);
    if (key == NULL) return fail_key(r, line, name, "there is no such key: see man nacre-serve.conf");
    const unsigned before = r->s->from[key - serve_keys];
    if (before != 0 && before != SERVE_FROM_OPTION) return fail_key(r, line, name, "it is given twice: remove one");
    if (r->event.type == YAML_SEQUENCE_START_EVENT) return read_list(r, key, line);
    if (r->event.type != YAML_SCALAR_EVENT) return fail_key(r, line_of(r), name, "give one value, not a group of keys");
    if (key->kind == SERVE_LIST || key->kind == SERVE_RIGHTS) return fail_key(r, line_of(r), name, "give a list");
    return set(r, key);
}

/* The keys of a mapping whose start is the current event. `group` is "" or "log" and the like. */
static nacre_err read_keys(reader *r, const char *group, bool groups_seen[NUM_GROUPS])
{
    char name[MAX_NAME];
    nacre_err err;
    while ((err = next(r)) == NACRE_OK && r->event.type == YAML_SCALAR_EVENT) {
        const unsigned line = line_of(r);
        const int len = snprintf(name, sizeof name, "%s%s%s", group, *group != '\0' ? "." : "", scalar(r));
        if (len < 0 || (size_t)len >= sizeof name || (*group == '\0' && strchr(scalar(r), '.') != NULL))
            return fail_key(r, line, name, "there is no such key: see man nacre-serve.conf");
        if ((err = next(r)) != NACRE_OK) return err;
        const size_t i = group_of(name);
        if (i == NUM_GROUPS) {
            if ((err = read_value(r, name, line)) != NACRE_OK) return err;
            continue;
        }
        const bool is_empty = r->event.type == YAML_SCALAR_EVENT && scalar(r)[0] == '\0';
        if (r->event.type != YAML_MAPPING_START_EVENT && !is_empty)
            return fail_key(r, line, name, "give a group of keys");
        if (groups_seen[i]) return fail_key(r, line, name, "it is given twice: remove one");
        groups_seen[i] = true;
        if (is_empty) continue; /* all of its keys are comments */
        if ((err = read_keys(r, name, groups_seen)) != NACRE_OK) return err;
    }
    if (err == NACRE_OK && r->event.type != YAML_MAPPING_END_EVENT) err = fail_at(r, line_of(r), "keys are texts");
    return err;
}

/* One document with keys; an empty file has none. */
static nacre_err read_document(reader *r)
{
    bool groups_seen[NUM_GROUPS] = { false };
    nacre_err err = next(r);            /* the start of the stream */
    if (err == NACRE_OK) err = next(r); /* of the document */
    if (err != NACRE_OK || r->event.type == YAML_STREAM_END_EVENT) return err;
    err = next(r);
    if (err != NACRE_OK) return err;
    if (r->event.type != YAML_MAPPING_START_EVENT) return fail_at(r, line_of(r), "give keys: 'key: value'");
    err = read_keys(r, "", groups_seen);
    if (err == NACRE_OK) err = next(r); /* the end of the document */
    if (err == NACRE_OK) err = next(r);
    if (err == NACRE_OK && r->event.type != YAML_STREAM_END_EVENT)
        err = fail_at(r, line_of(r), "one document only: remove what follows ---");
    return err;
}

/* ---- The file ------------------------------------------------------------------------------------------------------------ */

static nacre_err fail_file(const serve_settings *s, const char *text, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_FILE, "%s: %s", s->config, text);
}

static nacre_err slurp(const serve_settings *s, int fd, char **out, size_t *len, nacre_detail *why)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return fail_file(s, strerror(errno), why);
    if (!S_ISREG(st.st_mode)) return fail_file(s, "it is no regular file: give one", why);
    if (st.st_size > MAX_FILE) return fail_file(s, "it is longer than a mebibyte: is it the right file?", why);
    char *text = malloc(MAX_FILE + 1);
    if (text == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory");
    ssize_t got = 1;
    for (*len = 0; *len < MAX_FILE && got > 0; *len += got > 0 ? (size_t)got : 0)
        got = read(fd, text + *len, MAX_FILE - *len);
    if (got < 0) {
        free(text);
        return fail_file(s, strerror(errno), why);
    }
    *out = text;
    return NACRE_OK;
}

nacre_err serve_config_read(serve_settings *s, nacre_detail *why)
{
    char *text = NULL;
    size_t len = 0;
    const int fd = open(s->config, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot open: %s", s->config, strerror(errno));
    nacre_err err = slurp(s, fd, &text, &len, why);
    (void)close(fd);
    if (err != NACRE_OK) return err;
    reader r = { .s = s, .why = why };
    if (yaml_parser_initialize(&r.parser) != 1) {
        free(text);
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory");
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    err = read_document(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    free(text);
    return err;
}
