/* SPDX-License-Identifier: MIT */
/* client: requests to coap and coap+tcp URIs, in ten lines. It owns a loop, a crypto instance and context directories, and
 * belongs to one thread. */
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

typedef struct nacre_client_options {
    size_t size;                  /* set by nacre_client_options_default, see CONVENTIONS.md, "Configurations" */
    const char *context_dir;      /* protect every request with this directory's context, … */
    const char *credentials_file; /* … or with the one that this file names for the URI, … */
    const nacre_credentials
        *credentials; /* … or this map, borrowed (see below). Without any of the three: plain requests */
    nacre_role role;  /* for directories of the older layout; see nacre_directory_open_as */
    /* Send everything to this forward proxy, "coap://HOST[:PORT]", "coap+tcp://…" or "HOST[:PORT]"; NULL: to the URI's own
     * host. URIs may then have any scheme that the proxy speaks. With a context the proxy sees where a request goes, and no
     * more. */
    const char *proxy;
    bool proxy_uri;         /* tell it by one Proxy-Uri option; otherwise by Proxy-Scheme, Uri-Host and Uri-Port */
    bool non;               /* send NON instead of CON; over connections there is no difference */
    uint32_t timeout_ms;    /* for the whole exchange; 0: what CoAP's timers give */
    uint16_t block_size;    /* the largest block, both ways, 16 to 1024; 0: 1024, and smaller ones not asked for */
    size_t max_body;        /* the longest answer that is held whole, in bytes; 0: 16 MiB */
    uint16_t max_in_flight; /* requests at a time; 0: 64. Some 3 KiB each */
    uint16_t nstart;        /* … and at one peer, while it has not answered; 0: 1 (RFC 7252 4.7) */
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

/* nacre_client_options_default: plain requests, and the defaults said above. max_body, max_in_flight and nstart of 0 are refused
 * then. */
nacre_client_options nacre_client_options_default(void);

/* nacre_client_open copies the options (NULL: plain requests, and the defaults) and the strings in them; a map of credentials
 * stays borrowed until the client is closed. Its own contexts are made with one provider: that of nacre_provider_open, or that
 * of nacre_openssl_open, if one of them is in the map already. A context directory is not looked at before a request needs it.
 * NACRE_OK                   close it with nacre_client_close
 * NACRE_ERR_BAD_ARGUMENT     more than one of context_dir, credentials_file and credentials; a block_size that is none; a number
 *                            that may not be 0
 * NACRE_ERR_FILE, NACRE_ERR_BAD_CREDENTIALS  the credentials file, as nacre_credentials_load
 * NACRE_ERR_ADDRESS          the system gives no UDP socket
 * NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_client_open(nacre_client **client, const nacre_client_options *options,
                                           nacre_detail *why);

/* nacre_client_request sends one request to a coap or coap+tcp URI and waits for its answer. A connection stays open for the
 * next request. `options` (may be NULL) are added to those that the URI gives; `payload` may be absent. Bodies have any size
 * (nacre/transfer.h), the answer's up to max_body. Context directories are opened, and locked, when a request first needs
 * them. Looking up a name is the system's business, and its time is not part of timeout_ms. Where it has several addresses,
 * and one cannot be reached, the next one is asked; by POST and PATCH only over TCP, after a connection that was refused, so that
 * nothing was sent. One that is silent is waited for.
 * NACRE_OK                     `reply` is the peer's answer, whatever its code
 * NACRE_ERR_NO_CREDENTIALS     nothing was sent: the credentials have no entry for this URI
 * NACRE_ERR_UNSUPPORTED, NACRE_ERR_BAD_CREDENTIALS  nothing was sent: the entry cannot be used (nacre_credentials_find)
 * NACRE_ERR_DUPLICATE_CONTEXT  nothing was sent: two entries of the credentials, for this URI or not, have one Sender Key or
 *                              one Recipient Key (nacre_context_same_sender_key); `why` names both
 * NACRE_ERR_UNAUTHENTICATED    `reply` is what came without protection, and cannot be verified
 * NACRE_ERR_NOT_PROTECTED      what came without protection cannot even be an error
 * NACRE_ERR_PROTECTION_INVALID no answer that verifies
 * NACRE_ERR_MALFORMED          over TCP: what the peer sends breaks RFC 8323
 * NACRE_ERR_OVERSIZED          the answer is longer than this endpoint takes: ask in blocks; or its body is above max_body
 * NACRE_ERR_TOO_LONG           the options are longer than a message
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

/* ---- Requests that do not wait ----
 * nacre_client_start sends a request and returns; `on_done` is called once when it has ended, from nacre_client_step or from a
 * call that waits. Any number up to max_in_flight are in flight, to one peer and to others. on_done may start and cancel
 * requests; a call that waits, and nacre_client_step, give NACRE_ERR_BUSY there, and the client must not be closed.
 *
 *     while (nacre_client_num_in_flight(client) > 0 && err == NACRE_OK) err = nacre_client_step(client, UINT32_MAX, &why);
 *
 * or from a loop of the program's own: nacre_client_fds, nacre_client_deadline and nacre_client_step with 0, as
 * nacre_loop_fds and its neighbours (nacre/loop.h). After nacre_client_start the deadline is now.
 *
 * Three things still take time in nacre_client_start: a name that the system looks up (give `address`, or an address in the
 * URI), a context directory that is opened for its first request and waits up to a second for its lock, and the first use of
 * credentials, which are compared with each other. */
typedef struct nacre_client_call {
    uint32_t number; /* 0: none */
} nacre_client_call;

typedef struct nacre_client_result {
    nacre_client_call call;
    nacre_err err; /* as nacre_client_request returns it */
    const nacre_reply
        *reply;      /* until on_done returns; NULL: there is none (err neither NACRE_OK nor _UNAUTHENTICATED) */
    const char *why; /* one line, as nacre_detail, until on_done returns; "" with NACRE_OK */
} nacre_client_result;

typedef struct nacre_client_request_config {
    size_t size; /* set by nacre_client_request_config_default */
    uint8_t method;
    const char *uri;              /* copied */
    const nacre_options *options; /* added to those of the URI, copied; may be NULL */
    nacre_bytes payload;          /* copied; for large ones: */
    const nacre_source *source;   /* may be NULL; what it reads from is borrowed until on_done */
    const nacre_sink *sink;       /* may be NULL; gets bodies of responses 2.xx */
    const nacre_address *address; /* where it goes, in place of the URI's host; NULL: that is resolved */
    uint32_t timeout_ms;          /* for the whole exchange; 0: the client's */
    void (*on_done)(void *user, const nacre_client_result *result);
    void *user;
} nacre_client_request_config;

/* nacre_client_request_config_default: a GET; set `uri` and `on_done`. */
nacre_client_request_config nacre_client_request_config_default(void);

/* nacre_client_start: `call` (may be NULL) names the request from now on.
 * NACRE_OK                on_done is called later, never before this returns
 * NACRE_ERR_BAD_ARGUMENT  `request` does not begin with the default, or has no uri or no on_done
 * NACRE_ERR_BUSY          max_in_flight are: start it when one has ended
 * others                  as nacre_client_request; on_done is not called */
NACRE_MUST_USE nacre_err nacre_client_start(nacre_client *client, nacre_client_call *call,
                                            const nacre_client_request_config *request, nacre_detail *why);

/* nacre_client_cancel ends a request without on_done; one that has ended changes nothing. */
void nacre_client_cancel(nacre_client *client, nacre_client_call call);
size_t nacre_client_num_in_flight(const nacre_client *client);

/* nacre_client_step waits until something is to be done, at most `max_wait_ms`, and does it.
 * NACRE_OK; NACRE_ERR_BUSY (called from a callback); NACRE_ERR_ADDRESS (the socket failed for good: close the client) */
NACRE_MUST_USE nacre_err nacre_client_step(nacre_client *client, uint32_t max_wait_ms, nacre_detail *why);
size_t nacre_client_fds(nacre_client *client, nacre_fd *fds, size_t num);
uint64_t nacre_client_deadline(const nacre_client *client);

/* What to do with notifications. */
typedef struct nacre_observe_options {
    bool (*on_notification)(void *user, const nacre_reply *reply); /* `reply` lives until it returns; false: enough */
    void *user;
    uint32_t duration_ms; /* from the first notification on; 0: as long as it lasts */
    /* the server is away: a registration is tried again until it is back; and once more when it is. May be NULL */
    void (*on_away)(void *user, bool is_away);
    /* a notification of `len` bytes came, more than the `max` that are taken, and was acknowledged: its state is not known
     * (unauthenticated in a protected observation), and the observation goes on. Ask in smaller blocks. May be NULL */
    void (*on_oversized)(void *user, size_t len, size_t max);
} nacre_observe_options;

/* nacre_client_observe asks for a resource's state, by GET or FETCH, and for each change of it (RFC 7641): the present state is
 * the first notification. The client registers again by itself when nothing was heard for too long. A server that is away then
 * (it cannot be reached, a connection is refused or lost, nothing answers, or nothing that verifies where the registration is
 * protected) is waited for: the client registers anew after 0.5 to 1 second, and after each failure twice as long, up to 60; at
 * the address that it had, the name is not looked up again. A first registration that cannot be delivered fails at once. It returns when the
 * observation has ended: because on_notification said so, after duration_ms, by nacre_client_stop, or because the other side
 * ended it or does not let itself be observed.
 * NACRE_OK: `reply` is the answer that ended it, whatever its code; when we ended it, in order or without an answer to that,
 * its code is 0. Otherwise as nacre_client_request, whose timeout_ms counts until the first notification. */
NACRE_MUST_USE nacre_err nacre_client_observe(nacre_client *client, nacre_reply *reply, uint8_t method, const char *uri,
                                              const nacre_options *options, nacre_bytes payload,
                                              const nacre_observe_options *observing, nacre_detail *why);

/* nacre_client_stop ends what goes on, soon, or else the next request before it is sent: an observation in order, a request
 * with NACRE_ERR_TIMEOUT. A signal handler, or on_notification, may call it. The lookup of a name is not cut short. */
void nacre_client_stop(nacre_client *client);

nacre_store_health nacre_client_store_health(const nacre_client *client);

/* nacre_client_close ends what is in flight, without on_done, and writes the contexts' state back; NACRE_ERR_FILE when that failed (everything is freed all the same).
 * NULL is allowed. */
nacre_err nacre_client_close(nacre_client *client, nacre_detail *why);

#ifdef __cplusplus
}
#endif

#endif
