/* SPDX-License-Identifier: MIT */
/* server_exchanges: one for each deduplication record, at the same index: the state of the recorded message. */
#include "endpoint/exchange/server_exchange.h"
#include "base/copy.h"

void nacre__pending_request_leave(nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    if (exchange->pending != NACRE__NONE) {
        nacre__pending_request *pending = &x->pending[exchange->pending];
        if (pending->is_unasked) x->num_unasked--;
        pending->is_unasked = false;
        pending->server = NACRE__NONE;
    }
    exchange->pending = NACRE__NONE;
}

/* Releases what the exchange holds beside its own bytes. */
void nacre__server_exchange_leave_buffers(nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    nacre__separate_forget(x, exchange);
    nacre__pending_request_leave(x, exchange);
}

/* Drops every reference to the exchange except its record. */
static void forget(nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    const uint32_t self = nacre__server_exchange_index(x, exchange);
    nacre__persist_leave(x->persist, NACRE__OF_SERVER_EXCHANGE, self);
    if (exchange->record->in_queue) nacre__queue_remove(&x->tx->queue, NACRE__OF_SERVER_EXCHANGE, self);
    if (exchange->state == NACRE__SERVER_READY) nacre__queue_remove(x->events, NACRE__OF_SERVER_EXCHANGE, self);
    nacre__server_exchange_leave_buffers(x, exchange);
    if (exchange->observer != NACRE__NONE) x->upper.registration_ended(x->upper.self, exchange, NACRE_ERR_TIMEOUT);
    nacre__server_exchange_leave_peer(x, exchange);
    exchange->record->in_queue = false;
    exchange->number = 0;
    nacre__server_exchange_leave_context(x, exchange);
    exchange->state = NACRE__SERVER_FREE;
}

void nacre__server_exchange_release(nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    forget(x, exchange);
    nacre__dedup_free(x->dedup, exchange->record);
}

/* The exchange of a duplicate; NULL: the message is new. */
nacre__server_exchange *nacre__server_exchange_find(nacre__server_exchanges *x, const nacre_datagram *datagram,
                                                    uint16_t mid, uint64_t hash, uint64_t now_ms)
{
    nacre__dedup_record *record = nacre__dedup_find(x->dedup, datagram, mid, hash);
    if (record == NULL) return NULL;
    nacre__server_exchange *exchange = &x->all[nacre__dedup_index(x->dedup, record)];
    if (!nacre__dedup_has_expired(x->dedup, record, now_ms)) return exchange;
    nacre__server_exchange_release(x, exchange);
    return NULL;
}

static void prefetch(const nacre__server_exchange *exchange)
{
    for (size_t at = 0; at < sizeof *exchange; at += 64) NACRE__PREFETCH((const uint8_t *)exchange + at);
}

/* Records a message as NEW; NULL when all are in use. */
nacre__server_exchange *nacre__server_exchange_add(nacre__server_exchanges *x, const nacre_datagram *datagram,
                                                   const nacre_message *outer, uint64_t hash, uint64_t now_ms)
{
    nacre__dedup_record *record = nacre__dedup_next(x->dedup, now_ms);
    if (record == NULL) return NULL;
    const uint32_t self = nacre__dedup_index(x->dedup, record);
    nacre__server_exchange *exchange = &x->all[self];
    if (record->state != NACRE__DEDUP_FREE) forget(x, exchange);
    if (record->link.next != NACRE__NONE) prefetch(&x->all[record->link.next]); /* the next one to be used */
    nacre__dedup_add(x->dedup, record, datagram, outer->type, outer->mid, hash, now_ms);
    nacre__server_exchange_join_peer(x, exchange);
    exchange->state = NACRE__SERVER_NEW;
    exchange->echo = false;
    exchange->block_request = (nacre__outer_block_request){ 0 };
    exchange->acked = false;
    exchange->number = nacre__number_new(&exchange->generation, NACRE__OF_SERVER_EXCHANGE, self);
    return exchange;
}

/* Done; kept only to recognise duplicates. */
void nacre__server_exchange_done(nacre__server_exchanges *x, nacre__server_exchange *exchange, bool is_unauthenticated)
{
    nacre__persist_leave(x->persist, NACRE__OF_SERVER_EXCHANGE, nacre__server_exchange_index(x, exchange));
    nacre__server_exchange_leave_context(x, exchange);
    exchange->state = NACRE__SERVER_RESPONDED;
    nacre__dedup_done(x->dedup, exchange->record,
                      is_unauthenticated ? NACRE__DEDUP_UNAUTHENTICATED : NACRE__DEDUP_DONE);
}

/* Waits for the store of `context`. */
void nacre__server_exchange_wait(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_context *context)
{
    exchange->record->may_be_dropped = true;
    nacre__persist_join(x->persist, context, NACRE__OF_SERVER_EXCHANGE, nacre__server_exchange_index(x, exchange));
}

/* The request with that number, if it can be answered now. */
nacre__server_exchange *nacre__server_exchange_of(const nacre__server_exchanges *x, uint64_t number)
{
    const uint32_t index = nacre__number_index(number, NACRE__OF_SERVER_EXCHANGE);
    if (index >= x->core->config.num_server_exchanges) return NULL;
    nacre__server_exchange *exchange = &x->all[index];
    const bool is_open = exchange->state == NACRE__SERVER_DELIVERED || exchange->state == NACRE__SERVER_DEFERRED;
    return exchange->number == number && is_open ? exchange : NULL;
}
