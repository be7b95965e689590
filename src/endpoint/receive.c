/* SPDX-License-Identifier: MIT */
/* receive: a burst of datagrams on its way in, in three passes: sort (parse, duplicates, whose is it), unprotect, deliver.
 *
 * The passes are apart so that all of a burst is decrypted in one call. Nothing but the dedup memory changes before the
 * last pass, which takes the datagrams in the order in which they came. */
#include "endpoint/endpoint_struct.h"
#include "endpoint/core/hash.h"
#include "coap/message.h"
#include "coap/option_check.h"

#include <string.h>

/* ---- Sorting ------------------------------------------------------------------------------------------------------- */

/* RFC 7252 4.2, 4.3: what a CON cannot be processed for is rejected with RST; the rest is dropped. */
static void reject(nacre_endpoint *ep, const nacre_address *peer, uint8_t type, uint16_t mid)
{
    if (type == NACRE_CON) nacre__send_empty(&ep->empty, peer, NACRE_RST, mid);
}

static void reject_malformed(nacre_endpoint *ep, const nacre_datagram *datagram)
{
    const nacre_bytes b = datagram->bytes;
    ep->core.stats.malformed++;
    if (b.len < NACRE__HEADER_LEN || b.ptr[0] >> 6 != 1) return; /* RFC 7252 3: unknown versions in silence */
    reject(ep, &datagram->peer, b.ptr[0] >> 4 & 3, (uint16_t)(b.ptr[2] << 8 | b.ptr[3]));
}

/* Whether any context has that kid. */
static bool is_for_us(void *self, nacre_bytes kid)
{
    nacre_endpoint *ep = self;
    size_t cursor = 0;
    const nacre_table *contexts = ep->core.config.contexts;
    if (contexts != NULL && nacre_table_find(contexts, kid, NACRE_ABSENT, &cursor) != NULL) return true;
    return nacre__renewal_next(&ep->rederive, NULL, kid) != NULL;
}

static void sort_request(nacre_endpoint *ep, nacre__item *item, uint64_t now_ms)
{
    if (item->outer.type > NACRE_NON) return; /* RFC 7252 4.2: ACK and RST carry no requests */
    item->seen = nacre__options_seen(item->outer.options);
    const uint64_t hash = nacre__peer_hash(&ep->core, &item->datagram->peer, item->datagram->bytes);
    const bool may_repeat = !nacre_address_is_reliable(&item->datagram->peer);
    nacre__entry *known =
        may_repeat ? nacre__server_exchange_find(&ep->exchanges, item->datagram, item->outer.mid, hash, now_ms) : NULL;
    if (known != NULL) {
        nacre__answer_again(&ep->exchanges, known);
        return;
    }
    nacre__entry *entry = nacre__server_exchange_add(&ep->exchanges, item->datagram, &item->outer, hash, now_ms);
    if (entry == NULL) {
        ep->core.stats.dropped++;
        return;
    }
    item->index = nacre__entry_index(&ep->exchanges, entry);
    if (item->oversized != 0) nacre__oversized_request(&ep->exchanges, entry, item);
    else if (nacre__outer_request(&ep->outer, entry, item, is_for_us, ep)) item->kind = NACRE__ITEM_REQUEST;
}

/* A separate answer as CON: it gets its ACK whatever OSCORE says of it (RFC 8613 8.4, RFC 7252 4.2), and the ACK is kept,
 * for duplicates may come when the exchange has long ended. */
static void acknowledge_answer(nacre_endpoint *ep, nacre__item *item, uint64_t hash, uint64_t now_ms)
{
    nacre__entry *entry = nacre__server_exchange_add(&ep->exchanges, item->datagram, &item->outer, hash, now_ms);
    if (entry == NULL) {
        nacre__send_empty(&ep->empty, &item->datagram->peer, NACRE_ACK, item->outer.mid);
        return;
    }
    nacre__answer_empty(&ep->exchanges, entry);
    item->ack = nacre__entry_index(&ep->exchanges, entry) + 1;
}

