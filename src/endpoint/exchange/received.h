/* SPDX-License-Identifier: MIT */
/* received: a datagram on its way through nacre_endpoint_receive_many. */
#ifndef NACRE_ENDPOINT_EXCHANGE_RECEIVED_H
#define NACRE_ENDPOINT_EXCHANGE_RECEIVED_H

#include "endpoint/core/core.h"

/* One datagram on its way through receive_many. */
typedef enum nacre__item_kind {
    NACRE__ITEM_DONE, /* 0, for items begin all zero */
    NACRE__ITEM_EMPTY,
    NACRE__ITEM_REQUEST,
    NACRE__ITEM_RESPONSE,
    NACRE__ITEM_BLOCK,     /* a part of an answer to us */
    NACRE__ITEM_OVERSIZED, /* the start of an answer to us */
} nacre__item_kind;
typedef struct nacre__item {
    nacre__item_kind kind;
    const nacre_datagram *datagram;
    size_t oversized; /* its full length, when it is longer than max_message or cut: `outer` is its start; or 0 */
    nacre_message outer, plain;
    nacre_buf room; /* for its plaintext */
    uint32_t seen;  /* what options `outer` may have: nacre__options_scan */
    nacre_request_id id;
    nacre_response_info info;
    nacre_context *context;
    nacre_err err;
    uint32_t index;             /* of the slot or the entry */
    uint32_t ack;               /* an answer: 1 + the entry that holds its ACK; 0: none does */
    nacre_exchange exchange;    /* the slot's: it may be another's by the time of delivery */
    bool is_old;                /* verified as an answer to the registration before the last */
    struct nacre__outer *place; /* it was put together there; NULL: it came whole */
    /* while contexts are tried: */
    nacre_rederivation *rederivation; /* the last one tried */
    bool renewals_end;                /* there are no more */
    nacre_oscore_option option;
    size_t cursor;       /* in the table, */
    nacre_context *next; /* and what was found there */
    uint8_t tried;
    bool open;
    bool recovers; /* the context that it was tried with last does not know its replay window */
} nacre__item;

/* RFC 7252 5.4.3, 5.4.5: drops the elective options that do not count, of `message`, which is `outer` or `plain` of the item or a
 * copy of it. What was decrypted stands in memory of ours; a plain message goes on in the item's room. A proxy that carries
 * OSCORE unread leaves messages as they are. */
void nacre__item_drop_options(const nacre__core *core, const nacre__item *item, nacre_message *message, uint32_t seen);

#endif
