/* SPDX-License-Identifier: MIT */
/* client_request: requests sent here, from the call to the one event that ends each.
 *
 * A client exchange keeps the plain request, to protect it at transmission and to repeat it with an Echo value, and the bytes
 * sent, because a retransmission must be identical (RFC 8613 8.1 spends a number; protecting again would make a second
 * request). Responses are in client_response.c, observations in observe_client.c. */
#include "endpoint/exchange/client_exchange.h"
#include "endpoint/message/nstart.h"

#include <string.h>

void nacre__client_exchange_set_token(nacre__client_exchanges *x, const nacre__client_exchange *exchange,
                                      uint64_t token)
{
    uint64_t *held = &x->tokens[nacre__client_exchange_index(x, exchange)];
    if (*held == 0 && token != 0) x->num_tokens++;
    if (*held != 0 && token == 0) x->num_tokens--;
    *held = token;
    if (token == 0) nacre__transmission_unset_mid(x->tx, exchange->t);
}

/* Stops transmission. The token stays: an observation continues under it. */
void nacre__client_exchange_pause(nacre__client_exchanges *x, nacre__client_exchange *exchange)
{
    nacre__persist_leave(x->persist, NACRE__OF_CLIENT_EXCHANGE, nacre__client_exchange_index(x, exchange));
    nacre__transmission_stop(x->tx, exchange->t);
}

static void stop(nacre__client_exchanges *x, nacre__client_exchange *exchange)
{
    nacre__client_exchange_pause(x, exchange);
    nacre__client_exchange_set_token(x, exchange, 0);
}

static void forget_blocks(nacre__client_exchanges *x, nacre__client_exchange *exchange)
{
    if (exchange->outer != NACRE__NONE) x->upper.blocks_dropped(x->upper.self, exchange);
}

/* Ends the exchange's transmission and time limit; the next request to the peer may be sent. */
static void leave(nacre__client_exchanges *x, nacre__client_exchange *exchange, nacre__client_exchange_state state)
{
    x->upper.request_left(x->upper.self, exchange);
    nacre__nstart_leave(x->tx, exchange->t);
    forget_blocks(x, exchange);
    if (exchange->limit != 0 && !exchange->limited) x->num_unlimited--;
    exchange->limit = 0;
    exchange->limited = false;
    exchange->t->give_up = NACRE__NEVER;
    stop(x, exchange);
    exchange->state = state;
}

void nacre__client_exchange_release(nacre__client_exchanges *x, nacre__client_exchange *exchange)
{
    leave(x, exchange, NACRE__CLIENT_FREE);
    nacre__client_exchange_set_context(x, exchange, NULL);
    nacre__client_exchange_leave_peer(x, exchange);
    exchange->number = 0;
    exchange->rederivation = NULL;
    exchange->user = NULL;
}

/* Stops transmission while the exchange waits for something other than its peer. */
void nacre__client_exchange_wait(nacre__client_exchanges *x, nacre__client_exchange *exchange)
{
    nacre__nstart_leave(x->tx, exchange->t);
    nacre__transmission_stop(x->tx, exchange->t);
    exchange->state = NACRE__CLIENT_WAITING;
}

/* Waits for the store of its context. */
void nacre__client_exchange_wait_for_store(nacre__client_exchanges *x, nacre__client_exchange *exchange)
{
    nacre__client_exchange_wait(x, exchange);
    nacre__persist_join(x->persist, exchange->context, NACRE__OF_CLIENT_EXCHANGE,
                        nacre__client_exchange_index(x, exchange));
}

/* A request for a next outer block takes no number, and contexts of a rederivation have no store. */
static bool needs_store(const nacre__client_exchanges *x, const nacre__client_exchange *exchange)
{
    return exchange->context != NULL && exchange->rederivation == NULL && exchange->outer == NACRE__NONE &&
           !nacre__has_number(x->core, exchange->context);
}

/* Queues the request, or waits for the store: without a number it is not built, and the store is asked now. */
void nacre__client_exchange_queue(nacre__client_exchanges *x, nacre__client_exchange *exchange)
{
    if (needs_store(x, exchange)) {
        nacre__client_exchange_wait_for_store(x, exchange);
        return;
    }
    exchange->state = NACRE__CLIENT_SENDING;
    nacre__transmission_queue(x->tx, exchange->t);
}

/* Sends the same request again, under a new token. */
void nacre__client_exchange_again(nacre__client_exchanges *x, nacre__client_exchange *exchange)
{
    exchange->last_reject = NACRE_OK;
    forget_blocks(x, exchange);
    stop(x, exchange);
    nacre__client_exchange_queue(x, exchange);
}

/* Every exchange ends here: with NACRE_OK a response, else a failure. If it has ended but its event was not pulled, the event
 * changes. */
