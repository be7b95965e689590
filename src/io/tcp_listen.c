/* SPDX-License-Identifier: MIT */
/* tcp_listen: the sockets of connections: listening, accepting, connecting. */
#include "io/tcp_internal.h"
#include "io/address.h"
#include "base/hosted/detail.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { BACKLOG = 64, PAUSE_MS = 100 };

static bool enable(int fd, int level, int option)
{
    int on = 1;
    return setsockopt(fd, level, option, &on, sizeof on) == 0;
}

static bool set_up_socket(int fd)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

/* Messages are written whole, so delaying small segments gains nothing. */
static bool set_up_connection(int fd)
{
#ifdef SO_NOSIGPIPE
    (void)enable(fd, SOL_SOCKET, SO_NOSIGPIPE);
#endif
    (void)enable(fd, IPPROTO_TCP, TCP_NODELAY);
    return set_up_socket(fd);
}

static bool listen_on(nacre_tcp *tcp, const nacre_address *local)
{
    struct sockaddr_storage name = { 0 };
    bool ipv6 = nacre__address_is_ipv6(local);
    socklen_t len = nacre__address_to(&name, local, ipv6);
    int off = 0, fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, IPPROTO_TCP);
    tcp->listener = fd;
    if (fd < 0 || len == 0 || !set_up_socket(fd) || !enable(fd, SOL_SOCKET, SO_REUSEADDR)) return false;
    bool dual = ipv6 && nacre__address_is_wildcard(local);
    if (dual && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) return false;
    if (bind(fd, (const struct sockaddr *)&name, len) != 0 || listen(fd, BACKLOG) != 0) return false;
    len = sizeof name;
    return getsockname(fd, (struct sockaddr *)&name, &len) == 0 &&
           nacre__address_from(&tcp->local, (const struct sockaddr *)&name, len);
}

static void stop_listening(nacre_tcp *tcp)
{
    if (tcp->listener >= 0) (void)close(tcp->listener);
    tcp->listener = -1;
    tcp->local = (nacre_address){ 0 };
}

nacre_err nacre_tcp_listen(nacre_tcp *tcp, const nacre_address *local, nacre_detail *why)
{
    nacre_address at = *local;
    at.flags = 0;
    if (tcp->listener >= 0)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "this server listens for connections already");
    bool listening = listen_on(tcp, &at);
    if (!listening && tcp->listener < 0 && errno == EAFNOSUPPORT && nacre__address_is_wildcard(&at)) {
        nacre__address_any_v4(&at); /* no IPv6 on this system */
        listening = listen_on(tcp, &at);
    }
    if (listening) {
        tcp->local.flags = NACRE_ADDRESS_RELIABLE;
        return NACRE_OK;
    }
    int error = errno;
    char text[72];
    nacre_address_text(&at, text);
    stop_listening(tcp);
    return nacre__fail(why, NACRE_ERR_ADDRESS, "cannot listen on %s (TCP): %s; choose another address or port", text,
                       strerror(error));
}

static bool take_listener(nacre_tcp *tcp, int fd)
{
    struct sockaddr_storage name = { 0 };
    socklen_t len = sizeof name, size = sizeof(int);
    int type = 0, listens = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) return false;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0) return false;
    if (getsockname(fd, (struct sockaddr *)&name, &len) != 0) return false;
    errno = EPROTOTYPE;
    if (type != SOCK_STREAM || listens == 0) return false;
    if (!nacre__address_from(&tcp->local, (const struct sockaddr *)&name, len)) return false;
    tcp->listener = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return tcp->listener >= 0 && set_up_socket(tcp->listener);
}

nacre_err nacre__tcp_adopt_listener(nacre_tcp *tcp, int fd, nacre_detail *why)
{
    if (tcp->listener >= 0)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "this server listens for connections already");
    if (take_listener(tcp, fd)) {
        tcp->local.flags = NACRE_ADDRESS_RELIABLE;
        return NACRE_OK;
    }
    const int error = errno;
    stop_listening(tcp);
    return nacre__fail(why, NACRE_ERR_ADDRESS, "descriptor %d cannot be used as a listening TCP socket: %s", fd,
                       strerror(error));
}

