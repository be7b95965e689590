/* SPDX-License-Identifier: MIT */
/* pushes: messages that we send into an exchange of others of our own accord, separate answers and notifications: written
 * once, retransmitted as the same bytes until they are acknowledged (RFC 7252 4.2, RFC 8613 8.3), and never more of them
 * than the pool has places.
 *
 * To an address that is not validated all transmissions of a message together have its allowance, and no more; where the next
 * would be too much, the timers run on without it (RFC 9175 2.4). */
#include "endpoint_internal.h"

#include <string.h>

uint32_t nacre__push_index(const nacre_endpoint *ep, const nacre__push *push)
{
    return (uint32_t)(push - ep->pushes);
}

/* ---- Timers: a heap, so that the earliest is at hand however many there are ---------------------------------------- */

static void heap_put(nacre_endpoint *ep, uint32_t at, uint32_t push)
{
    ep->push_timers[at] = push;
    ep->pushes[push].heap_at = at;
}

static uint64_t due_at(const nacre_endpoint *ep, uint32_t at)
{
    return ep->pushes[ep->push_timers[at]].due;
}

/* Moves what stands at `at` up or down to where its time belongs. */
static void heap_settle(nacre_endpoint *ep, uint32_t at)
{
    const uint32_t moving = ep->push_timers[at];
    const uint64_t due = ep->pushes[moving].due;
    for (; at > 0 && due_at(ep, (at - 1) / 2) > due; at = (at - 1) / 2) heap_put(ep, at, ep->push_timers[(at - 1) / 2]);
    for (uint32_t child; (child = 2 * at + 1) < ep->num_push_timers; at = child) {
        if (child + 1 < ep->num_push_timers && due_at(ep, child + 1) < due_at(ep, child)) child++;
        if (due_at(ep, child) >= due) break;
        heap_put(ep, at, ep->push_timers[child]);
    }
    heap_put(ep, at, moving);
}

/* NEVER stops the timer. */
void nacre__push_set_due(nacre_endpoint *ep, nacre__push *push, uint64_t due)
{
    const uint32_t at = push->heap_at;
    push->due = due;
    if (due == NACRE__NEVER) {
        if (at == NACRE__NONE) return;
        push->heap_at = NACRE__NONE;
        const uint32_t last = ep->push_timers[--ep->num_push_timers];
        if (at == ep->num_push_timers) return;
        heap_put(ep, at, last);
        heap_settle(ep, at);
        return;
    }
    if (at == NACRE__NONE) heap_put(ep, ep->num_push_timers++, nacre__push_index(ep, push));
    heap_settle(ep, push->heap_at);
}

/* ---- Message IDs --------------------------------------------------------------------------------------------------- */

static uint32_t *bucket_of(nacre_endpoint *ep, const nacre_address *peer, uint16_t mid)
{
    const uint8_t bytes[2] = { (uint8_t)(mid >> 8), (uint8_t)mid };
    const uint64_t hash = nacre__hash(ep, peer, NACRE_ARRAY(bytes));
    return &ep->push_buckets[(hash ^ hash >> 32) & (ep->num_push_buckets - 1)];
}

/* Finds the push that waits for `peer` under `mid`: its index, or NONE. */
static uint32_t find_mid(nacre_endpoint *ep, const nacre_address *peer, uint16_t mid)
{
    for (uint32_t i = *bucket_of(ep, peer, mid); i != NACRE__NONE; i = ep->pushes[i].mid_chain)
        if (ep->pushes[i].mid == mid && nacre_address_equal(&ep->pushes[i].peer, peer)) return i;
    return NACRE__NONE;
}

static void chain_mid(nacre_endpoint *ep, nacre__push *push, uint16_t mid)
{
    uint32_t *bucket = bucket_of(ep, &push->peer, mid);
    push->mid_chain = *bucket;
    push->mid = mid;
    push->has_mid = true;
    *bucket = nacre__push_index(ep, push);
}

static void unchain_mid(nacre_endpoint *ep, nacre__push *push)
{
    if (!push->has_mid) return;
    const uint32_t self = nacre__push_index(ep, push);
    uint32_t *link = bucket_of(ep, &push->peer, push->mid);
    while (*link != self) link = &ep->pushes[*link].mid_chain;
    *link = push->mid_chain;
    push->has_mid = false;
}

