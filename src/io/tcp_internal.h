/* SPDX-License-Identifier: MIT */
/* tcp_internal: connections, and what the loop asks of them. tcp.c has the table of connections: listening, connecting, who is
 * where. tcp_connection.c has one connection: its socket and its stream.
 *
 *     FREE -> CONNECTING -> OPEN -> LINGERING -> GONE -> FREE
 *                 `-----------`--------------------^
 *
 * A connection is LINGERING when all is written and the peer has not closed its side: closing at once would throw away what
 * it has not read yet. GONE has no socket any more; it is FREE once the endpoint knows. */
#ifndef NACRE_IO_TCP_INTERNAL_H
#define NACRE_IO_TCP_INTERNAL_H

#include "io/udp_internal.h"

#include <nacre/tcp.h>

#include <poll.h>

enum {
    NACRE__TCP_LINGER_MS = 1000,
    NACRE__TCP_REFUSALS =
        64, /* own requests that could not be sent, kept until the endpoint takes the answer to them */
    NACRE__TCP_HOLD_OFFS = 8, /* peers that asked to be left alone for a while */
};

typedef enum nacre__tcp_state {
    NACRE__TCP_FREE = 0,
    NACRE__TCP_CONNECTING,
    NACRE__TCP_OPEN,
    NACRE__TCP_LINGERING,
    NACRE__TCP_GONE,
} nacre__tcp_state;

typedef struct nacre__connection {
    nacre__tcp_state state;
    int fd;
    bool was_open; /* before that nothing is written */
    bool is_known; /* the endpoint may have exchanges with it, and has not been told that it is lost */
    nacre_address peer;
    nacre_stream stream;
    uint8_t *memory;   /* of the stream: input, output */
    uint64_t deadline; /* CONNECTING, LINGERING */
} nacre__connection;

typedef struct nacre__refusal {
    nacre_address peer;
    uint8_t code, token_len, token[8];
} nacre__refusal;

typedef struct nacre__hold_off {
    nacre_address peer;
    uint64_t until;
} nacre__hold_off;

/* Why a connection ended that did not end in good order. */
typedef struct nacre__tcp_end {
    nacre_err err; /* as NACRE_STREAM_ENDED has it; NACRE_OK: none ended so */
    bool by_peer;
    bool was_silent; /* the peer sent no CSM: perhaps it does not speak CoAP */
    char text[128];  /* for people: printable ASCII, other bytes are '?' */
} nacre__tcp_end;

/* What happens to the connections with one peer, one after the other, while a request to it is under way. */
typedef struct nacre__tcp_watch {
    struct nacre__tcp_watch *next;
    nacre_address peer; /* len 0: none */
    bool lost_open;     /* one was lost that had been open: bytes may have reached the peer */
    nacre__tcp_end end;
} nacre__tcp_watch;

struct nacre_tcp {
    nacre_tcp_config config; /* with the defaults filled in */
    int listener;            /* -1: none */
    uint64_t listener_pause; /* no accept before this time: descriptors or memory ran out */
    nacre_address local;
    nacre__connection *connections;
    size_t next; /* to take from */
    nacre__refusal refusals[NACRE__TCP_REFUSALS];
    size_t num_refusals;
    nacre_address unreachable[NACRE__UDP_UNREACHABLE]; /* peers to which no connection was even tried */
    size_t num_unreachable;
    nacre__hold_off hold_offs[NACRE__TCP_HOLD_OFFS];
    size_t next_hold_off;
    nacre__tcp_watch *watches; /* of the client's requests */
    uint8_t *scratch;          /* max_message: events, bytes to throw away */
};

/* tcp_connection.c. A connection begins with a socket that does not block. */
NACRE_MUST_USE bool nacre__connection_begin(nacre__connection *c, const nacre_tcp_config *config, int fd,
                                            const nacre_address *peer, bool is_connected, uint64_t now_ms);
short nacre__connection_events(nacre__connection *c); /* for poll; 0: nothing to wait for but errors */
void nacre__connection_ready(nacre__connection *c, short events, nacre_buf scratch, uint64_t now_ms);
void nacre__connection_flush(nacre__connection *c, uint64_t now_ms);
uint64_t nacre__connection_deadline(const nacre__connection *c);
void nacre__connection_expire(nacre__connection *c, uint64_t now_ms);
void nacre__connection_free(nacre__connection *c); /* whatever its state */

/* tcp.c, for the client. nacre__tcp_watch_peer begins to watch a peer; end it with nacre__tcp_unwatch, as often as you like. In
 * between: _end tells why the last connection with it ended; NULL: none did, or in good order. _was_refused tells that every one
 * that was lost was refused or timed out before it was open, so that nothing of any request was written to it. */
void nacre__tcp_watch_peer(nacre_tcp *tcp, nacre__tcp_watch *watch, const nacre_address *peer);
void nacre__tcp_unwatch(nacre_tcp *tcp, nacre__tcp_watch *watch);
const nacre__tcp_end *nacre__tcp_watched_end(const nacre__tcp_watch *watch);
bool nacre__tcp_was_refused(const nacre__tcp_watch *watch);

/* tcp.c, for the loop. */
size_t nacre__tcp_max_fds(const nacre_tcp *tcp);
size_t nacre__tcp_prepare(nacre_tcp *tcp, struct pollfd *fds, uint64_t now_ms); /* how many */
void nacre__tcp_ready(nacre_tcp *tcp, const struct pollfd *fds, size_t num, uint64_t now_ms);

/* Messages that have come, in datagram form in the rooms; how many. Afterwards, when they have been worked on: _processed. */
size_t nacre__tcp_take(nacre_tcp *tcp, nacre_datagram *in, const nacre__udp_rooms *rooms, uint64_t now_ms);
void nacre__tcp_processed(nacre_tcp *tcp);

/* nacre__tcp_send queues a message on the peer's connection, and connects for a request where there is none; flush writes
 * what the system takes. Requests that cannot be sent are answered in the peer's place: 4.13 when it takes no message so
 * large, 5.03 when it does not read, or when the connection is about to end. */
void nacre__tcp_send(nacre_tcp *tcp, const nacre_outgoing *out, uint64_t now_ms);
void nacre__tcp_flush(nacre_tcp *tcp, uint64_t now_ms);

/* The largest message that the peer takes, in datagram form; before it has said so, or without a connection, the RFC's base. */
size_t nacre__tcp_max_message(const nacre_tcp *tcp, const nacre_address *peer);

bool nacre__tcp_next_unreachable(nacre_tcp *tcp, nacre_address *peer);
uint64_t nacre__tcp_deadline(const nacre_tcp *tcp);
void nacre__tcp_expire(nacre_tcp *tcp, uint64_t now_ms);

#endif
