/* SPDX-License-Identifier: MIT */
/* tcp: the connections of one endpoint (RFC 8323): a bounded number, accepted and opened ones together. */
#include "io/tcp_internal.h"
#include "io/address.h"
#include "base/hosted/detail.h"

#include <nacre/system.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DEFAULT_CONNECTIONS = 64,
    DEFAULT_INPUT = 8192,
    DEFAULT_OUTPUT = 32768,
    DEFAULT_CONNECT_MS = 10000,
    DEFAULT_PING_MS = 120000,
    DEFAULT_MAX_MESSAGE = 1280,
    BASE_MESSAGE = 1152, /* RFC 8323 5.3.1 */
    BACKLOG = 64,
    PAUSE_MS = 100,
    QUIET_MS = 1000, /* a connection idle for so long may be released for another one */
};

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

/* 0 means the default. */
static void fill(nacre_tcp_config *c)
{
    if (c->num_connections == 0) c->num_connections = DEFAULT_CONNECTIONS;
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

static nacre_tcp_config with_defaults(const nacre_tcp_config *config)
{
    nacre_tcp_config c = *config;
    if (c.size == 0) fill(&c);
    size_t in = nacre_stream_input_size(&c.stream), out = nacre_stream_output_size(&c.stream);
    if (c.input_bytes < in) c.input_bytes = in;
    if (c.output_bytes < out) c.output_bytes = out;
    return c;
}

/* Whether streams can be made with that configuration. */
static bool is_possible(const nacre_tcp_config *c)
{
    if (c->size < sizeof *c || c->num_connections == 0 || c->connect_timeout_ms == 0) return false;
    nacre__connection probe;
    static const nacre_address nobody;
    if (!nacre__connection_begin(&probe, c, -1, &nobody, false, 0)) return false;
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
        made->connections = calloc(c.num_connections, sizeof *made->connections);
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
    for (size_t i = 0; tcp->connections != NULL && i < tcp->config.num_connections; i++) {
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
    for (size_t i = 0; i < tcp->config.num_connections; i++)
        num += tcp->connections[i].state == NACRE__TCP_CONNECTING || tcp->connections[i].state == NACRE__TCP_OPEN;
    return num;
}

/* ---- Sockets ------------------------------------------------------------------------------------------------------------ */

static bool enable(int fd, int level, int option)
{
    int on = 1;
    return setsockopt(fd, level, option, &on, sizeof on) == 0;
}

static bool set_up_socket(int fd)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

/* Messages are written whole, so delaying small segments gains nothing. */
static bool set_up_connection(int fd)
{
#ifdef SO_NOSIGPIPE
    (void)enable(fd, SOL_SOCKET, SO_NOSIGPIPE);
#endif
    (void)enable(fd, IPPROTO_TCP, TCP_NODELAY);
    return set_up_socket(fd);
}

static bool listen_on(nacre_tcp *tcp, const nacre_address *local)
{
    struct sockaddr_storage name = { 0 };
    bool ipv6 = nacre__address_is_ipv6(local);
    socklen_t len = nacre__address_to(&name, local, ipv6);
    int off = 0, fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, IPPROTO_TCP);
    tcp->listener = fd;
    if (fd < 0 || len == 0 || !set_up_socket(fd) || !enable(fd, SOL_SOCKET, SO_REUSEADDR)) return false;
    bool dual = ipv6 && nacre__address_is_wildcard(local);
    if (dual && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) return false;
    if (bind(fd, (const struct sockaddr *)&name, len) != 0 || listen(fd, BACKLOG) != 0) return false;
    len = sizeof name;
    return getsockname(fd, (struct sockaddr *)&name, &len) == 0 &&
           nacre__address_from(&tcp->local, (const struct sockaddr *)&name, len);
}

static void stop_listening(nacre_tcp *tcp)
{
    if (tcp->listener >= 0) (void)close(tcp->listener);
    tcp->listener = -1;
    tcp->local = (nacre_address){ 0 };
}

nacre_err nacre_tcp_listen(nacre_tcp *tcp, const nacre_address *local, nacre_detail *why)
{
    nacre_address at = *local;
    at.flags = 0;
    if (tcp->listener >= 0)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "this server listens for connections already");
    bool listening = listen_on(tcp, &at);
    if (!listening && tcp->listener < 0 && errno == EAFNOSUPPORT && nacre__address_is_wildcard(&at)) {
        nacre__address_any_v4(&at); /* no IPv6 on this system */
        listening = listen_on(tcp, &at);
    }
    if (listening) {
        tcp->local.flags = NACRE_ADDRESS_RELIABLE;
        return NACRE_OK;
    }
    int error = errno;
    char text[72];
    nacre_address_text(&at, text);
    stop_listening(tcp);
    return nacre__fail(why, NACRE_ERR_ADDRESS, "cannot listen on %s (TCP): %s; choose another address or port", text,
                       strerror(error));
}

