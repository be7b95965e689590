/* SPDX-License-Identifier: MIT */
/* server_response: received requests, from the result of verification to the response kept for duplicates.
 *
 * A response is protected once, when the application gives it, into the exchange's own bytes; these are sent, first and for
 * each duplicate (RFC 8613 8.3: one request nonce, one response). While it waits for the store the bytes hold the plain
 * response, and nothing is transmitted. */
#include "endpoint/exchange/server_exchange.h"
#include "coap/option_check.h"

#include <string.h>

static nacre_buf buf_of(const nacre__exchanges *x, const nacre__server_exchange *exchange)
{
    return (nacre_buf){ exchange->record->bytes, x->core->config.max_message };
}

/* RFC 7252 5.2.1: the response to a CON is piggybacked. 5.2.3: that to a NON is a NON with its own MID. */
void nacre__response_header(nacre__exchanges *x, const nacre__server_exchange *exchange, nacre_message *response,
                            nacre_bytes token)
{
    response->type = exchange->record->type == NACRE_CON ? NACRE_ACK : NACRE_NON;
    response->mid =
        exchange->record->type == NACRE_CON ? exchange->record->mid : nacre__new_mid(x->tx, &exchange->record->peer);
    response->token = token;
}

static void leave_pending(nacre__exchanges *x, nacre__server_exchange *exchange)
{
    if (exchange->pending != NACRE__NONE) x->pending[exchange->pending].server = NACRE__NONE;
    exchange->pending = NACRE__NONE;
}

/* Releases what the exchange holds beside its own bytes. */
static void leave_buffers(nacre__exchanges *x, nacre__server_exchange *exchange)
{
    nacre__separate_forget(x, exchange);
    leave_pending(x, exchange);
}

static void transmit(nacre__exchanges *x, nacre__server_exchange *exchange)
{
    if (exchange->record->in_queue || exchange->record->response_len == 0) return;
    exchange->record->in_queue = true;
    nacre__queue_push(&x->tx->queue, NACRE__OF_SERVER_EXCHANGE, nacre__server_exchange_index(x, exchange));
}

/* Queues the response in the exchange's bytes. `is_unauthenticated`: the request was not verified (plain, refused, or a
 * possible replay), so its record is evicted before verified ones. */
static void finish(nacre__exchanges *x, nacre__server_exchange *exchange, size_t response_len, bool is_unauthenticated)
{
    if (exchange->observer != NACRE__NONE) x->upper.registration_responded(x->upper.self, exchange, NULL);
    exchange->observer = NACRE__NONE;
    exchange->record->response_len = response_len;
    /* connections have no duplicates */
    nacre__server_exchange_done(x, exchange, is_unauthenticated || nacre_address_is_reliable(&exchange->record->peer));
    transmit(x, exchange);
}

/* Queues a response written by another layer, to a request that may be a replay. */
void nacre__response_written(nacre__exchanges *x, nacre__server_exchange *exchange, size_t response_len)
{
    leave_buffers(x, exchange);
    finish(x, exchange, response_len, true);
}

/* The response begins no observation (RFC 7641 4.1): ends the observer. */
static void end_observer(nacre__exchanges *x, nacre__server_exchange *exchange, nacre_err err)
{
    if (exchange->observer != NACRE__NONE) x->upper.registration_ended(x->upper.self, exchange, err);
}

static size_t write_ack(nacre__exchanges *x, nacre__server_exchange *exchange)
{
    const nacre_message ack = { .type = NACRE_ACK, .code = NACRE_EMPTY, .mid = exchange->record->mid };
    nacre_bytes out;
    return exchange->record->type == NACRE_CON && nacre_message_write(&ack, &out, buf_of(x, exchange)) == NACRE_OK
               ? out.len
               : 0;
}

/* Sends nothing: the ACK was sent, and a duplicate gets it again. */
void nacre__response_known_only(nacre__exchanges *x, nacre__server_exchange *exchange)
{
    end_observer(x, exchange, NACRE_OK);
    leave_buffers(x, exchange);
    exchange->record->response_len = write_ack(x, exchange);
    nacre__server_exchange_done(x, exchange, exchange->context == NULL);
}

/* Handles a duplicate (RFC 7252 4.5): a CON gets the same response again, if there is one yet; a NON is dropped. So is one
 * whose response exceeds the allowance of its address (RFC 9175 2.4), which may no longer be validated. */
