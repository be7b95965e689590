/* SPDX-License-Identifier: MIT */
/* server_pool: the pool of received messages that may be duplicated (RFC 7252 4.5, 5), on top of message/ and
 * admission/. */
#ifndef NACRE_ENDPOINT_EXCHANGE_SERVER_POOL_H
#define NACRE_ENDPOINT_EXCHANGE_SERVER_POOL_H

#include "endpoint/admission/echo.h"
#include "endpoint/admission/rate_limits.h"
#include "endpoint/admission/reset_belief.h"
#include "endpoint/core/exchange_number.h"
#include "endpoint/core/groups.h"
#include "endpoint/core/protect_batch.h"
#include "endpoint/message/dedup.h"
#include "endpoint/message/empty_messages.h"
#include "endpoint/message/transmissions.h"

/* A *server exchange* is one received message that may be duplicated: nearly always a request, sometimes a separate response:
 *
 *     FREE -> NEW -> READY -> DELIVERED -> RESPONDED -> FREE (when its record is evicted)
 *              |       ^       |  |-> WAITING -^     (the response waits for the store)
 *              `-> PENDING      |  `-> DEFERRED ---^     (the application responds later)
 *                              (the request's bytes wait: unprotect returned NOT_YET, or its context is looked up) */

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
    uint64_t number;
    uint32_t generation;
    nacre__link peer_link, context_link; /* server_groups.c */
    nacre__dedup_record *record;         /* its own: the message, and its response; while WAITING, the plain one */
    bool echo;                           /* WAITING: the response is the Echo challenge */
    bool acked;                          /* DEFERRED: the empty ACK was sent, or none is due */
    bool has_echo;                       /* DELIVERED, DEFERRED: the request has an Echo option */
    uint8_t method;                      /* DELIVERED, DEFERRED: of the request … */
    uint8_t unwanted;                    /* … and its No-Response value */
    uint32_t pending;                    /* its pending request, or NONE */
    uint32_t separate;                   /* DEFERRED: its separate response, or NONE */
    uint32_t observer;                   /* until answered: the observer that it registered, or NONE */
    nacre_context *context;
    nacre_request_id id;
    nacre__outer_block_request block_request;
    uint32_t seen;         /* READY: options `message` may have: nacre__options_scan */
    nacre_message message; /* READY, DELIVERED: plain, and with the request's token */
} nacre__server_exchange;

/* Holds a request's datagram while it waits for the store or for its context, and its plaintext afterwards. */
typedef struct nacre__pending_request {
    uint8_t *bytes; /* max_message for the datagram, max_message for the plaintext */
    size_t len;
    uint32_t server; /* NONE: free */
    uint8_t partial_iv[5], partial_iv_len;
    nacre_err err;                /* of a lookup: of the contexts that were tried */
    bool is_unasked;              /* … its event was not pulled yet */
    uint64_t host;                /* … nacre__host_of its sender */
    nacre_bytes kid, kid_context; /* … in `bytes` */
} nacre__pending_request;

/* A separate response (RFC 7252 5.2.2) or a notification (RFC 7641), beside its transmission. It is held until the
 * application responds, and may then wait for the store. */
typedef struct nacre__separate_response {
    nacre__link peer_link;   /* server_groups.c */
    nacre__transmission *t;  /* its own; its bytes: the token while held, the plain response while waiting */
    bool is_waiting;         /* for the store */
    nacre_context *context;  /* waiting: protects the response; NULL otherwise */
    nacre_request_id id;     /* waiting: of the request */
    uint32_t server;         /* held: the deferred request, or NONE */
    uint32_t observer;       /* the observer that it notifies, or NONE */
    size_t allowance, spent; /* bytes allowed while not validated, and bytes sent */
    bool is_validated;       /* its address is validated: no allowance */
    bool is_protected;
    const nacre_context *owner; /* that its share is counted for; NULL: the address. Compared only */
    bool is_counted;
    bool is_con_notification; /* a notification that is, or will be, CON: counted for its peer */
    nacre__outer_block_request block_request;
} nacre__separate_response;

/* Calls to the layer of observers above; set once, by the coordinator. */
typedef struct nacre__server_upper {
    void *self;
    void (*registration_responded)(void *self, nacre__server_exchange *exchange,
                                   nacre__separate_response *separate); /* exchange->observer is not NONE */
    void (*registration_ended)(void *self, nacre__server_exchange *exchange, nacre_err err); /* the same */
    void (*notification_ended)(void *self, uint32_t observer, nacre_err err, bool is_acked);
    void (*con_notification_left)(void *self, nacre__separate_response *separate); /* separate->is_con_notification */
    void (*share_left)(void *self, const nacre_context *owner, const nacre_address *peer); /* or NULL */
} nacre__server_upper;

typedef struct nacre__server_exchanges {
    nacre__core *core;
    nacre__persist_waits *persist;
    nacre__protect_batch *batch;
    nacre__transmissions *tx;
    nacre__dedup *dedup;
    nacre__empty_messages *empty;
    nacre__address_validation *validation;
    nacre__rate_limits *rate_limits;
    nacre__reset_belief *reset_belief;
    nacre__echo *echo;
    nacre__queue *events; /* exchanges that are READY */
    nacre__server_upper upper;

    nacre__server_exchange *all;
    nacre__groups by_peer;           /* of reliable peers, those that are not FREE */
    nacre__groups by_context;        /* of those whose record is HELD */
    nacre__pending_request *pending; /* for the store, and after them for contexts */
    uint32_t max_pending, num_lookups;
    uint32_t num_unasked, next_unasked; /* lookups, and where to search for the next one */
    nacre__separate_response *separates;
    nacre__groups separates_by_peer; /* of reliable peers */
    uint32_t *counts;                /* of separate responses, by owner: separate_shares.c */
    uint32_t num_counts, num_plain;
} nacre__server_exchanges;

void nacre__server_exchanges_lay_out(nacre__server_exchanges *x, nacre__pool_layout *layout,
                                     const nacre_endpoint_config *config);
void nacre__server_exchanges_init(nacre__server_exchanges *x, uint8_t *pending_bytes); /* twice max_message each */

#endif
