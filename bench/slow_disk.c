/* SPDX-License-Identifier: MIT */
/* slow_disk: the rate of one busy client while others join a server whose disk takes 30 ms for each sync, against its rate
 * alone. Each context has a directory; a context that joins makes its server write, before its first request is accepted
 * (RFC 8613 B.1.2). The disk is a sleep in place of fsync and fdatasync; the directories are made in the current directory, or in
 * $NACRE_BENCH_DIR. */
#include "bench.h"
#include "net/directory.h"

#include <nacre/nacre.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

enum { NUM_JOINING = 1000, QUICK_JOINING = 20, SYNC_MS = 30, MAX_DATAGRAM = 1280, KEYS = 4096, FDS_EACH = 4 };

static atomic_bool is_slow;

/* In place of the C library's. */
int fsync(int fd)
{
    (void)fd;
    return atomic_load(&is_slow) ? poll(NULL, 0, SYNC_MS) : 0;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the C library names it in its own way */
int fdatasync(int fd)
{
    return fsync(fd);
}

/* ---- Server ---- */

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    nacre_response_text(response, NACRE_CONTENT, "hello");
}

static void *run(void *arg)
{
    (void)!nacre_server_run(arg, NULL);
    return NULL;
}

/* ---- Clients ---- */

typedef struct client {
    nacre_context ctx; /* in memory: its own disk is not measured */
    uint8_t *keys;
} client;

static void make_client(client *c, nacre_server *server, const char *dir, size_t number, const nacre_crypto *crypto)
{
    char ours[DIRECTORY_PATH + 32], theirs[DIRECTORY_PATH + 32], id[24];
    nacre_directory_info info;
    snprintf(ours, sizeof ours, "%s/c%zu", dir, number);
    snprintf(theirs, sizeof theirs, "%s/s%zu", dir, number);
    snprintf(id, sizeof id, "%zu", number);
    const nacre_generate_options options = { .client_id = nacre_bytes_of((const uint8_t *)id, strlen(id)),
                                             .server_id = NACRE_STR("srv") };
    bench_check(nacre_directory_generate(ours, theirs, &options, NULL) == NACRE_OK, "a pair of contexts");
    bench_check(nacre_directory_read(&info, ours, true, NULL) == NACRE_OK, "the client's directory");
    bench_check(nacre_server_add_context(server, theirs, NULL) == NACRE_OK, "the server's directory");
    c->keys = bench_alloc(KEYS);
    const nacre_context_params params = { .master_secret = { .bytes = nacre_bytes_of(info.secret, info.secret_len) },
                                          .master_salt = nacre_bytes_of(info.salt, info.salt_len),
                                          .sender_id = nacre_bytes_of(info.sender_id, info.sender_id_len),
                                          .recipient_id = nacre_bytes_of(info.recipient_id, info.recipient_id_len) };
    bench_check(nacre_context_init(&c->ctx, crypto, &params, (nacre_buf){ c->keys, KEYS }) == NACRE_OK, "a context");
}

static void send_request(int fd, client *c, const nacre_crypto *crypto)
{
    static uint16_t mid;
    uint8_t bytes[MAX_DATAGRAM], path[16];
    nacre_bytes out;
    nacre_options options;
    nacre_request_id id;
    nacre_message m = { .type = NACRE_NON, .code = NACRE_GET, .mid = mid++, .token = NACRE_STR("t") };
    nacre_options_init(&options, NACRE_BUF(path));
    nacre_options_add(&options, NACRE_OPT_URI_PATH, NACRE_STR("hello"));
    bench_check(nacre_options_finish(&options, &m.options) == NACRE_OK, "options");
    bench_check(nacre_protect_request(&c->ctx, crypto, &id, &out, NACRE_BUF(bytes), &m, NULL) == NACRE_OK,
                "protection");
    bench_check(send(fd, out.ptr, out.len, 0) == (ssize_t)out.len, "sending");
}

/* Requests a second of clients[0], one after the other, for `seconds`; the `num_joining` after it send one request each, one after
 * each response. A response that does not come within a second is counted as none. */
