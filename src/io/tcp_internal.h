/* SPDX-License-Identifier: MIT */
/* tcp_internal: connections, for the loop. tcp.c has the life of all, tcp_pool.c finds one, tcp_listen.c accepts and
 * connects, tcp_messages.c takes and sends, tcp_watch.c tells the client. tcp_connection.c has one connection: its socket and its
 * stream.
 *
 *     FREE -> CONNECTING -> OPEN -> LINGERING -> GONE -> FREE
 *                 `-----------`--------------------^
 *
 * LINGERING: all output is written and the peer has not closed its side; closing at once would discard what it has not read
 * yet. GONE: the socket is closed; FREE once the endpoint has been told. */
#ifndef NACRE_IO_TCP_INTERNAL_H
#define NACRE_IO_TCP_INTERNAL_H

#include "io/udp_internal.h"

#include <nacre/tcp.h>

#include <poll.h>

enum {
    NACRE__TCP_LINGER_MS = 1000,
    NACRE__TCP_REFUSALS =
        64, /* own requests that could not be sent, kept until the endpoint takes the generated response to them */
    NACRE__TCP_HOLD_OFFS = 8, /* peers whose Hold-Off is in force */
    NACRE__TCP_SPARE = 64, /* entries beside num_connections, for evicted ones that the endpoint is not told of yet */
};

typedef enum nacre__tcp_state {
    NACRE__TCP_FREE = 0,
    NACRE__TCP_CONNECTING,
    NACRE__TCP_OPEN,
    NACRE__TCP_LINGERING,
    NACRE__TCP_CLOSED,
} nacre__tcp_state;

typedef struct nacre__connection {
    nacre__tcp_state state;
    int fd;
    bool was_open;    /* nothing is written before the connection is open */
    bool is_ours;     /* opened here */
    bool is_verified; /* a message on it has verified */
    bool is_known;    /* the endpoint may have exchanges on it and has not been told that it is lost */
    size_t polled_at; /* its place in the last `fds` of nacre__tcp_prepare; 0: none */
    nacre_address peer;
    nacre_stream stream;
    uint8_t *memory;               /* of the stream: input, then output */
    uint64_t deadline;             /* used in CONNECTING and LINGERING */
    uint64_t begun_at, idle_since; /* ms; the last request or response, not what is partial, nor a Ping */
} nacre__connection;

typedef struct nacre__refusal {
    nacre_address peer;
    uint8_t code, token_len, token[8];
} nacre__refusal;

typedef struct nacre__hold_off {
    nacre_address peer;
    uint64_t until;
} nacre__hold_off;

/* Why a connection ended with an error. */
typedef struct nacre__tcp_end {
    nacre_err err; /* as in NACRE_STREAM_ENDED; NACRE_OK: no connection ended with an error */
    bool by_peer;
    bool was_silent; /* the peer sent no CSM: it may not speak CoAP */
    char text[128];  /* for messages: printable ASCII, other bytes are '?' */
} nacre__tcp_end;

/* What happens to the connections with one peer while a request to it is in flight. */
typedef struct nacre__tcp_watch {
    struct nacre__tcp_watch *next;
    nacre_address peer; /* len 0: none */
    bool lost_open;     /* an open connection was lost: bytes may have reached the peer */
    nacre__tcp_end end;
} nacre__tcp_watch;

struct nacre_tcp {
    nacre_tcp_config config; /* defaults filled in */
    int listener;            /* -1: none */
    uint64_t listener_pause; /* no accept before this time, because descriptors or memory ran out */
    nacre_address local;
    nacre__connection *connections;
    size_t num_entries; /* of connections; at most config.num_connections of them have a socket */
    size_t num_polled;  /* of them: those with a socket, at the last nacre__tcp_prepare */
    int max_fd;         /* descriptors from here on are for others than connections */
    bool shortage_told;
    void (*on_shortage)(void *user, const char *text); /* or NULL */
    void *shortage_user;
    size_t next; /* connection from which messages are taken next */
    nacre__refusal refusals[NACRE__TCP_REFUSALS];
    size_t num_refusals;
    nacre_address unreachable[NACRE__UDP_UNREACHABLE]; /* peers for which no connection could be started */
    size_t num_unreachable;
    nacre__hold_off hold_offs[NACRE__TCP_HOLD_OFFS];
    size_t next_hold_off;
    nacre__tcp_watch *watches; /* of the client's requests */
    uint8_t *scratch;          /* max_message bytes: events, discarded input */
};

/* tcp_connection.c. `fd` must be non-blocking. */
NACRE_MUST_USE bool nacre__connection_begin(nacre__connection *c, const nacre_tcp_config *config, int fd,
                                            const nacre_address *peer, bool is_connected, uint64_t now_ms);
