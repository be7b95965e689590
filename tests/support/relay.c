/* SPDX-License-Identifier: MIT */
/* relay: forwards between a client and a server on this machine and logs each datagram.
 *
 *     relay --listen [::1]:0 --to [::1]:5683 [--log FILE] [--seconds N]
 *         prints "relaying [::1]:PORT" when it is ready, then forwards both ways; each client gets its own socket
 *         towards the server, so that responses reach the right client. The log has one line per datagram: "> HEX" from
 *         client to server, "< HEX" back. Ends after N seconds (120), or on SIGTERM or SIGINT.
 *     relay --send HEX --to [::1]:5683
 *         sends one datagram unchanged and prints the response as hex; exit 3 if none arrives within a second.
 *
 * Loopback addresses only, so that the tool cannot relay traffic of other machines. */
#include <nacre/store.h>

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CLIENTS = 64, MAX_DATAGRAM = 65535, DEFAULT_SECONDS = 120, RESPONSE_WAIT_MS = 1000 };

/* sockaddr_in and sockaddr_in6 in one union, so that no cast hides a size. */
typedef union endpoint {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} endpoint;

/* A client, and its socket towards the server. When all are taken, the least recently used one is reused. */
typedef struct client {
    endpoint address;
    int upstream;
    unsigned long long last_used;
} client;

typedef struct relay {
    int listening;
    endpoint to;
    FILE *log;
    size_t num_clients;
    unsigned long long clock; /* counts datagrams from clients */
    client clients[MAX_CLIENTS];
} relay;

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

static _Noreturn void die(const char *what, const char *about)
{
    fprintf(stderr, "relay: %s: %s\n", about, what);
    exit(5);
}

static socklen_t endpoint_len(const endpoint *e)
{
    return e->any.sa_family == AF_INET6 ? sizeof e->v6 : sizeof e->v4;
}

static bool endpoint_equal(const endpoint *a, const endpoint *b)
{
    if (a->any.sa_family != b->any.sa_family) return false;
    if (a->any.sa_family == AF_INET6)
        return a->v6.sin6_port == b->v6.sin6_port && memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, 16) == 0;
    return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
}

/* parse_endpoint takes "[::1]:PORT" or "127.x.y.z:PORT", and ends the program for anything else. */
static endpoint parse_endpoint(const char *text)
{
    endpoint e;
    memset(&e, 0, sizeof e);
    char host[64];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text) die("not of the form [::1]:PORT or 127.0.0.1:PORT", text);
    char *end;
    errno = 0;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || errno != 0 || port > 65535) die("bad port", text);

    bool bracketed = text[0] == '[' && colon[-1] == ']';
    const char *start = bracketed ? text + 1 : text;
    size_t len = (size_t)(colon - start) - (bracketed ? 1 : 0);
    if (len >= sizeof host) die("address too long", text);
    memcpy(host, start, len);
    host[len] = '\0';

    if (bracketed && inet_pton(AF_INET6, host, &e.v6.sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&e.v6.sin6_addr)) {
        e.v6.sin6_family = AF_INET6;
        e.v6.sin6_port = htons((uint16_t)port);
    } else if (!bracketed && inet_pton(AF_INET, host, &e.v4.sin_addr) == 1 &&
               ntohl(e.v4.sin_addr.s_addr) >> 24 == 127) {
        e.v4.sin_family = AF_INET;
        e.v4.sin_port = htons((uint16_t)port);
    } else {
        die("not a loopback address: use [::1] or 127.0.0.1", text);
    }
    return e;
}

/* print_ready prints the address on which the relay listens, with the port that the system picked. */
static void print_ready(int listening)
{
    endpoint e;
    memset(&e, 0, sizeof e);
    socklen_t len = sizeof e;
    char host[INET6_ADDRSTRLEN];
    if (getsockname(listening, &e.any, &len) != 0) die(strerror(errno), "getsockname");
    if (e.any.sa_family == AF_INET6)
        printf("relaying [%s]:%u\n", inet_ntop(AF_INET6, &e.v6.sin6_addr, host, sizeof host), ntohs(e.v6.sin6_port));
    else printf("relaying %s:%u\n", inet_ntop(AF_INET, &e.v4.sin_addr, host, sizeof host), ntohs(e.v4.sin_port));
    fflush(stdout);
}

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void print_hex(FILE *file, const char *prefix, const uint8_t *bytes, size_t len)
{
    static char text[2 * MAX_DATAGRAM + 1];
    nacre_hex_encode(text, nacre_bytes_of(bytes, len));
    fprintf(file, "%s%s\n", prefix, text);
    fflush(file);
}

