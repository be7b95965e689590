/* SPDX-License-Identifier: MIT */
/* server_exchange: one for each record of the deduplication, at the same index: what becomes of the message that it records. */
#include "endpoint/exchange/server_exchange.h"
#include "base/copy.h"

/* Nothing knows of it any more but its record. */
static void forget(nacre__exchanges *x, nacre__entry *entry)
{
    const uint32_t self = nacre__entry_index(x, entry);
    nacre__persist_leave(x->persist, NACRE__OF_ENTRY, self);
    if (entry->record->in_queue) nacre__queue_remove(&x->tx->queue, NACRE__OF_ENTRY, self);
    if (entry->state == NACRE__ENTRY_READY) nacre__queue_remove(&x->events, NACRE__OF_ENTRY, self);
    if (entry->parked != NACRE__NONE) x->parked[entry->parked].entry = NACRE__NONE;
    entry->parked = NACRE__NONE;
    nacre__later_end(x, entry);
    if (entry->observer != NACRE__NONE) x->upper.registration_ended(x->upper.self, entry, NACRE_ERR_TIMEOUT);
    entry->record->in_queue = false;
    entry->exchange = 0;
    entry->context = NULL;
    entry->state = NACRE__ENTRY_FREE;
}

void nacre__server_exchange_release(nacre__exchanges *x, nacre__entry *entry)
{
    forget(x, entry);
    nacre__dedup_free(x->dedup, entry->record);
}

/* The message has come before: its exchange; NULL: it is new. */
nacre__entry *nacre__server_exchange_find(nacre__exchanges *x, const nacre_datagram *datagram, uint16_t mid,
                                          uint64_t hash, uint64_t now_ms)
{
    nacre__dedup_record *record = nacre__dedup_find(x->dedup, datagram, mid, hash);
    if (record == NULL) return NULL;
    nacre__entry *entry = &x->entries[nacre__dedup_index(x->dedup, record)];
    if (!nacre__dedup_has_expired(x->dedup, record, now_ms)) return entry;
    nacre__server_exchange_release(x, entry);
    return NULL;
}

static void prefetch(const nacre__entry *entry)
{
    for (size_t at = 0; at < sizeof *entry; at += 64) NACRE__PREFETCH((const uint8_t *)entry + at);
}

/* Records a message as NEW; NULL when all are in use. */
nacre__entry *nacre__server_exchange_add(nacre__exchanges *x, const nacre_datagram *datagram,
                                         const nacre_message *outer, uint64_t hash, uint64_t now_ms)
{
    nacre__dedup_record *record = nacre__dedup_next(x->dedup, now_ms);
    if (record == NULL) return NULL;
    const uint32_t self = nacre__dedup_index(x->dedup, record);
    nacre__entry *entry = &x->entries[self];
    if (record->state != NACRE__DEDUP_FREE) forget(x, entry);
    if (record->link.next != NACRE__NONE) prefetch(&x->entries[record->link.next]); /* it is taken next */
    nacre__dedup_add(x->dedup, record, datagram, outer->type, outer->mid, hash, now_ms);
    entry->state = NACRE__ENTRY_NEW;
    entry->echo = false;
    entry->wish = (nacre__outer_wish){ 0 };
    entry->acked = false;
    entry->exchange = nacre__exchange_new(&x->numbers, &entry->generation, NACRE__OF_ENTRY, self);
    return entry;
}

/* Nothing more is to be done but to recognise it. */
void nacre__server_exchange_done(nacre__exchanges *x, nacre__entry *entry, bool is_unauthenticated)
{
    nacre__persist_leave(x->persist, NACRE__OF_ENTRY, nacre__entry_index(x, entry));
    entry->context = NULL;
    entry->state = NACRE__ENTRY_ANSWERED;
    nacre__dedup_done(x->dedup, entry->record, is_unauthenticated ? NACRE__DEDUP_UNAUTHENTICATED : NACRE__DEDUP_DONE);
}

/* It goes on when the store of `context` has answered. */
void nacre__server_exchange_wait(nacre__exchanges *x, nacre__entry *entry, nacre_context *context)
{
    entry->record->may_be_dropped = true;
    nacre__persist_join(x->persist, context, NACRE__OF_ENTRY, nacre__entry_index(x, entry));
}
