/* SPDX-License-Identifier: MIT */
/* endpoint_internal: the structures of an endpoint, and what its files ask of each other.
 *
 * One block of memory from the caller, cut by endpoint.c:
 *
 *     nacre_endpoint | slots | tokens | due | entries | buckets | asks | controls | items | notes | queues |
 *     pushes | observers | outer | slot bytes (2 x max_message each) | entry bytes (max_message each) | burst rooms |
 *     parked rooms | push bytes (max_message each) | observer bytes (observer_bytes each) |
 *     outer bytes (2 x (max_message + max_unfragmented) each) | scratch | options
 *
 * A *slot* is one request of ours:
 *
 *     FREE -> QUEUED -> SENT -> ACKED -> ENDED -> FREE (when its event was pulled)
 *              |  ^^      `-----'------------^
 *              |  |`-- the store confirmed, or the peer has room for it; or an Echo came: once more with new MID, token
 *              v  |    and Partial IV
 *            WAITING  (protect said NOT_YET), HELD  (the peer has as many as it may: nstart.c)
 *
 * An observation goes from SENT or ACKED to OBSERVING, and from there to QUEUED and round again when it is registered anew
 * or given up (observing.c).
 *
 * An *entry* is one message of others that duplicates may follow: nearly always a request, sometimes a separate answer:
 *
 *     FREE -> NEW -> READY -> DELIVERED -> ANSWERED -> FREE (when its place is needed)
 *              |       ^       |  |-> WAITING -^     (the answer waits for the store)
 *              `-> PARKED      |  `-> LATER ---^     (the application answers when it can)
 *                              (unprotect said NOT_YET: the request's bytes wait)
 *
 * What an entry went through shows in the list that it is on: free, open (NEW to WAITING), cheap or done (ANSWERED).
 *
 * A *push* is one message that we send into an exchange of others of our own accord: pushes.c. An *observer* is one
 * registration that notifications follow: observers.c. An *outer* place holds blocks of a protected message:
 * outer_blocks.c. */
#ifndef NACRE_ENDPOINT_INTERNAL_H
#define NACRE_ENDPOINT_INTERNAL_H

#include <nacre/endpoint.h>
#include <nacre/rederivation.h>
#include "coap/block.h"
#include "coap/message.h"
#include "coap/option_check.h"
#include "endpoint/admission/address_validation.h"
#include "endpoint/admission/rate_limits.h"
#include "endpoint/admission/reset_belief.h"
#include "endpoint/core/exchange_number.h"
#include "endpoint/core/hash.h"
#include "endpoint/core/list.h"
#include "endpoint/core/protect_batch.h"
#include "endpoint/message/dedup.h"
#include "endpoint/message/nstart.h"

enum {
    NACRE__TOKEN_LEN = 8,
    NACRE__ECHO_LEN = 8,  /* of ours */
    NACRE__MAX_ECHO = 40, /* RFC 9175 2.2.1 */
    NACRE__KEPT_ECHOS = 16,
    NACRE__HEADER_LEN = 4,
    NACRE__RENEWAL_BUCKETS = 64,
    NACRE__STALLS = 64,
    NACRE__OBSERVER_COUNTS = 256, /* at least, where they are shared out */
    NACRE__MAX_HINT = 62,         /* bytes */
    NACRE__CHALLENGE_MS = 30000,  /* between two registrations of one observation that Echo challenges lead to */
};

typedef enum nacre__slot_state {
    NACRE__SLOT_FREE = 0,
    NACRE__SLOT_SENDING,
    NACRE__SLOT_WAITING,
    NACRE__SLOT_ACKED,
    NACRE__SLOT_OBSERVING,
    NACRE__SLOT_ENDED,
} nacre__slot_state;

/* Plain: how the answer to the newest registration may still come, once a message that may have been it was taken. */
typedef enum nacre__answer_due {
    NACRE__DUE_NOT = 0,
    NACRE__DUE_IN_ACK,   /* in the ACK of the registration */
    NACRE__DUE_SEPARATE, /* that ACK was empty: in a message of its own */
} nacre__answer_due;

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
    nacre__answer_due due;
    uint32_t before;         /* plain: `value` when the newest registration went out */
    uint64_t registered_at;  /* ms: the last first answer to a registration */
    uint64_t next_challenge; /* ms: the earliest registration that the next Echo challenge leads to */
} nacre__observation;

