/* SPDX-License-Identifier: MIT */
/* client_internal: what the files of the client share. */
#ifndef NACRE_IO_CLIENT_INTERNAL_H
#define NACRE_IO_CLIENT_INTERNAL_H

#include "io/address.h"
#include "io/keyring.h"
#include "io/tcp_internal.h"

#include <nacre/client.h>

#include <signal.h>

enum {
    NACRE__CLIENT_MESSAGE = 1280, /* bytes */
    NACRE__CLIENT_FIRST_PAUSE_MS = 1000,
    NACRE__CLIENT_OPTIONS = 4096, /* of options that are still counted when they are too long for a message */
};

typedef enum nacre__stage { NACRE__WAITING, NACRE__OBSERVING, NACRE__LEAVING } nacre__stage; /* of an observation */

/* Where one request goes, and with what. */
typedef struct nacre__target {
    const char *text; /* the URI */
    nacre_uri uri;
    char host[256]; /* as the resolver takes it */
    char peer_text[96];
    nacre_address peer;
    nacre_address others[NACRE__MAX_ADDRESSES]; /* all that the host or the proxy has, `peer` one of them */
    size_t num_others;
    nacre_context *ctx;   /* NULL: plain */
    const char *ctx_name; /* where it comes from */
} nacre__target;

/* One request, from nacre_client_start or from a call that waits. */
typedef struct nacre__call {
    struct nacre__call *next; /* in the client's list while it is in flight */
    nacre_client *client;
    uint32_t number;
    char *uri; /* `to` points to it */
    nacre__target to;
    size_t at_address; /* which of the target's addresses it goes to */
    nacre_message plain;
    uint8_t option_buf[NACRE__CLIENT_OPTIONS]; /* the options of `plain` */
    nacre_bytes given;                         /* the payload */
    uint8_t *given_copy;                       /* NULL: borrowed */
    nacre_transfer_options how;
    nacre_source source; /* where its body comes from, when that is not the message */
    nacre_sink sink;     /* where the response's goes; no function: to `body` */
    nacre_bytes payload; /* the body that read_payload reads */
    bool is_given_up;    /* the application could not read or write a body */
    nacre_transfer_exchange exchange;
    nacre__tcp_watch watch;
    uint64_t deadline; /* UINT64_MAX: CoAP's own timers decide */
    bool is_late;      /* the deadline has passed; what the exchange still says is awaited */
    bool done;         /* the exchange has ended, */
    bool is_answered;  /* by a message of the peer's, */
    size_t oversized;  /* bytes of a response that was longer than NACRE__CLIENT_MESSAGE; 0: none */
    nacre_err result;  /* so, */
    nacre_reply reply; /* with this, in `buf` … */
    uint8_t buf[NACRE__CLIENT_MESSAGE];
    uint8_t *body; /* … and here, when its body was collected */
    size_t body_len, body_cap;
    bool ended; /* nothing more happens to it; `why` says what did */
    nacre_detail why;
    void (*on_done)(void *user, const nacre_client_result *result); /* NULL: of a call that waits, which owns it */
    void *user;
    const nacre_observe_options *observing;                               /* NULL: one response is asked for */
    void (*notified)(struct nacre__call *call, const nacre_event *event); /* of an observation */
    nacre__stage stage;
    uint64_t stage_ms; /* since when */
    uint32_t attempts; /* to register again since its server was last heard of; 0: the server is there */
    uint64_t again_ms; /* the time of the next one; 0: none is to be made */
} nacre__call;

struct nacre_client {
    nacre_client_options options; /* its strings are not used after open: */
    char *context_dir, *proxy;
    nacre_credentials *own_credentials; /* loaded here */
    const nacre_credentials *credentials;
    uint64_t compared; /* the map's version that nacre__client_compare found no fault with; 0: none */
    nacre_crypto crypto;
    nacre_udp *udp;
    nacre_tcp *tcp;
    nacre_loop *loop;
    nacre__keyring ring;
    nacre__call *calls; /* in flight */
    nacre__call *last;  /* of the last call that waited: its reply lives until the next one */
    uint32_t last_number;
    const nacre_context *ctx; /* of the last request; NULL: plain */
    nacre_address peer;       /* where it went */
    bool is_stepping;
    uint32_t first_pause_ms; /* before a lost observation is registered again; doubled for each attempt after it */
    volatile sig_atomic_t stopped;
};

/* ---- client_call.c: one request in flight ---- */

