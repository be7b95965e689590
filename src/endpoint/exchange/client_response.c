/* SPDX-License-Identifier: MIT */
/* client_response: responses to requests sent here, and which of them end the exchange. A response belongs to the exchange
 * with its token:
 *
 *     request    response                                exchange
 *     protected  verifies                                ends: RESPONSE (or is repeated once, 4.01 with Echo)
 *     protected  does not verify                         goes on; a timeout later says PROTECTION_INVALID
 *     protected  plain 4.00 4.01 4.02 4.05 4.13 5.03     ends: FAILED, UNAUTHENTICATED, with the response; or waits
 *     protected  plain, from a proxy also 4.04 5.02      as above
 *                5.04 5.05
 *     protected  plain, any other                        ends: FAILED, NOT_PROTECTED, with the response; or waits
 *     protected  oversized: cut, nothing to verify       goes on, with an OVERSIZED event; a timeout later says OVERSIZED
 *     plain      plain                                   ends: RESPONSE (or is repeated once, 4.01 with Echo)
 *     plain      oversized                               ends: FAILED, OVERSIZED; a notification of an established
 *                                                        observation is an OVERSIZED event, and it goes on
 *     plain      with an OSCORE option                   goes on; a timeout later says PROTECTION_INVALID
 *
 * Observations are in observe_client.c.
 *
 * Plain responses wait when the request was acknowledged or transmitted more than once: a peer without deduplication takes a
 * copy for a replay and rejects it unprotected, while the real response is on its way. The last one is kept as a hint, and
 * reported at the timeout.
 *
 * A RST ends a plain exchange. A protected one goes on, because a RST carries only the MID, which an off-path attacker
 * guesses in 65536 tries; RESET is the error at the timeout if there is no better one. An empty ACK carries no more, yet ends
 * the retransmissions (RFC 7252 4.2): a forged one costs the exchange its retransmissions, and it may time out. Unpredictable
 * message IDs (message_ids.c) protect against that. */
#include "endpoint/exchange/client_exchange.h"
#include "coap/option_check.h"
#include "endpoint/message/nstart.h"

#include <string.h>

/* The peer has the request: ends the retransmissions and starts the response timeout (RFC 7252 5.2.2). */
void nacre__client_exchange_acknowledged(nacre__client_exchanges *x, nacre__client_exchange *exchange, uint64_t now_ms)
{
    if (exchange->state == NACRE__CLIENT_OBSERVING && exchange->observation.due == NACRE__DUE_IN_ACK)
        exchange->observation.due = NACRE__DUE_SEPARATE; /* the response to the registration may still come */
    if (!nacre__client_exchange_is_sent(exchange) || exchange->t->type != NACRE_CON) return;
    if (exchange->is_ping) { /* RFC 7252 4.3 requires a RST, but an ACK shows too that the peer is alive */
        nacre__client_exchange_end(x, exchange, NACRE_OK, NULL);
        return;
    }
    nacre__nstart_leave(x->tx, exchange->t);
    nacre__client_exchange_pause(x, exchange);
    exchange->state = NACRE__CLIENT_ACKED;
    exchange->hints_wait = true;
    nacre__transmission_set_due(x->tx, exchange->t, nacre__after(now_ms, x->core->config.timing.response_timeout_ms));
}

void nacre__client_exchange_reset(nacre__client_exchanges *x, nacre__client_exchange *exchange)
{
    if (!nacre__client_exchange_waits(exchange)) return;
    if (exchange->is_ping) nacre__client_exchange_end(x, exchange, NACRE_OK, NULL);
    else if (exchange->context == NULL) nacre__client_exchange_end(x, exchange, NACRE_ERR_RESET, NULL);
    else if (exchange->last_reject == NACRE_OK) exchange->last_reject = NACRE_ERR_RESET;
}

static bool has_hint(const nacre__client_exchange *exchange)
{
    return exchange->last_reject == NACRE_ERR_UNAUTHENTICATED || exchange->last_reject == NACRE_ERR_NOT_PROTECTED;
}

void nacre__client_exchange_dropped(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                                    const nacre__received *received, nacre_err err, uint64_t now_ms)
{
    NACRE__COUNT(x->core, unprotect_failures);
    nacre__count_refused(x->core, err);
    if (!nacre__client_exchange_waits(exchange)) return;
    if (!has_hint(exchange)) exchange->last_reject = err;
    if (received->outer.type == NACRE_ACK) nacre__client_exchange_acknowledged(x, exchange, now_ms);
}

/* Codes of servers that cannot or will not unprotect: an unauthenticated hint (RFC 8613 8.2, D.5.3). A server without OSCORE
 * sees a POST and sends 4.05. */
static bool is_plain_refusal(const nacre__client_exchange *exchange, uint8_t code)
{
    if (code == NACRE_BAD_REQUEST || code == NACRE_UNAUTHORIZED || code == NACRE_BAD_OPTION ||
        code == NACRE_METHOD_NOT_ALLOWED || code == NACRE_TOO_LARGE || code == NACRE_UNAVAILABLE)
        return true; /* 4.13: the server's buffer has only the start of the request */
    if (exchange->outer != NACRE__NONE && code == NACRE_INCOMPLETE) return true; /* the remaining blocks are lost */
    return exchange->via_proxy && (code == NACRE_NOT_FOUND || code == NACRE_BAD_GATEWAY ||
                                   code == NACRE_GATEWAY_TIMEOUT || code == NACRE_PROXYING_NOT_SUPPORTED);
}

