/* SPDX-License-Identifier: MIT */
/* credentials_file: which context directory is for which URI, from a JSON file as aiocoap has it.
 *
 * Unlike there, an alias always leads to its entry, and what is not understood is an error when the file is loaded: a
 * request must never go out in clear because its entry was passed over. */
#include <nacre/store.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/arena.h"
#include "store/fail.h"
#include "store/files.h"
#include "store/json.h"
#include "store/uri_match.h"

enum { MAX_SIZE = 1024 * 1024 };

struct entry {
    const char *name;    /* pattern, or ":name" */
    const char *pattern; /* as matched: with a '/' behind a bare authority */
    const char *alias;   /* the entry that this one stands for, until resolved */
    const char *dir;
    size_t line, order;
    bool being_resolved;
};

struct nacre_credentials {
    struct nacre__arena_block *memory;
    struct entry *entries; /* in file order */
    size_t num_entries;
    struct entry **by_length; /* the patterns, longest first */
    size_t num_patterns;
    const char **dirs; /* each once, in file order */
    size_t num_dirs;
};

struct loading {
    nacre_credentials *c;
    const char *path;
    nacre_detail *why;
};

static nacre_err out_of_memory(const struct loading *l)
{
    return nacre__store_fail(l->why, NACRE_ERR_NO_MEMORY, "%s: out of memory", l->path);
}

static nacre_err bad(const struct loading *l, size_t line, const char *name, const char *text)
{
    return nacre__store_fail(l->why, NACRE_ERR_BAD_CREDENTIALS, "%s: line %zu: \"%.120s\": %s", l->path, line, name,
                             text);
}

static char *join(const struct loading *l, const char *first, size_t first_len, const char *second, size_t second_len)
{
    char *text = nacre__arena_take(&l->c->memory, first_len + second_len + 1);
    if (text == NULL) return NULL;
    memcpy(text, first, first_len);
    memcpy(text + first_len, second, second_len);
    return text;
}

/* ---- One entry ---- */

/* DIR, relative to the file's folder; a '/' at its end says nothing and would make one directory look like two. */
static nacre_err set_dir(const struct loading *l, struct entry *e, const nacre__json *value)
{
    size_t len = value->len;
    while (len > 1 && value->text[len - 1] == '/') len--;
    const char *slash = strrchr(l->path, '/');
    size_t folder_len = slash != NULL && value->text[0] != '/' ? (size_t)(slash - l->path) + 1 : 0;
    e->dir = join(l, l->path, folder_len, value->text, len);
    return e->dir != NULL ? NACRE_OK : out_of_memory(l);
}

static nacre_err read_oscore(const struct loading *l, struct entry *e, const nacre__json *oscore)
{
    if (oscore->type != NACRE__JSON_OBJECT) return bad(l, oscore->line, e->name, "\"oscore\" must be an object");
    for (const nacre__json *m = oscore->first; m != NULL; m = m->next)
        if (strcmp(m->name, "basedir") != 0 && strcmp(m->name, "contextfile") != 0)
            return nacre__store_fail(l->why, NACRE_ERR_BAD_CREDENTIALS,
                                     "%s: line %zu: \"%.120s\": \"oscore\" has \"%.60s\"; only \"basedir\" is allowed",
                                     l->path, m->line, e->name, m->name);
    if (oscore->num_children == 2)
        return bad(l, oscore->line, e->name, "both \"basedir\" and \"contextfile\", its old name; leave basedir");
    const nacre__json *dir = oscore->first;
    if (dir == NULL) return bad(l, oscore->line, e->name, "\"oscore\" needs \"basedir\", a context directory");
    if (dir->type != NACRE__JSON_STRING || dir->len == 0)
        return bad(l, dir->line, e->name, "\"basedir\" must be a string that names a context directory");
    return set_dir(l, e, dir);
}

static nacre_err read_object(const struct loading *l, struct entry *e, const nacre__json *value)
{
    if (value->num_children != 1)
        return bad(l, value->line, e->name, "exactly one member is expected, {\"oscore\": {\"basedir\": DIR}}");
    const nacre__json *type = value->first;
    if (strcmp(type->name, "oscore") == 0) return read_oscore(l, e, type);
    return nacre__store_fail(
        l->why, NACRE_ERR_BAD_CREDENTIALS,
        "%s: line %zu: \"%.120s\": credentials of type \"%.60s\" are not supported, only \"oscore\"", l->path,
        type->line, e->name, type->name);
}

static nacre_err read_alias(const struct loading *l, struct entry *e, const nacre__json *value)
{
    if (value->text[0] != ':')
        return bad(l, value->line, e->name, "a string stands for another entry and must begin with a colon, \":name\"");
    e->alias = join(l, value->text, value->len, "", 0);
    return e->alias != NULL ? NACRE_OK : out_of_memory(l);
}

