/* SPDX-License-Identifier: MIT */
/* observers: who is registered for notifications (RFC 7641 4.1), and how each ends.
 *
 * An observer keeps its registration: the plain request, from which every notification's token comes, and with which a
 * later registration or cancellation is compared; and the request's identity, to which every protected notification is
 * bound, without the right to the request's nonce (RFC 8613 8.3.1). Observers are found by peer and token, and by peer and
 * the MID of their last notification, through buckets; each stands in the list of its state. */
#include "endpoint/endpoint_internal.h"

#include <string.h>

uint32_t nacre__observer_index(const nacre_endpoint *ep, const nacre__observer *observer)
{
    return (uint32_t)(observer - ep->observers);
}

/* ---- Lists --------------------------------------------------------------------------------------------------------- */

/* Of the peers that share a place among the stalled ones. */
uint32_t nacre__stall_of(const nacre_endpoint *ep, const nacre_address *peer)
{
    const uint64_t hash = nacre__hash(ep, peer, NACRE_ABSENT);
    return (uint32_t)(hash ^ hash >> 32) % NACRE__STALLS;
}

static nacre__list *list_of(nacre_endpoint *ep, const nacre__observer *o)
{
    if (o->state == NACRE__OBSERVER_STALLED) return &ep->stalled[nacre__stall_of(ep, &o->peer)];
    return &ep->observer_lists[o->state];
}

static void list_remove(nacre_endpoint *ep, nacre__observer *o)
{
    nacre__list *list = list_of(ep, o);
    *(o->prev == NACRE__NONE ? &list->first : &ep->observers[o->prev].next) = o->next;
    *(o->next == NACRE__NONE ? &list->last : &ep->observers[o->next].prev) = o->prev;
}

static void list_append(nacre_endpoint *ep, nacre__observer *o)
{
    nacre__list *list = list_of(ep, o);
    const uint32_t self = nacre__observer_index(ep, o);
    o->prev = list->last;
    o->next = NACRE__NONE;
    *(list->last == NACRE__NONE ? &list->first : &ep->observers[list->last].next) = self;
    list->last = self;
}

/* Moves it to the end of the list of its new state. */
void nacre__observer_set(nacre_endpoint *ep, nacre__observer *o, nacre__observer_state state)
{
    list_remove(ep, o);
    o->state = state;
    list_append(ep, o);
}

void nacre__observers_init(nacre_endpoint *ep)
{
    for (size_t i = 0; i < NACRE__OBSERVER_STATES; i++)
        ep->observer_lists[i] = (nacre__list){ NACRE__NONE, NACRE__NONE };
    for (size_t i = 0; ep->max_observers > 0 && i < NACRE__STALLS; i++)
        ep->stalled[i] = (nacre__list){ NACRE__NONE, NACRE__NONE };
    for (uint32_t i = 0; i < ep->num_observer_buckets; i++) ep->token_buckets[i] = ep->mid_buckets[i] = NACRE__NONE;
    for (uint32_t i = 0; i < ep->max_observers; i++) {
        ep->observers[i].entry = ep->observers[i].push = NACRE__NONE;
        list_append(ep, &ep->observers[i]);
    }
}

/* ---- Buckets ------------------------------------------------------------------------------------------------------- */

static uint32_t *bucket_in(const nacre_endpoint *ep, uint32_t *buckets, uint64_t hash)
{
    return &buckets[(hash ^ hash >> 32) & (ep->num_observer_buckets - 1)];
}

static uint64_t hash_of_mid(const nacre_endpoint *ep, const nacre_address *peer, uint16_t mid)
{
    const uint8_t bytes[2] = { (uint8_t)(mid >> 8), (uint8_t)mid };
    return nacre__hash(ep, peer, NACRE_ARRAY(bytes));
}

static void unchain_token(nacre_endpoint *ep, nacre__observer *o)
{
    const uint32_t self = nacre__observer_index(ep, o);
    uint32_t *link = bucket_in(ep, ep->token_buckets, o->token_hash);
    while (*link != self) link = &ep->observers[*link].token_chain;
    *link = o->token_chain;
}

