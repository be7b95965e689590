/* SPDX-License-Identifier: MIT */
/* libuv_client CONTEXT_DIR URI…: gets all resources at once, protected, from a libuv loop, and prints each as it
 * arrives. */
#define _POSIX_C_SOURCE 200809L /* libuv's header requires it with -std=c11 */
#include <nacre/nacre.h>

#include <stdio.h>
#include <uv.h>

enum { MAX_FDS = 8 }; /* a socket, and one for each connection */

typedef struct program {
    uv_loop_t *uv;
    uv_timer_t timer;
    uv_poll_t polls[MAX_FDS];
    int fds[MAX_FDS]; /* of each poll; -1: none */
    nacre_client *client;
    int failures;
} program;

static void work(program *p);

static void on_timer(uv_timer_t *timer)
{
    work(timer->data);
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    (void)status, (void)events;
    work(handle->data);
}

static int index_of(const int *fds, int num, int fd)
{
    for (int i = 0; i < num; i++)
        if (fds[i] == fd) return i;
    return -1;
}

/* libuv keeps its watchers, so it is told only differences. A poll handle is for one descriptor; once that is closed,
 * the handle is closed too, and on_closed frees its entry. */
static void on_closed(uv_handle_t *handle)
{
    program *p = handle->data;
    p->fds[(uv_poll_t *)handle - p->polls] = -1;
}

static void watch(program *p, const nacre_fd *fd)
{
    int events = (fd->readable ? UV_READABLE : 0) | (fd->writable ? UV_WRITABLE : 0);
    int at = index_of(p->fds, MAX_FDS, fd->fd);
    if (at < 0 && (at = index_of(p->fds, MAX_FDS, -1)) >= 0) {
        uv_poll_init(p->uv, &p->polls[at], fd->fd);
        p->polls[at].data = p;
        p->fds[at] = fd->fd;
    }
    if (at >= 0) uv_poll_start(&p->polls[at], events, on_ready);
}

static void watch_all(program *p)
{
    nacre_fd wanted[MAX_FDS];
    int now[MAX_FDS];
    size_t num = nacre_client_fds(p->client, wanted, MAX_FDS);
    if (num > MAX_FDS) num = MAX_FDS;
    for (size_t i = 0; i < num; i++) now[i] = wanted[i].fd;
    for (int i = 0; i < MAX_FDS; i++)
        if (p->fds[i] >= 0 && index_of(now, (int)num, p->fds[i]) < 0 && !uv_is_closing((uv_handle_t *)&p->polls[i]))
            uv_close((uv_handle_t *)&p->polls[i], on_closed);
    for (size_t i = 0; i < num; i++) watch(p, &wanted[i]);
    uint64_t clock = nacre_clock_ms(), deadline = nacre_client_deadline(p->client);
    if (deadline == UINT64_MAX) uv_timer_stop(&p->timer);
    else uv_timer_start(&p->timer, on_timer, deadline > clock ? deadline - clock : 0, 0);
}

static void stop(program *p)
{
    uv_close((uv_handle_t *)&p->timer, NULL);
    for (int i = 0; i < MAX_FDS; i++)
        if (p->fds[i] >= 0 && !uv_is_closing((uv_handle_t *)&p->polls[i]))
            uv_close((uv_handle_t *)&p->polls[i], on_closed);
}

static void work(program *p)
{
    nacre_detail why;
    if (uv_is_closing((uv_handle_t *)&p->timer)) return;
    nacre_err err = nacre_client_step(p->client, 0, &why);
    if (err != NACRE_OK) {
        fprintf(stderr, "libuv_client: %s\n", why.text);
        p->failures++;
    }
    if (err != NACRE_OK || nacre_client_num_in_flight(p->client) == 0) stop(p);
    else watch_all(p);
}

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

typedef struct get {
    program *program;
    const char *uri;
} get;

static void print_result(void *user, const nacre_client_result *result)
{
    const get *g = user;
    if (result->err == NACRE_OK) {
        printf("%s: %.*s\n", g->uri, (int)result->reply->payload.len, (const char *)result->reply->payload.ptr);
        return;
    }
    fprintf(stderr, "%s: %s\n", g->uri, result->why);
    g->program->failures++;
}

static nacre_err get_all(program *p, get *gets, char **uris, int num, nacre_detail *why)
{
    nacre_err err = NACRE_OK;
    for (int i = 0; err == NACRE_OK && i < num; i++) {
        nacre_client_request_config request = nacre_client_request_config_default();
        gets[i] = (get){ p, uris[i] };
        request.uri = uris[i];
        request.on_done = print_result;
        request.user = &gets[i];
        err = nacre_client_start(p->client, NULL, &request, why);
    }
    if (err != NACRE_OK) return err;
    uv_timer_init(p->uv, &p->timer);
    p->timer.data = p;
    watch_all(p);
    uv_run(p->uv, UV_RUN_DEFAULT);
    return NACRE_OK;
}

static int fail(const nacre_detail *why)
{
    fprintf(stderr, "libuv_client: %s\n", why->text);
    return 1;
}

int main(int argc, char **argv)
{
    enum { MOST = 64 };
    static program p;
    static get gets[MOST];
    nacre_detail why = { { 0 } };
    if (argc < 3 || argc - 2 > MOST) return fprintf(stderr, "usage: libuv_client CONTEXT_DIR URI...\n"), 2;
    nacre_client_options options = { .context_dir = argv[1] };
    p.uv = uv_default_loop();
    for (int i = 0; i < MAX_FDS; i++) p.fds[i] = -1;
    if (nacre_client_open(&p.client, &options, &why) != NACRE_OK) return fail(&why);
    nacre_err err = get_all(&p, gets, argv + 2, argc - 2, &why);
    int result = err == NACRE_OK ? p.failures != 0 : fail(&why);
    return nacre_client_close(p.client, &why) == NACRE_OK ? result : fail(&why);
}