static double measure(const int fds[2], client *clients, size_t num_joining, double seconds, const nacre_crypto *crypto)
{
    size_t num = 0, joined = 0;
    const uint64_t begin = nacre_clock_ms(), end = begin + (uint64_t)(1000 * seconds);
    for (uint64_t now; (now = nacre_clock_ms()) < end;) {
        uint8_t bytes[MAX_DATAGRAM];
        struct pollfd fd = { .fd = fds[0], .events = POLLIN };
        if (joined < num_joining) send_request(fds[1], &clients[++joined], crypto);
        send_request(fds[0], &clients[0], crypto);
        if (poll(&fd, 1, end - now < 1000 ? (int)(end - now) : 1000) > 0 && recv(fds[0], bytes, sizeof bytes, 0) > 0)
            num++;
    }
    return (double)num / seconds;
}

static void connect_to(int *fd, const nacre_address *address)
{
    char text[72];
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    nacre_address_text(address, text);
    to.sin_port = htons((uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10));
    *fd = socket(AF_INET, SOCK_DGRAM, 0);
    bench_check(*fd >= 0 && connect(*fd, (const struct sockaddr *)&to, sizeof to) == 0, "a socket");
}

static size_t can_join(size_t wanted)
{
    struct rlimit limit;
    bench_check(getrlimit(RLIMIT_NOFILE, &limit) == 0, "the limit of descriptors");
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_max / FDS_EACH < wanted + 16 ? limit.rlim_max / FDS_EACH - 16 : wanted;
}

int main(int argc, char **argv)
{
    bench *b =
        bench_start(argc, argv, "slow_disk", "a busy client while others join, with a disk that takes 30 ms to sync");
    const size_t num_joining = can_join(bench_is_quick(b) ? QUICK_JOINING : NUM_JOINING);
    const double seconds = bench_is_quick(b) ? 0.2 : 2;
    char dir[DIRECTORY_PATH], name[64];
    nacre_crypto crypto;
    nacre_server *server;
    pthread_t thread;
    int fds[2];
    client *clients = bench_alloc((num_joining + 1) * sizeof *clients);
    directory_make(dir);
    bench_check(nacre_provider_open(&crypto) == NACRE_OK, "provider");
    bench_check(nacre_server_open(&server, "127.0.0.1:0", NULL) == NACRE_OK, "a server");
    for (size_t i = 0; i <= num_joining; i++) make_client(&clients[i], server, dir, i, &crypto);
    const nacre_resource resource = { .path = "/hello", .handler = hello };
    bench_check(nacre_server_add_resource(server, &resource) == NACRE_OK, "a resource");
    const nacre_address address = nacre_server_local(server);
    for (int i = 0; i < 2; i++) connect_to(&fds[i], &address);
    bench_check(pthread_create(&thread, NULL, run, server) == 0, "a thread");
    (void)measure(fds, clients, 0, seconds / 4, &crypto); /* the busy client joins */
    atomic_store(&is_slow, true);
    const double alone = measure(fds, clients, 0, seconds, &crypto);
    const double beside = measure(fds, clients, num_joining, seconds, &crypto);
    atomic_store(&is_slow, false);
    double ratio = beside / alone;
    snprintf(name, sizeof name, "while %zu others join", num_joining);
    bench_value_of_rounds(b, "one busy client", "alone", alone, "requests/s", NULL, 1, 0);
    bench_value_of_rounds(b, "one busy client", name, beside, "requests/s", &ratio, 1, 0.5);
    nacre_server_stop(server);
    bench_check(pthread_join(thread, NULL) == 0 && nacre_server_close(server, NULL) == NACRE_OK,
                "the end of the server");
    for (size_t i = 0; i <= num_joining; i++) {
        nacre_context_wipe(&clients[i].ctx);
        free(clients[i].keys);
    }
    for (int i = 0; i < 2; i++) (void)close(fds[i]);
    free(clients);
    nacre_provider_close(&crypto);
    directory_remove(dir);
    return bench_finish(b);
}