void nacre__response_again(nacre__exchanges *x, nacre__server_exchange *exchange)
{
    x->core->stats.duplicates++;
    const size_t size = exchange->record->response_len + nacre__outer_most(&exchange->block_request);
    if (size > nacre__allowance(exchange->record->datagram_len) &&
        !nacre__is_validated(x->validation, &exchange->record->peer))
        return;
    if (exchange->state == NACRE__SERVER_DEFERRED && exchange->record->type == NACRE_CON)
        nacre__separate_acknowledge(x, exchange);
    if (exchange->state == NACRE__SERVER_RESPONDED && exchange->record->type == NACRE_CON) transmit(x, exchange);
}

/* No response: a CON gets an empty ACK, which is never protected (RFC 8613 4.2). */
void nacre__response_empty(nacre__exchanges *x, nacre__server_exchange *exchange)
{
    const bool was_heard = exchange->state == NACRE__SERVER_DELIVERED || exchange->state == NACRE__SERVER_DEFERRED;
    end_observer(x, exchange, NACRE_OK);
    leave_buffers(x, exchange);
    finish(x, exchange, write_ack(x, exchange), was_heard && exchange->context == NULL);
}

/* Sends a short unprotected response, or a block of a kept one. Its options and payload lie outside the exchange. */
void nacre__response_unprotected(nacre__exchanges *x, nacre__server_exchange *exchange, nacre_message *response,
                                 nacre_bytes token)
{
    nacre_bytes out;
    nacre__response_header(x, exchange, response, token);
    if (nacre_message_write(response, &out, buf_of(x, exchange)) != NACRE_OK) out.len = 0;
    nacre__response_written(x, exchange, out.len);
}

/* ---- Refusing ------------------------------------------------------------------------------------------------------ */

static bool has_diagnostic(nacre_err err)
{
    return err == NACRE_ERR_DECODE || err == NACRE_ERR_NO_CONTEXT || err == NACRE_ERR_REPLAY ||
           err == NACRE_ERR_PROTECTION_INVALID;
}

static nacre_bytes text_of(nacre_err err)
{
    if (!has_diagnostic(err)) return NACRE_ABSENT;
    const char *text = nacre_err_text(err);
    return nacre_bytes_of((const uint8_t *)text, strlen(text));
}

/* RFC 8613 8.2, B.2: codes allowed unprotected in response to a protected request. Other errors are not reported. */
static bool is_unprotected_response(uint8_t code)
{
    return code == NACRE_BAD_REQUEST || code == NACRE_UNAUTHORIZED || code == NACRE_BAD_OPTION ||
           code == NACRE_UNAVAILABLE;
}

/* RFC 8613 8.2, 7.4: an unprotected error response to a CON and over a connection; silence to a NON, which expects none and
 * whose address may be forged. */
void nacre__response_refuse(nacre__exchanges *x, nacre__server_exchange *exchange, nacre_err err, nacre_bytes token)
{
    static const uint8_t max_age_0[] = { 0xd0, NACRE_OPT_MAX_AGE - 13 }; /* an empty uint */
    const bool unverified = exchange->state == NACRE__SERVER_NEW || exchange->state == NACRE__SERVER_PENDING;
    const uint8_t code = nacre_err_coap_code(err);
    nacre_message response = {
        .code = code != 0 ? code : NACRE_SERVER_ERROR,
        .options = err == NACRE_ERR_REPLAY ? NACRE_ARRAY(max_age_0) : NACRE_ABSENT,
        .payload = text_of(err),
    };
    nacre_bytes out = NACRE_ABSENT;
    if (!is_unprotected_response(response.code)) {
        nacre__response_empty(x, exchange);
        return;
    }
    if (exchange->record->type != NACRE_CON && !nacre_address_is_reliable(&exchange->record->peer)) {
        leave_buffers(x, exchange);
        nacre__server_exchange_release(x,
                                       exchange); /* keeps no record, since a duplicate would be refused just as well */
        return;
    }
    nacre__response_header(x, exchange, &response, token);
    if (nacre_message_write(&response, &out, buf_of(x, exchange)) != NACRE_OK) {
        /* RFC 8974 2.2.2: a token that nearly fills the message is returned with the code alone, which fits */
        response.options = response.payload = NACRE_ABSENT;
        if (nacre_message_write(&response, &out, buf_of(x, exchange)) != NACRE_OK) out.len = 0;
    }
    leave_buffers(x, exchange);
    finish(x, exchange, out.len, unverified);
}

