/* SPDX-License-Identifier: MIT */
/* served: servers and programs in child processes, tracked until they end. */
#include "served.h"
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_RUNNING = 8 };
static pid_t running[MAX_RUNNING]; /* 0: free */
static nacre_server *serving;      /* in a child only */

static void remember(pid_t pid)
{
    for (int i = 0; i < MAX_RUNNING; i++)
        if (running[i] == 0) {
            running[i] = pid;
            return;
        }
    fail_msg("more than %d children", (int)MAX_RUNNING);
}

static void forget(pid_t pid)
{
    for (int i = 0; i < MAX_RUNNING; i++)
        if (running[i] == pid) running[i] = 0;
}

static void on_signal(int number)
{
    (void)number;
    nacre_server_stop(serving);
}

static void serve(const char *bind, void (*fill)(nacre_server *, void *), void *user, int ready)
{
    nacre_detail why = { { 0 } };
    char text[72];
    struct sigaction action = { .sa_handler = on_signal };
#if defined(__linux__)
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test ends without it, and its output would stay open */
#endif
    if (nacre_server_open(&serving, bind, &why) != NACRE_OK) {
        fprintf(stderr, "server: %s\n", why.text);
        exit(2);
    }
    (void)sigaction(SIGTERM, &action, NULL);
    fill(serving, user);
    nacre_address local = nacre_server_local_tcp(serving);
    nacre_address_text(&local, text);
    if (local.len != 0) dprintf(ready, "connections %s ", text);
    local = nacre_server_local(serving);
    nacre_address_text(&local, text);
    dprintf(ready, "serving %s\n", text);
    (void)close(ready);
    nacre_err err = nacre_server_run(serving, &why);
    nacre_err closing = nacre_server_close(serving, &why);
    _exit(err == NACRE_OK && closing == NACRE_OK ? 0 : 5);
}

/* Waits for the line with the address on which it serves. */
static served ready_child(pid_t pid, int from)
{
    char line[200] = "", tcp[72], *at;
    size_t len = 0;
    served s = { .pid = pid };
    remember(pid);
    while (len + 1 < sizeof line && read(from, line + len, 1) == 1 && line[len] != '\n') len++;
    (void)close(from);
    if (line[len] != '\n') fail_msg("a server did not start: %s", line);
    line[len] = '\0';
    at = strrchr(line, ' ');
    assert_non_null(at);
    at = strncmp(at + 1, "coap://", 7) == 0 ? at + 8 : at + 1;
    (void)snprintf(s.hostinfo, sizeof s.hostinfo, "%.71s", at);
    (void)snprintf(s.origin, sizeof s.origin, "coap://%s", s.hostinfo);
    if (sscanf(line, "connections %71s", tcp) == 1) (void)snprintf(s.tcp, sizeof s.tcp, "coap+tcp://%s", tcp);
    return s;
}

served served_start(const char *bind, void (*fill)(nacre_server *server, void *user), void *user)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(ends[0]);
        serve(bind, fill, user, ends[1]);
    }
    (void)close(ends[1]);
    return ready_child(pid, ends[0]);
}

served served_program(char *const argv[])
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)execv(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    (void)close(ends[1]);
    return ready_child(pid, ends[0]);
}

void served_stop(const served *s)
{
    int status;
    forget(s->pid);
    assert_int_equal(kill(s->pid, SIGTERM), 0);
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("a server ended with status %#x", (unsigned)status);
}

void served_crash(const served *s)
{
    int status;
    forget(s->pid);
    assert_int_equal(kill(s->pid, SIGKILL), 0);
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
}

void served_end(void)
{
    for (int i = 0; i < MAX_RUNNING; i++) {
        if (running[i] == 0) continue;
        (void)kill(running[i], SIGKILL);
        (void)waitpid(running[i], NULL, 0);
        running[i] = 0;
    }
}

const char *served_uri(const served *s, const char *path)
{
    static char text[300];
    (void)snprintf(text, sizeof text, "%s%s", s->origin, path);
    return text;
}
