/* SPDX-License-Identifier: MIT */
/* server: resources served over UDP and TCP. A server owns one loop per thread, crypto instances and context
 * directories. */
#ifndef NACRE_SERVER_H
#define NACRE_SERVER_H

#include <nacre/base.h>
#include <nacre/credentials.h>
#include <nacre/loop.h>
#include <nacre/server_stats.h>
#include <nacre/site.h>
#include <nacre/sqlite.h>
#include <nacre/store.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_server nacre_server;

/* nacre_server_open binds to `bind` ("[::1]:5683", "127.0.0.1:0"; NULL: port 5683 on every address).
 * NACRE_OK: close it with nacre_server_close; NACRE_ERR_ADDRESS (`why` names address and reason; also a udp_socket or
 * tcp_socket of another kind); NACRE_ERR_FILE (out of descriptors); NACRE_ERR_CRYPTO; NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_server_open(nacre_server **server, const char *bind, nacre_detail *why);
/* nacre_server_open_workers: the same with `num_workers` threads (1 to 64), one of them the caller of nacre_server_run. Each
 * thread has a socket, an endpoint and a provider; contexts and resources are shared, so handlers and their data must be
 * thread-safe. Add resources before nacre_server_run. Connections and nacre_server_watch_fd belong to the first
 * thread.
 * Also NACRE_ERR_BAD_ARGUMENT (num_workers out of range); NACRE_ERR_UNSUPPORTED (more than one, on a system that does not
 * spread a port's datagrams over sockets) */
NACRE_MUST_USE nacre_err nacre_server_open_workers(nacre_server **server, const char *bind, unsigned num_workers,
                                                   nacre_detail *why);
/* Limits of a server; the number at the end of a comment is the default. What is per worker is there once for each thread. */
typedef struct nacre_server_config {
    size_t size;                /* set by nacre_server_config_default, see CONVENTIONS.md, "Configurations" */
    unsigned num_workers;       /* 1 to 64, as nacre_server_open_workers; 1 */
    nacre_bodies_config bodies; /* per worker */
    /* per worker: deferred responses and notifications, held or in flight (nacre_endpoint_config); 512. Plain peers have at
     * most half of them together */
    uint16_t num_transmissions;
    uint16_t transmissions_per_peer; /* … of one context or plain address; a sixteenth, at least 4 */
    /* of nacre_server_listen_tcp (nacre_tcp_config); 256 */
    uint16_t num_connections;
    uint16_t connections_per_host; /* … of one IPv4 address or IPv6 /64; a quarter, at least 16 */
    /* per worker: received requests kept for deduplication, with their responses (num_server_exchanges of
     * nacre_endpoint_config), some 1.7 KiB each; 4096: at 1,000 requests a second, four seconds of them */
    uint16_t num_requests;
    uint16_t block_size; /* the largest block sent or accepted (nacre_transfer_config): 16, 32, … 1024; 1024 */
    /* The endpoint's limits and times (nacre/endpoint.h), per worker, with its defaults but for num_observers, 1024, and
     * outer_block.num_messages, 16. num_observers may be 0, num_messages too. reregister, reregister_ms and origin have no
     * effect on a server */
    nacre_observe_config observe;
    nacre_admission_config admission;
    nacre_congestion_config congestion;
    nacre_outer_block_config outer_block;
    nacre_timing timing;
    /* of connections (nacre_tcp_config, nacre_stream_config); 8192, 32768, 120000, 0 */
    size_t tcp_input_bytes, tcp_output_bytes;
    uint32_t tcp_ping_after_ms, tcp_idle_ms; /* 0: never */
    /* Sockets that another program has opened, such as a service manager, instead of ones at `bind`: a bound UDP socket that is not
     * connected, and
     * for nacre_server_listen_tcp a listening TCP socket. They are duplicated and stay the caller's. 0: none */
    int udp_socket, tcp_socket;
    /* of nacre_server_add_database */
    size_t cache_bytes;   /* of loaded contexts; 64 MiB, some 80,000 contexts */
    uint16_t num_lookups; /* per worker: requests that wait for a context (nacre_endpoint_config); 128 */
} nacre_server_config;

/* nacre_server_config_default: those. Numbers and sizes of 0 are refused then, except where 0 is said to mean none or never. */
nacre_server_config nacre_server_config_default(void);
/* nacre_server_open_with: nacre_server_open_workers with these limits; NULL: the defaults.
 * Also NACRE_ERR_BAD_ARGUMENT (a limit of 0; one that no memory could hold). */
NACRE_MUST_USE nacre_err nacre_server_open_with(nacre_server **server, const char *bind,
                                                const nacre_server_config *config, nacre_detail *why);

/* nacre_server_listen_tcp also serves coap+tcp (RFC 8323), at `bind` as above, up to num_connections at a time.
 * NACRE_OK; NACRE_ERR_ADDRESS; NACRE_ERR_BAD_ARGUMENT when it is called again; NACRE_ERR_NO_MEMORY. */
