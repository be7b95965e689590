/* SPDX-License-Identifier: MIT */
/* transmissions: outgoing messages, transmitted until they are acknowledged, reset, answered or given up (RFC 7252 4.2, 4.3):
 * requests, pings, separate responses, notifications.
 *
 *     FREE -> IDLE -> QUEUED -> SENT -> FREE
 *               ^      |   ^     |
 *               |      v   |     |  (retransmitted: in the queue again, SENT)
 *               |      HELD      |
 *               `----------------'
 *     IDLE    nothing to send yet, or its owner waits for something other than an ACK
 *     HELD    over the limit of its peer: NSTART, PROBING_RATE (nstart.h)
 *     CUT     released while in the queue: FREE when dequeued
 *
 * The first `num_requests` belong to the client exchanges, one to one; the others are taken and released. One heap holds the
 * timers: `due` is the retransmission while SENT, else set by the owner. One index finds transmissions by peer and message
 * ID, for ACK and RST. Outcomes are returned to the caller, which notifies the owner. */
#ifndef NACRE_ENDPOINT_MESSAGE_TRANSMISSIONS_H
#define NACRE_ENDPOINT_MESSAGE_TRANSMISSIONS_H

#include "base/pool_layout.h"
#include "endpoint/core/list.h"
#include "endpoint/core/queue.h"
#include "endpoint/message/message_ids.h"
#include "endpoint/message/probing_rate.h"

typedef enum nacre__transmission_state {
    NACRE__TRANSMISSION_FREE = 0,
    NACRE__TRANSMISSION_IDLE,
    NACRE__TRANSMISSION_HELD,
    NACRE__TRANSMISSION_QUEUED,
    NACRE__TRANSMISSION_SENT,
    NACRE__TRANSMISSION_CUT,
} nacre__transmission_state;

typedef struct nacre__transmission {
    nacre__transmission_state state;
    uint32_t next;    /* FREE: the next free one, or NONE */
    uint32_t chain;   /* the next one in its bucket of message IDs */
    uint32_t heap_at; /* its heap index, or NONE */
    uint64_t due;     /* ms */
    uint64_t give_up; /* ms: `due` is never later; NEVER without a limit */
    nacre_address peer;
    uint8_t *bytes; /* max_message: the datagram, each time the same (RFC 7252 4.2) */
    size_t len;
    uint64_t timeout; /* ms until the next retransmission */
    uint64_t order;   /* of requests: nstart.h */
    uint64_t sent_at; /* ms: requests: when it began to count for NSTART */
    uint16_t mid;     /* of the ACK expected, if has_mid */
    uint8_t type, retransmissions;
    bool in_queue, has_mid;
    bool outstanding; /* counts for NSTART */
    bool is_probing;  /* HELD: by PROBING_RATE */
} nacre__transmission;

typedef struct nacre__transmissions {
    const nacre__core *core;
    nacre__message_ids ids;
    nacre__probing_rate probing;
    nacre__transmission *all;
    uint32_t num, num_requests;
    uint32_t *timers; /* a heap of indices, the earliest first */
    uint32_t num_timers, first_free, num_free;
    nacre__chains by_mid;
    uint32_t num_with_mid; /* often 0 in a server */
    nacre__queue queue;    /* to be sent: OF_TRANSMISSION, and entries of other layers */
    uint64_t next_order;
    uint32_t num_held;
} nacre__transmissions;

/* `num_others`: how many can be taken; `queue_cap`: capacity of the queue. */
void nacre__transmissions_lay_out(nacre__transmissions *tx, nacre__pool_layout *layout, uint32_t num_requests,
                                  uint32_t num_others, uint32_t queue_cap);
void nacre__transmissions_init(nacre__transmissions *tx, const nacre__core *core);

static inline uint32_t nacre__transmission_index(const nacre__transmissions *tx, const nacre__transmission *t)
{
    return (uint32_t)(t - tx->all);
}

/* Takes one, IDLE; NULL when all are in use. Releases it, in any state. */
nacre__transmission *nacre__transmission_take(nacre__transmissions *tx);
void nacre__transmission_give_back(nacre__transmissions *tx, nacre__transmission *t);

/* Sets its timer; NEVER leaves only `give_up`. */
void nacre__transmission_set_due(nacre__transmissions *tx, nacre__transmission *t, uint64_t due);

/* A message ID not in use for `peer`. */
uint16_t nacre__new_mid(nacre__transmissions *tx, const nacre_address *peer);
/* Makes `mid` the only message ID that acknowledges it; unset: none does. */
void nacre__transmission_set_mid(nacre__transmissions *tx, nacre__transmission *t, uint16_t mid);
void nacre__transmission_unset_mid(nacre__transmissions *tx, nacre__transmission *t);
/* NULL: none. */
nacre__transmission *nacre__transmission_find(const nacre__transmissions *tx, const nacre_address *peer, uint16_t mid);

/* Queues the first transmission. */
void nacre__transmission_queue(nacre__transmissions *tx, nacre__transmission *t);
/* Stops transmission until it is queued again: IDLE, no timer except `give_up`. */
void nacre__transmission_stop(nacre__transmissions *tx, nacre__transmission *t);
/* The next in the queue, a transmission or an entry of another layer; false: nothing to send. */
bool nacre__transmissions_next(nacre__transmissions *tx, nacre__ref *ref);
/* Its datagram was sent: SENT, starts the timer (RFC 7252 4.2; a NON waits for the response only). */
void nacre__transmission_sent(nacre__transmissions *tx, nacre__transmission *t, uint64_t now_ms);

/* The next one due at `now_ms`; false: none. Retransmissions and held requests are queued without being returned. */
typedef enum nacre__transmission_outcome {
    NACRE__TRANSMISSION_TIMED_OUT,   /* given up: MAX_RETRANSMIT, response timeout, or `give_up` */
    NACRE__TRANSMISSION_OWNER_TIMER, /* IDLE: the timer set by its owner */
} nacre__transmission_outcome;
bool nacre__transmissions_expire(nacre__transmissions *tx, nacre__transmission **t,
                                 nacre__transmission_outcome *outcome, uint64_t now_ms);
static inline uint64_t nacre__transmissions_deadline(const nacre__transmissions *tx)
{
    return tx->num_timers > 0 ? tx->all[tx->timers[0]].due : NACRE__NEVER;
}

#endif
