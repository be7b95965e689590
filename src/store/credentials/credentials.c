/* SPDX-License-Identifier: MIT */
/* credentials: the map from URI patterns and names to credentials, and its changes.
 *
 * Entries are in the order in which they were set. Each change rebuilds two lists of pointers: all entries by name, to follow
 * aliases, and patterns by length, to match longest first. It also resolves every alias, visiting each entry once, however long
 * the chains. */
#include "store/credentials/credentials_struct.h"

#include <stdlib.h>
#include <string.h>

#include "base/hosted/detail.h"
#include "store/credentials/uri_host.h"
#include "store/credentials/uri_match.h"

typedef nacre__credential_entry entry;

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
    nacre__uri_pattern_canonical(at, nacre__entry_name(e));
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
    return strcmp(nacre__entry_name(*x), nacre__entry_name(*y));
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
    return strcmp(name, nacre__entry_name(*e));
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
    while (e != NULL && e->state == NACRE__ENTRY_NEW) {
        e->state = NACRE__ENTRY_BEING_FOLLOWED;
        if (e->is.kind == NACRE__ENTRY_ALIAS) e = find_entry(c, nacre__entry_target(e));
        else e->target = e;
        if (e != NULL && e->target != NULL) break;
    }
    bool is_circle = e != NULL && e->target == NULL && (e->state == NACRE__ENTRY_BEING_FOLLOWED || e->is_circle);
    const entry *target = e != NULL ? e->target : NULL;
    for (e = start; e != NULL && e->state == NACRE__ENTRY_BEING_FOLLOWED;) {
        e->state = NACRE__ENTRY_KNOWN;
        e->is_circle = is_circle;
        e->target = target;
        e = e->is.kind == NACRE__ENTRY_ALIAS ? find_entry(c, nacre__entry_target(e)) : NULL;
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
        e->state = NACRE__ENTRY_NEW;
        e->target = NULL;
        if (nacre__entry_name(e)[0] != ':') c->by_length[c->num_patterns++] = e;
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
        while ((next = find_entry(c, nacre__entry_target(next))) != NULL) e = next;
        return e;
    }
    for (size_t i = 0; i < c->num; i++)
        e = find_entry(c, nacre__entry_target(e)); /* into the circle, if `e` is outside */
    const entry *latest = e;
    for (next = find_entry(c, nacre__entry_target(e)); next != e; next = find_entry(c, nacre__entry_target(next)))
        if (next->order > latest->order) latest = next;
    return latest;
}

bool nacre__credentials_first_fault(const nacre_credentials *credentials, nacre__alias_fault *fault)
{
    for (size_t i = 0; i < credentials->num; i++) {
        const entry *e = credentials->entries[i];
        if (e->target != NULL) continue;
        e = culprit_behind(credentials, e);
        *fault = (nacre__alias_fault){ nacre__entry_name(e), nacre__entry_target(e), e->is.line, e->is_circle };
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
