/* SPDX-License-Identifier: MIT */
/* udp_drops: how many datagrams the kernel dropped at a socket. */
#include "io/udp_internal.h"

#include <sys/socket.h>

#ifdef __linux__
#include <linux/sock_diag.h>
#endif

#if defined __linux__ && defined SO_MEMINFO
static uint64_t drops_of(const nacre_udp *udp)
{
    uint32_t info[SK_MEMINFO_VARS] = { 0 };
    socklen_t len = sizeof info;
    return getsockopt(nacre_udp_fd(udp), SOL_SOCKET, SO_MEMINFO, info, &len) == 0 ? info[SK_MEMINFO_DROPS] : 0;
}
#else
static uint64_t drops_of(const nacre_udp *udp)
{
    (void)udp;
    return 0;
}
#endif

uint64_t nacre__udp_queue_drops(const nacre_udp *udp)
{
    return drops_of(udp) + (udp->lane != NULL ? drops_of(udp->lane) : 0);
}
