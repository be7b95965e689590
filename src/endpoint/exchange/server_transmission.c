/* SPDX-License-Identifier: MIT */
/* server_transmission: separate responses and notifications: written once, retransmitted as the same bytes until they are
 * acknowledged (RFC 7252 4.2, RFC 8613 8.3), limited by their pool.
 *
 * To an address that is not validated all transmissions of a message share its allowance; a transmission that would exceed it
 * is skipped, and the timers run on (RFC 9175 2.4). */
#include "endpoint/exchange/server_exchange.h"

#include <string.h>

/* Takes a free one for a context, or else an address; NULL when all are in use, or its share. */
nacre__separate_response *nacre__separate_take(nacre__server_exchanges *x, const nacre_context *owner,
                                               const nacre_address *peer)
{
    if (!nacre__separate_has_share(x, owner, peer)) return NULL;
    nacre__transmission *t = nacre__transmission_take(x->tx);
    if (t == NULL) return NULL;
    nacre__separate_response *separate = nacre__separate_of(x, t);
    *separate = (nacre__separate_response){
        .t = t, .server = NACRE__NONE, .observer = NACRE__NONE, .allowance = nacre__allowance(0)
    };
    t->peer = *peer;
    nacre__separate_join_peer(x, separate);
    nacre__separate_count(x, separate, owner);
    return separate;
}

/* Ends it without an event. */
void nacre__separate_drop(nacre__server_exchanges *x, nacre__separate_response *separate)
{
    if (separate->t->in_queue) nacre__protect_batch_flush(x->batch); /* the batch may still encrypt in its bytes */
    if (separate->is_con_notification) x->upper.con_notification_left(x->upper.self, separate);
    nacre__persist_leave(x->persist, NACRE__OF_TRANSMISSION, nacre__transmission_index(x->tx, separate->t));
    if (separate->is_waiting) nacre_wipe(separate->t->bytes, separate->t->len); /* a plain response */
    separate->is_waiting = false;
    separate->context = NULL;
    separate->server = separate->observer = NACRE__NONE;
    nacre__separate_leave_peer(x, separate);
    nacre__transmission_give_back(x->tx, separate->t);
    nacre__separate_uncount(x, separate);
}

static void end(nacre__server_exchanges *x, nacre__separate_response *separate, nacre_err err, bool is_acked)
{
    const uint32_t observer = separate->observer;
    nacre__separate_drop(x, separate);
    if (observer != NACRE__NONE) x->upper.notification_ended(x->upper.self, observer, err, is_acked);
}

