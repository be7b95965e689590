/* SPDX-License-Identifier: MIT */
/* server_databases: databases, whose contexts the loader loads when requests need them. */
#include "io/loop_internal.h"
#include "io/server/loader.h"
#include "io/server/server_internal.h"
#include "base/hosted/detail.h"

#include <stdlib.h>

static void begin_lookups(nacre__task *task, nacre__worker *worker)
{
    nacre__loop_on_lookup(worker->loop, nacre__loader_on_lookup, worker);
    free(task);
}

/* The workers' requests wait for contexts from now on. */
static nacre_err start_lookups(nacre_server *server)
{
    for (size_t i = 0; i < server->num_workers; i++) {
        nacre__task *task = calloc(1, sizeof *task);
        if (task == NULL) return NACRE_ERR_NO_MEMORY;
        task->run = begin_lookups;
        nacre__worker_post(&server->workers[i], task);
    }
    return NACRE_OK;
}

static nacre_err make_loader(nacre_server *server)
{
    if (server->loader != NULL) return NACRE_OK;
    const nacre_err err = nacre__loader_open(&server->loader, server);
    for (size_t i = 0; err == NACRE_OK && i < server->num_workers; i++) server->workers[i].loader = server->loader;
    return err == NACRE_OK ? start_lookups(server) : err;
}

static nacre_err add(nacre_server *server, nacre__database *made, const char *path, const nacre_sqlite_config *config,
                     nacre_detail *why)
{
    nacre_err err = nacre_provider_open(&made->crypto);
    if (err != NACRE_OK) return nacre__fail(why, err, "cannot use a cryptography library: %s", nacre_err_text(err));
    err = nacre_sqlite_open(&made->db, path, config, &made->crypto, why);
    if (err != NACRE_OK) return err;
    err = make_loader(server);
    if (err == NACRE_OK) err = nacre__loader_add(server->loader, made);
    return err == NACRE_OK ? NACRE_OK
                           : nacre__fail(why, err, "cannot add the database '%s': %s", path, nacre_err_text(err));
}

nacre_err nacre_server_add_database(nacre_server *server, const char *path, const nacre_sqlite_config *config,
                                    nacre_detail *why)
{
    if (config != NULL && config->read_only)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "%s: a server cannot use it for reading only", path);
    nacre__database *made = calloc(1, sizeof *made);
    if (made == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for the database '%s'", path);
    (void)pthread_mutex_lock(&server->changing);
    const nacre_err err = add(server, made, path, config, why);
    (void)pthread_mutex_unlock(&server->changing);
    if (err == NACRE_OK) return NACRE_OK;
    (void)nacre_sqlite_close(made->db, NULL); /* no context was used, so nothing is lost */
    if (made->crypto.ops != NULL) nacre_provider_close(&made->crypto);
    free(made);
    return err;
}