/* The last unprotected answer to a protected request that has to wait; it counts while `doubt` is UNAUTHENTICATED or
 * NOT_PROTECTED. */
typedef struct nacre__hint {
    uint8_t code, len;
    uint8_t text[NACRE__MAX_HINT]; /* the diagnostic payload, cut */
} nacre__hint;

/* One request of ours. Its token is in a dense array of the endpoint, for it is searched. */
typedef struct nacre__slot {
    nacre__slot_state state;
    nacre_exchange exchange;
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
    nacre_err doubt; /* why an answer was dropped, or NACRE_OK */
    nacre__hint hint;
    size_t oversized; /* bytes of the last response that was longer than max_message */
    nacre_err err;    /* ENDED: how */
    nacre_message message;
} nacre__slot;

/* What a request of others said of outer blocks, for its answer (outer_answers.c). */
typedef struct nacre__outer_wish {
    uint64_t key;    /* a hash of its sender and OSCORE option */
    uint32_t block1; /* the value to say again */
    bool has_block1, has_block2, sized;
    uint8_t szx; /* of Block2; `sized`: as it is used */
} nacre__outer_wish;

typedef enum nacre__entry_state {
    NACRE__ENTRY_FREE = 0,
    NACRE__ENTRY_NEW,
    NACRE__ENTRY_PARKED,
    NACRE__ENTRY_READY,
    NACRE__ENTRY_DELIVERED,
    NACRE__ENTRY_LATER,
    NACRE__ENTRY_WAITING,
    NACRE__ENTRY_ANSWERED,
} nacre__entry_state;

/* One message of others, by (peer, MID, hash of the datagram), and what was answered. */
typedef struct nacre__entry {
    nacre__entry_state state;
    nacre_exchange exchange;
    uint32_t generation;
    nacre__dedup_record *record; /* its own: the message, and its response; while WAITING, the plain one */
    bool echo;                   /* WAITING: the answer is the Echo challenge */
    bool acked;                  /* LATER: the empty ACK has gone, or none is due any more */
    bool has_echo;               /* DELIVERED, LATER: the request has an Echo option */
    uint8_t method;              /* DELIVERED, LATER: of the request … */
    uint8_t unwanted;            /* … and what its No-Response option names */
    uint32_t parked;             /* the parked room it holds, or NONE */
    uint32_t push;               /* LATER: its push, or NONE */
    uint32_t observer;           /* until it is answered: the observer that it registered, or NONE */
    nacre_context *context;
    nacre_request_id id;
    nacre__outer_wish wish;
    uint32_t seen;         /* READY: what options `message` may have: nacre__options_scan */
    nacre_message message; /* READY, DELIVERED: plain, and with the request's token */
} nacre__entry;

/* An empty message to send: ACK or RST. */
typedef struct nacre__control {
    nacre_address peer;
    uint16_t mid;
    uint8_t type;
} nacre__control;

/* A notification of this burst, or an OVERSIZED event, to be pulled. */
typedef struct nacre__note {
    nacre_exchange exchange;
    uint32_t slot;
    size_t oversized; /* 0: a notification */
    nacre_message message;
} nacre__note;

/* A place where a request's datagram waits for the store, and its plaintext lives afterwards. */
typedef struct nacre__parked {
    uint8_t *bytes; /* max_message for the datagram, max_message for the plaintext */
    size_t len;
    uint32_t entry; /* NONE: free */
    uint8_t partial_iv[5], partial_iv_len;
} nacre__parked;

/* What belongs to a message of our own accord beside its transmission: the separate answer to a request (RFC 7252 5.2.2), or a
 * notification (RFC 7641). It is held until the application says what, and waits if the store must be waited for. */
typedef struct nacre__push {
    nacre__transmission *t; /* its own; while it is held, the token is in its bytes, while it waits, the plain answer */
    bool is_waiting;        /* for the store */
    nacre_context *context; /* waiting: protects the answer; NULL otherwise */
    nacre_request_id id;    /* waiting: of the request */
    uint32_t entry;         /* held: the request that is answered later, or NONE */
    uint32_t observer;      /* whom it notifies, or NONE */
    size_t allowance, spent; /* bytes for an address that is not validated, and how many went there */
    bool is_validated;       /* its address: the allowance does not count */
    bool is_protected;
    bool is_con_note; /* a notification that is, or will be, CON: counted for its peer */
    nacre__outer_wish wish;
} nacre__push;

