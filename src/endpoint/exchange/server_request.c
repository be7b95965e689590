/* SPDX-License-Identifier: MIT */
/* server_request: received requests, from the result of verification to their event; and what they do after a wait for the
 * store. */
#include "endpoint/exchange/server_exchange.h"
#include "coap/option_check.h"
#include "context/fields.h"
#include "oscore/request_id.h"

#include <string.h>

/* ---- The result of verification ---------------------------------------------------------------------------------- */

/* Drops the request without a record: its retransmission is handled as new. */
static void leave_to_retransmission(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_dropped why)
{
    nacre__count_dropped(x->core, why);
    nacre__server_exchange_release(x, exchange);
}

/* The result of nacre_protect_echo: another request has recovered the window since this one verified. */
static bool has_recovered(nacre_err err)
{
    return err == NACRE_ERR_BAD_ARGUMENT;
}

static bool rate_allows(nacre__server_exchanges *x, const nacre__server_exchange *exchange)
{
    const uint64_t seq = nacre__request_seq(&exchange->id);
    nacre__context_lock(x->core, exchange->context);
    const bool again = nacre__replay_is_challenged(nacre_context_replay(exchange->context), seq);
    nacre__context_unlock(x->core, exchange->context);
    return nacre__challenge_take(x->rate_limits, exchange->context, &exchange->record->peer, again);
}

static void count_challenge(nacre__server_exchanges *x)
{
    NACRE__COUNT(x->core, echo_challenges);
    nacre__count_responded(x->core, NACRE_UNAUTHORIZED);
}

/* RFC 8613 B.1.2: the replay window is unknown, so the sender must prove freshness. */
static void challenge(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_bytes token)
{
    nacre_message header = { .code = NACRE_UNAUTHORIZED };
    nacre_bytes out;
    if (!rate_allows(x, exchange)) {
        leave_to_retransmission(x, exchange, NACRE_DROPPED_ECHO_RATE);
        return;
    }
    nacre__response_header(x, exchange, &header, token);
    nacre__context_lock(x->core, exchange->context);
    nacre_err err = nacre_protect_echo(exchange->context, &x->core->config.crypto, &exchange->id, &out,
                                       nacre__response_buf(x, exchange), &header);
    nacre__context_unlock(x->core, exchange->context);
    if (err == NACRE_OK) {
        count_challenge(x);
        nacre__request_persist_early(x->persist, exchange->context);
        nacre__server_exchange_leave_buffers(x, exchange);
        nacre__response_finish(x, exchange, out.len, true);
        return;
    }
    if (err == NACRE_ERR_NOT_YET && nacre__response_keep_plain(x, exchange, &header, true) == NACRE_OK) return;
    if (has_recovered(err)) leave_to_retransmission(x, exchange, NACRE_DROPPED_RECOVERED);
    else nacre__response_refuse(x, exchange, err, token);
}

/* Whether the same request is pending already: one copy is enough; replays would use up all entries. */
static bool is_pending(const nacre__server_exchanges *x, const nacre__received *received)
{
    for (uint32_t i = 0; i < x->max_pending; i++) {
        const nacre__pending_request *p = &x->pending[i];
        if (p->server != NACRE__NONE && x->all[p->server].context == received->context &&
            nacre_bytes_equal(nacre_bytes_of(p->partial_iv, p->partial_iv_len), received->read.oscore.partial_iv))
            return true;
    }
    return false;
}

/* Keeps the request's bytes until the store has invalidated its replay window. Without a free entry the request is dropped
 * without a record; its retransmission is handled later. */
static void keep_pending(nacre__server_exchanges *x, nacre__server_exchange *exchange, const nacre__received *received)
{
    const nacre_bytes piv = received->read.oscore.partial_iv;
    const uint32_t lookup = nacre__lookup_leave(x, exchange); /* its bytes are copied from there */
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
    if (lookup != NACRE__NONE) x->pending[lookup].server = NACRE__NONE;
    if (exchange->pending == NACRE__NONE) {
        nacre__request_persist(x->persist, received->context);
        leave_to_retransmission(x, exchange, NACRE_DROPPED_PENDING);
        return;
    }
    exchange->state = NACRE__SERVER_PENDING;
    nacre__server_exchange_wait(x, exchange, received->context);
}

void nacre__request_count_refusal(nacre__server_exchanges *x, nacre_err err)
{
    nacre__count_refused(x->core, err);
    if (err == NACRE_ERR_REPLAY) NACRE__COUNT(x->core, replays);
    else if (err == NACRE_ERR_NO_CONTEXT) NACRE__COUNT(x->core, no_context);
    else NACRE__COUNT(x->core, unprotect_failures);
}