static bool is_understood(const nacre_message *response)
{
    uint16_t last = 0;
    nacre_option_iter it = nacre_option_begin(response->options);
    for (nacre_option option; nacre_option_next(&it, &option); last = option.number)
        if (nacre__option_must_reject(&option, option.number == last)) return false;
    return true;
}

/* RFC 7252 5.4.1: a response with an unknown critical option is rejected: a NON is ignored, and the exchange goes on; a CON
 * gets a RST in place of its ACK and ends the exchange, as a piggybacked response does. */
bool nacre__client_exchange_rejects(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                                    const nacre__received *received, const nacre_message *response)
{
    enum { ACK_TO_RST = (NACRE_ACK ^ NACRE_RST) << 4 };
    if (is_understood(response)) return false;
    if (received->outer.type == NACRE_NON && !nacre_address_is_reliable(&exchange->peer)) {
        nacre__count_dropped(x->core, NACRE_DROPPED_OPTION);
        if (nacre__client_exchange_waits(exchange)) exchange->last_reject = NACRE_ERR_CRITICAL_OPTION;
        return true;
    }
    if (received->ack != 0) x->dedup->records[received->ack - 1].bytes[0] ^= ACK_TO_RST; /* for its duplicates too */
    NACRE__COUNT(x->core, responses);
    nacre__client_exchange_end(x, exchange, NACRE_ERR_CRITICAL_OPTION, response);
    return true;
}

bool nacre__client_exchange_request_has(const nacre__client_exchange *exchange, uint16_t number)
{
    nacre_message plain;
    if (nacre_message_parse(&plain, nacre_bytes_of(exchange->plain, exchange->plain_len)) != NACRE_OK) return false;
    return nacre__has_option(plain.options, number);
}

static bool has_challenge(const nacre_message *response, nacre_bytes *echo)
{
    *echo = nacre_option_find(response->options, NACRE_OPT_ECHO);
    return response->code == NACRE_UNAUTHORIZED && echo->len >= 1 && echo->len <= NACRE__MAX_ECHO;
}

/* Whether the response is an Echo challenge and the request was not repeated yet. */
bool nacre__client_exchange_is_challenged(const nacre__client_exchange *exchange, const nacre_message *response)
{
    nacre_bytes echo;
    return has_challenge(response, &echo) && !exchange->repeated;
}

/* RFC 8613 B.1.2, RFC 9175 2.3: on a 4.01 with Echo the request is repeated with the value, once. For a protected request the
 * challenge must have verified. */
bool nacre__client_exchange_repeats(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                                    const nacre_message *response)
{
    nacre_bytes echo;
    if (!has_challenge(response, &echo)) return false;
    if (exchange->repeated)
        return !nacre__client_exchange_waits(exchange) &&
               exchange->state != NACRE__CLIENT_OBSERVING; /* a duplicate, before the repetition is sent */
    if (exchange->context == NULL && x->core->config.opaque_oscore)
        return false; /* a proxy: left to its client to answer */
    if (nacre__client_exchange_set_option(x, exchange, NACRE_OPT_ECHO, echo) != NACRE_OK) return false;
    exchange->repeated = true;
    if (!exchange->observation.begun) {
        nacre__client_exchange_again(x, exchange);
        return true;
    }
    exchange->last_reject = NACRE_OK;
    nacre__client_exchange_pause(x, exchange);
    nacre__client_exchange_queue(x, exchange);
    return true;
}

/* RFC 8613 8.4 step 2, and section 2: an unprotected response is kept only as a hint; a payload with a Content-Format is no
 * diagnostic text (RFC 7252 5.5.2). */
static void keep_hint(nacre__client_exchanges *x, nacre__client_exchange *exchange, const nacre__received *received,
                      nacre_err err, uint64_t now_ms)
{
    const nacre_message *m = &received->outer;
    const bool is_text = m->payload.len > 0 && !nacre__has_option(m->options, NACRE_OPT_CONTENT_FORMAT);
    NACRE__COUNT(x->core, unprotect_failures);
    nacre__count_refused(x->core, err);
    if (exchange->last_reject != NACRE_ERR_TOO_LONG) exchange->last_reject = err;
    exchange->hint.code = m->code;
    exchange->hint.len = !is_text ? 0 : (uint8_t)(m->payload.len < NACRE__MAX_HINT ? m->payload.len : NACRE__MAX_HINT);
    if (exchange->hint.len > 0) memcpy(exchange->hint.text, m->payload.ptr, exchange->hint.len);
    if (m->type == NACRE_ACK) nacre__client_exchange_acknowledged(x, exchange, now_ms);
}

/* Takes an unprotected response to a protected request: keeps it as a hint, or ends the exchange. */
void nacre__client_exchange_unprotected(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                                        const nacre__received *received, uint64_t now_ms)
{
    const nacre_message *response = &received->outer;
    const nacre_err err =
        is_plain_refusal(exchange, response->code) ? NACRE_ERR_UNAUTHENTICATED : NACRE_ERR_NOT_PROTECTED;
    if (exchange->hints_wait) keep_hint(x, exchange, received, err, now_ms);
    else nacre__client_exchange_end(x, exchange, err, response);
}