static void unchain_mid(nacre_endpoint *ep, nacre__observer *o)
{
    if (!o->has_mid) return;
    const uint32_t self = nacre__observer_index(ep, o);
    uint32_t *link = bucket_in(ep, ep->mid_buckets, o->mid_hash);
    while (*link != self) link = &ep->observers[*link].mid_chain;
    *link = o->mid_chain;
    o->has_mid = false;
}

/* The last notification goes, or went, under that MID: a RST may name it. */
void nacre__observer_set_mid(nacre_endpoint *ep, nacre__observer *o, uint16_t mid)
{
    unchain_mid(ep, o);
    o->mid = mid;
    o->mid_hash = hash_of_mid(ep, &o->peer, mid);
    o->has_mid = true;
    uint32_t *bucket = bucket_in(ep, ep->mid_buckets, o->mid_hash);
    o->mid_chain = *bucket;
    *bucket = nacre__observer_index(ep, o);
}

/* ---- Shares ----------------------------------------------------------------------------------------------------------
 * One peer must not have all places. A peer is a security context: its keys are what it cannot have more of. Without them it
 * is an address. */

static uint32_t *count_of(const nacre_endpoint *ep, const nacre_context *context, const nacre_address *peer)
{
    static const nacre_address nobody;
    const nacre_bytes pointer = { (const uint8_t *)&context, sizeof context };
    const uint64_t hash = context != NULL ? nacre__hash(ep, &nobody, pointer) : nacre__hash(ep, peer, NACRE_ABSENT);
    return &ep->observer_counts[(hash ^ hash >> 32) & (ep->num_observer_counts - 1)];
}

static void count(const nacre_endpoint *ep, const nacre__observer *o, bool one_more)
{
    if (ep->num_observer_counts == 0) return;
    uint32_t *num = count_of(ep, o->context, &o->peer);
    *num = one_more ? *num + 1 : *num - 1;
}

static bool has_its_share(const nacre_endpoint *ep, const nacre__entry *entry)
{
    return ep->num_observer_counts > 0 &&
           *count_of(ep, entry->context, &entry->record->peer) >= ep->config.observers_per_peer;
}

/* ---- The same client, the same registration ------------------------------------------------------------------------ */

/* RFC 7641 3.6, RFC 7252 5.6: what does not tell one registration from another. */
static bool is_beside_the_key(uint16_t number)
{
    return number == NACRE_OPT_OBSERVE || number == NACRE_OPT_ETAG || number == NACRE_OPT_NO_RESPONSE ||
           (number & 0x1e) == 0x1c;
}

static bool next_of_key(nacre_option_iter *it, nacre_option *option)
{
    while (nacre_option_next(it, option))
        if (!is_beside_the_key(option->number)) return true;
    return false;
}

static bool same_key(const nacre_message *a, const nacre_message *b)
{
    nacre_option_iter in_a = nacre_option_begin(a->options), in_b = nacre_option_begin(b->options);
    nacre_option x, y;
    if (a->code != b->code || !nacre_bytes_equal(a->payload, b->payload)) return false;
    for (;;) {
        const bool has_x = next_of_key(&in_a, &x), has_y = next_of_key(&in_b, &y);
        if (!has_x || !has_y) return has_x == has_y;
        if (x.number != y.number || !nacre_bytes_equal(x.value, y.value)) return false;
    }
}

/* RFC 7641 4.1: plain, the client's address and the token are the registration. RFC 8613 4.1.3.5: protected, a token alone
 * says nothing, for it is not authenticated; the context and the options that were encrypted must agree as well. */
static bool is_same(const nacre__observer *o, const nacre__entry *entry, uint64_t token_hash)
{
    nacre_message kept;
    return o->token_hash == token_hash && o->context == entry->context &&
           nacre_address_equal(&o->peer, &entry->record->peer) &&
           nacre_message_parse(&kept, nacre_bytes_of(o->bytes, o->len)) == NACRE_OK &&
           nacre_bytes_equal(kept.token, entry->message.token) &&
           (o->context == NULL || same_key(&kept, &entry->message));
}