/* ---- Lookup ------------------------------------------------------------------------------------------------------------- */

/* The connection with that address that the endpoint knows; NULL: none. At most one, because two could not be told apart, and
 * a response must go where its request came from (RFC 8323 3.3). */
static nacre__connection *find(const nacre_tcp *tcp, const nacre_address *peer)
{
    for (size_t i = 0; i < tcp->config.num_connections; i++)
        if (tcp->connections[i].is_known && nacre_address_equal(&tcp->connections[i].peer, peer))
            return &tcp->connections[i];
    return NULL;
}

/* Sends a Release to the longest-idle connection, of `host` if given. Its entry becomes free once it has closed. */
static void release_quietest(nacre_tcp *tcp, const nacre_address *host, uint64_t now_ms)
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

static nacre__connection *find_entry(nacre_tcp *tcp, uint64_t now_ms)
{
    for (size_t i = 0; i < tcp->config.num_connections; i++)
        if (tcp->connections[i].state == NACRE__TCP_FREE) return &tcp->connections[i];
    release_quietest(tcp, NULL, now_ms);
    return NULL;
}

/* No more messages in either direction. */
static bool is_lost(const nacre__connection *c)
{
    if (c->state == NACRE__TCP_OPEN) return nacre_stream_has_ended(&c->stream);
    return c->state != NACRE__TCP_CONNECTING;
}

static void note_unreachable(nacre_tcp *tcp, const nacre_address *peer)
{
    if (tcp->num_unreachable < NACRE__UDP_UNREACHABLE) tcp->unreachable[tcp->num_unreachable++] = *peer;
}

static bool is_held_off(const nacre_tcp *tcp, const nacre_address *peer, uint64_t now_ms)
{
    for (size_t i = 0; i < NACRE__TCP_HOLD_OFFS; i++)
        if (tcp->hold_offs[i].until > now_ms && nacre_address_equal(&tcp->hold_offs[i].peer, peer)) return true;
    return false;
}

/* One host gets at most three quarters of the connections, so that it cannot lock out others, for instance by never finishing
 * a message. */
static bool has_its_share(const nacre_tcp *tcp, const nacre_address *peer)
{
    size_t num = 0;
    for (size_t i = 0; i < tcp->config.num_connections; i++)
        num +=
            tcp->connections[i].state != NACRE__TCP_FREE && nacre__address_same_host(&tcp->connections[i].peer, peer);
    return num >= tcp->config.num_connections - (size_t)tcp->config.num_connections / 4;
}

/* ---- Accepting and connecting ------------------------------------------------------------------------------------------- */

static void take_in(nacre_tcp *tcp, int fd, const struct sockaddr *name, socklen_t len, uint64_t now_ms)
{
    nacre_address peer;
    nacre__connection *c = NULL;
    if (nacre__address_from(&peer, name, len)) {
        peer.flags = NACRE_ADDRESS_RELIABLE;
        if (has_its_share(tcp, &peer)) release_quietest(tcp, &peer, now_ms);
        else if (find(tcp, &peer) == NULL) c = find_entry(tcp, now_ms);
    }
    if (c == NULL || !set_up_connection(fd) || !nacre__connection_begin(c, &tcp->config, fd, &peer, true, now_ms)) {
        (void)close(fd);
        return;
    }
    nacre__connection_flush(c, now_ms);
}

