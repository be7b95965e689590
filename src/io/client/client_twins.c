/* SPDX-License-Identifier: MIT */
/* client_twins: compares a client's credentials with each other (RFC 8613 3.3). Directories are opened one at a time, when
 * a request first needs them: with two that have one Sender Key, two runs of a program could open one each and use the
 * same sequence numbers. So all entries of a map are compared before the first is used, and again when the map has
 * changed. */
#include "io/client/client_internal.h"
#include "store/credentials/credentials.h"
#include "base/hosted/detail.h"
#include "store/directory/twins.h"

#include <stdlib.h>
#include <sys/stat.h>

static nacre_role role_of(const nacre_client *client, const nacre_credential *credential)
{
    return credential->role != NACRE_ROLE_NONE ? credential->role : client->options.role;
}

/* An entry's identifier is its index. */
static nacre_err collect(nacre__twins *twins, const nacre_client *client)
{
    nacre_err err = NACRE_OK;
    nacre_credential credential;
    size_t cursor = 0;
    for (uint64_t at = 0; err == NACRE_OK && nacre_credentials_next(client->credentials, &credential, &cursor); at++)
        err = credential.kind == NACRE_CREDENTIAL_CONTEXT
                  ? nacre__twins_add(twins, credential.context, at)
                  : nacre__twins_add_directory(twins, &client->crypto, credential.directory,
                                               role_of(client, &credential), at);
    return err;
}

static nacre_credential entry_at(const nacre_client *client, uint64_t number)
{
    nacre_credential credential = { .name = "" };
    size_t cursor = 0;
    for (uint64_t at = 0; at <= number; at++)
        if (!nacre_credentials_next(client->credentials, &credential, &cursor)) break;
    return credential;
}

/* The same directory under two paths, or the same context under two names. */
static bool is_one(const nacre_credential *a, const nacre_credential *b)
{
    struct stat x, y;
    if (a->kind != b->kind) return false;
    if (a->kind == NACRE_CREDENTIAL_CONTEXT) return a->context == b->context;
    return stat(a->directory, &x) == 0 && stat(b->directory, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static nacre_err refuse(const nacre_client *client, const nacre__twin *found, size_t num, nacre_detail *why)
{
    for (size_t i = 0; i < num; i++) {
        const nacre_credential second = entry_at(client, found[i].other), first = entry_at(client, found[i].owner);
        char name[NACRE__LABEL], other[NACRE__LABEL];
        if (is_one(&first, &second)) continue;
        nacre__credential_label(name, second.name, second.directory);
        nacre__credential_label(other, first.name, first.directory);
        return nacre__twins_fail(why, found[i].direction, name, other);
    }
    return NACRE_OK;
}

nacre_err nacre__client_compare(nacre_client *client, nacre_detail *why)
{
    const uint64_t version = nacre__credentials_version(client->credentials);
    if (client->compared == version) return NACRE_OK;
    nacre__twins twins;
    nacre__twin *found = NULL;
    size_t num = 0;
    nacre_err err = nacre__twins_init(&twins);
    if (err == NACRE_OK) err = collect(&twins, client);
    if (err == NACRE_OK) err = nacre__twins_find(&twins, &found, &num);
    if (err != NACRE_OK)
        err = nacre__fail(why, err, "cannot compare the credentials with each other: %s", nacre_err_text(err));
    else err = refuse(client, found, num, why);
    if (err == NACRE_OK) client->compared = version;
    free(found);
    nacre__twins_free(&twins);
    return err;
}
