/* SPDX-License-Identifier: MIT */
/* serve_watch: observers of files and directories hear of changes, whoever makes them (inotify).
 *
 * A directory is watched when somebody first observes it, or a file in it, and from then on; NUM_WATCHES of them at most.
 * What happens in it is told for the name that it happened to, and for the directory's own list. */
#include "serve_files.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { NUM_WATCHES = 256 };

struct serve_watches {
    int fd;
    nacre_server *server;
    pthread_mutex_t lock; /* of `dirs`: requests come to any thread, events to the first */
    struct {
        int wd; /* 0: free */
        char *path;
    } dirs[NUM_WATCHES];
};

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

void serve_watches_close(serve_watches *watches)
{
    if (watches == NULL) return;
    for (int i = 0; i < NUM_WATCHES; i++) free(watches->dirs[i].path);
    if (watches->fd >= 0) (void)close(watches->fd);
    (void)pthread_mutex_destroy(&watches->lock);
    free(watches);
}

/* ---- Events ----------------------------------------------------------------------------------------------------------- */

/* "/dir" and "/dir/" are the same list. */
static void tell_list(const serve_watches *watches, const char *dir)
{
    char path[SERVE_MAX_PATH + 2];
    (void)snprintf(path, sizeof path, "%s/", dir);
    nacre_server_changed(watches->server, path);
    if (dir[0] != '\0') nacre_server_changed(watches->server, dir);
}

static void tell_name(const serve_watches *watches, const char *dir, const char *name)
{
    char segment[3 * 256], path[SERVE_MAX_PATH + sizeof segment + 2];
    serve_escape(segment, name);
    (void)snprintf(path, sizeof path, "%s/%s", dir, segment);
    nacre_server_changed(watches->server, path);
}

static void take(serve_watches *watches, const struct inotify_event *event)
{
    const bool lost = (event->mask & IN_Q_OVERFLOW) != 0; /* what is told of lists is still right */
    for (int i = 0; i < NUM_WATCHES; i++) {
        if (watches->dirs[i].wd == 0 || (!lost && watches->dirs[i].wd != event->wd)) continue;
        const char *dir = watches->dirs[i].path;
        tell_list(watches, dir);
        if (event->len > 0 && event->name[0] != '.') tell_name(watches, dir, event->name);
        if ((event->mask & IN_IGNORED) == 0) continue; /* the directory went */
        watches->dirs[i].wd = 0;
        free(watches->dirs[i].path);
        watches->dirs[i].path = NULL;
    }
}

static void on_readable(void *user)
{
    serve_watches *watches = user;
    _Alignas(struct inotify_event) char buffer[8192];
    (void)pthread_mutex_lock(&watches->lock);
    for (ssize_t len; (len = read(watches->fd, buffer, sizeof buffer)) > 0;) {
        for (ssize_t at = 0; at < len;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)(buffer + at);
            take(watches, event);
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
    (void)pthread_mutex_unlock(&watches->lock);
}

serve_watches *serve_watches_open(nacre_server *server)
{
    serve_watches *watches = calloc(1, sizeof *watches);
    if (watches == NULL) return NULL;
    watches->server = server;
    (void)pthread_mutex_init(&watches->lock, NULL);
    watches->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watches->fd < 0) {
        serve_watches_close(watches);
        return NULL;
    }
    nacre_server_watch_fd(server, watches->fd, on_readable, watches);
    return watches;
}

/* ---- Directories ------------------------------------------------------------------------------------------------------ */

static void add(serve_watches *watches, int dir, const char *path)
{
    char name[64];
    int place = -1;
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", dir); /* the very directory that was walked to */
    const int wd = inotify_add_watch(watches->fd, name, IN_CLOSE_WRITE | IN_CREATE | IN_MOVE | IN_DELETE | IN_ONLYDIR);
    if (wd <= 0) return;
    for (int i = NUM_WATCHES - 1; i >= 0; i--) {
        if (watches->dirs[i].wd == wd && strcmp(watches->dirs[i].path, path) == 0) return;
        if (watches->dirs[i].wd == 0) place = i;
    }
    char *copy = place < 0 ? NULL : strdup(path);
    if (copy == NULL) return; /* served all the same, without notifications */
    watches->dirs[place].wd = wd;
    watches->dirs[place].path = copy;
}

void serve_watches_add(serve_watches *watches, int dir, const char *path)
{
    if (watches == NULL || strlen(path) > SERVE_MAX_PATH) return;
    (void)pthread_mutex_lock(&watches->lock);
    add(watches, dir, path);
    (void)pthread_mutex_unlock(&watches->lock);
}
