/* SPDX-License-Identifier: MIT */
/* echo: bare servers over the three kinds of system calls. */
#include "echo.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { BURST = 64, BUF_SIZE = 2048, BATCHES = 32, BATCH_SIZE = 65536 };

void echo_one(int fd)
{
    uint8_t buf[BUF_SIZE];
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t peer_len = sizeof peer;
        const ssize_t len = recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&peer, &peer_len);
        if (len >= 0) (void)sendto(fd, buf, (size_t)len, 0, (struct sockaddr *)&peer, peer_len);
    }
}

void echo_burst(int fd)
{
    static uint8_t bufs[BURST][BUF_SIZE];
    static struct sockaddr_storage peers[BURST];
    static struct iovec slices[BURST];
    static struct mmsghdr messages[BURST];
    for (;;) {
        for (int i = 0; i < BURST; i++) {
            slices[i] = (struct iovec){ bufs[i], BUF_SIZE };
            messages[i].msg_hdr = (struct msghdr){ .msg_name = &peers[i], .msg_namelen = sizeof peers[i] };
            messages[i].msg_hdr.msg_iov = &slices[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        const int got = recvmmsg(fd, messages, BURST, MSG_WAITFORONE, NULL);
        for (int i = 0; i < got; i++) slices[i].iov_len = messages[i].msg_len;
        if (got > 0) (void)sendmmsg(fd, messages, (unsigned)got, 0);
    }
}

/* Sends the coalesced datagrams back unchanged: the bytes, and the segment size. */
void echo_batches(int fd)
{
    static uint8_t buf[BATCH_SIZE];
    int on = 1;
    if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) != 0) return;
    for (;;) {
        _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];
        struct sockaddr_storage peer;
        struct iovec slice = { buf, sizeof buf };
        struct msghdr message = { .msg_name = &peer, .msg_namelen = sizeof peer, .msg_iov = &slice, .msg_iovlen = 1 };
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        const ssize_t len = recvmsg(fd, &message, 0);
        if (len < 0) continue;
        int size = 0;
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        if (c != NULL && c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
            memcpy(&size, CMSG_DATA(c), sizeof size);
        slice.iov_len = (size_t)len;
        message.msg_control = NULL;
        message.msg_controllen = 0;
        if (size > 0 && size < len) {
            const uint16_t piece = (uint16_t)size;
            message.msg_control = control;
            message.msg_controllen = CMSG_SPACE(sizeof piece);
            c = CMSG_FIRSTHDR(&message);
            c->cmsg_len = CMSG_LEN(sizeof piece);
            c->cmsg_level = IPPROTO_UDP;
            c->cmsg_type = UDP_SEGMENT;
            memcpy(CMSG_DATA(c), &piece, sizeof piece);
        }
        (void)sendmsg(fd, &message, 0);
    }
}
