/* SPDX-License-Identifier: MIT */
/* process: fork, a pipe that reports when the server is ready, and the clock of another process. See process.h. */
#include "process.h"
#include "bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void process_pin(unsigned cores)
{
    const size_t num = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;
    CPU_ZERO(&set);
    for (size_t i = 0; i < 2; i++)
        if ((cores >> i & 1) != 0) CPU_SET(i % num, &set);
    (void)sched_setaffinity(0, sizeof set, &set); /* without permission there is a little more noise */
}

static pid_t child(void)
{
    const pid_t pid = fork();
    bench_check(pid >= 0, "fork");
    if (pid == 0) (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it must not outlive the measurement */
    return pid;
}

process process_fork(void (*serve)(const void *arg, int ready), const void *arg, unsigned cores)
{
    int ends[2];
    process p = { 0 };
    bench_check(pipe(ends) == 0, "pipe");
    p.pid = child();
    if (p.pid == 0) {
        process_pin(cores);
        serve(arg, ends[1]);
        _exit(1);
    }
    (void)close(ends[1]);
    bench_check(read(ends[0], &p.port, sizeof p.port) == sizeof p.port, "the server did not start");
    (void)close(ends[0]);
    return p;
}

void process_ready(int ready, uint16_t port)
{
    bench_check(write(ready, &port, sizeof port) == sizeof port, "pipe");
}

void process_stop(process p)
{
    if (p.pid <= 0) return;
    (void)kill(p.pid, SIGKILL);
    (void)waitpid(p.pid, NULL, 0);
}

double process_seconds(process p)
{
    clockid_t clock;
    struct timespec t = { 0 };
    if (clock_getcpuclockid(p.pid, &clock) == 0) (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- Other programs ---------------------------------------------------------------------------------------------- */

static int bound_or_connected(uint16_t port, bool ipv6)
{
    const struct sockaddr_in6 six = { .sin6_family = AF_INET6,
                                      .sin6_port = htons(port),
                                      .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    const struct sockaddr_in four = { .sin_family = AF_INET,
                                      .sin_port = htons(port),
                                      .sin_addr = { htonl(INADDR_LOOPBACK) } };
    const struct sockaddr *name = ipv6 ? (const struct sockaddr *)&six : (const struct sockaddr *)&four;
    const socklen_t len = ipv6 ? sizeof six : sizeof four;
    const int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bench_check(fd >= 0 && (port == 0 ? bind(fd, name, len) : connect(fd, name, len)) == 0, "socket");
    return fd;
}

uint16_t process_free_port(bool ipv6)
{
    struct sockaddr_in6 name = { 0 }; /* the port is at the same offset in both kinds */
    socklen_t len = sizeof name;
    const int fd = bound_or_connected(0, ipv6);
    bench_check(getsockname(fd, (struct sockaddr *)&name, &len) == 0, "getsockname");
    (void)close(fd);
    return ntohs(name.sin6_port);
}

static bool has_ended(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == pid;
}

/* An empty CON is answered by RST (RFC 7252 4.3). */
static bool responds(uint16_t port, bool ipv6)
{
    static const uint8_t ping[4] = { 0x40, 0, 0x12, 0x34 }, pong[4] = { 0x70, 0, 0x12, 0x34 };
    uint8_t came[16];
    const int fd = bound_or_connected(port, ipv6);
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    const bool good = send(fd, ping, sizeof ping, 0) == sizeof ping && poll(&wait, 1, 100) == 1 &&
                      recv(fd, came, sizeof came, 0) == sizeof pong && memcmp(came, pong, sizeof pong) == 0;
    (void)close(fd);
    return good;
}

process process_run(char *const argv[], uint16_t port, bool ipv6)
{
    const struct timespec moment = { .tv_nsec = 50000000 };
    process p = { .pid = child(), .port = port };
    if (p.pid == 0) {
        const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd < 3; fd++) (void)dup2(nowhere, fd);
        process_pin(PROCESS_SERVER_CORE);
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    for (int i = 0; i < 200; i++) {
        if (has_ended(p.pid)) return (process){ 0 };
        if (responds(port, ipv6)) return p;
        (void)nanosleep(&moment, NULL);
    }
    process_stop(p);
    return (process){ 0 };
}
