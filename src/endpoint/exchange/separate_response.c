/* SPDX-License-Identifier: MIT */
/* separate_response: responses that the application defers (RFC 7252 5.2.2).
 *
 * The exchange stays in the deduplication memory, and a separate response is held; its bytes keep the request's token. A CON
 * gets its empty ACK after ack_delay_ms, or when a duplicate arrives; the response is then a separate message. Until then it
 * is piggybacked. */
#include "endpoint/exchange/server_exchange.h"

#include <string.h>

/* Holds a separate response, and the token in it. NACRE_ERR_BUSY: none is free for this peer. */
static nacre_err hold(nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    nacre__separate_response *separate = nacre__separate_take(x, exchange->context, &exchange->record->peer);
    if (separate == NULL) return NACRE_ERR_BUSY;
    const nacre_bytes token = exchange->message.token;
    if (token.len > 0) memcpy(separate->t->bytes, token.ptr, token.len);
    exchange->message = (nacre_message){ .token = { separate->t->bytes, token.len } };
    exchange->separate = nacre__separate_index(x, separate);
    exchange->state = NACRE__SERVER_DEFERRED;
    separate->server = nacre__server_exchange_index(x, exchange);
    return NACRE_OK;
}

nacre_err nacre__separate_defer(nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    if (exchange->state == NACRE__SERVER_DEFERRED) return NACRE_OK;
    const bool may_be_forged =
        exchange->context == NULL && !nacre__is_validated(x->validation, &exchange->record->peer);
    if (may_be_forged && !nacre__separate_is_to_spare(x)) return NACRE_ERR_BUSY;
    const nacre_err err = hold(x, exchange);
    if (err == NACRE_OK && exchange->record->type == NACRE_CON)
        nacre__transmission_set_due(x->tx, x->separates[exchange->separate].t,
                                    nacre__after(x->core->now_ms, x->core->config.timing.ack_delay_ms));
    return err;
}

/* RFC 7252 5.2.2: sends the empty ACK; again for each duplicate. */
void nacre__separate_acknowledge(nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    exchange->acked = true;
    nacre__transmission_set_due(x->tx, x->separates[exchange->separate].t, NACRE__NEVER);
    nacre__send_empty(x->empty, &exchange->record->peer, NACRE_ACK, exchange->record->mid);
}

/* Detaches the separate response from the exchange. */
void nacre__separate_forget(nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    if (exchange->separate != NACRE__NONE) nacre__separate_drop(x, &x->separates[exchange->separate]);
    exchange->separate = NACRE__NONE;
}

/* Sends the separate response, CON or NON like the request. The exchange must have one, and keeps it on failure. On NACRE_OK
 * only nacre__response_known_only remains to be called. */
nacre_err nacre__separate_respond(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_message *response)
{
    nacre__separate_response *separate = &x->separates[exchange->separate];
    const nacre_bytes token = exchange->message.token;
    if (token.len > 0) memcpy(x->core->scratch, token.ptr, token.len); /* the response overwrites it */
    response->type = exchange->record->type;
    response->token = nacre_bytes_of(x->core->scratch, token.len);
    separate->allowance = nacre__allowance(exchange->record->datagram_len);
    separate->spent = exchange->acked ? NACRE__HEADER_LEN : 0; /* the ACK */
    separate->block_request = exchange->block_request;
    const nacre_err err = nacre__separate_send(x, separate, exchange->context, &exchange->id, response);
    if (err != NACRE_OK) {
        if (token.len > 0) memcpy(separate->t->bytes, x->core->scratch, token.len);
        return err;
    }
    exchange->separate = NACRE__NONE;
    if (exchange->observer != NACRE__NONE) x->upper.registration_responded(x->upper.self, exchange, separate);
    exchange->observer = NACRE__NONE;
    return NACRE_OK;
}

/* Its timer has expired: given up, or, while it is held, the ACK is due. */
void nacre__separate_due(nacre__server_exchanges *x, nacre__separate_response *separate,
                         nacre__transmission_outcome outcome)
{
    if (outcome == NACRE__TRANSMISSION_TIMED_OUT) {
        nacre__separate_ended(x, separate, NACRE_ERR_TIMEOUT);
        return;
    }
    nacre__transmission_set_due(x->tx, separate->t, NACRE__NEVER);
    nacre__separate_acknowledge(x, &x->all[separate->server]);
}
