/* SPDX-License-Identifier: MIT */
/* tcp_pool: the connections of one endpoint: which one a peer has, and which entry a new one gets.
 *
 * An accepted connection is on trial until a message on it has verified: until then it gives way to newcomers, the longest
 * idle first. Requests in clear only renew its idle time. Verified connections leave some entries for trials: one that
 * verifies beyond that is exchanged for the longest-idle verified one. A host has a share of the entries, within which the
 * same holds. */
#include "io/tcp_internal.h"
#include "io/address.h"

enum {
    QUIET_MS = 1000, /* a verified connection idle for so long may be released for another one */
    TRIAL_MS = 1000, /* time for the first request: others are evicted before */
};

/* The connection with that address that the endpoint knows; NULL: none. At most one, because two could not be told apart, and
 * a response must go where its request came from (RFC 8323 3.3). */
nacre__connection *nacre__tcp_find(const nacre_tcp *tcp, const nacre_address *peer)
{
    for (size_t i = 0; i < tcp->num_entries; i++)
        if (tcp->connections[i].is_known && nacre_address_equal(&tcp->connections[i].peer, peer))
            return &tcp->connections[i];
    return NULL;
}

static bool is_at(const nacre__connection *c, const nacre_address *host)
{
    return host == NULL || nacre__address_same_host(&c->peer, host);
}

static bool has_socket(const nacre__connection *c)
{
    return c->state != NACRE__TCP_FREE && c->state != NACRE__TCP_CLOSED;
}

static bool is_trusted(const nacre__connection *c)
{
    return c->is_verified || c->is_ours;
}

/* The connections with a socket, of `host` if given; all, or those that are trusted. */
static size_t num_at(const nacre_tcp *tcp, const nacre_address *host, bool only_trusted)
{
    size_t num = 0;
    for (size_t i = 0; i < tcp->num_entries; i++) {
        const nacre__connection *c = &tcp->connections[i];
        num += has_socket(c) && is_at(c, host) && (!only_trusted || is_trusted(c));
    }
    return num;
}

/* Sends a Release to the longest-idle connection but `except`, of `host` if given. Its entry becomes free once it has
 * closed. */
static void release_quietest(nacre_tcp *tcp, const nacre_address *host, const nacre__connection *except,
                             uint64_t now_ms)
{
    nacre__connection *longest = NULL;
    for (size_t i = 0; i < tcp->num_entries; i++) {
        nacre__connection *c = &tcp->connections[i];
        if (c->state != NACRE__TCP_OPEN || nacre_stream_is_closing(&c->stream) || !is_at(c, host) || c == except)
            continue;
        uint64_t since = nacre_stream_quiet_since(&c->stream);
        if (since > now_ms || now_ms - since < QUIET_MS) continue;
        if (longest == NULL || since < nacre_stream_quiet_since(&longest->stream)) longest = c;
    }
    if (longest == NULL) return;
    nacre_err err = nacre_stream_release(&longest->stream, NACRE_ABSENT, 0, now_ms);
    (void)err; /* without buffer space for it, the stream's deadlines end it */
}

/* The lowest is evicted first: one that has ended, then one whose trial is over; among equals the longest idle. */
static int rank(const nacre__connection *c, uint64_t now_ms)
{
    if (c->state == NACRE__TCP_LINGERING) return 0;
    return now_ms - c->begun_at >= TRIAL_MS ? 1 : 2;
}

bool nacre__tcp_evict_one(nacre_tcp *tcp, const nacre_address *host, uint64_t now_ms)
{
    nacre__connection *first = NULL;
    for (size_t i = 0; i < tcp->num_entries; i++) {
        nacre__connection *c = &tcp->connections[i];
        const bool may_go = c->state == NACRE__TCP_LINGERING || (c->state == NACRE__TCP_OPEN && !is_trusted(c));
        if (!may_go || !is_at(c, host)) continue;
        const int r = rank(c, now_ms), least = first == NULL ? 3 : rank(first, now_ms);
        if (r < least || (r == least && c->idle_since < first->idle_since)) first = c;
    }
    if (first == NULL) return false;
    nacre__connection_evict(first, now_ms);
    return true;
}

static nacre__connection *free_entry(const nacre_tcp *tcp)
{
    for (size_t i = 0; i < tcp->num_entries; i++)
        if (tcp->connections[i].state == NACRE__TCP_FREE) return &tcp->connections[i];
    return NULL;
}

nacre__connection *nacre__tcp_entry_for(nacre_tcp *tcp, const nacre_address *peer, uint64_t now_ms)
{
    nacre__connection *entry = free_entry(tcp);
    if (entry == NULL) return NULL; /* evicted ones are free once the endpoint was told */
    if (num_at(tcp, peer, false) >= tcp->config.connections_per_host)
        return nacre__tcp_evict_one(tcp, peer, now_ms) ? entry : NULL;
    if (num_at(tcp, NULL, false) < tcp->config.num_connections) return entry;
    return nacre__tcp_evict_one(tcp, NULL, now_ms) ? entry : NULL;
}

nacre__connection *nacre__tcp_entry_to_connect(nacre_tcp *tcp, uint64_t now_ms)
{
    if (num_at(tcp, NULL, false) < tcp->config.num_connections || nacre__tcp_evict_one(tcp, NULL, now_ms))
        return free_entry(tcp);
    release_quietest(tcp, NULL, NULL, now_ms);
    return NULL;
}

/* An eighth of `num`, at least one. */
static size_t for_trials(size_t num)
{
    return num >= 16 ? num / 8 : num > 1;
}

/* A message of that peer has verified. */
void nacre__tcp_verified(nacre_tcp *tcp, const nacre_address *peer, uint64_t now_ms)
{
    nacre__connection *c = nacre__tcp_find(tcp, peer);
    if (c == NULL || c->is_verified) return;
    c->is_verified = true;
    const size_t all = tcp->config.num_connections, share = tcp->config.connections_per_host;
    if (share < all && num_at(tcp, peer, true) > share - for_trials(share)) release_quietest(tcp, peer, c, now_ms);
    else if (num_at(tcp, NULL, true) > all - for_trials(all)) release_quietest(tcp, NULL, c, now_ms);
}

/* No more messages in either direction. */
bool nacre__tcp_is_lost(const nacre__connection *c)
{
    if (c->state == NACRE__TCP_OPEN) return nacre_stream_has_ended(&c->stream);
    return c->state != NACRE__TCP_CONNECTING;
}
