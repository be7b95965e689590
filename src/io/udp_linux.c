/* SPDX-License-Identifier: MIT */
/* udp_linux: bursts, GSO/GRO batches, responses from the address that the request was sent to, ICMP errors with their
 * peer. */
#ifdef __linux__
#include "io/address.h"
#include "io/udp_internal.h"

#include <errno.h>
#include <string.h>
#include <time.h> /* struct timespec, which the kernel's header uses without including it */

#include <linux/errqueue.h>

#ifndef UDP_SEGMENT /* since Linux 4.18; the C library's headers may be older than the kernel */
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO /* since Linux 5.0 */
#define UDP_GRO 104
#endif

/* ---- The local address in control messages ------------------------------------------------------------------------------ */

static void map_v4(struct in6_addr *mapped, const struct in_addr *in)
{
    memset(mapped, 0, sizeof *mapped);
    mapped->s6_addr[10] = mapped->s6_addr[11] = 0xff;
    memcpy(mapped->s6_addr + 12, in, 4);
}

/* The control messages of a datagram or a batch. */
typedef struct came {
    bool to_us;            /* `local` is set */
    struct in6_addr local; /* destination address */
    size_t size;           /* of each datagram of a batch; 0: a single datagram */
} came;

/* Multicast and broadcast datagrams are not for this endpoint alone and must not trigger a response (RFC 7252 8.1, 11.3). */
static void take_control(came *it, const struct cmsghdr *c)
{
    if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        it->local = info.ipi6_addr;
        const uint8_t *b = it->local.s6_addr;
        it->to_us = IN6_IS_ADDR_V4MAPPED(&it->local) ? (b[12] & 0xf0) != 0xe0 && b[12] != 0xff : b[0] != 0xff;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        map_v4(&it->local, &info.ipi_spec_dst);
        it->to_us = info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr;
    } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
        int size;
        memcpy(&size, CMSG_DATA(c), sizeof size);
        it->size = size > 0 ? (size_t)size : 0;
    }
}

/* CMSG_NXTHDR of some C libraries (musl) mixes signs. */
static struct cmsghdr *next_control(struct msghdr *message, struct cmsghdr *c)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
    return CMSG_NXTHDR(message, c);
#pragma GCC diagnostic pop
}

static came read_control(struct msghdr *message)
{
    came it = { 0 };
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = next_control(message, c)) take_control(&it, c);
    return it;
}

/* Appends a control message. */
static void add_control(struct msghdr *message, nacre__udp_control *control, int level, int type, const void *data,
                        size_t len)
{
    _Alignas(struct cmsghdr) uint8_t one[CMSG_SPACE(sizeof(struct in6_pktinfo))] = { 0 };
    struct cmsghdr head = { .cmsg_len = (uint32_t)CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type };
    memcpy(one, &head, sizeof head);
    memcpy(CMSG_DATA((struct cmsghdr *)(void *)one), data, len);
    memcpy(control->bytes + message->msg_controllen, one, CMSG_SPACE(len));
    message->msg_control = control->bytes;
    message->msg_controllen += (uint32_t)CMSG_SPACE(len); /* size_t or socklen_t */
}