/* A '/' is put where an empty path ends the authority, "coap://host" or "coap://host?query", as it is in every URI that
 * we compare with (RFC 7252 6.3). Behind a '*' there is no telling, and nothing is put. */
static nacre_err set_pattern(const struct loading *l, struct entry *e)
{
    const char *separator = e->name + strcspn(e->name, ":/?#*");
    e->pattern = e->name;
    if (strncmp(separator, "://", 3) != 0) return NACRE_OK;
    const char *end = separator + 3 + strcspn(separator + 3, "/?*");
    if (*end == '/' || *end == '*') return NACRE_OK;
    char *pattern = join(l, e->name, strlen(e->name) + 1, "", 0);
    if (pattern == NULL) return out_of_memory(l);
    size_t at = (size_t)(end - e->name);
    pattern[at] = '/';
    memcpy(pattern + at + 1, end, strlen(end) + 1);
    e->pattern = pattern;
    return NACRE_OK;
}

static nacre_err read_entry(const struct loading *l, struct entry *e, const nacre__json *value)
{
    e->line = value->line;
    e->name = join(l, value->name, strlen(value->name), "", 0);
    if (e->name == NULL) return out_of_memory(l);
    nacre_err err = set_pattern(l, e);
    if (err != NACRE_OK) return err;
    if (value->type == NACRE__JSON_STRING) return read_alias(l, e, value);
    if (value->type == NACRE__JSON_OBJECT) return read_object(l, e, value);
    return bad(l, value->line, e->name, "an object, a \":name\" or null is expected");
}

/* null takes an entry away, so it is none. */
static nacre_err read_entries(const struct loading *l, const nacre__json *root)
{
    nacre_credentials *c = l->c;
    if (root->type != NACRE__JSON_OBJECT)
        return nacre__store_fail(l->why, NACRE_ERR_BAD_CREDENTIALS, "%s: an object is expected, found %s", l->path,
                                 nacre__json_type_name(root));
    c->entries = nacre__arena_take(&c->memory, root->num_children * sizeof *c->entries);
    if (c->entries == NULL) return out_of_memory(l);
    for (const nacre__json *value = root->first; value != NULL; value = value->next) {
        if (value->type == NACRE__JSON_NULL) continue;
        struct entry *e = &c->entries[c->num_entries];
        e->order = c->num_entries++;
        nacre_err err = read_entry(l, e, value);
        if (err != NACRE_OK) return err;
    }
    return NACRE_OK;
}

/* ---- Aliases ---- */

