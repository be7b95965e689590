/* SPDX-License-Identifier: MIT */
/* serve_watch: notifies observers of files and directories of changes made by any program (inotify).
 *
 * Each observation has a watch, which references the directory that its file is in, or that it lists; a directory references
 * its parent, up to the root, so that renaming any of them is noticed. All are released with the last observation. If the
 * system has no more watches, the resource is served without Observe.
 *
 * Events are read at most every INTERVAL_MS and merged in between: a file that is written continuously causes ten notifications
 * a second, and its last state is always sent. A notification renews the watch of its path before it reads, since another
 * directory may have that name by then. */
#include "serve_files.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { INTERVAL_MS = 100 };

enum {
    CHANGES = IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_MOVE | IN_DELETE | IN_MOVE_SELF | IN_DELETE_SELF,
    DIRECTORY_MOVES = IN_CREATE | IN_MOVE | IN_DELETE | IN_ATTRIB,
    DIRECTORY_GOES = IN_MOVE_SELF | IN_DELETE_SELF | IN_IGNORED | IN_UNMOUNT,
};

/* A directory by its path in requests: "" or "/a/b". */
typedef struct directory {
    struct directory *next, *parent;
    int wd; /* 0: not watched */
    unsigned uses;
    char path[];
} directory;

struct serve_watch {
    struct serve_watch *next;
    serve_watches *watches;
    directory *dir;
    bool is_dirty;
    char name[256]; /* of the file; "": the directory's list */
    char path[];    /* as in the request */
};

struct serve_watches {
    int notify, timer, both; /* inotify, a timerfd, and an epoll over them */
    bool is_pausing;
    nacre_server *server;
    pthread_mutex_t lock; /* requests run on any thread, events on the first */
    directory *dirs;
    serve_watch *all;
};

/* ---- Directories ------------------------------------------------------------------------------------------------------ */

static void unwatch(serve_watches *watches, directory *dir)
{
    const int wd = dir->wd;
    dir->wd = 0;
    if (wd == 0) return;
    for (const directory *d = watches->dirs; d != NULL; d = d->next)
        if (d->wd == wd) return; /* one directory under two paths (a bind mount) has one watch */
    (void)inotify_rm_watch(watches->notify, wd);
}

static void let_go(serve_watches *watches, directory *dir)
{
    while (dir != NULL && --dir->uses == 0) {
        directory *parent = dir->parent, **at = &watches->dirs;
        while (*at != NULL && *at != dir) at = &(*at)->next;
        if (*at != NULL) *at = dir->next;
        unwatch(watches, dir);
        free(dir);
        dir = parent;
    }
}

/* Adds a reference to the directory of that path. Consumes the caller's reference to its parent. */
static directory *take(serve_watches *watches, directory *parent, const char *path, size_t len)
{
    for (directory *d = watches->dirs; d != NULL; d = d->next) {
        if (strncmp(d->path, path, len) != 0 || d->path[len] != '\0') continue;
        d->uses++;
        if (parent != NULL) let_go(watches, parent);
        return d;
    }
    directory *made = calloc(1, sizeof *made + len + 1);
    if (made == NULL) {
        if (parent != NULL) let_go(watches, parent);
        return NULL;
    }
    memcpy(made->path, path, len);
    made->uses = 1;
    made->parent = parent;
    made->next = watches->dirs;
    watches->dirs = made;
    return made;
}

/* Watches the directory that was walked to, which may be another one than before. */
static bool watch_directory(serve_watches *watches, directory *dir, int fd)
{
    char name[64];
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    const int wd = inotify_add_watch(watches->notify, name, (uint32_t)CHANGES | IN_ONLYDIR);
    if (wd <= 0) return false;
    if (dir->wd != wd) unwatch(watches, dir);
    dir->wd = wd;
    return true;
}

