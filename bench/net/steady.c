/* SPDX-License-Identifier: MIT */
/* steady: see steady.h. */
#include "net/steady.h"
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct open_request {
    size_t index;
    double sent; /* seconds */
} open_request;

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

steady steady_open(uint16_t port, size_t outstanding)
{
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_port = htons(port),
                                    .sin_addr = { htonl(INADDR_LOOPBACK) } };
    const steady s = { .fd = socket(AF_INET, SOCK_DGRAM, 0), .outstanding = outstanding };
    bench_check(outstanding <= STEADY_MOST, "too many outstanding");
    bench_check(s.fd >= 0 && connect(s.fd, (const struct sockaddr *)&to, sizeof to) == 0, "socket");
    return s;
}

void steady_close(steady *s)
{
    (void)close(s->fd);
}

static void send_request(const steady *s, const batch *requests, open_request *r, size_t index)
{
    *r = (open_request){ index, now() };
    (void)send(s->fd, requests->requests[index].bytes, requests->requests[index].len, 0);
}

/* The request that `bytes` respond to, or NULL. */
static open_request *responded(const steady *s, open_request *all, const uint8_t *bytes, size_t len)
{
    uint32_t index;
    if (len < 8 || (bytes[0] & 0x4f) != 0x44 || bytes[1] >> 5 != 2) return NULL;
    memcpy(&index, bytes + 4, sizeof index);
    for (size_t i = 0; i < s->outstanding; i++)
        if (all[i].index == ntohl(index)) return &all[i];
    return NULL;
}

double steady_run(steady *s, const batch *requests, double seconds)
{
    open_request all[STEADY_MOST];
    uint8_t bytes[2048];
    const double start = now();
    const uint64_t before = s->responded;
    size_t next = 0;
    while (recv(s->fd, bytes, sizeof bytes, MSG_DONTWAIT) >= 0) {} /* late responses of the run before */
    for (; next < s->outstanding; next++) send_request(s, requests, &all[next], next);
    while (now() - start < seconds && next + s->outstanding < requests->num) {
        struct pollfd fd = { .fd = s->fd, .events = POLLIN };
        if (poll(&fd, 1, STEADY_PATIENCE_MS / 10) > 0) {
            for (ssize_t len; (len = recv(s->fd, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0;) {
                open_request *r = responded(s, all, bytes, (size_t)len);
                if (r == NULL || next == requests->num) continue;
                s->responded++;
                send_request(s, requests, r, next++);
            }
        }
        for (size_t i = 0; i < s->outstanding && next < requests->num; i++) {
            if (now() - all[i].sent < STEADY_PATIENCE_MS * 1e-3) continue;
            s->lost++;
            send_request(s, requests, &all[i], next++);
        }
    }
    return (double)(s->responded - before) / (now() - start);
}
