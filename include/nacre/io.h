/* SPDX-License-Identifier: MIT */
/* io: the only sockets, clock and entropy (POSIX), and a client and a server on top for programs that want ten lines.
 *
 * nacre_udp moves bursts of datagrams; nacre_loop drives one endpoint over one UDP socket; nacre_client and nacre_server
 * own such a loop, a crypto instance and context directories. Each belongs to one thread. */
#ifndef NACRE_IO_H
#define NACRE_IO_H

#include <nacre/base.h>
#include <nacre/coap.h>
#include <nacre/endpoint.h>
#include <nacre/credentials.h>
#include <nacre/site.h>
#include <nacre/pack.h>
#include <nacre/store.h>
#include <nacre/stream.h>
#include <nacre/transfer.h>

#ifdef __cplusplus
extern "C" {
#endif

const char *nacre_version(void); /* "0.1.0" */

uint64_t nacre_clock_ms(void);    /* monotonic */
nacre_random nacre_entropy(void); /* the system's; ends the process when the system has none */

/* ---- UDP over IPv4 and IPv6 ----------------------------------------------------------------------------------------- */

/* nacre_address_resolve turns "::1", "127.0.0.1", "[::1]:5683", "host:port" or "host" into an address (the first that the
 * system's resolver gives). NACRE_OK, NACRE_ERR_ADDRESS with `why`. */
NACRE_MUST_USE nacre_err nacre_address_resolve(nacre_address *address, const char *host_and_port, uint16_t default_port,
                                               nacre_detail *why);
/* nacre_address_text writes "[::1]:5683" or "127.0.0.1:5683". */
void nacre_address_text(const nacre_address *address, char text[72]);

typedef struct nacre_udp nacre_udp;
/* nacre_udp_open binds to `local` (length 0 or NULL: any port, dual stack; "[::]" is dual stack too). Bound to a wildcard,
 * answers leave from the address that was asked, and what came by multicast is dropped (Linux; elsewhere the system
 * chooses). Sending never fails: what cannot go is lost, or reported to the endpoint as unreachable.
 * NACRE_OK: close it with nacre_udp_close; NACRE_ERR_ADDRESS (`why` names address and reason); NACRE_ERR_NO_MEMORY. */
NACRE_MUST_USE nacre_err nacre_udp_open(nacre_udp **udp, const nacre_address *local, nacre_detail *why);
/* nacre_udp_open_beside opens one more socket at the address of `first`, for another thread: the system spreads peers over
 * all of them, and keeps a peer with one (SO_REUSEPORT). As nacre_udp_open; NACRE_ERR_UNSUPPORTED where the system does not
 * do that. */
NACRE_MUST_USE nacre_err nacre_udp_open_beside(nacre_udp **udp, const nacre_udp *first, nacre_detail *why);
void nacre_udp_close(nacre_udp *udp); /* NULL is allowed */
/* nacre_udp_use_runs: datagrams of one peer and one length are taken from the system, and given to it, many in one piece
 * where they come so (Linux: UDP_GRO, UDP_SEGMENT). For servers and gateways with much traffic between few addresses;
 * costs up to 2 MiB. False where the system has no such thing, or no memory: all works on, one by one. */
bool nacre_udp_use_runs(nacre_udp *udp);
int nacre_udp_fd(const nacre_udp *udp);              /* for poll */
nacre_address nacre_udp_local(const nacre_udp *udp); /* with the port that the system chose */

/* ---- TCP (RFC 8323) --------------------------------------------------------------------------------------------------- */

typedef struct nacre_tcp_config {
    /* at a time, both ways together; 0 means 64. When all are in use, a further one is closed at once, and the one that has
     * been quiet for the longest is asked to go. One host (IPv4 address, IPv6 /64) gets in up to three quarters of them */
    uint16_t num_connections;
    size_t input_bytes; /* kept of what a peer has sent, per connection; 0 means 8192 */
    /* kept for a peer that reads slowly, per connection; 0 means 32768. A peer whose requests cannot be answered for want of
     * it is not served until it reads; one that does not read what comes by itself (notifications, late answers) loses its
     * connection */
    size_t output_bytes;
    uint32_t connect_timeout_ms; /* 0 means 10000 */
    nacre_stream_config stream;  /* its ping_after_ms: 0 means 120000 here, UINT32_MAX never */
} nacre_tcp_config;

/* The connections of one endpoint. A peer's address has the flag NACRE_ADDRESS_RELIABLE. A request to such an address goes
 * over the connection that there is, whoever opened it, and else over a new one; what others ask is answered where it was
 * asked. A peer's Release is followed, its Hold-Off too; an alternative address that it names is not. */
typedef struct nacre_tcp nacre_tcp;
/* NACRE_OK; NACRE_ERR_BAD_ARGUMENT (config->stream, as nacre_stream_init); NACRE_ERR_NO_MEMORY. `config` may be NULL. */
NACRE_MUST_USE nacre_err nacre_tcp_open(nacre_tcp **tcp, const nacre_tcp_config *config, nacre_detail *why);
/* nacre_tcp_listen takes connections at `local` ("[::]" is dual stack). NACRE_OK; NACRE_ERR_ADDRESS names address and reason;
 * NACRE_ERR_BAD_ARGUMENT when it listens already. */
NACRE_MUST_USE nacre_err nacre_tcp_listen(nacre_tcp *tcp, const nacre_address *local, nacre_detail *why);
/* nacre_tcp_close releases and closes all connections, without waiting for anybody. Close the loop first. NULL is allowed. */
void nacre_tcp_close(nacre_tcp *tcp);
nacre_address nacre_tcp_local(const nacre_tcp *tcp); /* length 0 when it does not listen */
size_t nacre_tcp_num_connections(const nacre_tcp *tcp);

/* ---- A loop ---------------------------------------------------------------------------------------------------------- */

/* Called for every event of the endpoint but PERSIST, which the loop serves from the stores added to it. */
typedef void (*nacre_on_event)(void *user, nacre_endpoint *ep, const nacre_event *event);

/* Called with every datagram that crosses the socket, and every message of a connection in its datagram form: for looking
 * on. `bytes` live until it returns. */
typedef void (*nacre_on_datagram)(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes);

typedef struct nacre_loop nacre_loop;
/* nacre_loop_open makes an endpoint, and drives it. It takes over neither `udp` nor what `config` borrows: close the loop
 * before them. config->random may be empty: the system's.
 * NACRE_OK; NACRE_ERR_BAD_ARGUMENT (`config`, as nacre_endpoint_init); NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_loop_open(nacre_loop **loop, nacre_udp *udp, const nacre_endpoint_config *config,
                                         nacre_on_event on_event, void *user, nacre_detail *why);
/* nacre_loop_open_transfer: the same with a transfer on top of the endpoint; events come from the transfer. `transfer`'s
 * endpoint is set by the loop. NACRE_ERR_BAD_ARGUMENT also as nacre_transfer_init. */
typedef void (*nacre_on_transfer_event)(void *user, nacre_transfer *transfer, const nacre_event *event);
NACRE_MUST_USE nacre_err nacre_loop_open_transfer(nacre_loop **loop, nacre_udp *udp,
                                                  const nacre_endpoint_config *config,
                                                  const nacre_transfer_config *transfer,
                                                  nacre_on_transfer_event on_event, void *user, nacre_detail *why);
nacre_transfer *nacre_loop_transfer(nacre_loop *loop); /* NULL without one */
void nacre_loop_close(nacre_loop *loop);               /* NULL is allowed */
nacre_endpoint *nacre_loop_endpoint(nacre_loop *loop);

/* nacre_loop_add_tcp: the endpoint speaks to reliable addresses over these connections, beside the socket. `tcp` is borrowed
 * until the loop is closed. Without it, nobody with such an address can be reached.
 * NACRE_OK; NACRE_ERR_NO_MEMORY; NACRE_ERR_BAD_ARGUMENT (the loop has one; or its max_message is below the connections') */
NACRE_MUST_USE nacre_err nacre_loop_add_tcp(nacre_loop *loop, nacre_tcp *tcp);

/* nacre_loop_watch: sets the packet tap; NULL removes it. */
void nacre_loop_watch(nacre_loop *loop, nacre_on_datagram on_datagram, void *user);

/* nacre_loop_add_store: this store serves that context. NACRE_OK, NACRE_ERR_NO_MEMORY. */
NACRE_MUST_USE nacre_err nacre_loop_add_store(nacre_loop *loop, nacre_context *ctx, nacre_store store);
void nacre_loop_remove_store(nacre_loop *loop, nacre_context *ctx);

/* nacre_loop_add_pack: the contexts of this pack are served by it, with one sync for all that ask at once. The loop borrows
 * it; one that it has already changes nothing. NACRE_OK, NACRE_ERR_NO_MEMORY. */
NACRE_MUST_USE nacre_err nacre_loop_add_pack(nacre_loop *loop, nacre_pack *pack);

/* ---- Stores that fail ----
 * A store that fails (a full disk, a directory that is not ours any more) stops what needs it and nothing else: accepted
 * requests are answered with their own nonces, and numbers in hand are used (nacre_endpoint_confirmed has the table). The loop
 * tries stores that fail again every five seconds, so that it ends by itself, without a restart and without a request. */
typedef enum nacre_store_state {
    NACRE_STORE_FAILS = 1,   /* the store of `context` fails, and did not before */
    NACRE_STORE_STILL_FAILS, /* it was tried again in vain: one such report in five seconds, over all contexts */
    NACRE_STORE_WORKS,       /* the store of `context` works again */
} nacre_store_state;
typedef struct nacre_store_report {
    nacre_store_state state;
    const nacre_context *context;
    const char *const
        *claims;        /* its names (nacre_server_claims); NULL: none, as for contexts of packs and of a bare loop */
    nacre_err err;      /* the store's; NACRE_OK when it works */
    const char *text;   /* one line, as nacre_detail: what, where, what to do; "" when it works */
    size_t num_failing; /* contexts whose store fails now */
    uint64_t num_failures; /* calls of stores that failed, since the start */
} nacre_store_report;
/* Called by the thread whose loop asked the store; with several workers by any of them, one at a time. `report` and what it
 * points to live until it returns. A store that flaps is reported each time: a program that logs must limit its lines
 * (num_failing says how many contexts a line stands for). The callback may ask for claims and for the health, and calls nothing
 * else of the loop, the client or the server that reports. */
typedef void (*nacre_on_store)(void *user, const nacre_store_report *report);
typedef struct nacre_store_health {
    uint64_t num_failures; /* as in the report; a context that goes is not failing any more */
    size_t num_failing;
} nacre_store_health;

/* nacre_loop_on_store sets the callback for these reports; NULL removes it. nacre_loop_store_health may be called by any thread. */
void nacre_loop_on_store(nacre_loop *loop, nacre_on_store on_store, void *user);
nacre_store_health nacre_loop_store_health(const nacre_loop *loop);

/* nacre_loop_store_failed is for stores that take their time: one that said NACRE_ERR_NOT_YET could not do it after
 * all. `err` is neither NACRE_OK nor NACRE_ERR_NOT_YET; `text`, one line, is copied (NULL: the error's). What waits for
 * the store ends within some 20 ms. Any thread may call it, with no lock of the context held, while the loop is open.
 * nacre_endpoint_confirmed, from the loop's thread, does so at once and is reported as well, without a text. */
void nacre_loop_store_failed(nacre_loop *loop, nacre_context *ctx, nacre_err err, const char *text);

/* nacre_loop_step waits until something is to be done, at most `max_wait_ms`, and does it. NACRE_OK; NACRE_ERR_ADDRESS when
 * the socket failed for good. A store's failure goes to the exchanges that waited, its text to nacre_loop_store_failure. */
NACRE_MUST_USE nacre_err nacre_loop_step(nacre_loop *loop, uint32_t max_wait_ms, nacre_detail *why);
const char *nacre_loop_store_failure(const nacre_loop *loop); /* the last one's text; "" for none */

/* ---- A client in ten lines ------------------------------------------------------------------------------------------- */
typedef struct nacre_client nacre_client;

typedef struct nacre_client_options {
    const char *context_dir;      /* protect every request with this directory's context, … */
    const char *credentials_file; /* … or with the one that this file names for the URI, … */
    const nacre_credentials
        *credentials; /* … or this map, borrowed (see below). Without any of the three: plain requests */
    nacre_role role;  /* for directories of the older layout; see nacre_directory_open_as */
    /* Send everything to this forward proxy, "coap://HOST[:PORT]", "coap+tcp://…" or "HOST[:PORT]"; NULL: to the URI's own
     * host. URIs may then have any scheme that the proxy speaks. With a context the proxy sees where a request goes, and no
     * more. */
    const char *proxy;
    bool proxy_uri;      /* tell it by one Proxy-Uri option; otherwise by Proxy-Scheme, Uri-Host and Uri-Port */
    bool non;            /* send NON instead of CON; over connections there is no difference */
    uint32_t timeout_ms; /* for the whole exchange; 0: what CoAP's timers give */
    uint16_t block_size; /* the largest block, both ways, 16 to 1024; 0: 1024, and smaller ones not asked for */
    size_t max_body;     /* the longest answer that is held whole, in bytes; 0: 16 MiB */
    nacre_timing timing;
    nacre_on_datagram on_datagram;                                                                /* may be NULL */
    void (*on_message)(void *user, bool outgoing, bool is_protected, const nacre_message *plain); /* may be NULL */
    /* How far a body is that takes several blocks: bytes done, and in all (0: not known). May be NULL */
    void (*on_progress)(void *user, bool outgoing, uint64_t done, uint64_t total);
    nacre_on_store on_store; /* may be NULL; called while a request or an observation goes on */
    void *user;
} nacre_client_options;

typedef struct nacre_reply {
    uint8_t code;
    bool is_protected;
    nacre_bytes options, payload; /* live until the next request on this client, or its close */
} nacre_reply;

/* nacre_client_open copies the options (NULL: plain requests, and the defaults) and the strings in them; a map of credentials
 * stays borrowed until the client is closed. Its own contexts are made with one provider: that of nacre_provider_open, or that
 * of nacre_openssl_open, if one of them is in the map already. A context directory is not looked at before a request needs it.
 * NACRE_OK                   close it with nacre_client_close
 * NACRE_ERR_BAD_ARGUMENT     more than one of context_dir, credentials_file and credentials; a block_size that is none
 * NACRE_ERR_FILE, NACRE_ERR_BAD_CREDENTIALS  the credentials file, as nacre_credentials_load
 * NACRE_ERR_ADDRESS          the system gives no UDP socket
 * NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_client_open(nacre_client **client, const nacre_client_options *options,
                                           nacre_detail *why);

/* nacre_client_request sends one request to a coap or coap+tcp URI and waits for its answer. A connection stays open for the
 * next request. `options` (may be NULL) are added to those that the URI gives; `payload` may be absent. Bodies have any size
 * (nacre/transfer.h), the answer's up to max_body. Context directories are opened, and locked, when a request first needs
 * them. Looking up a name is the system's business, and its time is not part of timeout_ms. Where it has several addresses,
 * and one cannot be reached, the next one is asked; but by POST and PATCH only the first, and one that is silent is waited for.
 * NACRE_OK                     `reply` is the peer's answer, whatever its code
 * NACRE_ERR_NO_CREDENTIALS     nothing was sent: the credentials have no entry for this URI
 * NACRE_ERR_UNSUPPORTED, NACRE_ERR_BAD_CREDENTIALS  nothing was sent: the entry cannot be used (nacre_credentials_find)
 * NACRE_ERR_DUPLICATE_CONTEXT  nothing was sent: two entries of the credentials, for this URI or not, have one Sender Key or
 *                              one Recipient Key (nacre_context_same_sender_key); `why` names both
 * NACRE_ERR_UNAUTHENTICATED    `reply` is what came without protection, and cannot be verified
 * NACRE_ERR_NOT_PROTECTED      what came without protection cannot even be an error
 * NACRE_ERR_PROTECTION_INVALID no answer that verifies
 * NACRE_ERR_MALFORMED          over TCP: what the peer sends breaks RFC 8323
 * NACRE_ERR_OVERSIZED          the answer is longer than this endpoint takes: ask in blocks
 * NACRE_ERR_TOO_LONG           the options, or an answer above max_body
 * NACRE_ERR_TIMEOUT, _UNREACHABLE, _RESET, _BODY_CHANGED, _BLOCKS, _BAD_URI, _ADDRESS, _CONTEXT_UNAVAILABLE, _FILE, …
 * All errors come with `why`; `reply` is untouched but where this says otherwise. */
NACRE_MUST_USE nacre_err nacre_client_request(nacre_client *client, nacre_reply *reply, uint8_t method, const char *uri,
                                              const nacre_options *options, nacre_bytes payload, nacre_detail *why);

/* nacre_client_request_pieces is the same for bodies that are read and written piece by piece. `source` may be NULL for no
 * payload; `sink` may be NULL for an answer that is held whole. A sink gets the bodies of answers 2.xx; what a source or a
 * sink returns ends the request with that error. */
NACRE_MUST_USE nacre_err nacre_client_request_pieces(nacre_client *client, nacre_reply *reply, uint8_t method,
                                                     const char *uri, const nacre_options *options,
                                                     const nacre_source *source, const nacre_sink *sink,
                                                     nacre_detail *why);

/* What to do with notifications. */
typedef struct nacre_observing {
    bool (*on_notification)(void *user, const nacre_reply *reply); /* `reply` lives until it returns; false: enough */
    void *user;
    uint32_t duration_ms; /* from the first notification on; 0: as long as it lasts */
    /* the server is away: a registration is tried again until it is back; and once more when it is. May be NULL */
    void (*on_away)(void *user, bool is_away);
} nacre_observing;

/* nacre_client_observe asks for a resource's state, by GET or FETCH, and for each change of it (RFC 7641): the present state is
 * the first notification. The client registers again by itself when nothing was heard for too long. A server that is away then
 * (it cannot be reached, a connection is refused or lost, nothing answers) is waited for: the client registers anew after 0.5
 * to 1 second, and after each failure twice as long, up to 60; at the address that it had, the name is not looked up again. A
 * first registration that cannot be delivered fails at once. It returns when the
 * observation has ended: because on_notification said so, after duration_ms, by nacre_client_stop, or because the other side
 * ended it or does not let itself be observed.
 * NACRE_OK: `reply` is the answer that ended it, whatever its code; when we ended it, in order or without an answer to that,
 * its code is 0. Otherwise as nacre_client_request, whose timeout_ms counts until the first notification. */
NACRE_MUST_USE nacre_err nacre_client_observe(nacre_client *client, nacre_reply *reply, uint8_t method, const char *uri,
                                              const nacre_options *options, nacre_bytes payload,
                                              const nacre_observing *observing, nacre_detail *why);

/* nacre_client_stop ends what goes on, soon, or else the next request before it is sent: an observation in order, a request
 * with NACRE_ERR_TIMEOUT. A signal handler, or on_notification, may call it. The lookup of a name is not cut short. */
void nacre_client_stop(nacre_client *client);

nacre_store_health nacre_client_store_health(const nacre_client *client);

/* nacre_client_close writes the contexts' state back; NACRE_ERR_FILE when that failed (everything is freed all the same).
 * NULL is allowed. */
nacre_err nacre_client_close(nacre_client *client, nacre_detail *why);

/* ---- A server in ten lines ------------------------------------------------------------------------------------------- */
typedef struct nacre_server nacre_server;

/* nacre_server_open binds to `bind` ("[::1]:5683", "127.0.0.1:0"; NULL: port 5683 on every address).
 * NACRE_OK: close it with nacre_server_close; NACRE_ERR_ADDRESS (`why` names address and reason); NACRE_ERR_FILE (the system
 * gives no more descriptors); NACRE_ERR_CRYPTO; NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_server_open(nacre_server **server, const char *bind, nacre_detail *why);
/* nacre_server_open_workers: the same, served by that many threads (1 to 64), one of them the caller of nacre_server_run. Each
 * has its socket, its endpoint and a provider of its own; they share contexts and resources, so that handlers and what they
 * point to must bear being called by several threads at once. Contexts and resources are added before nacre_server_run.
 * Connections, and nacre_server_watch_fd, are the first thread's. Observers: up to 1024 for each thread.
 * Also NACRE_ERR_BAD_ARGUMENT (a number of threads that is not allowed); NACRE_ERR_UNSUPPORTED (more than one, and a system
 * that does not spread a port's datagrams over sockets) */
NACRE_MUST_USE nacre_err nacre_server_open_workers(nacre_server **server, const char *bind, unsigned num_workers,
                                                   nacre_detail *why);
/* nacre_server_listen_tcp serves over connections too (coap+tcp, RFC 8323), at `bind` as above, up to 64 at a time.
 * NACRE_OK; NACRE_ERR_ADDRESS; NACRE_ERR_BAD_ARGUMENT when it does so already; NACRE_ERR_NO_MEMORY. */
NACRE_MUST_USE nacre_err nacre_server_listen_tcp(nacre_server *server, const char *bind, nacre_detail *why);
/* Clients are who holds the other side of a context directory that was added. Errors as nacre_directory_open; also
 * NACRE_ERR_UNSUPPORTED for the ninth context that has the same Recipient ID and the same ID Context or none: a request
 * could mean each of them, and only eight are tried; and
 * NACRE_ERR_DUPLICATE_CONTEXT when one that the server has, from wherever (directory, credentials, pack), has the same Sender
 * Key or the same Recipient Key (RFC 8613 3.3, nacre_context_same_sender_key): `why` names both. On failure the server is as it
 * was. A directory that is in already, by whatever path, changes nothing. */
NACRE_MUST_USE nacre_err nacre_server_add_context(nacre_server *server, const char *context_dir, nacre_detail *why);
/* nacre_server_add_credentials does so with each directory of a credentials file. Errors as nacre_credentials_load and
 * nacre_server_add_context: then none of them is in, and no name of theirs. */
NACRE_MUST_USE nacre_err nacre_server_add_credentials(nacre_server *server, const char *credentials_file,
                                                      nacre_detail *why);
/* The same with a map that the program has; it is not needed afterwards, but the contexts that it made and put in are: as
 * long as the server is open. They must be made with the provider of nacre_provider_open (else NACRE_ERR_UNSUPPORTED). With
 * several workers each thread may call their stores, for one context one at a time. */
NACRE_MUST_USE nacre_err nacre_server_use_credentials(nacre_server *server, const nacre_credentials *credentials,
                                                      nacre_detail *why);
/* nacre_server_claims tells a handler who asked: the names under which request->context was added, the last of them followed
 * by NULL. From credentials it is the entry's name (":client1"); from nacre_server_add_context the path, as it was given.
 * A context may have several. NULL when the request was not protected. They live as long as the server. */
const char *const *nacre_server_claims(const nacre_server *server, const nacre_context *context);
/* nacre_server_add_pack takes all contexts of a pack, or none. Errors as nacre_pack_open, nacre_pack_table and
 * nacre_server_add_context. */
NACRE_MUST_USE nacre_err nacre_server_add_pack(nacre_server *server, const char *pack, nacre_detail *why);
/* nacre_server_set_role: directories that are added from now on are opened in this role (nacre_directory_open_as); without
 * it, in none. */
void nacre_server_set_role(nacre_server *server, nacre_role role);
/* nacre_server_add_resource copies `resource`; its path and user pointer are borrowed. NACRE_OK, NACRE_ERR_NO_MEMORY,
 * NACRE_ERR_BAD_ARGUMENT (a path without a leading '/', or there already). */
NACRE_MUST_USE nacre_err nacre_server_add_resource(nacre_server *server, const nacre_resource *resource);
/* nacre_server_changed tells the observers of `path` (NACRE_RESOURCE_OBSERVABLE): nacre_site_changed. Up to 1024 observe at
 * a time, 256 of one client. Call it from a handler or from nacre_server_watch_fd's callback; with several workers,
 * from any thread. */
void nacre_server_changed(nacre_server *server, const char *path);
/* nacre_server_watch_fd: nacre_server_run calls `on_readable` whenever `fd`, one for a server, is readable. -1: none. */
void nacre_server_watch_fd(nacre_server *server, int fd, void (*on_readable)(void *user), void *user);
nacre_address nacre_server_local(const nacre_server *server);
nacre_address nacre_server_local_tcp(const nacre_server *server); /* length 0 without */
/* nacre_server_watch: as nacre_loop_watch; with several workers it is called by each of their threads. */
void nacre_server_watch(nacre_server *server, nacre_on_datagram on_datagram, void *user);

/* nacre_server_on_store: as nacre_loop_on_store, for all threads; call it before nacre_server_run.
 * nacre_server_store_health may be called by any thread, at any time. */
void nacre_server_on_store(nacre_server *server, nacre_on_store on_store, void *user);
nacre_store_health nacre_server_store_health(const nacre_server *server);
/* nacre_server_store_failed: as nacre_loop_store_failed, for each thread that waits for this store. */
void nacre_server_store_failed(nacre_server *server, nacre_context *ctx, nacre_err err, const char *text);

/* nacre_server_run serves until nacre_server_stop is called, which a signal handler may do; a stop that comes first is not
 * lost. It may be called again.
 * NACRE_OK: it was stopped; NACRE_ERR_ADDRESS (the socket failed for good); NACRE_ERR_NO_MEMORY (no threads) */
NACRE_MUST_USE nacre_err nacre_server_run(nacre_server *server, nacre_detail *why);
void nacre_server_stop(nacre_server *server);

/* nacre_server_close writes the contexts' state back, as nacre_client_close. Not while it runs. NULL is allowed. */
nacre_err nacre_server_close(nacre_server *server, nacre_detail *why);

#ifdef __cplusplus
}
#endif

#endif
