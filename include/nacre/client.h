/* SPDX-License-Identifier: MIT */
/* client: requests to coap and coap+tcp URIs. A client owns a loop, a crypto instance and context directories, and belongs to
 * one thread. */
#ifndef NACRE_CLIENT_H
#define NACRE_CLIENT_H

#include <nacre/base.h>
#include <nacre/coap.h>
#include <nacre/credentials.h>
#include <nacre/loop.h>
#include <nacre/store.h>
#include <nacre/system.h>
#include <nacre/transfer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_client nacre_client;

/* The number at the end of a comment is the default. */
typedef struct nacre_client_limits {
    uint16_t block_size; /* the largest block, both ways, 16 to 1024; 0: 1024, and smaller ones are not requested; 0 */
    size_t max_body;     /* the longest response body held whole, in bytes; 16 MiB */
    uint16_t max_in_flight; /* concurrent requests, some 3 KiB each; 64 */
    uint16_t nstart;        /* … of which unanswered at one peer; 1 (RFC 7252 4.7) */
} nacre_client_limits;

typedef struct nacre_client_options {
    size_t size;                  /* set by nacre_client_options_default, see CONVENTIONS.md, "Configurations" */
    const char *context_dir;      /* protect every request with this directory's context … */
    const char *credentials_file; /* … or with the context that this file names for the URI … */
    const nacre_credentials
        *credentials; /* … or with this map, borrowed (see below). None of the three: plain requests */
    nacre_role role;  /* for directories of the legacy layout; see nacre_directory_open_as */
    /* Send every request to this forward proxy, "coap://HOST[:PORT]", "coap+tcp://…" or "HOST[:PORT]"; NULL: to the URI's own
     * host. URIs may then have any scheme that the proxy supports. With a context the proxy sees only where a request is
     * sent. */
    const char *proxy;
    bool proxy_uri;   /* send one Proxy-Uri option; otherwise Proxy-Scheme, Uri-Host and Uri-Port */
    bool confirmable; /* send CON, which is retransmitted, and not NON; no effect over TCP; true */
    /* for the whole exchange, waits for a store included. 0: CoAP's timers, which start when a message is sent: a
     * request whose store never confirms has none, and waits until it is cancelled (nacre_client_cancel, or
     * nacre_client_stop for a call that waits) */
    uint32_t timeout_ms;
    nacre_client_limits limits;
    nacre_timing timing;
    nacre_on_datagram on_datagram;                                                                /* may be NULL */
    void (*on_message)(void *user, bool outgoing, bool is_protected, const nacre_message *plain); /* may be NULL */
    /* Progress of a body that takes several blocks: bytes done, and total (0: unknown). May be NULL */
    void (*on_progress)(void *user, bool outgoing, uint64_t done, uint64_t total);
    nacre_on_store on_store; /* may be NULL; called during requests and observations */
    void *user;
} nacre_client_options;

typedef struct nacre_reply {
    uint8_t code;
    bool is_protected;
    nacre_bytes options, payload; /* valid until the next request on this client, or its close */
} nacre_reply;

/* nacre_client_options_default: plain requests and the defaults above. max_body, max_in_flight and nstart of 0 are rejected in
 * options that begin with it. */
nacre_client_options nacre_client_options_default(void);

/* nacre_client_open copies the options (NULL: plain requests and the defaults) and the strings in them; a map of credentials
 * stays borrowed until the client is closed. The client's contexts use the provider of nacre_provider_open, or that of
 * nacre_openssl_open if the map has contexts made with another one. A context directory is opened when a request needs it.
 * NACRE_OK                   close it with nacre_client_close
 * NACRE_ERR_BAD_ARGUMENT     more than one of context_dir, credentials_file and credentials; an invalid block_size; a number
 *                            that may not be 0
 * NACRE_ERR_FILE, NACRE_ERR_BAD_CREDENTIALS  the credentials file, as nacre_credentials_load
 * NACRE_ERR_ADDRESS          no UDP socket available
 * NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_client_open(nacre_client **client, const nacre_client_options *options,
                                           nacre_detail *why);

/* nacre_client_request sends one request to a coap or coap+tcp URI and waits for its response.
 *
 *     connections     stay open for the next request
 *     `options`       added to those of the URI; may be NULL
 *     bodies          of any size (nacre/transfer.h); `payload` may be absent; a response body is limited to max_body
 *     directories     opened, and locked, when a request first needs them
 *     names           resolved by the system; that time is not part of timeout_ms
 *     next address    tried when one is unreachable; for POST and PATCH only over TCP, after a refused connection, so that
 *                     nothing was sent. A silent address is waited for
 *
 * NACRE_OK                     `reply` is the peer's response, whatever its code
 * NACRE_ERR_NO_CREDENTIALS     nothing was sent: the credentials have no entry for this URI
 * NACRE_ERR_UNSUPPORTED, NACRE_ERR_BAD_CREDENTIALS  nothing was sent: the entry cannot be used (nacre_credentials_find)
 * NACRE_ERR_DUPLICATE_CONTEXT  nothing was sent: two entries of the credentials, for this URI or not, have the same Sender Key
 *                              or the same Recipient Key (nacre_context_same_sender_key); `why` names both
 * NACRE_ERR_UNAUTHENTICATED    `reply` is an unprotected response, which cannot be verified
 * NACRE_ERR_NOT_PROTECTED      an unprotected response that is not an error either
 * NACRE_ERR_PROTECTION_INVALID no response that verifies
 * NACRE_ERR_MALFORMED          over TCP: the peer breaks RFC 8323
 * NACRE_ERR_OVERSIZED          the response is longer than this endpoint accepts (ask for blocks), or its body exceeds max_body
 * NACRE_ERR_TOO_LONG           the options do not fit in a message
 * NACRE_ERR_TIMEOUT, _UNREACHABLE, _RESET, _BODY_CHANGED, _BLOCKS, _BAD_URI, _ADDRESS, _CONTEXT_UNAVAILABLE, _FILE, …
 * All errors set `why`; `reply` is unchanged unless stated above. */