NACRE_MUST_USE nacre_err nacre_server_listen_tcp(nacre_server *server, const char *bind, nacre_detail *why);
/* ---- Contexts ----
 * Any thread may add and remove contexts at any time, also while the server runs and in its handlers. */

/* nacre_server_add_context accepts the peer of a context directory. On failure the server is unchanged; a directory that was
 * added already, by any path, has no effect. Errors as nacre_directory_open, and:
 * NACRE_ERR_UNSUPPORTED        NACRE_MAX_CANDIDATES contexts with the same Recipient ID and ID Context (or none) were added: a
 *                              request could mean any of them, and more are not tried
 * NACRE_ERR_DUPLICATE_CONTEXT  a context of the server (directory, credentials or database) has the same Sender Key or the same
 *                              Recipient Key (RFC 8613 3.3, nacre_context_same_sender_key): `why` names both
 * NACRE_ERR_LOCKED             also while the same directory is being removed: try again */
NACRE_MUST_USE nacre_err nacre_server_add_context(nacre_server *server, const char *context_dir, nacre_detail *why);
/* nacre_server_add_credentials adds each directory of a credentials file, or none. Errors as nacre_credentials_load and
 * nacre_server_add_context. */
NACRE_MUST_USE nacre_err nacre_server_add_credentials(nacre_server *server, const char *credentials_file,
                                                      nacre_detail *why);
/* The same with a map in memory. The map is not needed afterwards, but its contexts made by the program are borrowed until
 * they are removed or the server is closed. They must use the provider of nacre_provider_open (else NACRE_ERR_UNSUPPORTED). With several workers any
 * thread may call their stores, one at a time for each context. */
NACRE_MUST_USE nacre_err nacre_server_use_credentials(nacre_server *server, const nacre_credentials *credentials,
                                                      nacre_detail *why);
/* nacre_server_replace_credentials makes `credentials` those of the server, in place of all that nacre_server_add_credentials,
 * nacre_server_use_credentials and this function have given before. Contexts that stay, by the identity of their directory or
 * object, go on without interruption, perhaps under other names; new ones are added; others are removed, unless
 * nacre_server_add_context added them too. Errors as nacre_server_add_credentials: nothing has changed then. When a directory has
 * new keys, give them a directory of their own: the keys of an open one are not read again. */
NACRE_MUST_USE nacre_err nacre_server_replace_credentials(nacre_server *server, const nacre_credentials *credentials,
                                                          nacre_detail *why);

/* nacre_server_remove_context removes each context with this name (nacre_server_claims), whatever other names it has. From then on no
 * request is accepted in it; its exchanges and observations end, as by nacre_endpoint_remove_context, within a step of each
 * worker; then its state is written, and its directory closed. A call from a handler, or any other callback of the server, does not
 * wait for that; others do.
 * NACRE_OK              removed
 * NACRE_ERR_NO_CONTEXT  none has this name
 * NACRE_ERR_NO_MEMORY   nothing has changed
 * errors of nacre_directory_close: removed, but its state was not written; it is safe, as there */
NACRE_MUST_USE nacre_err nacre_server_remove_context(nacre_server *server, const char *name, nacre_detail *why);

/* nacre_server_on_removed: `on_removed` is called once for each context that was removed, when no thread refers to it any more:
 * a context of the program may be wiped and freed now, and `ctx` of a directory is gone. `err` and `text`: of
 * nacre_directory_close. Any thread may call it; it holds no lock, and may call the server. Set it before
 * nacre_server_run; NULL removes it. */
void nacre_server_on_removed(nacre_server *server,
                             void (*on_removed)(void *user, nacre_context *ctx, nacre_err err, const char *text),
                             void *user);

/* nacre_server_claims returns the names of a request's peer: those under which request->context was added, NULL-terminated.
 * From credentials: the entry's name (":client1"); from nacre_server_add_context: the path as given; of a database: its name there. There may be several.
 * NULL when the request was not protected. Valid until the handler returns, or, outside of handlers, until contexts are removed or
 * credentials replaced. */
const char *const *nacre_server_claims(const nacre_server *server, const nacre_context *context);
/* nacre_server_add_database opens a database (nacre/sqlite.h), which the server closes when it is closed itself. Its active contexts
 * are accepted; a thread of the server loads each when the first request needs it, and unloads those that were not used for the
 * longest when all take more than cache_bytes: with their state, so that they come back without an Echo challenge. Contexts with
 * observations, requests or writes under way stay. `config` may be NULL.
 * A context that is damaged, or has a key of another context of the server (RFC 8613 3.3), is not served: nacre_server_on_warning
 * names it. Kids without a context are remembered, at most for a minute. While a database cannot be read, requests of unknown kids
 * get 5.03. Errors as nacre_sqlite_open; NACRE_ERR_BAD_ARGUMENT also for read_only. */
NACRE_MUST_USE nacre_err nacre_server_add_database(nacre_server *server, const char *path,
                                                   const nacre_sqlite_config *config, nacre_detail *why);