/* Somebody who wants to hear what becomes of a resource.
 *
 *     FREE -> REGISTERING -> IDLE -> PENDING -> DELIVERED -> BUSY -> IDLE or PENDING
 *     REGISTERING  its request is not answered yet        PENDING    changed; waits for a push
 *     DELIVERED    the application has the NOTIFY event   BUSY       its push is under way
 * and from PENDING, for a while, STALLED: it would be one CON too many on the way to its peer (RFC 7252 4.7);
 * and from each of them GONE, until its event is pulled. FRESH and CHANGED are IDLE and PENDING of a plain registration
 * that is not confirmed: its sender's address may be forged, so it comes after the rest. */
typedef enum nacre__observer_state {
    NACRE__OBSERVER_FREE = 0,
    NACRE__OBSERVER_REGISTERING,
    NACRE__OBSERVER_FRESH,
    NACRE__OBSERVER_IDLE,
    NACRE__OBSERVER_CHANGED,
    NACRE__OBSERVER_PENDING,
    NACRE__OBSERVER_STALLED,
    NACRE__OBSERVER_DELIVERED,
    NACRE__OBSERVER_BUSY,
    NACRE__OBSERVER_GONE,
    NACRE__OBSERVER_STATES,
} nacre__observer_state;

typedef struct nacre__observer {
    nacre__observer_state state;
    nacre_exchange exchange;
    uint32_t generation;
    uint32_t prev, next;             /* in the list of its state */
    uint32_t token_chain, mid_chain; /* next ones in its buckets */
    uint64_t token_hash, mid_hash;
    nacre_address peer;
    nacre_context *context; /* NULL: not protected */
    nacre_request_id id;    /* without the right to the request's nonce */
    void *user;
    uint8_t *bytes; /* observer_bytes: the registration, plain */
    size_t len;
    uint64_t last_con;    /* ms */
    uint32_t entry, push; /* REGISTERING; DELIVERED and BUSY */
    uint32_t number;      /* the last value of Observe */
    uint16_t mid;         /* of the last notification */
    uint8_t since_con;
    bool con, has_mid, changed;
    bool is_confirmed;   /* validated, or a CON notification was acknowledged: NON may follow (RFC 7641 7) */
    bool is_validated;   /* its address was validated at some time of the observation: no limit of bytes */
    bool is_checked;     /* a RST came for a protected one: the next notification is a CON, and decides */
    bool missed;         /* a notification was dropped because the store failed */
    uint64_t next_check; /* ms: not checked again before */
    nacre_err err;       /* GONE: why */
} nacre__observer;

/* An Echo value of a server, for the next request to it. */
typedef struct nacre__kept_echo {
    nacre_address peer;
    nacre_context *context; /* NULL: in clear */
    uint64_t when;          /* ms */
    uint8_t len;            /* 0: free */
    uint8_t value[NACRE__MAX_ECHO];
} nacre__kept_echo;

/* A protected message that came, or goes, in outer blocks.
 *
 *     FREE -> JOINING -> TAKEN -> FREE     a request of others; TAKEN: it is whole, and looked at until the next burst
 *     FREE -> FETCHING -> TAKEN -> FREE    an answer to us
 *     FREE -> CUT -> FREE                  an answer of ours that is asked for block by block */
typedef enum nacre__outer_state {
    NACRE__OUTER_FREE = 0,
    NACRE__OUTER_JOINING,
    NACRE__OUTER_FETCHING,
    NACRE__OUTER_CUT,
    NACRE__OUTER_TAKEN,
} nacre__outer_state;
typedef struct nacre__outer {
    nacre__outer_state state;
    nacre_address peer;
    uint64_t key;
    uint64_t touched; /* ms */
    uint8_t *head;    /* max_message: the options of the first block, or of the answer */
    uint8_t *body;    /* max_unfragmented: the ciphertext */
    uint8_t *plain;   /* both together: the plaintext */
    size_t head_len, body_len;
    size_t before; /* JOINING, TAKEN: body_len without the last block */
    bool given;    /* CUT: to its end; kept in case that it is asked for again, and nobody else wants the place */
    uint8_t code;
} nacre__outer;

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
    uint32_t seen; /* what options `outer` may have: nacre__options_scan */
    nacre_request_id id;
    nacre_response_info info;
    nacre_context *context;
    nacre_err err;
    uint32_t index;          /* of the slot or the entry */
    uint32_t ack;            /* an answer: 1 + the entry that holds its ACK; 0: none does */
    nacre_exchange exchange; /* the slot's: it may be another's by the time of delivery */
    bool is_old;             /* verified as an answer to the registration before the last */
    nacre__outer *place;     /* it was put together there; NULL: it came whole */
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