/* What a request is made of; `uri`, options and payload are copied. */
typedef struct nacre__call_plan {
    uint8_t method;
    const char *uri;
    const nacre_options *options;
    nacre_bytes payload;
    const nacre_source *source;
    const nacre_sink *sink;
    const nacre_address *address; /* NULL: the URI's host is resolved */
    uint32_t timeout_ms;
    const nacre_observe_options *observing;
    void (*notified)(nacre__call *call, const nacre_event *event);
    nacre_err (*wait)(nacre__call *call, nacre_detail *why); /* until it has ended; NULL: for one response */
} nacre__call_plan;

/* Errors as nacre_client_request tells them, with `why`. What it gives is sent by nacre__call_send, or freed. */
NACRE_MUST_USE nacre_err nacre__call_make(nacre_client *client, nacre__call **call, const nacre__call_plan *plan,
                                          nacre_detail *why);

/* It is in flight from here on, until `ended`; or it failed at once: NACRE_ERR_… with `why`. */
NACRE_MUST_USE nacre_err nacre__call_send(nacre__call *call, nacre_detail *why);
void nacre__call_end(nacre__call *call);    /* its exchange has ended: it is not in flight any more */
void nacre__call_cancel(nacre__call *call); /* the same, and its exchange ends now */
void nacre__call_free(nacre__call *call);   /* not while it is in flight; NULL is allowed */
void nacre__call_keep_reply(nacre__call *call, const nacre_message *message, bool is_protected);
void nacre__client_on_event(void *user, nacre_transfer *transfer, const nacre_event *event);

/* Deadlines of all in flight: the earliest; what is over is given up; and what did not end by that is ended. */
uint64_t nacre__calls_deadline(const nacre_client *client);
void nacre__calls_expire(nacre_client *client);
void nacre__calls_end_late(nacre_client *client);

/* ---- client.c ---- */
enum { NACRE__STOP_MS = 250 }; /* how soon nacre_client_stop is noticed at the latest */

/* The time is over: the exchange is given up, and what it says of that is the result. */
NACRE_MUST_USE nacre_err nacre__call_out_of_time(nacre__call *call, nacre_detail *why);

/* What a call that waits does: sends, waits and leaves its reply in client->last. */
NACRE_MUST_USE nacre_err nacre__client_wait(nacre_client *client, nacre_reply *reply, const nacre__call_plan *plan,
                                            nacre_detail *why);

/* ---- client_target.c: errors as nacre_client_request tells them, with `why` ---- */
nacre_err nacre__target_parse(const nacre_client *client, nacre__target *to, const char *text, nacre_detail *why);

/* The context for this URI (RFC 8613 8.1 step 1); NULL when the request is to be plain. Fails closed: credentials that do not
 * fit send nothing. */
nacre_err nacre__target_context(nacre_client *client, nacre__target *to, nacre_detail *why);
/* `address` NULL: those of the URI's host, or of the proxy. */
nacre_err nacre__target_peer(const nacre_client *client, nacre__target *to, nacre_bytes options,
                             const nacre_address *address, nacre_detail *why);
void nacre__target_take(const nacre_client *client, nacre__target *to, size_t at); /* `peer` becomes others[at] */

/* The URI's options and `more` (may be NULL), in the room of `o`. */
nacre_err nacre__target_options(const nacre_client *client, nacre_bytes *made, nacre_options *o,
                                const nacre__target *to, const nacre_options *more, nacre_detail *why);

/* ---- client_twins.c ---- */

/* nacre__client_compare: NACRE_OK; NACRE_ERR_DUPLICATE_CONTEXT when two entries of the map are contexts with one Sender Key or
 * one Recipient Key: `why` names both; NACRE_ERR_NO_MEMORY, NACRE_ERR_CRYPTO. */
NACRE_MUST_USE nacre_err nacre__client_compare(nacre_client *client, nacre_detail *why);

/* ---- client_bodies.c ---- */

/* Prepares how the bodies of a call travel: call->how. Where nothing is told of progress, a payload needs no source. */
void nacre__call_bodies(nacre__call *call);

/* Wipes what was collected of a response. */
void nacre__call_forget_body(nacre__call *call);

/* ---- client_away.c: of an observation ---- */

/* It has failed: true when that was its server's absence, and it goes on: nacre__call_try_again when there is time. */
bool nacre__call_away(nacre__call *call);
void nacre__call_try_again(nacre__call *call);
void nacre__call_back(nacre__call *call); /* a notification has come */

/* ---- client_explain.c ---- */

/* What happened to a request, for people, where the library's text alone would leave them alone. Gives the error to return. */
nacre_err nacre__call_explain(nacre__call *call, nacre_err err, nacre_detail *why);

#endif