static bool is_held_off(const nacre_tcp *tcp, const nacre_address *peer, uint64_t now_ms)
{
    for (size_t i = 0; i < NACRE__TCP_HOLD_OFFS; i++)
        if (tcp->hold_offs[i].until > now_ms && nacre_address_equal(&tcp->hold_offs[i].peer, peer)) return true;
    return false;
}

static void take_in(nacre_tcp *tcp, int fd, const struct sockaddr *name, socklen_t len, uint64_t now_ms)
{
    nacre_address peer;
    nacre__connection *c = NULL;
    if (nacre__address_from(&peer, name, len)) {
        peer.flags = NACRE_ADDRESS_RELIABLE;
        if (nacre__tcp_find(tcp, &peer) == NULL) c = nacre__tcp_entry_for(tcp, &peer, now_ms);
    }
    if (c == NULL || !set_up_connection(fd) || !nacre__connection_begin(c, &tcp->config, fd, &peer, true, now_ms)) {
        (void)close(fd);
        return;
    }
    nacre__connection_flush(c, now_ms);
}

void nacre__tcp_keep_descriptors(nacre_tcp *tcp, size_t num, void (*on_shortage)(void *user, const char *text),
                                 void *user)
{
    struct rlimit limit;
    tcp->on_shortage = on_shortage;
    tcp->shortage_user = user;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > INT_MAX) return;
    const size_t all = (size_t)limit.rlim_cur;
    tcp->max_fd = (int)(all - (num < all / 2 ? num : all / 2));
}

static void tell_shortage(nacre_tcp *tcp)
{
    if (tcp->shortage_told || tcp->on_shortage == NULL) return;
    tcp->shortage_told = true;
    tcp->on_shortage(
        tcp->shortage_user,
        "few file descriptors are left: connections without a verified request are closed for others, or wait; "
        "raise the limit (ulimit -n, LimitNOFILE= of systemd), or lower the number of connections");
}

/* Descriptors from max_fd on are left for UDP, files and stores: an accepted socket gets the number of a connection that is
 * evicted for it. Returns the descriptor, or -1: not for this connection. */
static int spare(nacre_tcp *tcp, int fd, uint64_t now_ms)
{
    if (fd < tcp->max_fd) return fd;
    tell_shortage(tcp);
    int lower = nacre__tcp_evict_one(tcp, NULL, now_ms) ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    (void)close(fd);
    if (lower < tcp->max_fd) return lower;
    (void)close(lower);
    return -1;
}

void nacre__tcp_accept(nacre_tcp *tcp, uint64_t now_ms)
{
    for (int i = 0; i < BACKLOG; i++) {
        struct sockaddr_storage name;
        socklen_t len = sizeof name;
        int fd = accept(tcp->listener, (struct sockaddr *)&name, &len);
        if (fd >= 0) {
            fd = spare(tcp, fd, now_ms);
            if (fd < 0) continue;
            take_in(tcp, fd, (const struct sockaddr *)&name, len, now_ms);
            continue;
        }
        /* Out of descriptors or memory: the listener stays readable, and accepting again at once would be a busy loop. */
        const int error = errno;
        const bool no_fd = error == EMFILE || error == ENFILE;
        if (no_fd) tell_shortage(tcp);
        if (no_fd && nacre__tcp_evict_one(tcp, NULL, now_ms)) continue;
        if (no_fd || error == ENOBUFS || error == ENOMEM) tcp->listener_pause = now_ms + PAUSE_MS;
        if (error != EINTR && error != ECONNABORTED) return;
    }
}

nacre__connection *nacre__tcp_connect(nacre_tcp *tcp, const nacre_address *peer, uint64_t now_ms)
{
    struct sockaddr_storage name = { 0 };
    bool ipv6 = nacre__address_is_ipv6(peer);
    socklen_t len = nacre__address_to(&name, peer, ipv6);
    nacre__connection *c = nacre__tcp_entry_to_connect(tcp, now_ms);
    if (len == 0 || c == NULL || is_held_off(tcp, peer, now_ms)) return NULL;
    int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if (fd < 0) return NULL;
    bool done = set_up_connection(fd) && connect(fd, (const struct sockaddr *)&name, len) == 0;
    if ((done || errno == EINPROGRESS) && nacre__connection_begin(c, &tcp->config, fd, peer, done, now_ms)) {
        c->is_ours = true;
        return c;
    }
    (void)close(fd);
    return NULL;
}