static int by_name(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static struct entry *find_entry(struct entry **sorted, size_t num, const char *name)
{
    struct entry key = { .name = name }, *key_ptr = &key;
    struct entry **found = bsearch(&key_ptr, sorted, num, sizeof *sorted, by_name);
    return found != NULL ? *found : NULL;
}

/* Follows a chain to its directory, then gives that to every entry of the chain: none is walked twice. */
static nacre_err resolve_chain(const struct loading *l, struct entry *start, struct entry **sorted)
{
    struct entry *e = start;
    while (e->dir == NULL) {
        e->being_resolved = true;
        struct entry *next = find_entry(sorted, l->c->num_entries, e->alias);
        if (next == NULL)
            return nacre__store_fail(l->why, NACRE_ERR_BAD_CREDENTIALS,
                                     "%s: line %zu: \"%.120s\": stands for \"%.120s\", which is not there", l->path,
                                     e->line, e->name, e->alias);
        if (next->being_resolved)
            return bad(l, e->line, e->name, "stands for itself, through other entries or at once");
        e = next;
    }
    const char *dir = e->dir;
    for (e = start; e->dir == NULL; e = find_entry(sorted, l->c->num_entries, e->alias)) {
        e->dir = dir;
        e->being_resolved = false;
    }
    return NACRE_OK;
}

static nacre_err resolve(const struct loading *l)
{
    nacre_credentials *c = l->c;
    struct entry **sorted = nacre__arena_take(&c->memory, c->num_entries * sizeof *sorted);
    if (sorted == NULL) return out_of_memory(l);
    for (size_t i = 0; i < c->num_entries; i++) sorted[i] = &c->entries[i];
    qsort(sorted, c->num_entries, sizeof *sorted, by_name);
    for (size_t i = 0; i < c->num_entries; i++) {
        nacre_err err = resolve_chain(l, &c->entries[i], sorted);
        if (err != NACRE_OK) return err;
    }
    return NACRE_OK;
}

/* ---- Order ---- */

static int by_length(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    size_t x_len = strlen((*x)->name), y_len = strlen((*y)->name);
    if (x_len != y_len) return x_len > y_len ? -1 : 1;
    return (*x)->order < (*y)->order ? -1 : 1;
}

static nacre_err order_patterns(const struct loading *l)
{
    nacre_credentials *c = l->c;
    c->by_length = nacre__arena_take(&c->memory, c->num_entries * sizeof *c->by_length);
    if (c->by_length == NULL) return out_of_memory(l);
    for (size_t i = 0; i < c->num_entries; i++)
        if (c->entries[i].name[0] != ':') c->by_length[c->num_patterns++] = &c->entries[i];
    qsort(c->by_length, c->num_patterns, sizeof *c->by_length, by_length);
    return NACRE_OK;
}

static int by_dir(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    int order = strcmp((*x)->dir, (*y)->dir);
    if (order != 0) return order;
    return (*x)->order < (*y)->order ? -1 : (*x)->order > (*y)->order;
}

static int by_order(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    return (*x)->order < (*y)->order ? -1 : (*x)->order > (*y)->order;
}

/* Each directory once, where it came first. */
static nacre_err list_dirs(const struct loading *l)
{
    nacre_credentials *c = l->c;
    struct entry **sorted = nacre__arena_take(&c->memory, c->num_entries * sizeof *sorted);
    c->dirs = nacre__arena_take(&c->memory, c->num_entries * sizeof *c->dirs);
    if (sorted == NULL || c->dirs == NULL) return out_of_memory(l);
    for (size_t i = 0; i < c->num_entries; i++) sorted[i] = &c->entries[i];
    qsort(sorted, c->num_entries, sizeof *sorted, by_dir);
    size_t num = 0;
    for (size_t i = 0; i < c->num_entries; i++)
        if (i == 0 || strcmp(sorted[i]->dir, sorted[i - 1]->dir) != 0) sorted[num++] = sorted[i];
    qsort(sorted, num, sizeof *sorted, by_order);
    for (size_t i = 0; i < num; i++) c->dirs[i] = sorted[i]->dir;
    c->num_dirs = num;
    return NACRE_OK;
}

/* ---- The whole ---- */

static nacre_err build(const struct loading *l, const nacre__json *root)
{
    nacre_err err = read_entries(l, root);
    if (err == NACRE_OK) err = resolve(l);
    if (err == NACRE_OK) err = order_patterns(l);
    return err == NACRE_OK ? list_dirs(l) : err;
}

static nacre_err read_file(nacre__file *file, const char *path, nacre_detail *why)
{
    /* The file's name is shown in errors as given: the folder is what stands in front of its last slash. */
    const char *slash = strrchr(path, '/');
    char *folder_path = slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (folder_path == NULL) return nacre__store_fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", path);
    nacre__folder folder;
    bool found = false;
    nacre_err err = nacre__folder_open(&folder, folder_path, why);
    if (err == NACRE_OK) {
        err = nacre__file_read(file, &found, &folder, slash == NULL ? path : slash + 1, MAX_SIZE, why);
        nacre__folder_close(&folder);
        if (err == NACRE_OK && !found) err = nacre__store_fail(why, NACRE_ERR_FILE, "%s: no such file", path);
    }
    free(folder_path);
    return err;
}

static nacre_err load(nacre_credentials *c, const char *path, nacre_detail *why)
{
    const struct loading l = { c, path, why };
    nacre__file file = { NULL, 0, 0 };
    nacre__json_doc doc;
    nacre_err err = read_file(&file, path, why);
    if (err != NACRE_OK) return err;
    err = nacre__json_parse(&doc, nacre_bytes_of(file.ptr, file.len), path, NACRE_ERR_BAD_CREDENTIALS, why);
    nacre__file_free(&file);
    if (err != NACRE_OK) return err;
    err = build(&l, doc.root);
    nacre__json_free(&doc);
    return err;
}

nacre_err nacre_credentials_load(nacre_credentials **credentials, const char *path, nacre_detail *why)
{
    nacre_credentials *c = calloc(1, sizeof *c);
    if (c == NULL) return nacre__store_fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", path);
    nacre_err err = load(c, path, why);
    if (err != NACRE_OK) nacre_credentials_free(c);
    else *credentials = c;
    return err;
}

void nacre_credentials_free(nacre_credentials *credentials)
{
    if (credentials == NULL) return;
    nacre__arena_free(&credentials->memory);
    free(credentials);
}

const char *nacre_credentials_find(const nacre_credentials *credentials, const char *uri)
{
    nacre__uri_view view = nacre__uri_view_of(uri);
    for (size_t i = 0; i < credentials->num_patterns; i++)
        if (nacre__uri_matches(credentials->by_length[i]->pattern, &view)) return credentials->by_length[i]->dir;
    return NULL;
}

const char *nacre_credentials_at(const nacre_credentials *credentials, size_t index)
{
    return index < credentials->num_dirs ? credentials->dirs[index] : NULL;
}