static nacre__observer *find(nacre_endpoint *ep, const nacre__entry *entry)
{
    const uint64_t hash = nacre__hash(ep, &entry->record->peer, entry->message.token);
    for (uint32_t i = *bucket_in(ep, ep->token_buckets, hash); i != NACRE__NONE; i = ep->observers[i].token_chain)
        if (is_same(&ep->observers[i], entry, hash)) return &ep->observers[i];
    return NULL;
}

/* ---- Ending -------------------------------------------------------------------------------------------------------- */

void nacre__observer_free(nacre_endpoint *ep, nacre__observer *o)
{
    o->exchange = 0;
    o->user = NULL;
    nacre__observer_set(ep, o, NACRE__OBSERVER_FREE);
}

/* The one way to an end; its event is to be pulled. Whatever was on its way to it is not sent any more. */
void nacre__observer_end(nacre_endpoint *ep, nacre__observer *o, nacre_err err)
{
    if (o->push != NACRE__NONE) nacre__push_drop(ep, &ep->pushes[o->push]);
    if (o->entry != NACRE__NONE) ep->entries[o->entry].observer = NACRE__NONE;
    o->push = o->entry = NACRE__NONE;
    unchain_token(ep, o);
    unchain_mid(ep, o);
    count(ep, o, false);
    nacre_wipe(o->bytes, o->len);
    o->context = NULL;
    o->missed = false;
    o->err = err;
    ep->num_observing--;
    nacre__observer_set(ep, o, NACRE__OBSERVER_GONE);
}

/* RFC 7641 3.6: a registration's request once more, but with Observe 1. */
void nacre__observer_cancel(nacre_endpoint *ep, const nacre__entry *entry)
{
    uint64_t value;
    const nacre_bytes option = nacre_option_find(entry->message.options, NACRE_OPT_OBSERVE);
    if (nacre_is_absent(option) || !nacre_option_uint(option, &value) || value != 1) return;
    nacre__observer *o = find(ep, entry);
    if (o != NULL) nacre__observer_end(ep, o, NACRE_OK);
}

/* RFC 7641 3.6, 4.2: a notification that is rejected ends a plain observation. A protected one it ends no more than any
 * other message that is not protected: it makes the next notification a CON, whose fate decides. */
bool nacre__observer_reset(nacre_endpoint *ep, const nacre_address *peer, uint16_t mid)
{
    const uint64_t hash = hash_of_mid(ep, peer, mid);
    for (uint32_t i = *bucket_in(ep, ep->mid_buckets, hash); i != NACRE__NONE; i = ep->observers[i].mid_chain) {
        nacre__observer *o = &ep->observers[i];
        if (o->mid != mid || o->mid_hash != hash || !nacre_address_equal(&o->peer, peer)) continue;
        if (o->context != NULL) nacre__observer_check(ep, o);
        else nacre__observer_end(ep, o, NACRE_ERR_RESET);
        return true;
    }
    return false;
}

/* A context, or with NULL a peer, has gone, and all its observers with it. */
void nacre__observers_gone(nacre_endpoint *ep, const nacre_context *context, const nacre_address *peer, nacre_err err)
{
    for (uint32_t i = 0; i < ep->max_observers; i++) {
        nacre__observer *o = &ep->observers[i];
        if (o->state == NACRE__OBSERVER_FREE || o->state == NACRE__OBSERVER_GONE) continue;
        if (context != NULL ? o->context == context : nacre_address_equal(&o->peer, peer))
            nacre__observer_end(ep, o, err);
    }
}

/* ---- Registering --------------------------------------------------------------------------------------------------- */

static bool asks_to_observe(const nacre_message *request)
{
    uint64_t value;
    const nacre_bytes option = nacre_option_find(request->options, NACRE_OPT_OBSERVE);
    return (request->code == NACRE_GET || request->code == NACRE_FETCH) && !nacre_is_absent(option) &&
           nacre_option_uint(option, &value) && value == 0;
}

/* A place, if need be that of the oldest plain one that is not confirmed: registrations with a forged sender cannot
 * hold all places for ever. There is one place more than observers, for an ended one keeps its own until its event is pulled. */