struct nacre_endpoint {
    union { /* two names for the same, while files move over to `core` */
        nacre__core core;
        struct {
            nacre_endpoint_config config;
            nacre_endpoint_stats stats;
            uint64_t now_ms;
        };
    };
    nacre__exchange_numbers numbers;
    nacre__persist_waits persist_waits;
    nacre__protect_batch protect_batch;
    nacre__transmissions tx;
    nacre__dedup dedup;
    nacre__address_validation validation;
    nacre__rate_limits rate_limits;
    nacre__reset_belief reset_belief;
    size_t size; /* of the whole block */

    nacre__slot *slots;
    uint64_t *tokens;    /* of slots that wait for an answer; 0 otherwise */
    uint32_t num_tokens; /* that are not 0 */
    uint32_t next_slot;
    uint32_t num_unlimited; /* slots whose limit is to be turned into a time */

    nacre__entry *entries;

    void (*on_confirmed)(void *self, nacre_context *context, nacre_err err); /* nacre__endpoint_on_confirmed; or NULL */
    void *on_confirmed_self;
    nacre__control *controls;
    uint32_t num_controls, first_control, max_controls;
    nacre__item *items;
    nacre_context **locked; /* burst: of the jobs */
    nacre_unprotect_item *jobs;
    nacre__note *notes;
    uint32_t num_notes, first_note;
    uint8_t *rooms; /* burst times max_message: plaintexts of the burst */
    nacre__parked *parked;
    uint32_t max_parked;
    uint8_t *scratch; /* max_message */
    uint8_t *options; /* max_message: options with one more among them */

    nacre__push *pushes;

    nacre__observer *observers;
    nacre__list observer_lists[NACRE__OBSERVER_STATES];
    uint32_t *token_buckets, *mid_buckets;
    nacre__list *stalled;      /* NACRE__STALLS lists of observers, by peer … */
    uint32_t *num_con_notes;   /* … and how many CON notifications are under way to those peers */
    uint32_t *observer_counts; /* by who it is: how many they have; those that fall together share */
    uint32_t num_observer_buckets, num_observer_counts; /* powers of two; of the latter 0: nothing is shared out */
    bool any_missed;                                    /* perhaps an observer has `missed` set */
    uint32_t max_observers, num_observing; /* places, one more than config.num_observers; those that have not ended */

    uint8_t echo_key[32];
    nacre__kept_echo kept_echos[NACRE__KEPT_ECHOS];
    nacre_rederivation *renewals[NACRE__RENEWAL_BUCKETS];
    nacre_rederivation *renewed; /* of which there is news */
    nacre__outer *outer;         /* num_outer */

    nacre__queue events;
};

/* endpoint.c */
bool nacre__events_view_messages(const nacre_endpoint *ep);
static inline uint64_t nacre__random(nacre_endpoint *ep)
{
    return nacre__core_random(&ep->core);
}
void nacre__send_empty(nacre_endpoint *ep, const nacre_address *peer, uint8_t type, uint16_t mid);
bool nacre__is_response_class(uint8_t code);
size_t nacre__max_message_to(const nacre_endpoint *ep, const nacre_address *peer); /* at most max_message */
bool nacre__has_option(nacre_bytes options, uint16_t number);

static inline void nacre__take(const nacre_endpoint *ep, nacre_context *context)
{
    nacre__context_lock(&ep->core, context);
}
static inline void nacre__give(const nacre_endpoint *ep, nacre_context *context)
{
    nacre__context_unlock(&ep->core, context);
}