short nacre__connection_events(nacre__connection *c); /* for poll; 0: errors only */
void nacre__connection_ready(nacre__connection *c, short events, nacre_buf scratch, uint64_t now_ms);
void nacre__connection_flush(nacre__connection *c, uint64_t now_ms);
uint64_t nacre__connection_deadline(const nacre__connection *c);
void nacre__connection_expire(nacre__connection *c, uint64_t now_ms);
void nacre__connection_free(nacre__connection *c); /* in any state */
/* Aborts it and closes its socket, without waiting for the peer. */
void nacre__connection_evict(nacre__connection *c, uint64_t now_ms);

/* tcp_pool.c. nacre__tcp_find: the connection with that address that the endpoint knows; NULL: none. nacre__tcp_entry_for: a free
 * entry for an accepted connection, another one evicted for it if need be; NULL: none. nacre__tcp_entry_to_connect: the same for
 * one opened here; NULL: none, and the longest-idle one is released. nacre__tcp_evict_one: closes one that has not shown a
 * verified message, of `host` if given. _is_lost: no more messages in either direction. */
nacre__connection *nacre__tcp_find(const nacre_tcp *tcp, const nacre_address *peer);
nacre__connection *nacre__tcp_entry_for(nacre_tcp *tcp, const nacre_address *peer, uint64_t now_ms);
nacre__connection *nacre__tcp_entry_to_connect(nacre_tcp *tcp, uint64_t now_ms);
NACRE_MUST_USE bool nacre__tcp_evict_one(nacre_tcp *tcp, const nacre_address *host, uint64_t now_ms);
void nacre__tcp_verified(nacre_tcp *tcp, const nacre_address *peer, uint64_t now_ms);
bool nacre__tcp_is_lost(const nacre__connection *c);

/* tcp_listen.c: listens on a duplicate of a listening socket. As nacre_tcp_listen; NACRE_ERR_ADDRESS: it is of another kind. */
NACRE_MUST_USE nacre_err nacre__tcp_adopt_listener(nacre_tcp *tcp, int fd, nacre_detail *why);

/* tcp_listen.c. nacre__tcp_connect: NULL when no connection can be started. nacre__tcp_keep_descriptors: at least `num` of the
 * process's limit, at most half of it, are not for connections. `on_shortage` is called once, when that limit is reached. */
void nacre__tcp_keep_descriptors(nacre_tcp *tcp, size_t num, void (*on_shortage)(void *user, const char *text),
                                 void *user);
void nacre__tcp_accept(nacre_tcp *tcp, uint64_t now_ms);
nacre__connection *nacre__tcp_connect(nacre_tcp *tcp, const nacre_address *peer, uint64_t now_ms);

/* tcp_watch.c, for the client. nacre__tcp_watch_peer begins to watch a peer; nacre__tcp_unwatch ends it and may be called again.
 * _end: why the last connection with the peer ended; NULL: none ended with an error. _was_refused: every lost connection was
 * refused or timed out before it was open, so nothing of a request was written. */
void nacre__tcp_watch_peer(nacre_tcp *tcp, nacre__tcp_watch *watch, const nacre_address *peer);
void nacre__tcp_unwatch(nacre_tcp *tcp, nacre__tcp_watch *watch);
const nacre__tcp_end *nacre__tcp_watched_end(const nacre__tcp_watch *watch);
bool nacre__tcp_was_refused(const nacre__tcp_watch *watch);
void nacre__tcp_note_end(nacre_tcp *tcp, const nacre__connection *of, const nacre_stream_event *event);
void nacre__tcp_note_lost_open(nacre_tcp *tcp, const nacre_address *peer);

/* tcp.c and tcp_messages.c, for the loop. */
size_t nacre__tcp_max_fds(const nacre_tcp *tcp);
size_t nacre__tcp_prepare(nacre_tcp *tcp, struct pollfd *fds, uint64_t now_ms); /* returns the number used */
void nacre__tcp_ready(nacre_tcp *tcp, const struct pollfd *fds, size_t num, uint64_t now_ms);

/* Takes received messages, in datagram form, into the buffers; returns their number. Call _processed afterwards. */
size_t nacre__tcp_take(nacre_tcp *tcp, nacre_datagram *in, const nacre__udp_buffers *buffers, uint64_t now_ms);
void nacre__tcp_processed(nacre_tcp *tcp);

/* nacre__tcp_send queues a message on the peer's connection; a request opens one if needed. flush writes what the socket
 * takes. Requests that cannot be sent get a generated response: 4.13 when the peer accepts no message of that length, 5.03 when
 * the peer does not read or the connection is about to end. */
void nacre__tcp_send(nacre_tcp *tcp, const nacre_outgoing *out, uint64_t now_ms);
void nacre__tcp_flush(nacre_tcp *tcp, uint64_t now_ms);

/* The longest message the peer accepts, in datagram form; the base value of RFC 8323 before its CSM, or without connection. */
size_t nacre__tcp_max_message(const nacre_tcp *tcp, const nacre_address *peer);

bool nacre__tcp_next_unreachable(nacre_tcp *tcp, nacre_address *peer);
uint64_t nacre__tcp_deadline(const nacre_tcp *tcp);
void nacre__tcp_expire(nacre_tcp *tcp, uint64_t now_ms);

#endif
