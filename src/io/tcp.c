/* SPDX-License-Identifier: MIT */
/* tcp: the connections of one endpoint (RFC 8323): a bounded number, accepted and opened ones together. */
#include "io/tcp_internal.h"
#include "base/config_size.h"
#include "base/hosted/detail.h"

#include <nacre/system.h>

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    DEFAULT_CONNECTIONS = 64,
    LEAST_SHARE = 16,
    DEFAULT_INPUT = 8192,
    DEFAULT_OUTPUT = 32768,
    DEFAULT_CONNECT_MS = 10000,
    DEFAULT_PING_MS = 120000,
    DEFAULT_MAX_MESSAGE = 1280,
};

/* ---- Life ---- */

/* 0 means the default. */
static void fill(nacre_tcp_config *c)
{
    if (c->num_connections == 0) c->num_connections = DEFAULT_CONNECTIONS;
    if (c->connections_per_host == 0)
        c->connections_per_host = c->num_connections >= 4 * LEAST_SHARE ? c->num_connections / 4 : LEAST_SHARE;
    if (c->connect_timeout_ms == 0) c->connect_timeout_ms = DEFAULT_CONNECT_MS;
    if (c->stream.max_message == 0) c->stream.max_message = DEFAULT_MAX_MESSAGE;
    if (c->stream.ping_after_ms == 0) c->stream.ping_after_ms = DEFAULT_PING_MS;
    if (c->input_bytes == 0) c->input_bytes = DEFAULT_INPUT;
    if (c->output_bytes == 0) c->output_bytes = DEFAULT_OUTPUT;
    c->size = sizeof *c;
}

nacre_tcp_config nacre_tcp_config_default(void)
{
    nacre_tcp_config config = { .stream = nacre_stream_config_default() };
    fill(&config);
    return config;
}

/* One with a size that does not fit becomes one without connections, which is not possible. */
static nacre_tcp_config with_defaults(const nacre_tcp_config *config)
{
    nacre_tcp_config c = { .size = sizeof c };
    if (!nacre__config_size_fits(config->size, sizeof *config)) return c;
    c = *config;
    if (c.size == 0) fill(&c);
    size_t in = nacre_stream_input_size(&c.stream), out = nacre_stream_output_size(&c.stream);
    if (c.input_bytes < in) c.input_bytes = in;
    if (c.output_bytes < out) c.output_bytes = out;
    return c;
}

/* Whether streams can be made with that configuration. */
static bool is_possible(const nacre_tcp_config *c)
{
    if (c->num_connections == 0 || c->connections_per_host == 0 || c->connect_timeout_ms == 0) return false;
    nacre__connection probe;
    static const nacre_address no_peer;
    if (!nacre__connection_begin(&probe, c, -1, &no_peer, false, 0)) return false;
    nacre__connection_free(&probe);
    return true;
}

nacre_err nacre_tcp_open(nacre_tcp **tcp, const nacre_tcp_config *config, nacre_detail *why)
{
    static const nacre_tcp_config none;
    nacre_tcp_config c = with_defaults(config != NULL ? config : &none);
    if (!is_possible(&c))
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "connections cannot be made so: messages of %zu bytes, tokens of %u", c.stream.max_message,
                           (unsigned)c.stream.max_token);
    nacre_tcp *made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->config = c;
        made->listener = -1;
        made->max_fd = INT_MAX;
        made->num_entries = (size_t)c.num_connections + NACRE__TCP_SPARE;
        made->connections = calloc(made->num_entries, sizeof *made->connections);
        made->scratch = malloc(c.stream.max_message);
    }
    if (made == NULL || made->connections == NULL || made->scratch == NULL) {
        nacre_tcp_close(made);
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for connections");
    }
    *tcp = made;
    return NACRE_OK;
}