/* The length of the first `num` segments of a path. */
static size_t prefix_len(const char *path, int num)
{
    size_t len = 0;
    while (num-- > 0 && path[len] == '/') len += 1 + strcspn(path + len + 1, "/");
    return len;
}

/* Watches the directory of the first `num` segments and all above it. NULL: not possible. */
static directory *watch_down_to(serve_watches *watches, const serve_root *root, const nacre_request *request, int num)
{
    directory *dir = NULL;
    for (int i = 0; i <= num; i++) {
        struct stat st;
        const int fd = serve_walk_some(root, request->message->options, i, &st);
        directory *next = take(watches, dir, request->path, prefix_len(request->path, i));
        const bool ok = next != NULL && fd >= 0 && S_ISDIR(st.st_mode) && watch_directory(watches, next, fd);
        if (fd >= 0) (void)close(fd);
        if (!ok && next != NULL) let_go(watches, next);
        if (!ok) return NULL;
        dir = next;
    }
    return dir;
}

/* ---- Observations ----------------------------------------------------------------------------------------------------- */

serve_watch *serve_watch_begin(serve_watches *watches, const serve_root *root, const nacre_request *request, int num,
                               const char *name)
{
    const size_t len = strlen(request->path) + 1;
    if (watches == NULL) return NULL;
    serve_watch *w = calloc(1, sizeof *w + len);
    if (w == NULL) return NULL;
    memcpy(w->path, request->path, len);
    (void)snprintf(w->name, sizeof w->name, "%s", name);
    w->watches = watches;
    (void)pthread_mutex_lock(&watches->lock);
    w->dir = watch_down_to(watches, root, request, num);
    if (w->dir != NULL) {
        w->next = watches->all;
        watches->all = w;
    }
    (void)pthread_mutex_unlock(&watches->lock);
    if (w->dir != NULL) return w;
    free(w);
    return NULL;
}

void serve_watch_end(void *watch)
{
    serve_watch *w = watch, **at = &w->watches->all;
    (void)pthread_mutex_lock(&w->watches->lock);
    while (*at != NULL && *at != w) at = &(*at)->next;
    if (*at != NULL) *at = w->next;
    let_go(w->watches, w->dir);
    (void)pthread_mutex_unlock(&w->watches->lock);
    free(w);
}

bool serve_watch_has_other(serve_watches *watches, const char *path, bool is_directory)
{
    bool has_other = false;
    if (watches == NULL) return false;
    (void)pthread_mutex_lock(&watches->lock);
    for (const serve_watch *w = watches->all; w != NULL && !has_other; w = w->next)
        has_other = (w->name[0] == '\0') != is_directory && strcmp(w->path, path) == 0;
    (void)pthread_mutex_unlock(&watches->lock);
    return has_other;
}

/* ---- Events ----------------------------------------------------------------------------------------------------------- */

/* Whether `path` is `above` + "/" + `segment`, or below it; without a segment: `above` or below it. */
static bool is_below(const char *path, const char *above, const char *segment)
{
    const size_t len = strlen(above), segment_len = strlen(segment);
    if (strncmp(path, above, len) != 0) return false;
    path += len;
    if (segment_len == 0) return *path == '\0' || *path == '/';
    if (*path++ != '/' || strncmp(path, segment, segment_len) != 0) return false;
    return path[segment_len] == '\0' || path[segment_len] == '/';
}

static void mark_below(serve_watches *watches, const directory *dir, const char *segment)
{
    for (serve_watch *w = watches->all; w != NULL; w = w->next)
        w->is_dirty = w->is_dirty || is_below(w->dir->path, dir->path, segment);
}

/* `name` is "" for the directory itself. */
static void mark(serve_watches *watches, const directory *dir, uint32_t mask, const char *name)
{
    char segment[3 * 256];
    serve_escape(segment, name);
    if ((mask & DIRECTORY_GOES) != 0 || serve_is_private_name(&(serve_root){ 0 }, name)) mark_below(watches, dir, "");
    else if ((mask & IN_ISDIR) != 0 && (mask & DIRECTORY_MOVES) != 0) mark_below(watches, dir, segment);
    for (serve_watch *w = watches->all; w != NULL; w = w->next)
        if (w->dir == dir && (name[0] == '\0' || w->name[0] == '\0' || strcmp(name, w->name) == 0)) w->is_dirty = true;
}

