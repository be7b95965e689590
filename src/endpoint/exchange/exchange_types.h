/* SPDX-License-Identifier: MIT */
/* exchange_types: the entries of the pools of exchanges. */
#ifndef NACRE_ENDPOINT_EXCHANGE_EXCHANGE_TYPES_H
#define NACRE_ENDPOINT_EXCHANGE_EXCHANGE_TYPES_H

#include "endpoint/core/exchange_number.h"
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
 * OBSERVING, and returns to SENDING when it is registered anew or deregistered (observe/).
 *
 * A *server exchange* is one received message that may be duplicated: nearly always a request, sometimes a separate response:
 *
 *     FREE -> NEW -> READY -> DELIVERED -> RESPONDED -> FREE (when its record is evicted)
 *              |       ^       |  |-> WAITING -^     (the response waits for the store)
 *              `-> PENDING      |  `-> DEFERRED ---^     (the application responds later)
 *                              (unprotect returned NOT_YET: the request's bytes wait) */

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
    nacre_exchange number;
    uint32_t generation;
    nacre_address peer;
    nacre_context *context;           /* NULL: sent unprotected */
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

/* Outer-block options of a received request, for its response (outer_block/). */
typedef struct nacre__outer_block_request {
    uint64_t key;    /* a hash of its sender and OSCORE option */
    uint32_t block1; /* the value to echo */
    bool has_block1, has_block2, sized;
    uint8_t szx; /* of Block2; `sized`: final */
} nacre__outer_block_request;

typedef enum nacre__server_exchange_state {
    NACRE__SERVER_FREE = 0,
    NACRE__SERVER_NEW,
    NACRE__SERVER_PENDING,
    NACRE__SERVER_READY,
    NACRE__SERVER_DELIVERED,
    NACRE__SERVER_DEFERRED,
    NACRE__SERVER_WAITING,
    NACRE__SERVER_RESPONDED,
} nacre__server_exchange_state;

/* One received message, by (peer, MID, hash of the datagram), and its response. */
typedef struct nacre__server_exchange {
    nacre__server_exchange_state state;
    nacre_exchange number;
    uint32_t generation;
    nacre__dedup_record *record; /* its own: the message, and its response; while WAITING, the plain one */
    bool echo;                   /* WAITING: the response is the Echo challenge */
    bool acked;                  /* DEFERRED: the empty ACK was sent, or none is due */
    bool has_echo;               /* DELIVERED, DEFERRED: the request has an Echo option */
    uint8_t method;              /* DELIVERED, DEFERRED: of the request … */
    uint8_t unwanted;            /* … and its No-Response value */
    uint32_t pending;            /* its pending request, or NONE */
    uint32_t separate;           /* DEFERRED: its separate response, or NONE */
    uint32_t observer;           /* until answered: the observer that it registered, or NONE */
    nacre_context *context;
    nacre_request_id id;
    nacre__outer_block_request block_request;
    uint32_t seen;         /* READY: options `message` may have: nacre__options_scan */
    nacre_message message; /* READY, DELIVERED: plain, and with the request's token */
} nacre__server_exchange;

/* A notification of this burst, or an OVERSIZED event, to be pulled. */
typedef struct nacre__note {
    nacre_exchange number;
    uint32_t index;
    size_t oversized; /* 0: a notification */
    nacre_message message;
} nacre__note;

/* Holds a request's datagram while it waits for the store, and its plaintext afterwards. */
typedef struct nacre__pending_request {
    uint8_t *bytes; /* max_message for the datagram, max_message for the plaintext */
    size_t len;
    uint32_t server; /* NONE: free */
    uint8_t partial_iv[5], partial_iv_len;
} nacre__pending_request;

/* A separate response (RFC 7252 5.2.2) or a notification (RFC 7641), beside its transmission. It is held until the
 * application responds, and may then wait for the store. */
typedef struct nacre__separate_response {
    nacre__transmission *t;  /* its own; its bytes: the token while held, the plain response while waiting */
    bool is_waiting;         /* for the store */
    nacre_context *context;  /* waiting: protects the response; NULL otherwise */
    nacre_request_id id;     /* waiting: of the request */
    uint32_t server;         /* held: the deferred request, or NONE */
    uint32_t observer;       /* the observer that it notifies, or NONE */
    size_t allowance, spent; /* bytes allowed while not validated, and bytes sent */
    bool is_validated;       /* its address is validated: no allowance */
    bool is_protected;
    bool is_con_notification; /* a notification that is, or will be, CON: counted for its peer */
    nacre__outer_block_request block_request;
} nacre__separate_response;

#endif