void nacre__client_exchange_end(nacre__client_exchanges *x, nacre__client_exchange *exchange, nacre_err err,
                                const nacre_message *message)
{
    if (exchange->state != NACRE__CLIENT_ENDED)
        nacre__queue_push(x->events, NACRE__OF_CLIENT_EXCHANGE, nacre__client_exchange_index(x, exchange));
    leave(x, exchange, NACRE__CLIENT_ENDED);
    exchange->err = err;
    exchange->message = message != NULL ? *message : (nacre_message){ .code = NACRE_EMPTY };
}

/* ---- Starting ------------------------------------------------------------------------------------------------------ */

static nacre__client_exchange *free_exchange(nacre__client_exchanges *x)
{
    const uint32_t num = x->core->config.num_client_exchanges;
    for (uint32_t i = 0; i < num; i++) {
        nacre__client_exchange *exchange = &x->all[(x->next + i) % num];
        if (exchange->state != NACRE__CLIENT_FREE) continue;
        x->next =
            (nacre__client_exchange_index(x, exchange) + 1) % num; /* round-robin, so that numbers are reused late */
        return exchange;
    }
    return NULL;
}

static nacre_err check(const nacre_message *plain, bool may_have_oscore)
{
    if (plain->type > NACRE_NON || !nacre_code_is_request(plain->code)) return NACRE_ERR_BAD_ARGUMENT;
    nacre_option_iter it = nacre_option_begin(plain->options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number == NACRE_OPT_OSCORE && !may_have_oscore) return NACRE_ERR_BAD_ARGUMENT;
    return nacre_option_bad(&it) ? NACRE_ERR_BAD_ARGUMENT : NACRE_OK;
}

/* Upper bound of the datagram's size. */
static size_t size_on_the_way(const nacre_context *context, const nacre_message *plain)
{
    static const uint8_t token[NACRE__TOKEN_LEN] = { 0 };
    nacre_message message = *plain;
    message.token = NACRE_ARRAY(token);
    return context != NULL ? nacre_protect_size(context, &message, NULL) : nacre_message_size(&message);
}

/* Rewrites the plain request with this value of an option; absent: without the option. */
nacre_err nacre__client_exchange_set_option(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                                            uint16_t number, nacre_bytes value)
{
    nacre_message plain;
    nacre_err err = nacre_message_parse(&plain, nacre_bytes_of(exchange->plain, exchange->plain_len));
    if (err != NACRE_OK) return err;
    nacre_options options;
    nacre_options_init(&options, (nacre_buf){ x->core->scratch, x->core->config.max_message });
    nacre_option_iter it = nacre_option_begin(plain.options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number != number) nacre_options_add(&options, option.number, option.value);
    if (!nacre_is_absent(value)) nacre_options_add(&options, number, value);
    plain.type = exchange->t->type;
    err = nacre_options_finish(&options, &plain.options);
    if (err != NACRE_OK) return err;
    if (size_on_the_way(exchange->context, &plain) > nacre__max_message_to(x->core, &exchange->peer))
        return NACRE_ERR_TOO_LONG;

    forget_blocks(x, exchange); /* they belong to the previous request */
    nacre_bytes out;            /* into the transmission's bytes: the previous datagram is not sent again */
    err = nacre_message_write(&plain, &out, (nacre_buf){ exchange->t->bytes, x->core->config.max_message });
    if (err != NACRE_OK) return err;
    uint8_t *old = exchange->plain;
    exchange->plain = exchange->t->bytes;
    exchange->t->bytes = old;
    exchange->plain_len = out.len;
    return NACRE_OK;
}

/* A new client exchange with `peer`, initialised; NULL when all are in use. */
nacre__client_exchange *nacre__client_exchange_new(nacre__client_exchanges *x, const nacre_address *peer, void *user)
{
    nacre__client_exchange *exchange = free_exchange(x);
    if (exchange == NULL) return NULL;
    *exchange = (nacre__client_exchange){
        .generation = exchange->generation,
        .plain = exchange->plain,
        .t = exchange->t,
        .peer = *peer,
        .user = user,
        .outer = NACRE__NONE,
    };
    exchange->t->peer = *peer;
    exchange->t->give_up = NACRE__NEVER;
    exchange->t->order = x->tx->next_order++;
    exchange->number =
        nacre__number_new(&exchange->generation, NACRE__OF_CLIENT_EXCHANGE, nacre__client_exchange_index(x, exchange));
    nacre__client_exchange_join_peer(x, exchange);
    return exchange;
}

/* Undoes nacre__client_exchange_new. */
void nacre__client_exchange_discard(nacre__client_exchanges *x, nacre__client_exchange *exchange)
{
    nacre__client_exchange_leave_peer(x, exchange);
    exchange->number = 0;
}

static nacre_err keep_plain(nacre__client_exchanges *x, nacre__client_exchange *exchange, const nacre_message *plain)
{
    nacre_message kept = *plain;
    nacre_bytes out;
    kept.token = NACRE_ABSENT; /* token and MID are made for each transmission */
    kept.mid = 0;
    /* RFC 8323 3.2: a connection has neither CON nor NON */
    if (nacre_address_is_reliable(&exchange->peer)) kept.type = NACRE_NON;
    const nacre_err err = nacre_message_write(&kept, &out, (nacre_buf){ exchange->plain, x->core->config.max_message });
    if (err != NACRE_OK) return err == NACRE_ERR_BUFFER_TOO_SMALL ? NACRE_ERR_TOO_LONG : err;
    exchange->plain_len = out.len;
    exchange->t->type = kept.type;
    return NACRE_OK;
}

