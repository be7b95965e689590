/* SPDX-License-Identifier: MIT */
/* udp_plain: datagrams one by one, on any POSIX system. The system chooses the source address of responses, and ICMP
 * errors are known only as far as sendto reports them. */
#include "io/address.h"
#include "io/udp_internal.h"

#include <errno.h>

#ifdef __linux__
enum { TRUE_LENGTH = MSG_TRUNC }; /* also of a truncated datagram */
#else
enum { TRUE_LENGTH = 0 };
#endif

static int receive(nacre_udp *udp, nacre_datagram *in, const nacre__udp_buffers *buffers)
{
    int num = 0;
    while ((size_t)num < buffers->num && num < NACRE__UDP_BURST) {
        struct sockaddr_storage name;
        struct iovec slice = { buffers->memory + (size_t)num * buffers->stride, buffers->stride };
        struct msghdr message = { .msg_name = &name, .msg_namelen = sizeof name, .msg_iov = &slice, .msg_iovlen = 1 };
        ssize_t len = recvmsg(udp->fd, &message, TRUE_LENGTH);
        if (len < 0) return num > 0 ? num : -1;
        in[num] = nacre__udp_datagram(&slice, (size_t)len, (message.msg_flags & MSG_TRUNC) != 0);
        (void)nacre__address_from(&in[num].peer, (const struct sockaddr *)&name, message.msg_namelen);
        num++;
    }
    return num;
}

static int send_one(nacre_udp *udp, const nacre_outgoing *out, size_t num)
{
    struct sockaddr_storage name;
    socklen_t name_len = nacre__address_to(&name, &out->peer, udp->ipv6);
    (void)num;
    if (name_len == 0) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    ssize_t sent = sendto(udp->fd, out->bytes.ptr, out->bytes.len, 0, (const struct sockaddr *)&name, name_len);
    return sent < 0 ? -1 : 1;
}

const nacre__udp_ops nacre__udp_plain_ops = { receive, send_one, NULL, NULL };