static nacre_bytes token_of(const nacre__exchanges *x, const nacre__server_exchange *exchange)
{
    nacre_message request;
    if (exchange->state == NACRE__SERVER_WAITING) {
        /* the token is in the plain response in its bytes, which the refusal overwrites */
        if (nacre_message_parse(&request, nacre_bytes_of(exchange->record->bytes, exchange->record->response_len)) !=
            NACRE_OK)
            return NACRE_ABSENT;
        memcpy(x->core->scratch, request.token.ptr, request.token.len);
        return nacre_bytes_of(x->core->scratch, request.token.len);
    }
    if (exchange->state == NACRE__SERVER_PENDING) {
        const nacre__pending_request *pending = &x->pending[exchange->pending];
        if (nacre_message_parse(&request, nacre_bytes_of(pending->bytes, pending->len)) != NACRE_OK)
            return NACRE_ABSENT;
        return request.token;
    }
    return exchange->message.token;
}

/* The store failed, or the context is removed: ends the exchange; a later respond returns NACRE_ERR_STALE. */
void nacre__response_withdraw(nacre__exchanges *x, nacre__server_exchange *exchange, nacre_err err)
{
    if (exchange->state == NACRE__SERVER_READY)
        nacre__queue_remove(&x->events, NACRE__OF_SERVER_EXCHANGE, nacre__server_exchange_index(x, exchange));
    end_observer(x, exchange, err);
    if (exchange->acked) { /* nothing is sent: the client expects a response that verifies, or none */
        nacre__response_known_only(x, exchange);
        return;
    }
    nacre__response_refuse(x, exchange, err, token_of(x, exchange));
}

/* ---- The result of verification ---------------------------------------------------------------------------------- */

/* Keeps the plain response in the exchange's bytes until the store has confirmed. */
static nacre_err keep_plain(nacre__exchanges *x, nacre__server_exchange *exchange, const nacre_message *response,
                            bool echo)
{
    nacre_bytes out;
    const nacre_err err = nacre_message_write(response, &out, buf_of(x, exchange));
    if (err != NACRE_OK) return err;
    exchange->record->response_len = out.len;
    exchange->echo = echo;
    exchange->state = NACRE__SERVER_WAITING;
    leave_buffers(x, exchange);
    nacre__server_exchange_wait(x, exchange, exchange->context);
    return NACRE_OK;
}

/* RFC 8613 B.1.2: the replay window is unknown, so the sender must prove freshness. */
static void challenge(nacre__exchanges *x, nacre__server_exchange *exchange, nacre_bytes token)
{
    nacre_message header = { .code = NACRE_UNAUTHORIZED };
    nacre_bytes out;
    if (!nacre__challenge_take(x->rate_limits,
                               exchange->context)) { /* dropped without a record: the client retransmits */
        x->core->stats.dropped++;
        nacre__server_exchange_release(x, exchange);
        return;
    }
    nacre__response_header(x, exchange, &header, token);
    nacre__context_lock(x->core, exchange->context);
    nacre_err err = nacre_protect_echo(exchange->context, &x->core->config.crypto, &exchange->id, &out,
                                       buf_of(x, exchange), &header);
    nacre__context_unlock(x->core, exchange->context);
    if (err == NACRE_OK) {
        nacre__request_persist_early(x->persist, exchange->context);
        leave_buffers(x, exchange);
        finish(x, exchange, out.len, true);
        return;
    }
    if (err == NACRE_ERR_NOT_YET && keep_plain(x, exchange, &header, true) == NACRE_OK) return;
    nacre__response_refuse(x, exchange, err, token);
}

/* Whether the same request is pending already: one copy is enough; replays would use up all entries. */
static bool is_pending(const nacre__exchanges *x, const nacre__received *received)
{
    for (uint32_t i = 0; i < x->max_pending; i++) {
        const nacre__pending_request *p = &x->pending[i];
        if (p->server != NACRE__NONE && x->servers[p->server].context == received->context &&
            nacre_bytes_equal(nacre_bytes_of(p->partial_iv, p->partial_iv_len), received->read.oscore.partial_iv))
            return true;
    }
    return false;
}

/* Keeps the request's bytes until the store has invalidated its replay window. Without a free entry the request is dropped
 * without a record; its retransmission is handled later. */
static void keep_pending(nacre__exchanges *x, nacre__server_exchange *exchange, const nacre__received *received)
{
    const nacre_bytes piv = received->read.oscore.partial_iv;
    const bool is_new = exchange->pending == NACRE__NONE && !is_pending(x, received);
    exchange->context = received->context;
    for (uint32_t i = 0; is_new && exchange->pending == NACRE__NONE && i < x->max_pending; i++) {
        if (x->pending[i].server != NACRE__NONE) continue;
        exchange->pending = i;
        x->pending[i].server = nacre__server_exchange_index(x, exchange);
        x->pending[i].len = received->datagram->bytes.len;
        memcpy(x->pending[i].bytes, received->datagram->bytes.ptr, received->datagram->bytes.len);
        x->pending[i].partial_iv_len = (uint8_t)piv.len;
        memcpy(x->pending[i].partial_iv, piv.ptr, piv.len);
    }
    if (exchange->pending == NACRE__NONE) {
        nacre__request_persist(x->persist, received->context);
        x->core->stats.dropped++;
        nacre__server_exchange_release(x, exchange);
        return;
    }
    exchange->state = NACRE__SERVER_PENDING;
    nacre__server_exchange_wait(x, exchange, received->context);
}

