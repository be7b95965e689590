/* SPDX-License-Identifier: MIT */
/* pushes: messages that we send into an exchange of others of our own accord, separate answers and notifications: written
 * once, retransmitted as the same bytes until they are acknowledged (RFC 7252 4.2, RFC 8613 8.3), and never more of them
 * than the pool has places.
 *
 * To an address that is not validated all transmissions of a message together have its allowance, and no more; where the next
 * would be too much, the timers run on without it (RFC 9175 2.4). */
#include "endpoint/endpoint_internal.h"

#include <string.h>

uint32_t nacre__push_index(const nacre_endpoint *ep, const nacre__push *push)
{
    return (uint32_t)(push - ep->pushes);
}

/* ---- Places -------------------------------------------------------------------------------------------------------- */

void nacre__pushes_init(nacre_endpoint *ep)
{
    for (uint32_t i = 0; i < ep->config.num_transmissions; i++) {
        ep->pushes[i].t = &ep->tx.all[ep->config.num_client_exchanges + i];
        ep->pushes[i].entry = ep->pushes[i].observer = NACRE__NONE;
    }
}

/* NULL when all are in use. */
nacre__push *nacre__push_take(nacre_endpoint *ep)
{
    nacre__transmission *t = nacre__transmission_take(&ep->tx);
    if (t == NULL) return NULL;
    nacre__push *push = nacre__push_of(ep, t);
    *push = (nacre__push){ .t = t, .entry = NACRE__NONE, .observer = NACRE__NONE, .allowance = nacre__allowance(0) };
    return push;
}

/* Whether there is one for something that a forger may be behind: of such, half of the pool is enough. */
bool nacre__push_is_to_spare(const nacre_endpoint *ep)
{
    return ep->tx.num_free > ep->config.num_transmissions / 2U;
}

/* Whether it is a CON notification, which others to the same peer have to wait for. */
void nacre__push_set_con_note(nacre_endpoint *ep, nacre__push *push, bool is_con_note)
{
    if (push->is_con_note == is_con_note) return;
    uint32_t *num = &ep->num_con_notes[nacre__stall_of(ep, &push->t->peer)];
    push->is_con_note = is_con_note;
    *num = is_con_note ? *num + 1 : *num - 1;
    if (!is_con_note) nacre__observers_go_on(ep, &push->t->peer);
}

/* Ends it without a word to anybody. */
void nacre__push_drop(nacre_endpoint *ep, nacre__push *push)
{
    if (push->t->in_queue) nacre__protect_batch_flush(&ep->protect_batch); /* its cipher may still want its bytes */
    nacre__push_set_con_note(ep, push, false);
    nacre__persist_leave(&ep->persist_waits, NACRE__OF_TRANSMISSION, nacre__transmission_index(&ep->tx, push->t));
    if (push->is_waiting) nacre_wipe(push->t->bytes, push->t->len); /* a plain answer */
    push->is_waiting = false;
    push->context = NULL;
    push->entry = push->observer = NACRE__NONE;
    nacre__transmission_give_back(&ep->tx, push->t);
}