/* connected opens a socket that exchanges datagrams with `to` only. */
static int connected(const endpoint *to)
{
    int fd = socket(to->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, &to->any, endpoint_len(to)) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* client_for finds the client with that address, or takes an entry for it; NULL if no socket is available. */
static client *client_for(relay *r, const endpoint *address)
{
    client *oldest = &r->clients[0];
    for (size_t i = 0; i < r->num_clients; i++) {
        client *c = &r->clients[i];
        if (endpoint_equal(&c->address, address)) return c;
        if (c->last_used < oldest->last_used) oldest = c;
    }
    int fd = connected(&r->to);
    if (fd < 0) return NULL;
    client *c = oldest;
    if (r->num_clients < MAX_CLIENTS) c = &r->clients[r->num_clients++];
    else close(c->upstream);
    c->address = *address;
    c->upstream = fd;
    return c;
}

/* A datagram that cannot be forwarded is dropped: an unreachable server must look like silence, not like an error. */
static void forward_to_server(relay *r)
{
    static uint8_t datagram[MAX_DATAGRAM];
    endpoint from;
    memset(&from, 0, sizeof from);
    socklen_t from_len = sizeof from;
    ssize_t len = recvfrom(r->listening, datagram, sizeof datagram, 0, &from.any, &from_len);
    if (len < 0) return;
    client *c = client_for(r, &from);
    if (c == NULL) return;
    c->last_used = ++r->clock;
    if (r->log != NULL) print_hex(r->log, "> ", datagram, (size_t)len);
    (void)!send(c->upstream, datagram, (size_t)len, 0);
}

static void forward_to_client(relay *r, const client *c)
{
    static uint8_t datagram[MAX_DATAGRAM];
    ssize_t len = recv(c->upstream, datagram, sizeof datagram, 0);
    if (len < 0) return;
    if (r->log != NULL) print_hex(r->log, "< ", datagram, (size_t)len);
    (void)!sendto(r->listening, datagram, (size_t)len, 0, &c->address.any, endpoint_len(&c->address));
}

/* Signals are unblocked only inside ppoll, so that none is missed between the check of `stopping` and the wait. */
static void run(relay *r, long seconds)
{
    sigset_t blocked, waiting;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, &waiting);
    sigdelset(&waiting, SIGTERM);
    sigdelset(&waiting, SIGINT);
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    print_ready(r->listening);
    long long end = now_ms() + seconds * 1000LL;
    while (!stopping) {
        long long left = end - now_ms();
        if (left <= 0) break;
        struct timespec wait = { .tv_sec = (time_t)(left / 1000), .tv_nsec = (long)(left % 1000) * 1000000 };
        struct pollfd fds[1 + MAX_CLIENTS] = { { .fd = r->listening, .events = POLLIN } };
        size_t num = r->num_clients;
        for (size_t i = 0; i < num; i++) fds[1 + i] = (struct pollfd){ .fd = r->clients[i].upstream, .events = POLLIN };
        if (ppoll(fds, 1 + num, &wait, &waiting) <= 0) continue;
        /* Responses first: a datagram from a new client may reuse another client's entry and socket. */
        for (size_t i = 0; i < num; i++)
            if (fds[1 + i].revents) forward_to_client(r, &r->clients[i]);
        if (fds[0].revents) forward_to_server(r);
    }
    for (size_t i = 0; i < r->num_clients; i++) close(r->clients[i].upstream);
}

static int relay_main(const char *listen_text, const char *to_text, const char *log_path, long seconds)
{
    static relay r;
    r.to = parse_endpoint(to_text);
    endpoint local = parse_endpoint(listen_text);
    r.listening = socket(local.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (r.listening < 0 || bind(r.listening, &local.any, endpoint_len(&local)) != 0) die(strerror(errno), listen_text);
    if (log_path != NULL && (r.log = fopen(log_path, "we")) == NULL) die(strerror(errno), log_path);
    run(&r, seconds);
    close(r.listening);
    if (r.log != NULL && fclose(r.log) != 0) die(strerror(errno), log_path);
    return 0;
}

static int send_main(const char *hex, const char *to_text)
{
    static uint8_t datagram[MAX_DATAGRAM];
    nacre_bytes bytes;
    if (nacre_hex_decode(&bytes, NACRE_BUF(datagram), hex, strlen(hex)) != NACRE_OK)
        die("not hex digit pairs", "--send");
    endpoint to = parse_endpoint(to_text);
    int fd = connected(&to);
    if (fd < 0 || send(fd, bytes.ptr, bytes.len, 0) < 0) die(strerror(errno), to_text);
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    int ready = poll(&wait, 1, RESPONSE_WAIT_MS);
    ssize_t len = ready > 0 ? recv(fd, datagram, sizeof datagram, 0) : -1;
    close(fd);
    if (len < 0) {
        fprintf(stderr, "relay: %s: no answer within a second\n", to_text);
        return 3;
    }
    print_hex(stdout, "", datagram, (size_t)len);
    return 0;
}

static int usage(void)
{
    fputs(
        "usage: relay --listen ADDR:PORT --to ADDR:PORT [--log FILE] [--seconds N]\n"
        "       relay --send HEX --to ADDR:PORT\n"
        "Forwards UDP datagrams on this machine, or sends one and prints the answer. Addresses: [::1] or 127.0.0.1.\n",
        stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "listen", required_argument, NULL, 'l' }, { "to", required_argument, NULL, 't' },
        { "log", required_argument, NULL, 'o' },    { "seconds", required_argument, NULL, 's' },
        { "send", required_argument, NULL, 'x' },   { NULL, 0, NULL, 0 },
    };
    const char *listen_text = NULL, *to = NULL, *log_path = NULL, *hex = NULL;
    long seconds = DEFAULT_SECONDS;
    int c;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        char *end = NULL;
        switch (c) {
        case 'l': listen_text = optarg; break;
        case 't': to = optarg; break;
        case 'o': log_path = optarg; break;
        case 'x': hex = optarg; break;
        case 's':
            seconds = strtol(optarg, &end, 10);
            if (end == optarg || *end != '\0' || seconds < 1 || seconds > 86400) return usage();
            break;
        default: return usage();
        }
    }
    if (optind != argc || to == NULL || (listen_text == NULL) == (hex == NULL)) return usage();
    return hex != NULL ? send_main(hex, to) : relay_main(listen_text, to, log_path, seconds);
}