static void send_from(struct msghdr *message, nacre__udp_control *control, const struct in6_addr *local, bool ipv6)
{
    if (ipv6) {
        struct in6_pktinfo info = { .ipi6_addr = *local };
        add_control(message, control, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
        return;
    }
    struct in_pktinfo info = { 0 };
    memcpy(&info.ipi_spec_dst, local->s6_addr + 12, 4);
    add_control(message, control, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
}

/* ---- Receiving -------------------------------------------------------------------------------------------------------- */

static void prepare_receive(nacre_udp *udp, size_t i, uint8_t *buf, size_t cap)
{
    struct msghdr *m = &udp->messages[i].msg_hdr;
    udp->slices[i] = (struct iovec){ buf, cap };
    *m = (struct msghdr){ .msg_name = &udp->names[i], .msg_namelen = sizeof udp->names[i] };
    m->msg_iov = &udp->slices[i];
    m->msg_iovlen = 1;
    if (udp->sources == NULL && udp->batches == NULL) return;
    m->msg_control = udp->controls[i].bytes;
    m->msg_controllen = sizeof udp->controls[i].bytes;
}

/* The sender of message `i`; length 0: ignore the message. */
static nacre_address sender_of(nacre_udp *udp, size_t i, const came *it)
{
    const struct msghdr *m = &udp->messages[i].msg_hdr;
    nacre_address peer = { 0 };
    if (udp->sources != NULL && !it->to_us) return peer;
    if (nacre__address_from(&peer, m->msg_name, m->msg_namelen) && udp->sources != NULL)
        nacre__sources_note(udp->sources, &peer, &it->local);
    return peer;
}

static int receive_batches(nacre_udp *udp)
{
    nacre__udp_batches *batches = udp->batches;
    for (size_t i = 0; i < NACRE__UDP_BATCHES; i++)
        prepare_receive(udp, i, batches->memory + i * NACRE__UDP_BATCH_BYTES, NACRE__UDP_BATCH_BYTES);
    const int got = recvmmsg(udp->fd, udp->messages, NACRE__UDP_BATCHES, MSG_DONTWAIT, NULL);
    batches->next = 0;
    batches->num = got > 0 ? (size_t)got : 0;
    for (size_t i = 0; i < batches->num; i++) {
        const came it = read_control(&udp->messages[i].msg_hdr);
        const size_t len = udp->messages[i].msg_len;
        batches->batch[i] =
            (nacre__udp_batch){ .at = udp->slices[i].iov_base, .left = len, .size = it.size ? it.size : len };
        /* a batch is never truncated: its memory holds the largest IP packet */
        if ((udp->messages[i].msg_hdr.msg_flags & MSG_TRUNC) == 0) batches->batch[i].peer = sender_of(udp, i, &it);
    }
    return got;
}

/* Splits batches until `num` datagrams are taken or none are left. */
static int split_batches(nacre__udp_batches *batches, nacre_datagram *in, size_t num, size_t longest)
{
    size_t n = 0;
    while (n < num && batches->next < batches->num) {
        nacre__udp_batch *batch = &batches->batch[batches->next];
        const size_t len = batch->left < batch->size ? batch->left : batch->size;
        in[n++] = (nacre_datagram){ batch->peer, { batch->at, len < longest ? len : longest }, len };
        batch->at += len;
        batch->left -= len;
        if (batch->left == 0) batches->next++;
    }
    return (int)n;
}

static int receive(nacre_udp *udp, nacre_datagram *in, const nacre__udp_buffers *buffers)
{
    const size_t num = buffers->num < NACRE__UDP_BURST ? buffers->num : NACRE__UDP_BURST;
    if (udp->batches != NULL) {
        if (!nacre__udp_pending(udp) && receive_batches(udp) < 0) return -1;
        return split_batches(udp->batches, in, num, buffers->stride);
    }
    for (size_t i = 0; i < num; i++) prepare_receive(udp, i, buffers->memory + i * buffers->stride, buffers->stride);
    const int got = recvmmsg(udp->fd, udp->messages, (unsigned)num, MSG_DONTWAIT | MSG_TRUNC, NULL); /* true lengths */
    for (size_t i = 0; got > 0 && i < (size_t)got; i++) {
        came it = { 0 };
        if (udp->sources != NULL) it = read_control(&udp->messages[i].msg_hdr);
        in[i] = nacre__udp_datagram(&udp->slices[i], udp->messages[i].msg_len,
                                    (udp->messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0);
        in[i].peer = sender_of(udp, i, &it);
    }
    return got;
}

/* ---- Sending ---------------------------------------------------------------------------------------------------------- */

enum {
    RUN_MOST = 64, /* datagrams per batch: the limit since the first kernels with UDP_SEGMENT */
    RUN_LONGEST =
        1232, /* bytes of one datagram: passes every IPv6 path unfragmented, because batches are never fragmented */
    RUN_TOTAL = 64 * 1024 - 128, /* bytes per batch: the limit of an IP packet, less headers */
};

/* The number of datagrams at `out` that are sent as one message. */
static size_t run_length(const nacre_udp *udp, const nacre_outgoing *out, size_t num)
{
    const size_t size = out->bytes.len;
    size_t n = 1, total = size;
    if (udp->batches == NULL || udp->batches->no_sending || size == 0 || size > RUN_LONGEST) return 1;
    while (n < num && n < RUN_MOST && out[n].bytes.len > 0 && out[n].bytes.len <= size &&
           total + out[n].bytes.len <= RUN_TOTAL && nacre_address_equal(&out[n].peer, &out->peer)) {
        total += out[n].bytes.len;
        if (out[n++].bytes.len < size) break; /* only the last may be shorter */
    }
    return n;
}

/* Prepares message `i` from the datagrams at `out`; its slices begin at `slice`. */
static bool prepare_send(nacre_udp *udp, size_t i, size_t slice, const nacre_outgoing *out, size_t num)
{
    struct msghdr *m = &udp->messages[i].msg_hdr;
    const socklen_t name_len = nacre__address_to(&udp->names[i], &out->peer, udp->ipv6);
    if (name_len == 0) return false;
    *m = (struct msghdr){ .msg_name = &udp->names[i], .msg_namelen = name_len };
    m->msg_iov = &udp->slices[slice];
    m->msg_iovlen = (uint16_t)num; /* size_t or int */
    for (size_t k = 0; k < num; k++) {
        udp->slices[slice + k].iov_base = (void *)(uintptr_t)out[k].bytes.ptr; /* the kernel only reads it */
        udp->slices[slice + k].iov_len = out[k].bytes.len;
    }
    const struct in6_addr *local = udp->sources != NULL ? nacre__sources_find(udp->sources, &out->peer) : NULL;
    if (local != NULL) send_from(m, &udp->controls[i], local, udp->ipv6);
    const uint16_t size = (uint16_t)out->bytes.len;
    if (num > 1) add_control(m, &udp->controls[i], IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size);
    return true;
}

/* Not every interface can segment: batches are then disabled for this socket. */
static bool means_no_gso(int error)
{
    return error == EIO || error == EINVAL || error == EOPNOTSUPP || error == EMSGSIZE;
}

static int send_burst(nacre_udp *udp, const nacre_outgoing *out, size_t num)
{
    size_t lengths[NACRE__UDP_BURST] = { 0 }, messages = 0, datagrams = 0;
    if (num > NACRE__UDP_BURST) num = NACRE__UDP_BURST;
    while (datagrams < num) {
        lengths[messages] = run_length(udp, &out[datagrams], num - datagrams);
        if (!prepare_send(udp, messages, datagrams, &out[datagrams], lengths[messages])) break;
        datagrams += lengths[messages++];
    }
    if (messages == 0) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    const int sent = sendmmsg(udp->fd, udp->messages, (unsigned)messages, MSG_DONTWAIT);
    if (sent < 0 && lengths[0] > 1 && means_no_gso(errno)) {
        udp->batches->no_sending = true;
        return send_burst(udp, out, num);
    }
    if (sent < 0) return -1;
    size_t num_sent = 0;
    for (size_t i = 0; i < (size_t)sent; i++) num_sent += lengths[i];
    return (int)num_sent;
}

static bool use_gso(nacre_udp *udp)
{
    int on = 1;
    return setsockopt(udp->fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) == 0;
}

/* ---- ICMP ------------------------------------------------------------------------------------------------------------- */

/* One report from the error queue; msg_name is the destination of the undeliverable datagram. */
static void take_report(nacre_udp *udp, struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = next_control(message, c)) {
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

const nacre__udp_ops nacre__udp_linux_ops = { receive, send_burst, fetch_errors, use_gso };
#else
typedef int nacre__udp_linux_is_not_here;
#endif
