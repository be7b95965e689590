/* SPDX-License-Identifier: MIT */
#include "endpoint/message/transmissions.h"
#include "endpoint/core/hash.h"

/* ---- Pool ---------------------------------------------------------------------------------------------------------- */

void nacre__transmissions_lay_out(nacre__transmissions *tx, nacre__pool_layout *layout, uint32_t num_requests,
                                  uint32_t num_others, uint32_t queue_cap)
{
    tx->num_requests = num_requests;
    tx->num = num_requests + num_others;
    tx->by_mid.num_buckets = nacre__num_buckets_for(tx->num);
    tx->queue.cap = queue_cap;
    tx->all = nacre__lay_out(layout, tx->num, sizeof *tx->all);
    tx->timers = nacre__lay_out(layout, tx->num, sizeof *tx->timers);
    tx->by_mid.buckets = nacre__lay_out(layout, tx->by_mid.num_buckets, sizeof *tx->by_mid.buckets);
    tx->queue.refs = nacre__lay_out(layout, queue_cap, sizeof *tx->queue.refs);
}

static void add_free(nacre__transmissions *tx, nacre__transmission *t)
{
    t->state = NACRE__TRANSMISSION_FREE;
    t->next = tx->first_free;
    tx->first_free = nacre__transmission_index(tx, t);
    tx->num_free++;
}

void nacre__transmissions_init(nacre__transmissions *tx, const nacre__core *core)
{
    tx->core = core;
    nacre__message_ids_init(&tx->ids, core);
    nacre__probing_rate_init(&tx->probing, core);
    tx->by_mid.links = (nacre__links){ &tx->all->chain, sizeof *tx->all };
    nacre__chains_init(&tx->by_mid);
    tx->first_free = NACRE__NONE;
    for (uint32_t i = tx->num; i-- > 0;) {
        tx->all[i].heap_at = NACRE__NONE;
        tx->all[i].due = tx->all[i].give_up = NACRE__NEVER;
        if (i >= tx->num_requests) add_free(tx, &tx->all[i]);
    }
}

nacre__transmission *nacre__transmission_take(nacre__transmissions *tx)
{
    if (tx->first_free == NACRE__NONE) return NULL;
    nacre__transmission *t = &tx->all[tx->first_free];
    tx->first_free = t->next;
    tx->num_free--;
    t->state = NACRE__TRANSMISSION_IDLE;
    t->len = 0;
    return t;
}

void nacre__transmission_give_back(nacre__transmissions *tx, nacre__transmission *t)
{
    nacre__transmission_unset_mid(tx, t);
    nacre__transmission_set_due(tx, t, NACRE__NEVER);
    if (t->in_queue) t->state = NACRE__TRANSMISSION_CUT;
    else add_free(tx, t);
}

/* ---- Timers: a binary heap, the earliest first ------------------------------------------------------------------- */

static void heap_put(nacre__transmissions *tx, uint32_t at, uint32_t index)
{
    tx->timers[at] = index;
    tx->all[index].heap_at = at;
}

static uint64_t due_at(const nacre__transmissions *tx, uint32_t at)
{
    return tx->all[tx->timers[at]].due;
}

/* Restores the heap order of the timer at `at`. */
static void heap_settle(nacre__transmissions *tx, uint32_t at)
{
    const uint32_t moving = tx->timers[at];
    const uint64_t due = tx->all[moving].due;
    for (; at > 0 && due_at(tx, (at - 1) / 2) > due; at = (at - 1) / 2) heap_put(tx, at, tx->timers[(at - 1) / 2]);
    for (uint32_t child; (child = 2 * at + 1) < tx->num_timers; at = child) {
        if (child + 1 < tx->num_timers && due_at(tx, child + 1) < due_at(tx, child)) child++;
        if (due_at(tx, child) >= due) break;
        heap_put(tx, at, tx->timers[child]);
    }
    heap_put(tx, at, moving);
}

void nacre__transmission_set_due(nacre__transmissions *tx, nacre__transmission *t, uint64_t due)
{
    const uint32_t at = t->heap_at;
    t->due = due < t->give_up ? due : t->give_up;
    if (t->due != NACRE__NEVER) {
        if (at == NACRE__NONE) heap_put(tx, tx->num_timers++, nacre__transmission_index(tx, t));
        heap_settle(tx, t->heap_at);
        return;
    }
    if (at == NACRE__NONE) return;
    t->heap_at = NACRE__NONE;
    const uint32_t last = tx->timers[--tx->num_timers];
    if (at == tx->num_timers) return;
    heap_put(tx, at, last);
    heap_settle(tx, at);
}

/* ---- Message IDs --------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(const nacre__transmissions *tx, const nacre_address *peer, uint16_t mid)
{
    const uint8_t bytes[2] = { (uint8_t)(mid >> 8), (uint8_t)mid };
    return nacre__peer_hash(tx->core, peer, NACRE_ARRAY(bytes));
}

nacre__transmission *nacre__transmission_find(const nacre__transmissions *tx, const nacre_address *peer, uint16_t mid)
{
    if (tx->num_with_mid == 0) return NULL;
    const uint64_t hash = hash_of(tx, peer, mid);
    for (uint32_t i = nacre__chain_first(&tx->by_mid, hash); i != NACRE__NONE; i = nacre__chain_next(&tx->by_mid, i))
        if (tx->all[i].mid == mid && nacre_address_equal(&tx->all[i].peer, peer)) return &tx->all[i];
    return NULL;
}

/* RFC 7252 4.4. After 65536 messages to one peer in an exchange lifetime IDs repeat; those in use are skipped. */
uint16_t nacre__new_mid(nacre__transmissions *tx, const nacre_address *peer)
{
    uint16_t mid = nacre__message_id_next(&tx->ids, peer);
    for (uint32_t tries = 0; tries < tx->num && nacre__transmission_find(tx, peer, mid) != NULL; tries++)
        mid = nacre__message_id_next(&tx->ids, peer);
    return mid;
}

