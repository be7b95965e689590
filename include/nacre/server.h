/* SPDX-License-Identifier: MIT */
/* server: resources served over UDP and TCP, in ten lines. It owns a loop for each of its threads, crypto instances and context
 * directories. */
#ifndef NACRE_SERVER_H
#define NACRE_SERVER_H

#include <nacre/base.h>
#include <nacre/credentials.h>
#include <nacre/loop.h>
#include <nacre/site.h>
#include <nacre/store.h>

#ifdef __cplusplus
extern "C" {
#endif

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
 * NACRE_ERR_UNSUPPORTED for a context when NACRE_MAX_CANDIDATES are in that have the same Recipient ID and the same ID Context or
 * none: a request could mean each of them, and no more are tried; and
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
/* nacre_server_tap: as nacre_loop_tap; with several workers it is called by each of their threads. */
void nacre_server_tap(nacre_server *server, nacre_on_datagram on_datagram, void *user);

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

/* A server of one thread inside of another loop, in place of nacre_server_run: as nacre_loop_fds, nacre_loop_deadline and
 * nacre_loop_step (nacre/loop.h). nacre_server_stop makes a step return NACRE_ERR_STALE, once. With several workers there are no
 * descriptors, and nacre_server_step is NACRE_ERR_UNSUPPORTED.
 * NACRE_OK; NACRE_ERR_STALE (stopped); NACRE_ERR_ADDRESS (the socket failed for good) */
NACRE_MUST_USE nacre_err nacre_server_step(nacre_server *server, uint32_t max_wait_ms, nacre_detail *why);
size_t nacre_server_fds(nacre_server *server, nacre_fd *fds, size_t num);
uint64_t nacre_server_deadline(const nacre_server *server);

/* nacre_server_close writes the contexts' state back, as nacre_client_close. Not while it runs. NULL is allowed. */
nacre_err nacre_server_close(nacre_server *server, nacre_detail *why);

#ifdef __cplusplus
}
#endif

#endif
