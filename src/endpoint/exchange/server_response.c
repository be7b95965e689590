/* SPDX-License-Identifier: MIT */
/* server_response: the response to a received request, in the exchange's own bytes.
 *
 * A response is protected once, when the application gives it, into these bytes, which are sent, first and for each duplicate
 * (RFC 8613 8.3: one request nonce, one response). While it waits for the store they hold the plain response, and nothing is
 * transmitted. */
#include "endpoint/exchange/server_exchange.h"
#include "coap/option_check.h"

/* RFC 7252 5.2.1: the response to a CON is piggybacked. 5.2.3: that to a NON is a NON with its own MID. */
void nacre__response_header(nacre__server_exchanges *x, const nacre__server_exchange *exchange, nacre_message *response,
                            nacre_bytes token)
{
    response->type = exchange->record->type == NACRE_CON ? NACRE_ACK : NACRE_NON;
    response->mid =
        exchange->record->type == NACRE_CON ? exchange->record->mid : nacre__new_mid(x->tx, &exchange->record->peer);
    response->token = token;
}

static void transmit(nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    if (exchange->record->in_queue || exchange->record->response_len == 0) return;
    exchange->record->in_queue = true;
    nacre__queue_push(&x->tx->queue, NACRE__OF_SERVER_EXCHANGE, nacre__server_exchange_index(x, exchange));
}

/* Queues the response in the exchange's bytes. `is_unauthenticated`: the request was not verified (plain, refused, or a
 * possible replay), so its record is evicted before verified ones. */
void nacre__response_finish(nacre__server_exchanges *x, nacre__server_exchange *exchange, size_t response_len,
                            bool is_unauthenticated)
{
    if (exchange->observer != NACRE__NONE) x->upper.registration_responded(x->upper.self, exchange, NULL);
    exchange->observer = NACRE__NONE;
    exchange->record->response_len = response_len;
    /* connections have no duplicates */
    nacre__server_exchange_done(x, exchange, is_unauthenticated || nacre_address_is_reliable(&exchange->record->peer));
    transmit(x, exchange);
}

/* Queues a response written by another layer, to a request that may be a replay. */
void nacre__response_written(nacre__server_exchanges *x, nacre__server_exchange *exchange, size_t response_len)
{
    nacre__server_exchange_leave_buffers(x, exchange);
    nacre__response_finish(x, exchange, response_len, true);
}

/* The response begins no observation (RFC 7641 4.1): ends the observer. */
void nacre__response_end_observer(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_err err)
{
    if (exchange->observer != NACRE__NONE) x->upper.registration_ended(x->upper.self, exchange, err);
}

static size_t write_ack(nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    const nacre_message ack = { .type = NACRE_ACK, .code = NACRE_EMPTY, .mid = exchange->record->mid };
    nacre_bytes out;
    return exchange->record->type == NACRE_CON &&
                   nacre_message_write(&ack, &out, nacre__response_buf(x, exchange)) == NACRE_OK
               ? out.len
               : 0;
}

/* Sends nothing: the ACK was sent, and a duplicate gets it again. */
void nacre__response_known_only(nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    nacre__response_end_observer(x, exchange, NACRE_OK);
    nacre__server_exchange_leave_buffers(x, exchange);
    exchange->record->response_len = write_ack(x, exchange);
    nacre__server_exchange_done(x, exchange, exchange->context == NULL);
}

/* Handles a duplicate (RFC 7252 4.5): a CON gets the same response again, if there is one yet; a NON is dropped. So is one
 * whose response exceeds the allowance of its address (RFC 9175 2.4), which may no longer be validated. */
void nacre__response_again(nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    NACRE__COUNT(x->core, duplicates);
    const size_t size = exchange->record->response_len + nacre__outer_most(&exchange->block_request);
    if (size > nacre__allowance(exchange->record->datagram_len) &&
        !nacre__is_validated(x->validation, &exchange->record->peer))
        return;
    if (exchange->state == NACRE__SERVER_DEFERRED && exchange->record->type == NACRE_CON)
        nacre__separate_acknowledge(x, exchange);
    if (exchange->state != NACRE__SERVER_RESPONDED || exchange->record->type != NACRE_CON) return;
    NACRE__COUNT(x->core, repeated_responses);
    transmit(x, exchange);
}

