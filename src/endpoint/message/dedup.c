/* SPDX-License-Identifier: MIT */
/* dedup: a message is a duplicate when peer, message ID, length and a hash of all its bytes agree: a fast client reuses
 * message IDs within the exchange lifetime, but then the datagram differs. (Identical datagrams are the same protected
 * request; treated as new it would be a replay.) The hash is keyed, so that peers cannot choose collisions; a collision costs
 * only its sender a response.
 *
 * If no record is free, a new message evicts the oldest that is done and was not verified, then the oldest that is done:
 * forged traffic evicts forged traffic. A duplicate of an evicted protected request is still caught by the replay window. */
#include "endpoint/message/dedup.h"
#include "base/copy.h"

void nacre__dedup_lay_out(nacre__dedup *d, nacre__pool_layout *layout, uint32_t num)
{
    d->num = num;
    d->chains.num_buckets = nacre__num_buckets_for(num);
    d->records = nacre__lay_out(layout, num, sizeof *d->records);
    d->chains.buckets = nacre__lay_out(layout, d->chains.num_buckets, sizeof *d->chains.buckets);
}

void nacre__dedup_init(nacre__dedup *d, const nacre__core *core, uint8_t *bytes)
{
    d->core = core;
    d->links = (nacre__links){ &d->records->link, sizeof *d->records };
    d->chains.links = (nacre__links){ &d->records->chain, sizeof *d->records };
    nacre__chains_init(&d->chains);
    for (int i = 0; i < NACRE__DEDUP_STATES; i++) d->lists[i] = NACRE__LIST_EMPTY;
    for (uint32_t i = 0; i < d->num; i++) {
        d->records[i].bytes = bytes + core->config.max_message * i;
        nacre__list_append(d->links, &d->lists[NACRE__DEDUP_FREE], i);
    }
}

/* Moves the record to the end of the list of its new state. */
static void change_state(nacre__dedup *d, nacre__dedup_record *record, nacre__dedup_state state)
{
    const uint32_t self = nacre__dedup_index(d, record);
    nacre__list_remove(d->links, &d->lists[record->state], self);
    record->state = state;
    nacre__list_append(d->links, &d->lists[state], self);
}

nacre__dedup_record *nacre__dedup_find(const nacre__dedup *d, const nacre_datagram *datagram, uint16_t mid,
                                       uint64_t hash)
{
    for (uint32_t i = nacre__chain_first(&d->chains, hash); i != NACRE__NONE; i = nacre__chain_next(&d->chains, i)) {
        nacre__dedup_record *r = &d->records[i];
        if (r->hash == hash && r->mid == mid && r->datagram_len == datagram->bytes.len &&
            nacre_address_equal(&r->peer, &datagram->peer))
            return r;
    }
    return NULL;
}

static bool has_outlived(const nacre__dedup *d, const nacre__dedup_record *record, uint64_t now_ms)
{
    return now_ms >= nacre__after(record->arrived, d->core->config.timing.exchange_lifetime_ms);
}

/* Requests that wait for a store are dropped after the exchange lifetime, when their senders have given up. */
static bool can_be_evicted(const nacre__dedup *d, const nacre__dedup_record *record, uint64_t now_ms)
{
    if (record->in_queue) return false;
    if (record->state != NACRE__DEDUP_OPEN && record->state != NACRE__DEDUP_HELD) return true;
    return record->may_be_dropped && has_outlived(d, record, now_ms);
}

/* RFC 7252 4.8.2: after EXCHANGE_LIFETIME a repetition is a new message. */
bool nacre__dedup_has_expired(const nacre__dedup *d, const nacre__dedup_record *record, uint64_t now_ms)
{
    return has_outlived(d, record, now_ms) && can_be_evicted(d, record, now_ms);
}

static nacre__dedup_record *oldest_evictable(const nacre__dedup *d, nacre__dedup_state state, uint64_t now_ms)
{
    for (uint32_t i = d->lists[state].first; i != NACRE__NONE; i = d->records[i].link.next)
        if (can_be_evicted(d, &d->records[i], now_ms)) return &d->records[i];
    return NULL;
}

nacre__dedup_record *nacre__dedup_next(const nacre__dedup *d, uint64_t now_ms)
{
    const uint32_t free = d->lists[NACRE__DEDUP_FREE].first;
    if (free != NACRE__NONE) return &d->records[free];
    nacre__dedup_record *record = oldest_evictable(d, NACRE__DEDUP_UNAUTHENTICATED, now_ms);
    if (record == NULL) record = oldest_evictable(d, NACRE__DEDUP_DONE, now_ms);
    if (record == NULL) record = oldest_evictable(d, NACRE__DEDUP_HELD, now_ms);
    if (record == NULL) record = oldest_evictable(d, NACRE__DEDUP_OPEN, now_ms);
    return record;
}

static void prefetch(const nacre__dedup_record *record)
{
    for (size_t at = 0; at < sizeof *record; at += 64) NACRE__PREFETCH((const uint8_t *)record + at);
    NACRE__PREFETCH(record->bytes);
}

void nacre__dedup_add(nacre__dedup *d, nacre__dedup_record *record, const nacre_datagram *datagram, uint8_t type,
                      uint16_t mid, uint64_t hash, uint64_t now_ms)
{
    const uint32_t self = nacre__dedup_index(d, record);
    if (record->link.next != NACRE__NONE) prefetch(&d->records[record->link.next]); /* the next one to be used */
    if (record->state != NACRE__DEDUP_FREE) nacre__chain_remove(&d->chains, record->hash, self);
    record->peer = datagram->peer;
    record->hash = hash;
    record->arrived = now_ms;
    record->datagram_len = datagram->bytes.len;
    record->mid = mid;
    record->type = type;
    record->may_be_dropped = false;
    record->response_len = 0;
    change_state(d, record, NACRE__DEDUP_OPEN);
    nacre__chain_add(&d->chains, hash, self);
}

void nacre__dedup_hold(nacre__dedup *d, nacre__dedup_record *record)
{
    change_state(d, record, NACRE__DEDUP_HELD);
}

void nacre__dedup_reopen(nacre__dedup *d, nacre__dedup_record *record)
{
    change_state(d, record, NACRE__DEDUP_OPEN);
}

void nacre__dedup_done(nacre__dedup *d, nacre__dedup_record *record, nacre__dedup_state state)
{
    record->may_be_dropped = false;
    change_state(d, record, state);
}

void nacre__dedup_free(nacre__dedup *d, nacre__dedup_record *record)
{
    nacre__chain_remove(&d->chains, record->hash, nacre__dedup_index(d, record));
    change_state(d, record, NACRE__DEDUP_FREE);
}