static void take_event(serve_watches *watches, const struct inotify_event *event)
{
    const char *name = event->len > 0 ? event->name : "";
    if ((event->mask & IN_Q_OVERFLOW) != 0)
        for (serve_watch *w = watches->all; w != NULL; w = w->next) w->is_dirty = true;
    if (name[0] == '.') return; /* not served */
    for (directory *d = watches->dirs; d != NULL; d = d->next) {
        if (d->wd != event->wd || d->wd == 0) continue;
        mark(watches, d, event->mask, name);
        if ((event->mask & IN_IGNORED) != 0) d->wd = 0;
    }
}

/* Events may arrive faster than they are read; what is left then is read after the pause. */
static bool read_events(serve_watches *watches)
{
    enum { MOST_READS = 64 };
    bool had_events = false;
    _Alignas(struct inotify_event) char buffer[8192];
    ssize_t len;
    for (int i = 0; i < MOST_READS && (len = read(watches->notify, buffer, sizeof buffer)) > 0; i++) {
        had_events = true;
        for (ssize_t at = 0; at < len;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)(buffer + at);
            take_event(watches, event);
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
    return had_events;
}

static void tell(serve_watches *watches)
{
    for (serve_watch *w = watches->all; w != NULL; w = w->next) {
        if (w->is_dirty) nacre_server_changed(watches->server, w->path);
        w->is_dirty = false;
    }
}

static void listen_to(const serve_watches *watches, int operation, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events };
    (void)epoll_ctl(watches->both, operation, fd, &event);
}

static void on_readable(void *user)
{
    static const struct itimerspec pause = { .it_value = { .tv_nsec = INTERVAL_MS * 1000000L } };
    serve_watches *watches = user;
    uint64_t times;
    if (read(watches->timer, &times, sizeof times) == (ssize_t)sizeof times) watches->is_pausing = false;
    if (watches->is_pausing) return;
    (void)pthread_mutex_lock(&watches->lock);
    const bool had_events = read_events(watches);
    tell(watches);
    (void)pthread_mutex_unlock(&watches->lock);
    watches->is_pausing = had_events && timerfd_settime(watches->timer, 0, &pause, NULL) == 0;
    listen_to(watches, EPOLL_CTL_MOD, watches->notify, watches->is_pausing ? 0 : EPOLLIN);
}

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

void serve_watches_close(serve_watches *watches)
{
    if (watches == NULL) return;
    for (serve_watch *w = watches->all, *next; w != NULL; w = next) {
        next = w->next;
        let_go(watches, w->dir);
        free(w);
    }
    if (watches->notify >= 0) (void)close(watches->notify);
    if (watches->timer >= 0) (void)close(watches->timer);
    if (watches->both >= 0) (void)close(watches->both);
    (void)pthread_mutex_destroy(&watches->lock);
    free(watches);
}

serve_watches *serve_watches_open(nacre_server *server)
{
    serve_watches *watches = calloc(1, sizeof *watches);
    if (watches == NULL) return NULL;
    watches->server = server;
    (void)pthread_mutex_init(&watches->lock, NULL);
    watches->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    watches->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    watches->both = epoll_create1(EPOLL_CLOEXEC);
    if (watches->notify < 0 || watches->timer < 0 || watches->both < 0) {
        serve_watches_close(watches);
        return NULL;
    }
    listen_to(watches, EPOLL_CTL_ADD, watches->notify, EPOLLIN);
    listen_to(watches, EPOLL_CTL_ADD, watches->timer, EPOLLIN);
    nacre_server_watch_fd(server, watches->both, on_readable, watches);
    return watches;
}
