/* SPDX-License-Identifier: MIT */
/* credentials: the map from URI patterns and names to credentials, and its lookup.
 *
 * Entries are in the order in which they were set. Each change rebuilds two lists of pointers: all entries by name, to follow
 * aliases, and patterns by length, to match longest first. It also resolves every alias, visiting each entry once, however long
 * the chains. */
#include "store/credentials/credentials.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hosted/detail.h"
#include "store/credentials/uri_host.h"
#include "store/credentials/uri_match.h"

typedef struct entry {
    nacre__entry_setting is;    /* its slices point into `text`, each NUL-terminated */
    const char *pattern;        /* as matched: with a '/' after a bare authority */
    const char *plain_host;     /* the same with a normalised host */
    const struct entry *target; /* after all aliases; NULL: none */
    size_t order;
    enum { NEW, BEING_FOLLOWED, KNOWN } state;
    bool is_circle;
    char text[];
} entry;

struct nacre_credentials {
    entry **entries; /* in the order they were set */
    size_t num, cap;
    entry **by_name, **by_length; /* `num`, and `num_patterns` */
    size_t num_patterns;
    uint64_t version;
};

static const char *name_of(const entry *e)
{
    return (const char *)e->is.name.ptr;
}

static const char *target_of(const entry *e)
{
    return (const char *)e->is.target.ptr;
}

static nacre_bytes text(const char *string)
{
    return nacre_bytes_of((const uint8_t *)string, strlen(string));
}

nacre_err nacre_credentials_new(nacre_credentials **credentials)
{
    nacre_credentials *made = calloc(1, sizeof *made);
    if (made == NULL) return NACRE_ERR_NO_MEMORY;
    *credentials = made;
    return NACRE_OK;
}

void nacre_credentials_free(nacre_credentials *credentials)
{
    if (credentials == NULL) return;
    for (size_t i = 0; i < credentials->num; i++) free(credentials->entries[i]);
    free(credentials->entries);
    free(credentials->by_name);
    free(credentials->by_length);
    free(credentials);
}

/* ---- One entry ------------------------------------------------------------------------------------------------------ */

static char *put(char **at, nacre_bytes bytes)
{
    char *start = *at;
    if (bytes.len > 0) memcpy(start, bytes.ptr, bytes.len);
    *at += bytes.len;
    return start;
}

/* Inserts the '/' of an empty path after the authority, as in "coap://host" or "coap://host?query": every URI compared has it
 * (RFC 7252 6.3). After a '*' the end of the authority is unknown, and nothing is inserted. */
static const char *put_pattern(char *at, const char *name)
{
    const char *separator = name + strcspn(name, ":/?#*");
    if (strncmp(separator, "://", 3) != 0) return name;
    const char *end = separator + 3 + strcspn(separator + 3, "/?*");
    if (*end == '/' || *end == '*') return name;
    size_t before = (size_t)(end - name);
    memcpy(at, name, before);
    at[before] = '/';
    memcpy(at + before + 1, end, strlen(end) + 1);
    return at;
}

static entry *make_entry(const nacre__entry_setting *setting)
{
    size_t target_len = setting->dirfd.len + setting->target.len;
    const size_t pattern_len = setting->name.len + 2; /* including '/' and NUL */
    entry *e = calloc(1, sizeof *e + setting->name.len + target_len + 3 * pattern_len + NACRE__URI_HOST_MORE + 2);
    if (e == NULL) return NULL;
    char *at = e->text;
    e->is = *setting;
    e->is.name.ptr = (const uint8_t *)put(&at, setting->name);
    at++;
    e->is.target.ptr = (const uint8_t *)put(&at, setting->dirfd);
    (void)put(&at, setting->target);
    at++;
    e->is.target.len = target_len;
    e->is.dirfd = NACRE_ABSENT;
    nacre__uri_pattern_canonical(at, name_of(e));
    e->pattern = put_pattern(at + pattern_len, at);
    e->plain_host = at + 2 * pattern_len;
    nacre__uri_host_plain(at + 2 * pattern_len, e->pattern);
    return e;
}