/* An answer that nobody waits for. RFC 7252 4.2: a CON is rejected. RFC 7641 3.6: so is any notification, that it be the
 * last. */
static void stray_answer(nacre_endpoint *ep, const nacre__item *item)
{
    const nacre_message *m = &item->outer;
    ep->core.stats.dropped++;
    if (nacre_address_is_reliable(&item->datagram->peer)) return; /* RFC 8323 3: there is no RST */
    if (m->type == NACRE_CON || (m->type == NACRE_NON && nacre__has_option(m->options, NACRE_OPT_OBSERVE)))
        nacre__send_empty(&ep->empty, &item->datagram->peer, NACRE_RST, m->mid);
}

static void sort_response(nacre_endpoint *ep, nacre__item *item, uint64_t now_ms)
{
    const nacre_address *peer = &item->datagram->peer;
    const bool is_con = item->outer.type == NACRE_CON;
    uint64_t hash = 0;
    if (item->outer.type == NACRE_RST) return; /* RFC 7252 4.2: a RST is empty */
    if (is_con) {
        hash = nacre__peer_hash(&ep->core, &item->datagram->peer, item->datagram->bytes);
        nacre__entry *known =
            nacre__server_exchange_find(&ep->exchanges, item->datagram, item->outer.mid, hash, now_ms);
        if (known != NULL) {
            nacre__answer_again(&ep->exchanges, known);
            return;
        }
    }
    nacre__slot *slot = nacre__slot_by_token(&ep->exchanges, peer, item->outer.token);
    if (slot == NULL) {
        stray_answer(ep, item);
        return;
    }
    /* RFC 7252 5.3.2: a piggybacked answer matches by token and MID */
    if (item->outer.type == NACRE_ACK && item->outer.mid != slot->t->mid) {
        ep->core.stats.dropped++;
        return;
    }
    if (is_con) acknowledge_answer(ep, item, hash, now_ms);
    item->index = nacre__slot_index(&ep->exchanges, slot);
    item->exchange = slot->exchange;
    item->kind = item->oversized != 0 ? NACRE__ITEM_OVERSIZED : nacre__outer_sort(&ep->outer, slot, item);
}

/* Of a datagram that is cut, or longer than max_message, its length; or 0. */
static size_t oversized(const nacre_endpoint *ep, const nacre_datagram *d)
{
    const size_t len = d->bytes.len;
    if (d->full_len > len) return d->full_len;
    return len > ep->core.config.max_message ? len : 0;
}

static nacre_err parse(nacre__item *item, nacre_bytes bytes)
{
    return item->oversized == 0 ? nacre_message_parse(&item->outer, bytes)
                                : nacre__message_parse_start(&item->outer, bytes);
}

static void sort_one(nacre_endpoint *ep, nacre__item *item, const nacre_datagram *datagram, uint64_t now_ms)
{
    item->datagram = datagram;
    item->room = (nacre_buf){ ep->rooms + (size_t)(item - ep->items) * ep->core.config.max_message,
                              ep->core.config.max_message };
    ep->core.stats.received++;
    item->oversized = oversized(ep, datagram);
    if (parse(item, datagram->bytes) != NACRE_OK) {
        reject_malformed(ep, datagram);
        return;
    }
    if (item->outer.code == NACRE_EMPTY) item->kind = NACRE__ITEM_EMPTY;
    else if (nacre_code_is_request(item->outer.code)) sort_request(ep, item, now_ms);
    else if (nacre__is_response_class(item->outer.code)) sort_response(ep, item, now_ms);
    else /* RFC 7252 4.2: a reserved class; 7.xx is signaling, which UDP has none of */ reject_malformed(ep, datagram);
}

/* ---- Unprotecting --------------------------------------------------------------------------------------------------
 * In rounds: each takes the next context that a message's kid may mean, for all messages at once. Nearly always there is
 * one context, and one round. */

