/* SPDX-License-Identifier: MIT */
/* udp: one UDP socket: opening, closing, and the mapping of system errors to lost datagrams and unreachable peers. */
#include <nacre/system.h>

#include "io/address.h"
#include "io/udp_internal.h"
#include "base/hosted/detail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECEIVE_BUFFER = 2 * 1024 * 1024 }; /* bytes, as the kernel counts them: some thousand small datagrams */

/* ---- Opening ---------------------------------------------------------------------------------------------------------- */

#ifdef __linux__
static bool enable(int fd, int level, int option)
{
    int on = 1;
    return setsockopt(fd, level, option, &on, sizeof on) == 0;
}
#endif

static bool share_port(const nacre_udp *udp)
{
#ifdef __linux__ /* elsewhere the option means something else: the last socket gets all datagrams */
    return enable(udp->fd, SOL_SOCKET, SO_REUSEPORT);
#else
    (void)udp;
    return false;
#endif
}

static bool make_socket(nacre_udp *udp, bool ipv6)
{
    udp->ipv6 = ipv6;
    udp->fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM, IPPROTO_UDP);
    return udp->fd >= 0 && fcntl(udp->fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(udp->fd, F_SETFL, O_NONBLOCK) == 0;
}

/* Datagrams queue here while the loop is busy, for instance with a disk sync; by default Linux keeps 277 small
 * ones. The system may grant less (Linux: net.core.rmem_max), or nothing. */
static void enlarge_buffers(const nacre_udp *udp)
{
    int bytes = 0;
    const int wanted = RECEIVE_BUFFER;
    socklen_t len = sizeof bytes;
    if (getsockopt(udp->fd, SOL_SOCKET, SO_RCVBUF, &bytes, &len) == 0 && bytes < wanted)
        (void)setsockopt(udp->fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted);
}

static bool set_options(nacre_udp *udp, bool dual)
{
    int off = 0;
    enlarge_buffers(udp);
    if (dual && setsockopt(udp->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) return false;
#ifdef __linux__
    /* ICMP error reports: without them dead peers are found by timers only, so a failure here is ignored. */
    (void)enable(udp->fd, IPPROTO_IP, IP_RECVERR);
    if (udp->ipv6) (void)enable(udp->fd, IPPROTO_IPV6, IPV6_RECVERR);
    if (udp->sources != NULL)
        return udp->ipv6 ? enable(udp->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO) : enable(udp->fd, IPPROTO_IP, IP_PKTINFO);
#endif
    return true;
}

static bool bind_to(nacre_udp *udp, const nacre_address *local)
{
    struct sockaddr_storage name = { 0 };
    socklen_t len = udp->ipv6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    nacre_address here = *local;
    if (here.len != 0 && !udp->ipv6) nacre__address_any_v4(&here);
    name.ss_family = udp->ipv6 ? AF_INET6 : AF_INET;
    if (here.len != 0) len = nacre__address_to(&name, &here, udp->ipv6);
    if (bind(udp->fd, (const struct sockaddr *)&name, len) != 0) return false;
    len = sizeof name;
    return getsockname(udp->fd, (struct sockaddr *)&name, &len) == 0 &&
           nacre__address_from(&udp->local, (const struct sockaddr *)&name, len);
}

static bool open_socket(nacre_udp *udp, const nacre_address *local, bool is_beside)
{
    bool ipv6 = local->len == 0 || nacre__address_is_ipv6(local);
    bool dual = ipv6 && nacre__address_is_wildcard(local); /* no address at all counts as a wildcard */
    if (!make_socket(udp, ipv6)) {
        if (!dual || udp->fd >= 0 || errno != EAFNOSUPPORT) return false;
        dual = false; /* no IPv6 on this system */
        if (!make_socket(udp, false)) return false;
    }
    if (is_beside && !share_port(udp)) return false;
    return set_options(udp, dual) && bind_to(udp, local);
}

/* Takes a duplicate of a socket that is bound already, and not connected: others could not reach it. */
static bool take_socket(nacre_udp *udp, int fd)
{
    struct sockaddr_storage name = { 0 }, peer;
    socklen_t peer_len = sizeof peer, len = sizeof name, size = sizeof(int);
    int type = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) return false;
    if (getsockname(fd, (struct sockaddr *)&name, &len) != 0) return false;
    errno = EPROTOTYPE;
    if (type != SOCK_DGRAM || !nacre__address_from(&udp->local, (const struct sockaddr *)&name, len)) return false;
    errno = EISCONN;
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0) return false;
    errno = EDESTADDRREQ;
    if (udp->local.bytes[1] == 0 && udp->local.bytes[2] == 0) return false; /* no port */
    udp->ipv6 = name.ss_family == AF_INET6;
    udp->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return udp->fd >= 0 && fcntl(udp->fd, F_SETFL, O_NONBLOCK) == 0;
}