static void count_refusal(nacre__exchanges *x, nacre_err err)
{
    if (err == NACRE_ERR_REPLAY) x->core->stats.replays++;
    else if (err == NACRE_ERR_NO_CONTEXT) x->core->stats.no_context++;
    else x->core->stats.unprotect_failures++;
}

static void heard_echo(nacre__exchanges *x, const nacre__received *received)
{
    nacre__echo_heard(x->echo, &received->datagram->peer, received->context,
                      nacre_option_find(received->plain.options, NACRE_OPT_ECHO),
                      nacre_option_find(received->outer.options, NACRE_OPT_ECHO), received->recovers);
}

/* Acts on the result of verification: deliver, challenge, wait, or refuse. */
void nacre__response_settle(nacre__exchanges *x, nacre__server_exchange *exchange, const nacre__received *received)
{
    switch (received->err) {
    case NACRE_OK:
        exchange->context = received->context;
        exchange->id = received->id; /* moved: the item is not used again */
        exchange->message = received->plain;
        exchange->seen = nacre__received_drop_options(x->core, received, &exchange->message);
        exchange->state = NACRE__SERVER_READY;
        if ((exchange->seen | received->seen) & NACRE__SEEN(NACRE_OPT_ECHO)) heard_echo(x, received);
        nacre__queue_push(&x->events, NACRE__OF_SERVER_EXCHANGE, nacre__server_exchange_index(x, exchange));
        x->core->stats.requests++;
        break;
    case NACRE_ERR_REPLAY_ECHO:
        exchange->context = received->context;
        exchange->id = received->id;
        challenge(x, exchange, received->outer.token);
        break;
    case NACRE_ERR_NOT_YET: keep_pending(x, exchange, received); break;
    default: count_refusal(x, received->err); nacre__response_refuse(x, exchange, received->err, received->outer.token);
    }
}

/* ---- After the wait ---------------------------------------------------------------------------------------------- */

static void resume_request(nacre__exchanges *x, nacre__server_exchange *exchange)
{
    const nacre__pending_request *pending = &x->pending[exchange->pending];
    const nacre_datagram datagram = { .peer = exchange->record->peer, .bytes = { pending->bytes, pending->len } };
    nacre__received received = { .kind = NACRE__RECEIVED_REQUEST, .datagram = &datagram, .context = exchange->context };
    received.err = nacre_message_parse(&received.outer, datagram.bytes);
    const nacre_buf buf = { pending->bytes + x->core->config.max_message, x->core->config.max_message };
    nacre__context_lock(x->core, exchange->context);
    if (received.err == NACRE_OK)
        received.err = nacre_unprotect_request(exchange->context, &x->core->config.crypto, &received.id,
                                               &received.plain, buf, &received.outer);
    nacre__context_unlock(x->core, exchange->context);
    nacre__response_settle(x, exchange, &received);
}

static void resume_response(nacre__exchanges *x, nacre__server_exchange *exchange)
{
    const nacre_buf buf = { x->core->scratch, x->core->config.max_message };
    nacre_message plain;
    nacre_bytes out;
    nacre_err err =
        nacre_message_parse(&plain, nacre_bytes_of(exchange->record->bytes, exchange->record->response_len));
    nacre__context_lock(x->core, exchange->context);
    if (err == NACRE_OK && exchange->echo)
        err = nacre_protect_echo(exchange->context, &x->core->config.crypto, &exchange->id, &out, buf, &plain);
    else if (err == NACRE_OK)
        err =
            nacre_protect_response(exchange->context, &x->core->config.crypto, &exchange->id, &out, buf, &plain, NULL);
    nacre__context_unlock(x->core, exchange->context);
    if (err == NACRE_ERR_NOT_YET) {
        nacre__server_exchange_wait(x, exchange, exchange->context);
    } else if (err != NACRE_OK) {
        nacre__response_withdraw(x, exchange, err);
    } else {
        nacre__request_persist_early(x->persist, exchange->context);
        memcpy(exchange->record->bytes, out.ptr, out.len);
        finish(x, exchange, out.len, false);
    }
}

