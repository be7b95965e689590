/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* silent_hosts_test: two hosts hold all of a server's connections, send nothing, and replace each that is closed. A
 * client that keeps its connection, and clients that connect for one request, are all served. It lasts 4 seconds, or as many
 * as NACRE_SILENT_SECONDS says: 70 is longer than every idle time of the server. */
#include "pair.h"
#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 32, SHARE = 16, NUM_HOSTS = 2, EACH = SHARE, DEFAULT_SECONDS = 4, MOST_SECONDS = 3600 };

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    nacre_response_text(response, NACRE_CONTENT, nacre_address_is_reliable(request->peer) ? "by TCP" : "by UDP");
}

static void *run(void *server)
{
    nacre_detail why = { { 0 } };
    if (nacre_server_run(server, &why) != NACRE_OK) (void)fprintf(stderr, "silent_hosts_test: %s\n", why.text);
    return NULL;
}

/* ---- The silent hosts ------------------------------------------------------------------------------------------------ */

typedef struct silent_hosts {
    struct sockaddr_in server;
    atomic_bool is_over;
    atomic_uint num_opened, num_closed; /* … by the server */
    int fds[NUM_HOSTS][EACH];
} silent_hosts;

static int connect_from(const silent_hosts *s, uint32_t host)
{
    const struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK + 1 + host) } };
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&from, sizeof from), 0);
    if (connect(fd, (const struct sockaddr *)&s->server, sizeof s->server) == 0) return fd;
    (void)close(fd);
    return -1;
}

/* The server's CSM and Abort are read; afterwards a closed connection ends with 0 or an error. */
static bool is_open(int fd)
{
    uint8_t bytes[256];
    ssize_t len = 1;
    if (fd < 0) return false;
    while (len > 0) len = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    return len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static void *hold(void *arg)
{
    silent_hosts *s = arg;
    while (!atomic_load(&s->is_over)) {
        for (uint32_t host = 0; host < NUM_HOSTS; host++)
            for (size_t i = 0; i < EACH; i++) {
                int *fd = &s->fds[host][i];
                if (is_open(*fd)) continue;
                if (*fd >= 0) (void)close(*fd), (void)atomic_fetch_add(&s->num_closed, 1);
                *fd = connect_from(s, host);
                (void)atomic_fetch_add(&s->num_opened, 1);
            }
        (void)poll(NULL, 0, 10);
    }
    return NULL;
}

/* ---- The good clients ------------------------------------------------------------------------------------------------ */

static unsigned seconds(void)
{
    const char *text = getenv("NACRE_SILENT_SECONDS");
    if (text == NULL || *text == '\0') return DEFAULT_SECONDS;
    char *end;
    const unsigned long n = strtoul(text, &end, 10);
    if (*end != '\0' || n < 1 || n > MOST_SECONDS) fail_msg("NACRE_SILENT_SECONDS is 1 to %d", (int)MOST_SECONDS);
    return (unsigned)n;
}

static nacre_client *client_of(const char *dir)
{
    const nacre_client_options options = { .context_dir = dir, .timeout_ms = 10000 };
    return pair_open(&options);
}

/* Both kinds of clients, several times in a second. Returns the number of connections that were served. */
static unsigned be_served(const char *steady_dir, const char *newcomer_dir, const char *uri)
{
    unsigned num = 0;
    nacre_client *steady = client_of(steady_dir);
    for (const uint64_t end = nacre_clock_ms() + 1000u * seconds(); nacre_clock_ms() < end; num++) {
        pair_expect(steady, uri, "by TCP");
        nacre_client *newcomer = client_of(newcomer_dir);
        pair_expect(newcomer, uri, "by TCP");
        pair_close(newcomer);
        (void)poll(NULL, 0, 50);
    }
    pair_close(steady);
    return num;
}

static void every_good_connection_is_served_beside_two_silent_hosts(void **state)
{
    const pair *p = *state;
    nacre_detail why = { { 0 } };
    nacre_server *server;
    nacre_server_config config = nacre_server_config_default();
    const nacre_resource resource = { .path = "/hello", .handler = hello };
    static silent_hosts silent;
    pthread_t serving, holding;
    char client[300], other[300], address[72], uri[104];
    config.num_connections = CONNECTIONS;
    config.connections_per_host = SHARE;
    pair_more(p, "client2", "server2");
    (void)snprintf(client, sizeof client, "%s/client2", p->dir);
    (void)snprintf(other, sizeof other, "%s/server2", p->dir);
    assert_ok(nacre_server_open_with(&server, "127.0.0.1:0", &config, &why));
    assert_ok(nacre_server_listen_tcp(server, "127.0.0.1:0", &why));
    assert_ok(nacre_server_add_context(server, p->server, &why));
    assert_ok(nacre_server_add_context(server, other, &why));
    assert_ok(nacre_server_add_resource(server, &resource));
    const nacre_address local = nacre_server_local_tcp(server);
    nacre_address_text(&local, address);
    (void)snprintf(uri, sizeof uri, "coap+tcp://%s/hello", address);
    silent.server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    silent.server.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
    for (size_t i = 0; i < (size_t)NUM_HOSTS * EACH; i++) silent.fds[i / EACH][i % EACH] = -1;
    assert_int_equal(pthread_create(&serving, NULL, run, server), 0);
    assert_int_equal(pthread_create(&holding, NULL, hold, &silent), 0);
    for (int tries = 0; tries < 1000 && atomic_load(&silent.num_opened) < CONNECTIONS; tries++) (void)poll(NULL, 0, 10);
    (void)poll(NULL, 0, 1200); /* longer than the time in which a new connection must verify */
    assert_int_equal(atomic_load(&silent.num_opened), CONNECTIONS);
    assert_int_equal(atomic_load(&silent.num_closed), 0);
    const unsigned num = be_served(p->client, client, uri);
    print_message("%u connections for one request and one that stayed were served\n", num);
    assert_true(num > 0);
    assert_true(atomic_load(&silent.num_closed) >= num); /* each took the place of a silent one */
    atomic_store(&silent.is_over, true);
    assert_int_equal(pthread_join(holding, NULL), 0);
    nacre_server_stop(server);
    assert_int_equal(pthread_join(serving, NULL), 0);
    assert_ok(nacre_server_close(server, &why));
    for (size_t i = 0; i < (size_t)NUM_HOSTS * EACH; i++)
        if (silent.fds[i / EACH][i % EACH] >= 0) (void)close(silent.fds[i / EACH][i % EACH]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_good_connection_is_served_beside_two_silent_hosts, pair_set_up,
                                        pair_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
