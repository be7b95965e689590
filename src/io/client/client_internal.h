/* SPDX-License-Identifier: MIT */
/* client_internal: shared by the client's files. */
#ifndef NACRE_IO_CLIENT_INTERNAL_H
#define NACRE_IO_CLIENT_INTERNAL_H

#include "io/address.h"
#include "io/context_set.h"
#include "io/tcp_internal.h"

#include <nacre/client.h>

#include <signal.h>

enum {
    NACRE__CLIENT_MESSAGE = 1280, /* bytes */
    NACRE__CLIENT_FIRST_PAUSE_MS = 1000,
    NACRE__CLIENT_OPTIONS = 4096, /* more than a message holds, to report the size of one that is too long */
};

typedef enum nacre__stage { NACRE__WAITING, NACRE__OBSERVING, NACRE__LEAVING } nacre__stage; /* of an observation */

/* Destination and context of one request. */
typedef struct nacre__target {
    const char *text; /* the URI */
    nacre_uri uri;
    char host[256]; /* in the resolver's form */
    char peer_text[96];
    nacre_address peer;
    nacre_address others[NACRE__MAX_ADDRESSES]; /* all addresses of the host or the proxy; `peer` is one of them */
    size_t num_others;
    nacre_context *ctx;   /* NULL: unprotected */
    const char *ctx_name; /* its origin, for messages */
} nacre__target;

struct nacre__call;

/* What an observation that does not wait does after its first notification. */
typedef struct nacre__observation_steps {
    uint64_t (*deadline)(const struct nacre__call *call); /* UINT64_MAX: none */
    void (*expire)(struct nacre__call *call);             /* does what is due; may free the call, and call back */
    void (*ended)(struct nacre__call *call);              /* its exchange has ended: registers later, or concludes it */
} nacre__observation_steps;

/* One request, from nacre_client_start or from a waiting call. */
typedef struct nacre__call {
    struct nacre__call *next; /* in the client's list while in flight */
    nacre_client *client;
    uint32_t number;
    char *uri; /* `to` points into it */
    nacre__target to;
    size_t at_address; /* index of the current address in to.others */
    nacre_message plain;
    uint8_t option_buf[NACRE__CLIENT_OPTIONS]; /* options of `plain` */
    nacre_bytes given;                         /* the payload */
    uint8_t *given_copy;                       /* NULL: borrowed */
    nacre_transfer_options how;
    nacre_source source; /* of the body, if it is not held in the message */
    nacre_sink sink;     /* of the response's body; no function: collected in `body` */
    nacre_bytes payload; /* the body that read_payload reads */
    bool is_given_up;    /* the application failed to read or write a body */
    nacre_transfer_exchange exchange;
    nacre__tcp_watch watch;
    uint32_t timeout_ms; /* 0: none */
    uint64_t deadline;   /* UINT64_MAX: only CoAP's own timers */
    bool is_late;        /* the deadline has passed; the final event of the exchange is awaited */
    bool done;           /* the exchange has ended … */
    bool has_response;   /* … with a message of the peer … */
    size_t oversized;    /* length of a response longer than NACRE__CLIENT_MESSAGE; 0: none */
    nacre_err result;    /* … and this result; */
    nacre_reply reply;   /* the response: in `buf` … */
    uint8_t buf[NACRE__CLIENT_MESSAGE];
    uint8_t *body; /* … and, if its body was collected, here */
    size_t body_len, body_cap;
    bool ended; /* nothing more happens to the call; `why` has the outcome */
    nacre_detail why;
    void (*on_done)(void *user, const nacre_client_result *result); /* NULL: a waiting call, owned by its caller */
    void *user;
    const nacre_observe_options *observing; /* NULL: a single response is asked for */
    nacre_observe_options observe_options;  /* … of one that does not wait, copied */
    unsigned num_callbacks;                 /* of it that run: it is not freed meanwhile */
    bool is_cancelled;                      /* in one of them */
    bool leaves;                            /* deregistered in its sink: the deregistration is sent after it */
    const nacre__observation_steps *steps;  /* of one that does not wait; NULL: another call */
    void (*notified)(struct nacre__call *call, const nacre_event *event); /* of an observation */
    nacre__stage stage;
    uint64_t stage_ms; /* start of the stage */
    uint32_t attempts; /* registrations since the server was last heard of; 0: the server is there */
    uint64_t again_ms; /* time of the next registration; 0: none is due */
} nacre__call;

