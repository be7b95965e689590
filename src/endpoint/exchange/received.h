/* SPDX-License-Identifier: MIT */
/* received: the state of a datagram in nacre_endpoint_receive_many. */
#ifndef NACRE_ENDPOINT_EXCHANGE_RECEIVED_H
#define NACRE_ENDPOINT_EXCHANGE_RECEIVED_H

#include "coap/message.h"
#include "endpoint/core/core.h"
#include "oscore/option.h"

typedef enum nacre__received_kind {
    NACRE__RECEIVED_DONE, /* at first, and when nothing is left to deliver */
    NACRE__RECEIVED_EMPTY,
    NACRE__RECEIVED_REQUEST,
    NACRE__RECEIVED_RESPONSE,
    NACRE__RECEIVED_BLOCK,     /* a block of a response */
    NACRE__RECEIVED_OVERSIZED, /* the start of a response */
} nacre__received_kind;
/* What each pass reads lies together, on the first two cache lines. */
typedef struct nacre__received {
    nacre__received_kind kind;
    nacre_err err;
    uint32_t index; /* of the client or server exchange */
    uint32_t ack;   /* a response: 1 + the server exchange that holds its ACK; 0: none */
    uint32_t seen;  /* options `outer` may have: nacre__options_scan at parsing */
    uint32_t job;   /* while contexts are tried: the burst's unprotect item … */
    uint8_t tried;  /* … and how many were */
    bool open;
    bool recovers;          /* the replay window of the last context tried is unknown */
    bool rederivations_end; /* none is left to try */
    bool is_old;            /* verified as a response to the previous registration */
    const nacre_datagram *datagram;
    nacre_context *context;
    nacre_rederivation *rederivation; /* the last one tried */
    struct nacre__outer *joined;      /* joined from outer blocks there; NULL: not split */
    size_t oversized;    /* full length if truncated or longer than max_message (`outer` is its start); else 0 */
    size_t cursor;       /* in the table of contexts, … */
    nacre_context *next; /* … and the context found there */
    uint64_t number;     /* the exchange's: the entry may be reused before delivery */
    nacre_buf buf;       /* for its plaintext */
    nacre_message outer, plain;
    nacre__outer_options read; /* of `outer`, when it is to be opened */
    nacre_request_id id;
    nacre_response_info info;
} nacre__received;

/* RFC 7252 5.4.3, 5.4.5: drops invalid elective options of `message`, which is `outer` or `plain` of the item or a copy of
 * it. Decrypted messages are in the endpoint's memory; a plain one is rewritten into `buf`. With opaque_oscore nothing is
 * dropped. Returns the options found: nacre__options_seen. */
uint32_t nacre__received_drop_options(const nacre__core *core, const nacre__received *received, nacre_message *message);

/* nacre__has_option of `outer`. */
static inline bool nacre__received_has(const nacre__received *received, uint16_t number)
{
    return (received->seen & NACRE__SEEN(number)) != 0 && nacre__has_option(received->outer.options, number);
}

#endif