void nacre__transmission_set_mid(nacre__transmissions *tx, nacre__transmission *t, uint16_t mid)
{
    nacre__transmission_unset_mid(tx, t);
    t->mid = mid;
    t->has_mid = true;
    tx->num_with_mid++;
    nacre__chain_add(&tx->by_mid, hash_of(tx, &t->peer, mid), nacre__transmission_index(tx, t));
}

void nacre__transmission_unset_mid(nacre__transmissions *tx, nacre__transmission *t)
{
    if (!t->has_mid) return;
    t->has_mid = false;
    tx->num_with_mid--;
    nacre__chain_remove(&tx->by_mid, hash_of(tx, &t->peer, t->mid), nacre__transmission_index(tx, t));
}

/* ---- Transmission ------------------------------------------------------------------------------------------------ */

static void enqueue(nacre__transmissions *tx, nacre__transmission *t)
{
    t->in_queue = true;
    nacre__queue_push(&tx->queue, NACRE__OF_TRANSMISSION, nacre__transmission_index(tx, t));
}

void nacre__transmission_queue(nacre__transmissions *tx, nacre__transmission *t)
{
    t->state = NACRE__TRANSMISSION_QUEUED;
    t->is_probing = false;
    t->retransmissions = 0;
    if (!t->in_queue) enqueue(tx, t);
}

void nacre__transmission_stop(nacre__transmissions *tx, nacre__transmission *t)
{
    if (t->in_queue) nacre__queue_remove(&tx->queue, NACRE__OF_TRANSMISSION, nacre__transmission_index(tx, t));
    t->in_queue = false;
    if (t->state == NACRE__TRANSMISSION_HELD) tx->num_held--;
    t->state = NACRE__TRANSMISSION_IDLE;
    t->is_probing = false;
    nacre__transmission_set_due(tx, t, NACRE__NEVER);
}

bool nacre__transmissions_next(nacre__transmissions *tx, nacre__ref *ref)
{
    while (nacre__queue_pop(&tx->queue, ref)) {
        if (ref->kind != NACRE__OF_TRANSMISSION) return true;
        nacre__transmission *t = &tx->all[ref->index];
        t->in_queue = false;
        if (t->state != NACRE__TRANSMISSION_CUT) return true;
        add_free(tx, t);
    }
    return false;
}

/* RFC 7252 4.2, 4.8: the first timeout is random between ACK_TIMEOUT and ACK_TIMEOUT times ACK_RANDOM_FACTOR, then
 * doubles. */
static uint64_t next_wait(const nacre__transmissions *tx, nacre__transmission *t)
{
    const nacre_timing *timing = &tx->core->config.timing;
    if (t->type != NACRE_CON) return timing->response_timeout_ms;
    if (t->retransmissions == 0) {
        const uint64_t spread = (uint64_t)timing->ack_timeout_ms * (timing->ack_random_factor_milli - 1000) / 1000;
        t->timeout = timing->ack_timeout_ms + nacre__core_random(tx->core) % (spread + 1);
    } else if (t->timeout <= UINT64_MAX / 4) {
        t->timeout *= 2;
    }
    return t->timeout;
}

void nacre__transmission_sent(nacre__transmissions *tx, nacre__transmission *t, uint64_t now_ms)
{
    t->state = NACRE__TRANSMISSION_SENT;
    nacre__transmission_set_due(tx, t, nacre__after(now_ms, next_wait(tx, t)));
}

/* Whether its owner is notified. */
static bool is_due(nacre__transmissions *tx, nacre__transmission *t, nacre__transmission_outcome *outcome,
                   uint64_t now_ms)
{
    *outcome = NACRE__TRANSMISSION_TIMED_OUT;
    if (t->give_up <= now_ms) return true;
    switch (t->state) {
    case NACRE__TRANSMISSION_HELD:
        nacre__transmission_stop(tx, t);
        nacre__transmission_queue(tx, t);
        return false;
    case NACRE__TRANSMISSION_SENT:
        if (t->type != NACRE_CON || t->retransmissions >= tx->core->config.timing.max_retransmit) return true;
        t->retransmissions++;
        nacre__transmission_set_due(tx, t, NACRE__NEVER);
        enqueue(tx, t);
        return false;
    default: *outcome = NACRE__TRANSMISSION_OWNER_TIMER; return true;
    }
}

bool nacre__transmissions_expire(nacre__transmissions *tx, nacre__transmission **t,
                                 nacre__transmission_outcome *outcome, uint64_t now_ms)
{
    while (nacre__transmissions_deadline(tx) <= now_ms) {
        *t = &tx->all[tx->timers[0]];
        if (is_due(tx, *t, outcome, now_ms)) return true;
    }
    return false;
}