static void heard_echo(nacre__server_exchanges *x, const nacre__received *received)
{
    nacre__echo_heard(x->echo, &received->datagram->peer, received->context,
                      nacre_option_find(received->plain.options, NACRE_OPT_ECHO),
                      nacre_option_find(received->outer.options, NACRE_OPT_ECHO), received->recovers);
}

static void count_request(nacre__server_exchanges *x, const nacre__server_exchange *exchange)
{
    const uint8_t method = exchange->message.code;
    NACRE__COUNT(x->core, requests);
    NACRE__COUNT_AT(x->core, methods, method < NACRE_STATS_METHODS ? method : 0);
    if (exchange->context != NULL) NACRE__COUNT(x->core, protected_requests);
}

/* Acts on the result of verification: deliver, challenge, wait, or refuse. */
void nacre__request_settle(nacre__server_exchanges *x, nacre__server_exchange *exchange,
                           const nacre__received *received)
{
    switch (received->err) {
    case NACRE_OK:
        exchange->context = received->context;
        if (received->context != NULL) exchange->id = received->id; /* moved: the item is not used again */
        exchange->message = received->plain;
        exchange->seen = nacre__received_drop_options(x->core, received, &exchange->message);
        exchange->state = NACRE__SERVER_READY;
        if ((exchange->seen | received->seen) & NACRE__SEEN(NACRE_OPT_ECHO)) heard_echo(x, received);
        nacre__queue_push(x->events, NACRE__OF_SERVER_EXCHANGE, nacre__server_exchange_index(x, exchange));
        count_request(x, exchange);
        break;
    case NACRE_ERR_REPLAY_ECHO:
        exchange->context = received->context;
        exchange->id = received->id;
        challenge(x, exchange, received->outer.token);
        break;
    case NACRE_ERR_NOT_YET: keep_pending(x, exchange, received); break;
    default:
        nacre__request_count_refusal(x, received->err);
        nacre__response_refuse(x, exchange, received->err, received->outer.token);
    }
}

/* ---- After the wait ---------------------------------------------------------------------------------------------- */

static void resume_request(nacre__server_exchanges *x, nacre__server_exchange *exchange)
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
    nacre__request_settle(x, exchange, &received);
}

static void resume_response(nacre__server_exchanges *x, nacre__server_exchange *exchange)
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
    } else if (exchange->echo && has_recovered(err)) {
        leave_to_retransmission(x, exchange, NACRE_DROPPED_RECOVERED);
    } else if (err != NACRE_OK) {
        nacre__response_withdraw(x, exchange, err);
    } else {
        if (exchange->echo) count_challenge(x);
        nacre__request_persist_early(x->persist, exchange->context);
        memcpy(exchange->record->bytes, out.ptr, out.len);
        nacre__response_finish(x, exchange, out.len, false);
    }
}

/* Continues after the wait. A pending request was not accepted: it is refused unprotected, and its nonce stays unused,
 * because the same request may be accepted later (RFC 8613 B.1.2). A waiting response has no right to its request's nonce. */
static bool goes_on(nacre__server_exchanges *x, const nacre__server_exchange *exchange)
{
    return exchange->state == NACRE__SERVER_PENDING ? nacre__has_durable_window(x->core, exchange->context)
                                                    : nacre__has_number(x->core, exchange->context);
}

/* The store has answered. */
void nacre__request_confirmed(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_err err)
{
    exchange->record->may_be_dropped = false;
    nacre__server_exchange_reopen(x, exchange);
    if (err != NACRE_OK && !goes_on(x, exchange)) nacre__response_withdraw(x, exchange, NACRE_ERR_NOT_YET);
    else if (exchange->state == NACRE__SERVER_PENDING) resume_request(x, exchange);
    else resume_response(x, exchange);
}

/* A new burst begins: unanswered requests count as ignored, because the memory of their messages is reused. What is still in use is
 * held, so that each burst visits its own requests only. */
void nacre__requests_close_delivered(nacre__server_exchanges *x)
{
    for (uint32_t i = x->dedup->lists[NACRE__DEDUP_OPEN].first, next; i != NACRE__NONE; i = next) {
        nacre__server_exchange *exchange = &x->all[i];
        next = exchange->record->link.next;
        if (exchange->state == NACRE__SERVER_DELIVERED) nacre__response_empty(x, exchange);
        if (exchange->state == NACRE__SERVER_DEFERRED) nacre__pending_request_leave(x, exchange);
        if (exchange->record->state == NACRE__DEDUP_OPEN) nacre__server_exchange_hold(x, exchange);
    }
}