/* Continues after the wait. A pending request was not accepted: it is refused unprotected, and its nonce stays unused,
 * because the same request may be accepted later (RFC 8613 B.1.2). A waiting response has no right to its request's nonce. */
static bool goes_on(nacre__exchanges *x, const nacre__server_exchange *exchange)
{
    return exchange->state == NACRE__SERVER_PENDING ? nacre__has_durable_window(x->core, exchange->context)
                                                    : nacre__has_number(x->core, exchange->context);
}

/* The store has answered. */
void nacre__response_confirmed(nacre__exchanges *x, nacre__server_exchange *exchange, nacre_err err)
{
    exchange->record->may_be_dropped = false;
    if (err != NACRE_OK && !goes_on(x, exchange)) nacre__response_withdraw(x, exchange, NACRE_ERR_NOT_YET);
    else if (exchange->state == NACRE__SERVER_PENDING) resume_request(x, exchange);
    else resume_response(x, exchange);
}

/* A new burst begins: unanswered requests count as ignored, because the memory of their messages is reused. */
void nacre__response_close_delivered(nacre__exchanges *x)
{
    for (uint32_t i = x->dedup->lists[NACRE__DEDUP_OPEN].first, next; i != NACRE__NONE; i = next) {
        nacre__server_exchange *exchange = &x->servers[i];
        next = exchange->record->link.next;
        if (exchange->state == NACRE__SERVER_DELIVERED) nacre__response_empty(x, exchange);
        if (exchange->state == NACRE__SERVER_DEFERRED) leave_pending(x, exchange);
    }
}

/* ---- Responses --------------------------------------------------------------------------------------------------- */

/* The request with that number, if it can be answered now. */
nacre__server_exchange *nacre__server_exchange_of(const nacre__exchanges *x, nacre_exchange number)
{
    const uint32_t index = nacre__exchange_index(&x->numbers, NACRE__OF_SERVER_EXCHANGE, number);
    if (index >= x->core->config.num_server_exchanges) return NULL;
    nacre__server_exchange *exchange = &x->servers[index];
    const bool is_open = exchange->state == NACRE__SERVER_DELIVERED || exchange->state == NACRE__SERVER_DEFERRED;
    return exchange->number == number && is_open ? exchange : NULL;
}

/* Writes the response into the exchange's bytes, protected if the request was (RFC 8613 8.3). */
static nacre_err write_response(nacre__exchanges *x, nacre__server_exchange *exchange, nacre_bytes *out,
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

static bool may_have_these(const nacre__exchanges *x, nacre_bytes options)
{
    uint32_t seen;
    if (options.len == 0) return true;
    const uint8_t *end = options.ptr + options.len;
    if (nacre__options_scan(options.ptr, end, &seen) != end) return false; /* not well-formed */
    return x->core->config.opaque_oscore || (seen & NACRE__SEEN(NACRE_OPT_OSCORE)) == 0 ||
           !nacre__has_option(options, NACRE_OPT_OSCORE);
}

bool nacre__response_may_be_said(const nacre__exchanges *x, const nacre_message *plain)
{
    return may_have_these(x, plain->options) && nacre__is_response_class(plain->code);
}

/* Sends the response in the ACK of a CON, or as a NON, from the exchange's own bytes. */
nacre_err nacre__response_at_once(nacre__exchanges *x, nacre__server_exchange *exchange, nacre_message *response)
{
    nacre_bytes out;
    nacre__response_header(x, exchange, response, exchange->message.token);
    const nacre_err err = write_response(x, exchange, &out, response);
    if (err == NACRE_ERR_NOT_YET) {
        if (nacre_protect_size(exchange->context, response, NULL) >
            nacre__max_message_to(x->core, &exchange->record->peer))
            return NACRE_ERR_TOO_LONG;
        return keep_plain(x, exchange, response, false);
    }
    if (err != NACRE_OK) return err == NACRE_ERR_BUFFER_TOO_SMALL ? NACRE_ERR_TOO_LONG : err;
    leave_buffers(x, exchange);
    finish(x, exchange, out.len, exchange->context == NULL);
    return NACRE_OK;
}

/* RFC 7967 2.1: No-Response names the unwanted classes. It is ignored for registrations, whose first response shows whether
 * they were accepted. */
bool nacre__response_is_unwanted(const nacre__server_exchange *exchange, uint8_t code)
{
    return exchange->observer == NACRE__NONE && (exchange->unwanted >> ((code >> 5) - 1)) % 2 == 1;
}