NACRE_MUST_USE nacre_err nacre_client_request(nacre_client *client, nacre_reply *reply, uint8_t method, const char *uri,
                                              const nacre_options *options, nacre_bytes payload, nacre_detail *why);

/* ---- Requests with more to say ---- */

typedef struct nacre_client_call {
    uint32_t number; /* 0: none */
} nacre_client_call;

typedef struct nacre_client_result {
    nacre_client_call call;
    nacre_err err; /* as nacre_client_request returns it */
    const nacre_reply
        *reply;      /* valid until on_done returns; NULL: none (err is neither NACRE_OK nor _UNAUTHENTICATED) */
    const char *why; /* one line, as nacre_detail, valid until on_done returns; "" with NACRE_OK */
} nacre_client_result;

typedef struct nacre_client_request_config {
    size_t size; /* set by nacre_client_request_config_default, see CONVENTIONS.md, "Configurations" */
    uint8_t method;
    const char *uri;              /* copied */
    const nacre_options *options; /* added to those of the URI, copied; may be NULL */
    nacre_bytes payload;          /* copied; for long payloads use … */
    const nacre_source *source;   /* … this; may be NULL; what it reads from is borrowed until on_done */
    const nacre_sink *sink;       /* may be NULL; gets the bodies of 2.xx responses */
    const nacre_address *address; /* destination instead of the URI's host; NULL: the host is resolved */
    uint32_t timeout_ms;          /* for the whole exchange; 0: the client's */
    void (*on_done)(void *user, const nacre_client_result *result);
    void *user;
} nacre_client_request_config;

/* nacre_client_request_config_default: a GET; set `uri` and `on_done`. Method 0 is then refused by the peer. */
nacre_client_request_config nacre_client_request_config_default(void);

/* nacre_client_request_with is nacre_client_request with all of nacre_client_request_config, such as bodies read and
 * written in pieces; on_done is not called, and may be NULL. Without a sink the response body is held whole. An error returned by
 * a source or sink ends the request with that error. NACRE_ERR_BAD_ARGUMENT also when `request` has another size, or no uri. */
NACRE_MUST_USE nacre_err nacre_client_request_with(nacre_client *client, nacre_reply *reply,
                                                   const nacre_client_request_config *request, nacre_detail *why);

/* ---- Requests that do not wait ----
 * nacre_client_start sends a request and returns; `on_done` is called once when it has ended, from nacre_client_step or from a
 * call that waits. Up to max_in_flight requests are in flight, to any peers. What the callbacks of a client may do:
 *
 *     cancel and deregister calls    all of them, the call that they belong to included: it ends after the callback
 *     start calls                    all but sources, sinks and on_progress: NACRE_ERR_BUSY there
 *     wait, nacre_client_step        none: NACRE_ERR_BUSY
 *     nacre_client_close             none
 *
 *     while (nacre_client_num_in_flight(client) > 0 && err == NACRE_OK) err = nacre_client_step(client, UINT32_MAX, &why);
 *
 * or from the program's own loop: nacre_client_fds, nacre_client_deadline and nacre_client_step with 0, as
 * nacre_loop_fds, nacre_loop_deadline and nacre_loop_step (nacre/loop.h). After nacre_client_start the deadline is now.
 *
 * nacre_client_start can still block on three things: resolving a name (give `address`, or an address in the URI), opening
 * a context directory for its first request, which waits up to a second for its lock, and the first use of
 * credentials, which compares them with each other. */

