/* SPDX-License-Identifier: MIT */
/* exchange_types: the entries of the pools of exchanges. */
#ifndef NACRE_ENDPOINT_EXCHANGE_EXCHANGE_TYPES_H
#define NACRE_ENDPOINT_EXCHANGE_EXCHANGE_TYPES_H

#include "endpoint/core/exchange_number.h"
#include "endpoint/message/dedup.h"
#include "endpoint/message/transmissions.h"
#include <nacre/rederivation.h>

/* A *client exchange* is one request of ours:
 *
 *     FREE -> SENDING -> ACKED -> ENDED -> FREE (when its event was pulled)
 *              |  ^^--.   `--^
 *              v  |   `-- an Echo came: once more with new MID, token and Partial IV
 *            WAITING  (protect said NOT_YET; or its context is derived anew)
 *
 * While it is SENDING its transmission says whether it is queued, held or sent. An observation goes on to OBSERVING, and from
 * there to SENDING and round again when it is registered anew or given up (observe/).
 *
 * A *server exchange* is one message of a peer that duplicates may follow: nearly always a request, sometimes a separate
 * answer:
 *
 *     FREE -> NEW -> READY -> DELIVERED -> RESPONDED -> FREE (when its record is evicted)
 *              |       ^       |  |-> WAITING -^     (the answer waits for the store)
 *              `-> PENDING      |  `-> DEFERRED ---^     (the application answers when it can)
 *                              (unprotect said NOT_YET: the request's bytes wait) */

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

/* Plain: how the answer to the newest registration may still come, once a message that may have been it was taken. */
typedef enum nacre__response_due {
    NACRE__DUE_NOT = 0,
    NACRE__DUE_IN_ACK,   /* in the ACK of the registration */
    NACRE__DUE_SEPARATE, /* that ACK was empty: in a message of its own */
} nacre__response_due;

/* What a request with Observe 0 has beyond others. */
typedef struct nacre__observation {
    bool wanted;                    /* Observe 0 was asked for */
    bool begun;                     /* there was a notification: the token stays */
    bool leaving;                   /* Observe 1 has been asked for */
    bool changing;                  /* `old` is the registration that counts until the new one is answered */
    nacre_request_id old;           /* its right to a nonce is never used: it is a client's */
    nacre_notification_order order; /* protected */
    uint32_t value;                 /* plain: the last Observe value … */
    uint64_t value_at;              /* … and when it came, ms */
    nacre__response_due due;
    uint32_t before;         /* plain: `value` when the newest registration went out */
    uint64_t registered_at;  /* ms: the last first answer to a registration */
    uint64_t next_challenge; /* ms: the earliest registration that the next Echo challenge leads to */
} nacre__observation;

/* The last unprotected answer to a protected request that has to wait; it counts while `last_reject` is UNAUTHENTICATED or
 * NOT_PROTECTED. */
typedef struct nacre__hint {
    uint8_t code, len;
    uint8_t text[NACRE__MAX_HINT]; /* the diagnostic payload, cut */
} nacre__hint;

/* One request of ours. Its token is in a dense array of the endpoint, for it is searched. */
typedef struct nacre__client_exchange {
    nacre__client_exchange_state state;
    nacre_exchange number;
    uint32_t generation;
    nacre_address peer;
    nacre_context *context;           /* NULL: goes in clear */
    nacre_rederivation *rederivation; /* brings the context; NULL: it is given */
    void *user;
    nacre_request_id id;    /* of the last protect */
    nacre__transmission *t; /* its own: what goes out again, for a second protection would be a second request */
    uint8_t *plain;         /* max_message bytes */
    size_t plain_len;
    bool repeated; /* an Echo was answered already */
    bool is_ping;
    bool via_proxy;
    bool limited;            /* `limit` has been turned into the transmission's `give_up` */
    bool hints_wait;         /* an unprotected answer is kept as a hint: acknowledged, or sent more than once */
    uint32_t limit;          /* ms that its user wants to wait; 0: no limit */
    uint32_t outer;          /* its answer comes in blocks: the place where they are put together, or NONE … */
    uint32_t next_block;     /* … the Block2 value to ask for … */
    uint64_t give_up_before; /* … and what give_up was */
    nacre__observation observation;
    nacre_err last_reject; /* why an answer was dropped, or NACRE_OK */
    nacre__hint hint;
    size_t oversized; /* bytes of the last response that was longer than max_message */
    nacre_err err;    /* ENDED: how */
    nacre_message message;
} nacre__client_exchange;

/* What a request of others said of outer blocks, for its answer (outer_block/). */
typedef struct nacre__outer_block_request {
    uint64_t key;    /* a hash of its sender and OSCORE option */
    uint32_t block1; /* the value to say again */
    bool has_block1, has_block2, sized;
    uint8_t szx; /* of Block2; `sized`: as it is used */
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

/* One message of others, by (peer, MID, hash of the datagram), and what was answered. */
typedef struct nacre__server_exchange {
    nacre__server_exchange_state state;
    nacre_exchange number;
    uint32_t generation;
    nacre__dedup_record *record; /* its own: the message, and its response; while WAITING, the plain one */
    bool echo;                   /* WAITING: the answer is the Echo challenge */
    bool acked;                  /* DEFERRED: the empty ACK has gone, or none is due any more */
    bool has_echo;               /* DELIVERED, DEFERRED: the request has an Echo option */
    uint8_t method;              /* DELIVERED, DEFERRED: of the request … */
    uint8_t unwanted;            /* … and what its No-Response option names */
    uint32_t pending;            /* the pending room it holds, or NONE */
    uint32_t separate;           /* DEFERRED: its separate response, or NONE */
    uint32_t observer;           /* until it is answered: the observer that it registered, or NONE */
    nacre_context *context;
    nacre_request_id id;
    nacre__outer_block_request block_request;
    uint32_t seen;         /* READY: what options `message` may have: nacre__options_scan */
    nacre_message message; /* READY, DELIVERED: plain, and with the request's token */
} nacre__server_exchange;

/* A notification of this burst, or an OVERSIZED event, to be pulled. */
typedef struct nacre__note {
    nacre_exchange number;
    uint32_t index;
    size_t oversized; /* 0: a notification */
    nacre_message message;
} nacre__note;

/* A place where a request's datagram waits for the store, and its plaintext lives afterwards. */
typedef struct nacre__pending_request {
    uint8_t *bytes; /* max_message for the datagram, max_message for the plaintext */
    size_t len;
    uint32_t server; /* NONE: free */
    uint8_t partial_iv[5], partial_iv_len;
} nacre__pending_request;

/* What belongs to a message of our own accord beside its transmission: the separate answer to a request (RFC 7252 5.2.2), or a
 * notification (RFC 7641). It is held until the application says what, and waits if the store must be waited for. */
typedef struct nacre__separate_response {
    nacre__transmission *t; /* its own; while it is held, the token is in its bytes, while it waits, the plain answer */
    bool is_waiting;        /* for the store */
    nacre_context *context; /* waiting: protects the answer; NULL otherwise */
    nacre_request_id id;    /* waiting: of the request */
    uint32_t server;        /* held: the request that is answered later, or NONE */
    uint32_t observer;      /* the observer that it notifies, or NONE */
    size_t allowance, spent; /* bytes for an address that is not validated, and how many went there */
    bool is_validated;       /* its address: the allowance does not count */
    bool is_protected;
    bool is_con_notification; /* a notification that is, or will be, CON: counted for its peer */
    nacre__outer_block_request block_request;
} nacre__separate_response;

#endif
