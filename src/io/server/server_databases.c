/* SPDX-License-Identifier: MIT */
/* server_databases: the contexts of databases, all loaded at once. */
#include "io/server/server_internal.h"
#include "base/hosted/detail.h"

#include <stdlib.h>

typedef struct adding {
    nacre_server *server;
    const char *path;
} adding;

static bool make_space(nacre_server *server)
{
    if (server->num_database_contexts < server->cap_database_contexts) return true;
    const size_t cap = server->cap_database_contexts != 0 ? 2 * server->cap_database_contexts : 64;
    nacre_context **larger = realloc(server->database_contexts, cap * sizeof(nacre_context *));
    if (larger == NULL) return false;
    server->database_contexts = larger;
    server->cap_database_contexts = cap;
    return true;
}

static nacre_err add_one(void *user, nacre_context *ctx, nacre_detail *why)
{
    const adding *a = user;
    nacre_server *server = a->server;
    if (ctx == NULL) { /* damaged: the others are served */
        nacre__server_warn(server, why->text);
        return NACRE_OK;
    }
    if (!make_space(server))
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory for its contexts", a->path);
    const nacre_err err = nacre__server_let_in(server, ctx, a->path, why);
    if (err == NACRE_OK) server->database_contexts[server->num_database_contexts++] = ctx;
    return err;
}

static void undo(nacre_server *server, size_t num_before)
{
    while (server->num_database_contexts > num_before) {
        nacre_context *ctx = server->database_contexts[--server->num_database_contexts];
        nacre__server_let_out(server, ctx);
    }
}

nacre_err nacre_server_add_database(nacre_server *server, const char *path, const nacre_sqlite_config *config,
                                    nacre_detail *why)
{
    nacre_sqlite *db;
    adding a = { server, path };
    const size_t num_before = server->num_database_contexts;
    nacre_sqlite **databases = realloc(server->databases, (server->num_databases + 1) * sizeof(nacre_sqlite *));
    if (databases == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for the database '%s'", path);
    server->databases = databases;
    nacre_err err = nacre_sqlite_open(&db, path, config, &server->crypto, why);
    if (err != NACRE_OK) return err;
    err = nacre_sqlite_load_all(db, add_one, &a, why);
    if (err == NACRE_OK) {
        server->databases[server->num_databases++] = db;
        return NACRE_OK;
    }
    undo(server, num_before);
    (void)nacre_sqlite_close(db, NULL); /* no context was used, so nothing is lost */
    return err;
}

nacre_err nacre__server_close_databases(nacre_server *server, nacre_detail *why)
{
    nacre_err err = NACRE_OK;
    for (size_t i = 0; i < server->num_databases; i++) {
        const nacre_err closed = nacre_sqlite_close(server->databases[i], err == NACRE_OK ? why : NULL);
        if (err == NACRE_OK) err = closed;
    }
    free(server->databases);
    free(server->database_contexts);
    return err;
}