static bool grow(entry ***list, size_t cap)
{
    entry **larger = realloc(*list, cap * sizeof(entry *));
    if (larger == NULL) return false;
    *list = larger;
    return true;
}

const char *nacre__credentials_name_fault(const char *name)
{
    return name[0] == ':' ? NULL : nacre__uri_pattern_fault(name);
}

nacre_err nacre__credentials_append(nacre_credentials *credentials, const nacre__entry_setting *setting)
{
    if (credentials->num == credentials->cap) {
        size_t cap = credentials->cap != 0 ? 2 * credentials->cap : 16;
        if (!grow(&credentials->entries, cap) || !grow(&credentials->by_name, cap) ||
            !grow(&credentials->by_length, cap))
            return NACRE_ERR_NO_MEMORY;
        credentials->cap = cap;
    }
    entry *e = make_entry(setting);
    if (e == NULL) return NACRE_ERR_NO_MEMORY;
    credentials->entries[credentials->num++] = e;
    return NACRE_OK;
}

/* ---- Order ---------------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const entry *const *x = a, *const *y = b;
    return strcmp(name_of(*x), name_of(*y));
}

static int by_length(const void *a, const void *b)
{
    const entry *const *x = a, *const *y = b;
    if ((*x)->is.name.len != (*y)->is.name.len) return (*x)->is.name.len > (*y)->is.name.len ? -1 : 1;
    return (*x)->order < (*y)->order ? -1 : (*x)->order > (*y)->order;
}

static int against_name(const void *name, const void *b)
{
    const entry *const *e = b;
    return strcmp(name, name_of(*e));
}

static entry *find_entry(const nacre_credentials *c, const char *name)
{
    if (c->num == 0) return NULL;
    entry **found = bsearch(name, c->by_name, c->num, sizeof(entry *), against_name);
    return found != NULL ? *found : NULL;
}

/* Follows a chain to its end, then sets the result in every entry of it, so that no entry is visited twice. */
static void follow(const nacre_credentials *c, entry *start)
{
    entry *e = start;
    while (e != NULL && e->state == NEW) {
        e->state = BEING_FOLLOWED;
        if (e->is.kind == NACRE__ENTRY_ALIAS) e = find_entry(c, target_of(e));
        else e->target = e;
        if (e != NULL && e->target != NULL) break;
    }
    bool is_circle = e != NULL && e->target == NULL && (e->state == BEING_FOLLOWED || e->is_circle);
    const entry *target = e != NULL ? e->target : NULL;
    for (e = start; e != NULL && e->state == BEING_FOLLOWED;) {
        e->state = KNOWN;
        e->is_circle = is_circle;
        e->target = target;
        e = e->is.kind == NACRE__ENTRY_ALIAS ? find_entry(c, target_of(e)) : NULL;
    }
}

void nacre__credentials_index(nacre_credentials *credentials)
{
    nacre_credentials *c = credentials;
    c->version++;
    c->num_patterns = 0;
    for (size_t i = 0; i < c->num; i++) {
        entry *e = c->by_name[i] = c->entries[i];
        e->order = i;
        e->state = NEW;
        e->target = NULL;
        if (name_of(e)[0] != ':') c->by_length[c->num_patterns++] = e;
    }
    if (c->num == 0) return;
    qsort(c->by_name, c->num, sizeof(entry *), by_name);
    qsort(c->by_length, c->num_patterns, sizeof(entry *), by_length);
    for (size_t i = 0; i < c->num; i++) follow(c, c->entries[i]);
}

/* The entry to report for a chain without a target: in a circle the one set last, which closed it; otherwise the one whose
 * alias does not exist. */
static const entry *culprit_behind(const nacre_credentials *c, const entry *e)
{
    const entry *next = e;
    if (!e->is_circle) {
        while ((next = find_entry(c, target_of(next))) != NULL) e = next;
        return e;
    }
    for (size_t i = 0; i < c->num; i++) e = find_entry(c, target_of(e)); /* into the circle, if `e` is outside */
    const entry *latest = e;
    for (next = find_entry(c, target_of(e)); next != e; next = find_entry(c, target_of(next)))
        if (next->order > latest->order) latest = next;
    return latest;
}