void nacre_tcp_close(nacre_tcp *tcp)
{
    if (tcp == NULL) return;
    uint64_t now = nacre_clock_ms();
    if (tcp->listener >= 0) (void)close(tcp->listener);
    for (size_t i = 0; tcp->connections != NULL && i < tcp->num_entries; i++) {
        nacre__connection *c = &tcp->connections[i];
        /* RFC 8323 5.5, as far as the socket takes it now: closing does not wait for the peer. */
        if (c->state == NACRE__TCP_OPEN && nacre_stream_release(&c->stream, NACRE_ABSENT, 0, now) == NACRE_OK)
            nacre__connection_flush(c, now);
        nacre__connection_free(c);
    }
    if (tcp->scratch != NULL) nacre_wipe(tcp->scratch, tcp->config.stream.max_message);
    free(tcp->scratch);
    free(tcp->connections);
    free(tcp);
}

nacre_address nacre_tcp_local(const nacre_tcp *tcp)
{
    return tcp->local;
}

size_t nacre_tcp_num_connections(const nacre_tcp *tcp)
{
    size_t num = 0;
    for (size_t i = 0; i < tcp->num_entries; i++)
        num += tcp->connections[i].state == NACRE__TCP_CONNECTING || tcp->connections[i].state == NACRE__TCP_OPEN;
    return num;
}

/* ---- Readiness ---- */

size_t nacre__tcp_max_fds(const nacre_tcp *tcp)
{
    return 1 + (size_t)tcp->num_entries;
}

/* The first is the listener's; then one per connection with a socket: poll refuses more than the limit of descriptors. */
size_t nacre__tcp_prepare(nacre_tcp *tcp, struct pollfd *fds, uint64_t now_ms)
{
    fds[0] = (struct pollfd){ .fd = tcp->listener_pause > now_ms ? -1 : tcp->listener, .events = POLLIN };
    size_t num = 1;
    for (size_t i = 0; i < tcp->num_entries; i++) {
        nacre__connection *c = &tcp->connections[i];
        c->polled_at = 0;
        if (c->state == NACRE__TCP_FREE || c->state == NACRE__TCP_CLOSED) continue;
        c->polled_at = num;
        fds[num++] = (struct pollfd){ .fd = c->fd, .events = nacre__connection_events(c) };
    }
    tcp->num_polled = num - 1;
    return num;
}

void nacre__tcp_ready(nacre_tcp *tcp, const struct pollfd *fds, size_t num, uint64_t now_ms)
{
    nacre_buf scratch = { tcp->scratch, tcp->config.stream.max_message };
    for (size_t i = 0; i < tcp->num_entries; i++) {
        nacre__connection *c = &tcp->connections[i];
        if (c->polled_at != 0 && c->polled_at < num)
            nacre__connection_ready(c, fds[c->polled_at].revents, scratch, now_ms);
    }
    if (fds[0].revents != 0) nacre__tcp_accept(tcp, now_ms); /* last: new connections had no descriptor in `fds` */
}

uint64_t nacre__tcp_deadline(const nacre_tcp *tcp)
{
    uint64_t first = tcp->listener_pause != 0 ? tcp->listener_pause : UINT64_MAX;
    for (size_t i = 0; i < tcp->num_entries; i++) {
        uint64_t deadline = nacre__connection_deadline(&tcp->connections[i]);
        if (deadline < first) first = deadline;
    }
    return first;
}

void nacre__tcp_expire(nacre_tcp *tcp, uint64_t now_ms)
{
    if (tcp->listener_pause <= now_ms) tcp->listener_pause = 0;
    for (size_t i = 0; i < tcp->num_entries; i++) nacre__connection_expire(&tcp->connections[i], now_ms);
}

/* ---- Lost connections ---- */

bool nacre__tcp_next_unreachable(nacre_tcp *tcp, nacre_address *peer)
{
    if (tcp->num_unreachable > 0) {
        *peer = tcp->unreachable[--tcp->num_unreachable];
        return true;
    }
    for (size_t i = 0; i < tcp->num_entries; i++) {
        nacre__connection *c = &tcp->connections[i];
        bool tell = c->is_known && nacre__tcp_is_lost(c);
        if (tell) *peer = c->peer;
        if (tell && c->was_open) nacre__tcp_note_lost_open(tcp, peer);
        if (tell) c->is_known = false;
        if (c->state == NACRE__TCP_CLOSED) nacre__connection_free(c);
        if (tell) return true;
    }
    return false;
}
