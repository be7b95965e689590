/* SPDX-License-Identifier: MIT */
/* signals: see signals.h. Handlers call only async-signal-safe functions. */
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const int ending[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP };
enum { NUM_ENDING = sizeof ending / sizeof ending[0] };

static volatile sig_atomic_t stopped_by; /* 0: no signal yet */
static void (*volatile stop_work)(void);
static void (*volatile reload_work)(void);
static bool is_lasting, has_terminal;
static char no_reload[128];

static void on_signal(int number)
{
    const int before = errno;
    if (number == SIGHUP && reload_work != NULL) {
        reload_work();
    } else if (number == SIGHUP && is_lasting && !has_terminal) {
        const ssize_t ignored = write(STDERR_FILENO, no_reload, strlen(no_reload));
        (void)ignored;
    } else {
        stopped_by = number;
        if (stop_work != NULL) stop_work();
    }
    errno = before;
}

/* Called at the start, because a terminal that has hung up is gone when SIGHUP arrives. */
static bool look_for_terminal(void)
{
    const int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) (void)close(fd);
    return fd >= 0;
}

static bool is_to_stay_ignored(int number)
{
    struct sigaction before;
    if (sigaction(number, NULL, &before) != 0 || before.sa_handler != SIG_IGN) return false;
    return !is_lasting || number != SIGINT;
}

void tool_signals_catch(const char *subcommand, bool lasting)
{
    struct sigaction action = { .sa_handler = on_signal };
    is_lasting = lasting;
    has_terminal = look_for_terminal();
    (void)snprintf(no_reload, sizeof no_reload, "nacre %s: SIGHUP: nothing is reloaded; SIGTERM ends it\n", subcommand);
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < NUM_ENDING; i++)
        if (!is_to_stay_ignored(ending[i])) (void)sigaction(ending[i], &action, NULL);
}

void tool_signals_stop_with(void (*stop)(void))
{
    stop_work = stop;
    if (stop != NULL && stopped_by != 0) stop();
}

void tool_signals_reload_with(void (*reload)(void))
{
    reload_work = reload;
}

bool tool_is_stopped(void)
{
    return stopped_by != 0;
}

int tool_signals_end(int result)
{
    if (is_lasting || stopped_by == 0) return result;
    (void)fflush(NULL);
    (void)signal(stopped_by, SIG_DFL);
    (void)raise(stopped_by);
    return result;
}

static void mask(int how)
{
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < NUM_ENDING; i++) (void)sigaddset(&set, ending[i]);
    (void)sigprocmask(how, &set, NULL);
}

void tool_signals_hold(void)
{
    mask(SIG_BLOCK);
}

void tool_signals_let(void)
{
    mask(SIG_UNBLOCK);
}