bool nacre__credentials_first_fault(const nacre_credentials *credentials, nacre__alias_fault *fault)
{
    for (size_t i = 0; i < credentials->num; i++) {
        const entry *e = credentials->entries[i];
        if (e->target != NULL) continue;
        e = culprit_behind(credentials, e);
        *fault = (nacre__alias_fault){ name_of(e), target_of(e), e->is.line, e->is_circle };
        return true;
    }
    return false;
}

/* ---- Changes by the application ------------------------------------------------------------------------------------- */

static void take_out(nacre_credentials *c, entry *e)
{
    size_t at = e->order;
    free(e);
    c->num--;
    memmove(c->entries + at, c->entries + at + 1, (c->num - at) * sizeof(entry *));
}

void nacre_credentials_remove(nacre_credentials *credentials, const char *name)
{
    entry *e = find_entry(credentials, name);
    if (e == NULL) return;
    take_out(credentials, e);
    nacre__credentials_index(credentials);
}

static nacre_err set(nacre_credentials *c, nacre__entry_setting setting, const char *name, nacre_detail *why)
{
    setting.name = text(name);
    if (name[0] == '\0') return nacre__fail(why, NACRE_ERR_BAD_CREDENTIALS, "an entry needs a pattern or a \":name\"");
    const char *fault = nacre__credentials_name_fault(name);
    if (fault != NULL) return nacre__fail(why, NACRE_ERR_BAD_CREDENTIALS, "\"%.120s\": %s", name, fault);
    entry *old = find_entry(c, name);
    nacre_err err = nacre__credentials_append(c, &setting);
    if (err != NACRE_OK) return nacre__fail(why, err, "out of memory for \"%.120s\"", name);
    if (old != NULL) take_out(c, old);
    nacre__credentials_index(c);
    return NACRE_OK;
}

nacre_err nacre_credentials_set_directory(nacre_credentials *credentials, const char *name, const char *directory,
                                          nacre_role role, nacre_detail *why)
{
    if (directory[0] == '\0')
        return nacre__fail(why, NACRE_ERR_BAD_CREDENTIALS, "\"%.120s\": names no directory", name);
    nacre__entry_setting setting = { .kind = NACRE__ENTRY_DIRECTORY, .target = text(directory), .role = role };
    return set(credentials, setting, name, why);
}

nacre_err nacre_credentials_set_context(nacre_credentials *credentials, const char *name, nacre_context *context,
                                        nacre_store store, nacre_detail *why)
{
    nacre__entry_setting setting = { .kind = NACRE__ENTRY_CONTEXT, .context = context, .store = store };
    return set(credentials, setting, name, why);
}

nacre_err nacre_credentials_set_alias(nacre_credentials *credentials, const char *name, const char *alias,
                                      nacre_detail *why)
{
    if (alias[0] != ':')
        return nacre__fail(why, NACRE_ERR_BAD_CREDENTIALS,
                           "\"%.120s\": stands for \"%.120s\", which must begin with a colon, \":name\"", name, alias);
    return set(credentials, (nacre__entry_setting){ .kind = NACRE__ENTRY_ALIAS, .target = text(alias) }, name, why);
}

nacre_err nacre_credentials_set_plain(nacre_credentials *credentials, const char *name, nacre_detail *why)
{
    return set(credentials, (nacre__entry_setting){ .kind = NACRE__ENTRY_PLAIN }, name, why);
}

/* ---- Lookup --------------------------------------------------------------------------------------------------------- */

static nacre_credential credential_of(const entry *e)
{
    nacre_credential made = { .name = name_of(e), .kind = NACRE_CREDENTIAL_PLAIN };
    if (e->is.kind == NACRE__ENTRY_DIRECTORY) {
        made.kind = NACRE_CREDENTIAL_DIRECTORY;
        made.directory = target_of(e);
        made.role = e->is.role;
    } else if (e->is.kind == NACRE__ENTRY_CONTEXT) {
        made.kind = NACRE_CREDENTIAL_CONTEXT;
        made.context = e->is.context;
        made.store = e->is.store;
    }
    return made;
}

static bool is_plain(const entry *e)
{
    return e->target != NULL && e->target->is.kind == NACRE__ENTRY_PLAIN;
}

