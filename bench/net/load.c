/* SPDX-License-Identifier: MIT */
/* load: sockets, the window of outstanding requests, and the two ways to move datagrams (in bursts, or coalesced). */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { BURST = 64, BUF_SIZE = 2048, BATCH_SIZE = 65536, WAIT_MS = 100, PATIENCE = 50 };

struct load {
    load_config config;
    int *fds;
    int epoll;
    struct mmsghdr messages[BURST];
    struct iovec slices[BURST];
    uint8_t *bufs;
    /* of one run of the load: */
    const load_request *requests;
    size_t num, next, low, open; /* requests below `low` have a response; `next` is the first not sent */
    uint8_t *responded;
    load_result result;
    void (*on_response)(void *user, size_t index, const uint8_t *bytes, size_t len);
    void *user;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int connected_socket(const load_config *c)
{
    const struct sockaddr_in four = { .sin_family = AF_INET,
                                      .sin_port = htons(c->port),
                                      .sin_addr = { htonl(INADDR_LOOPBACK) } };
    const struct sockaddr_in6 six = { .sin6_family = AF_INET6,
                                      .sin6_port = htons(c->port),
                                      .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    const struct sockaddr *to = c->ipv6 ? (const struct sockaddr *)&six : (const struct sockaddr *)&four;
    const int fd = socket(c->ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, to, c->ipv6 ? sizeof six : sizeof four) != 0) die("load: socket");
    return fd;
}

load *load_open(const load_config *config)
{
    load *l = calloc(1, sizeof *l);
    if (l == NULL) die("load");
    l->config = *config;
    l->fds = calloc(config->flows, sizeof *l->fds);
    l->bufs = calloc(1, config->use_gso ? BATCH_SIZE : (size_t)BURST * BUF_SIZE);
    l->epoll = epoll_create1(0);
    if (l->fds == NULL || l->bufs == NULL || l->epoll < 0) die("load");
    for (size_t i = 0; i < config->flows; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data = { .u64 = i } };
        l->fds[i] = connected_socket(config);
        if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->fds[i], &event) != 0) die("load: epoll");
    }
    int on = 1;
    if (config->use_gso && setsockopt(l->fds[0], IPPROTO_UDP, UDP_GRO, &on, sizeof on) != 0) die("load: UDP_GRO");
    return l;
}

void load_close(load *l)
{
    for (size_t i = 0; i < l->config.flows; i++) (void)close(l->fds[i]);
    (void)close(l->epoll);
    free(l->fds);
    free(l->bufs);
    free(l->responded);
    free(l);
}

/* ---- Sending ----------------------------------------------------------------------------------------------------- */

