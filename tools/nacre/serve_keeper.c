/* SPDX-License-Identifier: MIT */
/* serve_keeper: see serve_running.h. A signal handler sets a flag, and wakes the keeper by one byte in its pipe. */
#include "serve_running.h"
#include "serve_log.h"
#include "serve_service.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TICK_MS = 1000, END_TICK_MS = 20, STILL_MS = 300 };

typedef struct keeper {
    serve_running *r;
    uint32_t watchdog_ms; /* 0: none */
    uint64_t counted_at;  /* ms: when the refused messages were last logged */
    nacre_endpoint_stats counted;
    uint64_t end_at;             /* ms: the server is stopped at the latest; 0: it is not to end */
    uint64_t received, moved_at; /* datagrams so far; ms: when that last changed */
} keeper;

static void wake(const serve_running *r)
{
    const int error = errno;
    const ssize_t ignored = write(r->wake_write, "", 1); /* a full pipe wakes it too */
    (void)ignored;
    errno = error;
}

void serve_keeper_reload(serve_running *r)
{
    atomic_store(&r->is_to_reload, true);
    wake(r);
}

void serve_keeper_end(serve_running *r)
{
    if (r->has_keeper && !atomic_exchange(&r->is_ending, true)) wake(r);
    else nacre_server_stop(r->server);
}

/* ---- What is due ---------------------------------------------------------------------------------------------------------- */

/* A worker that is at work for half of the watchdog's time hangs, and no sign of life is sent. */
static void tell_alive(const keeper *k, const nacre_server_stats *stats)
{
    if (k->watchdog_ms == 0) return;
    if (stats->busy_ms < k->watchdog_ms / 2) serve_service_tell("WATCHDOG=1");
    else
        serve_log(SERVE_ERROR, "hang", NULL, "a worker has been at work without waiting for %" PRIu64 " ms",
                  stats->busy_ms);
}

static void add_count(char line[512], uint64_t now, uint64_t before, const char *text)
{
    const size_t used = strlen(line);
    if (now == before) return;
    (void)snprintf(line + used, 512 - used, "%s%" PRIu64 " %s", used > 0 ? ", " : "", now - before, text);
}

/* One line for a period in which messages were refused. */
static void tell_refused(keeper *k, const nacre_endpoint_stats *now, uint64_t now_ms)
{
    char line[512] = "";
    const nacre_endpoint_stats *then = &k->counted;
    const size_t unavailable = NACRE_REFUSED_CONTEXT_UNAVAILABLE;
    if (now_ms - k->counted_at < k->r->settings.log_period_ms) return;
    add_count(line, now->unprotect_failures, then->unprotect_failures, "did not verify");
    add_count(line, now->replays, then->replays, "were replays");
    add_count(line, now->no_context, then->no_context, "had an unknown context");
    add_count(line, now->malformed, then->malformed, "were malformed");
    add_count(line, now->dropped, then->dropped, "were dropped");
    if (line[0] != '\0')
        serve_log(SERVE_INFO, "refused", NULL, "messages in the last %" PRIu64 " s: %s",
                  (now_ms - k->counted_at + 500) / 1000, line);
    if (now->refused[unavailable] != then->refused[unavailable])
        serve_log(SERVE_WARNING, "unavailable", NULL,
                  "%" PRIu64 " messages in contexts that are used up, or whose state another program has taken over",
                  now->refused[unavailable] - then->refused[unavailable]);
    k->counted_at = now_ms;
    k->counted = *now;
}

/* Bodies and deferred responses are waited for as long as messages come. */
static void end_when_done(keeper *k, const nacre_server_stats *stats, uint64_t now_ms)
{
    if (stats->endpoint.received != k->received) {
        k->received = stats->endpoint.received;
        k->moved_at = now_ms;
    }
    const bool is_under_way = stats->bodies + stats->deferred > 0 && now_ms - k->moved_at < STILL_MS;
    if (!is_under_way || now_ms >= k->end_at) nacre_server_stop(k->r->server);
}

static void begin_to_end(keeper *k, uint64_t now_ms)
{
    serve_service_tell("STOPPING=1");
    k->moved_at = now_ms;
    k->end_at = now_ms + k->r->settings.stop_timeout_ms + 1;
}

/* False: the keeper ends. */
static bool handle_signals(keeper *k)
{
    char bytes[64];
    serve_running *r = k->r;
    while (read(r->wake_read, bytes, sizeof bytes) > 0) {} /* before the flags, so that no signal is missed */
    if (!atomic_load(&r->has_keeper)) return false;
    if (atomic_load(&r->is_ending) && k->end_at == 0) begin_to_end(k, nacre_clock_ms());
    if (atomic_exchange(&r->is_to_reload, false) && k->end_at == 0) { /* once for all signals that came meanwhile */
        serve_service_tell_reload();
        serve_reload(r);
        serve_service_tell("READY=1");
    }
    return true;
}

static void *keep(void *self)
{
    serve_running *r = self;
    keeper k = { .r = r, .watchdog_ms = serve_service_watchdog_ms(), .counted_at = nacre_clock_ms() };
    struct pollfd fd = { .fd = r->wake_read, .events = POLLIN };
    const uint32_t third = k.watchdog_ms / 3;
    const int tick = third > 0 && third < TICK_MS ? (int)third : TICK_MS;
    for (bool goes_on = true; goes_on;) {
        nacre_server_stats stats;
        (void)poll(&fd, 1, k.end_at != 0 ? END_TICK_MS : tick);
        goes_on = handle_signals(&k);
        if (!goes_on) break;
        const uint64_t now = nacre_clock_ms();
        nacre_server_get_stats(r->server, &stats, sizeof stats);
        tell_alive(&k, &stats);
        tell_refused(&k, &stats.endpoint, now);
        if (k.end_at != 0) end_when_done(&k, &stats, now);
    }
    return NULL;
}

/* ---- Life ---------------------------------------------------------------------------------------------------------------- */

static nacre_err make_pipe(serve_running *r)
{
    int ends[2];
    if (pipe(ends) != 0) return NACRE_ERR_NO_MEMORY;
    r->wake_read = ends[0];
    r->wake_write = ends[1];
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
    atomic_store(&r->has_keeper, true); /* before the thread reads it */
    const bool is_started = pthread_create(&r->keeper, NULL, keep, r) == 0;
    if (!is_started) atomic_store(&r->has_keeper, false);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return is_started ? NACRE_OK : NACRE_ERR_NO_MEMORY;
}

void serve_keeper_stop(serve_running *r)
{
    if (atomic_exchange(&r->has_keeper, false)) {
        wake(r);
        (void)pthread_join(r->keeper, NULL);
    }
    if (r->wake_read >= 0) (void)close(r->wake_read);
    if (r->wake_write >= 0) (void)close(r->wake_write);
    r->wake_read = r->wake_write = -1;
}