static uint16_t new_mid(nacre_endpoint *ep, const nacre_address *peer)
{
    uint16_t mid = nacre__new_mid(ep, peer);
    for (uint32_t tries = 0; tries < ep->config.num_transmissions && find_mid(ep, peer, mid) != NACRE__NONE; tries++)
        mid = nacre__new_mid(ep, peer);
    return mid;
}

/* ---- Places -------------------------------------------------------------------------------------------------------- */

static void give_back(nacre_endpoint *ep, nacre__push *push)
{
    push->state = NACRE__PUSH_FREE;
    push->next = ep->free_push;
    ep->num_free_pushes++;
    ep->free_push = nacre__push_index(ep, push);
}

void nacre__pushes_init(nacre_endpoint *ep)
{
    for (uint32_t i = 0; i < ep->num_push_buckets; i++) ep->push_buckets[i] = NACRE__NONE;
    ep->free_push = NACRE__NONE;
    for (uint32_t i = ep->config.num_transmissions; i-- > 0;) {
        ep->pushes[i].heap_at = ep->pushes[i].entry = ep->pushes[i].observer = NACRE__NONE;
        give_back(ep, &ep->pushes[i]);
    }
}

/* NULL when all are in use. */
nacre__push *nacre__push_take(nacre_endpoint *ep)
{
    if (ep->free_push == NACRE__NONE) return NULL;
    nacre__push *push = &ep->pushes[ep->free_push];
    ep->free_push = push->next;
    ep->num_free_pushes--;
    push->state = NACRE__PUSH_HELD;
    push->entry = push->observer = NACRE__NONE;
    push->len = push->spent = 0;
    push->retransmissions = 0;
    push->is_validated = push->is_protected = false;
    push->wish = (nacre__outer_wish){ 0 };
    push->allowance = nacre__allowance(0);
    return push;
}

/* Whether there is one for something that a forger may be behind: of such, half of the pool is enough. */
bool nacre__push_is_to_spare(const nacre_endpoint *ep)
{
    return ep->num_free_pushes > ep->config.num_transmissions / 2U;
}

/* Whether it is a CON notification, which others to the same peer have to wait for. */
void nacre__push_set_con_note(nacre_endpoint *ep, nacre__push *push, bool is_con_note)
{
    if (push->is_con_note == is_con_note) return;
    uint32_t *num = &ep->num_con_notes[nacre__stall_of(ep, &push->peer)];
    push->is_con_note = is_con_note;
    *num = is_con_note ? *num + 1 : *num - 1;
    if (!is_con_note) nacre__observers_go_on(ep, &push->peer);
}

/* Ends it without a word to anybody. */
void nacre__push_drop(nacre_endpoint *ep, nacre__push *push)
{
    if (push->in_transmit) nacre__protect_batch_flush(&ep->protect_batch); /* its cipher may still want its bytes */
    nacre__push_set_con_note(ep, push, false);
    unchain_mid(ep, push);
    nacre__push_set_due(ep, push, NACRE__NEVER);
    nacre__persist_leave(&ep->persist_waits, NACRE__OF_PUSH, nacre__push_index(ep, push));
    if (push->state == NACRE__PUSH_WAITING) nacre_wipe(push->bytes, push->len); /* a plain answer */
    push->context = NULL;
    push->entry = push->observer = NACRE__NONE;
    if (push->in_transmit) push->state = NACRE__PUSH_CUT;
    else give_back(ep, push);
}