static nacre__observer *place(nacre_endpoint *ep)
{
    if (ep->num_observing == ep->config.num_observers) {
        uint32_t fresh = ep->observer_lists[NACRE__OBSERVER_FRESH].first;
        if (fresh == NACRE__NONE) fresh = ep->observer_lists[NACRE__OBSERVER_CHANGED].first;
        if (fresh == NACRE__NONE) return NULL;
        nacre__observer_end(ep, &ep->observers[fresh], NACRE_ERR_BUSY);
    }
    const uint32_t free = ep->observer_lists[NACRE__OBSERVER_FREE].first;
    return free == NACRE__NONE ? NULL : &ep->observers[free];
}

/* Keeps the request, which fits. */
static void keep(nacre_endpoint *ep, nacre__observer *o, nacre__entry *entry)
{
    nacre_bytes out = NACRE_ABSENT;
    if (nacre_message_write(&entry->message, &out, (nacre_buf){ o->bytes, ep->config.observer_bytes }) != NACRE_OK)
        out.len = 0;
    o->len = out.len;
    o->peer = entry->record->peer;
    o->context = entry->context;
    o->id = nacre_request_id_dup(&entry->id); /* RFC 8613 8.3.1: the nonce is the first answer's */
    o->token_hash = nacre__hash(ep, &entry->record->peer, entry->message.token);
    uint32_t *bucket = bucket_in(ep, ep->token_buckets, o->token_hash);
    o->token_chain = *bucket;
    *bucket = nacre__observer_index(ep, o);
    entry->observer = nacre__observer_index(ep, o);
    o->entry = nacre__entry_index(ep, entry);
    count(ep, o, true);
}

nacre_err nacre_endpoint_observe(nacre_endpoint *ep, nacre_exchange exchange, void *user, nacre_exchange *observer)
{
    nacre__entry *entry = nacre__answer_entry(ep, exchange);
    if (entry == NULL || entry->state != NACRE__ENTRY_DELIVERED) return NACRE_ERR_STALE;
    if (!asks_to_observe(&entry->message) || entry->observer != NACRE__NONE) return NACRE_ERR_BAD_ARGUMENT;
    if (nacre_message_size(&entry->message) > ep->config.observer_bytes) return NACRE_ERR_TOO_LONG;
    /* RFC 7641 4.1: a second registration of one client under one token takes the place of the first */
    nacre__observer *old = find(ep, entry);
    if (old != NULL) nacre__observer_end(ep, old, NACRE_ERR_STALE);
    if (has_its_share(ep, entry)) return NACRE_ERR_BUSY;
    nacre__observer *o = place(ep);
    if (o == NULL) return NACRE_ERR_BUSY;
    keep(ep, o, entry);
    o->user = user;
    o->number = (uint32_t)ep->now_ms & 0xffffff;
    o->last_con = ep->now_ms;
    o->since_con = 0;
    o->con = entry->record->type == NACRE_CON;
    o->is_validated = o->is_confirmed = nacre__is_validated(&ep->validation, &o->peer);
    o->changed = o->is_checked = false;
    o->next_check = 0;
    ep->num_observing++;
    o->exchange = nacre__exchange_new(&ep->numbers, &o->generation, NACRE__OF_OBSERVER, nacre__observer_index(ep, o));
    nacre__observer_set(ep, o, NACRE__OBSERVER_REGISTERING);
    *observer = o->exchange;
    return NACRE_OK;
}

/* The observer with that number; NULL when it has ended. */
nacre__observer *nacre__observer_of(nacre_endpoint *ep, nacre_exchange exchange)
{
    const uint32_t index = nacre__exchange_index(&ep->numbers, NACRE__OF_OBSERVER, exchange);
    if (index >= ep->max_observers) return NULL;
    nacre__observer *o = &ep->observers[index];
    return o->exchange == exchange && o->state != NACRE__OBSERVER_GONE ? o : NULL;
}

void nacre_endpoint_drop_observer(nacre_endpoint *ep, nacre_exchange observer)
{
    const uint32_t index = nacre__exchange_index(&ep->numbers, NACRE__OF_OBSERVER, observer);
    if (index >= ep->max_observers) return;
    nacre__observer *o = &ep->observers[index];
    if (o->exchange != observer) return;
    if (o->state != NACRE__OBSERVER_GONE) nacre__observer_end(ep, o, NACRE_OK);
    nacre__observer_free(ep, o);
}
