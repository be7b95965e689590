/* SPDX-License-Identifier: MIT */
/* metrics_http: see metrics_http.h. */
#include "metrics_http.h"

#include "base/hosted/detail.h"
#include "io/address.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    DEFAULT_PORT = 9464,
    CONNECTIONS = 16,
    CONNECTIONS_PER_ADDRESS = 8,
    CONNECTION_MEMORY = 16384, /* bytes */
    TIMEOUT_S = 5,
    IDLE_MS = 200,
    SHARE = 8, /* one part in eight of a core */
    PRIORITY = 10,
};

struct metrics_http {
    struct MHD_Daemon *daemon;
    metrics_on_get on_get;
    void *self;
    char address[256]; /* as given */
    char url[96];
    pthread_t thread;
    atomic_bool ends;
};

/* ---- Responses ---------------------------------------------------------------------------------------------------------- */

static void add_headers(struct MHD_Response *mhd, const metrics_response *response)
{
    char policy[256] = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    const size_t len = strlen(policy);
    if (response->nonce[0] != '\0')
        (void)snprintf(policy + len, sizeof policy - len,
                       "; script-src 'nonce-%s'; style-src 'nonce-%s'; connect-src 'self'", response->nonce,
                       response->nonce);
    const char *const headers[][2] = {
        { "Content-Type", response->type },      { "Content-Security-Policy", policy },
        { "X-Content-Type-Options", "nosniff" }, { "Cache-Control", "no-store" },
        { "Referrer-Policy", "no-referrer" },    { "Cross-Origin-Resource-Policy", "same-origin" }
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        (void)MHD_add_response_header(mhd, headers[i][0], headers[i][1]);
    if (response->status == MHD_HTTP_METHOD_NOT_ALLOWED) (void)MHD_add_response_header(mhd, "Allow", "GET, HEAD");
}

static enum MHD_Result respond(struct MHD_Connection *connection, const metrics_response *response)
{
    struct MHD_Response *mhd = MHD_create_response_from_buffer(response->len, response->body, MHD_RESPMEM_MUST_FREE);
    if (mhd == NULL) {
        free(response->body);
        return MHD_NO;
    }
    add_headers(mhd, response);
    const enum MHD_Result result = MHD_queue_response(connection, response->status, mhd);
    MHD_destroy_response(mhd);
    return result;
}

static void refuse(metrics_response *response, unsigned status, const char *text)
{
    response->status = status;
    response->body = strdup(text);
    response->len = response->body != NULL ? strlen(text) : 0;
}

static enum MHD_Result handle(void *self, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *data_len, void **state)
{
    const metrics_http *http = self;
    metrics_response response = { .status = MHD_HTTP_NOT_FOUND, .type = "text/plain; charset=utf-8" };
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    (void)version, (void)data, (void)data_len, (void)state;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        refuse(&response, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    else if (!metrics_host_is_ours(host, http->address))
        refuse(&response, MHD_HTTP_MISDIRECTED_REQUEST,
               "use an IP address, localhost, or the name given to --metrics\n");
    else http->on_get(http->self, url, &response);
    if (response.body == NULL && response.status == MHD_HTTP_NOT_FOUND)
        refuse(&response, MHD_HTTP_NOT_FOUND, "not here: / /metrics /healthz /readyz /status.json\n");
    if (response.body == NULL) refuse(&response, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
    if (response.body == NULL) return MHD_NO;
    return respond(connection, &response);
}

/* ---- The thread --------------------------------------------------------------------------------------------------------- */

static uint64_t cpu_us(void)
{
    struct timespec t = { 0 };
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void rest(uint64_t worked_us)
{
    const uint64_t us = worked_us * (SHARE - 1);
    const struct timespec t = { .tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000 * 1000) };
    if (us > 0) (void)nanosleep(&t, NULL);
}

static void *work(void *arg)
{
    metrics_http *http = arg;
#ifdef __linux__
    (void)setpriority(PRIO_PROCESS, 0, PRIORITY); /* on Linux: of this thread */
#endif
    while (!atomic_load(&http->ends)) {
        const uint64_t began_us = cpu_us();
        if (MHD_run_wait(http->daemon, IDLE_MS) != MHD_YES) (void)usleep(IDLE_MS * 1000); /* out of memory, perhaps */
        rest(cpu_us() - began_us);
    }
    return NULL;
}

static int start(metrics_http *http)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&http->thread, NULL, work, http);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* ---- Life --------------------------------------------------------------------------------------------------------------- */

static nacre_err resolve(nacre_address *local, const char *address, nacre_detail *why)
{
    char with_host[64];
    const bool is_port = address[0] != '\0' && strlen(address) <= 5 && strspn(address, "0123456789") == strlen(address);
    if (is_port) (void)snprintf(with_host, sizeof with_host, "127.0.0.1:%s", address);
    return nacre_address_resolve(local, is_port ? with_host : address, DEFAULT_PORT, why);
}

static int open_listener(const nacre_address *local)
{
    struct sockaddr_storage to;
    const bool is_ipv6 = nacre__address_is_ipv6(local);
    const socklen_t len = nacre__address_to(&to, local, is_ipv6);
    const int on = 1, fd = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (is_ipv6) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(const int){ 0 }, sizeof(int));
    if (bind(fd, (const struct sockaddr *)&to, len) == 0 && listen(fd, CONNECTIONS) == 0) return fd;
    const int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static void set_url(metrics_http *http, int fd)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    nacre_address local;
    char text[72];
    if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0 ||
        !nacre__address_from(&local, (const struct sockaddr *)&bound, len))
        return;
    nacre_address_text(&local, text);
    (void)snprintf(http->url, sizeof http->url, "http://%s/", text);
}

static nacre_err begin(metrics_http *http, const char *address, nacre_detail *why)
{
    nacre_address local;
    nacre_err err = resolve(&local, address, why);
    if (err != NACRE_OK) return err;
    const int fd = open_listener(&local);
    if (fd < 0)
        return nacre__fail(why, NACRE_ERR_ADDRESS, "cannot listen for --metrics on %s: %s", address, strerror(errno));
    set_url(http, fd);
    const unsigned flags = MHD_is_feature_supported(MHD_FEATURE_EPOLL) == MHD_YES ? MHD_USE_EPOLL : 0;
    http->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, handle, http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                         (unsigned)CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)CONNECTIONS_PER_ADDRESS,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    if (http->daemon == NULL) {
        (void)close(fd);
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "cannot start the HTTP server of --metrics");
    }
    const int error = start(http);
    if (error == 0) return NACRE_OK;
    MHD_stop_daemon(http->daemon);
    return nacre__fail(why, NACRE_ERR_NO_MEMORY, "cannot start the thread of --metrics: %s", strerror(error));
}

nacre_err metrics_http_open(metrics_http **http, const char *address, metrics_on_get on_get, void *self,
                            nacre_detail *why)
{
    metrics_http *made = calloc(1, sizeof *made);
    if (made == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for --metrics");
    made->on_get = on_get;
    made->self = self;
    (void)snprintf(made->address, sizeof made->address, "%s", address);
    const nacre_err err = begin(made, address, why);
    if (err == NACRE_OK) *http = made;
    else free(made);
    return err;
}

const char *metrics_http_url(const metrics_http *http)
{
    return http->url;
}

void metrics_http_close(metrics_http *http)
{
    if (http == NULL) return;
    atomic_store(&http->ends, true);
    (void)pthread_join(http->thread, NULL);
    MHD_stop_daemon(http->daemon);
    free(http);
}
