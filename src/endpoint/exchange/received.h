/* SPDX-License-Identifier: MIT */
/* received: a datagram on its way through nacre_endpoint_receive_many. */
#ifndef NACRE_ENDPOINT_EXCHANGE_RECEIVED_H
#define NACRE_ENDPOINT_EXCHANGE_RECEIVED_H

#include "coap/message.h"
#include "endpoint/core/core.h"
#include "oscore/option.h"

/* One datagram on its way through receive_many. */
typedef enum nacre__received_kind {
    NACRE__RECEIVED_DONE, /* 0, for items begin all zero */
    NACRE__RECEIVED_EMPTY,
    NACRE__RECEIVED_REQUEST,
    NACRE__RECEIVED_RESPONSE,
    NACRE__RECEIVED_BLOCK,     /* a part of an answer to us */
    NACRE__RECEIVED_OVERSIZED, /* the start of an answer to us */
} nacre__received_kind;
typedef struct nacre__received {
    nacre__received_kind kind;
    const nacre_datagram *datagram;
    size_t oversized; /* its full length, when it is longer than max_message or cut: `outer` is its start; or 0 */
    nacre_message outer, plain;
    nacre_buf buf; /* for its plaintext */
    uint32_t seen; /* what options `outer` may have: nacre__options_scan, when it was parsed */
    nacre_request_id id;
    nacre_response_info info;
    nacre_context *context;
    nacre_err err;
    uint32_t index;              /* of the exchange or the exchange */
    uint32_t ack;                /* an answer: 1 + the exchange that holds its ACK; 0: none does */
    nacre_exchange number;       /* the exchange's: it may be another's by the time of delivery */
    bool is_old;                 /* verified as an answer to the registration before the last */
    struct nacre__outer *joined; /* it was put together there; NULL: it came whole */
    /* while contexts are tried: */
    nacre_rederivation *rederivation; /* the last one tried */
    bool rederivations_end;           /* there are no more */
    nacre__outer_options read;        /* of `outer`, when it is to be opened */
    size_t cursor;                    /* in the table, */
    nacre_context *next;              /* and what was found there */
    uint32_t job;                     /* open: which of the burst's */
    uint8_t tried;
    bool open;
    bool recovers; /* the context that it was tried with last does not know its replay window */
} nacre__received;

/* RFC 7252 5.4.3, 5.4.5: drops the elective options that do not count, of `message`, which is `outer` or `plain` of the item
 * or a copy of it. What was decrypted stands in memory of ours; a plain message goes on in its room. A proxy that carries
 * OSCORE unread leaves messages as they are. Gives what options there were: nacre__options_seen. */
uint32_t nacre__received_drop_options(const nacre__core *core, const nacre__received *received, nacre_message *message);

/* nacre__has_option of `outer`. */
static inline bool nacre__received_has(const nacre__received *received, uint16_t number)
{
    return (received->seen & NACRE__SEEN(number)) != 0 && nacre__has_option(received->outer.options, number);
}

#endif