static inline uint64_t nacre__hash(const nacre_endpoint *ep, const nacre_address *peer, nacre_bytes bytes)
{
    return nacre__peer_hash(&ep->core, peer, bytes);
}
/* server_exchange.c */
void nacre__server_exchanges_init(nacre_endpoint *ep);
nacre__entry *nacre__server_exchange_find(nacre_endpoint *ep, const nacre_datagram *datagram, uint16_t mid,
                                          uint64_t hash, uint64_t now_ms);
nacre__entry *nacre__server_exchange_add(nacre_endpoint *ep, const nacre_datagram *datagram, const nacre_message *outer,
                                         uint64_t hash, uint64_t now_ms);
void nacre__server_exchange_done(nacre_endpoint *ep, nacre__entry *entry, bool is_unauthenticated);
void nacre__server_exchange_release(nacre_endpoint *ep, nacre__entry *entry);
void nacre__server_exchange_wait(nacre_endpoint *ep, nacre__entry *entry, nacre_context *context);
static inline uint32_t nacre__entry_index(const nacre_endpoint *ep, const nacre__entry *entry)
{
    return (uint32_t)(entry - ep->entries);
}

/* answers.c: what becomes of requests of others. */
void nacre__answer_settle(nacre_endpoint *ep, nacre__entry *entry, const nacre__item *item);
void nacre__answer_header(nacre_endpoint *ep, const nacre__entry *entry, nacre_message *answer, nacre_bytes token);
void nacre__answer_written(nacre_endpoint *ep, nacre__entry *entry, size_t answer_len);
void nacre__answer_refuse(nacre_endpoint *ep, nacre__entry *entry, nacre_err err, nacre_bytes token);
void nacre__answer_empty(nacre_endpoint *ep, nacre__entry *entry);
void nacre__answer_again(nacre_endpoint *ep, nacre__entry *entry);
void nacre__answer_withdraw(nacre_endpoint *ep, nacre__entry *entry, nacre_err err);
void nacre__answer_confirmed(nacre_endpoint *ep, nacre__entry *entry, nacre_err err);
void nacre__answer_close_delivered(nacre_endpoint *ep);
nacre__entry *nacre__answer_entry(nacre_endpoint *ep, nacre_exchange exchange);
void nacre__answer_known_only(nacre_endpoint *ep, nacre__entry *entry);

void nacre__answer_unprotected(nacre_endpoint *ep, nacre__entry *entry, nacre_message *answer, nacre_bytes token);

/* oversized.c: datagrams that are cut, or longer than max_message. */
static inline size_t nacre__oversized(const nacre_endpoint *ep, const nacre_datagram *d) /* its length, or 0 */
{
    const size_t len = d->bytes.len;
    if (d->full_len > len) return d->full_len;
    return len > ep->config.max_message ? len : 0;
}
void nacre__oversized_request(nacre_endpoint *ep, nacre__entry *entry, const nacre__item *item);

/* receive.c */
nacre_buf nacre__item_room(const nacre_endpoint *ep, const nacre__item *item);
void nacre__item_drop_options(const nacre_endpoint *ep, const nacre__item *item, nacre_message *message, uint32_t seen);

/* outer_blocks.c: places for protected messages in blocks. */
void nacre__outer_begin(nacre_endpoint *ep);
void nacre__outer_peer_gone(nacre_endpoint *ep, const nacre_address *peer);
nacre__outer *nacre__outer_find(nacre_endpoint *ep, nacre__outer_state state, const nacre_address *peer, uint64_t key);
nacre__outer *nacre__outer_take(nacre_endpoint *ep, nacre__outer_state state, const nacre_address *peer, uint64_t key);
void nacre__outer_drop(nacre__outer *place);
bool nacre__outer_add(const nacre_endpoint *ep, nacre__outer *place, nacre_bytes piece);
nacre_buf nacre__outer_room(const nacre_endpoint *ep, const nacre__outer *place);
void nacre__outer_copy_options(nacre_options *o, nacre_bytes options);