static void open_request(const nacre_endpoint *ep, nacre__item *item)
{
    const bool may_be_protected = (item->seen & NACRE__SEEN(NACRE_OPT_OSCORE)) != 0;
    if (ep->core.config.opaque_oscore || !may_be_protected) {
        item->plain = item->outer;
        return;
    }
    item->err = nacre_verify_start(&item->option, &item->outer);
    if (item->err == NACRE_ERR_NOT_PROTECTED) {
        item->plain = item->outer;
        item->err = NACRE_OK;
    } else if (item->err == NACRE_OK) {
        const bool complete = !nacre_is_absent(item->option.kid) && !nacre_is_absent(item->option.partial_iv);
        item->open = complete;
        item->err = complete ? NACRE_ERR_NO_CONTEXT : NACRE_ERR_DECODE; /* RFC 8613 5: a request has both */
    }
}

static void open_response(const nacre_endpoint *ep, nacre__item *item)
{
    const nacre__slot *slot = &ep->exchanges.slots[item->index];
    item->open = slot->context != NULL && nacre__has_option(item->outer.options, NACRE_OPT_OSCORE);
}

/* The next context to try is looked for for many requests at once: with many contexts, most of a search is waiting for
 * memory. */
static void search(const nacre_endpoint *ep, nacre__item *const *items, nacre_table_query *queries, size_t num)
{
    if (ep->core.config.contexts != NULL) nacre_table_find_many(ep->core.config.contexts, queries, num);
    for (size_t i = 0; i < num; i++) {
        items[i]->next = queries[i].context;
        items[i]->cursor = queries[i].cursor;
    }
}

static void search_all(nacre_endpoint *ep, size_t num)
{
    nacre__item *items[NACRE_BURST];
    nacre_table_query queries[NACRE_BURST];
    size_t n = 0;
    for (size_t i = 0; i < num; i++) {
        nacre__item *item = &ep->items[i];
        if (!item->open || item->kind != NACRE__ITEM_REQUEST || item->tried == NACRE_MAX_CANDIDATES) continue;
        items[n] = item;
        queries[n++] = (nacre_table_query){ item->option.kid, item->option.kid_context, item->cursor, NULL };
        if (n < NACRE_BURST) continue;
        search(ep, items, queries, n);
        n = 0;
    }
    search(ep, items, queries, n);
}

/* The next context to try, NULL for none. RFC 8613 8.2 step 2: each that the kid may mean, in turn. An answer has one
 * context, but an observation may have two identities. */
static nacre_context *next_context(nacre_endpoint *ep, nacre__item *item)
{
    if (item->kind == NACRE__ITEM_RESPONSE) {
        const nacre__slot *slot = &ep->exchanges.slots[item->index];
        const nacre_request_id *id = nacre__observation_id(slot, item);
        if (id == NULL) return NULL;
        item->id = *id; /* a duplicate in this burst gets one of its own */
        item->is_old = id == &slot->observation.old;
        return slot->context;
    }
    if (item->tried == NACRE_MAX_CANDIDATES) return NULL;
    return item->next != NULL ? item->next : nacre__renewal_next_context(&ep->rederive, item);
}

/* Prepares the jobs of one round; gives how many. */
static size_t prepare_round(nacre_endpoint *ep, size_t num)
{
    size_t num_jobs = 0;
    search_all(ep, num);
    for (size_t i = 0; i < num; i++) {
        nacre__item *item = &ep->items[i];
        if (!item->open) continue;
        nacre_context *context = next_context(ep, item);
        item->open = context != NULL;
        if (!item->open) continue;
        item->tried++;
        item->context = context;
        nacre_unprotect_item *job = &ep->jobs[num_jobs++]; /* its outputs are set where they are looked at */
        job->context = context;
        job->id = &item->id;
        job->buf = item->room;
        job->outer = &item->outer;
        job->is_response = item->kind == NACRE__ITEM_RESPONSE;
    }
    return num_jobs;
}

/* Whether the next context with the same kid may do better. REPLAY is said before the tag is looked at, and may come from
 * a window that this request has nothing to do with. */
static bool try_next(nacre_err err)
{
    return err == NACRE_ERR_NO_CONTEXT || err == NACRE_ERR_PROTECTION_INVALID || err == NACRE_ERR_REPLAY;
}

