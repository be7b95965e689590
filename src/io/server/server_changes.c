/* SPDX-License-Identifier: MIT */
/* server_changes: directories and credentials are added, removed and replaced, by any thread, also while the server runs. */
#include "io/server/removal.h"
#include "io/server/server_internal.h"
#include "base/hosted/detail.h"

#include <stdlib.h>

/* One change, and the removals that it may need: they are made first, so that it does not fail halfway. */
typedef struct change {
    nacre_server *server;
    nacre__removal **removals;
    size_t num, num_started;
} change;

static void begin(change *c, nacre_server *server)
{
    *c = (change){ .server = server };
    (void)pthread_mutex_lock(&server->changing);
}

/* Makes `num` more removals. */
static nacre_err prepare(change *c, size_t num, nacre_detail *why)
{
    nacre__removal **larger = realloc(c->removals, (c->num + num + 1) * sizeof(nacre__removal *));
    if (larger != NULL) {
        c->removals = larger;
        for (; num > 0 && (larger[c->num] = nacre__removal_new(c->server)) != NULL; num--) c->num++;
        if (num == 0) return NACRE_OK;
    }
    return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory to remove contexts");
}

/* One that was made and not started; NULL: none. */
static nacre__removal *next_removal(change *c)
{
    return c->removals != NULL && c->num_started < c->num ? c->removals[c->num_started++] : NULL;
}

static void begin_removal(change *c, size_t index)
{
    nacre__removal *r = next_removal(c);
    if (r != NULL) nacre__server_begin_removal(c->server, r, index); /* there are as many as contexts */
}

/* Names that handlers may still read are freed when all workers have gone on. */
static void free_stale(change *c)
{
    nacre__removal *r = c->server->context_set.stale != NULL ? next_removal(c) : NULL;
    if (r != NULL) nacre__removal_start(r);
}

/* The removals are awaited without the lock, because handlers may wait for it. */
static nacre_err end(change *c, nacre_detail *why)
{
    nacre_err err = NACRE_OK;
    c->server->context_set.generation = 0;
    (void)pthread_mutex_unlock(&c->server->changing);
    for (size_t i = 0; i < c->num; i++) {
        if (i >= c->num_started) {
            nacre__removal_free(c->removals[i]);
            continue;
        }
        const nacre_err one = nacre__removal_end(c->removals[i], err == NACRE_OK ? why : NULL);
        if (err == NACRE_OK) err = one;
    }
    free(c->removals);
    return err;
}

/* ---- Removing ----------------------------------------------------------------------------------------------------------- */

nacre_err nacre_server_remove_context(nacre_server *server, const char *name, nacre_detail *why)
{
    const nacre__context_set *set = &server->context_set;
    size_t num = 0;
    change c;
    begin(&c, server);
    for (size_t i = 0; i < set->num; i++) num += nacre__claims_has(set->keys[i].claims, name);
    nacre_err err = num > 0 ? prepare(&c, num, why)
                            : nacre__fail(why, NACRE_ERR_NO_CONTEXT,
                                          "no context has the name '%s': give one that nacre_server_claims has", name);
    for (size_t i = set->num; err == NACRE_OK && i > 0; i--) /* from the end, because later ones move up */
        if (nacre__claims_has(set->keys[i - 1].claims, name)) begin_removal(&c, i - 1);
    const nacre_err closed = end(&c, err == NACRE_OK ? why : NULL);
    return err == NACRE_OK ? closed : err;
}

void nacre_server_on_removed(nacre_server *server,
                             void (*on_removed)(void *user, nacre_context *ctx, nacre_err err, const char *text),
                             void *user)
{
    server->on_removed = on_removed;
    server->removed_user = user;
}

/* ---- Adding ------------------------------------------------------------------------------------------------------------- */

nacre_err nacre_server_add_context(nacre_server *server, const char *context_dir, nacre_detail *why)
{
    const nacre_credential credential = { .kind = NACRE_CREDENTIAL_DIRECTORY,
                                          .name = context_dir,
                                          .directory = context_dir };
    change c;
    begin(&c, server);
    const nacre_err err = nacre__server_add_credential(server, &credential, why);
    (void)end(&c, NULL);
    return err;
}