/* It has done what it was for, or cannot. */
static void end(nacre_endpoint *ep, nacre__push *push, nacre_err err)
{
    const uint32_t observer = push->observer;
    nacre__push_drop(ep, push);
    if (observer != NACRE__NONE) nacre__observer_settled(ep, &ep->observers[observer], err);
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static void enqueue(nacre_endpoint *ep, nacre__push *push)
{
    push->in_transmit = true;
    nacre__queue_push(&ep->transmit, NACRE__OF_PUSH, nacre__push_index(ep, push));
}

static void write_done(nacre_endpoint *ep, nacre__push *push, size_t len, uint16_t mid)
{
    push->len = len;
    push->context = NULL;
    push->state = NACRE__PUSH_QUEUED;
    chain_mid(ep, push, mid);
    enqueue(ep, push);
}

static nacre_err write_answer(nacre_endpoint *ep, nacre__push *push, nacre_context *context, nacre_request_id *id,
                              nacre_bytes *out, const nacre_message *answer)
{
    const size_t max = nacre__max_message_to(ep, &push->peer), extra = nacre__outer_extra(&push->wish);
    const nacre_buf room = { push->bytes, max > extra ? max - extra : 0 };
    if (context == NULL) return nacre_message_write(answer, out, room);
    return nacre__protect_batch_add(&ep->protect_batch, context, id, out, room, answer, &push->len);
}

/* Sends `answer`, whose type and token are set and lie outside the push; its MID is set here. NACRE_OK also when the store
 * must be waited for. On failure the push is held as before, but its bytes may be overwritten. */
nacre_err nacre__push_send(nacre_endpoint *ep, nacre__push *push, nacre_context *context, nacre_request_id *id,
                           nacre_message *answer)
{
    nacre_bytes out;
    if (nacre_address_is_reliable(&push->peer)) answer->type = NACRE_NON; /* what is sent there arrives */
    answer->mid = new_mid(ep, &push->peer);
    const size_t max = nacre__max_message_to(ep, &push->peer);
    nacre_err err = write_answer(ep, push, context, id, &out, answer);
    if (err == NACRE_ERR_NOT_YET) {
        if (nacre_protect_size(context, answer, NULL) > max) return NACRE_ERR_TOO_LONG;
        err = nacre_message_write(answer, &out, (nacre_buf){ push->bytes, ep->config.max_message });
        if (err != NACRE_OK) return err == NACRE_ERR_BUFFER_TOO_SMALL ? NACRE_ERR_TOO_LONG : err;
        push->state = NACRE__PUSH_WAITING;
        push->len = out.len;
        push->context = context;
        push->id = *id; /* moved: what is left has no right to the nonce */
        *id = nacre_request_id_dup(id);
        nacre__push_set_due(ep, push, NACRE__NEVER);
        nacre__persist_join(&ep->persist_waits, context, NACRE__OF_PUSH, nacre__push_index(ep, push));
    } else if (err == NACRE_OK) {
        nacre__push_set_due(ep, push, NACRE__NEVER);
        write_done(ep, push, out.len, answer->mid);
    } else {
        return err == NACRE_ERR_BUFFER_TOO_SMALL ? NACRE_ERR_TOO_LONG : err;
    }
    push->type = answer->type;
    push->is_protected = context != NULL;
    if (nacre__is_reached(ep, &push->peer)) push->is_validated = true; /* it was judged as such: nacre__entry_exceeds */
    push->entry = NACRE__NONE;
    return NACRE_OK;
}

static void resume(nacre_endpoint *ep, nacre__push *push)
{
    nacre_message plain;
    nacre_bytes out;
    nacre_err err = nacre_message_parse(&plain, nacre_bytes_of(push->bytes, push->len));
    const nacre_buf room = { ep->scratch, nacre__max_message_to(ep, &push->peer) };
    nacre__take(ep, push->context);
    if (err == NACRE_OK)
        err = nacre_protect_response(push->context, &ep->config.crypto, &push->id, &out, room, &plain, NULL);
    nacre__give(ep, push->context);
    if (err == NACRE_OK) nacre__persist_ask_early(&ep->persist_waits, push->context);
    if (err == NACRE_ERR_NOT_YET) {
        nacre__persist_join(&ep->persist_waits, push->context, NACRE__OF_PUSH, nacre__push_index(ep, push));
    } else if (err != NACRE_OK) {
        end(ep, push, err);
    } else {
        const uint16_t mid = plain.mid; /* `plain` lies where the answer goes */
        if (push->len > out.len) nacre_wipe(push->bytes, push->len);
        memcpy(push->bytes, out.ptr, out.len);
        write_done(ep, push, out.len, mid);
    }
}

/* The store failed: a separate response is dropped, and so is a notification, whose observer stays (RFC 7641 4.2: it is to
 * see the state in the end). Neither has the right to its request's nonce, or it would not wait. */
static void not_stored(nacre_endpoint *ep, nacre__push *push, nacre_err err)
{
    const uint32_t observer = push->observer;
    if (observer == NACRE__NONE || !ep->observers[observer].has_mid) { /* no notification: the answer to a request */
        end(ep, push, err);
        return;
    }
    nacre__push_drop(ep, push);
    nacre__observer_missed(ep, &ep->observers[observer]);
}

/* The store has answered, or the context is removed. */
void nacre__push_confirmed(nacre_endpoint *ep, nacre__push *push, nacre_err err)
{
    if (err == NACRE_ERR_NO_CONTEXT) end(ep, push, err);
    else if (err == NACRE_OK || nacre__has_number(&ep->core, push->context)) resume(ep, push);
    else not_stored(ep, push, err);
}

/* ---- On the way ---------------------------------------------------------------------------------------------------- */

/* Whether its allowance counts no more. */
static bool is_validated(const nacre_endpoint *ep, nacre__push *push)
{
    if (!push->is_validated) push->is_validated = nacre__is_reached(ep, &push->peer);
    return push->is_validated;
}

static void start_timer(nacre_endpoint *ep, nacre__push *push, uint64_t now_ms)
{
    if (push->retransmissions == 0) push->timeout = nacre__first_wait(ep);
    else if (push->timeout <= UINT64_MAX / 4) push->timeout *= 2;
    nacre__push_set_due(ep, push, nacre__after(now_ms, push->timeout));
}

/* RFC 7252 4.2: the same bytes each time, or none when they are more than what is left of its allowance. */
static void write_push(nacre_endpoint *ep, nacre__push *push, nacre_outgoing *out)
{
    out->bytes.len = 0;
    if (!nacre__outer_write(ep, &push->peer, &push->wish, nacre_bytes_of(push->bytes, push->len), out)) {
        memcpy(out->buf.ptr, push->bytes, push->len);
        out->bytes = nacre_bytes_of(out->buf.ptr, push->len);
    }
    if (!is_validated(ep, push) && push->spent + out->bytes.len > push->allowance) out->bytes.len = 0;
    push->spent += out->bytes.len;
}

/* False: nothing to send after all. */
bool nacre__push_transmit(nacre_endpoint *ep, nacre__push *push, nacre_outgoing *out, uint64_t now_ms)
{
    push->in_transmit = false;
    if (push->state == NACRE__PUSH_CUT) {
        give_back(ep, push);
        return false;
    }
    out->peer = push->peer;
    write_push(ep, push, out);
    if (out->bytes.len > 0 && push->state == NACRE__PUSH_SENT) ep->stats.retransmitted++;
    push->state = NACRE__PUSH_SENT;
    if (push->type == NACRE_NON) end(ep, push, NACRE_OK);
    else start_timer(ep, push, now_ms);
    return out->bytes.len > 0;
}

/* An ACK or a RST that was sent to no request of ours. False: to nothing else either. */
bool nacre__push_settle(nacre_endpoint *ep, const nacre_address *peer, uint16_t mid, bool is_reset)
{
    const uint32_t found = find_mid(ep, peer, mid);
    if (found == NACRE__NONE) return is_reset && nacre__observer_reset(ep, peer, mid);
    nacre__push *push = &ep->pushes[found];
    if (push->state != NACRE__PUSH_SENT) return false; /* it has not gone out yet */
    if (is_reset && push->is_protected && !nacre__reset_is_believed(ep, peer)) return true; /* its time-out ends it */
    if (!is_reset && push->observer != NACRE__NONE) nacre__observer_confirmed(&ep->observers[push->observer]);
    /* RFC 7641 4.5: a notification that is reset ends the observation; RFC 7252 4.2: a separate answer is not wanted */
    end(ep, push, is_reset ? NACRE_ERR_RESET : NACRE_OK);
    return true;
}

uint64_t nacre__pushes_deadline(const nacre_endpoint *ep)
{
    return ep->num_push_timers > 0 ? due_at(ep, 0) : NACRE__NEVER;
}

static void due(nacre_endpoint *ep, nacre__push *push)
{
    if (push->state == NACRE__PUSH_HELD) {
        nacre__push_set_due(ep, push, NACRE__NEVER);
        nacre__later_acknowledge(ep, &ep->entries[push->entry]);
    } else if (push->retransmissions >= ep->config.timing.max_retransmit) {
        end(ep, push, NACRE_ERR_TIMEOUT);
    } else {
        push->retransmissions++;
        nacre__push_set_due(ep, push, NACRE__NEVER);
        enqueue(ep, push);
    }
}

void nacre__pushes_expire(nacre_endpoint *ep, uint64_t now_ms)
{
    while (nacre__pushes_deadline(ep) <= now_ms) due(ep, &ep->pushes[ep->push_timers[0]]);
}