static void accept_all(nacre_tcp *tcp, uint64_t now_ms)
{
    for (int i = 0; i < BACKLOG; i++) {
        struct sockaddr_storage name;
        socklen_t len = sizeof name;
        int fd = accept(tcp->listener, (struct sockaddr *)&name, &len);
        if (fd >= 0) {
            take_in(tcp, fd, (const struct sockaddr *)&name, len, now_ms);
            continue;
        }
        /* Out of descriptors or memory: the listener stays readable, and accepting again at once would be a busy loop. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            tcp->listener_pause = now_ms + PAUSE_MS;
        if (errno != EINTR && errno != ECONNABORTED) return;
    }
}

static nacre__connection *connect_to(nacre_tcp *tcp, const nacre_address *peer, uint64_t now_ms)
{
    struct sockaddr_storage name = { 0 };
    bool ipv6 = nacre__address_is_ipv6(peer);
    socklen_t len = nacre__address_to(&name, peer, ipv6);
    nacre__connection *c = find_entry(tcp, now_ms);
    if (len == 0 || c == NULL || is_held_off(tcp, peer, now_ms)) return NULL;
    int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if (fd < 0) return NULL;
    bool done = set_up_connection(fd) && connect(fd, (const struct sockaddr *)&name, len) == 0;
    if ((done || errno == EINPROGRESS) && nacre__connection_begin(c, &tcp->config, fd, peer, done, now_ms)) return c;
    (void)close(fd);
    return NULL;
}

/* ---- Readiness ---------------------------------------------------------------------------------------------------------- */

size_t nacre__tcp_max_fds(const nacre_tcp *tcp)
{
    return 1 + (size_t)tcp->config.num_connections;
}

/* The first is the listener's; then one per connection in table order, so that no lookup is needed afterwards. */
size_t nacre__tcp_prepare(nacre_tcp *tcp, struct pollfd *fds, uint64_t now_ms)
{
    fds[0] = (struct pollfd){ .fd = tcp->listener_pause > now_ms ? -1 : tcp->listener, .events = POLLIN };
    for (size_t i = 0; i < tcp->config.num_connections; i++) {
        nacre__connection *c = &tcp->connections[i];
        bool live = c->state != NACRE__TCP_FREE && c->state != NACRE__TCP_CLOSED;
        fds[1 + i] = (struct pollfd){ .fd = live ? c->fd : -1, .events = nacre__connection_events(c) };
    }
    return nacre__tcp_max_fds(tcp);
}

void nacre__tcp_ready(nacre_tcp *tcp, const struct pollfd *fds, size_t num, uint64_t now_ms)
{
    nacre_buf scratch = { tcp->scratch, tcp->config.stream.max_message };
    for (size_t i = 1; i < num; i++) nacre__connection_ready(&tcp->connections[i - 1], fds[i].revents, scratch, now_ms);
    if (fds[0].revents != 0) accept_all(tcp, now_ms); /* last: new connections had no descriptor in `fds` */
}

uint64_t nacre__tcp_deadline(const nacre_tcp *tcp)
{
    uint64_t first = tcp->listener_pause != 0 ? tcp->listener_pause : UINT64_MAX;
    for (size_t i = 0; i < tcp->config.num_connections; i++) {
        uint64_t deadline = nacre__connection_deadline(&tcp->connections[i]);
        if (deadline < first) first = deadline;
    }
    return first;
}

void nacre__tcp_expire(nacre_tcp *tcp, uint64_t now_ms)
{
    if (tcp->listener_pause <= now_ms) tcp->listener_pause = 0;
    for (size_t i = 0; i < tcp->config.num_connections; i++) nacre__connection_expire(&tcp->connections[i], now_ms);
}

/* ---- Messages ----------------------------------------------------------------------------------------------------------- */

/* Generates a response to an own request that could not be sent to the peer. */
static nacre_bytes write_refusal(const nacre__refusal *refusal, nacre_buf buf)
{
    nacre_bytes out = NACRE_ABSENT;
    nacre_message m = { .type = NACRE_NON, .code = refusal->code };
    m.token = nacre_bytes_of(refusal->token, refusal->token_len);
    return nacre_message_write(&m, &out, buf) == NACRE_OK ? out : NACRE_ABSENT;
}

static void refuse(nacre_tcp *tcp, const nacre_address *peer, const nacre_message *m, uint8_t code)
{
    if (tcp->num_refusals == NACRE__TCP_REFUSALS || m->token.len > sizeof tcp->refusals->token) return;
    nacre__refusal *refusal = &tcp->refusals[tcp->num_refusals++];
    *refusal = (nacre__refusal){ .peer = *peer, .code = code, .token_len = (uint8_t)m->token.len };
    if (m->token.len > 0) memcpy(refusal->token, m->token.ptr, m->token.len);
}

static void note_hold_off(nacre_tcp *tcp, const nacre_address *peer, uint32_t seconds, uint64_t now_ms)
{
    if (seconds == 0) return;
    tcp->hold_offs[tcp->next_hold_off] = (nacre__hold_off){ *peer, now_ms + (uint64_t)seconds * 1000 };
    tcp->next_hold_off = (tcp->next_hold_off + 1) % NACRE__TCP_HOLD_OFFS;
}

static void note_end(nacre_tcp *tcp, const nacre__connection *of, const nacre_stream_event *event)
{
    nacre__tcp_end end = { .err = event->err, .by_peer = event->by_peer };
    if (event->err == NACRE_OK) return;
    end.was_silent = !nacre_stream_get_peer(&of->stream).has_settings;
    for (size_t i = 0; i < event->bytes.len && i + 1 < sizeof end.text; i++) {
        const uint8_t c = event->bytes.ptr[i];
        end.text[i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    for (nacre__tcp_watch *w = tcp->watches; w != NULL; w = w->next)
        if (nacre_address_equal(&w->peer, &of->peer)) w->end = end;
}

static void note_lost_open(nacre_tcp *tcp, const nacre_address *peer)
{
    for (nacre__tcp_watch *w = tcp->watches; w != NULL; w = w->next)
        if (nacre_address_equal(&w->peer, peer)) w->lost_open = true;
}

void nacre__tcp_watch_peer(nacre_tcp *tcp, nacre__tcp_watch *watch, const nacre_address *peer)
{
    nacre__tcp_unwatch(tcp, watch);
    *watch = (nacre__tcp_watch){ .next = tcp->watches, .peer = *peer };
    tcp->watches = watch;
}

void nacre__tcp_unwatch(nacre_tcp *tcp, nacre__tcp_watch *watch)
{
    nacre__tcp_watch **at = &tcp->watches;
    while (*at != NULL && *at != watch) at = &(*at)->next;
    if (*at != NULL) *at = watch->next;
}

const nacre__tcp_end *nacre__tcp_watched_end(const nacre__tcp_watch *watch)
{
    return watch->end.err != NACRE_OK ? &watch->end : NULL;
}

bool nacre__tcp_was_refused(const nacre__tcp_watch *watch)
{
    return !watch->lost_open;
}

/* The next message of one connection. Signaling messages are handled here; an Alternative-Address is not followed, because it
 * is unauthenticated. */
static bool take_from(nacre_tcp *tcp, nacre__connection *c, nacre_datagram *in, nacre_buf buf, uint64_t now_ms)
{
    nacre_stream_event event;
    while (c->state == NACRE__TCP_OPEN && nacre_stream_next(&c->stream, &event, buf, now_ms)) {
        if (event.kind == NACRE_STREAM_RELEASED) note_hold_off(tcp, &c->peer, event.hold_off_s, now_ms);
        if (event.kind == NACRE_STREAM_ENDED) note_end(tcp, c, &event);
        if (event.kind != NACRE_STREAM_MESSAGE) continue;
        *in = (nacre_datagram){ .peer = c->peer, .bytes = event.bytes };
        return true;
    }
    return false;
}

size_t nacre__tcp_take(nacre_tcp *tcp, nacre_datagram *in, const nacre__udp_buffers *buffers, uint64_t now_ms)
{
    size_t num = 0, all = tcp->config.num_connections;
    for (; num < buffers->num && tcp->num_refusals > 0; num++) {
        const nacre__refusal *refusal = &tcp->refusals[--tcp->num_refusals];
        nacre_buf buf = { buffers->memory + num * buffers->stride, buffers->stride };
        in[num] = (nacre_datagram){ .peer = refusal->peer, .bytes = write_refusal(refusal, buf) };
    }
    size_t first = tcp->next; /* the connection that filled the buffers is last next time */
    for (size_t i = 0; i < all && num < buffers->num; i++) {
        size_t at = (first + i) % all;
        nacre_buf buf = { buffers->memory + num * buffers->stride, buffers->stride };
        while (num < buffers->num && take_from(tcp, &tcp->connections[at], &in[num], buf, now_ms)) {
            num++;
            buf.ptr = buffers->memory + num * buffers->stride;
        }
        tcp->next = (at + 1) % all;
    }
    return num;
}

void nacre__tcp_processed(nacre_tcp *tcp)
{
    for (size_t i = 0; i < tcp->config.num_connections; i++)
        if (tcp->connections[i].state == NACRE__TCP_OPEN) nacre_stream_processed(&tcp->connections[i].stream);
}

size_t nacre__tcp_max_message(const nacre_tcp *tcp, const nacre_address *peer)
{
    const nacre__connection *c = find(tcp, peer);
    if (c == NULL || is_lost(c)) return BASE_MESSAGE;
    /* Up to 65804 bytes a datagram is no shorter than its frame. */
    return nacre_stream_get_peer(&c->stream).max_message;
}

void nacre__tcp_send(nacre_tcp *tcp, const nacre_outgoing *out, uint64_t now_ms)
{
    nacre_message m;
    if (nacre_message_parse(&m, out->bytes) != NACRE_OK) return; /* the endpoint writes well-formed ones only */
    bool request = nacre_code_is_request(m.code);
    nacre__connection *c = find(tcp, &out->peer);
    if (c == NULL && request) c = connect_to(tcp, &out->peer, now_ms);
    if (c == NULL) {
        if (request) note_unreachable(tcp, &out->peer);
        return; /* a response whose connection is gone */
    }
    if (is_lost(c)) return; /* the endpoint will be told */
    nacre_err err = nacre_stream_send(&c->stream, out->bytes, now_ms);
    if (err == NACRE_ERR_BUFFER_TOO_SMALL) {
        nacre__connection_flush(c, now_ms);
        if (c->state == NACRE__TCP_OPEN) err = nacre_stream_send(&c->stream, out->bytes, now_ms);
    }
    if (err == NACRE_OK) return;
    if (request) refuse(tcp, &out->peer, &m, err == NACRE_ERR_TOO_LONG ? NACRE_TOO_LARGE : NACRE_UNAVAILABLE);
    else if (err == NACRE_ERR_BUFFER_TOO_SMALL) nacre_stream_abort(&c->stream, "answers are not read", now_ms);
    else if (err ==
             NACRE_ERR_TOO_LONG) /* the peer lowered its limit after the response was made; it cannot be replaced */
        nacre_stream_abort(&c->stream, "an answer is longer than your Max-Message-Size", now_ms);
}

void nacre__tcp_flush(nacre_tcp *tcp, uint64_t now_ms)
{
    for (size_t i = 0; i < tcp->config.num_connections; i++) nacre__connection_flush(&tcp->connections[i], now_ms);
}

/* ---- Lost connections --------------------------------------------------------------------------------------------------- */

bool nacre__tcp_next_unreachable(nacre_tcp *tcp, nacre_address *peer)
{
    if (tcp->num_unreachable > 0) {
        *peer = tcp->unreachable[--tcp->num_unreachable];
        return true;
    }
    for (size_t i = 0; i < tcp->config.num_connections; i++) {
        nacre__connection *c = &tcp->connections[i];
        bool tell = c->is_known && is_lost(c);
        if (tell) *peer = c->peer;
        if (tell && c->was_open) note_lost_open(tcp, peer);
        if (tell) c->is_known = false;
        if (c->state == NACRE__TCP_CLOSED) nacre__connection_free(c);
        if (tell) return true;
    }
    return false;
}
