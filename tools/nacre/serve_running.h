/* SPDX-License-Identifier: MIT */
/* serve_running: the server of nacre serve while it runs, and what the keeper thread does beside it: reload, the end, signs of life
 * for a service manager. */
#ifndef NACRE_TOOL_SERVE_RUNNING_H
#define NACRE_TOOL_SERVE_RUNNING_H

#include "serve.h"
#include "serve_metrics.h"
#include "serve_settings.h"
#include "serve_resource.h"
#include "store_lines.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SERVE_MAX_RESOURCES = 5 };

typedef struct serve_running {
    serve_settings settings; /* in force; changed by reloads only */
    int argc;                /* the command line, for reloads */
    char **argv;
    nacre_server *server;
    serve_root root;
    serve_value value;
    serve_resource resources[SERVE_MAX_RESOURCES]; /* the first is the files */
    size_t num_resources;
    bool is_plain; /* the resources are for unprotected requests too: rights had a row for them at the start */
    store_lines lines;
    serve_metrics *metrics; /* NULL: none */
    atomic_bool shows_requests;
    pthread_rwlock_t rights_lock; /* of settings.rights and `then` */
    const serve_settings *then; /* during a reload those that will be in force, whose rights are needed too; or NULL */
    pthread_t keeper;
    atomic_bool has_keeper;              /* false: it ends, or there is none */
    atomic_bool is_to_reload, is_ending; /* set by signal handlers */
    int wake_read, wake_write;           /* a pipe, on which the keeper waits */
} serve_running;

/* serve_run serves until a signal; `r` has its settings and command line. The exit code. */
int serve_run(serve_running *r);

/* serve_reload reads command line and file again and applies what can change (serve_reload.c). What is wrong changes nothing and
 * is logged. */
void serve_reload(serve_running *r);

/* The keeper (serve_keeper.c): a thread beside the server's. serve_keeper_start: NACRE_OK; NACRE_ERR_NO_MEMORY (no thread).
 * serve_keeper_stop waits for it to end. The other two may be called in signal handlers. */
NACRE_MUST_USE nacre_err serve_keeper_start(serve_running *r);
void serve_keeper_stop(serve_running *r);
void serve_keeper_reload(serve_running *r);
void serve_keeper_end(serve_running *r); /* ends the server; called again, at once */

#endif