/* Starts a request; `extra`: bytes that may be added to it later. On NACRE_ERR_BAD_ARGUMENT, NACRE_ERR_TOO_LONG,
 * NACRE_ERR_BUSY nothing has changed. */
nacre_err nacre__client_exchange_start(nacre__client_exchanges *x, nacre__client_exchange **exchange,
                                       const nacre_address *peer, nacre_context *context, const nacre_message *plain,
                                       void *user, size_t extra)
{
    nacre_err err = check(plain, context == NULL && x->core->config.opaque_oscore);
    if (err != NACRE_OK) return err;
    if (size_on_the_way(context, plain) + extra > nacre__max_message_to(x->core, peer)) return NACRE_ERR_TOO_LONG;
    *exchange = nacre__client_exchange_new(x, peer, user);
    if (*exchange == NULL) return NACRE_ERR_BUSY;
    err = keep_plain(x, *exchange, plain);
    if (err != NACRE_OK) nacre__client_exchange_discard(x, *exchange);
    else nacre__client_exchange_set_context(x, *exchange, context);
    return err;
}

nacre__client_exchange *nacre__client_exchange_of(const nacre__client_exchanges *x, uint64_t number)
{
    const uint32_t index = nacre__number_index(number, NACRE__OF_CLIENT_EXCHANGE);
    if (index >= x->core->config.num_client_exchanges) return NULL;
    return x->all[index].number == number ? &x->all[index] : NULL;
}

/* Ends without an event; a queued event is dropped. */
void nacre__client_exchange_cancel(nacre__client_exchanges *x, nacre__client_exchange *exchange)
{
    if (exchange->state == NACRE__CLIENT_ENDED)
        nacre__queue_remove(x->events, NACRE__OF_CLIENT_EXCHANGE, nacre__client_exchange_index(x, exchange));
    nacre__client_exchange_release(x, exchange);
}

/* ---- Finding ------------------------------------------------------------------------------------------------------- */

nacre__client_exchange *nacre__client_exchange_by_token(const nacre__client_exchanges *x, const nacre_address *peer,
                                                        nacre_bytes token)
{
    uint64_t value;
    if (token.len != sizeof value) return NULL;
    memcpy(&value, token.ptr, sizeof value);
    if (value == 0) return NULL;
    for (uint32_t i = 0; i < x->core->config.num_client_exchanges; i++)
        if (x->tokens[i] == value && nacre_address_equal(&x->all[i].peer, peer)) return &x->all[i];
    return NULL;
}

/* Whether an ACK or a RST can match: only while a response or the ACK is outstanding. */
bool nacre__client_exchange_knows_its_mid(const nacre__client_exchange *exchange)
{
    if (nacre__client_exchange_waits(exchange)) return true;
    return exchange->state == NACRE__CLIENT_OBSERVING && exchange->context == NULL &&
           exchange->observation.due == NACRE__DUE_IN_ACK;
}

/* ---- Giving up ----------------------------------------------------------------------------------------------------- */

/* The error at the timeout: the last rejected response is more informative than TIMEOUT. */
static nacre_err last_word(nacre_err last_reject)
{
    switch (last_reject) {
    case NACRE_OK: return NACRE_ERR_TIMEOUT;
    case NACRE_ERR_RESET:
    case NACRE_ERR_TOO_LONG:
    case NACRE_ERR_OVERSIZED:
    case NACRE_ERR_UNAUTHENTICATED:
    case NACRE_ERR_NOT_PROTECTED: return last_reject;
    default: return NACRE_ERR_PROTECTION_INVALID;
    }
}

void nacre__client_exchange_give_up(nacre__client_exchanges *x, nacre__client_exchange *exchange)
{
    const nacre_err err = last_word(exchange->last_reject);
    const bool has_hint = err == NACRE_ERR_UNAUTHENTICATED || err == NACRE_ERR_NOT_PROTECTED;
    const nacre_message hint = { .code = exchange->hint.code, .payload = { exchange->hint.text, exchange->hint.len } };
    nacre__client_exchange_end(x, exchange, err, has_hint ? &hint : NULL);
}

/* Starts the time limits of requests made since the last transmission. */
void nacre__client_exchanges_limit(nacre__client_exchanges *x, uint64_t now_ms)
{
    for (uint32_t i = 0; x->num_unlimited > 0 && i < x->core->config.num_client_exchanges; i++) {
        nacre__client_exchange *exchange = &x->all[i];
        if (exchange->limit == 0 || exchange->limited) continue;
        exchange->limited = true;
        exchange->t->give_up = nacre__after(now_ms, exchange->limit);
        nacre__transmission_set_due(x->tx, exchange->t, exchange->t->due);
        x->num_unlimited--;
    }
}
