/* SPDX-License-Identifier: MIT */
/* server_internal: shared by the server's files. */
#ifndef NACRE_IO_SERVER_INTERNAL_H
#define NACRE_IO_SERVER_INTERNAL_H

#include "io/server/key_marks.h"
#include "io/context_set.h"
#include "io/server/locks.h"
#include "io/store_health.h"
#include "io/store_threads.h"
#include "io/stores.h"
#include "io/server/worker.h"

#include <nacre/server.h>

typedef struct nacre__removal nacre__removal;
typedef struct nacre__loader nacre__loader;

struct nacre_server {
    nacre_server_config config; /* with the defaults filled in */
    nacre_role role;            /* of directories added from now on */
    nacre__worker *workers;
    size_t num_workers;
    nacre__locks *locks; /* NULL with one worker */
    nacre_crypto crypto; /* makes contexts, under `changing` */
    /* Locks, in the order in which they are taken: */
    pthread_mutex_t changing; /* one thread at a time adds, removes or replaces directories and credentials */
    pthread_mutex_t index;    /* over `table`, which workers search under their table locks, `senders` and `stores` */
    pthread_rwlock_t names;   /* of context_set */
    pthread_mutex_t removal_lock; /* over what removals wait for */
    pthread_cond_t removal_done;  /* no worker refers to a removed context any more */
    unsigned num_locks;           /* of these that were made, in this order */
    nacre__stores stores;         /* of all contexts */
    atomic_size_t num_contexts;   /* of `table`, for threads without its lock */
    nacre__removal *removals;     /* of contexts that workers may still refer to; under `index` */
    void (*on_removed)(void *user, nacre_context *ctx, nacre_err err, const char *text); /* or NULL */
    void *removed_user;
    nacre_tcp *tcp; /* of the first worker; NULL: no TCP */
    nacre__context_set context_set;
    unsigned generation;          /* of the present credentials (nacre__context_set); 0: none yet */
    nacre__key_marks senders;     /* Sender Keys of all contexts in the table */
    nacre__store_health health;   /* shared by all workers' loops */
    nacre__store_threads threads; /* likewise */
    bool has_health, has_threads;
    bool has_lanes;                                   /* each worker's socket has a lane (udp_internal.h) */
    void (*on_warning)(void *user, const char *text); /* or NULL */
    void *warning_user;
    nacre__loader *loader; /* NULL: no databases */
    nacre_table table;     /* borrowed by the endpoints by address; its entries may be reallocated */
    nacre_table_slot *slots;
    nacre_resource *resources;
    size_t num_resources;
};

/* server_config.c: copies the configuration (NULL: the defaults), and replaces 0 by the default if its size is 0. False: another
 * size, or a limit of 0. */
NACRE_MUST_USE bool nacre__server_config_resolve(nacre_server_config *config, const nacre_server_config *from);

static inline nacre__worker *nacre__server_first(const nacre_server *server)
{
    return &server->workers[0];
}

/* server_locks.c: makes the locks. NACRE_OK; NACRE_ERR_NO_MEMORY: nacre__server_destroy_locks destroys those that were made. */
NACRE_MUST_USE nacre_err nacre__server_make_locks(nacre_server *server);
void nacre__server_destroy_locks(nacre_server *server);

/* server_contexts.c: adds the context of a credential, under `changing`. Errors as nacre_server_add_context. */
NACRE_MUST_USE nacre_err nacre__server_add_credential(nacre_server *server, const nacre_credential *credential,
                                                      nacre_detail *why);
/* server_changes.c: nacre_server_replace_credentials with entries of any name. */
NACRE_MUST_USE nacre_err nacre__server_replace(nacre_server *server, const nacre_credential *entries, size_t num,
                                               nacre_detail *why);
/* nacre__server_begin_removal takes the context at that index of the set out of table and set, and starts its removal. */
void nacre__server_begin_removal(nacre_server *server, nacre__removal *r, size_t index);
/* The store of a context: for nacre__loop_find_stores. */
bool nacre__server_find_store(void *self, const nacre_context *ctx, nacre_store *store);

/* server_contexts.c: contexts of a database, for the loader's thread. nacre__server_insert: errors as nacre_server_add_context.
 * nacre__server_take_back takes one out of the table only, so that nothing new begins with it, and _put_back undoes that;
 * nacre__server_forget takes it out of everything. */
NACRE_MUST_USE nacre_err nacre__server_insert(nacre_server *server, nacre_context *ctx, nacre_detail *why);
void nacre__server_take_back(nacre_server *server, const nacre_context *ctx);
void nacre__server_put_back(nacre_server *server, nacre_context *ctx);
void nacre__server_forget(nacre_server *server, nacre_context *ctx);

/* server_warning.c: nacre_server_on_warning. */
void nacre__server_warn(void *self, const char *text);

#endif
