/* SPDX-License-Identifier: MIT */
/* client_internal: what the files of the client share. */
#ifndef NACRE_IO_CLIENT_INTERNAL_H
#define NACRE_IO_CLIENT_INTERNAL_H

#include "io/address.h"
#include "io/keyring.h"

#include <nacre/client.h>

#include <signal.h>

enum {
    NACRE__CLIENT_MESSAGE = 1280, /* bytes */
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
    nacre_exchange exchange;                /* in flight, */
    const nacre_context *ctx;               /* protected with this, */
    nacre_address peer;                     /* to there */
    nacre_source source;                    /* where its body comes from, when that is not the message */
    nacre_sink sink;                        /* where the answer's goes; no function: to `body` */
    nacre_bytes payload;                    /* the body that read_payload reads */
    const nacre_observe_options *observing; /* NULL: one answer is asked for */
    nacre__stage stage;
    uint64_t stage_ms;          /* since when */
    uint32_t attempts;          /* to register again since its server was last heard of; 0: the server is there */
    uint64_t again_ms;          /* the time of the next one; 0: none is to be made */
    const nacre__target *to;    /* what it is made of … */
    const nacre_message *plain; /* … */
    nacre_transfer_options how; /* … while the call lasts */
    volatile sig_atomic_t stopped;
    bool is_given_up;  /* the application could not read or write a body */
    bool done;         /* it has ended, */
    bool is_answered;  /* by a message of the peer's, */
    size_t oversized;  /* bytes of a response that was longer than NACRE__CLIENT_MESSAGE; 0: none */
    nacre_err result;  /* so, */
    nacre_reply reply; /* with this, in `room` … */
    uint8_t buf[NACRE__CLIENT_MESSAGE];
    uint8_t *body; /* … and here, when its body was collected */
    size_t body_len, body_cap;
};

/* ---- client_target.c: errors as nacre_client_request tells them, with `why` ---- */
nacre_err nacre__target_parse(const nacre_client *client, nacre__target *to, const char *text, nacre_detail *why);

/* The context for this URI (RFC 8613 8.1 step 1); NULL when the request is to be plain. Fails closed: credentials that do not
 * fit send nothing. */
nacre_err nacre__target_context(nacre_client *client, nacre__target *to, nacre_detail *why);
nacre_err nacre__target_peer(const nacre_client *client, nacre__target *to, nacre_bytes options, nacre_detail *why);
void nacre__target_take(const nacre_client *client, nacre__target *to, size_t at); /* `peer` becomes others[at] */

/* The URI's options and `more` (may be NULL), in the room of `o`. */
nacre_err nacre__target_options(const nacre_client *client, nacre_bytes *made, nacre_options *o,
                                const nacre__target *to, const nacre_options *more, nacre_detail *why);

/* ---- client_twins.c ---- */

/* nacre__client_compare: NACRE_OK; NACRE_ERR_DUPLICATE_CONTEXT when two entries of the map are contexts with one Sender Key or
 * one Recipient Key: `why` names both; NACRE_ERR_NO_MEMORY, NACRE_ERR_CRYPTO. */
NACRE_MUST_USE nacre_err nacre__client_compare(nacre_client *client, nacre_detail *why);

/* ---- client_bodies.c ---- */

/* Prepares how the bodies of one request travel. Where nobody looks on, a payload needs no source. */
nacre_transfer_options nacre__client_bodies(nacre_client *client, nacre_message *plain, const nacre_source *source,
                                            const nacre_sink *sink);

/* Wipes what was collected of an answer. */
void nacre__client_forget_body(nacre_client *client);

/* ---- client_away.c: of an observation ---- */

/* It has failed: true when that was its server's absence, and it goes on: nacre__client_try_again when there is time. */
bool nacre__client_away(nacre_client *client);
void nacre__client_try_again(nacre_client *client);
void nacre__client_back(nacre_client *client); /* a notification has come */

/* ---- client_explain.c ---- */

/* What happened to a request, for people, where the library's text alone would leave them alone. Gives `err`. */
nacre_err nacre__client_explain(nacre_client *client, const nacre__target *to, nacre_err err, nacre_detail *why);

#endif