/* Ends it with a result for its owner. */
void nacre__separate_ended(nacre__server_exchanges *x, nacre__separate_response *separate, nacre_err err)
{
    end(x, separate, err, false);
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static void write_done(nacre__server_exchanges *x, nacre__separate_response *separate, size_t len, uint16_t mid)
{
    separate->t->len = len;
    separate->context = NULL;
    separate->is_waiting = false;
    nacre__transmission_set_mid(x->tx, separate->t, mid);
    nacre__transmission_queue(x->tx, separate->t);
}

static nacre_err write_response(nacre__server_exchanges *x, nacre__separate_response *separate, nacre_context *context,
                                nacre_request_id *id, nacre_bytes *out, const nacre_message *response)
{
    const size_t max = nacre__max_message_to(x->core, &separate->t->peer),
                 extra = nacre__outer_extra(&separate->block_request);
    const nacre_buf buf = { separate->t->bytes, max > extra ? max - extra : 0 };
    if (context == NULL) return nacre_message_write(response, out, buf);
    return nacre__protect_batch_add(x->batch, context, id, out, buf, response, &separate->t->len);
}

/* Sends `response`, whose type and token are set and lie outside the separate response; sets its MID. NACRE_OK also when it
 * waits for the store. On failure the separate response stays held, but its bytes may be overwritten. */
nacre_err nacre__separate_send(nacre__server_exchanges *x, nacre__separate_response *separate, nacre_context *context,
                               nacre_request_id *id, nacre_message *response)
{
    nacre_bytes out;
    if (nacre_address_is_reliable(&separate->t->peer)) response->type = NACRE_NON; /* delivery is reliable */
    response->mid = nacre__new_mid(x->tx, &separate->t->peer);
    const size_t max = nacre__max_message_to(x->core, &separate->t->peer);
    nacre_err err = write_response(x, separate, context, id, &out, response);
    if (err == NACRE_ERR_NOT_YET) {
        if (nacre_protect_size(context, response, NULL) > max) return NACRE_ERR_TOO_LONG;
        err = nacre_message_write(response, &out, (nacre_buf){ separate->t->bytes, x->core->config.max_message });
        if (err != NACRE_OK) return err == NACRE_ERR_BUFFER_TOO_SMALL ? NACRE_ERR_TOO_LONG : err;
        separate->is_waiting = true;
        separate->t->len = out.len;
        separate->context = context;
        separate->id = *id; /* moved: the original keeps no right to the nonce */
        *id = nacre_request_id_dup(id);
        nacre__transmission_set_due(x->tx, separate->t, NACRE__NEVER);
        nacre__transmission_set_mid(x->tx, separate->t, response->mid); /* reserves it */
        nacre__persist_join(x->persist, context, NACRE__OF_TRANSMISSION, nacre__transmission_index(x->tx, separate->t));
    } else if (err == NACRE_OK) {
        nacre__transmission_set_due(x->tx, separate->t, NACRE__NEVER);
        write_done(x, separate, out.len, response->mid);
    } else {
        return err == NACRE_ERR_BUFFER_TOO_SMALL ? NACRE_ERR_TOO_LONG : err;
    }
    separate->t->type = response->type;
    separate->is_protected = context != NULL;
    if (nacre__is_validated(x->validation, &separate->t->peer))
        separate->is_validated = true; /* as judged by nacre__server_exchange_exceeds */
    separate->server = NACRE__NONE;
    return NACRE_OK;
}

static void resume(nacre__server_exchanges *x, nacre__separate_response *separate)
{
    nacre_message plain;
    nacre_bytes out;
    nacre_err err = nacre_message_parse(&plain, nacre_bytes_of(separate->t->bytes, separate->t->len));
    const nacre_buf buf = { x->core->scratch, nacre__max_message_to(x->core, &separate->t->peer) };
    nacre__context_lock(x->core, separate->context);
    if (err == NACRE_OK)
        err =
            nacre_protect_response(separate->context, &x->core->config.crypto, &separate->id, &out, buf, &plain, NULL);
    nacre__context_unlock(x->core, separate->context);
    if (err == NACRE_OK) nacre__request_persist_early(x->persist, separate->context);
    if (err == NACRE_ERR_NOT_YET) {
        nacre__persist_join(x->persist, separate->context, NACRE__OF_TRANSMISSION,
                            nacre__transmission_index(x->tx, separate->t));
    } else if (err != NACRE_OK) {
        nacre__separate_ended(x, separate, err);
    } else {
        const uint16_t mid = plain.mid; /* the response overwrites `plain` */
        if (separate->t->len > out.len) nacre_wipe(separate->t->bytes, separate->t->len);
        memcpy(separate->t->bytes, out.ptr, out.len);
        write_done(x, separate, out.len, mid);
    }
}

/* The store has answered, or the context is removed. False: it failed, and the response cannot be sent: the caller ends it.
 * It has no right to its request's nonce, or it would not wait. */
bool nacre__separate_confirmed(nacre__server_exchanges *x, nacre__separate_response *separate, nacre_err err)
{
    if (err == NACRE_ERR_NO_CONTEXT) nacre__separate_ended(x, separate, err);
    else if (err == NACRE_OK || nacre__has_number(x->core, separate->context)) resume(x, separate);
    else return false;
    return true;
}

/* ---- Transmission ------------------------------------------------------------------------------------------------ */

/* Whether it has no allowance any more. */
static bool is_validated(const nacre__server_exchanges *x, nacre__separate_response *separate)
{
    if (!separate->is_validated) separate->is_validated = nacre__is_validated(x->validation, &separate->t->peer);
    return separate->is_validated;
}

/* RFC 7252 4.2: the same bytes each time, which are in `out`; none if they exceed the remaining allowance. False: nothing to
 * send. */
bool nacre__separate_transmit(nacre__server_exchanges *x, nacre__separate_response *separate, nacre_outgoing *out,
                              uint64_t now_ms)
{
    nacre__transmission *t = separate->t;
    if (!is_validated(x, separate) && separate->spent + out->bytes.len > separate->allowance) out->bytes.len = 0;
    separate->spent += out->bytes.len;
    const bool goes_out = out->bytes.len > 0;
    if (goes_out && t->state == NACRE__TRANSMISSION_SENT) NACRE__COUNT(x->core, retransmitted);
    if (goes_out && t->type == NACRE_NON) nacre__probing_sent(&x->tx->probing, &t->peer, out->bytes.len, now_ms);
    if (t->type == NACRE_NON) nacre__separate_ended(x, separate, NACRE_OK);
    else nacre__transmission_sent(x->tx, t, now_ms);
    return goes_out;
}

/* Handles an ACK or a RST for it. False: it was not sent yet. */
bool nacre__separate_settle(nacre__server_exchanges *x, nacre__separate_response *separate, bool is_reset)
{
    if (separate->t->state != NACRE__TRANSMISSION_SENT) return false;
    if (is_reset && separate->is_protected && !nacre__reset_is_believed(x->reset_belief, &separate->t->peer))
        return true; /* its timeout ends it */
    /* RFC 7641 4.5: a notification that is reset ends the observation; RFC 7252 4.2: a separate response is rejected */
    end(x, separate, is_reset ? NACRE_ERR_RESET : NACRE_OK, !is_reset);
    return true;
}
