/* SPDX-License-Identifier: MIT */
/* dedup: the bounded memory in which duplicates are recognised, before OSCORE sees them (RFC 7252 4.5).
 *
 * A message is the one we know when peer, MID, length and a hash of all its bytes agree: a fast client comes round to an
 * old MID within the exchange lifetime, and then its datagram differs. (Two datagrams that agree in all bytes are the
 * same protected request; deciding otherwise would make it a replay.) The hash is keyed, so that no peer can choose what
 * collides; a collision costs its sender an answer, no more.
 *
 * Entries are found through buckets with chains, and stand in one of four lists: free, open, cheap, done. A new one takes
 * the place of the oldest that is done when no other is free, and before that of the oldest that is cheap: done too, but
 * nobody vouched for its message, so that forged traffic pushes out what was forged. What went is not forgotten where it
 * matters: a protected request is caught by its replay window. */
#include "endpoint/endpoint_internal.h"

/* ---- Lists and buckets --------------------------------------------------------------------------------------------- */

static nacre__list *list_of(nacre_endpoint *ep, const nacre__entry *entry)
{
    if (entry->state == NACRE__ENTRY_FREE) return &ep->free;
    if (entry->state != NACRE__ENTRY_ANSWERED) return &ep->open;
    return entry->cheap ? &ep->cheap : &ep->done;
}

/* Puts `entry` behind `prev`, or first when that is NONE. */
static void list_insert(nacre_endpoint *ep, nacre__list *list, nacre__entry *entry, uint32_t prev)
{
    const uint32_t self = nacre__entry_index(ep, entry);
    uint32_t *forward = prev == NACRE__NONE ? &list->first : &ep->entries[prev].next;
    entry->prev = prev;
    entry->next = *forward;
    uint32_t *backward = entry->next == NACRE__NONE ? &list->last : &ep->entries[entry->next].prev;
    *forward = *backward = self;
}

static void list_remove(nacre_endpoint *ep, nacre__list *list, nacre__entry *entry)
{
    *(entry->prev == NACRE__NONE ? &list->first : &ep->entries[entry->prev].next) = entry->next;
    *(entry->next == NACRE__NONE ? &list->last : &ep->entries[entry->next].prev) = entry->prev;
}

/* Moves an entry to the end of the list of its new state. */
static void change_state(nacre_endpoint *ep, nacre__entry *entry, nacre__entry_state state, bool cheap)
{
    list_remove(ep, list_of(ep, entry), entry);
    entry->state = state;
    entry->cheap = cheap;
    nacre__list *list = list_of(ep, entry);
    list_insert(ep, list, entry, list->last);
}

static uint32_t *bucket_of(nacre_endpoint *ep, uint64_t hash)
{
    return &ep->buckets[(hash ^ hash >> 32) & (ep->num_buckets - 1)];
}

static void unchain(nacre_endpoint *ep, nacre__entry *entry)
{
    const uint32_t self = nacre__entry_index(ep, entry);
    uint32_t *link = bucket_of(ep, entry->hash);
    while (*link != self) link = &ep->entries[*link].chain;
    *link = entry->chain;
}

void nacre__dedup_init(nacre_endpoint *ep)
{
    ep->free = ep->open = ep->cheap = ep->done = (nacre__list){ NACRE__NONE, NACRE__NONE };
    for (uint32_t i = 0; i < ep->num_buckets; i++) ep->buckets[i] = NACRE__NONE;
    for (uint32_t i = 0; i < ep->config.num_server_exchanges; i++) {
        ep->entries[i].parked = ep->entries[i].push = ep->entries[i].observer = NACRE__NONE;
        list_insert(ep, &ep->free, &ep->entries[i], ep->free.last);
    }
}

/* ---- Finding, adding, giving up ------------------------------------------------------------------------------------ */

static bool outlived(const nacre_endpoint *ep, const nacre__entry *entry, uint64_t now_ms)
{
    return now_ms >= nacre__after(entry->born, ep->config.timing.exchange_lifetime_ms);
}

/* Whether somebody still works with the entry. Requests that wait for a store that never says a word are given up
 * after the exchange lifetime: their senders have. */
static bool can_go(const nacre_endpoint *ep, const nacre__entry *entry, uint64_t now_ms)
{
    if (entry->in_transmit) return false;
    if (entry->state == NACRE__ENTRY_ANSWERED) return true;
    return (entry->state == NACRE__ENTRY_PARKED || entry->state == NACRE__ENTRY_WAITING) && outlived(ep, entry, now_ms);
}

