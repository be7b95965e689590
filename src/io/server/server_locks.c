/* SPDX-License-Identifier: MIT */
/* server_locks: the locks of what the threads of a server share, and other threads change. */
#include "io/server/server_internal.h"

nacre_err nacre__server_make_locks(nacre_server *server)
{
    pthread_mutex_t *const mutexes[] = { &server->changing, &server->index, &server->removal_lock };
    for (; server->num_locks < 3; server->num_locks++)
        if (pthread_mutex_init(mutexes[server->num_locks], NULL) != 0) return NACRE_ERR_NO_MEMORY;
    if (pthread_cond_init(&server->removal_done, NULL) != 0) return NACRE_ERR_NO_MEMORY;
    server->num_locks++;
    if (pthread_rwlock_init(&server->names, NULL) != 0) return NACRE_ERR_NO_MEMORY;
    server->num_locks++;
    server->context_set.lock = &server->names;
    return NACRE_OK;
}

void nacre__server_destroy_locks(nacre_server *server)
{
    pthread_mutex_t *const mutexes[] = { &server->changing, &server->index, &server->removal_lock };
    for (unsigned i = 0; i < 3 && i < server->num_locks; i++) (void)pthread_mutex_destroy(mutexes[i]);
    if (server->num_locks > 3) (void)pthread_cond_destroy(&server->removal_done);
    if (server->num_locks > 4) (void)pthread_rwlock_destroy(&server->names);
    server->num_locks = 0;
}
