/* SPDX-License-Identifier: MIT */
/* tcp_pool: the connections of one endpoint: which one a peer has, and which entry a new one gets. */
#include "io/tcp_internal.h"
#include "io/address.h"

enum { QUIET_MS = 1000 }; /* a connection idle for so long may be released for another one */

/* The connection with that address that the endpoint knows; NULL: none. At most one, because two could not be told apart, and
 * a response must go where its request came from (RFC 8323 3.3). */
nacre__connection *nacre__tcp_find(const nacre_tcp *tcp, const nacre_address *peer)
{
    for (size_t i = 0; i < tcp->config.num_connections; i++)
        if (tcp->connections[i].is_known && nacre_address_equal(&tcp->connections[i].peer, peer))
            return &tcp->connections[i];
    return NULL;
}

/* Sends a Release to the longest-idle connection, of `host` if given. Its entry becomes free once it has closed. */
void nacre__tcp_release_quietest(nacre_tcp *tcp, const nacre_address *host, uint64_t now_ms)
{
    nacre__connection *longest = NULL;
    for (size_t i = 0; i < tcp->config.num_connections; i++) {
        nacre__connection *c = &tcp->connections[i];
        if (c->state != NACRE__TCP_OPEN || nacre_stream_is_closing(&c->stream)) continue;
        if (host != NULL && !nacre__address_same_host(&c->peer, host)) continue;
        uint64_t since = nacre_stream_quiet_since(&c->stream);
        if (since > now_ms || now_ms - since < QUIET_MS) continue;
        if (longest == NULL || since < nacre_stream_quiet_since(&longest->stream)) longest = c;
    }
    if (longest == NULL) return;
    nacre_err err = nacre_stream_release(&longest->stream, NACRE_ABSENT, 0, now_ms);
    (void)err; /* without buffer space for it, the stream's deadlines end it */
}

nacre__connection *nacre__tcp_find_entry(nacre_tcp *tcp, uint64_t now_ms)
{
    for (size_t i = 0; i < tcp->config.num_connections; i++)
        if (tcp->connections[i].state == NACRE__TCP_FREE) return &tcp->connections[i];
    nacre__tcp_release_quietest(tcp, NULL, now_ms);
    return NULL;
}

/* No more messages in either direction. */
bool nacre__tcp_is_lost(const nacre__connection *c)
{
    if (c->state == NACRE__TCP_OPEN) return nacre_stream_has_ended(&c->stream);
    return c->state != NACRE__TCP_CONNECTING;
}

/* One host gets at most three quarters of the connections, so that it cannot lock out others, for instance by never finishing
 * a message. */
bool nacre__tcp_has_its_share(const nacre_tcp *tcp, const nacre_address *peer)
{
    size_t num = 0;
    for (size_t i = 0; i < tcp->config.num_connections; i++)
        num +=
            tcp->connections[i].state != NACRE__TCP_FREE && nacre__address_same_host(&tcp->connections[i].peer, peer);
    return num >= tcp->config.num_connections - (size_t)tcp->config.num_connections / 4;
}