/* Nothing knows of it any more but the list that it stands in. */
static void forget(nacre_endpoint *ep, nacre__entry *entry)
{
    nacre__persist_leave(&ep->persist_waits, NACRE__OF_ENTRY, nacre__entry_index(ep, entry));
    if (entry->in_transmit) nacre__queue_remove(&ep->tx.queue, NACRE__OF_ENTRY, nacre__entry_index(ep, entry));
    if (entry->state == NACRE__ENTRY_READY)
        nacre__queue_remove(&ep->events, NACRE__OF_ENTRY, nacre__entry_index(ep, entry));
    if (entry->parked != NACRE__NONE) ep->parked[entry->parked].entry = NACRE__NONE;
    entry->parked = NACRE__NONE;
    nacre__later_end(ep, entry);
    if (entry->observer != NACRE__NONE) nacre__observer_end(ep, &ep->observers[entry->observer], NACRE_ERR_TIMEOUT);
    entry->in_transmit = false;
    entry->exchange = 0;
    entry->context = NULL;
    unchain(ep, entry);
}

void nacre__dedup_release(nacre_endpoint *ep, nacre__entry *entry)
{
    forget(ep, entry);
    change_state(ep, entry, NACRE__ENTRY_FREE, false);
}

nacre__entry *nacre__dedup_find(nacre_endpoint *ep, const nacre_datagram *datagram, uint16_t mid, uint64_t hash,
                                uint64_t now_ms)
{
    for (uint32_t i = *bucket_of(ep, hash); i != NACRE__NONE; i = ep->entries[i].chain) {
        nacre__entry *entry = &ep->entries[i];
        if (entry->hash != hash || entry->mid != mid || entry->datagram_len != datagram->bytes.len ||
            !nacre_address_equal(&entry->peer, &datagram->peer))
            continue;
        if (!outlived(ep, entry, now_ms) || !can_go(ep, entry, now_ms)) return entry;
        nacre__dedup_release(ep, entry); /* RFC 7252 4.8.2: behind EXCHANGE_LIFETIME it is a new message */
        return NULL;
    }
    return NULL;
}

static nacre__entry *first_that_can_go(nacre_endpoint *ep, const nacre__list *list, uint64_t now_ms)
{
    for (uint32_t i = list->first; i != NACRE__NONE; i = ep->entries[i].next)
        if (can_go(ep, &ep->entries[i], now_ms)) return &ep->entries[i];
    return NULL;
}

/* It stands in the list that it stood in. */
static nacre__entry *free_entry(nacre_endpoint *ep, uint64_t now_ms)
{
    if (ep->free.first != NACRE__NONE) return &ep->entries[ep->free.first];
    nacre__entry *entry = first_that_can_go(ep, &ep->cheap, now_ms);
    if (entry == NULL) entry = first_that_can_go(ep, &ep->done, now_ms);
    if (entry == NULL) entry = first_that_can_go(ep, &ep->open, now_ms);
    if (entry != NULL) forget(ep, entry);
    return entry;
}

/* The one behind it will be taken next: by then it is here. */
static void fetch(const nacre__entry *entry)
{
    for (size_t at = 0; at < sizeof *entry; at += 64) NACRE__PREFETCH((const uint8_t *)entry + at);
    NACRE__PREFETCH(entry->bytes);
}

/* Remembers a message as NEW; NULL when every entry is in use. */
nacre__entry *nacre__dedup_add(nacre_endpoint *ep, const nacre_datagram *datagram, const nacre_message *outer,
                               uint64_t hash, uint64_t now_ms)
{
    nacre__entry *entry = free_entry(ep, now_ms);
    if (entry == NULL) return NULL;
    const uint32_t self = nacre__entry_index(ep, entry);
    if (entry->next != NACRE__NONE) fetch(&ep->entries[entry->next]);
    entry->peer = datagram->peer;
    entry->hash = hash;
    entry->born = now_ms;
    entry->datagram_len = datagram->bytes.len;
    entry->mid = outer->mid;
    entry->type = outer->type;
    entry->echo = false;
    entry->wish = (nacre__outer_wish){ 0 };
    entry->acked = false;
    entry->answer_len = 0;
    entry->exchange = nacre__exchange_new(&ep->numbers, &entry->generation, true, self);
    change_state(ep, entry, NACRE__ENTRY_NEW, false);
    uint32_t *bucket = bucket_of(ep, hash);
    entry->chain = *bucket;
    *bucket = self;
    return entry;
}

/* Nothing more is to be done but to know it again. */
void nacre__dedup_done(nacre_endpoint *ep, nacre__entry *entry, bool cheap)
{
    nacre__persist_leave(&ep->persist_waits, NACRE__OF_ENTRY, nacre__entry_index(ep, entry));
    entry->context = NULL;
    change_state(ep, entry, NACRE__ENTRY_ANSWERED, cheap);
}