static const entry *find_exact(const nacre_credentials *c, const char *uri)
{
    for (size_t i = 0; i < c->num_patterns; i++)
        if (nacre__uri_covers(c->by_length[i]->pattern, uri)) return c->by_length[i];
    return NULL;
}

/* `plain_host` is the same URI with a normalised host. */
static const entry *find_lenient(const nacre_credentials *c, const char *uri, const char *plain_host)
{
    nacre__uri_view view = nacre__uri_view_of(uri), plain = nacre__uri_view_of(plain_host);
    for (size_t i = 0; i < c->num_patterns; i++) {
        const entry *e = c->by_length[i];
        if (nacre__uri_matches(e->pattern, &view) || nacre__uri_matches(e->pattern, &plain) ||
            nacre__uri_matches(e->plain_host, &plain))
            return e;
    }
    return NULL;
}

static bool same_but_for_spelling(const char *a, const char *b)
{
    const nacre__uri_view x = nacre__uri_view_of(a), y = nacre__uri_view_of(b);
    return x.start.len == y.start.len &&
           strncasecmp((const char *)x.start.ptr, (const char *)y.start.ptr, x.start.len) == 0 &&
           nacre_bytes_equal(x.port, y.port) && nacre_bytes_equal(x.rest, y.rest);
}

/* An entry that protects, if one has the same pattern in another spelling; otherwise `plain`. */
static const entry *protected_twin(const nacre_credentials *c, const entry *plain)
{
    for (size_t i = 0; i < c->num_patterns; i++) {
        const entry *e = c->by_length[i];
        if (!is_plain(e) && same_but_for_spelling(e->plain_host, plain->plain_host)) return e;
    }
    return plain;
}

/* An exact match wins if it protects. Otherwise other spellings of the same URI are tried, so that spelling does not bypass
 * protection. */
static const entry *find_pattern(const nacre_credentials *c, const char *uri, const char *plain_host)
{
    const entry *exact = find_exact(c, uri);
    if (exact != NULL && !is_plain(exact)) return exact;
    const entry *e = find_lenient(c, uri, plain_host);
    return e != NULL && is_plain(e) ? protected_twin(c, e) : e;
}

nacre_err nacre_credentials_find(const nacre_credentials *credentials, nacre_credential *found, const char *uri,
                                 nacre_detail *why)
{
    const size_t size = strlen(uri) + 2;
    char *canonical = malloc(2 * size + NACRE__URI_HOST_MORE);
    if (canonical == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for '%.120s'", uri);
    nacre__uri_canonical(canonical, uri);
    nacre__uri_host_plain(canonical + size, canonical);
    const entry *e = find_pattern(credentials, canonical, canonical + size);
    free(canonical);
    if (e == NULL) return nacre__fail(why, NACRE_ERR_NO_CREDENTIALS, "the credentials have no entry for '%.200s'", uri);
    if (e->target == NULL)
        return nacre__fail(why, NACRE_ERR_BAD_CREDENTIALS, "the entry \"%.120s\" for '%.200s' %s", name_of(e), uri,
                           e->is_circle ? "stands for itself, through other entries or at once"
                                        : "stands for one that is not there");
    if (e->target->is.kind == NACRE__ENTRY_OTHER)
        return nacre__fail(why, NACRE_ERR_UNSUPPORTED,
                           "the entry \"%.120s\" for '%.200s' is of type \"%.40s\", another security layer than "
                           "OSCORE",
                           name_of(e->target), uri, target_of(e->target));
    *found = credential_of(e->target);
    return NACRE_OK;
}

uint64_t nacre__credentials_version(const nacre_credentials *credentials)
{
    return credentials->version + 1;
}

bool nacre_credentials_next(const nacre_credentials *credentials, nacre_credential *found, size_t *cursor)
{
    while (*cursor < credentials->num) {
        const entry *e = credentials->entries[(*cursor)++];
        if (e->is.kind != NACRE__ENTRY_DIRECTORY && e->is.kind != NACRE__ENTRY_CONTEXT) continue;
        *found = credential_of(e);
        return true;
    }
    return false;
}
