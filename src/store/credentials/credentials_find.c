/* SPDX-License-Identifier: MIT */
/* credentials_find: the credential for a URI, whatever its spelling. */
#include "store/credentials/credentials_struct.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hosted/detail.h"
#include "store/credentials/uri_host.h"
#include "store/credentials/uri_match.h"

typedef nacre__credential_entry entry;

static nacre_credential credential_of(const entry *e)
{
    nacre_credential made = { .name = nacre__entry_name(e), .kind = NACRE_CREDENTIAL_PLAIN };
    if (e->is.kind == NACRE__ENTRY_DIRECTORY) {
        made.kind = NACRE_CREDENTIAL_DIRECTORY;
        made.directory = nacre__entry_target(e);
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
        return nacre__fail(
            why, NACRE_ERR_BAD_CREDENTIALS, "the entry \"%.120s\" for '%.200s' %s", nacre__entry_name(e), uri,
            e->is_circle ? "stands for itself, through other entries or at once" : "stands for one that is not there");
    if (e->target->is.kind == NACRE__ENTRY_OTHER)
        return nacre__fail(why, NACRE_ERR_UNSUPPORTED,
                           "the entry \"%.120s\" for '%.200s' is of type \"%.40s\", another security layer than "
                           "OSCORE",
                           nacre__entry_name(e->target), uri, nacre__entry_target(e->target));
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
