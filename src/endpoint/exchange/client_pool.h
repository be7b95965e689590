/* SPDX-License-Identifier: MIT */
/* client_pool: the pool of requests sent here (RFC 7252 5), on top of message/ and admission/. */
#ifndef NACRE_ENDPOINT_EXCHANGE_CLIENT_POOL_H
#define NACRE_ENDPOINT_EXCHANGE_CLIENT_POOL_H

#include "endpoint/admission/kept_echo.h"
#include "endpoint/core/exchange_number.h"
#include "endpoint/core/groups.h"
#include "endpoint/core/persist_waits.h"
#include "endpoint/message/dedup.h"
#include "endpoint/message/transmissions.h"
#include <nacre/rederivation.h>

/* A *client exchange* is one request sent here:
 *
 *     FREE -> SENDING -> ACKED -> ENDED -> FREE (when its event was pulled)
 *              |  ^^--.   `--^
 *              v  |   `-- Echo challenge: repeated with new MID, token and Partial IV
 *            WAITING  (protect returned NOT_YET; or rederivation is in progress)
 *
 * While it is SENDING the transmission's state says whether it is queued, held or sent. An observation continues in
 * OBSERVING, and returns to SENDING when it is registered anew or deregistered (observe/). */

enum {
    NACRE__TOKEN_LEN = 8,
    NACRE__MAX_HINT = 62, /* bytes */
};

typedef enum nacre__client_exchange_state {
    NACRE__CLIENT_FREE = 0,
    NACRE__CLIENT_SENDING,
    NACRE__CLIENT_WAITING,
    NACRE__CLIENT_ACKED,
    NACRE__CLIENT_OBSERVING,
    NACRE__CLIENT_ENDED,
} nacre__client_exchange_state;

/* Plain: how the response to the newest registration may still arrive, after a message that may have been it was accepted. */
typedef enum nacre__response_due {
    NACRE__DUE_NOT = 0,
    NACRE__DUE_IN_ACK,   /* in the ACK of the registration */
    NACRE__DUE_SEPARATE, /* that ACK was empty: as a separate response */
} nacre__response_due;

/* State of a request with Observe 0. */
typedef struct nacre__observation {
    bool wanted;                    /* the request has Observe 0 */
    bool begun;                     /* a notification was received: the token stays */
    bool leaving;                   /* Observe 1 was requested */
    bool changing;                  /* `old` is the registration in effect until the new one is answered */
    nacre_request_id old;           /* a client's: its right to a nonce is never used */
    nacre_notification_order order; /* protected */
    uint32_t value;                 /* plain: the last Observe value … */
    uint64_t value_at;              /* … and its arrival, ms */
    nacre__response_due due;
    uint32_t before;         /* plain: `value` when the newest registration was sent */
    uint64_t registered_at;  /* ms: when the last registration was answered */
    uint64_t next_challenge; /* ms: an Echo challenge causes no registration before */
} nacre__observation;

/* The last unprotected response to a protected request; valid while `last_reject` is UNAUTHENTICATED or NOT_PROTECTED. */
typedef struct nacre__hint {
    uint8_t code, len;
    uint8_t text[NACRE__MAX_HINT]; /* the diagnostic payload, truncated */
} nacre__hint;

/* One request sent here. Its token is in a dense array of the endpoint, for searching. */
typedef struct nacre__client_exchange {
    nacre__client_exchange_state state;
    uint64_t number;
    uint32_t generation;
    nacre__link peer_link, context_link; /* client_groups.c */
    nacre_address peer;
    nacre_context *context;           /* NULL: sent unprotected; set by nacre__client_exchange_set_context */
    nacre_rederivation *rederivation; /* provides the context; NULL: given by the caller */
    void *user;
    nacre_request_id id;    /* of the last protect */
    nacre__transmission *t; /* its own; retransmitted as is: protecting again would make a second request */
    uint8_t *plain;         /* max_message bytes */
    size_t plain_len;
    bool repeated; /* a challenge was answered already */
    bool is_ping;
    bool via_proxy;
    bool limited;            /* `limit` has been turned into the transmission's `give_up` */
    bool hints_wait;         /* keep unprotected responses as hints: acknowledged, or sent more than once */
    uint32_t limit;          /* ms: the user's timeout; 0: none */
    uint32_t outer;          /* the entry where its response's outer blocks are joined, or NONE … */
    uint32_t next_block;     /* … the Block2 value to request … */
    uint64_t give_up_before; /* … and the former give_up */
    nacre__observation observation;
    nacre_err last_reject; /* why a response was dropped, or NACRE_OK */
    nacre__hint hint;
    size_t oversized; /* bytes of the last response that was longer than max_message */
    nacre_err err;    /* ENDED: the result */
    nacre_message message;
} nacre__client_exchange;

/* A notification of this burst, or an OVERSIZED event, to be pulled. */
typedef struct nacre__note {
    uint64_t number;
    uint32_t index;
    size_t oversized; /* 0: a notification */
    nacre_message message;
} nacre__note;

/* Calls to the layers above; set once, by the coordinator. */
typedef struct nacre__client_upper {
    void *self;
    void (*request_left)(void *self, nacre__client_exchange *exchange); /* it ends; its transmission is still set */
    void (*blocks_dropped)(
        void *self, nacre__client_exchange *exchange); /* exchange->outer is not NONE: drop the blocks joined so far */
} nacre__client_upper;

typedef struct nacre__client_exchanges {
    nacre__core *core;
    nacre__persist_waits *persist;
    nacre__transmissions *tx;
    nacre__dedup *dedup;
    nacre__kept_echos *kept_echos;
    nacre__queue *events; /* exchanges that have ended */
    nacre__client_upper upper;

    nacre__client_exchange *all;
    nacre__groups by_peer, by_context; /* of those that are not FREE */
    uint64_t *tokens;                  /* of exchanges that wait for a response; 0 otherwise */
    uint32_t num_tokens;               /* that are not 0 */
    uint32_t next;                     /* to be tried for a new exchange */
    uint32_t num_unlimited;            /* exchanges whose `limit` has not started */
    nacre__note *notes;                /* of this burst */
    uint32_t num_notes, first_note;
} nacre__client_exchanges;

void nacre__client_exchanges_lay_out(nacre__client_exchanges *x, nacre__pool_layout *layout,
                                     const nacre_endpoint_config *config);
void nacre__client_exchanges_init(nacre__client_exchanges *x, uint8_t *bytes); /* max_message each */

#endif
