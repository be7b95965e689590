/* SPDX-License-Identifier: MIT */
/* serve_keeper: see serve_running.h. Signal handlers write one byte to its pipe, so that a signal costs nothing but that. */
#include "serve_running.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

enum { TICK_MS = 1000 };

static void poke(const serve_running *r, char what)
{
    const int error = errno;
    const ssize_t ignored = write(r->poke_write, &what, 1); /* a full pipe has the same byte already */
    (void)ignored;
    errno = error;
}

void serve_keeper_reload(serve_running *r)
{
    poke(r, 'r');
}

void serve_keeper_end(serve_running *r)
{
    nacre_server_stop(r->server);
}

/* False: the keeper ends. */
static bool handle_pokes(serve_running *r)
{
    char what[64];
    bool reloads = false, goes_on = true;
    for (ssize_t n; (n = read(r->poke_read, what, sizeof what)) > 0;)
        for (ssize_t i = 0; i < n; i++) {
            reloads = reloads || what[i] == 'r';
            goes_on = goes_on && what[i] != 'q';
        }
    if (reloads && goes_on) serve_reload(r); /* once for all signals that came meanwhile */
    return goes_on;
}

static void *keep(void *self)
{
    serve_running *r = self;
    struct pollfd fd = { .fd = r->poke_read, .events = POLLIN };
    do {
        (void)poll(&fd, 1, TICK_MS);
    } while (handle_pokes(r));
    return NULL;
}

static nacre_err make_pipe(serve_running *r)
{
    int ends[2];
    if (pipe(ends) != 0) return NACRE_ERR_NO_MEMORY;
    r->poke_read = ends[0];
    r->poke_write = ends[1];
    for (int i = 0; i < 2; i++)
        if (fcntl(ends[i], F_SETFD, FD_CLOEXEC) != 0 || fcntl(ends[i], F_SETFL, O_NONBLOCK) != 0)
            return NACRE_ERR_NO_MEMORY;
    return NACRE_OK;
}

nacre_err serve_keeper_start(serve_running *r)
{
    sigset_t all, before;
    nacre_err err = make_pipe(r);
    if (err != NACRE_OK) return err;
    (void)sigfillset(&all); /* signals go to the first thread */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r->has_keeper = pthread_create(&r->keeper, NULL, keep, r) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r->has_keeper ? NACRE_OK : NACRE_ERR_NO_MEMORY;
}

void serve_keeper_stop(serve_running *r)
{
    if (r->has_keeper) {
        poke(r, 'q');
        (void)pthread_join(r->keeper, NULL);
        r->has_keeper = false;
    }
    if (r->poke_read >= 0) (void)close(r->poke_read);
    if (r->poke_write >= 0) (void)close(r->poke_write);
    r->poke_read = r->poke_write = -1;
}
