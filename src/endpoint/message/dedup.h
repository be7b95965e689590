/* SPDX-License-Identifier: MIT */
/* dedup: bounded memory to recognise duplicates before OSCORE (RFC 7252 4.5). */
#ifndef NACRE_ENDPOINT_MESSAGE_DEDUP_H
#define NACRE_ENDPOINT_MESSAGE_DEDUP_H

#include "base/pool_layout.h"
#include "endpoint/core/list.h"

/* FREE -> OPEN (in use by its owner) -> DONE or UNAUTHENTICATED (the response is kept for duplicates) -> FREE
 *          | ^
 *          v |
 *         HELD (still in use when the next burst begins) -> DONE or UNAUTHENTICATED */
typedef enum nacre__dedup_state {
    NACRE__DEDUP_FREE = 0,
    NACRE__DEDUP_OPEN,
    NACRE__DEDUP_HELD,
    NACRE__DEDUP_UNAUTHENTICATED, /* done; the message was not verified, so it is evicted first */
    NACRE__DEDUP_DONE,
    NACRE__DEDUP_STATES,
} nacre__dedup_state;

/* One received message, by (peer, message ID, hash and length of the datagram), and the response to it. */
typedef struct nacre__dedup_record {
    nacre__link link; /* in the list of its state */
    uint32_t chain;   /* the next one in its bucket */
    nacre__dedup_state state;
    bool in_queue;       /* queued for transmission: not evicted */
    bool may_be_dropped; /* OPEN, HELD: it waits for a store, and is dropped after the exchange lifetime */
    uint8_t type;
    uint16_t mid;
    nacre_address peer;
    uint64_t hash;
    uint64_t arrived; /* ms */
    size_t datagram_len;
    uint8_t *bytes;      /* max_message: the response, written by the owner */
    size_t response_len; /* 0: none */
} nacre__dedup_record;

typedef struct nacre__dedup {
    const nacre__core *core;
    nacre__dedup_record *records;
    uint32_t num;
    nacre__links links;
    nacre__list lists[NACRE__DEDUP_STATES];
    nacre__chains chains;
} nacre__dedup;

void nacre__dedup_lay_out(nacre__dedup *d, nacre__pool_layout *layout, uint32_t num);
/* `bytes`: max_message for each record. */
void nacre__dedup_init(nacre__dedup *d, const nacre__core *core, uint8_t *bytes);

static inline uint32_t nacre__dedup_index(const nacre__dedup *d, const nacre__dedup_record *record)
{
    return (uint32_t)(record - d->records);
}

/* The record of that message; NULL: it is new. If nacre__dedup_has_expired, the owner frees it: the message is new then. */
nacre__dedup_record *nacre__dedup_find(const nacre__dedup *d, const nacre_datagram *datagram, uint16_t mid,
                                       uint64_t hash);
bool nacre__dedup_has_expired(const nacre__dedup *d, const nacre__dedup_record *record, uint64_t now_ms);

/* The record for the next message: a free one, or the oldest evictable, which its owner releases first. NULL when all are in
 * use. */
nacre__dedup_record *nacre__dedup_next(const nacre__dedup *d, uint64_t now_ms);

/* Assigns the record from nacre__dedup_next to that message: OPEN. */
void nacre__dedup_add(nacre__dedup *d, nacre__dedup_record *record, const nacre_datagram *datagram, uint8_t type,
                      uint16_t mid, uint64_t hash, uint64_t now_ms);

/* OPEN to HELD, and back. */
void nacre__dedup_hold(nacre__dedup *d, nacre__dedup_record *record);
void nacre__dedup_reopen(nacre__dedup *d, nacre__dedup_record *record);

/* Done; kept to recognise duplicates. `state`: DONE or UNAUTHENTICATED. */
void nacre__dedup_done(nacre__dedup *d, nacre__dedup_record *record, nacre__dedup_state state);
void nacre__dedup_free(nacre__dedup *d, nacre__dedup_record *record);

#endif
