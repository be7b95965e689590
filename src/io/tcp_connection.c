/* SPDX-License-Identifier: MIT */
/* tcp_connection: one connection's socket and stream. Nothing here blocks or raises SIGPIPE. */
#include "io/tcp_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* where it is missing, tcp.c sets SO_NOSIGPIPE */
#endif

bool nacre__connection_begin(nacre__connection *c, const nacre_tcp_config *config, int fd, const nacre_address *peer,
                             bool is_connected, uint64_t now_ms)
{
    size_t in_size = config->input_bytes, out_size = config->output_bytes;
    uint8_t *memory = malloc(in_size + out_size);
    if (memory == NULL) return false;
    nacre_buf in = { memory, in_size }, out = { memory + in_size, out_size };
    *c = (nacre__connection){ .fd = fd, .peer = *peer, .memory = memory };
    if (nacre_stream_init(&c->stream, in, out, &config->stream, now_ms) != NACRE_OK) { /* checked by tcp.c */
        free(memory);
        *c = (nacre__connection){ .fd = -1 };
        return false;
    }
    c->state = is_connected ? NACRE__TCP_OPEN : NACRE__TCP_CONNECTING;
    c->was_open = is_connected;
    c->deadline = now_ms + config->connect_timeout_ms;
    c->is_known = true;
    c->begun_at = c->idle_since = now_ms;
    return true;
}

static void close_socket(nacre__connection *c)
{
    if (c->fd >= 0) (void)close(c->fd);
    c->fd = -1;
    c->state = NACRE__TCP_CLOSED;
    nacre_stream_wipe(&c->stream);
    free(c->memory);
    c->memory = NULL;
}

void nacre__connection_free(nacre__connection *c)
{
    if (c->state != NACRE__TCP_FREE) close_socket(c);
    *c = (nacre__connection){ .fd = -1 };
}

/* All output is written. Closing a socket with unread input resets the connection, and the peer may never see the last bytes,
 * of an Abort for instance; so input is read and discarded for NACRE__TCP_LINGER_MS. */
static void begin_to_linger(nacre__connection *c, uint64_t now_ms)
{
    if (shutdown(c->fd, SHUT_WR) != 0) {
        close_socket(c);
        return;
    }
    c->state = NACRE__TCP_LINGERING;
    c->deadline = now_ms + NACRE__TCP_LINGER_MS;
}

void nacre__connection_flush(nacre__connection *c, uint64_t now_ms)
{
    while (c->state == NACRE__TCP_OPEN) {
        nacre_bytes out = nacre_stream_output(&c->stream);
        if (out.len == 0) break;
        ssize_t sent = send(c->fd, out.ptr, out.len, MSG_NOSIGNAL);
        if (sent >= 0) nacre_stream_sent(&c->stream, (size_t)sent, now_ms);
        else if (errno == EAGAIN || errno == EWOULDBLOCK) break;
        else if (errno != EINTR) close_socket(c);
    }
    if (c->state == NACRE__TCP_OPEN && nacre_stream_is_over(&c->stream)) begin_to_linger(c, now_ms);
}

void nacre__connection_evict(nacre__connection *c, uint64_t now_ms)
{
    if (c->state == NACRE__TCP_OPEN) nacre_stream_abort(&c->stream, "no verified request, and others wait", now_ms);
    nacre__connection_flush(c, now_ms);
    close_socket(c);
}

static void receive(nacre__connection *c, uint64_t now_ms)
{
    nacre_buf buf = nacre_stream_input(&c->stream);
    if (buf.cap == 0) return;
    ssize_t got = recv(c->fd, buf.ptr, buf.cap, 0);
    if (got > 0) nacre_stream_received(&c->stream, (size_t)got, now_ms);
    else if (got == 0) nacre_stream_finished(&c->stream, now_ms);
    else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) close_socket(c);
}

static void throw_away(nacre__connection *c, nacre_buf scratch)
{
    ssize_t got = recv(c->fd, scratch.ptr, scratch.cap, 0);
    if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))) return;
    close_socket(c);
}

static void finish_connecting(nacre__connection *c, uint64_t now_ms)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        close_socket(c);
        return;
    }
    c->state = NACRE__TCP_OPEN;
    c->was_open = true;
    nacre__connection_flush(c, now_ms);
}

short nacre__connection_events(nacre__connection *c)
{
    short events = 0;
    if (c->state == NACRE__TCP_CONNECTING) return POLLOUT;
    if (c->state == NACRE__TCP_LINGERING) return POLLIN;
    if (c->state != NACRE__TCP_OPEN) return 0;
    if (nacre_stream_input(&c->stream).cap > 0) events = POLLIN;
    if (nacre_stream_output(&c->stream).len > 0) events = (short)(events | POLLOUT);
    return events;
}

void nacre__connection_ready(nacre__connection *c, short events, nacre_buf scratch, uint64_t now_ms)
{
    const short error = POLLERR | POLLHUP | POLLNVAL;
    if (events == 0) return;
    switch (c->state) {
    case NACRE__TCP_CONNECTING: finish_connecting(c, now_ms); break;
    case NACRE__TCP_LINGERING: throw_away(c, scratch); break;
    case NACRE__TCP_OPEN:
        /* poll would report an error for ever that no read can fetch (input buffer full, or after end of file). */
        if ((events & error) && nacre_stream_input(&c->stream).cap == 0) {
            close_socket(c);
            break;
        }
        if (events & (POLLIN | error)) receive(c, now_ms);
        nacre__connection_flush(c, now_ms);
        break;
    default: break;
    }
}

uint64_t nacre__connection_deadline(const nacre__connection *c)
{
    if (c->state == NACRE__TCP_CONNECTING || c->state == NACRE__TCP_LINGERING) return c->deadline;
    return c->state == NACRE__TCP_OPEN ? nacre_stream_deadline(&c->stream) : UINT64_MAX;
}

void nacre__connection_expire(nacre__connection *c, uint64_t now_ms)
{
    if (c->state == NACRE__TCP_OPEN) nacre_stream_expire(&c->stream, now_ms);
    else if (nacre__connection_deadline(c) <= now_ms) close_socket(c);
}