/* outer_requests.c, outer_answers.c: of others. */
bool nacre__outer_request(nacre_endpoint *ep, nacre__entry *entry, nacre__item *item);
void nacre__outer_put_back(nacre__outer *place);
void nacre__outer_put_off(nacre_endpoint *ep, nacre__entry *entry, const nacre__item *item);
size_t nacre__outer_extra(const nacre__outer_wish *wish);
size_t nacre__outer_most(const nacre__outer_wish *wish);
bool nacre__outer_write(nacre_endpoint *ep, const nacre_address *peer, nacre__outer_wish *wish, nacre_bytes bytes,
                        nacre_outgoing *out);
void nacre__outer_serve(nacre_endpoint *ep, nacre__entry *entry, const nacre__item *item, nacre__block asked);

/* outer_fetch.c: of answers to us. */
nacre__item_kind nacre__outer_sort(nacre_endpoint *ep, nacre__slot *slot, nacre__item *item);
void nacre__outer_block(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item, uint64_t now_ms);
void nacre__outer_forget(nacre_endpoint *ep, nacre__slot *slot);
nacre_err nacre__outer_write_next(nacre_endpoint *ep, const nacre__slot *slot, nacre_bytes *out, nacre_buf room,
                                  uint16_t mid, nacre_bytes token);

/* later.c: answers that the application gives in its own time. */
void nacre__later_acknowledge(nacre_endpoint *ep, nacre__entry *entry);
nacre_err nacre__later_hold(nacre_endpoint *ep, nacre__entry *entry);
void nacre__later_end(nacre_endpoint *ep, nacre__entry *entry);
nacre_err nacre__later_send(nacre_endpoint *ep, nacre__entry *entry, nacre_message *answer);

/* pushes.c: messages of our own accord. */
void nacre__pushes_init(nacre_endpoint *ep);
nacre__push *nacre__push_take(nacre_endpoint *ep);
bool nacre__push_is_to_spare(const nacre_endpoint *ep);
void nacre__push_set_con_note(nacre_endpoint *ep, nacre__push *push, bool is_con_note);
void nacre__push_drop(nacre_endpoint *ep, nacre__push *push);
uint32_t nacre__push_index(const nacre_endpoint *ep, const nacre__push *push);
nacre_err nacre__push_send(nacre_endpoint *ep, nacre__push *push, nacre_context *context, nacre_request_id *id,
                           nacre_message *answer);
bool nacre__push_transmit(nacre_endpoint *ep, nacre__push *push, nacre_outgoing *out, uint64_t now_ms);
bool nacre__push_settle(nacre_endpoint *ep, nacre__push *push, bool is_reset);
void nacre__push_confirmed(nacre_endpoint *ep, nacre__push *push, nacre_err err);
void nacre__push_due(nacre_endpoint *ep, nacre__push *push, nacre__transmission_outcome outcome);
static inline nacre__push *nacre__push_of(nacre_endpoint *ep, const nacre__transmission *t)
{
    return &ep->pushes[nacre__transmission_index(&ep->tx, t) - ep->tx.num_requests];
}
static inline bool nacre__push_is_held(const nacre__push *push) /* for what the application says */
{
    return push->t->state == NACRE__TRANSMISSION_IDLE && !push->is_waiting;
}
static inline bool nacre__push_is_used(const nacre__push *push)
{
    return push->t->state != NACRE__TRANSMISSION_FREE && push->t->state != NACRE__TRANSMISSION_CUT;
}