struct nacre_client {
    nacre_client_options options; /* its strings are not used after nacre_client_open */
    char *context_dir, *proxy;
    nacre_credentials *owned_credentials; /* loaded by the client */
    const nacre_credentials *credentials;
    uint64_t compared; /* version of the map that nacre__client_compare accepted; 0: none */
    nacre_crypto crypto;
    nacre_udp *udp;
    nacre_tcp *tcp;
    nacre_loop *loop;
    nacre__context_set context_set;
    nacre__call *calls; /* in flight */
    nacre__call *last;  /* the last waiting call: its reply lives until the next one */
    size_t num_calls;   /* in flight */
    uint32_t last_number;
    const nacre_context *ctx;   /* of the last request; NULL: unprotected */
    nacre_address peer;         /* its destination */
    bool is_stepping;           /* or sends: callbacks may run, and may not wait */
    bool is_reading_or_writing; /* a source or sink runs, on buffers that a new request would use */
    uint32_t first_pause_ms;    /* before a lost observation is registered again; doubled for each further attempt */
    volatile sig_atomic_t stopped;
};

/* ---- client_call.c: one request in flight ---- */

/* Input of a request; `uri`, options and payload are copied. */
typedef struct nacre__call_plan {
    uint8_t method;
    const char *uri;
    const nacre_options *options;
    nacre_bytes payload;
    const nacre_source *source;
    const nacre_sink *sink;
    const nacre_address *address; /* NULL: resolve the URI's host */
    uint32_t timeout_ms;
    const nacre_observe_options *observing;
    void (*notified)(nacre__call *call, const nacre_event *event);
    const nacre__observation_steps *steps;
    nacre_err (*wait)(nacre__call *call, nacre_detail *why); /* until the call has ended; NULL: for one response */
} nacre__call_plan;

/* Errors as nacre_client_request, with `why`. The caller passes the call to nacre__call_send or frees it. */
NACRE_MUST_USE nacre_err nacre__call_make(nacre_client *client, nacre__call **call, const nacre__call_plan *plan,
                                          nacre_detail *why);

/* On NACRE_OK the call is in flight until `ended`; otherwise it failed at once, with `why`. */
NACRE_MUST_USE nacre_err nacre__call_send(nacre__call *call, nacre_detail *why);
void nacre__call_conclude(
    nacre__call *call,
    nacre_err err); /* the result is `err`; calls on_done and frees it, or leaves it to the waiting caller */
void nacre__call_end(nacre__call *call);    /* its exchange has ended: removes it from those in flight */
void nacre__call_cancel(nacre__call *call); /* the same, and ends its exchange */

/* A callback of the call, for which num_callbacks was counted up, has returned. False: the call was cancelled in it; after the
 * outermost one it is freed. */
NACRE_MUST_USE bool nacre__call_end_callback(nacre__call *call);
void nacre__call_free(nacre__call *call); /* not while in flight; NULL is allowed */
void nacre__call_keep_reply(nacre__call *call, const nacre_message *message, bool is_protected);
void nacre__client_on_event(void *user, nacre_transfer *transfer, const nacre_event *event);

/* ---- client_start.c ---- */

/* Adds `request` to a plan, whose options, if set, stay. NACRE_OK; NACRE_ERR_BAD_ARGUMENT */
NACRE_MUST_USE nacre_err nacre__call_plan_of(nacre__call_plan *plan, const nacre_client_request_config *request,
                                             nacre_detail *why);

