/* SPDX-License-Identifier: MIT */
/* udp_linux: datagrams in bursts, answers from the address that was asked, ICMP errors with the peer they are about. */
#ifdef __linux__
#include "io/address.h"
#include "io/udp_internal.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <string.h>

/* ---- Our own address in control messages ---------------------------------------------------------------------------- */

static void map_v4(struct in6_addr *mapped, const struct in_addr *in)
{
    memset(mapped, 0, sizeof *mapped);
    mapped->s6_addr[10] = mapped->s6_addr[11] = 0xff;
    memcpy(mapped->s6_addr + 12, in, 4);
}

/* The address that a datagram came to. False when it was none of ours alone: multicast or broadcast, which nobody here
 * asked for, and which must not make us answer (RFC 7252 8.1, 11.3). */
static bool came_to(struct in6_addr *local, struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            *local = info.ipi6_addr;
            bool v4 = IN6_IS_ADDR_V4MAPPED(local);
            return v4 ? (local->s6_addr[12] & 0xf0) != 0xe0 && local->s6_addr[12] != 0xff : local->s6_addr[0] != 0xff;
        }
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            map_v4(local, &info.ipi_spec_dst);
            return info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr;
        }
    }
    return false;
}

/* The control message that sends from `local`; its length. */
static size_t send_from(nacre__udp_control *control, const struct in6_addr *local, bool ipv6)
{
    struct msghdr message = { .msg_control = control->bytes, .msg_controllen = sizeof control->bytes };
    memset(control, 0, sizeof *control);
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (ipv6) {
        struct in6_pktinfo info = { .ipi6_addr = *local };
        *c = (struct cmsghdr){ CMSG_LEN(sizeof info), IPPROTO_IPV6, IPV6_PKTINFO };
        memcpy(CMSG_DATA(c), &info, sizeof info);
        return CMSG_SPACE(sizeof info);
    }
    struct in_pktinfo info = { 0 };
    memcpy(&info.ipi_spec_dst, local->s6_addr + 12, 4);
    *c = (struct cmsghdr){ CMSG_LEN(sizeof info), IPPROTO_IP, IP_PKTINFO };
    memcpy(CMSG_DATA(c), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
}

/* ---- Bursts ----------------------------------------------------------------------------------------------------------- */

static void prepare_receive(nacre_udp *udp, size_t i, uint8_t *room, size_t cap)
{
    struct msghdr *m = &udp->messages[i].msg_hdr;
    udp->slices[i] = (struct iovec){ room, cap };
    *m = (struct msghdr){ .msg_name = &udp->names[i], .msg_namelen = sizeof udp->names[i] };
    m->msg_iov = &udp->slices[i];
    m->msg_iovlen = 1;
    if (udp->sources == NULL) return;
    m->msg_control = udp->controls[i].bytes;
    m->msg_controllen = sizeof udp->controls[i].bytes;
}

static void take_one(nacre_udp *udp, size_t i, nacre_datagram *in)
{
    struct msghdr *m = &udp->messages[i].msg_hdr;
    struct in6_addr local;
    *in = (nacre_datagram){ .bytes = { udp->slices[i].iov_base, udp->messages[i].msg_len } };
    if (m->msg_flags & MSG_TRUNC) return;
    if (udp->sources != NULL && !came_to(&local, m)) return;
    if (!nacre__address_from(&in->peer, m->msg_name, m->msg_namelen)) return;
    if (udp->sources != NULL) nacre__sources_note(udp->sources, &in->peer, &local);
}

static int receive(nacre_udp *udp, nacre_datagram *in, const nacre__udp_rooms *rooms)
{
    size_t num = rooms->num < NACRE__UDP_BURST ? rooms->num : NACRE__UDP_BURST;
    for (size_t i = 0; i < num; i++) prepare_receive(udp, i, rooms->memory + i * rooms->stride, rooms->stride);
    int got = recvmmsg(udp->fd, udp->messages, (unsigned)num, MSG_DONTWAIT, NULL);
    for (int i = 0; i < got; i++) take_one(udp, (size_t)i, &in[i]);
    return got;
}

static bool prepare_send(nacre_udp *udp, size_t i, const nacre_outgoing *out)
{
    struct msghdr *m = &udp->messages[i].msg_hdr;
    socklen_t name_len = nacre__address_to(&udp->names[i], &out->peer, udp->ipv6);
    if (name_len == 0) return false;
    udp->slices[i].iov_base = (void *)(uintptr_t)out->bytes.ptr; /* the system only reads it */
    udp->slices[i].iov_len = out->bytes.len;
    *m = (struct msghdr){ .msg_name = &udp->names[i], .msg_namelen = name_len };
    m->msg_iov = &udp->slices[i];
    m->msg_iovlen = 1;
    const struct in6_addr *local = udp->sources != NULL ? nacre__sources_find(udp->sources, &out->peer) : NULL;
    if (local == NULL) return true;
    m->msg_controllen = send_from(&udp->controls[i], local, udp->ipv6);
    m->msg_control = udp->controls[i].bytes;
    return true;
}

static int send_burst(nacre_udp *udp, const nacre_outgoing *out, size_t num)
{
    size_t ready = 0;
    while (ready < num && ready < NACRE__UDP_BURST && prepare_send(udp, ready, &out[ready])) ready++;
    if (ready == 0) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return sendmmsg(udp->fd, udp->messages, (unsigned)ready, MSG_DONTWAIT);
}

/* ---- ICMP ------------------------------------------------------------------------------------------------------------- */

/* One report from the error queue: msg_name is where the datagram went that could not arrive. */
static void take_report(nacre_udp *udp, struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
        bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
        struct sock_extended_err report;
        nacre_address peer;
        if (!v4 && !v6) continue;
        memcpy(&report, CMSG_DATA(c), sizeof report);
        bool icmp = report.ee_origin == SO_EE_ORIGIN_ICMP || report.ee_origin == SO_EE_ORIGIN_ICMP6;
        if (icmp && nacre__udp_means_unreachable((int)report.ee_errno) &&
            nacre__address_from(&peer, message->msg_name, message->msg_namelen))
            nacre__udp_note_unreachable(udp, &peer);
    }
}

static void fetch_errors(nacre_udp *udp)
{
    for (int i = 0; i < NACRE__UDP_BURST; i++) {
        struct sockaddr_storage name;
        _Alignas(struct cmsghdr) uint8_t control[256];
        uint8_t byte;
        struct iovec slice = { &byte, sizeof byte };
        struct msghdr message = { .msg_name = &name, .msg_namelen = sizeof name };
        message.msg_iov = &slice;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        if (recvmsg(udp->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return;
        take_report(udp, &message);
    }
}

const nacre__udp_ops nacre__udp_linux_ops = { receive, send_burst, fetch_errors };
#else
typedef int nacre__udp_linux_is_not_here;
#endif