static void send_run(const load *l, size_t first, size_t num)
{
    struct iovec slices[BURST];
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = { 0 };
    struct msghdr message = {
        .msg_iov = slices, .msg_iovlen = (uint16_t)num, .msg_control = control, .msg_controllen = sizeof control
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    const uint16_t size = l->requests[first].len;
    c->cmsg_len = CMSG_LEN(sizeof size);
    c->cmsg_level = IPPROTO_UDP;
    c->cmsg_type = UDP_SEGMENT;
    memcpy(CMSG_DATA(c), &size, sizeof size);
    for (size_t i = 0; i < num; i++)
        slices[i] = (struct iovec){ (void *)(uintptr_t)l->requests[first + i].bytes, l->requests[first + i].len };
    (void)sendmsg(l->fds[0], &message, 0); /* lost ones are sent again */
}

/* Requests first … first + num - 1, of which all but the last have one length when coalesced. */
static void send_some(load *l, size_t first, size_t num)
{
    while (num > 0) {
        size_t n = 1;
        const load_request *r = &l->requests[first];
        if (l->config.flows > 1) {
            (void)send(l->fds[first % l->config.flows], r->bytes, r->len, 0);
        } else if (l->config.use_gso) {
            while (n < num && n < BURST && r[n].len == r->len) n++;
            send_run(l, first, n);
        } else {
            for (n = 0; n < num && n < BURST; n++) {
                l->slices[n] = (struct iovec){ (void *)(uintptr_t)r[n].bytes, r[n].len };
                l->messages[n].msg_hdr = (struct msghdr){ .msg_iov = &l->slices[n], .msg_iovlen = 1 };
            }
            (void)sendmmsg(l->fds[0], l->messages, (unsigned)n, 0);
        }
        first += n;
        num -= n;
    }
}

static void fill_window(load *l)
{
    size_t num = l->config.outstanding - l->open;
    if (num > l->num - l->next) num = l->num - l->next;
    send_some(l, l->next, num);
    l->next += num;
    l->open += num;
}

static void send_again(load *l)
{
    for (size_t i = l->low; i < l->next; i++) {
        if (l->responded[i]) continue;
        send_some(l, i, 1);
        l->result.resent++;
    }
}

/* ---- Receiving --------------------------------------------------------------------------------------------------- */

static void take(load *l, const uint8_t *bytes, size_t len)
{
    uint32_t index;
    const bool shaped = len >= 8 && (bytes[0] & 0x4f) == 0x44; /* version 1, a token of four bytes */
    if (shaped) memcpy(&index, bytes + 4, sizeof index);
    if (!shaped || (l->config.coap && bytes[1] >> 5 != 2) || (index = ntohl(index)) >= l->next || l->responded[index]) {
        l->result.strange++;
        return;
    }
    l->responded[index] = 1;
    l->open--;
    if (l->on_response != NULL) l->on_response(l->user, index, bytes, len);
    while (l->low < l->next && l->responded[l->low]) l->low++;
}

static void receive_run(load *l, int fd)
{
    _Alignas(struct cmsghdr) uint8_t control[64];
    struct iovec slice = { l->bufs, BATCH_SIZE };
    struct msghdr message = {
        .msg_iov = &slice, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    const ssize_t len = recvmsg(fd, &message, MSG_DONTWAIT);
    if (len < 0) return;
    size_t size = (size_t)len;
    const struct cmsghdr *c = CMSG_FIRSTHDR(&message); /* the only control message enabled */
    int value = 0;
    if (c != NULL && c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
        memcpy(&value, CMSG_DATA(c), sizeof value);
    if (value > 0) size = (size_t)value;
    for (size_t at = 0; at < (size_t)len; at += size)
        take(l, l->bufs + at, (size_t)len - at < size ? (size_t)len - at : size);
}

static void receive_burst(load *l, int fd)
{
    for (size_t i = 0; i < BURST; i++) {
        l->slices[i] = (struct iovec){ l->bufs + i * BUF_SIZE, BUF_SIZE };
        l->messages[i].msg_hdr = (struct msghdr){ .msg_iov = &l->slices[i], .msg_iovlen = 1 };
    }
    const int got = recvmmsg(fd, l->messages, BURST, MSG_DONTWAIT, NULL);
    for (int i = 0; i < got; i++) take(l, l->bufs + (size_t)i * BUF_SIZE, l->messages[i].msg_len);
}

/* Waits for responses on any flow; false if none arrived. */
static bool receive_some(load *l)
{
    struct epoll_event events[BURST];
    if (l->config.flows == 1) {
        struct pollfd fd = { .fd = l->fds[0], .events = POLLIN };
        if (poll(&fd, 1, WAIT_MS) <= 0) return false;
        if (l->config.use_gso) receive_run(l, l->fds[0]);
        else receive_burst(l, l->fds[0]);
        return true;
    }
    const int num = epoll_wait(l->epoll, events, BURST, WAIT_MS);
    for (int i = 0; i < num; i++) {
        const ssize_t len = recv(l->fds[events[i].data.u64], l->bufs, BUF_SIZE, MSG_DONTWAIT);
        if (len >= 0) take(l, l->bufs, (size_t)len);
    }
    return num > 0;
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

load_result load_run(load *l, const load_request *requests, size_t num,
                     void (*on_response)(void *user, size_t index, const uint8_t *bytes, size_t len), void *user)
{
    free(l->responded);
    l->responded = calloc(num, 1);
    if (l->responded == NULL) die("load");
    l->requests = requests;
    l->num = num;
    l->next = l->low = l->open = 0;
    l->result = (load_result){ 0 };
    l->on_response = on_response;
    l->user = user;
    const double start = now();
    for (int idle = 0; l->low < num;) {
        fill_window(l);
        idle = receive_some(l) ? 0 : idle + 1;
        if (idle > 0) send_again(l);
        if (idle > PATIENCE) {
            (void)fprintf(stderr, "load: no answers any more, %zu of %zu came\n", l->low, num);
            exit(1);
        }
    }
    l->result.seconds = now() - start;
    return l->result;
}