/* As nacre_client_start; `plan` has what `request` has not: observing, and options in place of the request's. */
NACRE_MUST_USE nacre_err nacre__client_start(nacre_client *client, nacre_client_call *call,
                                             const nacre_client_request_config *request, nacre__call_plan plan,
                                             nacre_detail *why);
nacre__call *nacre__call_of(const nacre_client *client, nacre_client_call call); /* NULL: it has ended */

/* ---- client_step.c ---- */

/* Deadlines of the calls in flight: the earliest; gives up expired calls; ends those that are not ended by that. */
uint64_t nacre__calls_deadline(const nacre_client *client);
void nacre__calls_expire(nacre_client *client);
void nacre__calls_end_late(nacre_client *client);

/* ---- client.c ---- */
enum { NACRE__STOP_MS = 250 }; /* nacre_client_stop is noticed within this time */

/* The time is over: gives up the exchange and returns its result. */
NACRE_MUST_USE nacre_err nacre__call_out_of_time(nacre__call *call, nacre_detail *why);

/* Whether the call has a deadline as a single request has; an observation has one until the first notification. */
static inline bool nacre__call_has_deadline(const nacre__call *call)
{
    return call->observing == NULL || (call->steps != NULL && call->stage == NACRE__WAITING);
}

/* A waiting call: sends, waits and leaves its reply in client->last. */
NACRE_MUST_USE nacre_err nacre__client_wait(nacre_client *client, nacre_reply *reply, const nacre__call_plan *plan,
                                            nacre_detail *why);

/* ---- client_target.c: errors as nacre_client_request, with `why` ---- */
nacre_err nacre__target_parse(const nacre_client *client, nacre__target *to, const char *text, nacre_detail *why);

/* The context for this URI (RFC 8613 8.1 step 1); NULL for a plain request. Fails closed: with unusable credentials nothing is
 * sent. */
nacre_err nacre__target_context(nacre_client *client, nacre__target *to, nacre_detail *why);
/* `address` NULL: resolve the URI's host, or the proxy. */
nacre_err nacre__target_peer(const nacre_client *client, nacre__target *to, nacre_bytes options,
                             const nacre_address *address, nacre_detail *why);
void nacre__target_take(const nacre_client *client, nacre__target *to, size_t at); /* `peer` becomes others[at] */

/* The URI's options and `more` (may be NULL), in the buffer of `o`. */
nacre_err nacre__target_options(const nacre_client *client, nacre_bytes *made, nacre_options *o,
                                const nacre__target *to, const nacre_options *more, nacre_detail *why);

/* ---- client_twins.c ---- */

/* nacre__client_compare: NACRE_OK; NACRE_ERR_DUPLICATE_CONTEXT when two entries of the map have the same Sender Key or the same
 * Recipient Key: `why` names both; NACRE_ERR_NO_MEMORY, NACRE_ERR_CRYPTO. */
NACRE_MUST_USE nacre_err nacre__client_compare(nacre_client *client, nacre_detail *why);

/* ---- client_bodies.c ---- */

/* Prepares the transfer of a call's bodies: call->how. Without a progress callback a payload needs no source. */
void nacre__call_bodies(nacre__call *call);

/* Wipes the collected part of a response body. */
void nacre__call_forget_body(nacre__call *call);

/* ---- client_away.c: of an observation ---- */

/* The registration has failed: true when the server is away and the observation goes on with nacre__call_try_again. */
bool nacre__call_away(nacre__call *call);
void nacre__call_try_again(nacre__call *call);
void nacre__call_back(nacre__call *call); /* a notification has arrived */

/* ---- client_explain.c ---- */

/* Writes the error text of a failed request, where nacre_err_text alone does not help. Returns the error to report. */
nacre_err nacre__call_explain(nacre__call *call, nacre_err err, nacre_detail *why);

#endif