/* nacre_client_start: `call` (may be NULL) receives the handle of the request.
 * NACRE_OK                on_done is called later, never before this returns
 * NACRE_ERR_BAD_ARGUMENT  `request` has another size, no uri or no on_done
 * NACRE_ERR_BUSY          max_in_flight is reached, or a source or sink runs: start it when a request has ended, or after that
 * others                  as nacre_client_request; on_done is not called */
NACRE_MUST_USE nacre_err nacre_client_start(nacre_client *client, nacre_client_call *call,
                                            const nacre_client_request_config *request, nacre_detail *why);

/* nacre_client_cancel ends a request without calling on_done; no effect on one that has ended. */
void nacre_client_cancel(nacre_client *client, nacre_client_call call);
size_t nacre_client_num_in_flight(const nacre_client *client);

/* nacre_client_step waits at most `max_wait_ms` for work, and does it.
 * NACRE_OK; NACRE_ERR_BUSY (called from a callback); NACRE_ERR_ADDRESS (the socket failed permanently: close the
 * client) */
NACRE_MUST_USE nacre_err nacre_client_step(nacre_client *client, uint32_t max_wait_ms, nacre_detail *why);
size_t nacre_client_fds(nacre_client *client, nacre_fd *fds, size_t num);
uint64_t nacre_client_deadline(const nacre_client *client);

/* Callbacks and duration of an observation. */
typedef struct nacre_observe_options {
    bool (*on_notification)(void *user, const nacre_reply *reply); /* `reply` is valid until it returns; false: stop */
    void *user;
    uint32_t duration_ms; /* from the first notification; 0: unlimited */
    /* the server is away, and registrations are retried: `why` is the reason, one line, valid until it returns; NULL: it is back.
     * May be NULL */
    void (*on_away)(void *user, const char *why);
    /* a notification of `len` bytes exceeded the `max` accepted and was acknowledged: its state is unknown
     * (unauthenticated in a protected observation), and the observation continues. Ask for smaller blocks. May be NULL */
    void (*on_oversized)(void *user, size_t len, size_t max);
} nacre_observe_options;

/* nacre_client_observe requests a resource's state, by a GET or FETCH as for nacre_client_request_with, and for its
 * changes (RFC 7641); the first notification is the present state. timeout_ms counts until then. The call returns when
 * the observation has ended.
 *
 *     no notification for too long   registers again
 *     server away                    registers again after 0.5 to 1 second, then after twice as long each time, up to 60; at
 *                                    the same address, without resolving the name again
 *     first registration fails       the call fails at once
 *     ends when                      on_notification returns false, duration_ms has passed, nacre_client_stop is called, or the
 *                                    server ends it or does not accept it
 *
 * A server is away when it is unreachable, a connection is refused or lost, or nothing responds; in a protected observation
 * also when no response verifies.
 * NACRE_OK: `reply` is the response that ended the observation, whatever its code; code 0 when this side ended it, with or
 * without a response to that. Otherwise as nacre_client_request. */
NACRE_MUST_USE nacre_err nacre_client_observe(nacre_client *client, nacre_reply *reply,
                                              const nacre_client_request_config *request,
                                              const nacre_observe_options *observing, nacre_detail *why);

/* nacre_client_start_observe is nacre_client_observe that does not wait: `request` is a GET or FETCH, as for nacre_client_start.
 * on_notification and the other callbacks of `observing`, which is copied, are called from nacre_client_step or from a call that
 * waits. on_done is called once, when the observation has ended, with what nacre_client_observe returns. It counts among those
 * in flight. request->timeout_ms is until the first notification. Its callbacks may start and cancel calls, this one included.
 * Results as nacre_client_start; NACRE_ERR_BAD_ARGUMENT also for another method */
NACRE_MUST_USE nacre_err nacre_client_start_observe(nacre_client *client, nacre_client_call *call,
                                                    const nacre_client_request_config *request,
                                                    const nacre_observe_options *observing, nacre_detail *why);

/* nacre_client_unobserve deregisters an observation of nacre_client_start_observe; on_done follows, within five seconds. No
 * effect on others. nacre_client_cancel ends it at once, without on_done; the server learns of it with the next
 * notification. */
void nacre_client_unobserve(nacre_client *client, nacre_client_call call);

/* nacre_client_stop soon ends the current call, or else the next request before it is sent: an observation is deregistered, a
 * request fails with NACRE_ERR_TIMEOUT. A signal handler or on_notification may call it. Name resolution is not interrupted. */
void nacre_client_stop(nacre_client *client);

nacre_store_health nacre_client_store_health(const nacre_client *client);

/* nacre_client_close ends requests in flight, without on_done, and writes the contexts' state. NACRE_ERR_FILE: that failed, but
 * everything is freed. NULL is allowed. */
nacre_err nacre_client_close(nacre_client *client, nacre_detail *why);

#ifdef __cplusplus
}
#endif

#endif