/* observers.c, notify.c: who hears what becomes of a resource. */
void nacre__observers_init(nacre_endpoint *ep);
uint32_t nacre__stall_of(const nacre_endpoint *ep, const nacre_address *peer);
void nacre__observers_go_on(nacre_endpoint *ep, const nacre_address *peer);
void nacre__observer_set(nacre_endpoint *ep, nacre__observer *observer, nacre__observer_state state);
nacre__observer *nacre__observer_of(nacre_endpoint *ep, nacre_exchange exchange);
uint32_t nacre__observer_index(const nacre_endpoint *ep, const nacre__observer *observer);
void nacre__observer_free(nacre_endpoint *ep, nacre__observer *observer);
void nacre__observer_end(nacre_endpoint *ep, nacre__observer *observer, nacre_err err);
void nacre__observer_cancel(nacre_endpoint *ep, const nacre__entry *entry);
bool nacre__observer_reset(nacre_endpoint *ep, const nacre_address *peer, uint16_t mid);
void nacre__observer_check(nacre_endpoint *ep, nacre__observer *observer);
static inline void nacre__observer_confirmed(nacre__observer *observer) /* a CON to it was acknowledged */
{
    observer->is_confirmed = true;
    observer->is_checked = false;
}
void nacre__observer_set_mid(nacre_endpoint *ep, nacre__observer *observer, uint16_t mid);
void nacre__observers_gone(nacre_endpoint *ep, const nacre_context *context, const nacre_address *peer, nacre_err err);
nacre_err nacre__observe_add(nacre_endpoint *ep, nacre__observer *observer, nacre_message *answer, nacre_bytes echo);
void nacre__observer_begun(nacre_endpoint *ep, nacre__observer *observer, nacre__push *push);
void nacre__observer_settled(nacre_endpoint *ep, nacre__observer *observer, nacre_err err);
void nacre__observer_missed(nacre_endpoint *ep, nacre__observer *observer);
void nacre__observers_catch_up(nacre_endpoint *ep, const nacre_context *context);
bool nacre__observers_gone_event(nacre_endpoint *ep, nacre_event *event);
bool nacre__observers_notify_event(nacre_endpoint *ep, nacre_event *event);
nacre_err nacre__observer_respond(nacre_endpoint *ep, nacre_exchange exchange, const nacre_message *plain);
void nacre__observer_ignore(nacre_endpoint *ep, nacre_exchange exchange);
nacre_err nacre__observer_later(nacre_endpoint *ep, nacre_exchange exchange);
void nacre__observers_close_delivered(nacre_endpoint *ep);

/* requests.c, responses.c: our own requests. */
static inline bool nacre__slot_is_sent(const nacre__slot *slot)
{
    return slot->state == NACRE__SLOT_SENDING && slot->t->state == NACRE__TRANSMISSION_SENT;
}
static inline bool nacre__slot_waits(const nacre__slot *slot) /* for an answer */
{
    return nacre__slot_is_sent(slot) || slot->state == NACRE__SLOT_ACKED;
}
nacre__slot *nacre__slot_by_token(nacre_endpoint *ep, const nacre_address *peer, nacre_bytes token);
bool nacre__slot_knows_its_mid(const nacre__slot *slot);
uint32_t nacre__slot_index(const nacre_endpoint *ep, const nacre__slot *slot);
void nacre__slot_set_token(nacre_endpoint *ep, const nacre__slot *slot, uint64_t token);
void nacre__slot_end(nacre_endpoint *ep, nacre__slot *slot, nacre_err err, const nacre_message *message);
void nacre__slot_queue(nacre_endpoint *ep, nacre__slot *slot);
void nacre__slot_acknowledged(nacre_endpoint *ep, nacre__slot *slot, uint64_t now_ms);
void nacre__slot_pause(nacre_endpoint *ep, nacre__slot *slot);
void nacre__slot_again(nacre_endpoint *ep, nacre__slot *slot);
void nacre__slot_wait(nacre_endpoint *ep, nacre__slot *slot);
void nacre__slots_limit(nacre_endpoint *ep, uint64_t now_ms);
void nacre__slot_due(nacre_endpoint *ep, nacre__slot *slot, nacre__transmission_outcome outcome);
void nacre__slot_give_up(nacre_endpoint *ep, nacre__slot *slot);
nacre__slot *nacre__slot_of(nacre_endpoint *ep, nacre_exchange exchange);
nacre__slot *nacre__slot_new(nacre_endpoint *ep, const nacre_address *peer, void *user);
nacre_err nacre__slot_set_option(nacre_endpoint *ep, nacre__slot *slot, uint16_t number, nacre_bytes value);
void nacre__slot_reset(nacre_endpoint *ep, nacre__slot *slot);
void nacre__slot_answered(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item, uint64_t now_ms);
void nacre__slot_oversized(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item, uint64_t now_ms);
void nacre__slot_release(nacre_endpoint *ep, nacre__slot *slot);

/* reach.c: validated addresses. allowance.c: what the others get. */
bool nacre__entry_exceeds(const nacre_endpoint *ep, const nacre__entry *entry, const nacre_message *answer,
                          size_t extra);
bool nacre__observer_exceeds(const nacre_endpoint *ep, const nacre__observer *o, const nacre_message *answer,
                             size_t extra);