/* No response: a CON gets an empty ACK, which is never protected (RFC 8613 4.2). */
void nacre__response_empty(nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    const bool was_heard = exchange->state == NACRE__SERVER_DELIVERED || exchange->state == NACRE__SERVER_DEFERRED;
    nacre__response_end_observer(x, exchange, NACRE_OK);
    nacre__server_exchange_leave_buffers(x, exchange);
    nacre__response_finish(x, exchange, write_ack(x, exchange), was_heard && exchange->context == NULL);
}

/* Sends a short unprotected response, or a block of a kept one. Its options and payload lie outside the exchange. */
void nacre__response_unprotected(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_message *response,
                                 nacre_bytes token)
{
    nacre_bytes out;
    nacre__response_header(x, exchange, response, token);
    if (nacre_message_write(response, &out, nacre__response_buf(x, exchange)) != NACRE_OK) out.len = 0;
    nacre__count_responded(x->core, response->code);
    nacre__response_written(x, exchange, out.len);
}

/* ---- Responses --------------------------------------------------------------------------------------------------- */

/* Writes the response into the exchange's bytes, protected if the request was (RFC 8613 8.3). */
static nacre_err write_response(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_bytes *out,
                                const nacre_message *response)
{
    const size_t max = nacre__max_message_to(x->core, &exchange->record->peer),
                 extra = nacre__outer_extra(&exchange->block_request);
    const nacre_buf buf = { exchange->record->bytes, max > extra ? max - extra : 0 };
    if (exchange->context == NULL) return nacre_message_write(response, out, buf);
    /* RFC 8613 8.3 step 1: the context that verified the request */
    return nacre__protect_batch_add(x->batch, exchange->context, &exchange->id, out, buf, response,
                                    &exchange->record->response_len);
}

static bool may_have_these(const nacre__server_exchanges *x, nacre_bytes options)
{
    uint32_t seen;
    if (options.len == 0) return true;
    const uint8_t *end = options.ptr + options.len;
    if (nacre__options_scan(options.ptr, end, &seen) != end) return false; /* not well-formed */
    return x->core->config.opaque_oscore || (seen & NACRE__SEEN(NACRE_OPT_OSCORE)) == 0 ||
           !nacre__has_option(options, NACRE_OPT_OSCORE);
}

bool nacre__response_may_be_said(const nacre__server_exchanges *x, const nacre_message *plain)
{
    return may_have_these(x, plain->options) && nacre__is_response_class(plain->code);
}

/* Keeps the plain response in the exchange's bytes until the store has confirmed. */
nacre_err nacre__response_keep_plain(nacre__server_exchanges *x, nacre__server_exchange *exchange,
                                     const nacre_message *response, bool echo)
{
    nacre_bytes out;
    const nacre_err err = nacre_message_write(response, &out, nacre__response_buf(x, exchange));
    if (err != NACRE_OK) return err;
    exchange->record->response_len = out.len;
    exchange->echo = echo;
    exchange->state = NACRE__SERVER_WAITING;
    nacre__server_exchange_leave_buffers(x, exchange);
    nacre__server_exchange_wait(x, exchange, exchange->context);
    return NACRE_OK;
}

/* Sends the response in the ACK of a CON, or as a NON, from the exchange's own bytes. */
nacre_err nacre__response_at_once(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_message *response)
{
    nacre_bytes out;
    nacre__response_header(x, exchange, response, exchange->message.token);
    const nacre_err err = write_response(x, exchange, &out, response);
    if (err == NACRE_ERR_NOT_YET) {
        if (nacre_protect_size(exchange->context, response, NULL) >
            nacre__max_message_to(x->core, &exchange->record->peer))
            return NACRE_ERR_TOO_LONG;
        return nacre__response_keep_plain(x, exchange, response, false);
    }
    if (err != NACRE_OK) return err == NACRE_ERR_BUFFER_TOO_SMALL ? NACRE_ERR_TOO_LONG : err;
    nacre__server_exchange_leave_buffers(x, exchange);
    nacre__response_finish(x, exchange, out.len, exchange->context == NULL);
    return NACRE_OK;
}

/* RFC 7967 2.1: No-Response names the unwanted classes. It is ignored for registrations, whose first response shows whether
 * they were accepted. */
bool nacre__response_is_unwanted(const nacre__server_exchange *exchange, uint8_t code)
{
    return exchange->observer == NACRE__NONE && (exchange->unwanted >> ((code >> 5) - 1)) % 2 == 1;
}