/* It has done what it was for, or cannot. */
static void end(nacre_endpoint *ep, nacre__push *push, nacre_err err)
{
    const uint32_t observer = push->observer;
    nacre__push_drop(ep, push);
    if (observer != NACRE__NONE) nacre__observer_settled(ep, &ep->observers[observer], err);
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static void write_done(nacre_endpoint *ep, nacre__push *push, size_t len, uint16_t mid)
{
    push->t->len = len;
    push->context = NULL;
    push->is_waiting = false;
    nacre__transmission_set_mid(&ep->tx, push->t, mid);
    nacre__transmission_queue(&ep->tx, push->t);
}

static nacre_err write_answer(nacre_endpoint *ep, nacre__push *push, nacre_context *context, nacre_request_id *id,
                              nacre_bytes *out, const nacre_message *answer)
{
    const size_t max = nacre__max_message_to(ep, &push->t->peer), extra = nacre__outer_extra(&push->wish);
    const nacre_buf room = { push->t->bytes, max > extra ? max - extra : 0 };
    if (context == NULL) return nacre_message_write(answer, out, room);
    return nacre__protect_batch_add(&ep->protect_batch, context, id, out, room, answer, &push->t->len);
}

/* Sends `answer`, whose type and token are set and lie outside the push; its MID is set here. NACRE_OK also when the store
 * must be waited for. On failure the push is held as before, but its bytes may be overwritten. */
nacre_err nacre__push_send(nacre_endpoint *ep, nacre__push *push, nacre_context *context, nacre_request_id *id,
                           nacre_message *answer)
{
    nacre_bytes out;
    if (nacre_address_is_reliable(&push->t->peer)) answer->type = NACRE_NON; /* what is sent there arrives */
    answer->mid = nacre__new_mid(&ep->tx, &push->t->peer);
    const size_t max = nacre__max_message_to(ep, &push->t->peer);
    nacre_err err = write_answer(ep, push, context, id, &out, answer);
    if (err == NACRE_ERR_NOT_YET) {
        if (nacre_protect_size(context, answer, NULL) > max) return NACRE_ERR_TOO_LONG;
        err = nacre_message_write(answer, &out, (nacre_buf){ push->t->bytes, ep->config.max_message });
        if (err != NACRE_OK) return err == NACRE_ERR_BUFFER_TOO_SMALL ? NACRE_ERR_TOO_LONG : err;
        push->is_waiting = true;
        push->t->len = out.len;
        push->context = context;
        push->id = *id; /* moved: what is left has no right to the nonce */
        *id = nacre_request_id_dup(id);
        nacre__transmission_set_due(&ep->tx, push->t, NACRE__NEVER);
        nacre__persist_join(&ep->persist_waits, context, NACRE__OF_TRANSMISSION,
                            nacre__transmission_index(&ep->tx, push->t));
    } else if (err == NACRE_OK) {
        nacre__transmission_set_due(&ep->tx, push->t, NACRE__NEVER);
        write_done(ep, push, out.len, answer->mid);
    } else {
        return err == NACRE_ERR_BUFFER_TOO_SMALL ? NACRE_ERR_TOO_LONG : err;
    }
    push->t->type = answer->type;
    push->is_protected = context != NULL;
    if (nacre__is_validated(&ep->validation, &push->t->peer))
        push->is_validated = true; /* it was judged as such: nacre__entry_exceeds */
    push->entry = NACRE__NONE;
    return NACRE_OK;
}

static void resume(nacre_endpoint *ep, nacre__push *push)
{
    nacre_message plain;
    nacre_bytes out;
    nacre_err err = nacre_message_parse(&plain, nacre_bytes_of(push->t->bytes, push->t->len));
    const nacre_buf room = { ep->scratch, nacre__max_message_to(ep, &push->t->peer) };
    nacre__take(ep, push->context);
    if (err == NACRE_OK)
        err = nacre_protect_response(push->context, &ep->config.crypto, &push->id, &out, room, &plain, NULL);
    nacre__give(ep, push->context);
    if (err == NACRE_OK) nacre__persist_ask_early(&ep->persist_waits, push->context);
    if (err == NACRE_ERR_NOT_YET) {
        nacre__persist_join(&ep->persist_waits, push->context, NACRE__OF_TRANSMISSION,
                            nacre__transmission_index(&ep->tx, push->t));
    } else if (err != NACRE_OK) {
        end(ep, push, err);
    } else {
        const uint16_t mid = plain.mid; /* `plain` lies where the answer goes */
        if (push->t->len > out.len) nacre_wipe(push->t->bytes, push->t->len);
        memcpy(push->t->bytes, out.ptr, out.len);
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
    if (!push->is_validated) push->is_validated = nacre__is_validated(&ep->validation, &push->t->peer);
    return push->is_validated;
}

/* RFC 7252 4.2: the same bytes each time, or none when they are more than what is left of its allowance. */
static void write_push(nacre_endpoint *ep, nacre__push *push, nacre_outgoing *out)
{
    out->bytes.len = 0;
    if (!nacre__outer_write(ep, &push->t->peer, &push->wish, nacre_bytes_of(push->t->bytes, push->t->len), out)) {
        memcpy(out->buf.ptr, push->t->bytes, push->t->len);
        out->bytes = nacre_bytes_of(out->buf.ptr, push->t->len);
    }
    if (!is_validated(ep, push) && push->spent + out->bytes.len > push->allowance) out->bytes.len = 0;
    push->spent += out->bytes.len;
}

/* False: nothing to send after all. */
bool nacre__push_transmit(nacre_endpoint *ep, nacre__push *push, nacre_outgoing *out, uint64_t now_ms)
{
    nacre__transmission *t = push->t;
    out->peer = t->peer;
    write_push(ep, push, out);
    const bool goes_out = out->bytes.len > 0;
    if (goes_out && t->state == NACRE__TRANSMISSION_SENT) ep->stats.retransmitted++;
    if (t->type == NACRE_NON) end(ep, push, NACRE_OK);
    else nacre__transmission_sent(&ep->tx, t, now_ms);
    return goes_out;
}

/* An ACK or a RST names it. False: it has not gone out yet. */
bool nacre__push_settle(nacre_endpoint *ep, nacre__push *push, bool is_reset)
{
    if (push->t->state != NACRE__TRANSMISSION_SENT) return false;
    if (is_reset && push->is_protected && !nacre__reset_is_believed(&ep->reset_belief, &push->t->peer))
        return true; /* its time-out ends it */
    if (!is_reset && push->observer != NACRE__NONE) nacre__observer_confirmed(&ep->observers[push->observer]);
    /* RFC 7641 4.5: a notification that is reset ends the observation; RFC 7252 4.2: a separate answer is not wanted */
    end(ep, push, is_reset ? NACRE_ERR_RESET : NACRE_OK);
    return true;
}

/* Its timer has run out: it is given up, or, while it is held for what the application says, its ACK is due. */
void nacre__push_due(nacre_endpoint *ep, nacre__push *push, nacre__transmission_outcome outcome)
{
    if (outcome == NACRE__TRANSMISSION_TIMED_OUT) {
        end(ep, push, NACRE_ERR_TIMEOUT);
        return;
    }
    nacre__transmission_set_due(&ep->tx, push->t, NACRE__NEVER);
    nacre__later_acknowledge(ep, &ep->entries[push->entry]);
}