/* nacre_server_set_role: directories added from now on are opened in this role (nacre_directory_open_as); by default
 * without one. */
void nacre_server_set_role(nacre_server *server, nacre_role role);
/* nacre_server_add_resource copies `resource`; its path and user pointer are borrowed. NACRE_OK, NACRE_ERR_NO_MEMORY,
 * NACRE_ERR_BAD_ARGUMENT (a path without a leading '/', or added already). */
NACRE_MUST_USE nacre_err nacre_server_add_resource(nacre_server *server, const nacre_resource *resource);
/* nacre_server_on_access: as nacre_site_on_access, for all threads, each of which calls it. Call it before nacre_server_run; what
 * it decides by may change later (nacre_site_changed then asks again for each observer of a path). */
void nacre_server_on_access(nacre_server *server, nacre_on_access on_access, void *user);
/* nacre_server_changed notifies the observers of `path` (NACRE_RESOURCE_OBSERVABLE): nacre_site_changed. There are as many
 * observers as nacre_server_config says. Call it from a handler or from nacre_server_watch_fd's callback; with several workers,
 * from any thread. */
void nacre_server_changed(nacre_server *server, const char *path);
/* nacre_server_watch_fd: nacre_server_run calls `on_readable` when `fd` is readable. One per server; -1: none. */
void nacre_server_watch_fd(nacre_server *server, int fd, void (*on_readable)(void *user), void *user);
nacre_address nacre_server_local(const nacre_server *server);
nacre_address nacre_server_local_tcp(const nacre_server *server); /* length 0: not listening */
/* nacre_server_has_lanes: whether datagrams of the peers that verified most recently, up to 1024, are received before all
 * others while messages that do not verify take more than an eighth of a core. That needs Linux, a second UDP socket for each
 * worker, and a classic BPF program. False: the system does not support it, and all datagrams share one queue per worker. */
bool nacre_server_has_lanes(const nacre_server *server);
/* nacre_server_tap: as nacre_loop_tap; with several workers it is called by each of their threads. */
void nacre_server_tap(nacre_server *server, nacre_on_datagram on_datagram, void *user);

/* nacre_server_on_store: as nacre_loop_on_store, for all threads; call it before nacre_server_run.
 * nacre_server_store_health may be called by any thread, at any time. */
void nacre_server_on_store(nacre_server *server, nacre_on_store on_store, void *user);
nacre_store_health nacre_server_store_health(const nacre_server *server);
/* nacre_server_get_stats sets the first `size` bytes of `stats` (sizeof *stats; what this version does not know is zero). Any thread
 * may call it while the server is open, at any time: it takes no lock and delays no worker. Each counter is read whole, but not all of
 * them at one instant. */
void nacre_server_get_stats(const nacre_server *server, nacre_server_stats *stats, size_t size);
/* nacre_server_store_failed: as nacre_loop_store_failed, for each thread that waits for the store. */
void nacre_server_store_failed(nacre_server *server, nacre_context *ctx, nacre_err err, const char *text);

/* nacre_server_on_warning: `on_warning` gets one line when the server comes to a limit of the system, once for each, such as the
 * last file descriptors: these are kept for files and stores, and connections give way; and for each context of a database that is
 * not served. NULL removes it. Call it before
 * nacre_server_listen_tcp and nacre_server_add_database; any thread of the server may call it, and it must not call anything of the
 * server. */
void nacre_server_on_warning(nacre_server *server, void (*on_warning)(void *user, const char *text), void *user);

/* nacre_server_run serves until nacre_server_stop, which a signal handler may call; a stop before the run counts. It may be
 * called again.
 * NACRE_OK: stopped; NACRE_ERR_ADDRESS (the socket failed permanently); NACRE_ERR_NO_MEMORY (no threads);
 * NACRE_ERR_BUSY (called from a handler) */
NACRE_MUST_USE nacre_err nacre_server_run(nacre_server *server, nacre_detail *why);
void nacre_server_stop(nacre_server *server);

/* A server of one thread in the program's loop, instead of nacre_server_run: as nacre_loop_fds, nacre_loop_deadline and
 * nacre_loop_step (nacre/loop.h). After nacre_server_stop one step returns NACRE_ERR_STALE. With several workers there are no
 * descriptors, and nacre_server_step returns NACRE_ERR_UNSUPPORTED.
 * NACRE_OK; NACRE_ERR_STALE (stopped); NACRE_ERR_ADDRESS (the socket failed permanently); NACRE_ERR_BUSY (called from a
 * handler) */
NACRE_MUST_USE nacre_err nacre_server_step(nacre_server *server, uint32_t max_wait_ms, nacre_detail *why);
size_t nacre_server_fds(nacre_server *server, nacre_fd *fds, size_t num);
uint64_t nacre_server_deadline(const nacre_server *server);

/* nacre_server_close writes the contexts' state, as nacre_client_close. Not during nacre_server_run. NULL is allowed. */
nacre_err nacre_server_close(nacre_server *server, nacre_detail *why);

#ifdef __cplusplus
}
#endif

#endif