/* Contexts added since nacre__context_set_settle leave as all others do: workers may use them already. */
static void undo(change *c)
{
    nacre__context_set *set = &c->server->context_set;
    while (set->num > set->settled) begin_removal(c, set->num - 1);
    nacre__context_set_undo(set, NULL);
    free_stale(c);
}

/* The entries of a map, to be freed; NULL: out of memory. */
static nacre_credential *list_entries(size_t *num, const nacre_credentials *credentials, nacre_detail *why)
{
    size_t cap = 1, cursor = 0;
    for (nacre_credential one; nacre_credentials_next(credentials, &one, &cursor);) cap++;
    nacre_credential *entries = calloc(cap, sizeof *entries);
    if (entries == NULL) (void)nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for credentials");
    cursor = *num = 0;
    while (entries != NULL && *num < cap && nacre_credentials_next(credentials, &entries[*num], &cursor)) ++*num;
    return entries;
}

/* Adds all entries as credentials of that generation, or none. */
static nacre_err add_all(change *c, const nacre_credential *entries, size_t num, unsigned generation, nacre_detail *why)
{
    nacre__context_set *set = &c->server->context_set;
    nacre_err err = prepare(c, num + 1, why);
    if (err != NACRE_OK) return err;
    set->generation = generation;
    nacre__context_set_settle(set);
    for (size_t i = 0; err == NACRE_OK && i < num; i++) err = nacre__server_add_credential(c->server, &entries[i], why);
    if (err != NACRE_OK) undo(c);
    else free_stale(c);
    return err;
}

nacre_err nacre_server_use_credentials(nacre_server *server, const nacre_credentials *credentials, nacre_detail *why)
{
    change c;
    size_t num;
    nacre_credential *entries = list_entries(&num, credentials, why);
    if (entries == NULL) return NACRE_ERR_NO_MEMORY;
    begin(&c, server);
    if (server->generation == 0) server->generation = 1;
    const nacre_err err = add_all(&c, entries, num, server->generation, why);
    (void)end(&c, NULL);
    free(entries);
    return err;
}

nacre_err nacre_server_add_credentials(nacre_server *server, const char *credentials_file, nacre_detail *why)
{
    nacre_credentials *credentials;
    nacre_err err = nacre_credentials_load(&credentials, credentials_file, why);
    if (err != NACRE_OK) return err;
    err = nacre_server_use_credentials(server, credentials, why);
    nacre_credentials_free(credentials);
    return err;
}

/* ---- Replacing ---------------------------------------------------------------------------------------------------------- */

static bool has_other_names(const nacre__key *key, unsigned generation)
{
    for (size_t i = 0; i < key->claims->num; i++)
        if (key->claims->generations[i] == 0 || key->claims->generations[i] >= generation) return true;
    return false;
}

/* Removes the names that come from credentials of earlier generations, and the contexts that have no others. */
static nacre_err remove_earlier(change *c, unsigned generation, nacre_detail *why)
{
    nacre__context_set *set = &c->server->context_set;
    nacre_err err = prepare(c, set->num + 1, why);
    for (size_t i = 0; err == NACRE_OK && i < set->num; i++)
        if (has_other_names(&set->keys[i], generation) &&
            nacre__context_set_drop_before(set, i, generation) != NACRE_OK)
            err = nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for names of contexts");
    for (size_t i = set->num; err == NACRE_OK && i > 0; i--)
        if (!has_other_names(&set->keys[i - 1], generation)) begin_removal(c, i - 1);
    if (err == NACRE_OK) free_stale(c);
    return err;
}

nacre_err nacre__server_replace(nacre_server *server, const nacre_credential *entries, size_t num, nacre_detail *why)
{
    change c;
    begin(&c, server);
    const unsigned generation = server->generation + 1;
    nacre_err err = add_all(&c, entries, num, generation, why);
    if (err == NACRE_OK) {
        err = remove_earlier(&c, generation, why);
        if (err != NACRE_OK) undo(&c);
    }
    if (err == NACRE_OK) server->generation = generation;
    (void)end(&c, NULL);
    return err;
}

nacre_err nacre_server_replace_credentials(nacre_server *server, const nacre_credentials *credentials,
                                           nacre_detail *why)
{
    size_t num;
    nacre_credential *entries = list_entries(&num, credentials, why);
    if (entries == NULL) return NACRE_ERR_NO_MEMORY;
    const nacre_err err = nacre__server_replace(server, entries, num, why);
    free(entries);
    return err;
}