/* The answer when no context verified the request: what came nearest. */
static nacre_err nearest(nacre_err a, nacre_err b)
{
    static const nacre_err order[] = { NACRE_ERR_REPLAY, NACRE_ERR_PROTECTION_INVALID };
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (a == order[i] || b == order[i]) return order[i];
    return NACRE_ERR_NO_CONTEXT;
}

static void take_verdict(nacre__item *item, const nacre_unprotect_item *job)
{
    if (item->kind == NACRE__ITEM_REQUEST && try_next(job->err)) {
        item->err = nearest(item->err, job->err);
        return;
    }
    if (item->kind == NACRE__ITEM_RESPONSE && job->err == NACRE_ERR_PROTECTION_INVALID) {
        item->err = job->err;
        return;
    }
    item->open = false;
    item->err = job->err;
    if (job->err != NACRE_OK) return;
    item->plain = job->plain;
    if (job->is_response) item->info = job->info;
}

/* Of those that came while a window was not known, the first that was taken brought the Echo value; what others brought
 * nobody has looked at. */
static void only_one_recovers(nacre_endpoint *ep, size_t num)
{
    for (size_t i = 0, job = 0; i < num; i++) {
        const nacre__item *item = &ep->items[i];
        if (!item->open || ep->jobs[job++].err != NACRE_OK || !item->recovers) continue;
        for (size_t k = i + 1; k < num; k++)
            if (ep->items[k].context == item->context) ep->items[k].recovers = false;
    }
}

static void unprotect_jobs(nacre_endpoint *ep, size_t num_jobs, size_t num)
{
    const nacre_lock *lock = &ep->core.config.lock;
    for (size_t i = 0; lock->lock != NULL && i < num_jobs; i++) ep->locked[i] = ep->jobs[i].context;
    if (lock->lock != NULL) lock->lock(lock->self, ep->locked, num_jobs);
    for (size_t i = 0; i < num; i++)
        if (ep->items[i].open) ep->items[i].recovers = !nacre_context_replay(ep->items[i].context)->known;
    nacre_unprotect_many(&ep->core.config.crypto, ep->jobs, num_jobs);
    only_one_recovers(ep, num);
    if (lock->lock != NULL) lock->unlock(lock->self, ep->locked, num_jobs);
}

static void unprotect_all(nacre_endpoint *ep, size_t num)
{
    for (size_t i = 0; i < num; i++) {
        if (ep->items[i].kind == NACRE__ITEM_REQUEST) open_request(ep, &ep->items[i]);
        if (ep->items[i].kind == NACRE__ITEM_RESPONSE) open_response(ep, &ep->items[i]);
    }
    for (size_t num_jobs; (num_jobs = prepare_round(ep, num)) > 0;) {
        unprotect_jobs(ep, num_jobs, num);
        for (size_t i = 0, job = 0; i < num; i++)
            if (ep->items[i].open) take_verdict(&ep->items[i], &ep->jobs[job++]);
    }
}

/* ---- Delivering ---------------------------------------------------------------------------------------------------- */

/* An ACK or a RST: to a transmission of ours, or as a RST to the last notification. False: to neither. */
static bool settle(nacre_endpoint *ep, const nacre_address *peer, uint16_t mid, bool is_reset, uint64_t now_ms)
{
    nacre__transmission *t = nacre__transmission_find(&ep->tx, peer, mid);
    if (t == NULL) return is_reset && nacre__observer_reset(&ep->observe, peer, mid);
    const uint32_t index = nacre__transmission_index(&ep->tx, t);
    if (index >= ep->tx.num_requests)
        return nacre__push_settle(&ep->exchanges, nacre__push_of(&ep->exchanges, t), is_reset);
    nacre__slot *slot = &ep->exchanges.slots[index];
    if (!nacre__slot_knows_its_mid(slot)) return false;
    if (is_reset) nacre__slot_reset(&ep->exchanges, slot);
    else nacre__slot_acknowledged(&ep->exchanges, slot, now_ms);
    return true;
}

