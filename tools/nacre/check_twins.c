/* SPDX-License-Identifier: MIT */
/* check_twins: contexts that share a key with another context. */
#include "check_twins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/directory/directory_read.h"
#include "store/file/files.h"
#include "store/directory/moved.h"

/* An owner is the index of a path (high half) and the ID of a context in its database, or one of these (low half). */
#define MAX_INDEXES UINT64_C(0x100000000)
#define DIRECTORY   UINT32_C(0xffffffff)
#define AS_CLIENT   UINT32_C(0xfffffffe) /* of the legacy layout, when no role was given */
#define AS_SERVER   UINT32_C(0xfffffffd)

static uint64_t owner_of(int path, uint32_t index)
{
    return (unsigned)path * MAX_INDEXES + index;
}

static uint32_t index_of(uint64_t owner)
{
    return (uint32_t)owner;
}

/* ---- Collecting ---- */

typedef struct collecting {
    nacre__twins twins;
    nacre_crypto crypto;
    nacre_role role;
    int path;
} collecting;

/* Without a secret (encrypted, or only the keys are known) a context is not compared; nor are IDs that the other values of the low
 * half exclude. */
static nacre_err add_one(void *user, const nacre_sqlite_context *context, nacre_detail *why)
{
    collecting *c = user;
    (void)why;
    if (context->info.secret_len == 0 || context->id >= AS_SERVER) return NACRE_OK;
    return nacre__twins_add_info(&c->twins, &c->crypto, &context->info, owner_of(c->path, (uint32_t)context->id));
}

/* A database that is damaged in the middle contributes the contexts before the damage. */
static nacre_err add_database(collecting *c, const char *path)
{
    nacre_sqlite *db = NULL;
    nacre_sqlite_config config = nacre_sqlite_config_default();
    config.read_only = true;
    const nacre_sqlite_filter filter = { .reveal = true };
    nacre_err err = nacre_sqlite_open(&db, path, &config, &c->crypto, NULL);
    if (err == NACRE_OK) err = nacre_sqlite_list(db, &filter, add_one, c, NULL);
    (void)nacre_sqlite_close(db, NULL); /* nothing was written */
    return err == NACRE_ERR_NO_MEMORY ? err : NACRE_OK;
}

static bool is_older(const char *path)
{
    nacre__dirfd dirfd;
    nacre_layout layout = NACRE_LAYOUT_NEWEST;
    if (nacre__dirfd_open(&dirfd, path, NULL) != NACRE_OK) return false;
    nacre_err err = nacre__directory_layout(&layout, &dirfd, NULL);
    nacre__dirfd_close(&dirfd);
    return err == NACRE_OK && layout == NACRE_LAYOUT_LEGACY;
}

/* A moved directory is unusable, so it is not a duplicate of its context in a database. */
static bool was_moved(const char *path)
{
    nacre__dirfd dirfd;
    if (nacre__dirfd_open(&dirfd, path, NULL) != NACRE_OK) return false;
    const nacre_err err = nacre__moved_check(&dirfd, NULL);
    nacre__dirfd_close(&dirfd);
    return err != NACRE_OK;
}

static nacre_err add_directory(collecting *c, const char *path)
{
    if (was_moved(path)) return NACRE_OK;
    if (c->role != NACRE_ROLE_NONE || !is_older(path))
        return nacre__twins_add_directory(&c->twins, &c->crypto, path, c->role, owner_of(c->path, DIRECTORY));
    nacre_err err =
        nacre__twins_add_directory(&c->twins, &c->crypto, path, NACRE_ROLE_CLIENT, owner_of(c->path, AS_CLIENT));
    if (err != NACRE_OK) return err;
    return nacre__twins_add_directory(&c->twins, &c->crypto, path, NACRE_ROLE_SERVER, owner_of(c->path, AS_SERVER));
}

static nacre_err add_path(collecting *c, const char *path, const struct stat *st)
{
    return S_ISREG(st->st_mode) ? add_database(c, path) : add_directory(c, path);
}

/* The same file or directory as an earlier path is not a twin of it. */
static bool is_known(const struct stat *all, int num)
{
    for (int i = 0; i < num; i++)
        if (all[i].st_ino == all[num].st_ino && all[i].st_dev == all[num].st_dev) return true;
    return false;
}

static nacre_err add_all(collecting *c, int num, char *const *paths)
{
    struct stat *all = calloc((size_t)num, sizeof *all);
    nacre_err err = all != NULL ? NACRE_OK : NACRE_ERR_NO_MEMORY;
    for (c->path = 0; err == NACRE_OK && c->path < num; c->path++)
        if (stat(paths[c->path], &all[c->path]) == 0 && !is_known(all, c->path))
            err = add_path(c, paths[c->path], &all[c->path]);
    free(all);
    return err;
}

nacre_err tool_twins_collect(tool_twins *twins, int num, char *const *paths, nacre_role role)
{
    collecting c = { .role = role };
    *twins = (tool_twins){ .paths = paths };
    nacre_err err = nacre_openssl_open(&c.crypto);
    if (err != NACRE_OK) return err;
    err = nacre__twins_init(&c.twins);
    if (err == NACRE_OK) err = add_all(&c, num, paths);
    if (err == NACRE_OK) err = nacre__twins_find(&c.twins, &twins->found, &twins->num_found);
    nacre__twins_free(&c.twins);
    nacre_openssl_close(&c.crypto);
    return err;
}

void tool_twins_free(tool_twins *twins)
{
    free(twins->found);
    *twins = (tool_twins){ .num_found = 0 };
}

/* ---- Output ---- */

static bool is_certain_of(uint64_t owner)
{
    return index_of(owner) != AS_CLIENT && index_of(owner) != AS_SERVER;
}

static void name(char *to, size_t size, const tool_twins *twins, uint64_t owner)
{
    const char *path = twins->paths[owner / MAX_INDEXES];
    const uint32_t index = index_of(owner);
    if (index == DIRECTORY) (void)snprintf(to, size, "%s", path);
    else if (is_certain_of(owner)) (void)snprintf(to, size, "%s, context %u", path, (unsigned)index);
    else (void)snprintf(to, size, "%s as the %s", path, index == AS_CLIENT ? "client" : "server");
}

bool tool_twins_is_mirror(const tool_twins *twins, size_t cursor)
{
    const nacre__twin *twin = &twins->found[cursor - 1];
    for (const nacre__twin *t = twins->found; t->owner / MAX_INDEXES < twin->owner / MAX_INDEXES; t++)
        if (t->owner == twin->other && t->other == twin->owner && t->direction == twin->direction) return true;
    return false;
}

bool tool_twins_next(const tool_twins *twins, int path, size_t *cursor, bool *is_certain, nacre_detail *text)
{
    char first[200], other[200];
    while (*cursor < twins->num_found && twins->found[*cursor].owner / MAX_INDEXES < (unsigned)path) ++*cursor;
    if (*cursor == twins->num_found || twins->found[*cursor].owner / MAX_INDEXES != (unsigned)path) return false;
    const nacre__twin *twin = &twins->found[(*cursor)++];
    name(first, sizeof first, twins, twin->owner);
    name(other, sizeof other, twins, twin->other);
    *is_certain = is_certain_of(twin->owner) && is_certain_of(twin->other);
    (void)nacre__twins_fail(text, twin->direction, first, other);
    return true;
}
