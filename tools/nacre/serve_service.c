/* SPDX-License-Identifier: MIT */
/* serve_service: see serve_service.h. The protocols are stable and small: docs/decisions/service-manager.md. */
#include "serve_service.h"
#include "base/hosted/detail.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_SOCKET = 3, MAX_SOCKETS = 64 };

/* A number in the environment; 0: none. */
static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;
    if (text == NULL || *text < '0' || *text > '9') return 0;
    errno = 0;
    const uint64_t value = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? value : 0;
}

nacre_err serve_service_sockets(int *udp, int *tcp, nacre_detail *why)
{
    const uint64_t num = number_of("LISTEN_FDS");
    *udp = *tcp = 0;
    if (num == 0 || number_of("LISTEN_PID") != (uint64_t)getpid()) return NACRE_OK;
    if (num > MAX_SOCKETS) return nacre__fail(why, NACRE_ERR_ADDRESS, "LISTEN_FDS has %" PRIu64 " sockets", num);
    for (int fd = FIRST_SOCKET; fd < FIRST_SOCKET + (int)num; fd++) {
        int type = 0;
        socklen_t len = sizeof type;
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || (type != SOCK_DGRAM && type != SOCK_STREAM))
            return nacre__fail(why, NACRE_ERR_ADDRESS, "descriptor %d of LISTEN_FDS is no UDP or TCP socket", fd);
        int *const found = type == SOCK_DGRAM ? udp : tcp;
        if (*found != 0)
            return nacre__fail(why, NACRE_ERR_ADDRESS, "descriptors %d and %d of LISTEN_FDS are both for %s: give one",
                               *found, fd, type == SOCK_DGRAM ? "UDP" : "TCP");
        *found = fd;
    }
    if (*udp == 0)
        return nacre__fail(why, NACRE_ERR_ADDRESS,
                           "LISTEN_FDS has no UDP socket: add ListenDatagram to the socket unit");
    return NACRE_OK;
}

void serve_service_tell(const char *lines)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof name.sun_path) return;
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0) return;
    memcpy(name.sun_path, path, strlen(path));
    if (name.sun_path[0] == '@') name.sun_path[0] = '\0'; /* an abstract address */
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    const socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    const ssize_t sent =
        sendto(fd, lines, strlen(lines), 0, (const struct sockaddr *)&name, len + (name.sun_path[0] != '\0'));
    (void)sent; /* a service manager that is not there misses nothing */
    (void)close(fd);
}

void serve_service_tell_reload(void)
{
    char lines[80];
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(lines, sizeof lines, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    serve_service_tell(lines);
}

uint32_t serve_service_watchdog_ms(void)
{
    const uint64_t usec = number_of("WATCHDOG_USEC"), pid = number_of("WATCHDOG_PID");
    if (usec < 1000 || (pid != 0 && pid != (uint64_t)getpid())) return 0;
    return usec / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(usec / 1000);
}