bool nacre__is_slice(const nacre_message *answer);
bool nacre__entry_offers(const nacre_endpoint *ep, const nacre__entry *entry, const nacre_message *answer);
bool nacre__observer_offers(const nacre_endpoint *ep, const nacre__observer *o, const nacre_message *answer);
nacre_err nacre__answer_bare(nacre_endpoint *ep, nacre_message *answer);

/* echo.c: asking for an Echo. */
void nacre__echo_heard(nacre_endpoint *ep, const nacre__item *item);
nacre_err nacre__echo_ask(nacre_endpoint *ep, const nacre_address *peer, nacre_message *answer);
nacre_bytes nacre__echo_for(const nacre_endpoint *ep, const nacre_address *peer, uint8_t value[NACRE__ECHO_LEN]);
nacre_err nacre__echo_add(nacre_endpoint *ep, nacre_message *answer, nacre_bytes echo);
/* kept_echo.c: Echo values of servers. */
void nacre__echo_keep(nacre_endpoint *ep, const nacre__slot *slot, const nacre_message *answer);
void nacre__echo_keep_outer(nacre_endpoint *ep, const nacre__slot *slot, const nacre_message *outer);
void nacre__echo_bring(nacre_endpoint *ep, nacre__slot *slot);
void nacre__echo_bring_outer(nacre_endpoint *ep, const nacre__slot *slot, nacre_bytes *datagram, nacre_buf room);
void nacre__echo_forget(nacre_endpoint *ep, const nacre_context *context, const nacre_address *peer);

/* renewal_client.c, renewal_server.c, renewal.c: RFC 8613 B.2. */
bool nacre__renewal_may_ask(const nacre_endpoint *ep, const nacre_rederivation *r, const nacre_context *context);
nacre_context *nacre__renewal_no_context(nacre_rederivation *r);
bool nacre__renewal_choose(nacre_endpoint *ep, nacre__slot *slot);
const nacre_protect_options *nacre__renewal_how(const nacre__slot *slot, nacre_protect_options *room);
bool nacre__renewal_answer(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item);
bool nacre__renewal_verified(nacre_endpoint *ep, nacre__slot *slot);
void nacre__renewal_left(nacre_endpoint *ep, const nacre__slot *slot);
nacre_context *nacre__renewal_next_context(nacre_endpoint *ep, nacre__item *item);
bool nacre__renewal_is_past(const nacre__item *item);
void nacre__renewal_proved(nacre_endpoint *ep, const nacre__item *item);
bool nacre__renewal_takes(nacre_endpoint *ep, nacre__entry *entry, nacre__item *item);
bool nacre__renewal_event(nacre_endpoint *ep, nacre_event *event);
void nacre__renewals_wipe(nacre_endpoint *ep);

/* observing.c */
void nacre__observation_init(nacre__slot *slot, const nacre_message *plain);
size_t nacre__observation_extra(const nacre_message *plain);
const nacre_request_id *nacre__observation_id(const nacre__slot *slot, const nacre__item *item);
void nacre__observation_sent(nacre__slot *slot);
void nacre__observation_plain(nacre__slot *slot);
void nacre__observation_acknowledged(nacre__slot *slot);
void nacre__observations_challenged(nacre_endpoint *ep, const nacre__slot *asked, uint64_t now_ms);
bool nacre__observation_ignores(const nacre__slot *slot, const nacre__item *item);
bool nacre__observation_takes(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item,
                              const nacre_message *answer, uint64_t now_ms);
void nacre__observation_renew(nacre_endpoint *ep, nacre__slot *slot);
bool nacre__observation_survives(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item, uint64_t now_ms);
bool nacre__observation_next_note(nacre_endpoint *ep, nacre_event *event);
void nacre__stray_answer(nacre_endpoint *ep, const nacre__item *item);

/* reliable.c: a connection has gone. */
void nacre__peer_gone(nacre_endpoint *ep, const nacre_address *peer);

/* contexts.c */
/* `on_confirmed` hears of each nacre_endpoint_confirmed, and of contexts that go (NACRE_ERR_NO_CONTEXT), before the endpoint acts
 * on it: the driver learns what stores told the endpoint themselves. */
void nacre__endpoint_on_confirmed(nacre_endpoint *ep, void (*on_confirmed)(void *, nacre_context *, nacre_err),
                                  void *self);

#endif