static void deliver_empty(nacre_endpoint *ep, const nacre__item *item, uint64_t now_ms)
{
    const nacre_address *peer = &item->datagram->peer;
    if (item->outer.type <= NACRE_NON) {
        reject(ep, peer, item->outer.type, item->outer.mid); /* RFC 7252 4.3: a ping */
        return;
    }
    const bool is_reset = item->outer.type == NACRE_RST;
    if (!settle(ep, peer, item->outer.mid, is_reset, now_ms) && is_reset)
        nacre__reset_unmatched(&ep->reset_belief, peer);
}

/* A datagram before this one in the burst may have ended the exchange, or repeated the request under a new token. */
static void deliver_response(nacre_endpoint *ep, nacre__item *item, uint64_t now_ms)
{
    const bool is_verified = item->context != NULL && item->err == NACRE_OK;
    nacre__slot *slot = nacre__slot_by_token(&ep->exchanges, &item->datagram->peer, item->outer.token);
    if (slot != NULL && slot->exchange == item->exchange) {
        nacre__validate(&ep->validation, &item->datagram->peer); /* its token has 64 random bits */
        if (is_verified)
            nacre__item_drop_options(&ep->core, item, &item->plain, nacre__options_seen(item->plain.options));
        else nacre__item_drop_options(&ep->core, item, &item->outer, nacre__options_seen(item->outer.options));
        if (item->kind == NACRE__ITEM_BLOCK) nacre__outer_block(&ep->outer, slot, item, now_ms);
        else if (item->kind == NACRE__ITEM_OVERSIZED) nacre__slot_oversized(ep, slot, item, now_ms);
        else nacre__slot_answered(ep, slot, item, now_ms);
    } else {
        ep->core.stats.dropped++;
    }
}

static void settle_request(nacre_endpoint *ep, nacre__entry *entry, nacre__item *item)
{
    if (nacre__renewal_is_past(item)) item->err = NACRE_ERR_NO_CONTEXT;
    nacre__renewal_proved(&ep->rederive, item);
    if (nacre__renewal_takes(&ep->rederive, entry, item)) return;
    if (item->err == NACRE_ERR_NOT_YET && item->place != NULL) nacre__outer_put_off(&ep->outer, entry, item);
    else nacre__answer_settle(&ep->exchanges, entry, item);
}

static void deliver_request(nacre_endpoint *ep, nacre__item *item)
{
    nacre__entry *entry = &ep->exchanges.entries[item->index];
    settle_request(ep, entry, item);
    if (item->place != NULL && entry->state == NACRE__ENTRY_FREE) nacre__outer_put_back(item->place);
}

static void deliver_one(nacre_endpoint *ep, nacre__item *item, uint64_t now_ms)
{
    switch (item->kind) {
    case NACRE__ITEM_EMPTY: deliver_empty(ep, item, now_ms); break;
    case NACRE__ITEM_REQUEST: deliver_request(ep, item); break;
    case NACRE__ITEM_RESPONSE:
    case NACRE__ITEM_BLOCK:
    case NACRE__ITEM_OVERSIZED: deliver_response(ep, item, now_ms); break;
    case NACRE__ITEM_DONE: break;
    }
}

size_t nacre_endpoint_receive_many(nacre_endpoint *ep, const nacre_datagram *datagrams, size_t num, uint64_t now_ms)
{
    if (nacre__events_view_messages(ep)) return 0;
    ep->core.now_ms = now_ms;
    nacre__protect_batch_flush(&ep->protect_batch); /* places of answers may be taken below */
    nacre__answer_close_delivered(&ep->exchanges);
    nacre__observers_close_delivered(&ep->observe);
    nacre__outer_begin(&ep->outer);
    ep->exchanges.num_notes = ep->exchanges.first_note = 0;
    if (num > ep->core.config.burst) num = ep->core.config.burst;
    memset(ep->items, 0, num * sizeof *ep->items); /* all at once: it takes less time than one by one */
    for (size_t i = 0; i < num; i++) sort_one(ep, &ep->items[i], &datagrams[i], now_ms);
    unprotect_all(ep, num);
    for (size_t i = 0; i < num; i++) deliver_one(ep, &ep->items[i], now_ms);
    return num;
}