static nacre_udp *new_udp(void)
{
    nacre_udp *made = calloc(1, sizeof *made);
    if (made == NULL) return NULL;
    made->fd = -1;
    made->ops = &nacre__udp_plain_ops;
#ifdef __linux__
    made->ops = &nacre__udp_linux_ops;
#endif
    return made;
}

/* For a wildcard: the table of local addresses. False: no memory. */
static bool add_sources(nacre_udp *udp)
{
#ifdef __linux__
    udp->sources = calloc(1, sizeof *udp->sources);
    if (udp->sources == NULL) return false;
    const nacre_random random = nacre_entropy();
    random.fill(random.self, udp->sources->hash_key, sizeof udp->sources->hash_key);
#else
    (void)udp;
#endif
    return true;
}

nacre_err nacre__udp_adopt(nacre_udp **udp, int fd, nacre_detail *why)
{
    nacre_udp *made = new_udp();
    if (made == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a socket");
    bool is_open = take_socket(made, fd);
    if (is_open && nacre__address_is_wildcard(&made->local) && !add_sources(made)) {
        nacre_udp_close(made);
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a socket");
    }
    is_open = is_open && set_options(made, false);
    if (is_open) {
        *udp = made;
        return NACRE_OK;
    }
    const int error = errno;
    nacre_udp_close(made);
    return nacre__fail(why, NACRE_ERR_ADDRESS, "descriptor %d cannot be used as a UDP socket: %s", fd, strerror(error));
}

static nacre_err open_at(nacre_udp **udp, const nacre_address *local, bool is_beside, nacre_detail *why)
{
    if (local->len != 0 && !nacre__address_is_wildcard(local) && !nacre__address_is_one_host(local)) {
        char group[72]; /* a response would leave from it, and each member would respond (RFC 7252 8.2) */
        nacre_address_text(local, group);
        return nacre__fail(why, NACRE_ERR_ADDRESS, "%s is for a group; bind to an address of this host, or to [::]",
                           group);
    }
    nacre_udp *made = new_udp();
    if (made == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a socket");
    /* A port chosen by the system gets no unsolicited requests, so only a chosen wildcard needs the source table. */
    if (local->len != 0 && nacre__address_is_wildcard(local) && !add_sources(made)) {
        nacre_udp_close(made);
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a socket");
    }
    if (!open_socket(made, local, is_beside)) {
        int error = errno;
        char text[72];
        nacre_address_text(local, text);
        nacre_udp_close(made);
        return nacre__fail(why, NACRE_ERR_ADDRESS, "cannot bind to %s: %s; choose another address or port",
                           local->len != 0 ? text : "any UDP port", strerror(error));
    }
    *udp = made;
    return NACRE_OK;
}

nacre_err nacre_udp_open(nacre_udp **udp, const nacre_address *local, nacre_detail *why)
{
    static const nacre_address any;
    return open_at(udp, local != NULL ? local : &any, false, why);
}

/* `first` got the port exclusively; only after that may other sockets join it. */
nacre_err nacre_udp_open_beside(nacre_udp **udp, const nacre_udp *first, nacre_detail *why)
{
    if (!share_port(first))
        return nacre__fail(why, NACRE_ERR_UNSUPPORTED, "this system does not spread a port's datagrams over sockets");
    return open_at(udp, &first->local, true, why);
}

void nacre_udp_close(nacre_udp *udp)
{
    if (udp == NULL) return;
    nacre__udp_close_lane(udp);
    if (udp->fd >= 0) (void)close(udp->fd);
    free(udp->sources);
    if (udp->batches != NULL) free(udp->batches->memory);
    free(udp->batches);
    free(udp);
}

bool nacre_udp_use_gso(nacre_udp *udp)
{
    if (udp->batches != NULL) return true;
    nacre__udp_batches *batches = calloc(1, sizeof *batches);
    if (batches != NULL) batches->memory = malloc((size_t)NACRE__UDP_BATCHES * NACRE__UDP_BATCH_BYTES);
    if (batches == NULL || batches->memory == NULL || udp->ops->use_gso == NULL || !udp->ops->use_gso(udp)) {
        if (batches != NULL) free(batches->memory);
        free(batches);
        return false;
    }
    udp->batches = batches;
    if (udp->lane != NULL) (void)nacre_udp_use_gso(udp->lane);
    return true;
}

bool nacre__udp_pending(const nacre_udp *udp)
{
    return udp->batches != NULL && udp->batches->next < udp->batches->num;
}

int nacre_udp_fd(const nacre_udp *udp)
{
    return udp->fd;
}

nacre_address nacre_udp_local(const nacre_udp *udp)
{
    return udp->local;
}

/* ---- Datagrams -------------------------------------------------------------------------------------------------------- */

bool nacre__udp_means_unreachable(int error)
{
    switch (error) {
    case ECONNREFUSED: /* ICMP: port unreachable */
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EACCES: /* a packet filter, local or remote */
    case EPERM:
    case EADDRNOTAVAIL: /* no route from the bound address */
    case EAFNOSUPPORT:  /* IPv6 from an IPv4 socket */
    case EINVAL: /* port 0, or a source address that is gone */ return true;
    default: return false;
    }
}

void nacre__udp_note_unreachable(nacre_udp *udp, const nacre_address *peer)
{
    for (size_t i = 0; i < udp->num_unreachable; i++)
        if (nacre_address_equal(&udp->unreachable[i], peer)) return;
    if (udp->num_unreachable < NACRE__UDP_UNREACHABLE) udp->unreachable[udp->num_unreachable++] = *peer;
}

bool nacre__udp_next_unreachable(nacre_udp *udp, nacre_address *peer)
{
    if (udp->num_unreachable == 0) return false;
    *peer = udp->unreachable[--udp->num_unreachable];
    return true;
}

void nacre__udp_fetch_errors(nacre_udp *udp)
{
    if (udp->ops->fetch_errors != NULL) udp->ops->fetch_errors(udp);
}

nacre_datagram nacre__udp_datagram(const struct iovec *slice, size_t len, bool is_cut)
{
    const size_t cap = slice->iov_len, here = len < cap ? len : cap;
    nacre_datagram d = { .bytes = { slice->iov_base, here } };
    if (is_cut) d.full_len = len > cap ? len : cap + 1;
    return d;
}

/* Removes entries without a peer (not for us, or of an unknown family). */
static size_t keep_whole(nacre_datagram *in, size_t num)
{
    size_t kept = 0;
    for (size_t i = 0; i < num; i++)
        if (in[i].peer.len != 0) in[kept++] = in[i];
    return kept;
}

nacre_err nacre__udp_receive(nacre_udp *udp, nacre_datagram *in, size_t *num, const nacre__udp_buffers *buffers)
{
    /* A pending error is reported instead of datagrams, once each: try again, a bounded number of times. */
    for (int tries = 0; tries < 8; tries++) {
        int got = udp->ops->receive(udp, in, buffers);
        if (got >= 0) {
            *num = keep_whole(in, (size_t)got);
            return NACRE_OK;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) break;
        if (errno == EBADF || errno == ENOTSOCK || errno == EFAULT || errno == EINVAL) return NACRE_ERR_ADDRESS;
        nacre__udp_fetch_errors(udp);
    }
    *num = 0;
    return NACRE_OK;
}

void nacre__udp_send(nacre_udp *udp, const nacre_outgoing *out, size_t num)
{
    size_t at = 0;
    bool again = false;
    while (at < num) {
        int sent = udp->ops->send(udp, out + at, num - at), error = errno;
        if (sent > 0) {
            at += (size_t)sent;
            again = false;
            continue;
        }
        if (error == EAGAIN || error == EWOULDBLOCK) return; /* full: the rest is lost, and retransmitted later */
        if (error == EINTR) continue;
        nacre__udp_fetch_errors(udp);
        again = !again;
        if (again) continue; /* the first error may be about an earlier datagram; the second is about this one */
        if (nacre__udp_means_unreachable(error)) nacre__udp_note_unreachable(udp, &out[at].peer);
        at++; /* EMSGSIZE, ENOBUFS and the like: lost */
    }
}
